package export

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
)

// kafkaConfig: PEM files since Kafka 2.7, without passwords; the principal is the
// subject by RFC 2253 (gh/apache/kafka clients
// org/apache/kafka/common/config/SslConfigs.java).
func kafkaConfig(p *Placement) string {
	store := `
ssl.keystore.type=PEM
ssl.keystore.location=<keystore.pem>
`
	trust := `ssl.truststore.type=PEM
ssl.truststore.location=<truststore.pem>
`
	if p.Format == "jks" {
		store = `
ssl.keystore.type=JKS
ssl.keystore.location=<FILE>
ssl.keystore.password=PASSWORD
ssl.key.password=PASSWORD
`
		trust = `# mtlsctl export truststore <NAME> --type jks --out truststore.jks
ssl.truststore.type=JKS
ssl.truststore.location=truststore.jks
ssl.truststore.password=` + TruststorePassword + "\n"
	}
	switch p.Role() {
	case Server:
		store = "# For listeners such as SSL://:9093." + store + trust + `ssl.client.auth=required
# security.inter.broker.protocol=SSL shows this certificate to brokers: that takes 'mtlsctl issue peer'.
`
	case Peer:
		store = "# For listeners such as SSL://:9093." + store + trust + `ssl.client.auth=required
# Among brokers: security.inter.broker.protocol=SSL
`
	case Client:
		store = "security.protocol=SSL" + store + trust + "# The principal, for ACLs and super.users: User:<SUBJECT>\n"
	default:
		store = "security.protocol=SSL\n" + trust
	}
	return p.fill(inProperties, store, "FILE", inProperties(p.file()), "NAME", ShellWord(p.Name), "SUBJECT", subjectOf(p.Bundle.Leaf()))
}

// inProperties escapes what java.util.Properties does not take as it is: it reads
// ISO 8859-1, in which a backslash begins an escape.
func inProperties(path string) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(path)) {
		switch {
		case unit == '\\':
			out.WriteString(`\\`)
		case unit > '~':
			fmt.Fprintf(&out, `\u%04x`, unit)
		default:
			out.WriteByte(byte(unit))
		}
	}
	return out.String()
}

// rabbitConfig: Erlang counts the intermediates alone, and allows for one unless
// depth says otherwise; its clients look at nothing unless they are told to
// (rabbitmq.com, "TLS Support" and "URI Query Parameters").
func rabbitConfig(p *Placement) string {
	if p.Role() == Client {
		return "# For the Erlang client, shovels and federation. HOST is a DNS name of the server's\n# certificate: an address is not found in it.\namqps://" + host + ":5671?" + strings.Join([]string{
			"cacertfile=" + inQuery(p.Path("ca_certificate.pem")),
			"certfile=" + inQuery(p.Path("client_certificate.pem")),
			"keyfile=" + inQuery(p.Path("client_key.pem")),
			"verify=verify_peer", "server_name_indication=" + host, "auth_mechanism=external",
		}, "&")
	}
	return p.fill(inCuttlefish, `
listeners.tcp = none
listeners.ssl.default = 5671
ssl_options.cacertfile = <ca_certificate.pem>
ssl_options.certfile = <server_certificate.pem>
ssl_options.keyfile = <server_key.pem>
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
# Intermediates above a client, the root not among them.
ssl_options.depth = <DEPTH>
# For users by common name: rabbitmq-plugins enable rabbitmq_auth_mechanism_ssl, and
# auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
`, "DEPTH", strconv.Itoa(max(p.Depth()-1, 0)))
}

// inCuttlefish puts quotes around what would begin a comment (gh/kyorai/cuttlefish
// src/conf_parse.peg). There is no way to have such a quote within.
func inCuttlefish(path string) string {
	if strings.Contains(path, "#") && !strings.Contains(path, "'") {
		return "'" + path + "'"
	}
	return path
}

// inQuery escapes a path in the query of a URL, for who takes %20 alone as a space
// (gh/rabbitmq/rabbitmq-server, amqp_uri).
func inQuery(path string) string {
	return strings.NewReplacer("%2F", "/", "+", "%20").Replace(url.QueryEscape(path))
}

// natsConfig: verify_and_map tries email addresses, then DNS names, then the
// subject; routes show the certificate of their block as clients (gh/nats-io/nats.docs
// securing_nats/tls.md, auth_intro/tls_mutual_auth.md).
func natsConfig(p *Placement) string {
	if p.Role() == Client {
		return p.fill(ShellWord, "nats --server tls://<HOST>:4222 --tlscert <tls.crt> --tlskey <tls.key> --tlsca <ca.crt> rtt", host, host)
	}
	routes := "# The same block belongs into cluster {}: routes are TLS only then."
	if p.Role() == Server {
		routes = "# Routes of a cluster need a certificate for clients too: 'mtlsctl issue peer' makes one."
	}
	return p.fill(escaped, `
tls {
  cert_file: "<tls.crt>"
  key_file: "<tls.key>"
  ca_file: "<ca.crt>"
  # In its place, verify_and_map: true takes the user from the certificate.
  verify: true
}
`+routes)
}

// A consulAgent is what the names of a certificate say of an agent of Consul.
type consulAgent struct{ kind, dc, domain string }

// consulAgentOf finds the first name of the form KIND.DATACENTER.DOMAIN, where
// the kind is server or client; without one it is empty.
func consulAgentOf(c *x509.Certificate) consulAgent {
	for _, kind := range []Role{Server, Client} {
		for _, name := range c.DNSNames {
			rest, found := strings.CutPrefix(name, string(kind)+".")
			dc, domain, both := strings.Cut(rest, ".")
			if found && both && dc != "" && domain != "" && !strings.ContainsFunc(rest, notInHost) {
				return consulAgent{string(kind), dc, domain}
			}
		}
	}
	return consulAgent{}
}

func notInHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

// consulFiles are the names that `consul tls` gives (gh/hashicorp/consul
// command/tls). A client need not say where it belongs: dc1 and consul are
// Consul's own defaults.
func consulFiles(f *Fit) Layout {
	a := consulAgentOf(f.Bundle.Leaf())
	if a.kind == "" {
		a = consulAgent{string(Client), "dc1", "consul"}
	}
	pair := a.dc + "-" + a.kind + "-" + a.domain + "-0"
	return Layout{item(pair+".pem", Chain), item(pair+"-key.pem", Key), item(a.domain+"-agent-ca.pem", Roots)}
}

// consulConfig: whatever the CA has signed may join (developer.hashicorp.com, TLS
// configuration parameters).
func consulConfig(p *Placement) string {
	files := consulFiles(&p.Fit)
	return p.fill(asIs, `
# Whatever this CA signs may join the datacenter: let it sign for Consul alone.
tls {
  defaults {
    ca_file = "<CA>"
    cert_file = "<CERT>"
    key_file = "<KEY>"
    verify_incoming = true
    verify_outgoing = true
  }
  internal_rpc {
    verify_server_hostname = true
  }
}
`, "CERT", inHCL(p.Path(files[0].Name)), "KEY", inHCL(p.Path(files[1].Name)), "CA", inHCL(p.Path(files[2].Name)))
}

// inHCL is [escaped] where ${ means something, too.
func inHCL(path string) string { return strings.ReplaceAll(escaped(path), "${", `\u0024{`) }
