package plan

import (
	"fmt"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

// instead says, in half a sentence, what there is in place of a Secret; empty if
// there is nothing like it.
func (f *finder) instead(s manifest.Key) string {
	if others := f.elsewhere(s); len(others) > 0 {
		return "; there is " + f.describe(others[0])
	}
	if near, ok := f.near(s); ok {
		return "; there is " + f.describe(near)
	}
	return ""
}

// checkReferences warns of documents that mount or name a Secret that nobody
// makes, or a key that the Secret will not have. Each Secret is told once.
func (p *planner) checkReferences() {
	for i := range p.set.References {
		ref := &p.set.References[i]
		if i, ok := p.writers[ref.Secret]; ok {
			p.checkDataKey(ref, dataKeys(&p.set.Certificates[i].Spec))
			continue
		}
		if s, ok := p.set.Secrets[ref.Secret]; ok {
			keys := make([]string, 0, len(s.Data))
			for k := range s.Data {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			p.checkDataKey(ref, keys)
			continue
		}
		if p.in.CASecret != nil {
			if _, ok := p.in.CASecret(ref.Secret); ok {
				continue
			}
		}
		p.tellOnce(ref, "secret "+ref.Secret.String(), func() string {
			return fmt.Sprintf("nobody makes Secret %s%s", ref.Secret, p.finder.instead(ref.Secret))
		})
	}
}

func (p *planner) checkDataKey(ref *manifest.Reference, keys []string) {
	if ref.DataKey == "" || slices.Contains(keys, ref.DataKey) {
		return
	}
	p.tellOnce(ref, "key "+ref.DataKey+" "+ref.Secret.String(), func() string {
		return fmt.Sprintf("Secret %s will have no %s: it has %s", ref.Secret, ref.DataKey, strings.Join(keys, ", "))
	})
}

// tellOnce warns at the first place and lists the others.
func (p *planner) tellOnce(ref *manifest.Reference, key string, text func() string) {
	p.notes.add(key, ref.Kind+" "+ref.Key.String(), func() note {
		o := ref.Origin
		if ref.Line > 0 {
			o.Line = ref.Line
		}
		return note{origin: o, path: ref.Path, format: percent(text()) + " (used by %s)"}
	})
}

// dataKeys are the keys of the Secret that a Certificate writes (section 3.1).
func dataKeys(s *cmapi.CertificateSpec) []string {
	keys := []string{certKey, keyKey, caKey}
	for _, f := range s.AdditionalOutputFormats {
		switch f.Type {
		case cmapi.CertificateOutputFormatDER:
			keys = append(keys, cmapi.CertificateOutputFormatDERKey)
		case cmapi.CertificateOutputFormatCombinedPEM:
			keys = append(keys, cmapi.CertificateOutputFormatCombinedPEMKey)
		}
	}
	if hasPKCS12(s) {
		keys = append(keys, cmapi.PKCS12SecretKey, cmapi.PKCS12TruststoreKey)
	}
	if hasJKS(s) {
		keys = append(keys, cmapi.JKSSecretKey, cmapi.JKSTruststoreKey)
	}
	return keys
}
