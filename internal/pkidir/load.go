package pkidir

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A Passphrase opens an encrypted key. It is asked only when there is one.
type Passphrase func() ([]byte, error)

// Authority loads an authority with its key, or without it if the key is not
// here, or if passphrase is nil. The empty name is the default authority.
func (d *Dir) Authority(name string, passphrase Passphrase) (*pki.Authority, error) {
	name, err := d.resolveAuthority(name)
	if err != nil {
		return nil, err
	}
	folder := path.Join(authoritiesDir, name)
	chain, err := d.certificates(path.Join(folder, ChainFile))
	if err != nil {
		return nil, err
	}
	roots, err := d.certificates(path.Join(folder, RootsFile))
	if err != nil {
		return nil, err
	}
	if !chain[len(chain)-1].Equal(roots[0]) {
		chain = append(chain, roots[0])
	}
	c := pki.AuthorityConfig{Chain: chain, URLs: d.urls(name), Now: d.now}
	if passphrase != nil {
		if c.Signer, _, err = d.key(path.Join(folder, KeyFile), passphrase, true); err != nil && !errors.Is(err, pki.ErrNoKey) {
			return nil, err
		}
	}
	a, err := pki.NewAuthority(c)
	if err != nil {
		return nil, &PathError{d.Path(folder), err}
	}
	return a, nil
}

// AuthorityNames returns the names of all authorities.
func (d *Dir) AuthorityNames() ([]string, error) { return d.folders(authoritiesDir) }

// BundleNames returns the names of all certificates.
func (d *Dir) BundleNames() ([]string, error) { return d.folders(certificatesDir) }

func (d *Dir) folders(name string) ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) { // git has no empty folders
		return nil, nil
	}
	if err != nil {
		return nil, &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// FolderOf returns the folder that holds an entry's files, and whether it is
// there.
func (d *Dir) FolderOf(e *ledger.Entry) (string, bool) {
	folder := targetOf(e)
	return d.Path(folder), d.hasFolder(folder)
}

// IsAuthority reports whether there is an authority called name.
func (d *Dir) IsAuthority(name string) bool {
	n, err := pki.ParseName(name)
	return err == nil && d.hasFolder(authoritiesDir, n.String())
}

// AuthorityKeyPath returns where the key of an authority is looked for.
func (d *Dir) AuthorityKeyPath(name string) string {
	return d.Path(authoritiesDir, name, KeyFile)
}

// resolveAuthority returns the name of an authority that exists.
func (d *Dir) resolveAuthority(name string) (string, error) {
	if name == "" {
		if name = d.settings.Default; name == "" {
			return "", fmt.Errorf("%w: none is named, and there is no default", ErrNoAuthority)
		}
	}
	n, err := pki.ParseName(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoAuthority, err)
	}
	if !d.hasFolder(authoritiesDir, n.String()) {
		return "", fmt.Errorf("%w %q", ErrNoAuthority, name)
	}
	return n.String(), nil
}

func (d *Dir) hasFolder(elem ...string) bool {
	info, err := d.root.Stat(path.Join(elem...))
	return err == nil && info.IsDir()
}

// Bundle loads the bundle of a certificate or of an authority, with its key, or
// without it if the key is not here, or if passphrase is nil.
func (d *Dir) Bundle(name string, passphrase Passphrase) (*pki.Bundle, error) {
	n, err := pki.ParseName(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	folder := path.Join(certificatesDir, n.String())
	if !d.hasFolder(folder) {
		folder = path.Join(authoritiesDir, n.String())
		if !d.hasFolder(folder) {
			return nil, fmt.Errorf("%w %q", ErrNoBundle, name)
		}
	}
	b := &pki.Bundle{}
	if b.Chain, err = d.certificates(path.Join(folder, ChainFile)); err != nil {
		return nil, err
	}
	if b.Roots, err = d.certificates(path.Join(folder, RootsFile)); err != nil {
		return nil, err
	}
	if passphrase == nil {
		return b, nil
	}
	b.Key, b.Encoding, err = d.key(path.Join(folder, KeyFile), passphrase, false)
	if err != nil && !errors.Is(err, pki.ErrNoKey) {
		return nil, err
	}
	if b.Key != nil && !pki.SamePublicKey(b.Key.Public(), b.Leaf().PublicKey) {
		return nil, &PathError{d.Path(folder), pki.ErrKeyMismatch}
	}
	return b, nil
}

func (d *Dir) certificates(name string) ([]*x509.Certificate, error) {
	data, err := d.root.ReadFile(name)
	if err != nil {
		return nil, &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		return nil, &PathError{d.Path(name), err}
	}
	return certs, nil
}

// key is the one place where a file becomes a signer. A key that is not here is
// [pki.ErrNoKey]. The key of an authority must be its owner's alone.
func (d *Dir) key(name string, passphrase Passphrase, authority bool) (crypto.Signer, pki.KeyEncoding, error) {
	info, err := d.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", pki.ErrNoKey
	}
	if err != nil {
		return nil, "", &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	if authority {
		if err := checkKeyMode(d.Path(name), info.Mode()); err != nil {
			return nil, "", err
		}
	}
	data, err := d.root.ReadFile(name)
	if err != nil {
		return nil, "", &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	var secret []byte
	if pki.KeyIsEncrypted(data) {
		if secret, err = passphrase(); err != nil {
			return nil, "", &PathError{d.Path(name), err}
		}
	}
	key, err := pki.ParseKey(data, secret)
	if err != nil {
		if !errors.Is(err, pki.ErrPassphrase) {
			err = fmt.Errorf("%w: %w", ErrBadKey, err)
		}
		return nil, "", &PathError{d.Path(name), err}
	}
	encoding := pki.PKCS8
	switch {
	case strings.Contains(string(data), "BEGIN RSA PRIVATE KEY"):
		encoding = pki.PKCS1
	case strings.Contains(string(data), "BEGIN EC PRIVATE KEY"):
		encoding = pki.SEC1
	}
	return key, encoding, nil
}
