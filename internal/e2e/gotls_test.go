package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"sigs.k8s.io/yaml"
)

// tlsConfig is for a client that has a certificate and trusts the root.
func (s *shell) tlsConfig(t *testing.T, name string) *tls.Config {
	t.Helper()
	return s.tlsConfigAt(t, issued(name))
}

func (s *shell) tlsConfigAt(t *testing.T, at folder) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.path(at.crt()), s.path(at.key()))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.read(t, at.ca())) {
		t.Fatalf("%s holds no certificate", at.ca())
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// handshake has a server greet a client over the loopback interface, and returns
// what went wrong on either side.
func handshake(t *testing.T, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	deadline, _ := ctx.Deadline()

	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		c := tls.Server(conn, server)
		err = errors.Join(c.SetDeadline(deadline), c.HandshakeContext(ctx))
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		served <- errors.Join(err, conn.Close())
	}()
	// In TLS 1.3 a client learns only by reading that it was turned away.
	atClient = func() error {
		conn, err := (&tls.Dialer{Config: client}).DialContext(ctx, "tcp4", l.Addr().String())
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
		greeting := make([]byte, len("hello"))
		if _, err := io.ReadFull(conn, greeting); err != nil {
			return err
		}
		if string(greeting) != "hello" {
			return errors.New("greeted with " + string(greeting))
		}
		return nil
	}()
	l.Close() // whoever did not get that far
	return <-served, atClient
}

// TestSPIFFE has go-spiffe judge the SVIDs of both sides.
func TestSPIFFE(t *testing.T) {
	t.Parallel()
	s := newAcme(t, nil,
		"issue spiffe web --spiffe spiffe://example.org/ns/prod/sa/web",
		"issue spiffe db --spiffe spiffe://example.org/ns/prod/sa/db --key rsa-2048",
		"issue spiffe stranger --spiffe spiffe://elsewhere.org/ns/prod/sa/db",
		"issue client alice@example.com",
		"--pki pki-other init-ca --org Acme",
		"--pki pki-other issue spiffe db --spiffe spiffe://example.org/ns/prod/sa/db",
	)
	svid := func(pki, name string) *x509svid.SVID {
		dir := strings.Replace(crt(name), "pki/", pki+"/", 1)
		v, err := x509svid.Load(s.path(dir), s.path(strings.Replace(key(name), "pki/", pki+"/", 1)))
		if err != nil {
			t.Fatalf("go-spiffe does not take %s: %v", dir, err)
		}
		return v
	}
	bundle, err := x509bundle.Load(spiffeid.RequireTrustDomainFromString("example.org"), s.path(ca))
	if err != nil {
		t.Fatal(err)
	}
	web, db := svid("pki", "web"), svid("pki", "db")
	if got := db.ID.String(); got != "spiffe://example.org/ns/prod/sa/db" {
		t.Errorf("the SVID of db is %s", got)
	}
	for _, c := range []struct {
		name   string
		client *tls.Config
		server string // the one client that the server lets in
		refuse string // why the server does not
	}{
		{"authorized", tlsconfig.MTLSClientConfig(db, bundle, tlsconfig.AuthorizeID(web.ID)), "db", ""},
		{"other workload", tlsconfig.MTLSClientConfig(db, bundle, tlsconfig.AuthorizeID(web.ID)), "api", "unexpected ID"},
		{"other trust domain", tlsconfig.MTLSClientConfig(svid("pki", "stranger"), bundle, tlsconfig.AuthorizeAny()), "db", "could not get X509 bundle"},
		{"other CA", tlsconfig.MTLSClientConfig(svid("pki-other", "db"), bundle, tlsconfig.AuthorizeAny()), "db", "could not verify leaf certificate"},
		{"no SVID", withoutNames(s.tlsConfig(t, "alice@example.com")), "db", "no URI SAN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := spiffeid.RequireFromString("spiffe://example.org/ns/prod/sa/" + c.server)
			atServer, atClient := handshake(t, tlsconfig.MTLSServerConfig(web, bundle, tlsconfig.AuthorizeID(id)), c.client)
			if c.refuse == "" {
				if atServer != nil || atClient != nil {
					t.Errorf("the server says %v, the client %v", atServer, atClient)
				}
				return
			}
			if atClient == nil || atServer == nil || !strings.Contains(atServer.Error(), c.refuse) {
				t.Errorf("the server says %v, the client %v; want %q", atServer, atClient, c.refuse)
			}
		})
	}
	t.Run("client refuses", func(t *testing.T) {
		client := tlsconfig.MTLSClientConfig(db, bundle, tlsconfig.AuthorizeID(db.ID))
		_, atClient := handshake(t, tlsconfig.MTLSServerConfig(web, bundle, tlsconfig.AuthorizeAny()), client)
		if atClient == nil || !strings.Contains(atClient.Error(), "unexpected ID") {
			t.Errorf("the client says %v; want an unexpected ID", atClient)
		}
	})
}

