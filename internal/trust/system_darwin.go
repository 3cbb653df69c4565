package trust

import (
	"context"
	"crypto/sha1" // the name that security(1) has for a certificate
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/smallstep/truststore"
)

const systemKeychain = "/Library/Keychains/System.keychain"

// keychain is the system's keychain, with the trust settings of the
// administrator.
type keychain struct{ security, sudo string }

func (m *Machine) systemStore() *Store {
	s := &Store{Kind: System, Path: systemKeychain, Tool: "security", NeedsRoot: true}
	security := m.lookPath("security", "/usr/bin")
	if security == "" {
		s.Missing, s.Package = "security", "macOS"
	}
	// The library goes by sudo, whoever it is run by.
	s.backend = &keychain{security, s.elevate(m)}
	return s
}

// read asks for the certificates, and for the names of those with settings.
func (k *keychain) read(ctx context.Context) (c Contents, err error) {
	out, err := command{args: []string{k.security, "find-certificate", "-a", "-p", systemKeychain}}.run(ctx)
	if err != nil {
		return Contents{}, err
	}
	settings, err := command{args: []string{k.security, "dump-trust-settings", "-d"}}.run(ctx)
	if err != nil && !programSaid(err, "No Trust Settings") {
		return Contents{}, err
	}
	names := parseTrustSettings(string(settings))
	for _, der := range fromPEM(out) {
		cert, err := x509.ParseCertificate(der)
		trusted := err == nil && names[cert.Subject.CommonName]
		c.entries = append(c.entries, entry{der: der, trusted: trusted, where: systemKeychain, alone: true})
	}
	return c, nil
}

func (k *keychain) add(_ context.Context, cert *x509.Certificate) error {
	return truststore.Install(cert)
}

// remove takes back the settings, and the certificate too, which the library
// leaves in the keychain.
func (k *keychain) remove(ctx context.Context, cert *x509.Certificate, in Contents) error {
	if in.Trusts(cert) {
		if err := truststore.Uninstall(cert); err != nil {
			return err
		}
	}
	sum := sha1.Sum(cert.Raw)
	name := strings.ToUpper(hex.EncodeToString(sum[:]))
	_, err := command{args: []string{k.security, "delete-certificate", "-Z", name, systemKeychain}, sudo: k.sudo}.run(ctx)
	if err != nil {
		return fmt.Errorf("keychain %s: %w", systemKeychain, err)
	}
	return nil
}
