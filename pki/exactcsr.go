package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/profiles"
)

var oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// ExactFromCSR makes a request of a signing request as cert-manager's issuers
// do: key, subject, the whole extension of names, name constraints and the
// usages, unknown purposes too; nothing else. Whether it is an authority, how
// long it lasts, and the usages that are wanted, are the caller's to set. The
// error's cause is [ErrCSR], for a key also [ErrKey].
func ExactFromCSR(csr *x509.CertificateRequest) (ExactRequest, error) {
	r := ExactRequest{PublicKey: csr.PublicKey, Subject: bytes.Clone(csr.RawSubject)}
	var err error
	if r.Key, err = KeyTypeOf(csr.PublicKey); err != nil {
		return ExactRequest{}, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if san := extensionOf(csr, oidSAN); san != nil {
		r.SAN = bytes.Clone(san.Value)
	}
	asked, err := readAsked(csr)
	if err != nil {
		return ExactRequest{}, err
	}
	r.KeyUsage, r.ExtKeyUsage, r.UnknownExtKeyUsage = asked.KeyUsage, asked.ExtKeyUsage, asked.UnknownExtKeyUsage
	if extensionOf(csr, oidNameConstraints) != nil {
		r.Constraints = exactConstraintsOf(asked)
	}
	return r, nil
}

// CheckExactCSR holds a signing request to what is wanted of it, as
// cert-manager's admission does. Basic constraints, if it has them, must say
// what isCA says; if it has key usages or purposes, the one must be the wanted
// set and the other the wanted list, repetitions and all, purposes without a
// word aside. Subject and names are not looked at. The error's cause is
// [ErrCSR].
func CheckExactCSR(csr *x509.CertificateRequest, wantKU x509.KeyUsage, wantEKU []x509.ExtKeyUsage, isCA bool) error {
	asked, err := readAsked(csr)
	if err != nil {
		return err
	}
	if extensionOf(csr, oidBasicConstraints) != nil && asked.IsCA != isCA {
		if asked.IsCA {
			return fmt.Errorf("%w: its basic constraints ask for an authority", ErrCSR)
		}
		return fmt.Errorf("%w: its basic constraints ask for no authority", ErrCSR)
	}
	if extensionOf(csr, oidKeyUsage) == nil && extensionOf(csr, oidExtKeyUsage) == nil {
		return nil
	}
	if asked.KeyUsage != wantKU {
		return fmt.Errorf("%w: it asks for the key usages %s, and not for %s", ErrCSR, usageWords(asked.KeyUsage, nil), usageWords(wantKU, nil))
	}
	if !slices.Equal(asked.ExtKeyUsage, wantEKU) {
		return fmt.Errorf("%w: it asks for the extended key usages %s, and not for %s, in this order", ErrCSR, usageWords(0, asked.ExtKeyUsage), usageWords(0, wantEKU))
	}
	return nil
}

func usageWords(bits x509.KeyUsage, purposes []x509.ExtKeyUsage) string {
	if words := profiles.FormatUsages(bits, purposes); len(words) > 0 {
		return strings.Join(words, ", ")
	}
	return "none"
}

// readAsked reads the extensions that a signing request asks for and that
// crypto/x509 reads in certificates only.
func readAsked(csr *x509.CertificateRequest) (*x509.Certificate, error) {
	var exts []pkix.Extension
	for _, id := range []asn1.ObjectIdentifier{oidBasicConstraints, oidKeyUsage, oidExtKeyUsage} {
		if e := extensionOf(csr, id); e != nil {
			exts = append(exts, *e)
		}
	}
	constraints := extensionOf(csr, oidNameConstraints)
	if constraints != nil {
		e := *constraints
		e.Critical = true // or nobody tells of kinds that are passed over
		exts = append(exts, e)
	}
	c, err := readStandIn(emptyName(), exts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if constraints != nil {
		if len(c.UnhandledCriticalExtensions) > 0 {
			return nil, fmt.Errorf("%w: its name constraints are of more than DNS, IP, email and URI", ErrCSR)
		}
		c.PermittedDNSDomainsCritical = constraints.Critical
	}
	return c, nil
}

func extensionOf(csr *x509.CertificateRequest, id asn1.ObjectIdentifier) *pkix.Extension {
	for i, e := range csr.Extensions {
		if e.Id.Equal(id) {
			return &csr.Extensions[i]
		}
	}
	return nil
}
