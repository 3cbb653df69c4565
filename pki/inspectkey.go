package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A KeyInfo is what there is to say about a file with a private key, without
// the private key.
type KeyInfo struct {
	Form       string // "PKCS#8", "PKCS#1", "SEC 1"
	Encrypted  bool
	Encryption string           // the algorithms, if it is encrypted and they can be seen
	Iterations int              // of the key derivation; 0 if that is not known
	Public     crypto.PublicKey // nil if it is encrypted, or of a kind that is not read
	Kind       string           // what it is, where Public is nil and it can be seen: "Ed448"
}

// The most that InspectKey works through, since its input may come from
// anybody.
const (
	maxKeySize       = 16 << 10   // an RSA key of 16384 bits takes 10 KiB
	maxKeyIterations = 10_000_000 // a few seconds' work; common are 2048 to 600,000
)

// InspectKey says what a private key is: a PEM block, or DER in a block without
// a type. With a passphrase an encrypted key is opened for its public part;
// without, it stays closed. The cause of an error may be [ErrPassphrase].
func InspectKey(block *pem.Block, passphrase []byte) (*KeyInfo, error) {
	if len(block.Bytes) > maxKeySize {
		return nil, fmt.Errorf("a private key of %d bytes; %d are read at most", len(block.Bytes), maxKeySize)
	}
	for _, form := range keyForms {
		if block.Type != "" && block.Type != form.header {
			continue
		}
		info, err := form.inspect(block, passphrase)
		switch {
		case err == nil:
			info.Form = form.name
			return info, nil
		case block.Type != "" || errors.Is(err, ErrPassphrase):
			return nil, err
		}
	}
	if block.Type == "" {
		return nil, errors.New("no private key in DER")
	}
	return nil, fmt.Errorf("a private key in a form that is not read: %s", block.Type)
}

var keyForms = []struct {
	header, name string
	inspect      func(block *pem.Block, passphrase []byte) (*KeyInfo, error)
}{
	{"PRIVATE KEY", "PKCS#8", inspectPKCS8},
	{"ENCRYPTED PRIVATE KEY", "PKCS#8", inspectEncrypted},
	{"RSA PRIVATE KEY", "PKCS#1", func(b *pem.Block, passphrase []byte) (*KeyInfo, error) {
		return inspectTraditional(b, passphrase, func(der []byte) (crypto.PublicKey, error) {
			k, err := x509.ParsePKCS1PrivateKey(der)
			return publicOf(k, err)
		})
	}},
	{"EC PRIVATE KEY", "SEC 1", func(b *pem.Block, passphrase []byte) (*KeyInfo, error) {
		return inspectTraditional(b, passphrase, func(der []byte) (crypto.PublicKey, error) {
			k, err := x509.ParseECPrivateKey(der)
			return publicOf(k, err)
		})
	}},
}

func publicOf(k any, err error) (crypto.PublicKey, error) {
	if err != nil {
		return nil, fmt.Errorf("a private key that cannot be read: %s", strings.TrimPrefix(err.Error(), "x509: "))
	}
	p, ok := k.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, fmt.Errorf("a private key that cannot be read: %T", k)
	}
	return p.Public(), nil
}

// inspectPKCS8 reads RFC 5958. Of a key of another kind it says which.
func inspectPKCS8(block *pem.Block, _ []byte) (*KeyInfo, error) {
	pub, err := publicOf(x509.ParsePKCS8PrivateKey(block.Bytes))
	if err == nil {
		return &KeyInfo{Public: pub}, nil
	}
	var outer struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
		Rest      asn1.RawValue `asn1:"optional"`
	}
	if _, outerErr := asn1.Unmarshal(block.Bytes, &outer); outerErr != nil {
		return nil, err
	}
	switch kind := algorithmText(outer.Algorithm); kind {
	case "RSA", "Ed25519", "X25519": // these are read, so that the key is damaged
		return nil, err
	default:
		return &KeyInfo{Kind: kind}, nil
	}
}

// inspectTraditional reads the forms that OpenSSL wrote before version 1.0,
// encrypted by the headers of RFC 1421 or not at all.
func inspectTraditional(block *pem.Block, passphrase []byte, parse func([]byte) (crypto.PublicKey, error)) (*KeyInfo, error) {
	if !KeyIsEncrypted(pem.EncodeToMemory(block)) {
		pub, err := parse(block.Bytes)
		if err != nil {
			return nil, err
		}
		return &KeyInfo{Public: pub}, nil
	}
	cipher, _, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	info := &KeyInfo{Encrypted: true, Encryption: cipher + " with a key by one round of MD5", Iterations: 1}
	return info, info.open(block, passphrase)
}

func inspectEncrypted(block *pem.Block, passphrase []byte) (*KeyInfo, error) {
	key, err := parseEncrypted(block.Bytes)
	if err != nil {
		return nil, err
	}
	p := readPBE(key.Algorithm)
	info := &KeyInfo{Encrypted: true, Encryption: p.text, Iterations: p.iterations}
	if len(passphrase) == 0 {
		return info, nil
	}
	if err := checkEncrypted(block.Bytes); err != nil {
		return nil, err
	}
	return info, info.open(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: block.Bytes}, passphrase)
}

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958 section 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

func parseEncrypted(der []byte) (k encryptedKey, err error) {
	if rest, err := asn1.Unmarshal(der, &k); err != nil || len(rest) > 0 || k.Algorithm.Algorithm == nil {
		return k, errors.New("an encrypted private key that cannot be read")
	}
	return k, nil
}

