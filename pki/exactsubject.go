package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// ExactSubject writes a name in DER as crypto/x509 does: the attributes in the
// order C, ST, L, STREET, postalCode, O, OU, CN, serialNumber, all values of one
// in one RDN, and values as PrintableString where they fit. A value that is not
// UTF-8 is a [*SubjectError].
func ExactSubject(n pkix.Name) ([]byte, error) { return marshalRDNs(n.ToRDNSequence()) }

// literalFields are the attributes that a literal subject may name by a word,
// in capitals only.
var literalFields = map[string]asn1.ObjectIdentifier{
	"C":            {2, 5, 4, 6},
	"ST":           {2, 5, 4, 8},
	"L":            {2, 5, 4, 7},
	"STREET":       {2, 5, 4, 9},
	"O":            {2, 5, 4, 10},
	"OU":           {2, 5, 4, 11},
	"CN":           {2, 5, 4, 3},
	"SERIALNUMBER": {2, 5, 4, 5},
	"DC":           {0, 9, 2342, 19200300, 100, 1, 25}, // RFC 4519 section 2.4
	"UID":          {0, 9, 2342, 19200300, 100, 1, 1},  // section 2.39
}

// LiteralSubject writes a distinguished name of RFC 4514 in DER as cert-manager
// reads it: the last RDN first; the keys C, ST, L, STREET, O, OU, CN,
// SERIALNUMBER, DC and UID in capitals, or an OID in dots; several values of one
// RDN joined by "+". What cannot be written is a [*SubjectError], what is no
// such name an error that says where it stops being one.
func LiteralSubject(s string) ([]byte, error) {
	dn, err := ldap.ParseDN(s)
	if err != nil {
		return nil, fmt.Errorf("no distinguished name as in RFC 4514: %w", err)
	}
	seq := make(pkix.RDNSequence, 0, len(dn.RDNs))
	for _, rdn := range slices.Backward(dn.RDNs) {
		var set pkix.RelativeDistinguishedNameSET
		for _, a := range rdn.Attributes {
			id, problem := literalField(a.Type)
			if problem != "" {
				return nil, &SubjectError{a.Type, a.Value, problem}
			}
			set = append(set, pkix.AttributeTypeAndValue{Type: id, Value: a.Value})
		}
		seq = append(seq, set)
	}
	return marshalRDNs(seq)
}

func literalField(key string) (id asn1.ObjectIdentifier, problem string) {
	if id, ok := literalFields[key]; ok {
		return id, ""
	}
	for part := range strings.SplitSeq(key, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			if _, ok := literalFields[strings.ToUpper(key)]; ok {
				return nil, "the key is written " + strings.ToUpper(key)
			}
			return nil, "the key is none of C, ST, L, STREET, O, OU, CN, SERIALNUMBER, DC and UID, and no OID"
		}
		id = append(id, n)
	}
	if !possibleOID(id, math.MaxInt32) {
		return nil, "the key is no OID that DER can hold"
	}
	return id, ""
}

func marshalRDNs(seq pkix.RDNSequence) ([]byte, error) {
	for _, rdn := range seq {
		for _, a := range rdn {
			if v, ok := a.Value.(string); ok && !utf8.ValidString(v) {
				return nil, &SubjectError{fieldName(a.Type), v, "it is not UTF-8"}
			}
		}
	}
	der, err := asn1.Marshal(seq)
	if err != nil {
		return nil, fmt.Errorf("writing a subject: %w", err)
	}
	return der, nil
}

// fieldName returns the short name of an attribute, or its OID.
func fieldName(id asn1.ObjectIdentifier) string {
	if name, ok := nameFields[id.String()]; ok {
		return name
	}
	return id.String()
}

// CommonNames returns the common names of a subject in DER, in its order. What
// is no name has none.
func CommonNames(subject []byte) (all []string) {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(subject, &seq); err != nil {
		return nil
	}
	for _, rdn := range seq {
		for _, a := range rdn {
			if v, ok := a.Value.(string); ok && a.Type.Equal(literalFields["CN"]) {
				all = append(all, v)
			}
		}
	}
	return all
}
