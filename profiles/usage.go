package profiles

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// keyUsageWords are cert-manager's names of the bits of RFC 5280 section
// 4.2.1.3, in the order of the bits. The first name of a bit is the one that is
// written.
var keyUsageWords = []struct {
	word string
	bit  x509.KeyUsage
}{
	{"digital signature", x509.KeyUsageDigitalSignature},
	{"signing", x509.KeyUsageDigitalSignature},
	{"content commitment", x509.KeyUsageContentCommitment},
	{"key encipherment", x509.KeyUsageKeyEncipherment},
	{"data encipherment", x509.KeyUsageDataEncipherment},
	{"key agreement", x509.KeyUsageKeyAgreement},
	{"cert sign", x509.KeyUsageCertSign},
	{"crl sign", x509.KeyUsageCRLSign},
	{"encipher only", x509.KeyUsageEncipherOnly},
	{"decipher only", x509.KeyUsageDecipherOnly},
}

// extKeyUsageWords are cert-manager's names of the purposes of RFC 5280 section
// 4.2.1.12 and of two vendors.
var extKeyUsageWords = []struct {
	word  string
	usage x509.ExtKeyUsage
}{
	{"any", x509.ExtKeyUsageAny},
	{"server auth", x509.ExtKeyUsageServerAuth},
	{"client auth", x509.ExtKeyUsageClientAuth},
	{"code signing", x509.ExtKeyUsageCodeSigning},
	{"email protection", x509.ExtKeyUsageEmailProtection},
	{"s/mime", x509.ExtKeyUsageEmailProtection},
	{"ipsec end system", x509.ExtKeyUsageIPSECEndSystem},
	{"ipsec tunnel", x509.ExtKeyUsageIPSECTunnel},
	{"ipsec user", x509.ExtKeyUsageIPSECUser},
	{"timestamping", x509.ExtKeyUsageTimeStamping},
	{"ocsp signing", x509.ExtKeyUsageOCSPSigning},
	{"microsoft sgc", x509.ExtKeyUsageMicrosoftServerGatedCrypto},
	{"netscape sgc", x509.ExtKeyUsageNetscapeServerGatedCrypto},
}

// UsageWords returns every usage word there is, key usages first.
func UsageWords() []string {
	var words []string
	for _, k := range keyUsageWords {
		words = append(words, k.word)
	}
	for _, e := range extKeyUsageWords {
		words = append(words, e.word)
	}
	return words
}

// ParseUsage turns one of cert-manager's usage words into a bit of the key usage
// extension, or, if bit is zero, into a purpose of the extended one. An unknown
// word is an error that lists those there are.
func ParseUsage(word string) (bit x509.KeyUsage, purpose x509.ExtKeyUsage, err error) {
	for _, k := range keyUsageWords {
		if word == k.word {
			return k.bit, 0, nil
		}
	}
	for _, e := range extKeyUsageWords {
		if word == e.word {
			return 0, e.usage, nil
		}
	}
	return 0, 0, fmt.Errorf("unknown usage %q: there are %s", word, strings.Join(UsageWords(), ", "))
}

// ParseUsages turns cert-manager's usage words into the bits of the key usage
// extension and the purposes of the extended one, these in the order given and
// each once. An unknown word is an error that lists those there are.
func ParseUsages(words []string) (x509.KeyUsage, []x509.ExtKeyUsage, error) {
	var bits x509.KeyUsage
	var purposes []x509.ExtKeyUsage
	for _, w := range words {
		bit, purpose, err := ParseUsage(w)
		switch {
		case err != nil:
			return 0, nil, err
		case bit != 0:
			bits |= bit
		case !slices.Contains(purposes, purpose):
			purposes = append(purposes, purpose)
		}
	}
	return bits, purposes, nil
}

// FormatUsages is the reverse of [ParseUsages]: the words for the bits, in
// their order, then for the purposes. A purpose without a word is left out.
func FormatUsages(bits x509.KeyUsage, purposes []x509.ExtKeyUsage) []string {
	var words []string
	for _, k := range keyUsageWords {
		if bits&k.bit != 0 {
			words = append(words, k.word)
			bits &^= k.bit
		}
	}
	for _, p := range purposes {
		for _, e := range extKeyUsageWords {
			if p == e.usage {
				words = append(words, e.word)
				break
			}
		}
	}
	return words
}

// purposeBits returns the key usages that go with a purpose; zero for purposes
// of which RFC 5280 section 4.2.1.12 says nothing.
func purposeBits(p x509.ExtKeyUsage) x509.KeyUsage {
	const (
		sign    = x509.KeyUsageDigitalSignature
		commit  = x509.KeyUsageContentCommitment
		encrypt = x509.KeyUsageKeyEncipherment
		agree   = x509.KeyUsageKeyAgreement
	)
	switch p {
	case x509.ExtKeyUsageServerAuth:
		return sign | encrypt | agree
	case x509.ExtKeyUsageClientAuth:
		return sign | agree
	case x509.ExtKeyUsageCodeSigning:
		return sign
	case x509.ExtKeyUsageEmailProtection:
		return sign | commit | encrypt | agree
	case x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning:
		return sign | commit
	}
	return 0
}

// consistent returns an error for the first key usage that goes with none of
// the purposes: no application could use a key for it.
func consistent(bits x509.KeyUsage, purposes []x509.ExtKeyUsage) error {
	if len(purposes) == 0 {
		return nil
	}
	var all x509.KeyUsage
	for _, p := range purposes {
		b := purposeBits(p)
		if b == 0 {
			return nil
		}
		all |= b
	}
	if odd := FormatUsages(bits&^all, nil); len(odd) > 0 {
		return fmt.Errorf("%q does not go with %s (RFC 5280 section 4.2.1.12)", odd[0], strings.Join(FormatUsages(0, purposes), ", "))
	}
	return nil
}
