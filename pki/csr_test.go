package pki_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestParseCSR(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"everything.pem", "everything.der", "new-header.pem", "two-common-names.pem", "challenge-password.pem", "other-names.pem", "empty.pem", "rsa-2560.pem"} {
		if csr, err := pki.ParseCSR(vector(t, "csr/"+name)); err != nil || csr == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := append([]byte("Certificate Request:\n    Data:\n"), vector(t, "csr/everything.pem")...)
	if _, err := pki.ParseCSR(text); err != nil {
		t.Errorf("with text in front: %v", err)
	}
}

func TestParseCSRRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data  []byte
		want  string // how the error begins
		cause error
	}{
		"bad signature": {vector(t, "csr/bad-signature.pem"), "signing request refused: its signature is bad, so the asker has not shown to hold the key: ", nil},
		"P-224":         {vector(t, "csr/p224.pem"), "signing request refused: key not accepted: EC on P-224 is weaker than P-256", pki.ErrKey},
		"RSA 1024":      {vector(t, "csr/rsa-1024.pem"), "signing request refused: key not accepted: RSA of 1024 bits is too weak, 2048 is the least", pki.ErrKey},
		"exponent 3":    {vector(t, "csr/rsa-exponent-3.pem"), "signing request refused: key not accepted: RSA with the exponent 3 is too weak, 65537 is the least", pki.ErrKey},
		"Ed448":         {vector(t, "csr/ed448.pem"), "signing request refused: key not accepted: it is neither EC, RSA nor Ed25519", pki.ErrKey},
		"a certificate": {vector(t, "cert/with-text.pem"), "signing request refused: its PEM says CERTIFICATE, not CERTIFICATE REQUEST", nil},
		"a key":         {vector(t, "key/ec-sec1.pem"), "signing request refused: its PEM says EC PRIVATE KEY, not CERTIFICATE REQUEST", nil},
		"nothing":       {nil, "signing request refused: it cannot be read: ", nil},
		"text":          {[]byte("hello"), "signing request refused: it cannot be read: ", nil},
		"more behind":   {append(vector(t, "csr/everything.der"), 0), "signing request refused: it cannot be read: ", nil},
	} {
		csr, err := pki.ParseCSR(tt.data)
		if csr != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) || !errors.Is(err, pki.ErrCSR) {
			t.Errorf("%s: %v\ngot  %v\nwant %s", name, csr != nil, err, tt.want)
		}
		if tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: the cause is not %v", name, tt.cause)
		}
	}
}

// taken is what of a signing request reaches the request.
type taken struct {
	Subject pki.Subject
	SANs    []string
	Left    []string
}

func take(t testing.TB, p *profiles.Profile, csr *x509.CertificateRequest) (taken, pki.Request) {
	t.Helper()
	r, left, err := pki.RequestFromCSR(p, csr)
	if err != nil {
		t.Fatal(err)
	}
	if !pki.SamePublicKey(r.PublicKey, csr.PublicKey) {
		t.Error("the request is for another key")
	}
	got := taken{Subject: r.Subject, Left: left}
	for _, s := range r.SANs {
		got.SANs = append(got.SANs, s.String())
	}
	return got, r
}

