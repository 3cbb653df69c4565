package manifest

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// specs are Certificates of every sort that can be issued.
func specs() map[string]cmapi.CertificateSpec {
	type cs = cmapi.CertificateSpec
	type item = cmapi.NameConstraintItem
	return map[string]cs{
		"DNS": {DNSNames: []string{"web.example.com", "WEB.example.com", "", "a..b", "127.0.0.1", "web.example.com"}},
		"all names": {
			CommonName: "web", DNSNames: []string{"b", "a"}, EmailAddresses: []string{"a@example.com"}, URIs: []string{"HTTPS://x", "spiffe://x/y"},
			IPAddresses: []string{"::ffff:10.0.0.1", "10.0.0.2", "2001:db8::1"},
			OtherNames:  []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "älice@example.com"}, {OID: "2.999", UTF8Value: "x"}},
		},
		"subject": {CommonName: "Zoë", Subject: &cmapi.X509Subject{
			Organizations: []string{"Zeta 1", "Alpha"}, Countries: []string{"Finland", "AT"}, OrganizationalUnits: []string{"x"}, Localities: []string{"Graz"},
			Provinces: []string{"Steiermark"}, StreetAddresses: []string{"Gasse 1"}, PostalCodes: []string{"8010"}, SerialNumber: "17",
		}},
		"literal":             {LiteralSubject: "CN=foo+OU=x,O=bar\\, Inc.,DC=example,UID=7,STREET=y,1.2.840.113549.1.9.1=a@b"},
		"literal with DNS":    {LiteralSubject: "O=bar", DNSNames: []string{"x"}},
		"client":              {CommonName: "alice", Usages: []cmapi.KeyUsage{"client auth"}},
		"EKU twice":           {CommonName: "a", Usages: []cmapi.KeyUsage{"s/mime", "email protection", "any", "server auth", "any"}},
		"key usages":          {CommonName: "a", Usages: []cmapi.KeyUsage{"signing", "digital signature", "decipher only", "encipher only", "key agreement", "crl sign", "content commitment"}},
		"authority":           {CommonName: "ca", IsCA: true},
		"authority with CRLs": {CommonName: "ca", IsCA: true, Usages: []cmapi.KeyUsage{"crl sign"}},
		"constraints": {CommonName: "ca", IsCA: true, NameConstraints: &cmapi.NameConstraints{Critical: true,
			Permitted: &item{DNSDomains: []string{"example.com", ".x"}, IPRanges: []string{"10.1.2.3/8", "fd00::1/8"}, EmailAddresses: []string{"a@b"}, URIDomains: []string{"x"}},
			Excluded:  &item{DNSDomains: []string{"*.bad"}, IPRanges: []string{"10.1.0.0/16"}, EmailAddresses: []string{"c"}, URIDomains: []string{".y"}}}},
		"excluded":           {CommonName: "ca", IsCA: true, NameConstraints: &cmapi.NameConstraints{Excluded: &item{DNSDomains: []string{"bad"}}}},
		"empty constraints":  {CommonName: "ca", IsCA: true, NameConstraints: &cmapi.NameConstraints{Permitted: &item{}}},
		"usages not encoded": {CommonName: "a", Usages: []cmapi.KeyUsage{"server auth"}, EncodeUsagesInRequest: new(bool)},
	}
}

func TestRequestAsCertManager(t *testing.T) {
	t.Parallel()
	urls := pki.URLs{CRL: []string{"http://pki.example.com/crl"}}
	key := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	for name, s := range specs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := (&Certificate{Spec: s}).Request(urls)
			if err != nil {
				t.Fatal(err)
			}
			csr, err := cmpki.GenerateCSR(&cmapi.Certificate{Spec: s}, cmpki.WithUseLiteralSubject(true), cmpki.WithOtherNames(true), cmpki.WithNameConstraints(true))
			if err != nil {
				t.Fatal(err)
			}
			csr.SignatureAlgorithm = x509.ECDSAWithSHA256
			der, err := x509.CreateCertificateRequest(rand.Reader, csr, key)
			if err != nil {
				t.Fatal(err)
			}
			// Their template of their request, made a certificate by their rules.
			template, err := cmpki.CertificateTemplateFromCertificateRequest(&cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
				Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), IsCA: s.IsCA, Usages: s.Usages,
			}})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Subject, template.RawSubject) {
				t.Errorf("subject %x, cert-manager has %x", got.Subject, template.RawSubject)
			}
			var san []byte
			if i := slices.IndexFunc(template.ExtraExtensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.17" }); i >= 0 {
				san = template.ExtraExtensions[i].Value
			}
			if !bytes.Equal(got.SAN, san) {
				t.Errorf("names %x, cert-manager has %x", got.SAN, san)
			}
			if got.KeyUsage != template.KeyUsage || got.CA != template.IsCA {
				t.Errorf("key usage %v, CA %t, cert-manager has %v, %t", got.KeyUsage, got.CA, template.KeyUsage, template.IsCA)
			}
			if diff := cmp.Diff(template.ExtKeyUsage, got.ExtKeyUsage); diff != "" {
				t.Error(diff)
			}
			if want := template.NotAfter.Sub(template.NotBefore); got.Duration != want {
				t.Errorf("duration %s, cert-manager has %s", got.Duration, want)
			}
			if diff := cmp.Diff(urls, got.URLs); diff != "" {
				t.Error(diff)
			}
			compareConstraints(t, got, template)

			// And the other way in: that request as a CertificateRequest.
			r := &Request{Spec: cmapi.CertificateRequestSpec{Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), IsCA: s.IsCA, Usages: s.Usages}}
			again, err := r.Request(urls)
			if err != nil {
				t.Fatal(err)
			}
			if again.Key == "" {
				again.Key = got.Key
			}
			again.Key, again.PublicKey = got.Key, nil
			got.Constraints, again.Constraints = nil, nil // compared above, and masked here
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("by way of a CertificateRequest:\n%s", diff)
			}
		})
	}
}

