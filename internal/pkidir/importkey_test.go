package pkidir

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestImportKey(t *testing.T) {
	t.Parallel()
	vectors := filepath.Join("..", "..", "testdata", "vectors", "key")
	secret := func() ([]byte, error) { return []byte("secret"), nil }
	read := func(file string) []byte {
		data, err := os.ReadFile(filepath.Join(vectors, file))
		must(t, err)
		return data
	}
	for file, encrypted := range map[string]bool{
		"ec-pkcs8-encrypted.pem": true, "rsa-pkcs1-encrypted.pem": true,
		"ec-sec1.pem": false, "ec-with-parameters.pem": false, "ed25519-pkcs8.pem": false, "rsa-pkcs1.pem": false, "rsa-pkcs8.pem": false,
	} {
		data := read(file)
		forms := map[string][]byte{"PEM": data}
		block, rest := pem.Decode(data)
		if block.Type == "EC PARAMETERS" {
			block, _ = pem.Decode(rest)
		}
		if len(block.Headers) == 0 { // which DER has no place for
			forms["DER"] = block.Bytes
		}
		for form, data := range forms {
			key, opened, err := ImportKey(data, "k", secret)
			if err != nil || key == nil || (string(opened) == "secret") != encrypted {
				t.Errorf("%s in %s: %q, %v", file, form, opened, err)
			}
			_, _, err = ImportKey(data, "k", func() ([]byte, error) { return []byte("wrong"), nil })
			if errors.Is(err, pki.ErrPassphrase) != encrypted {
				t.Errorf("%s in %s with a wrong passphrase: %v", file, form, err)
			}
		}
	}
	// Encrypted by us, in DER.
	text, err := pki.MarshalKey(pkitest.Key(t, profiles.ECP256, pkitest.LeafKey), pki.PKCS8, []byte("secret"))
	must(t, err)
	block, _ := pem.Decode(text)
	if _, opened, err := ImportKey(block.Bytes, "k", secret); err != nil || string(opened) != "secret" {
		t.Errorf("%q, %v", opened, err)
	}
	junk := map[string][]byte{"nothing": nil, "junk": []byte("junk"), "public": read("public.pem"), "ed448": read("ed448.pem"), "a certificate": pkitest.Root(t).Certificate().Raw}
	for what, data := range junk {
		if key, _, err := ImportKey(data, "k", noPassphrase); err == nil || !errors.Is(err, ErrBadKey) && !errors.Is(err, pki.ErrPassphrase) {
			t.Errorf("%s: %v, %v", what, key, err)
		}
	}
}

func FuzzImportKey(f *testing.F) {
	key := pkitest.Key(f, profiles.ECP256, pkitest.LeafKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(pkitest.KeyPEM(f, profiles.ECP256, pkitest.LeafKey))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, _, err := ImportKey(data, "k", noPassphrase)
		if (key == nil) != (err != nil) {
			t.Errorf("%v, %v", key, err)
		}
	})
}
