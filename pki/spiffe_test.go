package pki_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// The MUSTs and SHOULDs of X509-SVID for an issuer, for every type of key, and
// go-spiffe as the reader.
func TestSVID(t *testing.T) {
	t.Parallel()
	const id = "spiffe://example.org/ns/prod/sa/web"
	ca := pkitest.Issuing(t)
	bundle := x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString("example.org"), []*x509.Certificate{ca.Root()})
	for _, k := range profiles.KeyTypes() {
		for subject, sans := range map[string][]string{"": {id}, "web": {id, "web.prod.svc", "10.0.0.7"}} {
			b := pkitest.Issue(t, ca, profiles.SPIFFE(), pki.Request{Key: k, Subject: pki.Subject{CommonName: subject}, SANs: pkitest.SANs(t, sans...)})
			got, chains, err := x509svid.Verify(b.Chain, bundle, x509svid.WithTime(pkitest.Clock()))
			if err != nil || got.String() != id || len(chains) != 1 {
				t.Errorf("%s: go-spiffe reads %s, %d chains, %v", k, got, len(chains), err)
			}
			key, err := b.KeyPEM()
			if err != nil {
				t.Fatal(err)
			}
			if svid, err := x509svid.Parse(b.ChainPEM(), key); err != nil || svid.ID.String() != id {
				t.Errorf("%s: go-spiffe loads %v, %v", k, svid, err)
			}

			c := b.Leaf()
			san, _ := extension(c, "2.5.29.17")
			usage, there := extension(c, "2.5.29.15")
			want := x509.KeyUsageDigitalSignature
			if k.IsRSA() {
				want |= x509.KeyUsageKeyEncipherment
			}
			for rule, ok := range map[string]bool{
				"2: exactly one URI":                             len(c.URIs) == 1,
				"3.1: SAN critical without a subject":            san.Critical == (subject == ""),
				"4.1: not a CA":                                  c.BasicConstraintsValid && !c.IsCA,
				"4.3: key usage present and critical":            there && usage.Critical,
				"4.3: digital signature, and no authority's":     c.KeyUsage == want,
				"4.4: server auth and client auth, both or none": cmp.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}),
			} {
				if !ok {
					t.Errorf("%s, subject %q: X509-SVID section %s", k, subject, rule)
				}
			}
		}
	}
}

func TestSPIFFERules(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	const (
		path    = "the SPIFFE ID of a workload has a path, and spiffe://example.org has none"
		usage   = `it has the key usage digital signature, and profile "test" gives none`
		warning = "not an X509-SVID by the standard: "
		refused = "not an X509-SVID: "
	)
	alone := func(purpose string) string {
		return "the X509-SVID standard wants both server auth and client auth; this certificate has " + purpose + " alone"
	}
	for name, tt := range map[string]struct {
		profile *profiles.Profile
		sans    []string
		err     string
		warn    []string
	}{
		"two IDs":                {profiles.SPIFFE(), []string{"spiffe://example.org/a", "spiffe://example.org/b"}, refused + "it has exactly one SPIFFE ID, and here are spiffe://example.org/a and spiffe://example.org/b", nil},
		"two IDs, other profile": {profiles.Client(), []string{"spiffe://example.org/a", "spiffe://example.org/b"}, refused + "it has exactly one SPIFFE ID, and here are spiffe://example.org/a and spiffe://example.org/b", nil},
		"the same ID twice":      {profiles.SPIFFE(), []string{"spiffe://example.org/a", "spiffe://example.org/a"}, "", nil},
		"another URI":            {profiles.Peer(), []string{"a.example", "spiffe://example.org/a", "https://example.org/a"}, refused + "its SPIFFE ID is its only URI, and here is also https://example.org/a", nil},
		"URI not allowed":        {profiles.SPIFFE(), []string{"spiffe://example.org/a", "https://example.org/a"}, `profile "spiffe": URI names are not allowed, and this is one: https://example.org/a`, nil},
		"no ID":                  {profiles.SPIFFE(), []string{"a.example"}, `profile "spiffe": it needs a name of kind spiffe`, nil},
		"no path":                {profiles.SPIFFE(), []string{"spiffe://example.org"}, refused + path, nil},
		"no path, other profile": {profiles.Peer(), []string{"a.example", "spiffe://example.org"}, "", []string{warning + path}},
		"client alone":           {profiles.Client(), []string{"spiffe://example.org/a"}, "", []string{alone("client auth")}},
		"server alone":           {profiles.Server(), []string{"a.example", "spiffe://example.org/a"}, "", []string{alone("server auth")}},
		"both":                   {profiles.Peer(), []string{"a.example", "spiffe://example.org/a"}, "", nil},
		"any purpose":            {profile(t, "usages: [digital signature, any]"), []string{"spiffe://example.org/a"}, "", nil},
		"no purpose":             {profile(t, "usages: [digital signature]"), []string{"spiffe://example.org/a"}, "", nil},
		"no key usage":           {profile(t, "usages: [server auth, client auth]"), []string{"spiffe://example.org/a"}, "", []string{warning + usage}},
		"no key usage, required": {profile(t, "usages: [server auth, client auth]\nsans: {required: [spiffe]}"), []string{"spiffe://example.org/a"}, refused + usage, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := ca.Prepare(tt.profile, pki.Request{SANs: pkitest.SANs(t, tt.sans...)})
			if tt.err != "" {
				if d != nil || err == nil || err.Error() != tt.err {
					t.Errorf("got  %v\nwant %s", err, tt.err)
				}
				if strings.HasPrefix(tt.err, refused) && !errors.Is(err, pki.ErrSPIFFE) {
					t.Error("the cause is not ErrSPIFFE")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.warn, d.Warnings()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
