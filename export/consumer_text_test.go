package export

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// TestConfigOfOddPlaces has folders with spaces, and names that would begin a
// line of their own.
func TestConfigOfOddPlaces(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		consumer, format string
		bundle           consumerBundle
		want             string
	}{
		{"nginx", "pem", aServer, `ssl_certificate        "/my tls/tls.crt";`},
		{"haproxy", "pem", aServer, `crt "/my tls/api.example.com.pem" ca-file "/my tls/ca.crt" verify`},
		{"envoy", "pem", aServer, "filename: /my tls/tls.crt\n"},
		{"consul", "pem", aConsul, `ca_file = "/my tls/example.net-agent-ca.pem"`},
		{"etcd", "pem", aPeer, `ETCD_CERT_FILE="/my tls/tls.crt"`},
		{"postgres", "pem", aServer, `ssl_key_file = '/my tls/server.key'`},
		{"postgres", "pem", aClient, `psql 'host=HOST dbname=postgres user=alice@example.com sslmode=verify-full sslcert='\''/my tls/postgresql.crt'\'' `},
		{"mysql", "pem", aServer, `ssl_ca = "/my tls/ca.pem"`},
		{"redis", "pem", aServer, `tls-key-file "/my tls/tls.key"`},
		{"redis", "pem", aClient, `--cacert '/my tls/ca.crt' --cert`},
		{"kafka", "pem", aServer, "ssl.keystore.location=/my tls/keystore.pem\n"},
		{"rabbitmq", "pem", aServer, "ssl_options.keyfile = /my tls/server_key.pem\n"},
		{"rabbitmq", "pem", aClient, "?cacertfile=/my%20tls/ca_certificate.pem&"},
		{"nats", "pem", aServer, `cert_file: "/my tls/tls.crt"`},
		{"java", "p12", aClient, `-Djavax.net.ssl.keyStore="/my tls/alice@example.com.p12"`},
		{"etcd", "pem", issued(profiles.Client(), "a@example.com", named("it's")), `etcdctl user add 'it'\''s' --no-password`},
	} {
		c, err := FindConsumer(tt.consumer)
		if err != nil {
			t.Fatal(err)
		}
		b := tt.bundle(t)
		p := Placement{Fit: Fit{Format: tt.format, Name: leafName(b), Bundle: b}}
		shape, err := c.Fit(&p.Fit)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range shape.Layout {
			p.Files = append(p.Files, "/my tls/"+i.Name)
		}
		if len(p.Files) == 0 {
			p.Files = []string{"/my tls/" + p.Name + "." + p.Format}
		}
		if got := c.Config(&p); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q is not in:\n%s", tt.consumer, tt.want, got)
		}
	}
	if got := printable("alice\nssl = off"); got != "alice?ssl = off" {
		t.Errorf("got %q", got)
	}
}

func TestRequireSubject(t *testing.T) {
	t.Parallel()
	attribute := func(oid asn1.ObjectIdentifier, value any) pkix.RelativeDistinguishedNameSET {
		return pkix.RelativeDistinguishedNameSET{{Type: oid, Value: value}}
	}
	o, cn := asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 3}
	for want, seq := range map[string]pkix.RDNSequence{
		"SUBJECT '/O=Acme, Inc./CN=alice'": {attribute(o, "Acme, Inc."), attribute(cn, "alice")},
		"SUBJECT '/CN=alice/O=Acme'":       {attribute(cn, "alice"), attribute(o, "Acme")},
		"X509":                             {attribute(cn, "it's")},
	} {
		raw, err := asn1.Marshal(seq)
		if err != nil {
			t.Fatal(err)
		}
		if got := requireSubject(&x509.Certificate{RawSubject: raw}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, seq := range []pkix.RDNSequence{
		{}, {attribute(cn, "Jürgen")}, {attribute(cn, `a\b`)}, {attribute(cn, "a\nb")}, {attribute(asn1.ObjectIdentifier{2, 5, 4, 5}, "7")},
	} {
		raw, err := asn1.Marshal(seq)
		if err != nil {
			t.Fatal(err)
		}
		if got := requireSubject(&x509.Certificate{RawSubject: raw}); got != "X509" {
			t.Errorf("got %s of %s", got, seq)
		}
	}
	if got := requireSubject(&x509.Certificate{}); got != "X509" {
		t.Errorf("got %s of no subject", got)
	}
}

// TestConsulAgentOf has names of which nothing may become the name of a file.
func TestConsulAgentOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		names []string
		want  consulAgent
	}{
		{[]string{"localhost", "server.dc1.consul"}, consulAgent{"server", "dc1", "consul"}},
		{[]string{"n1.server.eu.example.net", "server.eu.example.net"}, consulAgent{"server", "eu", "example.net"}},
		{[]string{"client.dc1.consul", "server.dc2.consul"}, consulAgent{"server", "dc2", "consul"}},
		{[]string{"client.dc1.consul"}, consulAgent{"client", "dc1", "consul"}},
		{names: []string{"server.dc1", "server", "server..consul", "server.dc1."}},
		{names: []string{"server.../../etc.passwd", `server.a\b.c`, "server.*.consul"}},
		{},
	} {
		if got := consulAgentOf(&x509.Certificate{DNSNames: tt.names}); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.names, got, tt.want)
		}
	}
}

// TestRabbitDepth: Erlang counts the intermediates, of which there may be none.
func TestRabbitDepth(t *testing.T) {
	t.Parallel()
	for b := aServer(t); len(b.Chain) > 0; b.Chain = b.Chain[:len(b.Chain)-1] {
		got := rabbitConfig(&Placement{Fit: Fit{Name: "x", Bundle: b}})
		if line := fmt.Sprintf("ssl_options.depth = %d\n", len(b.Chain)-1); !strings.Contains(got, line) {
			t.Errorf("%q is not in:\n%s", line, got)
		}
	}
}
