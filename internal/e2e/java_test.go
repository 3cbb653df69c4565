package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// TestJavaStores is a client in Java that knows nothing but the system properties
// for its stores, in front of a server that wants a client's certificate.
func TestJavaStores(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"java"},
		"issue server web localhost",
		"issue client alice@example.com",
		"export p12 alice@example.com --for java8 --out key.p12 --password-out p12.password",
		"export jks alice@example.com --out key.jks --password-out jks.password",
		"export truststore root --out trust.p12",
		"export truststore root --type jks --out trust.jks",
		"--pki pki-other init-ca --org Other",
		"--pki pki-other export truststore root --out other.p12",
	)
	if _, ok := pkitest.LookProgram("javac"); !ok {
		t.Skip("there is no Java compiler")
	}
	source, err := os.ReadFile("testdata/Client.java")
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "Client.java", source)
	s.ok(t, "javac"+strings.ReplaceAll(" "+java, " -X", " -J-X")+"Client.java")

	port := s.greeter(t, "web")
	key := func(file, kind, password string) string {
		return fmt.Sprintf(" -Djavax.net.ssl.keyStore=%s -Djavax.net.ssl.keyStoreType=%s -Djavax.net.ssl.keyStorePassword=%s",
			file, kind, strings.TrimSpace(string(s.read(t, password))))
	}
	trust := func(file, kind string) string {
		return fmt.Sprintf(" -Djavax.net.ssl.trustStore=%s -Djavax.net.ssl.trustStoreType=%s -Djavax.net.ssl.trustStorePassword=changeit", file, kind)
	}
	for _, c := range []struct{ name, stores, refusal string }{
		{"PKCS#12", key("key.p12", "PKCS12", "p12.password") + trust("trust.p12", "PKCS12"), ""},
		{"JKS", key("key.jks", "JKS", "jks.password") + trust("trust.jks", "JKS"), ""},
		{"no key", trust("trust.p12", "PKCS12"), "certificate_required"},
		{"another root", key("key.p12", "PKCS12", "p12.password") + trust("other.p12", "PKCS12"), "unable to find valid certification path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := "java " + java + "-cp ." + c.stores + " Client " + port
			if c.refusal != "" {
				s.refused(t, c.refusal, line)
			} else if out := s.ok(t, line); out.stdout != "hello alice@example.com\n" {
				t.Errorf("the server did not greet alice\n%v", out)
			}
		})
	}
}

// greeter is a server with a certificate of the PKI directory that greets clients
// by the common names of theirs. It returns its port on localhost.
func (s *shell) greeter(t *testing.T, name string) (port string) {
	t.Helper()
	config := s.tlsConfig(t, name)
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, config.RootCAs
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				greet(tls.Server(conn, config))
			}
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// greet greets one client. Whom the server refuses is told so by TLS.
func greet(conn *tls.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(patience)) != nil || conn.Handshake() != nil {
		return
	}
	_, _ = fmt.Fprintf(conn, "hello %s\n", conn.ConnectionState().PeerCertificates[0].Subject.CommonName) // the client says what it got
}
