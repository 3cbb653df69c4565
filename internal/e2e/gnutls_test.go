package e2e

import (
	"strings"
	"testing"
)

func TestGnuTLSVerify(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"certtool"},
		"issue server web localhost 127.0.0.1",
		"issue client alice@example.com",
		"issue peer peer --key rsa-2048 localhost",
		"issue client ed25519 --key ed25519",
		"--pki pki-other init-ca --org Acme",
	)
	const (
		server = "1.3.6.1.5.5.7.3.1"
		client = "1.3.6.1.5.5.7.3.2"
	)
	for _, c := range []struct{ name, flags, why string }{
		{"web", "--verify-purpose " + server, ""},
		{"web", "--verify-purpose " + client, "does not match the intended purpose"},
		{"web", "--verify-hostname localhost", ""},
		{"web", "--verify-hostname www.localhost", "does not match the expected"},
		{"alice@example.com", "--verify-purpose " + client, ""},
		{"alice@example.com", "--verify-purpose " + server, "does not match the intended purpose"},
		{"alice@example.com", "--verify-email alice@example.com", ""},
		{"alice@example.com", "--verify-email bob@example.com", "does not match the expected"},
		{"peer", "--verify-purpose " + server, ""},
		{"peer", "--verify-purpose " + client, ""},
		{"ed25519", "--verify-purpose " + client, ""},
	} {
		// The infile is the chain: leaf, then intermediate.
		line := "certtool --verify --verify-profile medium --infile " + crt(c.name) + " " + c.flags + " --load-ca-certificate "
		const verdict = "Chain verification output: "
		if c.why == "" {
			s.ok(t, line+ca).mustSay(t, verdict+"Verified. The certificate is trusted.")
		} else {
			s.refused(t, c.why, line+ca).mustSay(t, verdict+"Not verified.")
		}
		s.refused(t, "issuer is unknown", line+strings.Replace(ca, "pki/", "pki-other/", 1)).mustSay(t, verdict+"Not verified.")
	}
}

func TestGnuTLSPKCS12(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"certtool"}, "issue client alice@example.com")
	for _, c := range []struct{ encoding, algorithm string }{
		{"compat", "PKCS12-3DES-SHA1"},
		{"modern-2023", "PBES2-AES256-CBC"},
	} {
		s.ok(t, "mtlsctl export p12 alice@example.com --for gnutls --encoding "+c.encoding+" --out "+c.encoding+".p12 --password-out "+c.encoding+".password")
		password := strings.TrimSpace(string(s.read(t, c.encoding+".password")))
		info := "certtool --p12-info --inder --infile " + c.encoding + ".p12 --password="
		out := s.ok(t, info+password)
		out.mustSay(t, c.algorithm)
		if got := strings.Count(out.stdout, "Friendly name: alice@example.com\n"); got != 2 {
			t.Errorf("%d friendly names; want one on the key and one on the certificate\n%v", got, out)
		}
		if got := strings.Count(out.stdout, "BEGIN CERTIFICATE"); got != 3 {
			t.Errorf("%d certificates; want leaf, intermediate and root\n%v", got, out)
		}
		s.refused(t, "MAC", info+"wrong")
	}
}

// TestGnuTLSHandshake has a client that is no OpenSSL in front of nginx.
func TestGnuTLSHandshake(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx", "gnutls-cli"},
		"issue server web localhost 127.0.0.1",
		"issue client alice@example.com",
		"--pki pki-other init-ca --org Other",
	)
	_, addresses := s.nginx(t, site{name: "web"})
	_, port, _ := strings.Cut(addresses[0], ":")
	const get = "GET / HTTP/1.0\r\n\r\n"
	line := "gnutls-cli --logfile=gnutls.log --port " + port + " --x509cafile "
	identity := " --x509certfile " + crt("alice@example.com") + " --x509keyfile " + key("alice@example.com")
	for _, version := range []string{"1.2", "1.3"} {
		priority := " --priority NORMAL:-VERS-ALL:+VERS-TLS" + version + " localhost"
		s.feed(t, get, line+ca+identity+priority).mustSay(t, "SUCCESS TLSv"+version+" CN=alice@example.com")
		s.feed(t, get, line+ca+priority).mustSay(t, noCertificate)

		out := s.feed(t, get, line+strings.Replace(ca, "pki/", "pki-other/", 1)+identity+priority)
		if out.code == 0 || strings.Contains(out.stdout, "SUCCESS") {
			t.Errorf("the server of an unknown CA was not refused\n%v", out)
		}
		if log := string(s.read(t, "gnutls.log")); !strings.Contains(log, "issuer is unknown") {
			t.Errorf("the server was refused, but not for its issuer:\n%s", log)
		}
	}
}
