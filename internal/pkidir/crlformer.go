package pkidir

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A FormerKeyError says that a certificate cannot be revoked: a verifier takes the
// CRL that the same key signed (RFC 5280 section 6.3.3), and its authority has
// another one now.
type FormerKeyError struct {
	Name, Authority string
	Serial          string // of the authority's certificate for that key
	Root            bool   // which is a root's
}

func (e *FormerKeyError) Error() string {
	return fmt.Sprintf("%q cannot be revoked: a key signed it that %q had before, and no CRL can be signed with that any more", e.Name, e.Authority)
}

// CheckRevocable finds out whether a CRL that an authority signs now reaches a
// certificate. If not, the error is a [*FormerKeyError].
func (d *Dir) CheckRevocable(ctx context.Context, e *ledger.Entry) error {
	a, err := d.Authority(e.Issuer, nil)
	if err != nil {
		return err
	}
	return d.checkRevocable(ctx, e, a)
}

// checkRevocable is [Dir.CheckRevocable] for what a is the issuer of.
func (d *Dir) checkRevocable(ctx context.Context, e *ledger.Entry, a *pki.Authority) error {
	cert, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return fmt.Errorf("the certificate of %q in the ledger: %w", e.Name, err)
	}
	if !a.SignsCRLs() || isSignedBy(a.Certificate(), cert) {
		return nil
	}
	former, err := d.formerIssuer(ctx, e.Issuer, cert, maxDepth)
	if errors.Is(err, ErrNoAuthority) {
		return nil // an authority of the same name elsewhere signed it
	}
	if err != nil {
		return err
	}
	c := former.Certificate()
	return &FormerKeyError{e.Name, e.Issuer, serialOf(c), isSignedBy(c, c)}
}

// formerCRLs returns, in PEM, the CRLs beside an authority that keys signed which
// it had before, and that still hold.
func (d *Dir) formerCRLs(ctx context.Context, name string, a *pki.Authority) (all []byte, err error) {
	file := path.Join(authorityFolder(name), CRLFile)
	data, err := d.root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &PathError{d.Path(file), atomicfile.Reason(err)}
	}
	var formers []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil || !d.now().Before(crl.NextUpdate) || crl.CheckSignatureFrom(a.Certificate()) == nil {
			continue
		}
		if formers == nil {
			if formers, err = d.certificatesOf(ctx, name); err != nil {
				return nil, err
			}
		}
		for _, c := range formers {
			if crl.CheckSignatureFrom(c) == nil {
				all = append(all, pem.EncodeToMemory(block)...)
				break
			}
		}
	}
	return all, nil
}

// certificatesOf returns all certificates that an authority ever had.
func (d *Dir) certificatesOf(ctx context.Context, name string) (all []*x509.Certificate, err error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	err = l.Each(ctx, ledger.Filter{Name: name, Kind: ledger.KindAuthority, All: true}, func(e *ledger.Entry) error {
		if c, err := x509.ParseCertificate(e.DER); err == nil {
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// stageCRL puts the CRL of the authority that an entry replaces beside what was
// staged for it.
func (d *Dir) stageCRL(e *ledger.Entry) error {
	data, err := d.root.ReadFile(path.Join(targetOf(e), CRLFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return atomicfile.Fill(d.root, stageOf(e), atomicfile.File{Name: CRLFile, Data: data, Mode: atomicfile.Public})
}
