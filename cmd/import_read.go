package cmd

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

// What is imported is read up to these sizes. A CRL may be long.
const (
	maxImport    = 1 << 20
	maxImportCRL = 64 << 20
)

// readImport finds out what is in a file that a flag names.
func (a *app) readImport(flag, file string, limit int64) (*contentReader, error) {
	data, err := a.readInput(file, limit)
	if err != nil {
		return nil, withHint(fmt.Errorf("%s %s: %w", flag, file, atomicfile.Reason(err)), "name a file that is there and may be read")
	}
	// A key beside it is not asked for.
	r := &contentReader{secret: func() ([]byte, error) { return nil, nil }}
	if err := r.read(data); err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, file, err)
	}
	if r.p12 != nil {
		return nil, withHint(fmt.Errorf("%s %s: a PKCS#12 file, which is not imported", flag, file),
			"'openssl pkcs12 -in %s -nodes' takes out what is in it", file)
	}
	return r, nil
}

// readCertificates reads all certificates of a file; there is at least one.
func (a *app) readCertificates(flag, file string) ([]*x509.Certificate, error) {
	r, err := a.readImport(flag, file, maxImport)
	if err == nil && len(r.certificates) == 0 {
		err = withHint(fmt.Errorf("%s %s: %w", flag, file, pki.ErrNoCertificate), "'mtlsctl show %s' says what is in it", file)
	}
	if err != nil {
		return nil, err
	}
	return r.certificates, nil
}

// readCRL reads a file with one CRL.
func (a *app) readCRL(file string) (*x509.RevocationList, error) {
	r, err := a.readImport("--crl", file, maxImportCRL)
	if err == nil && len(r.crls) != 1 {
		err = withHint(fmt.Errorf("--crl %s: %s in it, and one is wanted", file, plural(len(r.crls), "CRL")), "'mtlsctl show %s' says what is in it", file)
	}
	if err != nil {
		return nil, err
	}
	return r.crls[0], nil
}

// readImportedKey reads the key of a file, and returns the passphrase that opened
// it; no key for no file.
func (a *app) readImportedKey(file string, secret *secretFlags) (key crypto.Signer, opened []byte, err error) {
	if file == "" {
		return nil, nil, nil
	}
	data, err := a.readInput(file, maxImport)
	if err != nil {
		return nil, nil, withHint(fmt.Errorf("--key %s: %w", file, atomicfile.Reason(err)), "name a file that is there and may be read")
	}
	key, opened, err = pkidir.ImportKey(data, file, func() ([]byte, error) {
		switch {
		case secret.given():
			return secret.read(a)
		case a.canAsk():
			return a.ask("Passphrase of " + file + ": ")
		}
		return nil, &flagValue{"the key is encrypted, and no passphrase is given", pki.ErrPassphrase}
	})
	switch {
	case errors.Is(err, pki.ErrPassphrase):
		err = withHint(err, "give its passphrase with --key-passphrase-file, --key-passphrase-env or --key-passphrase-stdin")
	case errors.Is(err, pkidir.ErrBadKey):
		err = withHint(err, "give a private key in PEM or DER: PKCS#8, PKCS#1 or SEC 1, of RSA, EC or Ed25519")
	}
	return key, opened, err
}
