package pkidir

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"crypto/x509"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// An Order asks for one certificate.
type Order struct {
	Name     pki.Name
	Profile  *profiles.Profile
	Request  pki.Request
	Encoding pki.KeyEncoding // of tls.key
	// Key is the key to be certified, if it is here already; else one is made,
	// unless the request brings a public key.
	Key crypto.Signer
}

// Issued is one certificate that was issued.
type Issued struct {
	Entry    ledger.Entry
	Bundle   *pki.Bundle
	Path     string // the folder of the bundle
	Default  bool   // an authority that signs when no other is named
	Warnings []string
}

// IssueOptions are what all orders of one call have in common.
type IssueOptions struct {
	Authority  string     // who signs; empty for the default
	Passphrase Passphrase // for the authority's key; not nil
	Replace    bool       // a certificate that has the name already is superseded
}

// Issue issues all orders, or none. Every order is checked before any key is
// made; keys are made and certificates signed on all cores; then the ledger
// records them in one transaction, and their folders follow.
//
// Beside the errors of [pki.Authority.Prepare] there are those of cause
// [ErrNoAuthority], [pki.ErrNoKey], [pki.ErrPassphrase], [ledger.ErrExists] and
// [ErrInTheWay].
func (d *Dir) Issue(ctx context.Context, orders []Order, o IssueOptions) ([]Issued, error) {
	// The ledger opens while keys are made.
	var opening sync.WaitGroup
	var openErr error
	opening.Go(func() { openErr = d.openLedgerToWrite(ctx) })
	defer opening.Wait()

	name, err := d.resolveAuthority(o.Authority)
	if errors.Is(err, ErrNoAuthority) {
		// A process may have been killed just before it had made it.
		if opening.Wait(); openErr == nil && d.Finish(ctx) == nil {
			name, err = d.resolveAuthority(o.Authority)
		}
	}
	if err != nil {
		return nil, err
	}
	a, err := d.Authority(name, o.Passphrase)
	if err != nil {
		return nil, err
	}
	drafts, err := prepareAll(a, orders)
	if err != nil {
		return nil, err
	}
	if !a.CanSign() {
		return nil, &KeyMissingError{Authority: name, Path: d.AuthorityKeyPath(name)}
	}
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	// The ledger has the last word, under the lock; this is to fail before keys
	// are made.
	for _, order := range orders {
		e := ledger.Entry{Name: order.Name.String(), Kind: ledger.KindCertificate}
		if o.Replace || !d.hasFolder(targetOf(&e)) {
			continue
		}
		if opening.Wait(); openErr != nil {
			return nil, openErr
		}
		if err := d.checkFree(ctx, &e, o.Replace); err != nil {
			return nil, err
		}
	}

	items := make([]item, len(orders))
	issued := make([]Issued, len(orders))
	err = onAllCores(ctx, len(orders), func(i int) error {
		b, err := signOne(a, drafts[i], &orders[i])
		if err != nil {
			return fmt.Errorf("%q: %w", orders[i].Name, err)
		}
		entry, err := newEntry(name, &orders[i], b.Leaf(), d.now())
		if err != nil {
			return err
		}
		issued[i] = Issued{Entry: entry, Bundle: b, Path: d.Path(targetOf(&entry)), Warnings: drafts[i].Warnings()}
		items[i] = item{entry: entry, chain: b.Chain, roots: b.Roots}
		if b.Key != nil {
			items[i].key, err = b.KeyPEM()
		}
		return err
	})
	if err != nil {
		return nil, err
	}

	if opening.Wait(); openErr != nil {
		return nil, openErr
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.checkNotRevoked(ctx, name); err != nil {
		return nil, errors.Join(err, unlock())
	}
	if err := errors.Join(d.commit(ctx, items, o.Replace), unlock()); err != nil {
		return nil, err
	}
	return issued, nil
}

// Prepare makes the drafts of orders and neither signs nor writes anything. It
// needs no key.
func (d *Dir) Prepare(authority string, orders []Order) ([]*pki.Draft, error) {
	a, err := d.Authority(authority, nil)
	if err != nil {
		return nil, err
	}
	return prepareAll(a, orders)
}

func prepareAll(a *pki.Authority, orders []Order) ([]*pki.Draft, error) {
	drafts := make([]*pki.Draft, len(orders))
	var errs []error
	for i, o := range orders {
		var err error
		if drafts[i], err = a.Prepare(o.Profile, o.Request); err == nil {
			err = o.Encoding.Fits(drafts[i].KeyType())
		}
		if err != nil && len(orders) > 1 {
			err = fmt.Errorf("%q: %w", o.Name, err)
		}
		errs = append(errs, err)
	}
	return drafts, errors.Join(errs...)
}

func signOne(a *pki.Authority, d *pki.Draft, o *Order) (*pki.Bundle, error) {
	b := &pki.Bundle{Encoding: o.Encoding, Roots: []*x509.Certificate{a.Root()}}
	pub := o.Request.PublicKey
	switch {
	case o.Key != nil:
		b.Key, pub = o.Key, o.Key.Public()
	case pub == nil:
		key, err := pki.GenerateKey(d.KeyType())
		if err != nil {
			return nil, err
		}
		b.Key, pub = key, key.Public()
	}
	cert, err := a.Sign(d, pub)
	if err != nil {
		return nil, err
	}
	b.Chain = a.ChainFor(cert)
	return b, nil
}

// A KeyMissingError says that an authority cannot sign because its key is not
// here, and where it was looked for. Its cause is [pki.ErrNoKey].
type KeyMissingError struct {
	Authority string
	Path      string
}

func (e *KeyMissingError) Error() string {
	return fmt.Sprintf("authority %q cannot sign: its key is not at %s", e.Authority, e.Path)
}

// Unwrap returns [pki.ErrNoKey].
func (e *KeyMissingError) Unwrap() error { return pki.ErrNoKey }

// A record is what the ledger keeps of a request, to ask for the same again.
type record struct {
	Subject  pki.Subject     `json:"subject"`
	SANs     []string        `json:"sans,omitempty"` // "kind:value"
	Key      string          `json:"key"`
	Encoding pki.KeyEncoding `json:"encoding,omitempty"`
	Validity string          `json:"validity,omitempty"` // the lifetime it got
	Asked    bool            `json:"asked,omitempty"`    // that lifetime was asked for
	CSR      bool            `json:"csr,omitempty"`      // the key is somebody else's
}

func newEntry(issuer string, o *Order, cert *x509.Certificate, now time.Time) (ledger.Entry, error) {
	r := record{Subject: o.Request.Subject, Encoding: o.Encoding, CSR: o.Request.PublicKey != nil && o.Key == nil}
	r.Asked = o.Request.Validity != 0 || !o.Request.NotAfter.IsZero()
	for _, s := range o.Request.SANs {
		r.SANs = append(r.SANs, string(s.Kind())+":"+s.Value())
	}
	e := ledger.Entry{Name: o.Name.String(), Kind: ledger.KindCertificate, Profile: o.Profile.Name(), Issuer: issuer}
	err := complete(&e, cert, r, now)
	return e, err
}

// complete fills an entry and the record of its request with what the
// certificate says.
func complete(e *ledger.Entry, cert *x509.Certificate, r record, now time.Time) error {
	kt, err := pki.KeyTypeOf(cert.PublicKey)
	if err != nil {
		return err
	}
	r.Key, r.Validity = string(kt), profiles.FormatValidity(cert.NotAfter.Sub(cert.NotBefore))
	e.Serial, e.Subject = serialOf(cert), cert.Subject.String()
	e.SANs = []string{}
	for _, s := range pki.SANsOf(cert) {
		e.SANs = append(e.SANs, s.String())
	}
	e.NotBefore, e.NotAfter, e.IssuedAt = cert.NotBefore, cert.NotAfter, now.UTC().Truncate(time.Second)
	e.DER, e.Current = cert.Raw, true
	e.Request, err = json.Marshal(r)
	return err
}

// onAllCores calls f for 0 to n-1 and returns the first error, after which no
// further call begins.
func onAllCores(ctx context.Context, n int, f func(int) error) error {
	if n == 1 {
		return f(0) // a person waits for it
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