func parseCSR(t testing.TB, name string) *x509.CertificateRequest {
	t.Helper()
	csr, err := pki.ParseCSR(vector(t, "csr/"+name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func TestRequestFromCSR(t *testing.T) {
	t.Parallel()
	profile := func(yaml string) *profiles.Profile {
		p, err := profiles.Parse("test", []byte("usages: [digital signature, client auth]\n"+yaml))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const (
		key, eku, feature, own = "extension key usage", "extension extended key usage", "extension TLS feature", "extension 1.3.6.1.4.1.99999.1"
		serial, mail           = "2.5.4.5=7", "1.2.840.113549.1.9.1=a@example.com"
	)
	fields := []string{"C=DE", "ST=Bayern", "L=Ort", "O=Acme", "OU=Web"}
	for name, tt := range map[string]struct {
		csr     string
		profile *profiles.Profile
		want    taken
	}{
		"the default takes names": {"everything", profile(""), taken{
			Subject: pki.Subject{CommonName: "api.example.com"},
			SANs:    []string{"DNS api.example.com", "email a@example.com", "IP 10.0.0.7", "IP 2001:db8::7", "URI https://example.com/id", "SPIFFE spiffe://example.org/api"},
			Left:    append(fields[:5:5], serial, mail, key, eku, feature, own),
		}},
		"what is allowed": {"everything", profile("sans: {allowed: [dns, spiffe]}"), taken{
			Subject: pki.Subject{CommonName: "api.example.com"},
			SANs:    []string{"DNS api.example.com", "SPIFFE spiffe://example.org/api"},
			Left: append(fields[:5:5], serial, mail, key, eku, feature, own,
				"email a@example.com", "IP 10.0.0.7", "IP 2001:db8::7", "URI https://example.com/id"),
		}},
		"the key alone": {"everything", profile("csr: []"), taken{
			Left: append(fields[:5:5], "CN=api.example.com", serial, mail, key, eku, feature, own,
				"DNS api.example.com", "email a@example.com", "IP 10.0.0.7", "IP 2001:db8::7", "URI https://example.com/id", "SPIFFE spiffe://example.org/api"),
		}},
		"the subject": {"everything", profile("csr: [organizations, countries, provinces, localities, organizationalUnits]"), taken{
			Subject: pki.Subject{Organizations: []string{"Acme"}, OrganizationalUnits: []string{"Web"}, Countries: []string{"DE"}, Provinces: []string{"Bayern"}, Localities: []string{"Ort"}},
			Left: []string{"CN=api.example.com", serial, mail, key, eku, feature, own,
				"DNS api.example.com", "email a@example.com", "IP 10.0.0.7", "IP 2001:db8::7", "URI https://example.com/id", "SPIFFE spiffe://example.org/api"},
		}},
		"the last common name": {"two-common-names", profile(""), taken{
			Subject: pki.Subject{CommonName: "second.example.com"}, Left: []string{"2.5.4.3=first.example.com"},
		}},
		"a password is nothing": {"challenge-password", profile(""), taken{Subject: pki.Subject{CommonName: "api.example.com"}}},
		"other kinds of names": {"other-names", profile(""), taken{
			Subject: pki.Subject{CommonName: "api"}, SANs: []string{"DNS api.example.com"},
			Left: []string{"a name that is none of dns, ip, email, uri, spiffe", "a name that is none of dns, ip, email, uri, spiffe"},
		}},
		"empty": {"empty", profile(""), taken{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := take(t, tt.profile, parseCSR(t, tt.csr))
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("taken over (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestFromCSRRefuses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"asks-ca-basic-constraints": "signing request refused: it asks for an authority; make one with init-ca",
		"asks-ca-key-usage":         "signing request refused: it asks for an authority; make one with init-ca",
		"bad-dns-name":              `signing request refused: DNS "10.0.0.7": that is an IP address, and clients match it only as one`,
		"rsa-2560":                  "signing request refused: key not accepted: RSA of 2560 bits; 2048, 3072 and 4096 are",
	} {
		r, left, err := pki.RequestFromCSR(profiles.Client(), parseCSR(t, name))
		if err == nil || err.Error() != want || !errors.Is(err, pki.ErrCSR) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, want)
		}
		if errors.Is(err, pki.ErrKey) != (name == "rsa-2560") {
			t.Errorf("%s: the cause", name)
		}
		if r.PublicKey != nil || len(r.SANs) > 0 || len(left) > 0 {
			t.Errorf("%s: %v and %v beside the error", name, r, left)
		}
	}
	// What cannot be read may ask for anything.
	for oid, asks := range map[int]bool{19: true, 15: true, 37: false} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject:         pkix.Name{CommonName: "x"},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, oid}, Value: []byte{0xff}}},
		}, pkitest.Key(t, profiles.ECP256, pkitest.LeafKey))
		if err != nil {
			t.Fatal(err)
		}
		csr, err := pki.ParseCSR(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := pki.RequestFromCSR(profiles.Client(), csr); (err != nil) != asks {
			t.Errorf("2.5.29.%d damaged: %v", oid, err)
		}
	}
}

// A whole way: what a stranger asks for, and what the profile makes of it.
func TestIssueFromCSR(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	_, r := take(t, profiles.Client(), parseCSR(t, "other-names"))
	b, err := ca.Issue(profiles.Client(), r)
	if err != nil {
		t.Fatal(err)
	}
	cert := b.Leaf()
	verify(t, ca, cert, x509.ExtKeyUsageClientAuth)
	if b.Key != nil || !pki.SamePublicKey(cert.PublicKey, r.PublicKey) {
		t.Errorf("key %v, certified %v", b.Key, cert.PublicKey)
	}
	if _, err := b.KeyPEM(); !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("KeyPEM: %v", err)
	}
	if cert.IsCA || len(cert.UnhandledCriticalExtensions) > 0 || !cmp.Equal(cert.DNSNames, []string{"api.example.com"}) {
		t.Errorf("certified: CA %v, DNS %v", cert.IsCA, cert.DNSNames)
	}

	// SVIDs are asked for with nothing but the SPIFFE ID by some agents, and with a DNS name by others.
	_, r = take(t, profiles.SPIFFE(), parseCSR(t, "everything"))
	if _, err := ca.Issue(profiles.SPIFFE(), r); err != nil {
		t.Errorf("spiffe: %v", err)
	}
	_, r = take(t, profiles.Client(), parseCSR(t, "empty"))
	if _, err := ca.Issue(profiles.Client(), r); !errors.Is(err, pki.ErrNoName) {
		t.Errorf("empty: %v", err)
	}
}

func FuzzParseCSR(f *testing.F) {
	seeds := [][]byte{{}, []byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n")}
	for _, name := range []string{
		"everything", "bad-signature", "p224", "rsa-1024", "ed448", "asks-ca-basic-constraints", "asks-ca-key-usage", "challenge-password", "other-names", "bad-dns-name", "empty", "two-common-names",
	} {
		data := vector(f, "csr/"+name+".pem")
		block, _ := pem.Decode(data)
		seeds = append(seeds, data, block.Bytes)
	}
	seed(f, seeds)
	// The signature keeps a fuzzer out; what it guards is fuzzed without it.
	f.Fuzz(func(t *testing.T, data []byte) {
		if csr, err := pki.ParseCSR(data); err != nil && (csr != nil || !errors.Is(err, pki.ErrCSR)) {
			t.Errorf("%v beside %v", csr, err)
		}
		csr, err := x509.ParseCertificateRequest(data)
		if err != nil {
			return
		}
		for _, p := range profiles.Builtin() {
			r, _, err := pki.RequestFromCSR(p, csr)
			if err != nil {
				if !errors.Is(err, pki.ErrCSR) {
					t.Errorf("%s: %v", p.Name(), err)
				}
				continue
			}
			for _, s := range r.SANs {
				if again, err := pki.NewSAN(s.Kind(), s.Value()); err != nil || again != s {
					t.Errorf("%s made again is %s, %v", s, again, err)
				}
			}
		}
	})
}
