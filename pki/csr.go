package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// ErrCSR is the cause of every refusal of a certificate signing request.
var ErrCSR = errors.New("signing request refused")

// ParseCSR reads a PKCS#10 request (RFC 2986) from PEM or DER, and checks its
// signature, which proves that the asker holds the key, and that the key is one
// that [KeyTypeOf] knows. The error's cause is [ErrCSR], for a key also
// [ErrKey].
func ParseCSR(data []byte) (*x509.CertificateRequest, error) {
	der := data
	block, _ := pem.Decode(data)
	if block != nil {
		if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
			return nil, fmt.Errorf("%w: its PEM says %s, not CERTIFICATE REQUEST", ErrCSR, block.Type)
		}
		der = block.Bytes
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil && block == nil {
		// What the decoder says of text would tell nobody anything.
		return nil, fmt.Errorf("%w: it cannot be read: it is neither PEM nor a request in DER", ErrCSR)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read: %w", ErrCSR, err)
	}
	if _, err := KeyTypeOf(csr.PublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its signature is bad, so the asker has not shown to hold the key: %w", ErrCSR, err)
	}
	return csr, nil
}

var (
	oidSAN              = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// RequestFromCSR makes a request of a signing request: its public key, and of
// the rest what the profile takes over. What is left behind is returned as
// well, in words. A request that asks to become an authority, whose names
// cannot be certified, or whose key is none of [profiles.KeyTypes], is an error
// of cause [ErrCSR], for a key also [ErrKey].
func RequestFromCSR(p *profiles.Profile, csr *x509.CertificateRequest) (r Request, left []string, err error) {
	kt, err := KeyTypeOf(csr.PublicKey)
	if err == nil {
		err = checkListed(kt)
	}
	if err != nil {
		return Request{}, nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	r.PublicKey = csr.PublicKey
	r.Subject, left = subjectFromCSR(p, csr.Subject)
	for _, e := range csr.Extensions {
		switch {
		case e.Id.Equal(oidSAN):
			for range otherNames(e.Value) {
				left = append(left, "a name that is none of "+profiles.JoinKinds(profiles.SANKinds(), ", "))
			}
		case asksForCA(e):
			return Request{}, nil, fmt.Errorf("%w: it asks for an authority; make one with init-ca", ErrCSR)
		case e.Id.Equal(oidBasicConstraints):
		default:
			left = append(left, "extension "+ExtensionName(e.Id))
		}
	}
	names := &x509.Certificate{DNSNames: csr.DNSNames, EmailAddresses: csr.EmailAddresses, IPAddresses: csr.IPAddresses, URIs: csr.URIs}
	for _, s := range SANsOf(names) {
		if !p.TakesFromCSR(string(s.kind)) {
			left = append(left, s.String())
			continue
		}
		checked, err := NewSAN(s.kind, s.value)
		if err != nil {
			return Request{}, nil, fmt.Errorf("%w: %w", ErrCSR, err)
		}
		r.SANs = append(r.SANs, checked)
	}
	return r, left, nil
}

func subjectFromCSR(p *profiles.Profile, n pkix.Name) (s Subject, left []string) {
	asked := SubjectOf(n)
	take := func(word, field string, to *[]string, from []string) {
		if p.TakesFromCSR(word) {
			*to = from
			return
		}
		for _, v := range from {
			left = append(left, field+"="+v)
		}
	}
	take(profiles.CSRCountries, "C", &s.Countries, asked.Countries)
	take(profiles.CSRProvinces, "ST", &s.Provinces, asked.Provinces)
	take(profiles.CSRLocalities, "L", &s.Localities, asked.Localities)
	take(profiles.CSROrganizations, "O", &s.Organizations, asked.Organizations)
	take(profiles.CSROrganizationalUnits, "OU", &s.OrganizationalUnits, asked.OrganizationalUnits)
	if p.TakesFromCSR(profiles.CSRCommonName) {
		s.CommonName = asked.CommonName
	} else if asked.CommonName != "" {
		left = append(left, "CN="+asked.CommonName)
	}
	for _, a := range n.Names {
		known := false
		for _, k := range s.attributes() {
			known = known || a.Type.Equal(k.oid) && (k.field != "CN" || a.Value == asked.CommonName)
		}
		if !known {
			left = append(left, fmt.Sprintf("%s=%v", a.Type, a.Value))
		}
	}
	return s, left
}

// asksForCA reports whether an extension asks for what makes an authority: cA
// in the basic constraints, or cert sign in the key usage.
func asksForCA(e pkix.Extension) bool {
	switch {
	case e.Id.Equal(oidBasicConstraints):
		var bc struct {
			IsCA    bool `asn1:"optional"`
			PathLen int  `asn1:"optional,default:-1"`
		}
		_, err := asn1.Unmarshal(e.Value, &bc)
		return err != nil || bc.IsCA
	case e.Id.Equal(oidKeyUsage):
		var bits asn1.BitString
		_, err := asn1.Unmarshal(e.Value, &bits)
		return err != nil || bits.At(5) == 1
	}
	return false
}

// otherNames counts the names in a SAN extension that crypto/x509 passes over:
// all but rfc822Name [1], dNSName [2], URI [6] and iPAddress [7].
func otherNames(san []byte) (n int) {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(san, &names); err != nil {
		return 0
	}
	for _, name := range names {
		if !strings.ContainsRune("\x01\x02\x06\x07", rune(name.Tag)) {
			n++
		}
	}
	return n
}
