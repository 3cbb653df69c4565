package pkidir

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// A KeyTypeError says that the key that was to be kept is not of the type that is
// asked for.
type KeyTypeError struct {
	Name string
	Has  profiles.KeyType
	Asks profiles.KeyType
}

func (e *KeyTypeError) Error() string {
	return fmt.Sprintf("the key of %q, which is to be kept, is %s, and %s is asked for", e.Name, e.Has, e.Asks)
}

func keyID(e *ledger.Entry) keystore.ID { return keystore.ID{Issuer: e.Issuer, Serial: e.Serial} }

// openKeys opens the keys that have no folder. If there are none yet, who writes
// makes the file; for others the error's cause is [ErrNoKeys].
func (d *Dir) openKeys(ctx context.Context, write bool) (*keystore.Store, error) {
	if d.keys != nil && (d.writeKey || !write) {
		return d.keys, nil
	}
	if d.keys != nil {
		if err := d.keys.Close(); err != nil {
			return nil, err
		}
		d.keys = nil
	}
	info, err := d.root.Lstat(keysFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !write:
		return nil, &PathError{d.Path(keysFile), ErrNoKeys}
	case errors.Is(err, fs.ErrNotExist):
		if err := d.makeEmpty(keysFile, atomicfile.Private); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, &PathError{d.Path(keysFile), atomicfile.Reason(err)}
	default:
		if err := checkKeyMode(d.Path(keysFile), info.Mode()); err != nil {
			return nil, err
		}
	}
	opener := keystore.OpenReadOnly
	if write {
		opener = keystore.Open
	}
	keys, err := opener(ctx, d.real(keysFile))
	if err != nil {
		return nil, d.keysError(err)
	}
	d.keys, d.writeKey = keys, write
	return keys, nil
}

// keysError says which file of keys it was.
func (d *Dir) keysError(err error) error {
	if errors.Is(err, keystore.ErrNotFound) {
		return err
	}
	return d.databaseError(keysFile, ErrNoKeys, d.orFull(keysFile, err))
}

