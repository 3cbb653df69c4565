package pki_test

import (
	"crypto/x509"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestExamineChain(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	issuing := pkitest.NewIntermediate(t, root, pki.CARequest{})
	leaf := pkitest.Issue(t, issuing, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "leaf"}}).Leaf()
	other := pkitest.Issue(t, issuing, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "other"}}).Leaf()
	// The same name as root's, and another key.
	namesake := pkitest.NewRoot(t, pki.CARequest{Key: profiles.Ed25519})
	stranger := pkitest.NewRoot(t, pki.CARequest{Subject: pki.Subject{CommonName: "Stranger"}, Key: profiles.Ed25519})
	// The same name and the same key: a root that was made anew.
	renewed := pkitest.NewRoot(t, pki.CARequest{})

	const none = pki.NoPlace
	link := func(issuer int) pki.Link { return pki.Link{Issuer: issuer, Namesake: none, CopyOf: none} }
	r, i, l := root.Certificate(), issuing.Certificate(), leaf
	for name, tt := range map[string]struct {
		certs   []*x509.Certificate
		want    pki.Chain
		inOrder bool
		root    bool
	}{
		"nothing":     {want: pki.Chain{Links: []pki.Link{}}},
		"leaf":        {certs: []*x509.Certificate{l}, want: pki.Chain{Links: []pki.Link{link(none)}, Order: []int{0}}, inOrder: true},
		"root":        {certs: []*x509.Certificate{r}, want: pki.Chain{Links: []pki.Link{link(0)}, Order: []int{0}}, inOrder: true, root: true},
		"bundle":      {certs: []*x509.Certificate{l, i}, want: pki.Chain{Links: []pki.Link{link(1), link(none)}, Order: []int{0, 1}}, inOrder: true},
		"all":         {certs: []*x509.Certificate{l, i, r}, want: pki.Chain{Links: []pki.Link{link(1), link(2), link(2)}, Order: []int{0, 1, 2}}, inOrder: true, root: true},
		"authorities": {certs: []*x509.Certificate{i, r}, want: pki.Chain{Links: []pki.Link{link(1), link(1)}, Order: []int{0, 1}}, inOrder: true, root: true},
		"backwards":   {certs: []*x509.Certificate{r, i, l}, want: pki.Chain{Links: []pki.Link{link(0), link(0), link(1)}, Order: []int{2, 1, 0}}, root: true},
		"gap":         {certs: []*x509.Certificate{l, r}, want: pki.Chain{Links: []pki.Link{link(none), link(1)}}},
		"two leaves":  {certs: []*x509.Certificate{l, other, i}, want: pki.Chain{Links: []pki.Link{link(2), link(2), link(none)}}},
		"two roots":   {certs: []*x509.Certificate{r, stranger.Certificate()}, want: pki.Chain{Links: []pki.Link{link(0), link(1)}}},
		"copy": {
			certs: []*x509.Certificate{l, i, l},
			want:  pki.Chain{Links: []pki.Link{link(1), link(none), {Issuer: 1, Namesake: none, CopyOf: 0}}, Order: []int{0, 1}},
		},
		"another CA of the same name": {
			certs: []*x509.Certificate{i, namesake.Certificate()},
			want:  pki.Chain{Links: []pki.Link{{Issuer: none, Namesake: 1, CopyOf: none}, link(1)}},
		},
		"another CA of the same name beside the right one": {
			certs: []*x509.Certificate{i, namesake.Certificate(), r},
			want:  pki.Chain{Links: []pki.Link{link(2), link(1), link(2)}},
		},
		"a root that was made anew": {
			certs: []*x509.Certificate{r, renewed.Certificate()},
			want:  pki.Chain{Links: []pki.Link{link(0), link(1)}},
		},
	} {
		got := pki.ExamineChain(tt.certs)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if got.InOrder() != tt.inOrder || got.EndsInRoot() != tt.root {
			t.Errorf("%s: InOrder = %v, EndsInRoot = %v; want %v, %v", name, got.InOrder(), got.EndsInRoot(), tt.inOrder, tt.root)
		}
	}
}

// TestExamineChainUnchecked takes away what the signatures could be checked by.
func TestExamineChainUnchecked(t *testing.T) {
	t.Parallel()
	issuing := pkitest.Issuing(t)
	leaf := *pkitest.Issue(t, issuing, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "leaf"}}).Leaf()
	leaf.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	got := pki.ExamineChain([]*x509.Certificate{&leaf, issuing.Certificate()})
	want := pki.Link{Issuer: 1, Unchecked: true, Namesake: pki.NoPlace, CopyOf: pki.NoPlace}
	if got.Links[0] != want || !got.InOrder() {
		t.Errorf("got %+v", got)
	}
}

// TestExamineChainMany has a file whose certificates all have one name, so that
// each could have signed each.
func TestExamineChainMany(t *testing.T) {
	t.Parallel()
	root := pkitest.NewRoot(t, pki.CARequest{Key: profiles.Ed25519})
	base := root.Certificate()
	certs := make([]*x509.Certificate, 3000)
	for i := range certs {
		c := *base
		c.Raw = append([]byte{byte(i), byte(i >> 8)}, base.Raw...)
		c.Signature = make([]byte, len(base.Signature)) // a bad one
		certs[i] = &c
	}
	if c := pki.ExamineChain(certs); len(c.Links) != len(certs) || !c.Links[len(certs)-1].Unchecked {
		t.Errorf("%d links; the last one should go by its name", len(c.Links))
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	root, issuing := pkitest.Root(t), pkitest.Issuing(t)
	damaged := *issuing.Certificate()
	damaged.Signature = append([]byte(nil), damaged.Signature...)
	damaged.Signature[len(damaged.Signature)-1] ^= 1
	small := *root.Certificate()
	small.PublicKey = nil
	for name, tt := range map[string]struct{ got, want pki.SignatureState }{
		"good":        {pki.SignedBy(issuing.Certificate(), root.Certificate()), pki.SignatureGood},
		"self-signed": {pki.SelfSigned(root.Certificate()), pki.SignatureGood},
		"not so":      {pki.SelfSigned(issuing.Certificate()), pki.SignatureBad},
		"upside down": {pki.SignedBy(root.Certificate(), issuing.Certificate()), pki.SignatureBad},
		"damaged":     {pki.SignedBy(&damaged, root.Certificate()), pki.SignatureBad},
		"no key":      {pki.SignedBy(issuing.Certificate(), &small), pki.SignatureUnchecked},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", name, tt.got, tt.want)
		}
	}
	for file, want := range map[string]pki.SignatureState{
		"everything": pki.SignatureGood, "p224": pki.SignatureGood, "rsa-1024": pki.SignatureGood,
		"bad-signature": pki.SignatureBad, "ed448": pki.SignatureUnchecked,
	} {
		if got := pki.CSRSignature(readCSR(t, file)); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func TestCRLSignedBy(t *testing.T) {
	t.Parallel()
	root, issuing := pkitest.Root(t), pkitest.Issuing(t)
	crl := newCRL(t, root.Certificate(), pkitest.Key(t, profiles.ECP256, pkitest.RootKey))
	if got := pki.CRLSignedBy(crl, root.Certificate()); got != pki.SignatureGood {
		t.Errorf("by its issuer: %s", got)
	}
	if got := pki.CRLSignedBy(crl, issuing.Certificate()); got != pki.SignatureBad {
		t.Errorf("by another: %s", got)
	}
}
