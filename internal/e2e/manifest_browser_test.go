package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// principal is a client as Istio calls it: its SPIFFE ID without the scheme.
func principal(id spiffeid.ID) string { return strings.TrimPrefix(id.String(), "spiffe://") }

// spiffeConfig is for a server that has no SPIFFE ID and demands one of a trust
// domain from its clients, by the judgement of go-spiffe.
func (s *shell) spiffeConfig(t *testing.T, at folder, domain string, authorize tlsconfig.Authorizer) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.path(at.crt()), s.path(at.key()))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := x509bundle.Load(spiffeid.RequireTrustDomainFromString(domain), s.path(at.ca()))
	if err != nil {
		t.Fatal(err)
	}
	return tlsconfig.MTLSWebServerConfig(&pair, bundle, authorize)
}

// spiffeServer tells clients their principal and serial number.
func (s *shell) spiffeServer(t *testing.T, at folder, domain string) (p *process, port string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = &process{line: "the server", done: make(chan struct{})}
	server := &http.Server{
		TLSConfig:         s.spiffeConfig(t, at, domain, tlsconfig.AuthorizeAny()),
		ErrorLog:          log.New(&p.out, "", 0),
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			client := r.TLS.PeerCertificates[0]
			id, err := x509svid.IDFromCert(client)
			if err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "principal %s, certificate %s\n", principal(id), serial(client))
		}),
	}
	go func() {
		_ = server.ServeTLS(l, "", "") // it is closed in the end
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-p.done
		if t.Failed() {
			t.Logf("the log of the server:\n%s", p.log())
		}
	})
	_, port, _ = strings.Cut(l.Addr().String(), ":")
	return p, port
}

// TestManifestBrowser has Chromium present jinsu-macbook to a gateway.
func TestManifestBrowser(t *testing.T) {
	t.Parallel()
	s := newShell(t, "chromium", "nginx", "certutil", "pk12util")
	all := s.apply(t, "istio.yaml", "")
	s.apply(t, "istio.yaml", "--pki pki-other")
	s.ok(t, "mtlsctl export p12 default/jinsu-macbook --out jinsu.p12 --password-out jinsu.password")
	s.ok(t, "mtlsctl --pki pki-other export p12 default/jinsu-macbook --out other.p12 --password-out other.password")
	server := s.mount(t, all, "istio-system/server-tls", "server")
	p, port := s.spiffeServer(t, server, "jinsu-macbook")
	_, addresses := s.nginx(t, site{mount: server})
	_, nginxPort, _ := strings.Cut(addresses[0], ":")
	mine := "principal jinsu-macbook, certificate " + serial(all.leaf(t, "default/jinsu-macbook-tls"))

	for _, c := range []struct{ name, p12, root, port, page, log string }{
		{"with the p12", "jinsu", server.ca(), port, mine, ""},
		{"with the p12 at nginx", "jinsu", server.ca(), nginxPort, "SUCCESS TLSv1.3 CN=jinsu-macbook\n", ""},
		// By the time that TLS 1.3 refuses, a client may have hung up: what it says of
		// that differs.
		{"without a p12", "", server.ca(), port, "", "tls: client didn't provide a certificate"},
		{"with a p12 of another CA", "other", server.ca(), port, "", "could not verify leaf certificate"},
		{"without the root", "jinsu", "", port, "ERR_CERT_AUTHORITY_INVALID", "unknown certificate"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			home := "home-" + strings.ReplaceAll(c.name, " ", "-")
			db := s.nssDB(t, home+"/.pki/nssdb", c.root)
			if c.p12 != "" {
				s.ok(t, "pk12util -i "+c.p12+".p12 -w "+c.p12+".password"+db+"-K", "")
			}
			mark := len(p.log())
			out := s.chromium(t, home, "https://localhost:"+c.port)
			out.mustSay(t, c.page)
			if c.page != mine && strings.Contains(out.all(), "principal") {
				t.Errorf("it was let in\n%v", out)
			}
			if c.log != "" {
				p.mustLog(t, mark, c.log)
			}
		})
	}
}

// TestManifestPrincipal reads the principal without a browser, so on every machine.
func TestManifestPrincipal(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	all, others := s.apply(t, "istio.yaml", ""), s.apply(t, "istio.yaml", "--pki pki-other")
	server := s.mount(t, all, "istio-system/server-tls", "server")
	jinsu := s.tlsConfigAt(t, s.mount(t, all, "default/jinsu-macbook-tls", "jinsu"))
	own := s.tlsConfigAt(t, server)
	other := s.tlsConfigAt(t, s.mount(t, others, "default/jinsu-macbook-tls", "other"))
	other.RootCAs = jinsu.RootCAs
	anonymous := &tls.Config{RootCAs: jinsu.RootCAs, MinVersion: tls.VersionTLS12}

	for _, c := range []struct {
		name, host, domain string
		client             *tls.Config
		refuse             string // why the server does not let it in
	}{
		{"principal", "localhost", "jinsu-macbook", jinsu, ""},
		{"by the name of the service", "server.istio-server.svc.cluster.local", "jinsu-macbook", jinsu, ""},
		{"other trust domain", "server", "cluster.local", jinsu, "could not get X509 bundle"},
		{"other CA", "server", "jinsu-macbook", other, "could not verify leaf certificate"},
		{"server", "server", "jinsu-macbook", own, "no URI SAN"},
		{"nobody", "server", "jinsu-macbook", anonymous, "didn't provide a certificate"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			var got spiffeid.ID
			config := s.spiffeConfig(t, server, c.domain, func(id spiffeid.ID, _ [][]*x509.Certificate) error {
				got = id
				return nil
			})
			client := c.client.Clone()
			client.ServerName = c.host
			atServer, atClient := handshake(t, config, client)
			if c.refuse != "" {
				if atClient == nil || atServer == nil || !strings.Contains(atServer.Error(), c.refuse) {
					t.Errorf("the server says %v, the client %v; want %q", atServer, atClient, c.refuse)
				}
				return
			}
			if atServer != nil || atClient != nil {
				t.Fatalf("the server says %v, the client %v", atServer, atClient)
			}
			if principal(got) != "jinsu-macbook" || got.TrustDomain().Name() != "jinsu-macbook" || got.Path() != "" {
				t.Errorf("the principal is %q, of the trust domain %q with the path %q", principal(got), got.TrustDomain().Name(), got.Path())
			}
		})
	}
}
