package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// PrepareAgain makes the draft that certifies an authority anew, to be signed by
// a: the same subject and extensions, byte for byte, for the same key or for a
// new one of its type, from a minute ago. What a certified before under that
// name and key stays valid below the new certificate. It lasts for validity; what
// passes the issuer's end is cut to it, with a warning.
//
// Errors: [*LifetimeError], [*SubjectError], and those of causes [ErrNotCA],
// [ErrPathLength] and [ErrKey].
func (a *Authority) PrepareAgain(old *x509.Certificate, validity time.Duration) (*Draft, error) {
	if err := a.checkPathLength(); err != nil {
		return nil, err
	}
	n := pathLenOf(old)
	switch limit := a.PathLen(); {
	case limit == 0:
		return nil, fmt.Errorf("%q signs no authorities: %w", displayName(a.Certificate()), ErrPathLength)
	case limit > 0 && n >= limit:
		return nil, fmt.Errorf("%q signs authorities with a path length of at most %d: %w", displayName(a.Certificate()), limit-1, ErrPathLength)
	}
	if err := a.checkSubject(old.RawSubject, SubjectOf(old.Subject)); err != nil {
		return nil, err
	}
	return prepareAgain(&Draft{issuer: a}, a, old, validity)
}

// PrepareRootAgain is [Authority.PrepareAgain] for a root, to be signed with
// [SignRoot]; now is the current time.
func PrepareRootAgain(old *x509.Certificate, validity time.Duration, now time.Time) (*Draft, error) {
	return prepareAgain(&Draft{}, &Authority{now: func() time.Time { return now }}, old, validity)
}

func prepareAgain(d *Draft, issuer *Authority, old *x509.Certificate, validity time.Duration) (*Draft, error) {
	if !old.BasicConstraintsValid || !old.IsCA {
		return nil, fmt.Errorf("%q is %w: its basic constraints say so", displayName(old), ErrNotCA)
	}
	var err error
	if d.key, err = KeyTypeOf(old.PublicKey); err != nil {
		return nil, err
	}
	d.former = old
	t := new(x509.Certificate)
	*t = *old
	t.PublicKey, t.Raw, t.Extensions, t.ExtraExtensions = nil, nil, nil, nil
	t.SignatureAlgorithm, t.SubjectKeyId, t.AuthorityKeyId = x509.UnknownSignatureAlgorithm, nil, nil
	for _, e := range old.Extensions {
		if !e.Id.Equal(oidSubjectKeyID()) && !e.Id.Equal(oidAuthorityKeyID()) {
			t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: e.Id, Critical: e.Critical, Value: bytes.Clone(e.Value)})
		}
	}
	if err := d.setLifetime(issuer, t, Lifetime{}, validity); err != nil {
		return nil, err
	}
	d.template = t
	return d, nil
}

func oidSubjectKeyID() asn1.ObjectIdentifier   { return asn1.ObjectIdentifier{2, 5, 29, 14} }
func oidAuthorityKeyID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 35} }

// identifyAgain keeps the identifier of a key that stays, however it was made:
// what it signed names it. cert-manager's choice of algorithm stays, too.
func (d *Draft) identifyAgain(t, parent *x509.Certificate, pub, signer crypto.PublicKey) error {
	self := parent == t
	if err := identify(t, parent, pub); err != nil {
		return err
	}
	if SamePublicKey(pub, d.former.PublicKey) && len(d.former.SubjectKeyId) > 0 {
		t.SubjectKeyId = bytes.Clone(d.former.SubjectKeyId)
	}
	if self {
		t.AuthorityKeyId = nil
		if len(d.former.AuthorityKeyId) > 0 {
			t.AuthorityKeyId = t.SubjectKeyId
		}
	}
	if algorithm, err := exactAlgorithm(signer); err == nil && algorithm == d.former.SignatureAlgorithm {
		t.SignatureAlgorithm = algorithm
	}
	return nil
}

// AcceptsSerial reports whether a certificate takes an authority's certificate of
// this serial for its issuer's. It may name not only the key but also the serial
// there (RFC 5280 section 4.2.1.1): OpenSSL then takes no other one, were it for
// the same key.
func AcceptsSerial(cert, issuer *x509.Certificate) bool {
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidAuthorityKeyID()) {
			continue
		}
		var id struct {
			Key    []byte        `asn1:"optional,tag:0"`
			Issuer asn1.RawValue `asn1:"optional,tag:1"`
			Serial *big.Int      `asn1:"optional,tag:2"`
		}
		_, err := asn1.Unmarshal(e.Value, &id)
		return err != nil || id.Serial == nil || id.Serial.Cmp(issuer.SerialNumber) == 0
	}
	return true
}
