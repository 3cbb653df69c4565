package pkidir

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A CertificateImport is a certificate that exists.
type CertificateImport struct {
	Name pki.Name
	Cert *x509.Certificate
	// Key may be nil: then it is somebody else's.
	Key      crypto.Signer
	Encoding pki.KeyEncoding // of tls.key
	// Exact is what would ask for it again, and Manifest what it came of. Without
	// either, the certificate itself says what to ask for.
	Exact    *pki.ExactRequest
	Manifest json.RawMessage
}

// entry makes the entry of what the authority called by signed.
func (in *CertificateImport) entry(by string, now time.Time) (ledger.Entry, error) {
	e := ledger.Entry{Name: in.Name.String(), Kind: ledger.KindCertificate, Profile: ProfileManifest, Issuer: by, Manifest: in.Manifest}
	r := record{Subject: pki.SubjectOf(in.Cert.Subject), Encoding: in.Encoding, CSR: in.Key == nil, Exact: in.Exact}
	if in.Exact == nil && in.Manifest == nil {
		e.Profile, r.Exact = ProfileImported, exactOf(in.Cert)
	}
	kt, err := pki.KeyTypeOf(in.Cert.PublicKey)
	if err != nil && in.Key != nil {
		return e, err
	}
	// What is too weak to be used has to be revoked all the same.
	return e, fill(&e, in.Cert, kt, r, now)
}

// AskedExactly reports whether an entry was asked for field by field, or imported,
// so that it needs no profile to be asked for again: see [Dir.Renewal].
func AskedExactly(e *ledger.Entry) bool {
	var r record
	return json.Unmarshal(e.Request, &r) == nil && r.Exact != nil
}

// exactOf asks for what a certificate says.
func exactOf(cert *x509.Certificate) *pki.ExactRequest {
	r := &pki.ExactRequest{
		Subject: cert.RawSubject, KeyUsage: cert.KeyUsage, ExtKeyUsage: cert.ExtKeyUsage, UnknownExtKeyUsage: cert.UnknownExtKeyUsage,
		Duration: cert.NotAfter.Sub(cert.NotBefore),
	}
	for _, e := range cert.Extensions {
		if e.Id.String() == subjectAltName {
			r.SAN = e.Value
		}
	}
	urls := pki.URLs{CRL: cert.CRLDistributionPoints, AIA: cert.IssuingCertificateURL, OCSP: cert.OCSPServer}
	if urls.Check() == nil {
		r.URLs = urls
	}
	return r
}

const subjectAltName = "2.5.29.17"

// ErrForeign says that no authority of the directory signed a certificate.
var ErrForeign = errors.New("no authority here signed it")

// ImportCertificate puts a certificate on record that one of the authorities here
// signed elsewhere, or that signed itself, and keeps its key. If it has the name
// already, nothing changes. Errors are of cause [ErrForeign], [pki.ErrNotCA] for
// an authority, [pki.ErrKeyMismatch] and [ledger.ErrExists]: what has the name, or
// the same certificate under another name.
func (d *Dir) ImportCertificate(ctx context.Context, in CertificateImport) (issued Issued, err error) {
	if in.Cert.IsCA {
		return Issued{}, fmt.Errorf("%q is an authority: %w", in.Name, pki.ErrNotCA)
	}
	if in.Key != nil && !pki.SamePublicKey(in.Key.Public(), in.Cert.PublicKey) {
		return Issued{}, fmt.Errorf("%q: %w", in.Name, pki.ErrKeyMismatch)
	}
	if err := d.checkWritable(); err != nil {
		return Issued{}, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return Issued{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	b := &pki.Bundle{Key: in.Key, Encoding: in.Encoding}
	by, err := d.signerOf(in, b)
	if err != nil {
		return Issued{}, err
	}
	e, err := in.entry(by, d.now())
	if err != nil {
		return Issued{}, err
	}
	issued = Issued{Entry: e, Bundle: b}
	old, err := d.ledger.Current(ctx, e.Name)
	if err == nil && old.Kind == e.Kind && string(old.DER) == string(e.DER) {
		issued.Entry, issued.Path = *old, d.folderPath(old)
		if in.Key != nil && !d.hasKey(old) {
			issued.Warnings = []string{"it was on record already, without its key, and stays so"}
		}
		return issued, nil
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return Issued{}, d.ledgerError(err)
	}
	it := item{entry: e, chain: b.Chain, roots: b.Roots, known: true}
	if it.key, err = keyFor(&e, b); err != nil {
		return Issued{}, err
	}
	issued.Path = d.folderPath(&e)
	items := []item{it}
	if err := errors.Join(d.checkItems(ctx, items, true)...); err != nil {
		return Issued{}, err
	}
	known, err := d.ledger.BySerial(ctx, e.Issuer, e.Serial)
	if err == nil && !strings.EqualFold(known.Name, e.Name) {
		return Issued{}, &ledger.ExistsError{Name: known.Name, Kind: known.Kind}
	}
	items[0].again = err == nil
	if err := d.commitAs(ctx, ledger.ActionImport, items); err != nil {
		return Issued{}, err
	}
	return issued, d.readRevocation(ctx, &issued.Entry)
}

// keyFor writes the key of a bundle as it is kept for an entry; nil for none.
func keyFor(e *ledger.Entry, b *pki.Bundle) ([]byte, error) {
	switch {
	case b.Key == nil:
		return nil, nil
	case isKept(e):
		return x509.MarshalPKCS8PrivateKey(b.Key)
	}
	return b.KeyPEM()
}

// folderPath returns where an entry's folder is, or nothing if it has none.
func (d *Dir) folderPath(e *ledger.Entry) string {
	if isKept(e) {
		return ""
	}
	return d.Path(targetOf(e))
}

// hasKey reports whether the key of a certificate is here.
func (d *Dir) hasKey(e *ledger.Entry) bool {
	if isKept(e) {
		return true // as apply, which alone imports such, has seen to
	}
	_, err := d.root.Lstat(path.Join(targetOf(e), KeyFile))
	return err == nil
}

// readRevocation brings an entry up to what the ledger knew before it came.
func (d *Dir) readRevocation(ctx context.Context, e *ledger.Entry) error {
	now, err := d.ledger.BySerial(ctx, e.Issuer, e.Serial)
	if err != nil {
		return d.ledgerError(err)
	}
	e.RevokedAt, e.Reason = now.RevokedAt, now.Reason
	return nil
}

// signerOf returns the name of the authority that signed a certificate, or the
// certificate's own if it signed itself, and puts the chain into b.
func (d *Dir) signerOf(in CertificateImport, b *pki.Bundle) (string, error) {
	if pki.SelfSigned(in.Cert) == pki.SignatureGood {
		b.Chain, b.Roots = []*x509.Certificate{in.Cert}, []*x509.Certificate{in.Cert}
		return in.Name.String(), nil
	}
	names, err := d.AuthorityNames()
	if err != nil {
		return "", err
	}
	for _, name := range names {
		a, err := d.Authority(name, nil)
		if err != nil {
			return "", err
		}
		if isSignedBy(a.Certificate(), in.Cert) && !strings.EqualFold(name, in.Name.String()) {
			b.Chain, b.Roots = a.ChainFor(in.Cert), a.Roots()
			return name, nil
		}
	}
	return "", fmt.Errorf("%q: %w", in.Name, ErrForeign)
}