// keptKey returns the key of an entry that has no folder, or [pki.ErrNoKey].
func (d *Dir) keptKey(ctx context.Context, e *ledger.Entry) (crypto.Signer, error) {
	keys, err := d.openKeys(ctx, false)
	if errors.Is(err, ErrNoKeys) {
		return nil, pki.ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	return d.signerIn(ctx, keys, keyID(e), fmt.Sprintf("%q", e.Name))
}

// signerIn returns a key of those that are kept, or [pki.ErrNoKey]. of is whose it
// is, for errors.
func (d *Dir) signerIn(ctx context.Context, keys *keystore.Store, id keystore.ID, of string) (crypto.Signer, error) {
	der, err := keys.Get(ctx, id)
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, pki.ErrNoKey
	}
	if err != nil {
		return nil, d.keysError(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	signer, ok := key.(crypto.Signer)
	if err == nil && !ok {
		err = fmt.Errorf("a %T cannot sign", key)
	}
	if err != nil {
		return nil, &PathError{d.Path(keysFile), fmt.Errorf("the key of %s: %w: %w", of, ErrBadKey, err)}
	}
	return signer, nil
}

// currentKey returns the key of the certificate or authority that a name stands
// for, or [pki.ErrNoKey].
func (d *Dir) currentKey(ctx context.Context, name pki.Name, passphrase Passphrase) (crypto.Signer, error) {
	e, err := d.ledger.Current(ctx, name.String())
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, pki.ErrNoKey
	}
	if err != nil {
		return nil, d.ledgerError(err)
	}
	if isKept(e) {
		return d.keptKey(ctx, e)
	}
	key, _, err := d.key(path.Join(targetOf(e), KeyFile), passphrase, e.Kind == ledger.KindAuthority)
	return key, err
}

// keptBundle loads the bundle of a certificate that has no folder.
func (d *Dir) keptBundle(name pki.Name, withKey bool) (*pki.Bundle, error) {
	ctx := context.Background()
	unknown := fmt.Errorf("%w %q", ErrNoBundle, name)
	if name.Namespace() == "" {
		return nil, unknown
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	e, err := l.Current(ctx, name.String())
	if errors.Is(err, ledger.ErrNotFound) || err == nil && !isKept(e) {
		return nil, unknown
	}
	if err != nil {
		return nil, d.ledgerError(err)
	}
	b, err := d.chainOf(ctx, e)
	if err != nil || !withKey {
		return b, err
	}
	var r record
	if err := json.Unmarshal(e.Request, &r); err != nil {
		return nil, fmt.Errorf("the record of %q in the ledger: %w", e.Name, err)
	}
	b.Encoding = r.Encoding
	if b.Encoding == "" {
		b.Encoding = pki.PKCS8
	}
	if b.Key, err = d.keptKey(ctx, e); errors.Is(err, pki.ErrNoKey) {
		return b, nil
	}
	if err == nil && !pki.SamePublicKey(b.Key.Public(), b.Leaf().PublicKey) {
		err = &PathError{d.Path(keysFile), fmt.Errorf("the key of %q: %w", e.Name, pki.ErrKeyMismatch)}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// chainOf makes the bundle of an entry, without its key, of what the ledger and
// the folder of its issuer have.
func (d *Dir) chainOf(ctx context.Context, e *ledger.Entry) (*pki.Bundle, error) {
	cert, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return nil, fmt.Errorf("the certificate of %q in the ledger: %w", e.Name, err)
	}
	alone := []*x509.Certificate{cert}
	if strings.EqualFold(e.Issuer, e.Name) {
		return &pki.Bundle{Chain: alone, Roots: alone}, nil
	}
	a, err := d.issuerOf(ctx, e.Issuer, cert, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("the issuer of %q: %w", e.Name, err)
	}
	return &pki.Bundle{Chain: a.ChainFor(cert), Roots: a.Roots()}, nil
}

// maxDepth is how many authorities may stand above each other: names that are
// used again could make a circle.
const maxDepth = 32

// issuerOf returns, without its key, the authority called name as it was when it
// signed a certificate: the one that is there now, or one that the ledger
// remembers.
func (d *Dir) issuerOf(ctx context.Context, name string, cert *x509.Certificate, depth int) (*pki.Authority, error) {
	known := fold(name) + "\x00" + string(cert.AuthorityKeyId) + string(cert.RawIssuer)
	if a, ok := d.above[known]; ok {
		return a, nil
	}
	a, err := d.Authority(name, nil)
	if err != nil && !errors.Is(err, ErrNoAuthority) {
		return nil, err
	}
	if err != nil || !isSignedBy(a.Certificate(), cert) {
		now := a
		if a, err = d.formerIssuer(ctx, name, cert, depth); err != nil {
			return nil, err
		}
		if a, err = d.duringChange(a, now); err != nil {
			return nil, err
		}
	}
	if d.above == nil {
		d.above = map[string]*pki.Authority{}
	}
	d.above[known] = a
	return a, nil
}

// formerIssuer returns what the ledger knows of an authority that was replaced or
// removed after it had signed cert.
func (d *Dir) formerIssuer(ctx context.Context, name string, cert *x509.Certificate, depth int) (*pki.Authority, error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	var by *ledger.Entry
	var ca *x509.Certificate
	err = l.Each(ctx, ledger.Filter{Name: name, Kind: ledger.KindAuthority, All: true}, func(e *ledger.Entry) error {
		if c, err := x509.ParseCertificate(e.DER); err == nil && isSignedBy(c, cert) {
			by, ca = e, c
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if by == nil || depth == 0 {
		return nil, fmt.Errorf("%w %q", ErrNoAuthority, name)
	}
	chain := []*x509.Certificate{ca}
	if !strings.EqualFold(by.Issuer, by.Name) {
		parent, err := d.issuerOf(ctx, by.Issuer, ca, depth-1)
		if err != nil {
			return nil, err
		}
		chain = append(chain, parent.FullChain()...)
	}
	return pki.NewAuthority(pki.AuthorityConfig{Chain: chain, Now: d.now})
}

// isSignedBy reports whether ca signed cert.
func isSignedBy(ca, cert *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(ca) == nil
}
