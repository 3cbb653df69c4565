package pkidir

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A LedgerImport is what another program recorded of an authority that is here.
type LedgerImport struct {
	Authority string
	// Certificates are those it signed, without their keys, each under the name that
	// it is to have if that is free.
	Certificates []CertificateImport
	// Revoked are its revocations, also of certificates that are not at hand.
	Revoked []pki.Revocation
}

// LedgerImported says what came of a [LedgerImport].
type LedgerImported struct {
	Issued  []Issued // new on record, by their beginning
	Known   int      // how many certificates were on record before
	Revoked int      // how many revocations are new
	Refused []Refused
}

// A Refused is a certificate that was left out, by its place, and why: it is
// another authority's ([ErrForeign]), or an authority ([pki.ErrNotCA]).
type Refused struct {
	Place int
	Err   error
}

// ImportLedger puts on record what an authority signed and revoked elsewhere, all
// of it in one go. What is on record already stays as it is, so that it can be done
// again.
//
// Of several certificates that are to have one name, the latest that is not
// revoked has it; the others are on record as superseded. It takes the name also
// from an earlier one of the same authority that is here without a key. If
// something else has the name, they get another: NAME-SERIAL, with the first eight
// digits of the serial.
func (d *Dir) ImportLedger(ctx context.Context, in LedgerImport) (done LedgerImported, err error) {
	name, err := d.resolveAuthority(in.Authority)
	if err != nil {
		return done, err
	}
	a, err := d.Authority(name, nil)
	if err != nil {
		return done, err
	}
	if err := d.checkWritable(); err != nil {
		return done, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	w := &ledgerWriter{d: d, a: a, by: name, revoked: map[string]bool{}}
	var changes []ledger.Change
	for _, r := range in.Revoked {
		c := ledger.Change{Issuer: name, Serial: serialOf(&x509.Certificate{SerialNumber: r.Serial}), At: r.At, Reason: int(r.Reason)}
		w.revoked[c.Serial] = true
		changes = append(changes, c)
	}
	if err := w.sort(ctx, in.Certificates, &done); err != nil {
		return done, err
	}
	items, err := w.items(ctx)
	if err != nil {
		return done, err
	}
	// Revocations first: nothing may be on record as valid that is not.
	if done.Revoked, err = d.ledger.Adopt(ctx, changes, ledger.CRL{}); err != nil {
		return done, d.ledgerWriteError(err)
	}
	if len(items) == 0 {
		return done, nil
	}
	if err := d.commitAs(ctx, ledger.ActionImport, items); err != nil {
		return done, err
	}
	for _, it := range items {
		i := Issued{Entry: it.entry, Bundle: &pki.Bundle{Chain: it.chain, Roots: it.roots}}
		if it.entry.Current {
			i.Path = d.folderPath(&it.entry)
		}
		if err := d.readRevocation(ctx, &i.Entry); err != nil {
			return done, err
		}
		done.Issued = append(done.Issued, i)
	}
	return done, nil
}

// A ledgerWriter makes items of certificates.
type ledgerWriter struct {
	d       *Dir
	a       *pki.Authority
	by      string
	revoked map[string]bool       // by serial
	names   []string              // of groups, in the order of their first certificates
	groups  map[string][]imported // by the name that is wanted, in lower case
}

// imported is a certificate that is new, with its entry.
type imported struct {
	in    *CertificateImport
	entry ledger.Entry
}

// sort leaves out what is on record or does not belong there, and puts the rest
// into groups of one name each.
func (w *ledgerWriter) sort(ctx context.Context, all []CertificateImport, done *LedgerImported) error {
	w.groups = map[string][]imported{}
	seen := map[string]bool{}
	for i := range all {
		in := &all[i]
		switch state := pki.SignedBy(in.Cert, w.a.Certificate()); {
		case in.Cert.IsCA:
			done.Refused = append(done.Refused, Refused{i, fmt.Errorf("%q is an authority: %w", in.Name, pki.ErrNotCA)})
			continue
		case state == pki.SignatureBad:
			done.Refused = append(done.Refused, Refused{i, fmt.Errorf("%q: %w", in.Name, ErrForeign)})
			continue
		}
		e, err := in.entry(w.by, w.d.now())
		if err != nil {
			return err
		}
		_, err = w.d.ledger.BySerial(ctx, e.Issuer, e.Serial)
		switch {
		case err == nil || seen[e.Serial]:
			done.Known++
			continue
		case !errors.Is(err, ledger.ErrNotFound):
			return w.d.ledgerError(err)
		}
		seen[e.Serial] = true
		key := fold(e.Name)
		if w.groups[key] == nil {
			w.names = append(w.names, key)
		}
		w.groups[key] = append(w.groups[key], imported{in, e})
	}
	return nil
}

// items names the certificates and makes their items.
func (w *ledgerWriter) items(ctx context.Context) (items []item, err error) {
	for _, name := range w.names {
		group := w.groups[name]
		// The last has the name.
		slices.SortStableFunc(group, func(a, b imported) int {
			if ra, rb := w.revoked[a.entry.Serial], w.revoked[b.entry.Serial]; ra != rb {
				if ra {
					return -1
				}
				return 1
			}
			return a.entry.NotBefore.Compare(b.entry.NotBefore)
		})
		holder := &group[len(group)-1].entry
		replace, err := w.place(ctx, group, holder)
		if err != nil {
			return nil, err
		}
		for i := range group {
			e := group[i].entry
			e.Current = holder.Current && i == len(group)-1
			items = append(items, item{
				entry: e, chain: w.a.ChainFor(group[i].in.Cert), roots: w.a.Roots(), replace: replace && e.Current, known: true,
			})
		}
	}
	slices.SortStableFunc(items, func(a, b item) int { return a.entry.NotBefore.Compare(b.entry.NotBefore) })
	var current []item
	for i := range items {
		if items[i].entry.Current {
			current = append(current, items[i])
		}
	}
	return items, errors.Join(w.d.checkItems(ctx, current, false)...)
}

// place finds out who has the name of a group now, and gives the group another
// name if it cannot have that. It reports whether the holder replaces what has the
// name; a holder that is older is not current.
func (w *ledgerWriter) place(ctx context.Context, group []imported, holder *ledger.Entry) (replace bool, err error) {
	old, err := w.d.ledger.Current(ctx, holder.Name)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return false, nil
	case err != nil:
		return false, w.d.ledgerError(err)
	case old.Kind == holder.Kind && old.Profile == ProfileImported && strings.EqualFold(old.Issuer, w.by) && !w.d.hasKey(old):
		newer := holder.NotBefore.After(old.NotBefore) && (!w.revoked[holder.Serial] || !old.RevokedAt.IsZero())
		holder.Current = newer
		return newer, nil
	}
	name, err := pki.ParseName(holder.Name + "-" + holder.Serial[:min(8, len(holder.Serial))])
	if err != nil {
		return false, err
	}
	for i := range group {
		group[i].entry.Name = name.String()
	}
	return false, nil
}

// AuthorityOf returns the name of the authority that has the subject and the key
// of a CA's certificate, or an error of cause [ErrNoAuthority].
func (d *Dir) AuthorityOf(cert *x509.Certificate) (string, error) {
	names, err := d.AuthorityNames()
	if err != nil {
		return "", err
	}
	for _, name := range names {
		a, err := d.Authority(name, nil)
		if err != nil {
			return "", err
		}
		if isSameAuthority(a.Certificate(), cert) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w %q", ErrNoAuthority, pki.FormatName(cert.RawSubject))
}

// isSameAuthority reports whether what the one signed is signed by the other.
func isSameAuthority(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && pki.SamePublicKey(a.PublicKey, b.PublicKey)
}