// checkEncrypted returns an error for an encrypted PKCS#8 key that pemutil
// cannot open, would panic on, or would work on for ever.
func checkEncrypted(der []byte) error {
	key, err := parseEncrypted(der)
	if err != nil {
		return err
	}
	switch p := readPBE(key.Algorithm); {
	case p.blockSize == 0:
		return fmt.Errorf("an encrypted private key that cannot be opened here: %s", p.text)
	case p.iterations < 1 || p.iterations > maxKeyIterations:
		return fmt.Errorf("an encrypted private key that asks for %d iterations; %d is the most", p.iterations, maxKeyIterations)
	case p.iv != p.blockSize || len(key.Data) == 0 || len(key.Data)%p.blockSize != 0:
		return errors.New("an encrypted private key that is damaged")
	}
	return nil
}

// open decrypts a key for its public part.
func (i *KeyInfo) open(block *pem.Block, passphrase []byte) error {
	if len(passphrase) == 0 {
		return nil
	}
	key, err := ParseKey(pem.EncodeToMemory(block), passphrase)
	if err != nil {
		return err
	}
	i.Public = key.Public()
	return nil
}

// pbe is how a password encrypts a PKCS#8 key.
type pbe struct {
	text       string
	iterations int
	blockSize  int // of the cipher, if the key can be opened
	iv         int // octets
}

// readPBE reads the parameters of PBES2 (RFC 8018 appendix A.4). What is not
// known goes by its OID.
func readPBE(a pkix.AlgorithmIdentifier) pbe {
	id := a.Algorithm.String()
	if name, ok := oldPBE[id]; ok {
		var p struct {
			Salt       []byte
			Iterations int
		}
		_, err := asn1.Unmarshal(a.Parameters.FullBytes, &p)
		if err != nil {
			return pbe{text: name}
		}
		return pbe{text: name, iterations: p.Iterations}
	}
	var p struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	if id != "1.2.840.113549.1.5.13" {
		return pbe{text: id}
	}
	if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &p); err != nil {
		return pbe{text: "PBES2"}
	}
	out := pbe{text: "PBES2 "}
	if c, ok := pbeCiphers[p.Cipher.Algorithm.String()]; ok {
		out.text, out.blockSize = out.text+c.name, c.blockSize
	} else {
		out.text += p.Cipher.Algorithm.String()
	}
	var iv []byte
	if _, err := asn1.Unmarshal(p.Cipher.Parameters.FullBytes, &iv); err == nil {
		out.iv = len(iv)
	}
	if p.KDF.Algorithm.String() == "1.3.6.1.4.1.11591.4.11" {
		return pbe{text: out.text + " with scrypt"}
	}
	var k struct {
		Salt       asn1.RawValue
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if p.KDF.Algorithm.String() != "1.2.840.113549.1.5.12" {
		return pbe{text: out.text + " with " + p.KDF.Algorithm.String()}
	}
	if _, err := asn1.Unmarshal(p.KDF.Parameters.FullBytes, &k); err != nil {
		return pbe{text: out.text + " with PBKDF2"}
	}
	out.iterations = k.Iterations
	prf, known := "SHA1", true
	if k.PRF.Algorithm != nil {
		prf, known = pbeHashes[k.PRF.Algorithm.String()]
	}
	if !known {
		return pbe{text: out.text + " with PBKDF2 by " + k.PRF.Algorithm.String(), iterations: k.Iterations}
	}
	out.text += " with PBKDF2-HMAC-" + prf
	if prf != "SHA1" && prf != "SHA256" {
		out.blockSize = 0 // pemutil takes it for SHA1
	}
	return out
}

var oldPBE = map[string]string{
	"1.2.840.113549.1.5.3":    "PBE-MD5-DES",
	"1.2.840.113549.1.5.6":    "PBE-MD5-RC2-64",
	"1.2.840.113549.1.5.10":   "PBE-SHA1-DES",
	"1.2.840.113549.1.5.11":   "PBE-SHA1-RC2-64",
	"1.2.840.113549.1.12.1.1": "PBE-SHA1-RC4-128",
	"1.2.840.113549.1.12.1.2": "PBE-SHA1-RC4-40",
	"1.2.840.113549.1.12.1.3": "PBE-SHA1-3DES",
	"1.2.840.113549.1.12.1.4": "PBE-SHA1-2DES",
	"1.2.840.113549.1.12.1.5": "PBE-SHA1-RC2-128",
	"1.2.840.113549.1.12.1.6": "PBE-SHA1-RC2-40",
}

var pbeCiphers = map[string]struct {
	name      string
	blockSize int
}{
	"2.16.840.1.101.3.4.1.2":  {"AES-128-CBC", 16},
	"2.16.840.1.101.3.4.1.22": {"AES-192-CBC", 16},
	"2.16.840.1.101.3.4.1.42": {"AES-256-CBC", 16},
	"1.2.840.113549.3.7":      {"3DES-CBC", 8},
	"1.3.14.3.2.7":            {"DES-CBC", 8},
}

var pbeHashes = map[string]string{
	"1.2.840.113549.2.7":  "SHA1",
	"1.2.840.113549.2.8":  "SHA224",
	"1.2.840.113549.2.9":  "SHA256",
	"1.2.840.113549.2.10": "SHA384",
	"1.2.840.113549.2.11": "SHA512",
}
