package pki_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestNewAuthorityRefuses(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	ca := pkitest.NewIntermediate(t, root, pki.CARequest{})
	rootKey := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	leaf := pkitest.Issue(t, ca, profiles.Client(), request).Leaf()
	stranger := pkitest.NewRoot(t, pki.CARequest{Key: profiles.ECP384}).Certificate()
	crlOnly := foreign(t, nil, rootKey, rootKey.Public(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	v1 := foreign(t, nil, rootKey, rootKey.Public(), func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false })
	renamed := foreign(t, nil, rootKey, rootKey.Public(), func(*x509.Certificate) {})
	for name, tt := range map[string]struct {
		config pki.AuthorityConfig
		want   string // how the error begins
		cause  error
	}{
		"nothing":           {pki.AuthorityConfig{}, "an authority without a certificate", nil},
		"a leaf":            {pki.AuthorityConfig{Chain: append([]*x509.Certificate{leaf}, ca.FullChain()...)}, `"x" is not a CA certificate: its basic constraints say so`, pki.ErrNotCA},
		"no constraints":    {pki.AuthorityConfig{Chain: []*x509.Certificate{v1}}, `"Foreign CA" is not a CA certificate: its basic constraints say so`, pki.ErrNotCA},
		"signs only CRLs":   {pki.AuthorityConfig{Chain: []*x509.Certificate{crlOnly}}, `"Foreign CA" is not a CA certificate: its key usage lacks cert sign`, pki.ErrNotCA},
		"another's key":     {pki.AuthorityConfig{Chain: ca.FullChain(), Signer: rootKey}, `"Test issuing CA": the key belongs to another certificate`, pki.ErrKeyMismatch},
		"another's root":    {pki.AuthorityConfig{Chain: []*x509.Certificate{ca.Certificate(), stranger}}, `"Test issuing CA" is not signed by "Test root CA", which follows it in the chain: `, nil},
		"chain turned over": {pki.AuthorityConfig{Chain: []*x509.Certificate{root.Certificate(), ca.Certificate()}}, `"Test root CA" is not signed by "Test issuing CA", which follows it in the chain: `, nil},
		// The same key under another name: the signature holds, and no verifier finds the way.
		"root renamed": {pki.AuthorityConfig{Chain: []*x509.Certificate{ca.Certificate(), renamed}},
			`"Test issuing CA" names "CN=Test root CA" as its issuer, not "CN=Foreign CA", which follows it in the chain`, nil},
	} {
		a, err := pki.NewAuthority(tt.config)
		if a != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, tt.want)
		}
		if tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: the cause is not %v", name, tt.cause)
		}
	}
}

func TestAuthorityChain(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	middle := pkitest.NewIntermediate(t, root, pki.CARequest{Subject: pki.Subject{CommonName: "Middle"}, PathLen: pki.NoPathLen})
	ca := pkitest.NewIntermediate(t, middle, pki.CARequest{})
	names := func(certs []*x509.Certificate) (all []string) {
		for _, c := range certs {
			all = append(all, c.Subject.CommonName)
		}
		return all
	}
	leaf := pkitest.Issue(t, ca, profiles.Client(), request).Leaf()
	got := map[string][]string{
		"root": names(root.Chain()), "root, full": names(root.FullChain()), "below the root": names(root.ChainFor(leaf)),
		"issuing": names(ca.Chain()), "issuing, full": names(ca.FullChain()), "below issuing": names(ca.ChainFor(leaf)),
		"its root": {ca.Root().Subject.CommonName}, "itself": {ca.Certificate().Subject.CommonName},
	}
	want := map[string][]string{
		"root": {"Test root CA"}, "root, full": {"Test root CA"}, "below the root": {"x"},
		"issuing": {"Test issuing CA", "Middle"}, "issuing, full": {"Test issuing CA", "Middle", "Test root CA"}, "below issuing": {"x", "Test issuing CA", "Middle"},
		"its root": {"Test root CA"}, "itself": {"Test issuing CA"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chains (-want +got):\n%s", diff)
	}
	// What is handed out is a copy.
	ca.Chain()[0], ca.FullChain()[0] = leaf, leaf
	if ca.Certificate() == leaf {
		t.Error("the chain can be changed from outside")
	}
}
