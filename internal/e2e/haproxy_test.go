package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestForHAProxy has HAProxy greet who it lets in.
func TestForHAProxy(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "haproxy", "curl")
	self := s.tlsConfig(t, "alice")
	var address string
	s.guard(t, &guarded{
		consumer: "haproxy",
		start: func(t *testing.T, config string) (p *process) {
			t.Helper()
			onFreePorts(t, 1, func(free []string) error {
				address = free[0]
				s.write(t, "haproxy.cfg", fmt.Appendf(nil, haproxyConf, listenAt(t, config, ":443", address)))
				p = s.start(t, "haproxy -db -f haproxy.cfg")
				return p.await("haproxy to be ready", func() bool { return greets(address, self) })
			})
			return p
		},
		client:   "curl",
		call:     func(t *testing.T, c caller) output { return s.typed(t, c.lines, address, "") },
		answer:   "hello 0 ",
		nobody:   "SSL handshake failure",
		stranger: "SSL client CA chain cannot be verified",
		revoked:  "SSL client certificate not trusted",
		itself:   "certificate revoked",
	})
}

const haproxyConf = `
global
  log stderr format raw daemon
defaults
  mode http
  log global
  timeout connect 60s
  timeout client 60s
  timeout server 60s
frontend web
  %s
  http-request return status 200 content-type text/plain lf-string "hello %%[ssl_c_verify] %%[ssl_c_s_dn(CN)]\n"
`

// TestForHAProxyBackend has HAProxy as a client of itself, with what was exported
// for a client. The server has the words of an authority behind its own.
func TestForHAProxyBackend(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "haproxy", "curl")
	s.exportFor(t, "web", "haproxy", "tls")
	_, trust, _ := strings.Cut(s.exportFor(t, "team", "haproxy", "trust"), "\n") // a comment is before it
	bind := "bind :443 ssl crt " + s.path("tls", "web.pem") + " " + trust
	lines := s.exportFor(t, "alice", "haproxy", "client")
	stranger := s.exportFor(t, "alice", "haproxy", "stranger", "--pki", "pki-other")
	good := s.exportFor(t, "alice", "haproxy", "good", "--crl")
	s.ok(t, "mtlsctl revoke web")
	bad := s.exportFor(t, "alice", "haproxy", "bad", "--crl")
	cases := []struct{ host, lines, why string }{
		{"localhost", lines, ""},
		{"localhost", good, ""},
		{"elsewhere.example.com", lines, "certificate verify failed"},
		{"localhost", stranger, "certificate verify failed"},
		{"localhost", bad, "certificate verify failed"},
	}
	self := s.tlsConfig(t, "alice")
	var p *process
	var addresses []string
	onFreePorts(t, 1+len(cases), func(free []string) error {
		addresses = free
		conf := fmt.Sprintf(haproxyConf, listenAt(t, bind, ":443", free[0]))
		for i, c := range cases {
			server := strings.ReplaceAll(listenAt(t, c.lines, "HOST:443", free[0]), "HOST", c.host)
			conf += fmt.Sprintf(haproxyBackend, i, free[i+1], i, i, server)
		}
		s.write(t, "haproxy.cfg", []byte(conf))
		p = s.start(t, "haproxy -db -f haproxy.cfg")
		return p.await("haproxy to be ready", func() bool { return greets(free[0], self) })
	})
	for i, c := range cases {
		mark := len(p.log())
		out := s.ok(t, "curl -sS --max-time 60 http://"+addresses[i+1])
		if c.why == "" {
			out.mustSay(t, "hello 0 alice\n")
			continue
		}
		out.mustSay(t, "503 Service Unavailable")
		p.mustLog(t, mark, c.why)
	}
}

// haproxyBackend passes on what comes in the clear, and logs why it cannot.
const haproxyBackend = `
frontend plain%d
  bind %s
  log-format "%%ST %%[ssl_bc_err_str]"
  default_backend app%d
backend app%d
  retries 0
  %s
`
