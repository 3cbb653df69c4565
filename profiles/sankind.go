package profiles

import (
	"fmt"
	"slices"
	"strings"
)

// SANKind names a kind of subject alternative name (RFC 5280 section 4.2.1.6).
// A SPIFFE ID is a URI with rules of its own, and so a kind of its own.
type SANKind string

// The kinds of subject alternative names that mtlsctl certifies.
const (
	KindDNS    SANKind = "dns"
	KindIP     SANKind = "ip"
	KindEmail  SANKind = "email"
	KindURI    SANKind = "uri"
	KindSPIFFE SANKind = "spiffe"
)

// SANKinds returns all kinds of names.
func SANKinds() []SANKind { return []SANKind{KindDNS, KindIP, KindEmail, KindURI, KindSPIFFE} }

// ParseSANKind returns the kind that s names, in whatever case, or an error
// that lists those there are.
func ParseSANKind(s string) (SANKind, error) {
	k := SANKind(strings.ToLower(s))
	if slices.Contains(SANKinds(), k) {
		return k, nil
	}
	return "", fmt.Errorf("unknown SAN kind %q: there are %s", s, JoinKinds(SANKinds(), ", "))
}

// String returns k as a person reads it: "DNS", "IP", "email", "URI", "SPIFFE".
func (k SANKind) String() string {
	if k == KindEmail {
		return string(k)
	}
	return strings.ToUpper(string(k))
}

// JoinKinds writes kinds in their flag spelling, with sep between them.
func JoinKinds(kinds []SANKind, sep string) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, sep)
}
