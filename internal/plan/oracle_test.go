package plan

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// specs are edits that are compared each with each.
func specs() map[string]func(*cmapi.CertificateSpec) {
	subject := func(f func(*cmapi.X509Subject)) func(*cmapi.CertificateSpec) {
		return func(s *cmapi.CertificateSpec) { s.Subject = &cmapi.X509Subject{}; f(s.Subject) }
	}
	return map[string]func(*cmapi.CertificateSpec){
		"plain":        func(*cmapi.CertificateSpec) {},
		"dns":          func(s *cmapi.CertificateSpec) { s.DNSNames = []string{"a", "b", "b"} },
		"dns order":    func(s *cmapi.CertificateSpec) { s.DNSNames = []string{"b", "a", "b"} },
		"dns once":     func(s *cmapi.CertificateSpec) { s.DNSNames = []string{"a", "a", "b"} },
		"ips":          func(s *cmapi.CertificateSpec) { s.IPAddresses = []string{"10.0.0.1", "::1"} },
		"ips spelt":    func(s *cmapi.CertificateSpec) { s.IPAddresses = []string{"0::1", "::ffff:10.0.0.1"} },
		"uri":          func(s *cmapi.CertificateSpec) { s.URIs = []string{"http://a/b", "urn:x"} },
		"emails":       func(s *cmapi.CertificateSpec) { s.EmailAddresses = []string{"a@b.c", "A@b.c"} },
		"other":        func(s *cmapi.CertificateSpec) { s.OtherNames = []cmapi.OtherName{{OID: "1.2.3", UTF8Value: "x"}} },
		"other value":  func(s *cmapi.CertificateSpec) { s.OtherNames = []cmapi.OtherName{{OID: "1.2.3", UTF8Value: "y"}} },
		"cn":           func(s *cmapi.CertificateSpec) { s.CommonName = "a" },
		"literal":      func(s *cmapi.CertificateSpec) { s.LiteralSubject = "CN=a" },
		"literal org":  func(s *cmapi.CertificateSpec) { s.LiteralSubject = "CN=a,O=A" },
		"literal flip": func(s *cmapi.CertificateSpec) { s.LiteralSubject = "O=A,CN=a" },
		"literal plus": func(s *cmapi.CertificateSpec) { s.LiteralSubject = "CN=a+O=A" },
		"cn and org": func(s *cmapi.CertificateSpec) {
			s.CommonName = "a"
			s.Subject = &cmapi.X509Subject{Organizations: []string{"A"}}
		},
		"orgs":       subject(func(s *cmapi.X509Subject) { s.Organizations = []string{"A", "B"} }),
		"orgs order": subject(func(s *cmapi.X509Subject) { s.Organizations = []string{"B", "A"} }),
		"countries":  subject(func(s *cmapi.X509Subject) { s.Countries = []string{"FI"} }),
		"units":      subject(func(s *cmapi.X509Subject) { s.OrganizationalUnits = []string{"A"} }),
		"localities": subject(func(s *cmapi.X509Subject) { s.Localities = []string{"A"} }),
		"provinces":  subject(func(s *cmapi.X509Subject) { s.Provinces = []string{"A"} }),
		"streets":    subject(func(s *cmapi.X509Subject) { s.StreetAddresses = []string{"A"} }),
		"post":       subject(func(s *cmapi.X509Subject) { s.PostalCodes = []string{"1"} }),
		"serial":     subject(func(s *cmapi.X509Subject) { s.SerialNumber = "1" }),
		"no subject": subject(func(*cmapi.X509Subject) {}),
		"ca":         isCA,
		"usages":     func(s *cmapi.CertificateSpec) { s.Usages = cmapi.DefaultKeyUsages() },
		"usages order": func(s *cmapi.CertificateSpec) {
			slices.Reverse(cmapi.DefaultKeyUsages())
			s.Usages = []cmapi.KeyUsage{"key encipherment", "digital signature"}
		},
		"usages other":  func(s *cmapi.CertificateSpec) { s.Usages = []cmapi.KeyUsage{"server auth"} },
		"duration":      func(s *cmapi.CertificateSpec) { s.Duration = &metav1.Duration{Duration: day} },
		"duration two":  func(s *cmapi.CertificateSpec) { s.Duration = &metav1.Duration{Duration: 2 * day} },
		"duration same": func(s *cmapi.CertificateSpec) { s.Duration = &metav1.Duration{Duration: 24 * time.Hour} },
		"constraints": func(s *cmapi.CertificateSpec) {
			s.IsCA = true
			s.NameConstraints = &cmapi.NameConstraints{Permitted: &cmapi.NameConstraintItem{DNSDomains: []string{"a"}}}
		},
		"algorithm": func(s *cmapi.CertificateSpec) { s.SignatureAlgorithm = cmapi.ECDSAWithSHA512 },
		"encoding":  func(s *cmapi.CertificateSpec) { s.PrivateKey.Encoding = cmapi.PKCS8 },
		"no encode": func(s *cmapi.CertificateSpec) { s.EncodeUsagesInRequest = new(bool) },
	}
}

// TestOracle holds the comparison of section 4.2 against cert-manager's own, for
// every pair of specs.
func TestOracle(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	all := specs()
	spec := func(name string) *cmapi.CertificateSpec {
		c := certificate("tls/web", func(s *cmapi.CertificateSpec) { s.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: "ECDSA"} }, all[name])
		return &c.Spec
	}
	for old := range all {
		was := spec(old)
		csr, err := cmpki.GenerateCSR(&cmapi.Certificate{Spec: *was}, cmpki.WithNameConstraints(true), cmpki.WithOtherNames(true), cmpki.WithUseLiteralSubject(true))
		if err != nil {
			t.Fatalf("%s: %v", old, err)
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, csr, key)
		if err != nil {
			t.Fatalf("%s: %v", old, err)
		}
		var data bytes.Buffer
		if err := pem.Encode(&data, &pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}); err != nil {
			t.Fatal(err)
		}
		req := &cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
			Request: data.Bytes(), Duration: was.Duration, IssuerRef: was.IssuerRef, IsCA: was.IsCA, Usages: was.Usages}}
		for now := range all {
			is := spec(now)
			want, err := cmpki.RequestMatchesSpec(req, *is)
			if err != nil {
				t.Fatalf("%s to %s: %v", old, now, err)
			}
			for i, f := range want {
				// Theirs is not the field's name.
				want[i] = strings.Replace(f, "postCodes", "postalCodes", 1)
			}
			got := requestChanges(was, is)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
				t.Errorf("%s to %s: -want +got:\n%s", old, now, diff)
			}
		}
	}
}
