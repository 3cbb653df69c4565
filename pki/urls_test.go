package pki_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

var someURLs = pki.URLs{
	CRL:  []string{"http://pki.example.com/root.crl", "ldap:///CN=root,DC=example?certificateRevocationList"},
	AIA:  []string{"http://pki.example.com/root.crt"},
	OCSP: []string{"http://ocsp.example.com", "http://10.0.0.7:8080/ocsp"},
}

func TestURLs(t *testing.T) {
	t.Parallel()
	const schemes, narrow = "its scheme is none of http, https, ldap, ldaps, ftp", "its scheme is none of http, https"
	for _, tt := range []struct {
		urls pki.URLs
		want string
	}{
		{pki.URLs{}, ""},
		{someURLs, ""},
		{pki.URLs{CRL: []string{""}}, `CRL URL "": ` + schemes},
		{pki.URLs{CRL: []string{"pki.example.com/crl"}}, `CRL URL "pki.example.com/crl": ` + schemes},
		{pki.URLs{CRL: []string{"file:///tmp/crl"}}, `CRL URL "file:///tmp/crl": ` + schemes},
		{pki.URLs{CRL: []string{"http://a", "http:///crl"}}, `CRL URL "http:///crl": it has no host`},
		{pki.URLs{AIA: []string{"http://:80/"}}, `AIA URL "http://:80/": it has no host`},
		{pki.URLs{AIA: []string{"http://a b/"}}, `AIA URL "http://a b/": it holds more than printable ASCII; percent-encode the rest`},
		{pki.URLs{AIA: []string{"http://bücher.example/"}}, `AIA URL "http://bücher.example/": it holds more than printable ASCII; percent-encode the rest`},
		{pki.URLs{AIA: []string{"http://a/%zz"}}, `AIA URL "http://a/%zz": that is no URL`},
		{pki.URLs{OCSP: []string{"ldap://a/"}}, `OCSP URL "ldap://a/": ` + narrow},
	} {
		err := tt.urls.Check()
		got := ""
		if err != nil {
			got = err.Error()
			if _, ok := errors.AsType[*pki.URLError](err); !ok {
				t.Errorf("%T is no *URLError", err)
			}
		}
		if got != tt.want {
			t.Errorf("%v:\ngot  %s\nwant %s", tt.urls, got, tt.want)
		}
	}
}

// URLs are the issuer's: they go into what it signs, CAs too, and nowhere else.
func TestURLsInCertificates(t *testing.T) {
	t.Parallel()
	plain := pkitest.Root(t)
	a := pkitest.Authority(t, pki.AuthorityConfig{
		Chain: plain.FullChain(), Signer: pkitest.Key(t, profiles.ECP256, pkitest.RootKey), URLs: someURLs,
	})
	leaf := pkitest.Issue(t, a, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}}).Leaf()
	below := pkitest.NewIntermediate(t, a, pki.CARequest{})
	for what, c := range map[string]pki.URLs{
		"leaf":         {CRL: leaf.CRLDistributionPoints, AIA: leaf.IssuingCertificateURL, OCSP: leaf.OCSPServer},
		"intermediate": {CRL: below.Certificate().CRLDistributionPoints, AIA: below.Certificate().IssuingCertificateURL, OCSP: below.Certificate().OCSPServer},
	} {
		if diff := cmp.Diff(someURLs, c); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if c := pkitest.Issue(t, below, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}}).Leaf(); len(c.CRLDistributionPoints) > 0 {
		t.Errorf("the intermediate publishes at its issuer's %v", c.CRLDistributionPoints)
	}
	_, err := pki.NewAuthority(pki.AuthorityConfig{Chain: plain.FullChain(), URLs: pki.URLs{OCSP: []string{"x"}}})
	if want := `"Test root CA": OCSP URL "x": its scheme is none of http, https`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
