package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// The self-check after signing sees every field that a draft decides.
func TestDifference(t *testing.T) {
	t.Parallel()
	at := func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) }
	ca, err := NewRoot(CARequest{Subject: Subject{CommonName: "root"}, PathLen: 1}, at)
	if err != nil {
		t.Fatal(err)
	}
	sans, err := SANs("a.example", "10.0.0.1", "a@b.example", "https://a.example/x")
	if err != nil {
		t.Fatal(err)
	}
	b, err := ca.Issue(profiles.Peer(), Request{Subject: Subject{CommonName: "x"}, SANs: sans})
	if err != nil {
		t.Fatal(err)
	}
	leaf := b.Leaf()
	if got := difference(leaf, leaf, leaf.RawIssuer, leaf.PublicKey); got != "" {
		t.Fatalf("a certificate differs from itself in its %s", got)
	}
	last := leaf.Extensions[len(leaf.Extensions)-1]
	otherURI := &url.URL{Scheme: "https", Host: "b.example"}
	_, network, err := net.ParseCIDR("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for name, changes := range map[string][]func(*x509.Certificate){
		"serial number": {func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) }},
		"subject":       {func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} }},
		"validity": {
			func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(time.Second) },
			func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(-time.Second) },
		},
		"basic constraints": {
			func(c *x509.Certificate) { c.IsCA = true },
			func(c *x509.Certificate) { c.MaxPathLen = 3 },
		},
		"key usage": {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }},
		"extended key usage": {
			func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] },
			func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{c.ExtKeyUsage[1], c.ExtKeyUsage[0]} },
			func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} },
		},
		"key identifiers": {
			func(c *x509.Certificate) { c.SubjectKeyId = nil },
			func(c *x509.Certificate) { c.AuthorityKeyId = []byte{1} },
		},
		"names": {
			func(c *x509.Certificate) { c.DNSNames = []string{"b.example"} },
			func(c *x509.Certificate) { c.EmailAddresses = nil },
			func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 2)} },
			func(c *x509.Certificate) { c.URIs = append(c.URIs[:1:1], otherURI) },
		},
		"name constraints": {
			func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"a"} },
			func(c *x509.Certificate) { c.ExcludedIPRanges = []*net.IPNet{network} },
			func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"a"} },
			func(c *x509.Certificate) { c.PermittedURIDomains = []string{"a"} },
			func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = true },
		},
		"URLs": {
			func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://a"} },
			func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://a"} },
			func(c *x509.Certificate) { c.OCSPServer = []string{"http://a"} },
		},
		"extensions": {
			func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: last.Id, Value: last.Value, Critical: !last.Critical}}
			},
			func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: last.Id, Critical: last.Critical}}
			},
			func(c *x509.Certificate) { c.ExtraExtensions = leaf.Extensions[:1] },
			func(c *x509.Certificate) { c.ExtraExtensions = append(leaf.Extensions[:1:1], leaf.Extensions...) },
		},
		"signature algorithm": {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }},
	} {
		for i, change := range changes {
			template := *leaf
			change(&template)
			if got := difference(&template, leaf, leaf.RawIssuer, leaf.PublicKey); got != name {
				t.Errorf("change %d of the %s: found %q", i, name, got)
			}
		}
	}
	if got := difference(leaf, leaf, leaf.RawSubject, leaf.PublicKey); got != "issuer" {
		t.Errorf("another issuer: found %q", got)
	}
	if got := difference(leaf, leaf, leaf.RawIssuer, ca.Certificate().PublicKey); got != "public key" {
		t.Errorf("another key: found %q", got)
	}
}
