package cmd

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// planLeaf decides about one certificate.
func (r *kubeadmRun) planLeaf(ctx context.Context, leaf *kubeadm.Leaf) error {
	name, err := r.o.nameOf(leaf.Name)
	if err != nil {
		return err
	}
	p := &kubeadmPart{path: leaf.Path, name: name.String(), leaf: leaf, by: r.o.authority(leaf.CA)}
	r.parts = append(r.parts, p)
	e, err := r.current(ctx, p.name)
	if err != nil {
		return err
	}
	key := r.keyType()
	if e != nil {
		if err := r.checkOurs(e, p); err != nil {
			return err
		}
		if p.cert, err = x509.ParseCertificate(e.DER); err != nil {
			return fmt.Errorf("the certificate of %q in the ledger: %w", e.Name, err)
		}
		if t, err := pki.KeyTypeOf(p.cert.PublicKey); err == nil && r.o.key == "" && (t.IsEC() || t.IsRSA()) {
			key = t
		}
	}
	order := pkidir.Order{
		Name: name, Profile: leaf.Profile, Authority: p.by, Replace: e != nil, Encoding: pki.SEC1,
		Request: pki.Request{Subject: leaf.Subject, SANs: leaf.SANs, Key: key, Lifetime: pki.Lifetime{Validity: r.o.validity}},
	}
	if key.IsRSA() {
		order.Encoding = pki.PKCS1
	}
	ca := r.part(leaf.CA).cert
	if ca == nil {
		p.order, p.isNew, p.why = &order, e == nil, "its authority is made"
		if r.o.validity > pki.RootValidity {
			return withHint(fmt.Errorf("%s: lifetime: it ends after its issuer, which is made for %s", leaf.Name, profiles.FormatValidity(pki.RootValidity)),
				"give a shorter --validity")
		}
		return leaf.Subject.Check()
	}
	drafts, err := r.dir.Prepare("", []pkidir.Order{order})
	if err != nil {
		err = fmt.Errorf("%s: %w", leaf.Name, err)
		var life *pki.LifetimeError
		if errors.As(err, &life) && life.Latest.After(r.app.Now()) {
			return withHint(err, "give a --validity that ends by %s, when the authority does", life.Latest.UTC().Format(timeFormat))
		}
		return err
	}
	if e == nil {
		p.order, p.isNew = &order, true
		return nil
	}
	draft := drafts[0].Template()
	if p.why = r.due(e, p, ca, &draft, key); p.why != "" {
		p.order = &order
		return nil
	}
	b, err := r.dir.Bundle(p.name, nil)
	if err != nil {
		return err
	}
	p.source = r.leafSource(leaf, b)
	return nil
}

// checkOurs refuses to take a name from something else.
func (r *kubeadmRun) checkOurs(e *ledger.Entry, p *kubeadmPart) error {
	what := ""
	switch {
	case e.Kind == ledger.KindAuthority:
		return withHint(fmt.Errorf("%q is an authority", e.Name), "tell the cluster apart with --cluster-name")
	case r.o.force:
		return nil
	case len(e.Manifest) > 0:
		what = "was made by a manifest"
	case !strings.EqualFold(e.Issuer, p.by):
		what = fmt.Sprintf("was signed by authority %q, and not by %q", e.Issuer, p.by)
	default:
		return nil
	}
	return withHint(fmt.Errorf("certificate %q %s", e.Name, what), "tell clusters apart with --cluster-name, or replace it with --force")
}

// due says why a certificate is to be made again; empty for one that stays.
func (r *kubeadmRun) due(e *ledger.Entry, p *kubeadmPart, ca, want *x509.Certificate, key profiles.KeyType) string {
	now, cert := r.app.Now(), p.cert
	has, _ := pki.KeyTypeOf(cert.PublicKey)
	switch {
	case !e.RevokedAt.IsZero():
		return "revoked on " + day(e.RevokedAt)
	case now.After(cert.NotAfter):
		return "expired on " + day(cert.NotAfter)
	case !now.Before(pkidir.RenewalTime(e)):
		return "due since " + day(pkidir.RenewalTime(e))
	case pki.SignedBy(cert, ca) != pki.SignatureGood:
		return "new key of its authority"
	case !bytes.Equal(cert.RawSubject, want.RawSubject):
		return subjectChanged(cert, p.leaf.Subject)
	case !sameNames(cert, want):
		return namesChanged(cert, want)
	case cert.KeyUsage != want.KeyUsage || !slices.Equal(cert.ExtKeyUsage, want.ExtKeyUsage):
		return "other usages"
	case has != key:
		return "its key is to be " + key.String()
	case r.o.validity != 0 && cert.NotAfter.Sub(cert.NotBefore) != want.NotAfter.Sub(want.NotBefore):
		return "it is to last " + profiles.FormatValidity(r.o.validity)
	}
	return ""
}

// subjectChanged says what a subject is to be: the group alone, if it is that.
func subjectChanged(has *x509.Certificate, want pki.Subject) string {
	switch {
	case has.Subject.CommonName != want.CommonName:
		return "it is to be " + want.CommonName
	case len(want.Organizations) == 0:
		return "in no group"
	}
	return "in " + strings.Join(want.Organizations, ", ")
}

func sanTexts(c *x509.Certificate) (all []string) {
	for _, s := range pki.SANsOf(c) {
		all = append(all, s.Value())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func sameNames(a, b *x509.Certificate) bool { return slices.Equal(sanTexts(a), sanTexts(b)) }

// namesChanged names the first name that came or went.
func namesChanged(has, want *x509.Certificate) string {
	old, now := sanTexts(has), sanTexts(want)
	for _, n := range now {
		if !slices.Contains(old, n) {
			return "new name " + n
		}
	}
	for _, n := range old {
		if !slices.Contains(now, n) {
			return "without " + n
		}
	}
	return "other names"
}
