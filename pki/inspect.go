package pki

import (
	"crypto/dsa" //nolint:staticcheck // to name what others still have
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// This file says in words what certificates, requests and CRLs of others hold,
// also what mtlsctl would neither make nor accept.

// FormatName writes a distinguished name in DER as RFC 4514 has it: the last
// attribute first, with the short names of RFC 4519 and, for email addresses,
// OpenSSL's. What is no name is written as its bytes.
func FormatName(der []byte) string {
	var seq []rawRDNSET
	if rest, err := asn1.Unmarshal(der, &seq); err != nil || len(rest) > 0 {
		if len(der) == 0 {
			return ""
		}
		return "#" + hex.EncodeToString(der)
	}
	var b strings.Builder
	for i := len(seq) - 1; i >= 0; i-- {
		for j, a := range seq[i] {
			switch {
			case j > 0:
				b.WriteByte('+')
			case i < len(seq)-1:
				b.WriteByte(',')
			}
			field, ok := nameFields[a.Type.String()]
			if !ok {
				field = a.Type.String()
			}
			b.WriteString(field)
			b.WriteByte('=')
			if text, ok := textOf(a.Value); ok {
				b.WriteString(escapeName(text))
			} else {
				b.WriteString("#" + hex.EncodeToString(a.Value.FullBytes))
			}
		}
	}
	return b.String()
}

// rawRDNSET is a RelativeDistinguishedName whose values are not read yet.
// encoding/asn1 knows a set by the end of its type's name.
type rawRDNSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// textOf reads a string of any of ASN.1's kinds.
func textOf(raw asn1.RawValue) (string, bool) {
	var v any
	if _, err := asn1.Unmarshal(raw.FullBytes, &v); err != nil {
		return "", false
	}
	text, ok := v.(string)
	return text, ok && utf8.ValidString(text)
}

// nameFields are the short names of attributes.
var nameFields = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.4":                    "SN",
	"2.5.4.5":                    "SERIALNUMBER",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "STREET",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.12":                   "title",
	"2.5.4.17":                   "POSTALCODE",
	"2.5.4.42":                   "givenName",
	"2.5.4.97":                   "organizationIdentifier",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
}

