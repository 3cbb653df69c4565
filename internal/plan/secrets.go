package plan

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// The keys of a TLS Secret.
const (
	certKey = "tls.crt"
	keyKey  = "tls.key"
	caKey   = "ca.crt"
)

// A pair is what a TLS Secret holds.
type pair struct {
	chain []*x509.Certificate
	key   crypto.PublicKey
}

func (p pair) fingerprint() [sha256.Size]byte { return sha256.Sum256(p.chain[0].Raw) }

// readPair reads key and certificate of a Secret and checks that they belong
// together (section 4.1, reasons 2 and 3).
func readPair(s *manifest.Secret) (pair, *Reason) {
	for _, k := range []string{keyKey, certKey} {
		if len(s.Data[k]) == 0 {
			return pair{}, &Reason{MissingData, "it has no " + k, nil}
		}
	}
	key, err := pki.ParseKey(s.Data[keyKey], nil)
	if err != nil {
		return pair{}, &Reason{InvalidKeyPair, keyKey + ": " + err.Error(), nil}
	}
	chain, err := pki.ParseCertificates(s.Data[certKey])
	if err != nil {
		return pair{}, &Reason{InvalidCertificate, certKey + ": " + err.Error(), nil}
	}
	if !pki.SamePublicKey(key.Public(), chain[0].PublicKey) {
		return pair{}, &Reason{InvalidKeyPair, "its " + keyKey + " does not belong to its " + certKey, nil}
	}
	return pair{chain, key.Public()}, nil
}

// checkCASecret returns why a Secret of the input cannot be an issuer's CA; empty
// if it can. It warns of a chain whose root is missing.
func (p *planner) checkCASecret(s *manifest.Secret) string {
	held, bad := readPair(s)
	if bad != nil {
		return bad.Text
	}
	if !held.chain[0].IsCA {
		return "its certificate is no CA"
	}
	if end := held.chain[0].NotAfter; p.in.Now.After(end) {
		p.warn(s.Origin, "data", fmt.Sprintf("the CA in Secret %s expired on %s: it signs nothing any more", s.Key, pki.FormatTime(end)))
	}
	pool := held.chain
	if len(s.Data[caKey]) > 0 {
		more, err := pki.ParseCertificates(s.Data[caKey])
		if err != nil {
			return caKey + ": " + err.Error()
		}
		// cert-manager reads no more than the first (section 3.2).
		pool = append(slices.Clone(pool), more[0])
	}
	chain := pki.ExamineChain(pool)
	if chain.Order == nil || chain.Order[0] != 0 {
		return "its " + certKey + " and " + caKey + " are not one chain"
	}
	if !chain.EndsInRoot() {
		p.warn(s.Origin, "data", fmt.Sprintf("the CA in Secret %s is an intermediate without its root: the %s of what it signs will be the intermediate, and clients that want a root fail", s.Key, caKey))
	}
	return ""
}

// importCA notes that a CA Secret becomes an authority of its own name.
func (p *planner) importCA(s *manifest.Secret) {
	name := s.Key.String()
	if _, ok := p.imports[name]; !ok {
		p.imports[name] = false
		p.pending = append(p.pending, Import{Name: name, Secret: s, Authority: true})
	}
}

// planImports drops the imports that are there already.
func (p *planner) planImports() error {
	for _, im := range p.pending {
		a, err := p.in.Actual(im.Name)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", im.Name, err)
		case a == nil:
			p.imports[im.Name] = true
			p.out.Imports = append(p.out.Imports, im)
			continue
		case a.Applied != nil:
			p.problem(im.Secret.Origin, "metadata.name", "the CA of this Secret would be "+im.Name+" in the PKI directory, and a manifest made another there", "rename the Secret, or remove "+im.Name)
			continue
		}
		if held, bad := readPair(im.Secret); bad == nil && held.fingerprint() != a.Fingerprint {
			im.Replaces = true
			p.imports[im.Name] = true
			p.out.Imports = append(p.out.Imports, im)
		}
	}
	return nil
}

