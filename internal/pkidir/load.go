package pkidir

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A Passphrase opens an encrypted key. It is asked only when there is one.
type Passphrase func() ([]byte, error)

// Authority loads an authority with its key, or without it if the key is neither
// here nor in the file that [Dir.SetKeyFile] names, or if passphrase is nil. The
// empty name is the default authority.
func (d *Dir) Authority(name string, passphrase Passphrase) (*pki.Authority, error) {
	name, err := d.resolveAuthority(name)
	if err != nil {
		return nil, err
	}
	folder := authorityFolder(name)
	chain, err := d.certificates(path.Join(folder, ChainFile))
	if err != nil {
		return nil, err
	}
	roots, err := d.certificates(path.Join(folder, RootsFile))
	if err != nil {
		return nil, err
	}
	chain = withRoot(chain, roots)
	c := pki.AuthorityConfig{Chain: chain, Trusted: roots, URLs: d.urls(name), Now: d.now}
	if passphrase != nil {
		if c.Signer, err = d.signerFor(name, chain[0], passphrase); err != nil && !errors.Is(err, pki.ErrNoKey) {
			return nil, err
		}
	}
	a, err := pki.NewAuthority(c)
	if err != nil {
		return nil, &PathError{d.Path(folder), err}
	}
	return a, nil
}

// withRoot completes a chain with its root: the first of roots, unless there are
// several and another one signed it.
func withRoot(chain, roots []*x509.Certificate) []*x509.Certificate {
	top, root := chain[len(chain)-1], roots[0]
	if slices.ContainsFunc(roots, top.Equal) {
		return chain
	}
	if at := slices.IndexFunc(roots, func(c *x509.Certificate) bool { return isSignedBy(c, top) }); len(roots) > 1 && at > 0 {
		root = roots[at]
	}
	return append(chain, root)
}

// AuthorityNames returns the names of all authorities.
func (d *Dir) AuthorityNames() ([]string, error) {
	names, err := d.folders(authoritiesDir)
	for i := range names {
		if err == nil {
			names[i], err = d.nameOfFolder(context.Background(), names[i])
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" }), err
}

// BundleNames returns the names of all certificates.
func (d *Dir) BundleNames() ([]string, error) {
	names, err := d.folders(certificatesDir)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	l, err := d.Ledger(ctx)
	if errors.Is(err, ErrNoLedger) {
		return names, nil
	}
	if err != nil {
		return nil, err
	}
	err = l.Names(ctx, ledger.KindCertificate, func(name string) error {
		if strings.Contains(name, "/") {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

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

// IsAuthority reports whether there is an authority called name.
func (d *Dir) IsAuthority(name string) bool {
	n, err := pki.ParseName(name)
	return err == nil && d.hasFolder(authorityFolder(n.String()))
}

// AuthorityKeyPath returns where the key of an authority is looked for.
func (d *Dir) AuthorityKeyPath(name string) string {
	return d.Path(authorityFolder(name), KeyFile)
}

// resolveAuthority returns the name of an authority that exists.
func (d *Dir) resolveAuthority(name string) (string, error) {
	if name == "" {
		if name = d.DefaultAuthority(); name == "" {
			return "", fmt.Errorf("%w: none is named, and there is no default", ErrNoAuthority)
		}
	}
	n, err := pki.ParseName(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoAuthority, err)
	}
	if !d.hasFolder(authorityFolder(n.String())) {
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
	folder, authority := path.Join(certificatesDir, folderName(n.String())), false
	if n.Namespace() != "" || !d.hasFolder(folder) {
		folder, authority = authorityFolder(n.String()), true
		if !d.hasFolder(folder) {
			return d.keptBundle(n, passphrase != nil)
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
	b.Key, b.Encoding, err = d.key(path.Join(folder, KeyFile), passphrase, authority)
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
