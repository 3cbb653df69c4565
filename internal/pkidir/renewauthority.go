package pkidir

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// Reasons why an authority cannot be renewed.
var (
	ErrChanged    = errors.New("another process has renewed the authority meanwhile")
	ErrKeyRevoked = errors.New("it is revoked, and a new certificate for its key would take that back")
)

// AuthorityRenewal says how an authority is renewed.
type AuthorityRenewal struct {
	// Rollover is for a new key of the same type. It is encrypted as the one before
	// it was.
	Rollover   bool
	Passphrase Passphrase // for the authority's key, and for that above; not nil
	// CRLValidity is how long the first CRL of a new key holds. There is one if the
	// key before it has signed any.
	CRLValidity time.Duration
}

// RenewedAuthority is an authority with its new certificate.
type RenewedAuthority struct {
	Issued
	Refreshed []string // the names of bundles below that hold other chains or roots now
}

// RenewAuthority gives an authority a new certificate: for the same key, so that
// what it signed stays valid, or for a new one. Subject and extensions stay. The
// bundles below, as far as they have folders, get the chains and roots that are
// right from then on; their certificates and keys stay.
//
// After a new key, the CRL of the former one was signed a last time, to hold as
// long as its certificate. A root with a new key is trusted together with the one
// before it until [Dir.FinishRollover].
//
// Errors are those of [Dir.CheckRenewal], those of cause [pki.ErrPassphrase], and
// [ErrChanged].
func (d *Dir) RenewAuthority(ctx context.Context, name string, o AuthorityRenewal) (r RenewedAuthority, err error) {
	p, err := d.planRenewal(ctx, name, o)
	if err != nil {
		return r, err
	}
	if err := d.checkWritable(); err != nil {
		return r, err
	}
	if err := p.makeKey(d, o); err != nil {
		return r, err
	}
	if o.Rollover {
		if err := d.lastCRL(ctx, p, &r.Warnings); err != nil {
			return r, err
		}
	}
	warnings := r.Warnings
	if r.Issued, err = d.signRenewal(p); err != nil {
		return r, err
	}
	r.Warnings = append(r.Warnings, warnings...)
	if r.Refreshed, err = d.recordRenewal(ctx, p, &r.Issued); err != nil {
		return r, err
	}
	if o.Rollover && p.hadCRL {
		key := func() ([]byte, error) { return p.secret, nil }
		if _, err := d.PublishCRL(ctx, p.old.Name, CRLOptions{Passphrase: key, Validity: o.CRLValidity}); err != nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("it has no CRL yet: %v", err))
		}
	}
	return r, nil
}

// CheckRenewal finds out, without reading a key, whether an authority could be
// renewed. Errors are of cause [ErrNoAuthority], [ErrNoIssuer] for one that was
// signed elsewhere, [ErrRevokedAuthority], [ErrKeyRevoked], [pki.ErrNoKey], and
// those of [pki.Authority.PrepareAgain].
func (d *Dir) CheckRenewal(ctx context.Context, name string, rollover bool) error {
	_, err := d.planRenewal(ctx, name, AuthorityRenewal{Rollover: rollover})
	return err
}

// A renewal is an authority on its way to a new certificate.
type renewal struct {
	old    *ledger.Entry
	cert   *x509.Certificate // the old one
	self   *pki.Authority    // as it is, without its key
	parent *pki.Authority    // nil for a root
	above  *ledger.Entry     // of the parent
	draft  *pki.Draft
	record record
	hadCRL bool

	rollover bool
	key      crypto.Signer // the new one, or a root's own
	keyPEM   []byte        // for tls.key; nil if it is not here
	secret   []byte        // encrypts it
	item     item
}

