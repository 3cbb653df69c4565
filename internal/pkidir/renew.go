package pkidir

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// ErrIsAuthority says that what is asked for is done to certificates only.
var ErrIsAuthority = errors.New("that is an authority")

// RenewalTime returns when a certificate is due: when two thirds of its
// lifetime are over.
func RenewalTime(e *ledger.Entry) time.Time {
	return e.NotAfter.Add(-e.NotAfter.Sub(e.NotBefore) / 3)
}

// Renewal makes the order that asks for the same as an entry's once did, from
// the profile of the entry. With reuseKey it is for the same key, as it always
// is where the key is somebody else's. What was asked for exactly needs no profile,
// and is asked for with the manifest that it has.
func (d *Dir) Renewal(e *ledger.Entry, p *profiles.Profile, reuseKey bool) (Order, error) {
	if e.Kind != ledger.KindCertificate {
		return Order{}, fmt.Errorf("%q: %w", e.Name, ErrIsAuthority)
	}
	name, err := pki.ParseName(e.Name)
	if err != nil {
		return Order{}, err
	}
	var r record
	if err := json.Unmarshal(e.Request, &r); err != nil {
		return Order{}, fmt.Errorf("the record of %q in the ledger: %w", e.Name, err)
	}
	o := Order{Name: name, Profile: p, Encoding: r.Encoding, Authority: e.Issuer, Exact: r.Exact, Manifest: e.Manifest}
	if strings.EqualFold(e.Issuer, e.Name) {
		o.Authority, o.SelfSigned = "", true
	}
	o.Request.Subject = r.Subject
	for _, s := range r.SANs {
		kind, value, _ := strings.Cut(s, ":")
		san, err := pki.NewSAN(profiles.SANKind(kind), value)
		if err != nil {
			return Order{}, fmt.Errorf("the record of %q in the ledger: %w", e.Name, err)
		}
		o.Request.SANs = append(o.Request.SANs, san)
	}
	if r.Asked {
		if o.Request.Validity, err = profiles.ParseValidity(r.Validity); err != nil {
			return Order{}, fmt.Errorf("the record of %q in the ledger: %w", e.Name, err)
		}
	}
	switch {
	case r.CSR:
		cert, err := x509.ParseCertificate(e.DER)
		if err != nil {
			return Order{}, err
		}
		o.bring(cert.PublicKey)
	case reuseKey:
		b, err := d.Bundle(e.Name, func() ([]byte, error) { return nil, pki.ErrPassphrase })
		if err != nil {
			return Order{}, err
		}
		if b.Key == nil {
			return Order{}, fmt.Errorf("%q: %w", e.Name, pki.ErrNoKey)
		}
		o.Key = b.Key
		o.bring(b.Key.Public())
	case o.Exact != nil:
		o.Exact.Key = profiles.KeyType(r.Key)
	default:
		o.Request.Key = profiles.KeyType(r.Key)
	}
	return o, nil
}

// bring sets the key to be certified.
func (o *Order) bring(key crypto.PublicKey) {
	if o.Exact != nil {
		o.Exact.PublicKey = key
		return
	}
	o.Request.PublicKey = key
}
