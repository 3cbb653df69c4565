package pkidir

import (
	"crypto"
	"encoding/asn1"
	"encoding/pem"

	"github.com/mtlsctl/mtlsctl/pki"
)

// ImportKey makes a signer of a private key that others wrote, in PEM or DER:
// PKCS#8, PKCS#1 or SEC 1, encrypted or not, RFC 1421's way too. file is what
// errors call it; they are of cause [pki.ErrPassphrase] and [ErrBadKey]. Besides it
// returns the passphrase that opened the key, nil for one that is not encrypted.
func ImportKey(data []byte, file string, passphrase Passphrase) (key crypto.Signer, secret []byte, err error) {
	key, err = parseKey(keyPEM(data), file, func() (_ []byte, err error) {
		secret, err = passphrase()
		return secret, err
	})
	return key, secret, err
}

// keyPEM returns a key in PEM. What is neither PEM nor a key in DER stays as it
// is.
func keyPEM(data []byte) []byte {
	if block, _ := pem.Decode(data); block != nil {
		return data
	}
	var key, first asn1.RawValue
	if _, err := asn1.Unmarshal(data, &key); err != nil || key.Tag != asn1.TagSequence {
		return data
	}
	rest, err := asn1.Unmarshal(key.Bytes, &first)
	if err != nil {
		return data
	}
	kinds := []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"} // all begin with their version
	if first.Tag == asn1.TagSequence && len(rest) > 0 {                   // EncryptedPrivateKeyInfo, RFC 5958 section 3
		kinds = []string{"ENCRYPTED PRIVATE KEY"}
	}
	for _, kind := range kinds {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
		if _, err := pki.ParseKey(text, nil); err == nil || pki.KeyIsEncrypted(text) {
			return text
		}
	}
	return data
}
