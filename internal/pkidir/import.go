package pkidir

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// ImportOptions say how an authority is taken over.
type ImportOptions struct {
	Secret   []byte          // encrypts the key at rest, if it is not empty
	Replace  bool            // an authority that has the name already is superseded
	Manifest json.RawMessage // kept with it, if it came of a manifest

	// URLs go into what it signs from now on; none leaves those that it has.
	URLs pki.URLs
	// Default makes it the default authority, DefaultIfNone where there is none.
	Default, DefaultIfNone bool
	// Alone refuses a CA that is here under another name: [*SameAuthorityError].
	Alone bool
	// CRL is the last one that it published elsewhere; nil for none. Its number is
	// the last that is taken, unless CRLNumber is greater.
	CRL       *x509.RevocationList
	CRLNumber int64
}

// A SameAuthorityError says that a CA is here already under another name: one
// with the same subject and key, so that what one signs is the other's, too.
type SameAuthorityError struct{ Name, Has string }

func (e *SameAuthorityError) Error() string {
	return fmt.Sprintf("%q has the subject and the key of %q, which is here already: they are one CA", e.Name, e.Has)
}

// ImportAuthority makes an authority of a CA that exists. chain begins with its
// certificate, each followed by its issuer, and need not end with a root; what is
// missing of it is added if an authority of this directory signed it. key may be
// nil: then it is not here. If the same certificate has the name already, nothing
// changes, but that a key that was missing is added, and what the options say of
// settings and CRLs is done.
//
// In the ledger its issuer is the authority of this directory that signed it; for
// a root, and for what was signed elsewhere, itself. What should be known of it is
// in the warnings. Errors are those of [pki.NewAuthority], those of cause
// [pki.ErrKey], for a key that is not supported, [ErrCRL] and [ledger.ErrExists].
func (d *Dir) ImportAuthority(ctx context.Context, name pki.Name, chain []*x509.Certificate, key crypto.Signer, o ImportOptions) (issued Issued, err error) {
	if err := d.checkWritable(); err != nil {
		return Issued{}, err
	}
	a, err := pki.NewAuthority(pki.AuthorityConfig{Chain: chain, Signer: key, URLs: o.URLs, Now: d.now})
	if err != nil {
		return Issued{}, err
	}
	past, err := pastOf(name.String(), a, o)
	if err != nil {
		return Issued{}, err
	}
	var secret []byte
	if key != nil {
		if secret, err = pki.MarshalKey(key, pki.PKCS8, o.Secret); err != nil {
			return Issued{}, err
		}
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return Issued{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// Another process may have changed them.
	if err := d.loadSettings(); err != nil {
		return Issued{}, &PathError{d.path, err}
	}
	by, a, err := d.importedFrom(ctx, name.String(), a, key, o.Alone)
	if err != nil {
		return Issued{}, err
	}
	cert := a.Certificate()
	e := ledger.Entry{Name: name.String(), Kind: ledger.KindAuthority, Profile: ProfileIntermediate, Issuer: by, Manifest: o.Manifest}
	if isRoot(cert) {
		e.Profile = ProfileRoot
	}
	if err := complete(&e, cert, record{Subject: pki.SubjectOf(cert.Subject), CSR: key == nil}, d.now()); err != nil {
		return Issued{}, err
	}
	b := &pki.Bundle{Chain: a.Chain(), Key: key, Roots: []*x509.Certificate{a.Root()}}
	issued = Issued{Entry: e, Bundle: b, Path: d.Path(targetOf(&e)), Warnings: importWarnings(a, d.now())}
	settings, err := d.importedSettings(e.Name, o)
	if err != nil {
		return Issued{}, err
	}

	old, err := d.ledger.Current(ctx, e.Name)
	if err == nil && old.Kind == e.Kind && string(old.DER) == string(e.DER) {
		issued.Entry = *old
		err = errors.Join(d.addKey(old, secret), d.addPast(ctx, past), d.replaceSettings(settings))
		issued.Default = e.Name == d.DefaultAuthority()
		return issued, err
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return Issued{}, d.ledgerError(err)
	}
	items := []item{{entry: e, chain: b.Chain, roots: b.Roots, key: secret, replace: o.Replace, known: true, settings: settings}}
	if err := errors.Join(d.checkItems(ctx, items, true)...); err != nil {
		return Issued{}, err
	}
	// Numbers and revocations first: what signs CRLs must know of them.
	if err := d.adopt(ctx, past); err != nil {
		return Issued{}, err
	}
	// It may have been here before.
	_, err = d.ledger.BySerial(ctx, e.Issuer, e.Serial)
	items[0].again = err == nil
	if err := d.commitAs(ctx, ledger.ActionImport, items); err != nil {
		return Issued{}, err
	}
	issued.Default = e.Name == d.DefaultAuthority()
	return issued, d.addCRL(past)
}

// CreateImported is [Dir.ImportAuthority] for the PKI directory at path, which is
// made with the authority in it if there is none, whole or not at all. The log
// calls the one who does it command.
func CreateImported(ctx context.Context, path string, now func() time.Time, command string, name pki.Name, chain []*x509.Certificate, key crypto.Signer, o ImportOptions) (issued Issued, err error) {
	into := func(d *Dir) (err error) {
		d.SetCommand(command)
		issued, err = d.ImportAuthority(ctx, name, chain, key, o)
		return err
	}
	for {
		d, err := openOrLayOut(path, now)
		if err == nil {
			return issued, errors.Join(into(d), d.Close())
		}
		if errors.Is(err, ErrNoDir) {
			err = makeBeside(path, now, into)
		}
		if !errors.Is(err, errFaster) {
			return issued, err
		}
	}
}

// isRoot reports whether a certificate is its own issuer. What an algorithm that
// proves nothing any more signed is one by its names: nobody asks for the
// signature of a root.
func isRoot(cert *x509.Certificate) bool { return pki.SelfSigned(cert) != pki.SignatureBad }

// importWarnings says what is to be known of an authority that others made.
func importWarnings(a *pki.Authority, now time.Time) (all []string) {
	cert, top := a.Certificate(), a.Root()
	if !isRoot(top) {
		all = append(all, fmt.Sprintf("the chain ends with %q: its issuer %q is not here, so ca.crt has the former in place of a root",
			pki.FormatName(top.RawSubject), pki.FormatName(top.RawIssuer)))
	}
	if !a.SignsCRLs() {
		all = append(all, "its key usage lacks crl sign: what is revoked is on record, and no CRL says so")
	}
	switch {
	case now.After(a.NotAfter()):
		all = append(all, "it ended on "+pki.FormatTime(a.NotAfter())+", and can sign no certificates any more")
	case now.Before(cert.NotBefore):
		all = append(all, "it begins on "+pki.FormatTime(cert.NotBefore))
	}
	return all
}

// importedSettings returns the settings with what an import changes, or nil.
func (d *Dir) importedSettings(name string, o ImportOptions) ([]byte, error) {
	def := ""
	if o.Default || o.DefaultIfNone && d.DefaultAuthority() == "" {
		def = name
	}
	settings, err := d.changedSettings(def, map[string]pki.URLs{name: o.URLs})
	if err == nil && settings != nil {
		if err := atomicfile.CheckWritable(d.at); err != nil {
			return nil, &PathError{d.Path(settingsFile), fmt.Errorf("cannot write it: %w", err)}
		}
	}
	return settings, err
}

// replaceSettings writes settings that come with no authority.
func (d *Dir) replaceSettings(settings []byte) error {
	if settings == nil {
		return nil
	}
	if err := atomicfile.Replace(d.root, settingsFile, settings, atomicfile.Public); err != nil {
		return &PathError{d.Path(settingsFile), fmt.Errorf("cannot write it: %w", atomicfile.Reason(err))}
	}
	return d.loadSettings()
}

// importedFrom finds out which authority of this directory signed another, by
// name, and completes its chain with it. If none did, or if it is on record
// already under another name, that is its own. With alone, the same CA must not be
// here.
func (d *Dir) importedFrom(ctx context.Context, name string, a *pki.Authority, key crypto.Signer, alone bool) (string, *pki.Authority, error) {
	cert, top := a.Certificate(), a.Root()
	names, err := d.AuthorityNames()
	if err != nil {
		return "", nil, err
	}
	by := name
	for _, n := range names {
		if strings.EqualFold(n, name) {
			continue
		}
		parent, err := d.Authority(n, nil)
		if err != nil {
			return "", nil, err
		}
		if alone && isSameAuthority(parent.Certificate(), cert) {
			return "", nil, &SameAuthorityError{name, n}
		}
		if isRoot(cert) {
			continue
		}
		if isSignedBy(parent.Certificate(), cert) && by == name {
			by = n
		}
		if !isRoot(top) && isSignedBy(parent.Certificate(), top) {
			top = parent.Root()
			chain := append(a.FullChain(), parent.FullChain()...)
			if a, err = pki.NewAuthority(pki.AuthorityConfig{Chain: chain, Signer: key, Now: d.now}); err != nil {
				return "", nil, err
			}
		}
	}
	return d.freeSerial(ctx, name, by, a)
}

// freeSerial returns by, unless the ledger has a's serial of it already, for
// another name: then a's own name.
func (d *Dir) freeSerial(ctx context.Context, name, by string, a *pki.Authority) (string, *pki.Authority, error) {
	e, err := d.ledger.BySerial(ctx, by, serialOf(a.Certificate()))
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return "", nil, d.ledgerError(err)
	}
	if err == nil && !strings.EqualFold(e.Name, name) {
		by = name
	}
	return by, a, nil
}

// addKey puts the key of an authority beside its certificate, if it is not there.
func (d *Dir) addKey(e *ledger.Entry, key []byte) error {
	file := path.Join(targetOf(e), KeyFile)
	if key == nil {
		return nil
	}
	err := atomicfile.Create(d.root, file, key, atomicfile.Private)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return &PathError{d.Path(file), fmt.Errorf("cannot write it: %w", atomicfile.Reason(err))}
	}
	return nil
}
