// Command demo shows mtlsctl at work, as `make demo`: it makes a CA and two
// identities in a folder of its own, exports them, and holds mutual TLS
// handshakes with the files that came out. It fails when anything is not as it
// should be, and leaves nothing behind.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo MTLSCTL")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mtlsctl-demo-")
	if err != nil {
		return err
	}
	d := &demo{binary: binary, dir: dir, out: os.Stdout}
	return errors.Join(d.show(ctx), os.RemoveAll(dir))
}

type demo struct {
	binary string
	dir    string // where commands run, and where ./pki comes to be
	out    io.Writer
}

func (d *demo) show(ctx context.Context) error {
	d.say("A private CA: a root, and under it an intermediate that signs.")
	if err := d.mtlsctl(ctx, "init-ca", "--org", "Acme"); err != nil {
		return err
	}
	d.say("A server, by all the names it is reached by, and a client.")
	if err := d.mtlsctl(ctx, "issue", "server", "api.example.com", "localhost", "127.0.0.1"); err != nil {
		return err
	}
	if err := d.mtlsctl(ctx, "issue", "client", "alice@example.com"); err != nil {
		return err
	}
	d.say("What there is now.")
	if err := d.mtlsctl(ctx, "tree"); err != nil {
		return err
	}
	d.say("One identity, three formats: a PEM file for programs, a Secret for Kubernetes,\n" +
		"and a PKCS#12 file for browsers and keychains.")
	if err := d.mtlsctl(ctx, "export", "pem", "alice@example.com", "--combined", "--out", "alice.pem"); err != nil {
		return err
	}
	if err := d.mtlsctl(ctx, "export", "secret", "api.example.com", "--namespace", "prod", "--out", "api.yaml"); err != nil {
		return err
	}
	if err := d.mtlsctl(ctx, "export", "p12", "alice@example.com", "--password-out", "alice.password", "--out", "alice.p12"); err != nil {
		return err
	}
	if err := d.checkExports(); err != nil {
		return err
	}
	return d.handshakes(ctx)
}

func (d *demo) say(text string) {
	fmt.Fprintf(d.out, "\n# %s\n", strings.ReplaceAll(text, "\n", "\n# "))
}

// mtlsctl runs one command line, shown as a person would type it.
func (d *demo) mtlsctl(ctx context.Context, args ...string) error {
	line := "mtlsctl " + strings.Join(args, " ")
	fmt.Fprintf(d.out, "\n$ %s\n", line)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "MTLSCTL_PKI=") // ./pki, whatever the caller uses
	output, err := cmd.CombinedOutput()
	fmt.Fprintf(d.out, "%s", output)
	if err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

// checkExports reads back what the exports wrote.
func (d *demo) checkExports() error {
	combined, err := os.ReadFile(d.path("alice.pem"))
	if err != nil {
		return err
	}
	var types []string
	for block, rest := pem.Decode(combined); block != nil; block, rest = pem.Decode(rest) {
		types = append(types, block.Type)
	}
	if got, want := strings.Join(types, ", "), "CERTIFICATE, CERTIFICATE, PRIVATE KEY"; got != want {
		return fmt.Errorf("alice.pem holds %s; want the leaf, the intermediate and the key: %s", got, want)
	}

	secret, err := os.ReadFile(d.path("api.yaml"))
	if err != nil {
		return err
	}
	for _, want := range []string{"kind: Secret", "type: kubernetes.io/tls", "namespace: prod", "tls.crt: ", "tls.key: ", "ca.crt: "} {
		if !bytes.Contains(secret, []byte(want)) {
			return fmt.Errorf("api.yaml lacks %q", want)
		}
	}

	for _, name := range []string{"alice.pem", "api.yaml", "alice.p12", "alice.password"} {
		info, err := os.Stat(d.path(name))
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			return fmt.Errorf("%s is empty", name)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
			return fmt.Errorf("%s is open to others: mode %o", name, mode)
		}
	}
	return nil
}

// handshakes runs a TLS server with the server's bundle that wants a client
// certificate, and knocks twice: with Alice's, and without one.
func (d *demo) handshakes(ctx context.Context) error {
	bundle := func(name, file string) string { return d.path("pki", "certificates", name, file) }
	server, err := tls.LoadX509KeyPair(bundle("api.example.com", "tls.crt"), bundle("api.example.com", "tls.key"))
	if err != nil {
		return fmt.Errorf("server certificate: %w", err)
	}
	alice, err := tls.LoadX509KeyPair(d.path("alice.pem"), d.path("alice.pem"))
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	clientCAs, err := roots(bundle("api.example.com", "ca.crt"))
	if err != nil {
		return err
	}
	serverCAs, err := roots(bundle("alice@example.com", "ca.crt"))
	if err != nil {
		return err
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go serve(listener, &tls.Config{
		Certificates: []tls.Certificate{server},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clientCAs,
		MinVersion:   tls.VersionTLS12,
	})
	address := listener.Addr().String()
	d.say("A server on " + address + " that lets in only clients of this CA.\n" +
		"It has pki/certificates/api.example.com; the client has alice.pem.")

	fmt.Fprintln(d.out)
	for _, name := range []string{"127.0.0.1", "localhost", "api.example.com"} {
		greeting, err := knock(ctx, address, &tls.Config{
			Certificates: []tls.Certificate{alice},
			RootCAs:      serverCAs,
			ServerName:   name,
			MinVersion:   tls.VersionTLS12,
		})
		if err != nil {
			return fmt.Errorf("handshake with the client certificate, server name %s: %w", name, err)
		}
		if want := "hello alice@example.com"; greeting != want {
			return fmt.Errorf("the server said %q to the client; want %q", greeting, want)
		}
		fmt.Fprintf(d.out, "with the certificate, to %s: accepted, the server says %q\n", name, greeting)
	}

	greeting, err := knock(ctx, address, &tls.Config{
		RootCAs:    serverCAs,
		ServerName: "localhost",
		MinVersion: tls.VersionTLS12,
	})
	if err == nil {
		return fmt.Errorf("a client without a certificate was let in: the server said %q", greeting)
	}
	// Any other error would be a failed handshake, not a refusal.
	if !strings.Contains(err.Error(), "certificate required") {
		return fmt.Errorf("handshake without a client certificate: %w; want the server to ask for one", err)
	}
	fmt.Fprintf(d.out, "without one: refused, %v\n", err)
	d.say("All as it should be.")
	return nil
}

func (d *demo) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

func roots(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// serve greets each client by the name in its certificate, one after another.
func serve(listener net.Listener, config *tls.Config) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed: the demo is over
		}
		greet(tls.Server(conn, config))
	}
}

// greet says nothing to a client whose handshake fails: TLS tells it why.
func greet(conn *tls.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(10*time.Second)) != nil || conn.Handshake() != nil {
		return
	}
	leaf := conn.ConnectionState().PeerCertificates[0]
	fmt.Fprintf(conn, "hello %s\n", strings.Join(leaf.EmailAddresses, " "))
}

// knock returns what the server says. In TLS 1.3 a client learns only by
// reading that it was turned away.
func knock(ctx context.Context, address string, config *tls.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	greeting, err := io.ReadAll(conn)
	return strings.TrimSpace(string(greeting)), err
}