// adoption says whether a Secret of the input is what its Certificate asks for, as
// cert-manager sees it on a fresh cluster (sections 4.1 and 4.2). No reasons: it is.
func (p *planner) adoption(c *manifest.Certificate, s *manifest.Secret) (reasons []Reason) {
	held, bad := readPair(s)
	if bad != nil {
		return []Reason{*bad}
	}
	leaf := held.chain[0]
	if !issuerAnnotationsMatch(s.Annotations, c.Spec.IssuerRef) {
		reasons = append(reasons, Reason{IncorrectIssuer, "the Secret's annotations name another issuer", []string{"spec.issuerRef"}})
	}
	if name, ok := s.Annotations[cmapi.CertificateNameKey]; ok && name != c.Name {
		reasons = append(reasons, Reason{IncorrectCertificate, fmt.Sprintf("the Secret was made for Certificate %q", name), nil})
	}
	want := wantedKey(&c.Spec)
	if is, err := pki.KeyTypeOf(held.key); err != nil {
		reasons = append(reasons, Reason{SecretMismatch, err.Error(), []string{"spec.privateKey"}})
	} else if is != want {
		reasons = append(reasons, Reason{SecretMismatch, fmt.Sprintf("the key is %s, and %s is asked for", is, want), []string{keyField(is, want)}})
	}
	if fields := looseChanges(leaf, &c.Spec); fields != nil {
		reasons = append(reasons, Reason{SecretMismatch, "the certificate in the Secret differs: " + strings.Join(fields, ", "), fields})
	}
	if r := p.renewal(c, leaf.NotBefore, leaf.NotAfter); r != nil {
		reasons = append(reasons, *r)
	}
	return reasons
}

// issuerAnnotationsMatch is reason 4 of section 4.1.
func issuerAnnotationsMatch(annotations map[string]string, ref cmmeta.IssuerReference) bool {
	name, hasName := annotations[cmapi.IssuerNameAnnotationKey]
	kind, hasKind := annotations[cmapi.IssuerKindAnnotationKey]
	group, hasGroup := annotations[cmapi.IssuerGroupAnnotationKey]
	if (hasName || hasKind || hasGroup) && name != ref.Name {
		return false
	}
	return sameRef(cmmeta.IssuerReference{Kind: kind, Group: group}, cmmeta.IssuerReference{Kind: ref.Kind, Group: ref.Group})
}

// sameRef compares two references as cert-manager does: without a kind it is
// Issuer, without a group cert-manager.io.
func sameRef(a, b cmmeta.IssuerReference) bool {
	fill := func(r cmmeta.IssuerReference) cmmeta.IssuerReference {
		if r.Kind == "" {
			r.Kind = cmapi.IssuerKind
		}
		if r.Group == "" {
			r.Group = certmanager.GroupName
		}
		return r
	}
	return fill(a) == fill(b)
}

// looseChanges is the comparison without a CertificateRequest (section 4.2): the
// common name counts among the DNS names, and beside the names nothing counts but,
// since it decides what the PKI directory makes of it, whether it is a CA.
func looseChanges(leaf *x509.Certificate, s *cmapi.CertificateSpec) (fields []string) {
	if !sameSet(nameSet(leaf.Subject.CommonName, leaf.DNSNames), nameSet(s.CommonName, s.DNSNames)) {
		fields = append(fields, "spec.commonName or spec.dnsNames")
	}
	ips := make([]string, len(leaf.IPAddresses))
	for i, ip := range leaf.IPAddresses {
		ips[i] = ip.String()
	}
	uris := make([]string, len(leaf.URIs))
	for i, u := range leaf.URIs {
		uris[i] = u.String()
	}
	if !sameIPs(ips, s.IPAddresses) {
		fields = append(fields, "spec.ipAddresses")
	}
	if !sameSet(uris, s.URIs) {
		fields = append(fields, "spec.uris")
	}
	if !sameSet(leaf.EmailAddresses, s.EmailAddresses) {
		fields = append(fields, "spec.emailAddresses")
	}
	if leaf.IsCA != s.IsCA {
		fields = append(fields, "spec.isCA")
	}
	return fields
}

func nameSet(commonName string, dns []string) []string {
	all := slices.Clone(dns)
	if commonName != "" {
		all = append(all, commonName)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
