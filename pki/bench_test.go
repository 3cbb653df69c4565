package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// One certificate the whole way: checks, a new key, the signature, and the look
// back at what was signed. BenchmarkBareKeyAndSign is the part that has to be.
func BenchmarkIssue(b *testing.B) {
	ca := pkitest.Issuing(b)
	p := profiles.Server()
	r := pki.Request{Subject: pki.Subject{CommonName: "api.example.com"}, SANs: pkitest.SANs(b, "api.example.com", "10.0.0.7")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ca.Issue(p, r); err != nil {
			b.Fatal(err)
		}
	}
}

// The same below an authority with name constraints.
func BenchmarkIssueConstrained(b *testing.B) {
	ca := pkitest.NewRoot(b, pki.CARequest{Permit: constraints(b, "example.com", "10.0.0.0/8")})
	p := profiles.Server()
	r := pki.Request{Subject: pki.Subject{CommonName: "api.example.com"}, SANs: pkitest.SANs(b, "api.example.com", "10.0.0.7")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ca.Issue(p, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareKeyAndSign(b *testing.B) {
	ca, signer := pkitest.Issuing(b), pkitest.Key(b, profiles.ECP256, pkitest.IssuingKey)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api.example.com"},
		NotBefore: start, NotAfter: start.Add(year), DNSNames: []string{"api.example.com"},
	}
	b.ReportAllocs()
	for b.Loop() {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x509.CreateCertificate(rand.Reader, t, ca.Certificate(), key.Public(), signer); err != nil {
			b.Fatal(err)
		}
	}
}
