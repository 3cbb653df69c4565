package cmd_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mtlsctl/mtlsctl/pki"
)

// checkPair checks that a key is that of the certificate beside it; of one that is
// encrypted, that it is there as a whole.
func checkPair(keyFile string) error {
	data, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	if pki.KeyIsEncrypted(data) {
		if block, rest := pem.Decode(data); block == nil || len(rest) > 0 {
			return errors.New("it is not whole")
		}
		return nil
	}
	key, err := pki.ParseKey(data, nil)
	if err != nil {
		return err
	}
	chain, err := os.ReadFile(filepath.Join(filepath.Dir(keyFile), "tls.crt"))
	if err != nil {
		return err
	}
	certs, err := pki.ParseCertificates(chain)
	if err != nil {
		return err
	}
	if !pki.SamePublicKey(key.Public(), certs[0].PublicKey) {
		return errors.New("it is the key of another certificate")
	}
	return nil
}

// crlNumber returns the number of the first CRL in a file.
func crlNumber(file string) (int64, error) {
	crl, err := readCRL(file)
	if err != nil {
		return 0, err
	}
	return crl.Number.Int64(), nil
}

func readCRL(file string) (*x509.RevocationList, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(der)
}

// readPEM returns what the first block of a file holds.
func readPEM(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("there is no PEM in it")
	}
	return block.Bytes, nil
}

// crlNumbers returns the number of the CRL in the folder of each authority that
// has one.
func crlNumbers(t *testing.T, work string) map[string]int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(work, "pki", "authorities", "*", "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]int64{}
	for _, f := range files {
		n, err := crlNumber(f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		numbers[filepath.Base(filepath.Dir(f))] = n
	}
	return numbers
}
