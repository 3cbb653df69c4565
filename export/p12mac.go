package export

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"unicode/utf16"
)

// macData is the MAC of a PKCS#12 file (RFC 7292 section 4). Under PBMAC1 salt
// and iterations are among the algorithm's parameters (RFC 9579 section 3).
type macData struct {
	Mac struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

// pbmac1Params is PBMAC1-params (RFC 8018 appendix A.5).
type pbmac1Params struct {
	KDF pkix.AlgorithmIdentifier
	MAC pkix.AlgorithmIdentifier
}

// pbkdf2Params is PBKDF2-params (RFC 8018 appendix A.2).
type pbkdf2Params struct {
	Salt       asn1.RawValue
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

var (
	oidSHA1     = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidPBMAC1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
)

// A p12Hash is a hash function under its two names.
type p12Hash struct {
	name string
	new  func() hash.Hash
	oid  string // of the hash
	hmac string // of the HMAC that is made of it
}

func p12Hashes() []p12Hash {
	return []p12Hash{
		{"SHA1", sha1.New, "1.3.14.3.2.26", "1.2.840.113549.2.7"},
		{"SHA224", sha256.New224, "2.16.840.1.101.3.4.2.4", "1.2.840.113549.2.8"},
		{"SHA256", sha256.New, "2.16.840.1.101.3.4.2.1", "1.2.840.113549.2.9"},
		{"SHA384", sha512.New384, "2.16.840.1.101.3.4.2.2", "1.2.840.113549.2.10"},
		{"SHA512", sha512.New, "2.16.840.1.101.3.4.2.3", "1.2.840.113549.2.11"},
	}
}

// findHash looks a hash up by its OID or by its HMAC's.
func findHash(oid asn1.ObjectIdentifier) (p12Hash, bool) {
	for _, h := range p12Hashes() {
		if s := oid.String(); s == h.oid || s == h.hmac {
			return h, true
		}
	}
	return p12Hash{}, false
}

// A macScheme is what a macData says about how the MAC is made.
type macScheme struct {
	pbmac1     bool
	kdf, mac   p12Hash
	salt       []byte
	iterations int
	keyLength  int // of PBMAC1
}

// scheme reads the algorithm of the MAC and its parameters.
func (m *macData) scheme() (s macScheme, err error) {
	alg := m.Mac.Algorithm
	var ok bool
	if !alg.Algorithm.Equal(oidPBMAC1) {
		s.mac, ok = findHash(alg.Algorithm)
		if !ok {
			return s, fmt.Errorf("a MAC by %s", alg.Algorithm)
		}
		s.salt, s.iterations = m.Salt, m.Iterations
		return s, nil
	}
	var p pbmac1Params
	if err := unmarshal(alg.Parameters.FullBytes, &p); err != nil {
		return s, fmt.Errorf("the parameters of PBMAC1: %w", err)
	}
	if !p.KDF.Algorithm.Equal(oidPBKDF2) {
		return s, fmt.Errorf("PBMAC1 with %s", p.KDF.Algorithm)
	}
	k, err := readPBKDF2(p.KDF)
	if err != nil {
		return s, err
	}
	// RFC 9579 section 4: the length must be there. Shorter than 20 octets lets
	// MACs be forged, longer than any HMAC's output is only work.
	if k.KeyLength < 20 || k.KeyLength > sha512.Size {
		return s, fmt.Errorf("PBMAC1 with a key of %d octets", k.KeyLength)
	}
	if s.mac, ok = findHash(p.MAC.Algorithm); !ok {
		return s, fmt.Errorf("PBMAC1 with %s", p.MAC.Algorithm)
	}
	if s.kdf, ok = findHash(k.PRF.Algorithm); !ok {
		return s, fmt.Errorf("PBMAC1 with PBKDF2 by %s", k.PRF.Algorithm)
	}
	s.pbmac1, s.salt, s.iterations, s.keyLength = true, k.Salt.Bytes, k.Iterations, k.KeyLength
	return s, nil
}

// readPBKDF2 reads the parameters of PBKDF2 and fills in its default PRF.
func readPBKDF2(alg pkix.AlgorithmIdentifier) (p pbkdf2Params, err error) {
	if err := unmarshal(alg.Parameters.FullBytes, &p); err != nil {
		return p, fmt.Errorf("the parameters of PBKDF2: %w", err)
	}
	if p.Salt.Class != asn1.ClassUniversal || p.Salt.Tag != asn1.TagOctetString {
		return p, errors.New("PBKDF2 with a salt from elsewhere")
	}
	if p.PRF.Algorithm == nil {
		p.PRF.Algorithm = oidHMACSHA1
	}
	return p, nil
}

// sum is the MAC of message under a password as [bmpPassword] made it.
func (s macScheme) sum(message, bmp []byte) ([]byte, error) {
	var key []byte
	if s.pbmac1 {
		// PBKDF2 takes the password in UTF-8 (RFC 9579 section 5, erratum 7974).
		var err error
		if key, err = pbkdf2.Key(s.kdf.new, utf8Password(bmp), s.salt, s.iterations, s.keyLength); err != nil {
			return nil, err
		}
	} else {
		key = macKey(s.mac.new, bmp, s.salt, s.iterations)
	}
	m := hmac.New(s.mac.new, key)
	m.Write(message)
	return m.Sum(nil), nil
}

// macKey is the key derivation of RFC 7292 appendix B.2 for the key of a MAC
// (ID 3). Such a key is as long as one hash, so that there is one block to make
// and steps 6B and 6C fall away.
func macKey(newHash func() hash.Hash, bmp, salt []byte, iterations int) []byte {
	h := newHash()
	v := h.BlockSize()
	h.Write(bytes.Repeat([]byte{3}, v))
	h.Write(fill(salt, v))
	h.Write(fill(bmp, v))
	key := h.Sum(nil)
	for range iterations - 1 {
		h.Reset()
		h.Write(key)
		key = h.Sum(key[:0])
	}
	return key
}

// fill repeats b up to the next multiple of v (steps 2 and 3).
func fill(b []byte, v int) []byte {
	if len(b) == 0 {
		return nil
	}
	n := (len(b) + v - 1) / v * v
	return bytes.Repeat(b, n/len(b)+1)[:n]
}

// bmpPassword writes a password in UCS-2 with a zero at its end (RFC 7292
// appendix B.1).
func bmpPassword(password string) []byte { return append(bmpString(password), 0, 0) }

// bmpString writes the runes of s, all of the basic plane, in UCS-2.
func bmpString(s string) []byte {
	out := make([]byte, 0, 2*len(s)+2)
	for _, r := range s {
		out = append(out, byte(r>>8), byte(r))
	}
	return out
}

// utf8Password undoes [bmpPassword].
func utf8Password(bmp []byte) string { return readBMPString(bytes.TrimSuffix(bmp, []byte{0, 0})) }

// readBMPString reads what is UCS-2 by the book, and UTF-16 in fact.
func readBMPString(bmp []byte) string {
	units := make([]uint16, 0, len(bmp)/2)
	for ; len(bmp) >= 2; bmp = bmp[2:] {
		units = append(units, uint16(bmp[0])<<8|uint16(bmp[1]))
	}
	return string(utf16.Decode(units))
}
