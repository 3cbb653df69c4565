package e2e

import (
	"strings"
	"testing"
)

// TestManifestGateway has nginx stand in for APISIX and for its upstream: curl is
// the client of the one, which is the client of the other.
func TestManifestGateway(t *testing.T) {
	t.Parallel()
	s := newShell(t, "nginx", "curl")
	all, others := s.apply(t, "apisix.yaml", ""), s.apply(t, "apisix.yaml", "--pki pki-other")
	server := s.mount(t, all, "tls/etcd-secret", "server")
	client := s.mount(t, all, "tls/curl-secret", "client")
	apisix := s.mount(t, all, "tls/apisix-client-secret", "apisix")
	otherClient := s.mount(t, others, "tls/curl-secret", "other-client")
	otherApisix := s.mount(t, others, "tls/apisix-client-secret", "other-apisix")

	const answer = `return 200 "$ssl_client_verify $ssl_client_serial for $http_x_client\n";`
	upstream, addresses := s.nginx(t, site{mount: server, location: answer})
	to := func(identity, trusted folder) site {
		// Without session reuse: nginx has one session for the upstream, whichever
		// site began it.
		pass := "proxy_pass https://" + addresses[0] + "; proxy_ssl_session_reuse off; proxy_ssl_name etcd; proxy_ssl_server_name on; proxy_ssl_verify on; " +
			"proxy_ssl_trusted_certificate " + trusted.ca() + "; proxy_set_header X-Client $ssl_client_serial;"
		if identity != "" {
			pass += " proxy_ssl_certificate " + identity.crt() + "; proxy_ssl_certificate_key " + identity.key() + ";"
		}
		return site{mount: server, location: pass}
	}
	gateway, addresses := s.nginx(t, to(apisix, apisix), to("", apisix), to(otherApisix, apisix), to(apisix, otherApisix))
	get := func(t *testing.T, at string, identity string) output {
		t.Helper()
		curl, url := curlTo("etcd", at, client)
		return s.ok(t, curl+identity+"-w status=%{http_code} "+url)
	}

	t.Run("both", func(t *testing.T) {
		out := get(t, addresses[0], client.as())
		want := "SUCCESS " + serial(all.leaf(t, "tls/apisix-client-secret")) + " for " + serial(all.leaf(t, "tls/curl-secret")) + "\nstatus=200"
		if out.stdout != want {
			t.Errorf("the upstream answers %q; want %q\n%v", out.stdout, want, out)
		}
	})
	for _, c := range []struct {
		name, address, identity string
		page, status            string
		at                      *process // who refuses
		log                     string
	}{
		{"nobody", addresses[0], "", noCertificate, "400", gateway, "client sent no required SSL certificate"},
		{"client of another CA", addresses[0], otherClient.as(), badCertificate, "400", gateway, unknownFirst},
		{"gateway without certificate", addresses[1], client.as(), noCertificate, "400", upstream, "client sent no required SSL certificate"},
		{"gateway of another CA", addresses[2], client.as(), badCertificate, "400", upstream, unknownFirst},
		{"upstream of another CA", addresses[3], client.as(), "502 Bad Gateway", "502", gateway, "upstream SSL certificate verify error: (2"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			mark := len(c.at.log())
			get(t, c.address, c.identity).mustSay(t, c.page, "status="+c.status)
			c.at.mustLog(t, mark, c.log)
		})
	}
}

// TestManifestIngress serves what an Ingress asks an ACME issuer for, for whom an
// authority stands in.
func TestManifestIngress(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx", "curl"}, "--pki pki-other init-ca --org Acme")
	const flags = "--issuer letsencrypt-production=issuing"
	example := s.mount(t, s.apply(t, "ingress-acme.yaml", flags), "default/example-tls", "example")
	other := s.mount(t, s.apply(t, "ingress-acme.yaml", flags+" --pki pki-other"), "default/example-tls", "other")
	if got := s.read(t, example.ca()); string(got) != string(s.read(t, ca)) {
		t.Errorf("ca.crt is not the root that stands behind the issuer:\n%s", got)
	}
	_, addresses := s.nginx(t, site{mount: example, anyone: true, location: `return 200 "hello\n";`})

	const peerFailed = 60
	for _, c := range []struct {
		name, host string
		trusted    folder
		why        string // empty: the server is trusted
	}{
		{"right", "example.com", example, ""},
		{"other name", "www.example.com", example, "'www.example.com'"},
		{"other root of the same name", "example.com", other, "verify_result=20"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			curl, url := curlTo(c.host, addresses[0], c.trusted)
			if c.why == "" {
				s.ok(t, curl+url).mustSay(t, "hello\n")
				return
			}
			out := s.refused(t, c.why, curl+"-w verify_result=%{ssl_verify_result} "+url)
			if out.code != peerFailed {
				t.Errorf("exit status %d; want %d\n%v", out.code, peerFailed, out)
			}
		})
	}
}
