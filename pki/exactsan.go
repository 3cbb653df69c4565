package pki

import (
	"encoding/asn1"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// The tags of a GeneralName (RFC 5280 section 4.2.1.6).
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// MarshalSAN writes names as the value of a subjectAltName extension in DER, in
// the order DNS, email, IP, URI, other. They are written as they stand, twice if
// they are there twice; IPv4 addresses take 4 bytes, IPv4-mapped ones too. No
// names give nil. What cannot be written is a [*SANError].
func MarshalSAN(names ExactNames) ([]byte, error) {
	var all []asn1.RawValue
	for _, list := range []struct {
		tag    int
		kind   profiles.SANKind
		values []string
	}{
		{tagDNS, profiles.KindDNS, names.DNS},
		{tagEmail, profiles.KindEmail, names.Emails},
		{tagIP, profiles.KindIP, names.IPs},
		{tagURI, profiles.KindURI, names.URIs},
	} {
		for _, v := range list.values {
			b, problem := []byte(v), ""
			if list.kind == profiles.KindIP {
				b, problem = addressBytes(v)
			} else if !isASCII(v) {
				problem = "a certificate holds it in ASCII only"
			}
			if problem != "" {
				return nil, &SANError{Kind: list.kind, Value: v, Problem: problem}
			}
			all = append(all, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: list.tag, Bytes: b})
		}
	}
	for _, n := range names.Others {
		der, err := n.marshal()
		if err != nil {
			return nil, err
		}
		all = append(all, asn1.RawValue{FullBytes: der})
	}
	if len(all) == 0 {
		return nil, nil
	}
	der, err := asn1.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("writing names: %w", err)
	}
	return der, nil
}

func addressBytes(s string) (b []byte, problem string) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return nil, "that is no IPv4 or IPv6 address"
	case a.Zone() != "":
		return nil, "a zone means something on one machine only"
	}
	return a.Unmap().AsSlice(), ""
}

// isASCII reports whether s fits in an IA5String.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

func (n OtherName) marshal() ([]byte, error) {
	fail := func(problem string) ([]byte, error) {
		return nil, &SANError{Value: n.Value, Problem: problem}
	}
	switch {
	case !possibleOID(n.OID, math.MaxInt-80):
		return fail(fmt.Sprintf("its kind %s is no object identifier that DER can hold", n.OID))
	case n.Value == "":
		return fail("it is empty")
	case !utf8.ValidString(n.Value):
		return fail("it is not UTF-8")
	}
	der, err := asn1.MarshalWithParams(struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"tag:0,explicit,utf8"`
	}{n.OID, n.Value}, "tag:0")
	if err != nil {
		return fail(err.Error())
	}
	return der, nil
}

// possibleOID reports whether DER can hold an object identifier (X.690 section
// 8.19.4), with no number above the most that is read again.
func possibleOID(id asn1.ObjectIdentifier, most int) bool {
	if len(id) < 2 || id[0] > 2 || id[0] < 2 && id[1] >= 40 {
		return false
	}
	for i, n := range id {
		if i == 1 {
			n += 80 // the two first are written as one number
		}
		if n < 0 || id[i] < 0 || n > most {
			return false
		}
	}
	return true
}
