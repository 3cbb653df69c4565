package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.step.sm/crypto/keyutil"
	"go.step.sm/crypto/pemutil"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// ErrKey is the cause of every refusal of a key that is too weak or of a kind
// that is not certified.
var ErrKey = errors.New("key not accepted")

// ErrPassphrase says that an encrypted key was not opened: the passphrase is
// missing or wrong.
var ErrPassphrase = errors.New("wrong passphrase")

// GenerateKey makes a new private key of type t, which may be RSA of any size
// that [profiles.RSA] knows; the zero type means ec-p256.
func GenerateKey(t profiles.KeyType) (crypto.Signer, error) {
	switch t {
	case profiles.ECP256, "":
		return keyutil.GenerateSigner("EC", "P-256", 0)
	case profiles.ECP384:
		return keyutil.GenerateSigner("EC", "P-384", 0)
	case profiles.ECP521:
		return keyutil.GenerateSigner("EC", "P-521", 0)
	case profiles.Ed25519:
		return keyutil.GenerateSigner("OKP", "Ed25519", 0)
	}
	if bits := t.RSABits(); bits > 0 {
		return keyutil.GenerateSigner("RSA", "", bits)
	}
	_, err := profiles.ParseKeyType(string(t))
	return nil, err
}

// KeyTypeOf returns the type of a public key: one of [profiles.KeyTypes] or of
// [profiles.RSA]. The error's cause is [ErrKey]: the key is too weak (RSA under
// 2048 bits, P-224), larger than anybody's, or not made for TLS.
func KeyTypeOf(pub crypto.PublicKey) (profiles.KeyType, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return profiles.ECP256, nil
		case elliptic.P384():
			return profiles.ECP384, nil
		case elliptic.P521():
			return profiles.ECP521, nil
		}
		return "", fmt.Errorf("%w: EC on %s is weaker than P-256", ErrKey, k.Curve.Params().Name)
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		if bits < profiles.MinRSABits {
			return "", fmt.Errorf("%w: RSA of %d bits is too weak, 2048 is the least", ErrKey, bits)
		}
		if k.E < 65537 {
			return "", fmt.Errorf("%w: RSA with the exponent %d is too weak, 65537 is the least", ErrKey, k.E)
		}
		if bits > profiles.MaxRSABits {
			return "", fmt.Errorf("%w: RSA of %d bits is too large, %d is the most", ErrKey, bits, profiles.MaxRSABits)
		}
		return profiles.RSA(bits), nil
	case ed25519.PublicKey:
		return profiles.Ed25519, nil
	}
	return "", fmt.Errorf("%w: it is neither EC, RSA nor Ed25519", ErrKey)
}

// checkListed refuses the sizes of RSA keys that only manifests can ask for.
func checkListed(t profiles.KeyType) error {
	if slices.Contains(profiles.KeyTypes(), t) {
		return nil
	}
	return fmt.Errorf("%w: RSA of %d bits; 2048, 3072 and 4096 are", ErrKey, t.RSABits())
}

// KeyEncoding names the form in which a private key is written as PEM.
type KeyEncoding string

// The encodings of private keys. The zero value means [PKCS8].
const (
	PKCS8 KeyEncoding = "pkcs8" // PRIVATE KEY, RFC 5958; every key type
	PKCS1 KeyEncoding = "pkcs1" // RSA PRIVATE KEY, RFC 8017 appendix A.1.2; RSA only
	SEC1  KeyEncoding = "sec1"  // EC PRIVATE KEY, RFC 5915; EC only
)

// KeyEncodings returns all encodings, the default first.
func KeyEncodings() []KeyEncoding { return []KeyEncoding{PKCS8, PKCS1, SEC1} }

// ParseKeyEncoding returns the encoding that s names.
func ParseKeyEncoding(s string) (KeyEncoding, error) {
	names := make([]string, 0, len(KeyEncodings()))
	for _, e := range KeyEncodings() {
		if s == string(e) {
			return e, nil
		}
		names = append(names, string(e))
	}
	return "", fmt.Errorf("unknown key encoding %q: there are %s", s, strings.Join(names, ", "))
}

// Fits returns an error if keys of type t cannot be written as e.
func (e KeyEncoding) Fits(t profiles.KeyType) error {
	switch {
	case e == PKCS1 && !t.IsRSA():
		return fmt.Errorf("pkcs1 is for RSA keys, and this one is %s", t)
	case e == SEC1 && !t.IsEC():
		return fmt.Errorf("sec1 is for EC keys, and this one is %s", t)
	}
	return nil
}

// MarshalKey writes a private key as one PEM block. A passphrase, if there is
// one, encrypts it as PKCS#8 with PBES2 (RFC 8018), whatever the encoding.
func MarshalKey(key crypto.Signer, e KeyEncoding, passphrase []byte) ([]byte, error) {
	t, err := KeyTypeOf(key.Public())
	if err != nil {
		return nil, err
	}
	if err := e.Fits(t); err != nil {
		return nil, err
	}
	opts := []pemutil.Options{pemutil.WithPKCS8(e == PKCS8 || e == "" || len(passphrase) > 0)}
	if len(passphrase) > 0 {
		opts = append(opts, pemutil.WithPassword(passphrase))
	}
	block, err := pemutil.Serialize(key, opts...)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}

// ParseKey reads the first private key of a PEM text: PKCS#8, PKCS#1 or SEC 1,
// encrypted or not. Other blocks, such as the parameters that OpenSSL puts in
// front of EC keys, are passed over. An encrypted key without the right
// passphrase is [ErrPassphrase].
func ParseKey(data, passphrase []byte) (crypto.Signer, error) {
	block := keyBlock(data)
	if block == nil {
		return nil, errors.New("no private key in PEM in it")
	}
	encrypted := isEncrypted(block)
	if encrypted && len(passphrase) == 0 {
		return nil, fmt.Errorf("the key is encrypted: %w", ErrPassphrase)
	}
	var opts []pemutil.Options
	if encrypted {
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			if err := checkEncrypted(block.Bytes); err != nil {
				return nil, err
			}
		}
		opts = append(opts, pemutil.WithPassword(passphrase))
	}
	k, err := pemutil.ParseKey(pem.EncodeToMemory(block), opts...)
	if err != nil {
		if encrypted {
			return nil, ErrPassphrase
		}
		return nil, fmt.Errorf("reading %s: %w", block.Type, err)
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("reading %s: a %T cannot sign", block.Type, k)
	}
	return signer, nil
}

// KeyIsEncrypted reports whether the first private key in PEM data needs a
// passphrase: encrypted PKCS#8, or the older form of RFC 1421.
func KeyIsEncrypted(data []byte) bool {
	block := keyBlock(data)
	return block != nil && isEncrypted(block)
}

func isEncrypted(block *pem.Block) bool {
	return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
}

// keyBlock returns the first private key in data, or nil.
func keyBlock(data []byte) *pem.Block {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
	}
	return nil
}

// SamePublicKey reports whether a and b are the same public key.
func SamePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
