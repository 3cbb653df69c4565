package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Subject is the part of a distinguished name that mtlsctl writes. Each value
// becomes an RDN of its own, in the order C, ST, L, O, OU, CN.
type Subject struct {
	CommonName          string   `json:"commonName,omitempty"`
	Organizations       []string `json:"organizations,omitempty"`
	OrganizationalUnits []string `json:"organizationalUnits,omitempty"`
	Countries           []string `json:"countries,omitempty"`
	Provinces           []string `json:"provinces,omitempty"`
	Localities          []string `json:"localities,omitempty"`
}

// A SubjectError says which field of a [Subject] is wrong, and how.
type SubjectError struct {
	Field   string // RFC 4519 short name: CN, O, OU, C, ST, L
	Value   string // as given
	Problem string // what is wrong with it
}

func (e *SubjectError) Error() string {
	return fmt.Sprintf("subject %s %q: %s", e.Field, e.Value, e.Problem)
}

type attribute struct {
	field  string
	oid    asn1.ObjectIdentifier
	max    int // characters: the upper bounds of RFC 5280 appendix A.1
	values []string
}

func (s Subject) attributes() []attribute {
	var cn []string
	if s.CommonName != "" {
		cn = []string{s.CommonName}
	}
	oid := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 4, n} }
	return []attribute{
		{"C", oid(6), 2, s.Countries},
		{"ST", oid(8), 128, s.Provinces},
		{"L", oid(7), 128, s.Localities},
		{"O", oid(10), 64, s.Organizations},
		{"OU", oid(11), 64, s.OrganizationalUnits},
		{"CN", oid(3), 64, cn},
	}
}

// IsEmpty reports whether s has no value at all.
func (s Subject) IsEmpty() bool {
	for _, a := range s.attributes() {
		if len(a.values) > 0 {
			return false
		}
	}
	return true
}

// Check returns a [*SubjectError] for the first value that is empty, longer
// than RFC 5280 appendix A.1 allows, padded with spaces or not printable, and
// for a country that is not two capital letters (ISO 3166).
func (s Subject) Check() error {
	for _, a := range s.attributes() {
		for _, v := range a.values {
			if problem := a.problem(v); problem != "" {
				return &SubjectError{a.field, v, problem}
			}
		}
	}
	return nil
}

func (a attribute) problem(v string) string {
	switch {
	case a.field == "C" && (len(v) != 2 || strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != ""):
		return "a country is two capital letters, as in DE"
	case v == "":
		return "it is empty"
	case !utf8.ValidString(v):
		return "it is not UTF-8"
	case utf8.RuneCountInString(v) > a.max:
		return fmt.Sprintf("it has %d characters; %d is the most", utf8.RuneCountInString(v), a.max)
	case strings.TrimSpace(v) != v:
		return "it begins or ends with a space"
	}
	for _, r := range v {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return fmt.Sprintf("it contains %q", r)
		}
	}
	return ""
}

// raw returns s as DER.
func (s Subject) raw() ([]byte, error) {
	var seq pkix.RDNSequence
	for _, a := range s.attributes() {
		for _, v := range a.values {
			seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: a.oid, Value: v}})
		}
	}
	return asn1.Marshal(seq)
}

// String writes s in the order of RFC 4514: the common name first.
func (s Subject) String() string {
	raw, err := s.raw()
	if err != nil {
		return ""
	}
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return ""
	}
	return seq.String()
}

// SubjectOf returns the fields of a name that a [Subject] has.
func SubjectOf(n pkix.Name) Subject {
	return Subject{
		CommonName:          n.CommonName,
		Organizations:       n.Organization,
		OrganizationalUnits: n.OrganizationalUnit,
		Countries:           n.Country,
		Provinces:           n.Province,
		Localities:          n.Locality,
	}
}

// ParseRawName reads a distinguished name in DER.
func ParseRawName(der []byte) (pkix.Name, error) {
	var seq pkix.RDNSequence
	var n pkix.Name
	rest, err := asn1.Unmarshal(der, &seq)
	if err == nil && len(rest) > 0 {
		err = asn1.SyntaxError{Msg: "data after the name"}
	}
	if err != nil {
		return n, fmt.Errorf("reading a name: %w", err)
	}
	n.FillFromRDNSequence(&seq)
	return n, nil
}
