package pkidir

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// CRLFile is an authority's CRL, in PEM, beside its certificate.
const CRLFile = "crl.pem"

// stagedCRL begins the names of CRLs in the staging folder; the name of the
// authority's folder follows.
const stagedCRL = "crl."

func stageOfCRL(authority string) string {
	return path.Join(stagingDir, stagedCRL+folderName(authority))
}

// A Revocation asks for a certificate to be revoked, or for its hold to be
// lifted.
type Revocation struct {
	Entry  *ledger.Entry
	Reason pki.Reason
	Lift   bool // take back a hold
}

// CRLOptions are what CRLs have in common.
type CRLOptions struct {
	Passphrase Passphrase    // for the authorities' keys; not nil
	Validity   time.Duration // from now to the next update
}

// A PublishedCRL is a CRL in its place.
type PublishedCRL struct {
	ledger.CRL
	Path string
}

// Revoke records revocations and publishes the CRL of each authority that
// signed one of the certificates: all of it, or nothing. A certificate that is
// revoked already is [ledger.ErrRevoked], unless its hold is made final; one
// whose hold cannot be lifted is [ledger.ErrNotOnHold]. One that signed itself
// without being an authority, or that an authority elsewhere signed, is
// [ErrNoIssuer]. An authority that may not sign CRLs, as cert-manager makes them
// unless it is told otherwise, publishes none: the revocation is on record alone.
// What a key signed that its authority has no more is a [*FormerKeyError].
func (d *Dir) Revoke(ctx context.Context, revocations []Revocation, o CRLOptions) ([]PublishedCRL, error) {
	var issuers []string
	authorities := map[string]*pki.Authority{}
	for _, r := range revocations {
		if e := r.Entry; strings.EqualFold(e.Issuer, e.Name) && e.Profile != ProfileRoot {
			return nil, fmt.Errorf("%q: %w", e.Name, ErrNoIssuer)
		}
		a, known := authorities[r.Entry.Issuer]
		if !known {
			var err error
			if a, err = d.Authority(r.Entry.Issuer, nil); err != nil {
				return nil, err
			}
			authorities[r.Entry.Issuer] = a
		}
		if err := d.checkRevocable(ctx, r.Entry, a); err != nil {
			return nil, err
		}
		if a.SignsCRLs() && !known {
			issuers = append(issuers, r.Entry.Issuer)
		}
	}
	return again(func() ([]PublishedCRL, error) { return d.publishCRLs(ctx, issuers, revocations, o) })
}

// ErrNoIssuer says that nobody here can revoke a certificate: it signed itself,
// or its issuer is not in this PKI directory.
var ErrNoIssuer = errors.New("no authority of this PKI directory signed it")

