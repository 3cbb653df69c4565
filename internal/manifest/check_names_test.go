package manifest

import (
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

func TestCheckNames(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	only := func(edit func(s *cs)) func(s *cs) {
		return func(s *cs) {
			s.DNSNames = nil
			s.Usages = []cmapi.KeyUsage{cmapi.UsageClientAuth}
			edit(s)
		}
	}
	literal := func(l string) func(s *cs) { return only(func(s *cs) { s.LiteralSubject = l }) }
	uris := func(u ...string) func(s *cs) { return only(func(s *cs) { s.URIs = u }) }
	dns := func(n ...string) func(s *cs) { return func(s *cs) { s.DNSNames = n } }
	checkCases(t, spec, []certCase{
		{"an organisation alone", only(func(s *cs) { s.Subject = &cmapi.X509Subject{Organizations: []string{"Acme"}} }), []string{"spec: names nobody"}},
		{"a literal one alone", literal("O=Acme"), []string{"spec: names nobody"}},
		{"common name alone", only(func(s *cs) { s.CommonName = "alice" }), nil},
		{"64 bytes", only(func(s *cs) { s.CommonName = strings.Repeat("a", 64) }), nil},
		{"65 bytes", only(func(s *cs) { s.CommonName = strings.Repeat("ä", 32) + "a" }), []string{"spec.commonName: 65 bytes"}},
		{"country", func(s *cs) { s.Subject = &cmapi.X509Subject{Countries: []string{"Finland"}} }, nil},

		{"literal", literal("CN=alice,OU=Shop+L=Graz,1.2.840.113549.1.9.1=a@b"), []string{"~spec.literalSubject: issues it again"}},
		{"literal and common name", only(func(s *cs) { s.LiteralSubject, s.CommonName = "O=Acme", "x" }), []string{"spec.commonName: cannot stand beside"}},
		{"literal and subject", only(func(s *cs) {
			s.LiteralSubject, s.Subject = "CN=a", &cmapi.X509Subject{Countries: []string{""}}
		}), []string{"spec.subject: cannot stand beside", "~spec.literalSubject: issues it again"}},
		{"literal and empty subject", only(func(s *cs) { s.LiteralSubject, s.Subject = "CN=a", &cmapi.X509Subject{} }), []string{"~spec.literalSubject: issues it again"}},
		{"literal, small letters", literal("cn=alice"), []string{"spec.literalSubject: CN"}},
		{"literal, unknown key", literal("E=a@b"), []string{"spec.literalSubject: "}},
		{"literal, no name", literal("alice"), []string{"spec.literalSubject: RFC 4514"}},
		{"literal, impossible OID", literal("9.9=alice"), []string{"spec.literalSubject: OID"}},
		{"literal, the last CN counts", literal("CN=" + strings.Repeat("a", 65) + ",CN=b"), []string{"spec.literalSubject: 65 bytes", "~spec.literalSubject: issues it again"}},
		{"literal, the first does not", literal("CN=b,CN=" + strings.Repeat("a", 65)), []string{"~spec.literalSubject: issues it again"}},

		{"DNS not ASCII", dns("bücher.example", "ü ü"), []string{"spec.dnsNames[0]: not ASCII", "spec.dnsNames[1]: no domain name either"}},
		{"DNS that passes", dns("", "a..b", "a b", "WEB", "*"), []string{
			"~spec.dnsNames[0]: not match", "~spec.dnsNames[1]: not match", "~spec.dnsNames[2]: not match", "~spec.dnsNames[4]: not match"}},
		{"DNS good", dns("etcd", "localhost", "a.b.svc.cluster.local", "*.example.com"), nil},
		{"IP under DNS", dns("127.0.0.1", "::1"), []string{"~spec.dnsNames[0]: 127.0.0.1 is an IP address", "~spec.dnsNames[1]: move it to ipAddresses"}},

		{"IP", func(s *cs) {
			s.IPAddresses = []string{"10.0.0.1", "::1", "::ffff:1.2.3.4", "10.0.0.0/8", "fe80::1%eth0", "web", "1.2.3", "010.0.0.1"}
		}, []string{
			"spec.ipAddresses[3]: no IP address", "spec.ipAddresses[4]: no IP address", "spec.ipAddresses[5]: no IP address", "spec.ipAddresses[6]: no IP address", "spec.ipAddresses[7]: no IP address"}},

		{"email", only(func(s *cs) {
			s.EmailAddresses = []string{"a@example.com", "a", "Alice <a@example.com>", "<a@example.com>", "é@example.com", " a@example.com"}
		}), []string{"spec.emailAddresses[1]: no e-mail", "spec.emailAddresses[2]: more in it", "spec.emailAddresses[3]: more in it",
			"spec.emailAddresses[4]: not ASCII", "spec.emailAddresses[5]: more in it"}},

		{"URI good", uris("https://example.com/a%20b?x=1#y", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), nil},
		{"URI not ASCII", uris("https://example.com/é"), []string{"spec.uris[0]: not ASCII"}},
		{"URI not one", uris("https://[::1", "a:b:c%zz://"), []string{"spec.uris[0]: no URI"}},
		{"URI without a domain", uris("https://a..b/", "https://x./"), []string{"spec.uris[0]: read back", "spec.uris[1]: read back"}},
		{"URI respelled", uris("HTTPS://example.com", "https://example.com/a b"), []string{
			`~spec.uris[0]: "https://example.com"`, `~spec.uris[1]: "https://example.com/a%20b"`}},

		{"SPIFFE", uris("spiffe://example.org/ns/shop/sa/web"), nil},
		{"SPIFFE without a path", uris("spiffe://jinsu-macbook"), []string{`~spec.uris[0]: has a trust domain and no path`}},
		{"SPIFFE with a slash", uris("spiffe://example.org/"), []string{"~spec.uris[0]: no path"}},
		{"SPIFFE in capitals", uris("SPIFFE://Example.org/web"), []string{`~spec.uris[0]: write "spiffe://example.org/web"`}},
		{"SPIFFE with a port", uris("spiffe://example.org:80/web"), []string{"~spec.uris[0]: no SPIFFE ID"}},
		{"SPIFFE and another", uris("spiffe://example.org/web", "https://example.org"), []string{"~spec.uris: no other URI"}},

		{"other name", only(func(s *cs) { s.OtherNames = []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "ä"}} }), nil},
		{"other names", only(func(s *cs) {
			s.OtherNames = []cmapi.OtherName{{}, {OID: "1.x", UTF8Value: "a"}, {OID: "9.9", UTF8Value: "a"}, {OID: "1", UTF8Value: "a"}, {OID: "1.2", UTF8Value: "\xff"}, {OID: "1.40", UTF8Value: "a"}}
		}), []string{"spec.otherNames[0].oid: missing", "spec.otherNames[0].utf8Value: empty", "spec.otherNames[1].oid: no object identifier",
			"spec.otherNames[2].oid: no object identifier", "spec.otherNames[3].oid: no object identifier", "spec.otherNames[4].utf8Value: no UTF-8", "spec.otherNames[5].oid: no object"}},

		{"CN under a wildcard", func(s *cs) { s.CommonName, s.DNSNames = "www.example.com", []string{"*.example.com"} }, nil},
		{"CN beside DNS", func(s *cs) { s.CommonName = "www.example.com" }, []string{"~spec.commonName: stand in dnsNames too"}},
		{"CN among them", func(s *cs) { s.CommonName = "web.example.com" }, nil},
		{"CN of a client with DNS", func(s *cs) {
			s.CommonName, s.Usages = "alice", []cmapi.KeyUsage{cmapi.UsageClientAuth}
		}, nil},
		{"CN of a server without DNS", only(func(s *cs) { s.CommonName, s.Usages = "10.0.0.1", []cmapi.KeyUsage{cmapi.UsageServerAuth} }), []string{"~spec.commonName: ipAddresses too"}},
	})
}
