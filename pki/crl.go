package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// A Reason says why a certificate was revoked (RFC 5280 section 5.3.1).
type Reason int

// The reasons. Hold is the one that can be taken back.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

// Reasons returns all reasons for which a certificate can be revoked.
func Reasons() []Reason {
	return []Reason{
		Unspecified, KeyCompromise, CACompromise, AffiliationChanged, Superseded, CessationOfOperation,
		CertificateHold, PrivilegeWithdrawn, AACompromise,
	}
}

// ParseReason returns the reason that RFC 5280 calls s.
func ParseReason(s string) (Reason, error) {
	var names []string
	for _, r := range Reasons() {
		if strings.EqualFold(s, r.String()) {
			return r, nil
		}
		names = append(names, r.String())
	}
	return 0, fmt.Errorf("unknown reason %q: there are %s", s, strings.Join(names, ", "))
}

// String returns RFC 5280's name of r.
func (r Reason) String() string {
	switch r {
	case Unspecified:
		return "unspecified"
	case KeyCompromise:
		return "keyCompromise"
	case CACompromise:
		return "cACompromise"
	case AffiliationChanged:
		return "affiliationChanged"
	case Superseded:
		return "superseded"
	case CessationOfOperation:
		return "cessationOfOperation"
	case CertificateHold:
		return "certificateHold"
	case PrivilegeWithdrawn:
		return "privilegeWithdrawn"
	case AACompromise:
		return "aACompromise"
	case 8:
		return "removeFromCRL"
	}
	return fmt.Sprintf("reason %d", int(r))
}

// A Revocation is one entry of a CRL.
type Revocation struct {
	Serial *big.Int
	At     time.Time // whole seconds
	Reason Reason    // [Unspecified] is left out of the CRL, as RFC 5280 wants
}

// ErrNotCRLSigner says that an authority's certificate does not let it sign
// CRLs (RFC 5280 section 4.2.1.3).
var ErrNotCRLSigner = errors.New("its key usage lacks crl sign")

// SignsCRLs reports whether the authority's certificate lets it sign CRLs.
func (a *Authority) SignsCRLs() bool {
	usage := a.Certificate().KeyUsage
	return usage == 0 || usage&x509.KeyUsageCRLSign != 0
}

// ErrPoint says that a CRL cannot have the issuing distribution point that was
// asked for.
var ErrPoint = errors.New("no issuing distribution point for its CRLs")

// checkPoints refuses an issuing distribution point by which a CRL would be about
// nothing that the authority signs: RFC 5280 section 6.3.3 (b) (2) takes it for a
// certificate only if one of its names is a distribution point of that
// certificate.
func (a *Authority) checkPoints(points []string) error {
	if len(points) == 0 {
		return nil
	}
	cert := a.Certificate()
	var problem error
	switch {
	case bytes.Equal(cert.RawSubject, cert.RawIssuer):
		problem = errors.New("its own certificate names none, and whoever checks a whole chain by CRLs refuses it then")
	case !slices.ContainsFunc(a.urls.CRL, func(u string) bool { return slices.Contains(points, u) }):
		problem = errors.New("none of its names is a CRL URL of the authority")
	default:
		problem = URLs{CRL: points}.Check()
	}
	if problem != nil {
		return fmt.Errorf("%q: %w: %w", displayName(cert), ErrPoint, problem)
	}
	return nil
}

// pointExtension returns the issuing distribution point extension (RFC 5280
// section 5.2.5) with URLs as its full name: the CRL is about all certificates,
// and all reasons.
func pointExtension(points []string) (pkix.Extension, error) {
	const uri = 6 // uniformResourceIdentifier, section 4.2.1.6
	type pointName struct {
		FullName []asn1.RawValue `asn1:"tag:0"`
	}
	var point struct {
		Name pointName `asn1:"tag:0"`
	}
	for _, u := range points {
		point.Name.FullName = append(point.Name.FullName, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: uri, Bytes: []byte(u)})
	}
	value, err := asn1.Marshal(point)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value}, err
}

// SignCRL signs a complete CRL (RFC 5280 section 5) with the given number, which
// must be greater than that of every CRL before, and which ends on nextUpdate.
// points are the URLs of its issuing distribution point; without any it has none,
// and fits every certificate of the authority. Points that cannot be are
// [ErrPoint]. The result is DER, and has been parsed and verified again.
func (a *Authority) SignCRL(number *big.Int, nextUpdate time.Time, revoked []Revocation, points ...string) ([]byte, error) {
	if a.signer == nil {
		return nil, fmt.Errorf("%q: %w", displayName(a.Certificate()), ErrNoKey)
	}
	issuer := *a.Certificate()
	if !a.SignsCRLs() {
		return nil, fmt.Errorf("%q cannot sign CRLs: %w", displayName(&issuer), ErrNotCRLSigner)
	}
	thisUpdate := a.now().UTC().Truncate(time.Second)
	if !nextUpdate.After(thisUpdate) {
		return nil, &LifetimeError{Problem: "a CRL that has ended already"}
	}
	if number == nil || number.Sign() < 0 || number.BitLen() > 159 {
		return nil, fmt.Errorf("CRL number %v: it must not be negative, and fit in 20 bytes", number)
	}
	if err := a.checkPoints(points); err != nil {
		return nil, err
	}
	// Authorities made elsewhere may lack what an authority key identifier needs.
	if issuer.KeyUsage == 0 {
		issuer.KeyUsage = x509.KeyUsageCRLSign
	}
	if len(issuer.SubjectKeyId) == 0 {
		var err error
		if issuer.SubjectKeyId, err = keyID(issuer.PublicKey); err != nil {
			return nil, err
		}
	}
	list := &x509.RevocationList{Number: number, ThisUpdate: thisUpdate, NextUpdate: nextUpdate.UTC().Truncate(time.Second)}
	if len(points) > 0 {
		point, err := pointExtension(points)
		if err != nil {
			return nil, err
		}
		list.ExtraExtensions = []pkix.Extension{point}
	}
	entries, err := revokedEntries(revoked)
	if err != nil {
		return nil, err
	}
	der, err := createCRL(list, entries, &issuer, a.signer)
	if err != nil {
		return nil, fmt.Errorf("signing a CRL: %w", err)
	}
	signed, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("reading the CRL that was signed: %w", err)
	}
	if err := signed.CheckSignatureFrom(&issuer); err != nil {
		return nil, fmt.Errorf("the CRL that was signed: %w", err)
	}
	if len(signed.RevokedCertificateEntries) != len(revoked) || signed.Number.Cmp(number) != 0 {
		return nil, errors.New("the CRL that was signed differs from what was asked for")
	}
	return der, nil
}