func compareConstraints(t *testing.T, got pki.ExactRequest, want *x509.Certificate) {
	t.Helper()
	issuer := pkitest.Root(t)
	got.Key = profiles.ECP256
	draft, err := issuer.PrepareExact(got)
	if err != nil {
		t.Fatal(err)
	}
	template := draft.Template()
	for _, c := range [][2]any{
		{want.PermittedDNSDomainsCritical, template.PermittedDNSDomainsCritical},
		{want.PermittedDNSDomains, template.PermittedDNSDomains}, {want.ExcludedDNSDomains, template.ExcludedDNSDomains},
		{want.PermittedIPRanges, template.PermittedIPRanges}, {want.ExcludedIPRanges, template.ExcludedIPRanges},
		{want.PermittedEmailAddresses, template.PermittedEmailAddresses}, {want.ExcludedEmailAddresses, template.ExcludedEmailAddresses},
		{want.PermittedURIDomains, template.PermittedURIDomains}, {want.ExcludedURIDomains, template.ExcludedURIDomains},
	} {
		if diff := cmp.Diff(c[0], c[1]); diff != "" {
			t.Errorf("constraints:\n%s", diff)
		}
	}
}

func TestRequestDuration(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Duration = d("90m")
	got, err := (&Certificate{Spec: s}).Request(pki.URLs{})
	if err != nil || got.Duration != 90*time.Minute {
		t.Errorf("got %s, %v", got.Duration, err)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	type pk = cmapi.CertificatePrivateKey
	for _, c := range []struct {
		key      *pk
		want     profiles.KeyType
		encoding pki.KeyEncoding
		rotate   bool
	}{
		{nil, "rsa-2048", pki.PKCS1, true},
		{&pk{}, "rsa-2048", pki.PKCS1, true},
		{&pk{Algorithm: "RSA", Size: 3100, Encoding: "PKCS1", RotationPolicy: "Always"}, "rsa-3100", pki.PKCS1, true},
		{&pk{Encoding: "PKCS8", RotationPolicy: "Never"}, "rsa-2048", pki.PKCS8, false},
		{&pk{Algorithm: "ECDSA"}, "ec-p256", pki.SEC1, true},
		{&pk{Algorithm: "ECDSA", Size: 521}, "ec-p521", pki.SEC1, true},
		{&pk{Algorithm: "ECDSA", Size: 384, Encoding: "PKCS8"}, "ec-p384", pki.PKCS8, true},
		{&pk{Algorithm: "Ed25519", Size: 7}, "ed25519", pki.PKCS8, true},
		{&pk{Algorithm: "Ed25519", Encoding: "PKCS1"}, "ed25519", pki.PKCS8, true},
	} {
		s := spec()
		s.PrivateKey = c.key
		cert := &Certificate{Spec: s}
		got, err := cert.Request(pki.URLs{})
		if err != nil || got.Key != c.want || cert.Encoding() != c.encoding || cert.RotateAlways() != c.rotate {
			t.Errorf("%+v: %s %s %t, %v", c.key, got.Key, cert.Encoding(), cert.RotateAlways(), err)
		}
	}
}

func TestIssuerKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ref      cmmeta.IssuerReference
		want     string
		external bool
	}{
		{cmmeta.IssuerReference{Name: "ca"}, "Issuer shop/ca", false},
		{cmmeta.IssuerReference{Name: "ca", Kind: "Issuer", Group: "cert-manager.io"}, "Issuer shop/ca", false},
		{cmmeta.IssuerReference{Name: "ca", Kind: "ClusterIssuer"}, "ClusterIssuer ca", false},
		{cmmeta.IssuerReference{Name: "ca", Kind: "Vault", Group: "x.io"}, "Vault shop/ca", true},
	} {
		o := testObject("Certificate").Origin
		cert := &Certificate{Origin: o, Spec: cmapi.CertificateSpec{IssuerRef: c.ref}}
		r := &Request{Origin: o, Spec: cmapi.CertificateRequestSpec{IssuerRef: c.ref}}
		for _, k := range []IssuerKey{cert.IssuerKey(), r.IssuerKey()} {
			if got := k.Kind + " " + k.String(); got != c.want {
				t.Errorf("%+v: got %s, want %s", c.ref, got, c.want)
			}
		}
		if cert.External() != c.external || r.External() != c.external {
			t.Errorf("%+v: external %t", c.ref, cert.External())
		}
	}
}

// A certificate that checking would have refused is an error that names the
// field, not a panic.
func TestRequestRefused(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	for path, s := range map[string]cs{
		"spec.literalSubject": {LiteralSubject: "x"},
		"spec.subject":        {CommonName: "\xff"},
		"spec.otherNames[0]":  {OtherNames: []cmapi.OtherName{{OID: "9"}}},
		"spec":                {DNSNames: []string{"é"}},
		"spec.usages[0]":      {Usages: []cmapi.KeyUsage{"x"}},
	} {
		if _, err := (&Certificate{Spec: s}).Request(pki.URLs{}); err == nil || !bytes.HasPrefix([]byte(err.Error()), []byte(path)) {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err := (&Request{}).Request(pki.URLs{})
	if !errors.Is(err, pki.ErrCSR) {
		t.Error(err)
	}
}
