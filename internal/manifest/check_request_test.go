package manifest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// csr signs a request with extensions.
func csr(t *testing.T, key crypto.Signer, exts ...pkix.Extension) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "web"}, ExtraExtensions: exts}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func extension(t *testing.T) func(e pkix.Extension, err error) pkix.Extension {
	return func(e pkix.Extension, err error) pkix.Extension {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func TestCheckRequest(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	must := extension(t)
	ku := must(cmpki.MarshalKeyUsage(x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment))
	eku := must(cmpki.MarshalExtKeyUsage([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, nil))
	ca := must(cmpki.MarshalBasicConstraints(true, nil))
	good := csr(t, key)
	block, _ := pem.Decode(good)
	tampered := bytes.Clone(block.Bytes)
	tampered[len(tampered)-1] ^= 1
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }

	type rs = cmapi.CertificateRequestSpec
	for _, c := range []struct {
		name   string
		csr    []byte
		edit   func(s *rs)
		denied bool
		want   []string
	}{
		{name: "good", csr: good},
		{name: "denied", csr: good, denied: true, want: []string{"status.conditions: denied"}},
		{name: "empty", edit: func(s *rs) { s.IssuerRef.Name = "" }, want: []string{"spec.issuerRef.name: missing", "spec.request: missing"}},
		{name: "issuer's kind", csr: good, edit: func(s *rs) { s.IssuerRef.Kind = "X" }, want: []string{"spec.issuerRef.kind: no issuers"}},
		{name: "negative duration", csr: good, edit: func(s *rs) { s.Duration = d("-1h") }, want: []string{"spec.duration: -1h0m0s is no lifetime"}},
		{name: "no duration", csr: good, edit: func(s *rs) { s.Duration = d("0s") }, want: []string{"spec.duration: no lifetime"}},
		{name: "short duration", csr: good, edit: func(s *rs) { s.Duration = d("1s") }},
		{name: "unknown usage", csr: csr(t, key, ku), edit: func(s *rs) { s.Usages = []cmapi.KeyUsage{"x"} }, want: []string{"spec.usages[0]: unknown usage"}},
		{name: "DER", csr: block.Bytes, want: []string{"spec.request: it is no PEM"}},
		{name: "another PEM", csr: encode("CERTIFICATE", block.Bytes), want: []string{"spec.request: CERTIFICATE"}},
		{name: "garbage", csr: encode("CERTIFICATE REQUEST", []byte("x")), want: []string{"spec.request: cannot be read"}},
		{name: "bad signature", csr: encode("CERTIFICATE REQUEST", tampered), want: []string{"spec.request: signature"}},
		{name: "weak key", csr: csr(t, weak), want: []string{"spec.request: P-224"}},
		{name: "usages", csr: csr(t, key, ku, eku), edit: func(s *rs) {
			s.Usages = []cmapi.KeyUsage{"server auth", "key encipherment", "client auth", "signing"}
		}},
		{name: "other purposes", csr: csr(t, key, ku, eku), edit: func(s *rs) {
			s.Usages = []cmapi.KeyUsage{"client auth", "server auth", "key encipherment", "signing"}
		}, want: []string{"spec.request: order"}},
		{name: "purposes without usages", csr: csr(t, key, eku), want: []string{"spec.request: key usages"}},
		{name: "default usages", csr: csr(t, key, ku)},
		{name: "authority", csr: csr(t, key, ca), edit: func(s *rs) { s.IsCA = true }},
		{name: "authority unasked", csr: csr(t, key, ca), want: []string{"spec.request: authority"}},
		{name: "authority without cert sign", csr: csr(t, key, ca, ku), edit: func(s *rs) { s.IsCA = true }, want: []string{"spec.request: cert sign"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testObject("CertificateRequest")
			r := &Request{Origin: o.Origin, Denied: c.denied, Spec: rs{Request: c.csr, IssuerRef: cmmeta.IssuerReference{Name: "ca"}}}
			if c.edit != nil {
				c.edit(&r.Spec)
			}
			checkRequest(o, r)
			expect(t, o, c.want)
			for _, p := range o.problems {
				if strings.Contains(p.Text, "refused") {
					t.Errorf("%q says what the path says", p.Text)
				}
			}
		})
	}
}