// changes turns revocations into changes of the ledger as it is now. The caller
// holds the lock.
func (d *Dir) changes(ctx context.Context, revocations []Revocation) (changes []ledger.Change, err error) {
	now := d.now().UTC().Truncate(time.Second)
	for _, r := range revocations {
		e, err := d.ledger.BySerial(ctx, r.Entry.Issuer, r.Entry.Serial)
		if err != nil {
			return nil, err
		}
		onHold := !e.RevokedAt.IsZero() && e.Reason == int(pki.CertificateHold)
		change := ledger.Change{Issuer: e.Issuer, Serial: e.Serial}
		switch {
		case r.Lift && !onHold:
			return nil, fmt.Errorf("%q is %w", e.Name, ledger.ErrNotOnHold)
		case !r.Lift && !e.RevokedAt.IsZero() && (!onHold || r.Reason == pki.CertificateHold):
			return nil, fmt.Errorf("%q is %w, since %s", e.Name, ledger.ErrRevoked, pki.FormatTime(e.RevokedAt))
		case !r.Lift:
			change.At, change.Reason = now, int(r.Reason)
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// PublishCRL publishes the CRL of an authority anew; the empty name is the
// default authority.
func (d *Dir) PublishCRL(ctx context.Context, authority string, o CRLOptions) (PublishedCRL, error) {
	name, err := d.resolveAuthority(authority)
	if err != nil {
		return PublishedCRL{}, err
	}
	published, err := again(func() ([]PublishedCRL, error) { return d.publishCRLs(ctx, []string{name}, nil, o) })
	if err != nil {
		return PublishedCRL{}, err
	}
	return published[0], nil
}

// publishCRLs signs the CRLs of issuers as they are after revocations, records
// both, and moves the CRLs into place.
func (d *Dir) publishCRLs(ctx context.Context, issuers []string, revocations []Revocation, o CRLOptions) (published []PublishedCRL, err error) {
	signers := map[string]*pki.Authority{}
	for _, name := range issuers {
		a, err := d.Authority(name, o.Passphrase)
		if err != nil {
			return nil, err
		}
		if !a.CanSign() {
			return nil, &KeyMissingError{Authority: name, Path: d.AuthorityKeyPath(name)}
		}
		signers[name] = a
	}
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	for _, name := range issuers {
		if err := atomicfile.CheckWritable(d.real(authorityFolder(name))); err != nil {
			return nil, &PathError{d.Path(authorityFolder(name)), fmt.Errorf("cannot write to it: %w", err)}
		}
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	for _, name := range issuers {
		if err := d.checkSame(name, signers[name]); err != nil {
			return nil, err
		}
	}
	changes, err := d.changes(ctx, revocations)
	if err != nil {
		return nil, err
	}

	var records []ledger.CRL
	for _, name := range issuers {
		crl, der, err := d.signCRL(ctx, name, signers[name], changes, o.Validity)
		if err != nil {
			return nil, errors.Join(err, d.unstageCRLs(records))
		}
		records = append(records, crl)
		former, err := d.formerCRLs(ctx, name, signers[name])
		if err != nil {
			return nil, errors.Join(err, d.unstageCRLs(records))
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), former...)
		if err := atomicfile.Replace(d.root, stageOfCRL(name), text, atomicfile.Public); err != nil {
			err = &PathError{d.Path(stagingDir), fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
			return nil, errors.Join(err, d.unstageCRLs(records))
		}
	}
	if err := d.ledgerWriteError(d.ledger.Publish(ctx, changes, records)); err != nil {
		return nil, errors.Join(err, d.unstageCRLs(records))
	}
	for _, c := range records {
		if err := d.placeCRL(c.Issuer); err != nil {
			return nil, &UnfinishedError{err}
		}
		published = append(published, PublishedCRL{c, d.Path(authorityFolder(c.Issuer), CRLFile)})
	}
	return published, nil
}

// signCRL signs the CRL of an authority as it is after changes. An entry stays
// until it was on one CRL made after its certificate's end (RFC 5280 section
// 3.3).
func (d *Dir) signCRL(ctx context.Context, name string, a *pki.Authority, changes []ledger.Change, validity time.Duration) (ledger.CRL, []byte, error) {
	last, err := d.ledger.LastCRL(ctx, name)
	if err != nil {
		return ledger.CRL{}, nil, err
	}
	changed := map[string]ledger.Change{}
	for _, c := range changes {
		if strings.EqualFold(c.Issuer, name) {
			changed[c.Serial] = c
		}
	}
	var revoked []pki.Revocation
	add := func(serial string, at time.Time, reason int) error {
		n, ok := new(big.Int).SetString(serial, 16)
		if !ok {
			return fmt.Errorf("serial %q of %q in the ledger", serial, name)
		}
		revoked = append(revoked, pki.Revocation{Serial: n, At: at, Reason: pki.Reason(reason)})
		return nil
	}
	if err := d.ledger.Revocations(ctx, name, last.ThisUpdate, func(serial string, at time.Time, reason int) error {
		if _, ok := changed[serial]; ok {
			return nil
		}
		return add(serial, at, reason)
	}); err != nil {
		return ledger.CRL{}, nil, err
	}
	for _, c := range changes {
		if _, ok := changed[c.Serial]; ok && !c.At.IsZero() {
			if err := add(c.Serial, c.At, c.Reason); err != nil {
				return ledger.CRL{}, nil, err
			}
		}
	}
	now := d.now().UTC().Truncate(time.Second)
	crl := ledger.CRL{Issuer: name, Number: last.Number + 1, ThisUpdate: now, NextUpdate: now.Add(validity), Entries: len(revoked)}
	der, err := a.SignCRL(big.NewInt(crl.Number), crl.NextUpdate, revoked, d.authoritySettings(name).IDP...)
	return crl, der, err
}

func (d *Dir) unstageCRLs(crls []ledger.CRL) error {
	var errs []error
	for _, c := range crls {
		errs = append(errs, d.root.RemoveAll(stageOfCRL(c.Issuer)))
	}
	return errors.Join(errs...)
}

// placeCRL moves a staged CRL beside its authority.
func (d *Dir) placeCRL(authority string) error {
	return atomicfile.Move(d.root, stageOfCRL(authority), path.Join(authorityFolder(authority), CRLFile))
}

// recoverCRL finishes the CRL of an authority that was recorded but not put in
// its place, and throws away one that was not recorded.
func (d *Dir) recoverCRL(ctx context.Context, authority string) error {
	last, err := d.ledger.LastCRL(ctx, authority)
	if err != nil {
		return err
	}
	name := stageOfCRL(authority)
	data, err := d.root.ReadFile(name)
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(data); block != nil {
		if crl, err := x509.ParseRevocationList(block.Bytes); err == nil && crl.Number.Cmp(big.NewInt(last.Number)) == 0 {
			return d.placeCRL(authority)
		}
	}
	return d.root.Remove(name)
}

// CRLs returns the CRL of an authority, in PEM, and with above also those of the
// authorities above it, each with its path. One that was never published is an
// error of cause [fs.ErrNotExist].
func (d *Dir) CRLs(ctx context.Context, authority string, above bool) ([]byte, error) {
	name, err := d.resolveAuthority(authority)
	if err != nil {
		return nil, err
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	var all []byte
	for range maxDepth {
		file := path.Join(authorityFolder(name), CRLFile)
		data, err := d.root.ReadFile(file)
		if err != nil {
			return nil, &PathError{d.Path(file), atomicfile.Reason(err)}
		}
		all = append(all, data...)
		e, err := l.Current(ctx, name)
		if err != nil {
			return nil, err
		}
		if !above || e.Issuer == e.Name {
			return all, nil
		}
		name = e.Issuer
	}
	return all, nil
}

// ErrRevokedAuthority says that an authority, or one above it, is revoked.
var ErrRevokedAuthority = errors.New("the authority is revoked")

// CheckSigner finds out, without reading a key, whether an authority could sign:
// it is not revoked, and, if needKey is true, its key is here.
func (d *Dir) CheckSigner(ctx context.Context, authority string, needKey bool) error {
	name, err := d.resolveAuthority(authority)
	if err != nil {
		return err
	}
	if _, err := d.Ledger(ctx); err != nil {
		return err
	}
	if err := d.checkNotRevoked(ctx, name); err != nil || !needKey {
		return err
	}
	if _, err := d.root.Stat(path.Join(authorityFolder(name), KeyFile)); errors.Is(err, fs.ErrNotExist) && d.keyFile == "" {
		return &KeyMissingError{Authority: name, Path: d.AuthorityKeyPath(name)}
	}
	return nil
}

// checkNotRevoked refuses to sign with an authority that nobody should trust any
// more.
func (d *Dir) checkNotRevoked(ctx context.Context, name string) error {
	for range maxDepth {
		e, err := d.ledger.Current(ctx, name)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if !e.RevokedAt.IsZero() {
			return fmt.Errorf("%q: %w, since %s, %s", e.Name, ErrRevokedAuthority, pki.FormatTime(e.RevokedAt), pki.Reason(e.Reason))
		}
		if e.Issuer == e.Name {
			return nil
		}
		name = e.Issuer
	}
	return nil
}