// withoutNames is for a client that looks at no host name: an SVID has none.
func withoutNames(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.InsecureSkipVerify = true
	return c
}

// TestSecret reads a Secret as a Kubernetes client does, and holds a handshake
// with what is in it.
func TestSecret(t *testing.T) {
	t.Parallel()
	s := newAcme(t, nil,
		"issue server web localhost",
		"issue client alice@example.com --key rsa-2048 --encoding pkcs1",
	)
	type secret struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Type       string            `json:"type"`
		Data       map[string][]byte `json:"data"`
		Metadata   struct {
			Name        string            `json:"name"`
			Namespace   string            `json:"namespace"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	check := func(name string, got secret) {
		t.Helper()
		if got.APIVersion != "v1" || got.Kind != "Secret" || got.Type != "kubernetes.io/tls" || len(got.Data) != 3 {
			t.Errorf("the Secret of %s is %s %s of type %s with %d keys", name, got.APIVersion, got.Kind, got.Type, len(got.Data))
		}
		for _, file := range []string{"tls.crt", "tls.key", "ca.crt"} {
			if !bytes.Equal(got.Data[file], s.read(t, "pki", "certificates", name, file)) {
				t.Errorf("%s in the Secret of %s is not the file:\n%s", file, name, got.Data[file])
			}
		}
	}

	var web, alice, bundle secret
	out := s.ok(t, "mtlsctl export secret web --namespace prod --label app=web --annotation example.com/team=edge")
	if err := yaml.UnmarshalStrict([]byte(out.stdout), &web); err != nil {
		t.Fatalf("%v\n%v", err, out)
	}
	check("web", web)
	if m := web.Metadata; m.Name != "web" || m.Namespace != "prod" || m.Labels["app"] != "web" || m.Annotations["example.com/team"] != "edge" {
		t.Errorf("metadata: %+v", m)
	}
	out = s.ok(t, "mtlsctl export secret alice@example.com --json")
	if err := json.Unmarshal([]byte(out.stdout), &alice); err != nil {
		t.Fatalf("%v\n%v", err, out)
	}
	check("alice@example.com", alice)

	// Azure's gateway wants the root alone, under this name.
	s.ok(t, "mtlsctl export secret root --ca-only --name ca.bundle --out ca.bundle.yaml")
	if err := yaml.UnmarshalStrict(s.read(t, "ca.bundle.yaml"), &bundle); err != nil {
		t.Fatal(err)
	}
	if bundle.Metadata.Name != "ca.bundle" || bundle.Type != "Opaque" || len(bundle.Data) != 1 || !bytes.Equal(bundle.Data["ca.crt"], s.read(t, ca)) {
		t.Errorf("the CA's Secret is %+v", bundle)
	}

	config := func(own, trusted secret) *tls.Config {
		pair, err := tls.X509KeyPair(own.Data["tls.crt"], own.Data["tls.key"])
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(trusted.Data["ca.crt"]) {
			t.Fatal("no certificate in ca.crt")
		}
		return &tls.Config{
			Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: "localhost",
			ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
		}
	}
	if atServer, atClient := handshake(t, config(web, bundle), config(alice, alice)); atServer != nil || atClient != nil {
		t.Errorf("the server says %v, the client %v", atServer, atClient)
	}
	_, atClient := handshake(t, config(alice, bundle), config(alice, alice))
	var name x509.HostnameError
	if !errors.As(atClient, &name) {
		t.Errorf("a client's certificate as a server's: the client says %v", atClient)
	}
	anonymous := config(alice, alice)
	anonymous.Certificates = nil
	atServer, _ := handshake(t, config(web, bundle), anonymous)
	if atServer == nil || !strings.Contains(atServer.Error(), "didn't provide a certificate") {
		t.Errorf("no client certificate: the server says %v", atServer)
	}
}
