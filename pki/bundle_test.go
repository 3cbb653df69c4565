package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestBundlePEM(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	b := pkitest.Issue(t, ca, profiles.Client(), request)
	chain, err := pki.ParseCertificates(b.ChainPEM())
	if err != nil || len(chain) != 2 || !chain[0].Equal(b.Leaf()) || !chain[1].Equal(ca.Certificate()) {
		t.Errorf("tls.crt: %d certificates, %v; want the leaf and its issuer", len(chain), err)
	}
	roots, err := pki.ParseCertificates(b.RootsPEM())
	if err != nil || len(roots) != 1 || !roots[0].Equal(ca.Root()) {
		t.Errorf("ca.crt: %d certificates, %v; want the root", len(roots), err)
	}
	for e, want := range map[pki.KeyEncoding]string{"": "PRIVATE KEY", pki.SEC1: "EC PRIVATE KEY"} {
		b.Encoding = e
		data, err := b.KeyPEM()
		if block, _ := pem.Decode(data); err != nil || block == nil || block.Type != want {
			t.Errorf("tls.key as %q: %v\n%s", e, err, data)
		}
	}
	b.Key = nil
	if data, err := b.KeyPEM(); data != nil || !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("without a key: %q, %v", data, err)
	}
	if c := b.TLSCertificate(); c.PrivateKey != nil {
		t.Errorf("without a key: %v", c.PrivateKey)
	}
}

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t).Certificate()
	one := pki.MarshalCertificates([]*x509.Certificate{root})
	key := pkitest.KeyPEM(t, profiles.ECP256, pkitest.RootKey)
	for name, tt := range map[string]struct {
		data []byte
		n    int
		want string
	}{
		"one":                  {one, 1, ""},
		"two":                  {append(bytes.Clone(one), one...), 2, ""},
		"DER":                  {root.Raw, 1, ""},
		"text around":          {vector(t, "cert/with-text.pem"), 1, ""},
		"OpenSSL's DER":        {vector(t, "cert/one.der"), 1, ""},
		"key in between":       {bytes.Join([][]byte{one, key, one}, nil), 2, ""},
		"Windows line ends":    {bytes.ReplaceAll(one, []byte("\n"), []byte("\r\n")), 1, ""},
		"no newline at all":    {bytes.TrimSpace(one), 1, ""},
		"nothing":              {nil, 0, "no certificate in it"},
		"text":                 {[]byte("hello"), 0, "no certificate in it"},
		"a key alone":          {key, 0, "no certificate in it"},
		"OpenSSL's own":        {vector(t, "cert/trusted.pem"), 0, "no certificate in it"},
		"DER, more behind":     {append(bytes.Clone(root.Raw), 0), 0, "no certificate in it"},
		"the second is rotten": {append(bytes.Clone(one), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...), 0, "certificate 2: "},
	} {
		certs, err := pki.ParseCertificates(tt.data)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if len(certs) != tt.n || !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %d certificates, %v; want %d, %s", name, len(certs), err, tt.n, tt.want)
		}
		if tt.want == "no certificate in it" && !errors.Is(err, pki.ErrNoCertificate) {
			t.Errorf("%s: the cause is not ErrNoCertificate", name)
		}
	}
}

// handshake lets a client and a server talk over the loopback, and returns what
// each has against the other.
func handshake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	// All tests take place at the time of the fixed clock.
	client, server = client.Clone(), server.Clone()
	client.Time, server.Time = pkitest.Clock, pkitest.Clock
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(conn, conn)
			_ = conn.Close()
		}
		done <- err
	}()
	conn, clientErr := tls.Dial("tcp", listener.Addr().String(), client)
	if clientErr == nil {
		// With TLS 1.3 a client hears only now what the server thinks of it.
		if _, clientErr = conn.Write([]byte("hello")); clientErr == nil {
			_, clientErr = io.ReadFull(conn, make([]byte, len("hello")))
		}
		_ = conn.Close()
	}
	serverErr = <-done
	_ = listener.Close()
	return clientErr, serverErr
}

func TestTLSConfigs(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	sans := pkitest.SANs(t, "a.example")
	server := pkitest.Issue(t, ca, profiles.Server(), pki.Request{SANs: sans})
	client := pkitest.Issue(t, ca, profiles.Client(), pki.Request{SANs: sans})
	peer := pkitest.Issue(t, ca, profiles.Peer(), pki.Request{SANs: sans})
	elsewhere := pkitest.NewRoot(t, pki.CARequest{Key: profiles.ECP384})
	stranger := pkitest.Issue(t, elsewhere, profiles.Client(), request)

	clientTLS := func(b *pki.Bundle, name string) *tls.Config {
		c := b.ClientTLS()
		c.ServerName = name
		return c
	}
	bare := clientTLS(client, "a.example")
	bare.Certificates = nil
	old := clientTLS(client, "a.example")
	old.MaxVersion = tls.VersionTLS11
	for name, tt := range map[string]struct {
		client, server *tls.Config
		want           string // part of what the refusing side says
	}{
		"client and server":     {clientTLS(client, "a.example"), server.ServerTLS(), ""},
		"peer and peer":         {clientTLS(peer, "a.example"), peer.ServerTLS(), ""},
		"no certificate":        {bare, server.ServerTLS(), "client didn't provide a certificate"},
		"server as client":      {clientTLS(server, "a.example"), server.ServerTLS(), "incompatible key usage"},
		"client as server":      {clientTLS(client, "a.example"), client.ServerTLS(), "incompatible key usage"},
		"another name":          {clientTLS(client, "b.example"), server.ServerTLS(), "valid for a.example, not b.example"},
		"another CA's client":   {func() *tls.Config { c := clientTLS(stranger, "a.example"); c.RootCAs = bare.RootCAs; return c }(), server.ServerTLS(), "unknown authority"},
		"another CA's server":   {clientTLS(stranger, "a.example"), server.ServerTLS(), "unknown authority"},
		"an old version of TLS": {old, server.ServerTLS(), "no supported versions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clientErr, serverErr := handshake(t, tt.client, tt.server)
			if tt.want == "" {
				if clientErr != nil || serverErr != nil {
					t.Errorf("client: %v; server: %v", clientErr, serverErr)
				}
				return
			}
			if err := errors.Join(clientErr, serverErr); clientErr == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("client: %v; server: %v; want %s", clientErr, serverErr, tt.want)
			}
		})
	}
}
