package e2e

import (
	"crypto/tls"
	"encoding/json"
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
		"--pki pki-other init-ca --org Other",
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
	key := s.javaOptions(t, "p12 alice@example.com", "for java's #1/p12", "p12.password")
	old := s.javaOptions(t, "jks alice@example.com", "for java's #1/jks", "jks.password")
	trust := s.javaOptions(t, "truststore root", "for java's #1/trust", "")
	oldTrust := s.javaOptions(t, "truststore root --type jks", `for\java.jks`, "")
	other := s.javaOptions(t, "truststore root --pki pki-other", "other", "")
	for _, c := range []struct{ name, options, refusal string }{
		{"PKCS#12", key + trust, ""},
		{"JKS", old + oldTrust, ""},
		{"no key", trust, "certificate_required"},
		{"another root", key + other, "unable to find valid certification path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.write(t, "options", []byte(c.options))
			line := "java " + java + "@options -cp . Client " + port
			if c.refusal != "" {
				s.refused(t, c.refusal, line)
			} else if out := s.ok(t, line); out.stdout != "hello alice@example.com\n" {
				t.Errorf("the server did not greet alice\n%v", out)
			}
		})
	}
}

// javaOptions exports a store for Java, and returns the lines that are printed, with
// the password in its place: options as java reads them from a file.
func (s *shell) javaOptions(t *testing.T, what, at, password string) string {
	t.Helper()
	line := "mtlsctl export " + what + " --for java --json"
	if password != "" {
		line += " --password-out " + password
	}
	out := s.ok(t, line, "--out", at)
	var j struct {
		Config string `json:"config"`
	}
	if err := json.Unmarshal([]byte(out.stdout), &j); err != nil || j.Config == "" {
		t.Fatalf("no lines for Java: %v\n%v", err, out)
	}
	if password == "" {
		return j.Config
	}
	if strings.Count(j.Config, "PASSWORD") != 1 {
		t.Errorf("not the one place for the password\n%s", j.Config)
	}
	return strings.Replace(j.Config, "PASSWORD", strings.TrimSpace(string(s.read(t, password))), 1)
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
