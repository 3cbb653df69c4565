package pki

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
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

// SignCRL signs a complete CRL (RFC 5280 section 5) with the given number, which
// must be greater than that of every CRL before, and which ends on nextUpdate.
// The result is DER, and has been parsed and verified again.
func (a *Authority) SignCRL(number *big.Int, nextUpdate time.Time, revoked []Revocation) ([]byte, error) {
	if a.signer == nil {
		return nil, fmt.Errorf("%q: %w", displayName(a.Certificate()), ErrNoKey)
	}
	issuer := *a.Certificate()
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, fmt.Errorf("%q cannot sign CRLs: %w", displayName(&issuer), ErrNotCRLSigner)
	}
	thisUpdate := a.now().UTC().Truncate(time.Second)
	if !nextUpdate.After(thisUpdate) {
		return nil, &LifetimeError{Problem: "a CRL that has ended already"}
	}
	if number == nil || number.Sign() < 0 || number.BitLen() > 159 {
		return nil, fmt.Errorf("CRL number %v: it must not be negative, and fit in 20 bytes", number)
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
	seen := make(map[string]bool, len(revoked))
	for _, r := range revoked {
		if r.Serial == nil || seen[string(r.Serial.Bytes())] {
			return nil, fmt.Errorf("the serial %x is in the CRL twice, or missing", r.Serial)
		}
		seen[string(r.Serial.Bytes())] = true
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.Serial, RevocationTime: r.At.UTC(), ReasonCode: int(r.Reason),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, &issuer, a.signer)
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