// escapeName escapes a value (RFC 4514 section 2.4).
func escapeName(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case strings.ContainsRune(`,+"\<>;`, r),
			r == '#' && i == 0,
			r == ' ' && (i == 0 || i == len(s)-1):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ExtensionName is what people call an extension, or its OID.
func ExtensionName(id asn1.ObjectIdentifier) string {
	if name, ok := extensionNames[id.String()]; ok {
		return name
	}
	return id.String()
}

var extensionNames = map[string]string{
	"2.5.29.9":                    "subject directory attributes",
	"2.5.29.14":                   "subject key identifier",
	"2.5.29.15":                   "key usage",
	"2.5.29.16":                   "private key usage period",
	"2.5.29.17":                   "subject alternative name",
	"2.5.29.18":                   "issuer alternative name",
	"2.5.29.19":                   "basic constraints",
	"2.5.29.20":                   "CRL number",
	"2.5.29.27":                   "delta CRL indicator",
	"2.5.29.28":                   "issuing distribution point",
	"2.5.29.30":                   "name constraints",
	"2.5.29.31":                   "CRL distribution points",
	"2.5.29.32":                   "certificate policies",
	"2.5.29.33":                   "policy mappings",
	"2.5.29.35":                   "authority key identifier",
	"2.5.29.36":                   "policy constraints",
	"2.5.29.37":                   "extended key usage",
	"2.5.29.46":                   "freshest CRL",
	"2.5.29.54":                   "inhibit any policy",
	"1.3.6.1.5.5.7.1.1":           "authority information access",
	"1.3.6.1.5.5.7.1.3":           "qualified certificate statements",
	"1.3.6.1.5.5.7.1.11":          "subject information access",
	"1.3.6.1.5.5.7.1.24":          "TLS feature",
	"1.3.6.1.5.5.7.48.1.5":        "no OCSP check",
	"1.3.6.1.4.1.311.20.2":        "Microsoft certificate template name",
	"1.3.6.1.4.1.311.21.1":        "Microsoft CA version",
	"1.3.6.1.4.1.311.21.7":        "Microsoft certificate template",
	"1.3.6.1.4.1.311.21.10":       "Microsoft application policies",
	"1.3.6.1.4.1.11129.2.4.2":     "certificate transparency timestamps",
	"1.3.6.1.4.1.11129.2.4.3":     "certificate transparency poison",
	"1.3.6.1.4.1.37476.9000.64.1": "step provisioner",
	"2.16.840.1.113730.1.1":       "Netscape certificate type",
	"2.16.840.1.113730.1.13":      "Netscape comment",
}

// OtherNames returns, in words, the subject alternative names that [SANsOf]
// passes over since crypto/x509 does: directory names, user principal names and
// other rarities.
func OtherNames(exts []pkix.Extension) (all []string) {
	for _, e := range exts {
		var names []asn1.RawValue
		if !e.Id.Equal(oidSAN) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &names); err != nil {
			continue
		}
		for _, n := range names {
			switch {
			case n.Class != asn1.ClassContextSpecific:
			case n.Tag == 0:
				all = append(all, otherName(n.FullBytes))
			case n.Tag == 3:
				all = append(all, "X.400 address")
			case n.Tag == 4:
				all = append(all, "directory name "+FormatName(n.Bytes))
			case n.Tag == 5:
				all = append(all, "EDI party name")
			case n.Tag == 8:
				var id asn1.ObjectIdentifier
				if _, err := asn1.UnmarshalWithParams(n.FullBytes, &id, "tag:8"); err == nil {
					all = append(all, "registered ID "+id.String())
				}
			}
		}
	}
	return all
}

// otherName writes an otherName (RFC 5280 section 4.2.1.6), with its value if
// that is text.
func otherName(der []byte) string {
	var n struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue // [0] EXPLICIT
	}
	if _, err := asn1.UnmarshalWithParams(der, &n, "tag:0"); err != nil {
		return "other name"
	}
	kind := "other name " + n.ID.String()
	if n.ID.String() == "1.3.6.1.4.1.311.20.2.3" {
		kind = "user principal name"
	}
	var value asn1.RawValue
	if _, err := asn1.Unmarshal(n.Value.Bytes, &value); err != nil {
		return kind
	}
	if text, ok := textOf(value); ok {
		return kind + " " + text
	}
	return kind
}

// UsagesIn returns what extensions say on usages, for signing requests, of
// which crypto/x509 reads only the names: the bits, the purposes, the purposes
// it does not know, and whether an authority is asked for.
func UsagesIn(exts []pkix.Extension) (bits x509.KeyUsage, purposes []x509.ExtKeyUsage, unknown []asn1.ObjectIdentifier, ca bool) {
	for _, e := range exts {
		ca = ca || asksForCA(e)
		switch e.Id.String() {
		case oidKeyUsage.String():
			var b asn1.BitString
			if _, err := asn1.Unmarshal(e.Value, &b); err != nil {
				continue
			}
			for i := range 9 {
				bits |= x509.KeyUsage(b.At(i) << i)
			}
		case "2.5.29.37":
			var ids []asn1.ObjectIdentifier
			if _, err := asn1.Unmarshal(e.Value, &ids); err != nil {
				continue
			}
			for _, id := range ids {
				if p, ok := purposeOf(id); ok {
					purposes = append(purposes, p)
				} else {
					unknown = append(unknown, id)
				}
			}
		}
	}
	return bits, purposes, unknown, ca
}

