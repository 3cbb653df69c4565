package pki

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// A Bundle is what a user deploys: a certificate with its chain, its key, and
// the roots to trust.
type Bundle struct {
	// Chain is the certificate, each followed by its issuer, the root left out.
	Chain []*x509.Certificate
	// Key is the certificate's; nil if whoever sent a signing request keeps it.
	Key crypto.Signer
	// Encoding is how the key is written as PEM; zero means [PKCS8].
	Encoding KeyEncoding
	// Roots are what the other side's certificates are verified against.
	Roots []*x509.Certificate
}

// Leaf returns the certificate that the bundle is about.
func (b *Bundle) Leaf() *x509.Certificate { return b.Chain[0] }

// ChainPEM returns the chain as PEM, the leaf first: the file tls.crt.
func (b *Bundle) ChainPEM() []byte { return MarshalCertificates(b.Chain) }

// RootsPEM returns the roots as PEM: the file ca.crt.
func (b *Bundle) RootsPEM() []byte { return MarshalCertificates(b.Roots) }

// KeyPEM returns the key as PEM, not encrypted: the file tls.key. A bundle
// without a key returns [ErrNoKey].
func (b *Bundle) KeyPEM() ([]byte, error) {
	if b.Key == nil {
		return nil, ErrNoKey
	}
	return MarshalKey(b.Key, b.Encoding, nil)
}

// TLSCertificate returns the chain and key for a [tls.Config].
func (b *Bundle) TLSCertificate() tls.Certificate {
	c := tls.Certificate{PrivateKey: b.Key, Leaf: b.Leaf()}
	for _, cert := range b.Chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// ServerTLS returns the configuration of a server that shows this bundle and
// accepts only clients with a certificate under its roots.
func (b *Bundle) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{b.TLSCertificate()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    b.pool(),
	}
}

// ClientTLS returns the configuration of a client that shows this bundle and
// accepts only servers with a certificate under its roots.
func (b *Bundle) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{b.TLSCertificate()},
		RootCAs:      b.pool(),
	}
}

func (b *Bundle) pool() *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range b.Roots {
		p.AddCert(c)
	}
	return p
}

// MarshalCertificates writes certificates as PEM, in their order.
func MarshalCertificates(certs []*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out.Bytes()
}

// ErrNoCertificate says that there was no certificate in the input.
var ErrNoCertificate = errors.New("no certificate in it")

// ParseCertificates reads all certificates of a PEM text, or one in DER. Other
// PEM blocks and text between blocks are passed over. There is at least one, or
// the error's cause is [ErrNoCertificate].
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	blocks := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks++
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	if blocks == 0 {
		if c, err := x509.ParseCertificate(data); err == nil {
			return []*x509.Certificate{c}, nil
		}
	}
	if len(certs) == 0 {
		return nil, ErrNoCertificate
	}
	return certs, nil
}
