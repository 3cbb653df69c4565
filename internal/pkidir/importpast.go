package pkidir

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// ErrCRL says that a CRL is not the last one of the authority that is imported.
var ErrCRL = errors.New("that CRL is not to be taken over")

// past is what an authority published before it came here.
type past struct {
	authority string
	revoked   []ledger.Change
	last      ledger.CRL // its Number is 0 if nothing is known of one
	crl       []byte     // in PEM; nil for none
}

// removeFromCRL stands in delta CRLs alone (RFC 5280 section 5.3.1).
const removeFromCRL = 8

// deltaCRL and pointOfCRL are extensions of CRLs that are not complete (RFC 5280
// sections 5.2.4 and 5.2.5).
const (
	deltaCRL   = "2.5.29.27"
	pointOfCRL = "2.5.29.28"
)

// pastOf reads what the options say of an authority's CRLs.
func pastOf(name string, a *pki.Authority, o ImportOptions) (past, error) {
	p := past{authority: name, last: ledger.CRL{Issuer: name, Number: o.CRLNumber, ThisUpdate: time.Unix(0, 0), NextUpdate: time.Unix(0, 0)}}
	crl := o.CRL
	if crl == nil {
		return p, nil
	}
	if pki.CRLSignedBy(crl, a.Certificate()) == pki.SignatureBad {
		return p, fmt.Errorf("%w: %q did not sign it", ErrCRL, pki.FormatName(a.Certificate().RawSubject))
	}
	for _, e := range crl.Extensions {
		if id := e.Id.String(); id == deltaCRL || id == pointOfCRL {
			return p, fmt.Errorf("%w: it is a part of one (%s)", ErrCRL, pki.ExtensionName(e.Id))
		}
	}
	if crl.Number != nil {
		if !crl.Number.IsInt64() {
			return p, fmt.Errorf("%w: its number %s is greater than any that is kept here", ErrCRL, crl.Number)
		}
		p.last.Number = max(p.last.Number, crl.Number.Int64())
	}
	p.last.ThisUpdate, p.last.NextUpdate, p.last.Entries = crl.ThisUpdate, crl.NextUpdate, len(crl.RevokedCertificateEntries)
	for _, r := range crl.RevokedCertificateEntries {
		if r.ReasonCode != removeFromCRL {
			p.revoked = append(p.revoked, ledger.Change{
				Issuer: name, Serial: serialOf(&x509.Certificate{SerialNumber: r.SerialNumber}), At: r.RevocationTime, Reason: knownReason(r.ReasonCode),
			})
		}
	}
	p.crl = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl.Raw})
	return p, nil
}

// knownReason returns a reason, or that there is none where there is no such.
func knownReason(code int) int {
	if !slices.Contains(pki.Reasons(), pki.Reason(code)) {
		return int(pki.Unspecified)
	}
	return code
}

// adopt records what an authority published. The caller holds the lock.
func (d *Dir) adopt(ctx context.Context, p past) error {
	if len(p.revoked) == 0 && p.last.Number == 0 {
		return nil
	}
	_, err := d.ledger.Adopt(ctx, p.revoked, p.last)
	return d.ledgerWriteError(err)
}

// addPast is adopt and addCRL for an authority that is here.
func (d *Dir) addPast(ctx context.Context, p past) error {
	if err := d.adopt(ctx, p); err != nil {
		return err
	}
	return d.addCRL(p)
}

// addCRL puts the CRL from elsewhere beside the authority, if there is none yet.
func (d *Dir) addCRL(p past) error {
	if p.crl == nil {
		return nil
	}
	file := path.Join(authorityFolder(p.authority), CRLFile)
	err := atomicfile.Create(d.root, file, p.crl, atomicfile.Public)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return &PathError{d.Path(file), fmt.Errorf("cannot write it: %w", atomicfile.Reason(err))}
	}
	return nil
}
