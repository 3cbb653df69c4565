package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// What crypto/x509 makes of the entries of a large CRL takes a kilobyte for each.
// So it makes a CRL without any, up to the signature, and they are put into that.

// generalizedYear is the first that UTCTime cannot say (RFC 5280 section 4.1.2.5).
const generalizedYear = 2050

// revokedEntries returns the entries of a CRL in DER, one after the other (RFC 5280
// section 5.1.2.6).
func revokedEntries(revoked []Revocation) ([]byte, error) {
	const forEach = 48 // bytes, about
	b := cryptobyte.NewBuilder(make([]byte, 0, forEach*len(revoked)))
	seen := make(map[string]bool, len(revoked))
	for _, r := range revoked {
		if r.Serial == nil || seen[string(r.Serial.Bytes())] {
			return nil, fmt.Errorf("the serial %x is in the CRL twice, or missing", r.Serial)
		}
		seen[string(r.Serial.Bytes())] = true
		b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1BigInt(r.Serial)
			at := r.At.UTC()
			if at.Year() >= generalizedYear {
				b.AddASN1GeneralizedTime(at)
			} else {
				b.AddASN1UTCTime(at)
			}
			if r.Reason == Unspecified {
				return
			}
			b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 5, 29, 21})
					b.AddASN1(tag.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(r.Reason)) })
				})
			})
		})
	}
	return b.Bytes()
}

// createCRL signs the CRL that list says, with entries.
func createCRL(list *x509.RevocationList, entries []byte, issuer *x509.Certificate, signer crypto.Signer) ([]byte, error) {
	c := &capture{Signer: signer}
	if _, err := x509.CreateRevocationList(rand.Reader, list, issuer, c); !errors.Is(err, errCaptured) {
		return nil, errors.Join(errors.New("nothing was to be signed"), err)
	}
	tbs, algorithm, err := withEntries(c.message, entries)
	if err != nil {
		return nil, err
	}
	signature, err := crypto.SignMessage(signer, rand.Reader, tbs, c.opts)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

var errCaptured = errors.New("captured")

// A capture stands in for a signer, and learns what there is to sign, and how.
type capture struct {
	crypto.Signer
	message []byte
	opts    crypto.SignerOpts
}

// SignMessage implements [crypto.MessageSigner].
func (c *capture) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.message, c.opts = bytes.Clone(message), opts
	return nil, errCaptured
}

// withEntries puts entries into a TBSCertList that has none, before its extensions
// (RFC 5280 section 5.1), and returns it with its AlgorithmIdentifier.
func withEntries(message, entries []byte) (tbs, algorithm []byte, err error) {
	const fields, algorithmAt, before = 6, 1, 5 // version, signature, issuer, thisUpdate, nextUpdate, extensions
	in := cryptobyte.String(message)
	var list cryptobyte.String
	ok := in.ReadASN1(&list, tag.SEQUENCE) && in.Empty()
	var parts []cryptobyte.String
	for ok && !list.Empty() {
		var part cryptobyte.String
		var kind tag.Tag
		ok = list.ReadAnyASN1Element(&part, &kind)
		parts = append(parts, part)
	}
	if !ok || len(parts) != fields {
		return nil, nil, errors.New("the list to be signed has another form than was thought")
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(message)+len(entries)+before))
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		for i, part := range parts {
			if i == before && len(entries) > 0 {
				b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(entries) })
			}
			b.AddBytes(part)
		}
	})
	tbs, err = b.Bytes()
	return tbs, parts[algorithmAt], err
}
