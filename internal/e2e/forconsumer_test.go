package e2e

import (
	"fmt"
	"strings"
	"testing"
)

func TestForNginx(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "nginx", "curl")
	var addresses []string
	s.guard(t, &guarded{
		consumer: "nginx",
		start: func(t *testing.T, config string) (p *process) {
			t.Helper()
			p, addresses = s.nginx(t, site{config: config})
			return p
		},
		client:   "curl",
		call:     func(t *testing.T, c caller) output { return s.typed(t, c.lines, addresses[0], "") },
		answer:   "SUCCESS TLSv1.3 CN=",
		nobody:   "client sent no required SSL certificate",
		stranger: "client SSL certificate verify error: (", // with CRLs it is one of these that is missed
		revoked:  revoked,
		itself:   "certificate revoked",
	})
}

// TestForNginxProxy has nginx as a client of itself, with what was exported for a
// client.
func TestForNginxProxy(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "nginx", "curl")
	_, addresses := s.nginx(t, site{config: s.exportFor(t, "web", "nginx", "tls")})
	_, port := hostPort(t, addresses[0])
	proxy := func(lines, more string) site {
		// One session would do for all of them.
		return site{name: "web", anyone: true, location: "proxy_pass https://localhost:" + port + ";\nproxy_ssl_session_reuse off;\n" + lines + more}
	}
	lines := s.exportFor(t, "alice", "nginx", "client")
	stranger := s.exportFor(t, "alice", "nginx", "stranger", "--pki", "pki-other")
	good := s.exportFor(t, "alice", "nginx", "good", "--crl")
	s.ok(t, "mtlsctl revoke web")
	bad := s.exportFor(t, "alice", "nginx", "bad", "--crl")
	p, addresses := s.nginx(t, proxy(lines, ""), proxy(good, ""), proxy(lines, "proxy_ssl_name elsewhere.example.com;\n"), proxy(stranger, ""), proxy(bad, ""))
	for i, log := range []string{"", "", "upstream SSL certificate does not match", "upstream SSL certificate verify error: (20:", "upstream SSL certificate verify error: (23:"} {
		mark := len(p.log())
		out := s.ok(t, curl+"https://"+addresses[i])
		if log == "" {
			out.mustSay(t, "SUCCESS ", "CN=alice")
			continue
		}
		out.mustSay(t, "502 Bad Gateway")
		p.mustLog(t, mark, log)
	}
}

// TestForNginxRoot has the lines of an authority beside a certificate from
// elsewhere.
func TestForNginxRoot(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "nginx", "curl")
	lines := s.exportFor(t, "team", "nginx", "trust", "--crl")
	s.ok(t, "mtlsctl revoke bob")
	later := s.exportFor(t, "team", "nginx", "later", "--crl")
	web := fmt.Sprintf("ssl_certificate %s;\nssl_certificate_key %s;\n", crt("web"), key("web"))
	_, addresses := s.nginx(t, site{config: web + lines}, site{config: web + later})
	for _, c := range []struct{ identity, address, answer string }{
		{as("alice"), addresses[0], "SUCCESS TLSv1.3 CN=alice"},
		{as("bob"), addresses[0], "SUCCESS TLSv1.3 CN=bob"},
		{"", addresses[0], noCertificate},
		{as("alice"), addresses[1], "SUCCESS TLSv1.3 CN=alice"},
		{as("bob"), addresses[1], badCertificate},
	} {
		s.ok(t, curl+c.identity+"https://"+c.address).mustSay(t, c.answer)
	}
}

// TestForEtcd has two members that replicate with the certificate that they show to
// clients.
func TestForEtcd(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "peer", "etcd", "etcdctl")
	var second *member
	s.guard(t, &guarded{
		consumer: "etcd",
		start: func(t *testing.T, config string) *process {
			t.Helper()
			members := s.cluster(t, "alice", 2, func(m *member, initial string) *process {
				return s.having(environment(config)...).start(t, m.plainLine(initial, "https://"+m.client))
			})
			second = members[1]
			return second.process
		},
		client: "etcd",
		noRoot: true,
		call: func(t *testing.T, c caller) output {
			lines := c.lines
			if c.at == "" { // there is nothing to export for them
				lines = "etcdctl --endpoints https://HOST:2379 --cacert " + ca + " endpoint health"
			}
			limit := "60s"
			if c.at != issued(c.name) { // it tries until then
				limit = "2s"
			}
			_, port := hostPort(t, second.client)
			return s.having("ETCDCTL_COMMAND_TIMEOUT="+limit, "ETCDCTL_DIAL_TIMEOUT="+limit).
				typed(t, listenAt(t, lines, ":2379", ":"+port), "127.0.0.1", "")
		},
		answer:   "is healthy",
		nobody:   "tls: client didn't provide a certificate",
		stranger: "certificate signed by unknown authority",
	})
}

// environment is a file of variables as systemd reads it, without comments and
// quotes.
func environment(file string) (env []string) {
	for line := range strings.Lines(file) {
		if !strings.HasPrefix(line, "#") {
			env = append(env, strings.ReplaceAll(strings.TrimSpace(line), `"`, ""))
		}
	}
	return env
}
