package pki_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// foreignRoot is a root as other programs make them: a key identifier by SHA-1,
// extensions that are unknown here, a subject in Latin letters of another kind.
func foreignRoot(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	subject, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte("Old CA")}}}})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), RawSubject: subject, SubjectKeyId: []byte("twenty bytes of SHA1"), AuthorityKeyId: []byte("twenty bytes of SHA1"),
		NotBefore: pkitest.Clock().AddDate(-1, 0, 0), NotAfter: pkitest.Clock().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true, MaxPathLen: 3,
		PermittedDNSDomains:   []string{"example.com"},
		PolicyIdentifiers:     []asn1.ObjectIdentifier{{1, 2, 3}},
		CRLDistributionPoints: []string{"http://pki.example.com/root.crl"},
		ExtraExtensions:       []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// extensionsOf returns extensions by their OIDs, but for the key identifiers.
func extensionsOf(c *x509.Certificate) map[string]pkix.Extension {
	all := map[string]pkix.Extension{}
	for _, e := range c.Extensions {
		if id := e.Id.String(); id != "2.5.29.14" && id != "2.5.29.35" {
			all[id] = e
		}
	}
	return all
}

func TestRootAgain(t *testing.T) {
	t.Parallel()
	old, key := foreignRoot(t)
	const year = 365 * 24 * time.Hour
	for name, newKey := range map[string]crypto.Signer{"same key": key, "new key": pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)} {
		d, err := pki.PrepareRootAgain(old, year, pkitest.Clock())
		if err != nil {
			t.Fatal(err)
		}
		c, err := pki.SignRoot(d, newKey)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(extensionsOf(old), extensionsOf(c)); diff != "" {
			t.Errorf("%s: extensions (-old +new):\n%s", name, diff)
		}
		if !bytes.Equal(old.RawSubject, c.RawSubject) || !bytes.Equal(c.RawIssuer, c.RawSubject) || c.CheckSignatureFrom(c) != nil {
			t.Errorf("%s: it is issued by %q for %q", name, c.Issuer, c.Subject)
		}
		if c.SerialNumber.Cmp(old.SerialNumber) == 0 || !c.NotAfter.Equal(c.NotBefore.Add(year)) || !c.NotBefore.Equal(pkitest.Clock().Add(-time.Minute)) {
			t.Errorf("%s: serial %v, from %s to %s", name, c.SerialNumber, c.NotBefore, c.NotAfter)
		}
		if same := bytes.Equal(c.SubjectKeyId, old.SubjectKeyId); same != (newKey == key) || !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId) {
			t.Errorf("%s: key identifiers %x and %x", name, c.SubjectKeyId, c.AuthorityKeyId)
		}
	}
}

func TestIntermediateAgain(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	old := pkitest.NewIntermediate(t, root, pki.CARequest{Permit: constraints(t, "example.com")}).Certificate()
	d, err := root.PrepareAgain(old, 100*365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := root.Sign(d, old.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(extensionsOf(old), extensionsOf(c)); diff != "" {
		t.Errorf("extensions (-old +new):\n%s", diff)
	}
	if !c.NotAfter.Equal(root.NotAfter()) || len(d.Warnings()) != 1 || !strings.Contains(d.Warnings()[0], "it ends with its issuer") {
		t.Errorf("it ends on %s: %q", c.NotAfter, d.Warnings())
	}
	if !bytes.Equal(c.SubjectKeyId, old.SubjectKeyId) || !bytes.Equal(c.AuthorityKeyId, root.Certificate().SubjectKeyId) {
		t.Error("other key identifiers")
	}
}

func TestAgainRefuses(t *testing.T) {
	t.Parallel()
	root, issuing := pkitest.Root(t), pkitest.Issuing(t)
	leaf := pkitest.Issue(t, issuing, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}}).Leaf()
	short := pkitest.NewRoot(t, pki.CARequest{PathLen: 1, Subject: pki.Subject{CommonName: "short"}})
	deep := pkitest.NewIntermediate(t, root, pki.CARequest{PathLen: 1}).Certificate()
	var subject *pki.SubjectError
	for name, tt := range map[string]struct {
		by    *pki.Authority
		cert  *x509.Certificate
		cause error // nil: a *SubjectError
	}{
		"a leaf":             {root, leaf, pki.ErrNotCA},
		"below the last":     {issuing, deep, pki.ErrPathLength},
		"too long a path":    {short, deep, pki.ErrPathLength},
		"below its own name": {root, root.Certificate(), nil},
	} {
		d, err := tt.by.PrepareAgain(tt.cert, time.Hour)
		if d != nil || err == nil || tt.cause != nil && !errors.Is(err, tt.cause) || tt.cause == nil && !errors.As(err, &subject) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

func TestAcceptsSerial(t *testing.T) {
	t.Parallel()
	issuer := &x509.Certificate{SerialNumber: big.NewInt(7)}
	with := func(value ...byte) *x509.Certificate {
		return &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: value}}}
	}
	for name, tt := range map[string]struct {
		cert *x509.Certificate
		want bool
	}{
		"no extension":     {&x509.Certificate{}, true},
		"the key alone":    {with(0x30, 3, 0x80, 1, 1), true},
		"its serial":       {with(0x30, 8, 0x80, 1, 1, 0xa1, 0, 0x82, 1, 7), true},
		"another serial":   {with(0x30, 8, 0x80, 1, 1, 0xa1, 0, 0x82, 1, 8), false},
		"no key, a serial": {with(0x30, 5, 0xa1, 0, 0x82, 1, 8), false},
		"unreadable":       {with(0x30, 9), true},
	} {
		if got := pki.AcceptsSerial(tt.cert, issuer); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTrustedRoots(t *testing.T) {
	t.Parallel()
	root, other := pkitest.Root(t), pkitest.NewRoot(t, pki.CARequest{Subject: pki.Subject{CommonName: "other"}})
	certs := func(all ...*pki.Authority) (certs []*x509.Certificate) {
		for _, a := range all {
			certs = append(certs, a.Certificate())
		}
		return certs
	}
	a := pkitest.Authority(t, pki.AuthorityConfig{
		Chain: certs(root), Trusted: certs(other, root, other), Signer: pkitest.Key(t, profiles.ECP256, pkitest.RootKey),
	})
	if diff := cmp.Diff(certs(root, other), a.Roots()); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
	below, err := a.NewIntermediate(pki.CARequest{Subject: pki.Subject{CommonName: "below"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := below.Issue(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(certs(root, other), b.Roots); diff != "" {
		t.Errorf("roots of a bundle (-want +got):\n%s", diff)
	}
}