func purposeOf(id asn1.ObjectIdentifier) (x509.ExtKeyUsage, bool) {
	for p := x509.ExtKeyUsageAny; p <= x509.ExtKeyUsageMicrosoftKernelCodeSigning; p++ {
		if p.OID().String() == id.String() {
			return p, true
		}
	}
	return 0, false
}

// DescribeKey says what a public key is, in the words of [profiles.KeyType] as
// far as they go, and why it is weak, if it is. It takes the key as a
// SubjectPublicKeyInfo in DER, so that it can name what cannot be parsed.
func DescribeKey(spki []byte) (text, weakness string) {
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(spki, &info); err != nil {
			return "unknown", ""
		}
		return algorithmText(info.Algorithm), ""
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		text = fmt.Sprintf("RSA %d", bits)
		switch {
		case bits < 2048:
			return text, "too weak: RSA needs 2048 bits at least"
		case k.E < 65537:
			return text, fmt.Sprintf("weak: its exponent is %d, and 65537 is the least", k.E)
		}
		return text, ""
	case *ecdsa.PublicKey:
		if p := k.Params(); p.BitSize < 256 {
			return "EC " + p.Name, "weaker than P-256, the least"
		}
		return "EC " + k.Params().Name, ""
	case ed25519.PublicKey:
		return "Ed25519", ""
	case *ecdh.PublicKey:
		return fmt.Sprint(k.Curve()), "it agrees on keys and cannot sign"
	case *dsa.PublicKey:
		return fmt.Sprintf("DSA %d", k.P.BitLen()), "no program accepts DSA in TLS any more"
	}
	return "unknown", ""
}

// algorithmText names the algorithm of a key, or of a signature, that
// crypto/x509 does not know.
func algorithmText(a pkix.AlgorithmIdentifier) string {
	id := a.Algorithm.String()
	if id == "1.2.840.10045.2.1" {
		var curve asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(a.Parameters.FullBytes, &curve); err != nil {
			return "EC on a curve of its own"
		}
		if name, ok := rareCurves[curve.String()]; ok {
			return "EC " + name
		}
		return "EC on the curve " + curve.String()
	}
	if name, ok := rareAlgorithms[id]; ok {
		return name
	}
	return id
}

var rareCurves = map[string]string{
	"1.2.840.10045.3.1.1":   "P-192",
	"1.3.132.0.10":          "secp256k1",
	"1.3.36.3.3.2.8.1.1.7":  "brainpoolP256r1",
	"1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
	"1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
	"1.2.156.10197.1.301":   "SM2",
}

var rareAlgorithms = map[string]string{
	"1.2.840.113549.1.1.1":    "RSA",
	"1.2.840.113549.1.1.10":   "RSA-PSS",
	"1.2.840.113549.1.1.14":   "SHA224-RSA",
	"1.2.840.10045.4.3.1":     "ECDSA-SHA224",
	"1.2.840.10040.4.1":       "DSA",
	"1.2.840.113549.1.3.1":    "DH",
	"1.3.101.110":             "X25519",
	"1.3.101.111":             "X448",
	"1.3.101.112":             "Ed25519",
	"1.3.101.113":             "Ed448",
	"2.16.840.1.101.3.4.3.17": "ML-DSA-44",
	"2.16.840.1.101.3.4.3.18": "ML-DSA-65",
	"2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}

// DescribeSignature says how a certificate, request or CRL in DER is signed,
// and why that is weak, if it is.
func DescribeSignature(alg x509.SignatureAlgorithm, der []byte) (text, weakness string) {
	switch alg {
	case x509.UnknownSignatureAlgorithm:
		var signed struct {
			TBS       asn1.RawValue
			Algorithm pkix.AlgorithmIdentifier
			Signature asn1.BitString
		}
		if _, err := asn1.Unmarshal(der, &signed); err != nil {
			return "unknown", ""
		}
		return algorithmText(signed.Algorithm), ""
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return alg.String(), "too weak: it can be forged, and verifiers refuse it"
	}
	return alg.String(), ""
}