// planRenewal checks and prepares. Without a passphrase no key is read.
func (d *Dir) planRenewal(ctx context.Context, name string, o AuthorityRenewal) (*renewal, error) {
	name, err := d.resolveAuthority(name)
	if err != nil {
		return nil, err
	}
	if err := d.Finish(ctx); err != nil {
		return nil, err
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	p := &renewal{rollover: o.Rollover}
	if p.old, err = l.Current(ctx, name); err != nil {
		return nil, err
	}
	if p.cert, err = x509.ParseCertificate(p.old.DER); err != nil {
		return nil, fmt.Errorf("the certificate of %q in the ledger: %w", name, err)
	}
	if err := json.Unmarshal(p.old.Request, &p.record); err != nil {
		return nil, fmt.Errorf("the record of %q in the ledger: %w", name, err)
	}
	if !p.old.RevokedAt.IsZero() && !o.Rollover {
		return nil, fmt.Errorf("%q: %w", name, ErrKeyRevoked)
	}
	isRoot := isSignedBy(p.cert, p.cert)
	if strings.EqualFold(p.old.Issuer, name) && !isRoot {
		return nil, fmt.Errorf("%q: %w", name, ErrNoIssuer)
	}
	last, err := l.LastCRL(ctx, name)
	if err != nil {
		return nil, err
	}
	p.hadCRL = last.Number > 0
	if p.self, err = d.Authority(name, nil); err != nil {
		return nil, err
	}
	if isRoot {
		p.draft, err = pki.PrepareRootAgain(p.cert, p.lifetime(nil), d.now())
		if err == nil && !o.Rollover {
			err = d.CheckSigner(ctx, name, true)
		}
		return p, err
	}
	if err := d.CheckSigner(ctx, p.old.Issuer, true); err != nil {
		return nil, err
	}
	if p.above, err = l.Current(ctx, p.old.Issuer); err != nil {
		return nil, err
	}
	if p.parent, err = d.Authority(p.old.Issuer, o.Passphrase); err != nil {
		return nil, err
	}
	issuers, err := d.certificatesOf(ctx, p.old.Issuer)
	if err != nil {
		return nil, err
	}
	p.draft, err = p.parent.PrepareAgain(p.cert, p.lifetime(issuers))
	return p, err
}

// lifetime is as long as that of the old certificate. One that was cut to its
// issuer's end is not cut again for that; issuers are the certificates that its
// issuer ever had.
func (p *renewal) lifetime(issuers []*x509.Certificate) time.Duration {
	length := p.cert.NotAfter.Sub(p.cert.NotBefore)
	for _, c := range issuers {
		if c.NotAfter.Equal(p.cert.NotAfter) {
			length = max(length, pki.IntermediateValidity)
		}
	}
	return length
}

// makeKey makes the new key, or takes the one that there is, as it is kept.
func (p *renewal) makeKey(d *Dir, o AuthorityRenewal) error {
	file := path.Join(targetOf(p.old), KeyFile)
	data, err := d.keyText(file, true)
	if err != nil && !errors.Is(err, pki.ErrNoKey) {
		return err
	}
	if !o.Rollover {
		p.keyPEM = data
		if p.parent == nil {
			p.key, err = d.signerFor(p.old.Name, p.cert, o.Passphrase)
			return err
		}
		return nil
	}
	if pki.KeyIsEncrypted(data) {
		// What opens the old key is to open the new one.
		if p.secret, err = o.Passphrase(); err != nil {
			return &PathError{d.Path(file), err}
		}
		if _, err := pki.ParseKey(data, p.secret); err != nil {
			return &PathError{d.Path(file), err}
		}
	}
	if p.key, err = pki.GenerateKey(p.draft.KeyType()); err != nil {
		return err
	}
	p.keyPEM, err = pki.MarshalKey(p.key, pki.PKCS8, p.secret)
	return err
}

func (d *Dir) hasFile(name string) bool {
	_, err := d.root.Lstat(name)
	return err == nil
}

// lastCRL has the key that is to go sign its last CRL, which holds as long as
// the certificate of that key.
func (d *Dir) lastCRL(ctx context.Context, p *renewal, warnings *[]string) error {
	left := p.cert.NotAfter.Sub(d.now().UTC().Truncate(time.Second))
	switch {
	case !p.hadCRL || left <= 0 || !p.self.SignsCRLs():
		return nil
	case !d.hasFile(path.Join(targetOf(p.old), KeyFile)):
		*warnings = append(*warnings, "the CRL of its former key ends as it stands, since that key is not here")
		return nil
	}
	key := func() ([]byte, error) { return p.secret, nil }
	_, err := d.PublishCRL(ctx, p.old.Name, CRLOptions{Passphrase: key, Validity: left})
	return err
}

// signRenewal signs the new certificate and makes the item of it.
func (d *Dir) signRenewal(p *renewal) (issued Issued, err error) {
	var cert *x509.Certificate
	config := pki.AuthorityConfig{URLs: d.urls(p.old.Name), Now: d.now}
	switch {
	case p.parent == nil:
		cert, err = pki.SignRoot(p.draft, p.key)
		config.Trusted = p.trusted(d.now())
	case p.key != nil:
		cert, err = p.parent.Sign(p.draft, p.key.Public())
	default:
		cert, err = p.parent.Sign(p.draft, p.cert.PublicKey)
	}
	if err != nil {
		return issued, err
	}
	config.Chain = []*x509.Certificate{cert}
	if p.parent != nil {
		config.Chain, config.Trusted = append(config.Chain, p.parent.FullChain()...), p.parent.Roots()
	}
	a, err := pki.NewAuthority(config)
	if err != nil {
		return issued, err
	}
	e := ledger.Entry{Name: p.old.Name, Kind: p.old.Kind, Profile: p.old.Profile, Issuer: p.old.Issuer, Manifest: p.old.Manifest}
	r := p.record
	r.CSR, r.Trusts = p.keyPEM == nil, nil
	if p.parent == nil {
		for _, c := range a.Roots()[1:] {
			r.Trusts = append(r.Trusts, serialOf(c))
		}
	}
	if err := complete(&e, cert, r, d.now()); err != nil {
		return issued, err
	}
	p.item = item{entry: e, chain: a.Chain(), roots: a.Roots(), key: p.keyPEM, replace: true, keepsCRL: true}
	return Issued{
		Entry: e, Bundle: &pki.Bundle{Chain: a.Chain(), Roots: a.Roots()}, Path: d.Path(targetOf(&e)),
		Default: strings.EqualFold(e.Name, d.DefaultAuthority()), Warnings: p.draft.Warnings(),
	}, nil
}

// trusted returns the roots that are trusted beside a renewed one: those that
// were, and with a new key the one before it.
func (p *renewal) trusted(now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(p.self.Roots(), func(c *x509.Certificate) bool {
		return c.Equal(p.cert) && !p.rollover || now.After(c.NotAfter)
	})
}

// recordRenewal takes the new certificate through the ledger, and then to what
// stands below.
func (d *Dir) recordRenewal(ctx context.Context, p *renewal, issued *Issued) (refreshed []string, err error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	for _, e := range []*ledger.Entry{p.old, p.above} {
		if e == nil {
			continue
		}
		now, err := d.ledger.Current(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		if now.Serial != e.Serial || now.Kind != e.Kind {
			return nil, fmt.Errorf("%q: %w", e.Name, ErrChanged)
		}
	}
	if p.parent != nil {
		if err := d.checkNotRevoked(ctx, p.old.Issuer); err != nil {
			return nil, err
		}
	}
	if !p.rollover && p.item.key != nil {
		// Its passphrase may have changed.
		if p.item.key, err = d.keyText(path.Join(targetOf(p.old), KeyFile), true); err != nil {
			return nil, err
		}
	}
	items := []item{p.item}
	if err := errors.Join(d.checkItems(ctx, items, false)...); err != nil {
		return nil, err
	}
	if err := d.writeChange(change{Authority: p.old.Name}); err != nil {
		return nil, err
	}
	if err := d.commit(ctx, items); err != nil {
		if _, unfinished := errors.AsType[*UnfinishedError](err); !unfinished {
			err = errors.Join(err, d.removeChange())
		}
		return nil, err
	}
	issued.Bundle.Chain, issued.Bundle.Roots = p.item.chain, p.item.roots
	return d.carryOut(context.WithoutCancel(ctx), change{Authority: p.old.Name})
}

// checkSame refuses what an authority signed as it was before another process
// renewed it: its chain would be the former one. The caller holds the lock.
func (d *Dir) checkSame(name string, a *pki.Authority) error {
	chain, err := d.certificates(path.Join(authorityFolder(name), ChainFile))
	if err != nil {
		return err
	}
	if !chain[0].Equal(a.Certificate()) {
		return fmt.Errorf("%q: %w", name, ErrChanged)
	}
	return nil
}

// again calls f, and once more if an authority was renewed meanwhile: by another
// process, or by the completion of what a killed one left.
func again[T any](f func() (T, error)) (T, error) {
	result, err := f()
	if errors.Is(err, ErrChanged) {
		return f()
	}
	return result, err
}
