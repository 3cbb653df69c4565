package profiles

import (
	"fmt"
	"strconv"
	"strings"
)

// KeyType names a kind and size of private key. The zero value means "not
// chosen": a request without one gets its profile's.
type KeyType string

// The key types mtlsctl makes and certifies.
const (
	ECP256  KeyType = "ec-p256"
	ECP384  KeyType = "ec-p384"
	ECP521  KeyType = "ec-p521"
	RSA2048 KeyType = "rsa-2048"
	RSA3072 KeyType = "rsa-3072"
	RSA4096 KeyType = "rsa-4096"
	Ed25519 KeyType = "ed25519"
)

// KeyTypes returns all key types, the default first.
func KeyTypes() []KeyType {
	return []KeyType{ECP256, ECP384, ECP521, RSA2048, RSA3072, RSA4096, Ed25519}
}

// ParseKeyType returns the key type that s names, or an error that lists those
// there are.
func ParseKeyType(s string) (KeyType, error) {
	names := make([]string, 0, len(KeyTypes()))
	for _, k := range KeyTypes() {
		if s == string(k) {
			return k, nil
		}
		names = append(names, string(k))
	}
	return "", fmt.Errorf("unknown key type %q: there are %s", s, strings.Join(names, ", "))
}

// The sizes of RSA keys in bits, of which [RSA] makes a type.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// RSA returns the type of RSA keys of a size, "rsa-2500": manifests may ask for
// any from [MinRSABits] to [MaxRSABits], profiles and flags only for those of
// [KeyTypes]. Other sizes have no type, and give the empty one.
func RSA(bits int) KeyType {
	switch bits {
	case 2048:
		return RSA2048
	case 3072:
		return RSA3072
	case 4096:
		return RSA4096
	}
	if bits < MinRSABits || bits > MaxRSABits {
		return ""
	}
	return KeyType("rsa-" + strconv.Itoa(bits))
}

// RSABits returns the size of the keys of an RSA type; zero for what is none.
func (k KeyType) RSABits() int {
	bits, err := strconv.Atoi(strings.TrimPrefix(string(k), "rsa-"))
	if err != nil || RSA(bits) != k {
		return 0
	}
	return bits
}

// IsRSA reports whether k is an RSA key, the only kind that can encipher keys.
func (k KeyType) IsRSA() bool { return strings.HasPrefix(string(k), "rsa-") }

// IsEC reports whether k is a key on a NIST curve, the only kind that can agree
// on keys.
func (k KeyType) IsEC() bool { return strings.HasPrefix(string(k), "ec-") }

// String returns k as a person reads it: "EC P-256", "RSA 2048", "Ed25519".
func (k KeyType) String() string {
	switch {
	case k.IsEC():
		return "EC P-" + strings.TrimPrefix(string(k), "ec-p")
	case k.IsRSA():
		return "RSA " + strings.TrimPrefix(string(k), "rsa-")
	case k == Ed25519:
		return "Ed25519"
	}
	return string(k)
}
