package pkidir

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// An Order asks for one certificate: by a profile and a request that it fills,
// or by an exact request.
type Order struct {
	Name     pki.Name
	Profile  *profiles.Profile
	Request  pki.Request
	Encoding pki.KeyEncoding // of tls.key
	// Key is the key to be certified, if it is here already; else one is made,
	// unless the request brings a public key.
	Key crypto.Signer
	// KeepKey certifies the key that Name has now. If there is none here, one is
	// made; one of another type than is asked for is a [*KeyTypeError].
	KeepKey bool

	// Exact asks field by field; then Profile and Request say nothing. If it asks
	// for an authority, that is what is made, with a folder of its own; neither
	// the default authority nor the settings change by it.
	Exact *pki.ExactRequest
	// SelfSigned has what Exact asks for sign itself.
	SelfSigned bool
	// Manifest is kept with the certificate for whoever made the order.
	Manifest json.RawMessage

	// Authority signs; empty for the one that the options name.
	Authority string
	// Replace says that a certificate that has the name already is superseded. In
	// a namespace, an authority may replace a certificate and the other way round.
	Replace bool
}

func (o *Order) publicKey() crypto.PublicKey {
	if o.Exact != nil {
		return o.Exact.PublicKey
	}
	return o.Request.PublicKey
}

func (o *Order) selfSigned() bool { return o.Exact != nil && o.SelfSigned }

// Issued is one certificate that was issued.
type Issued struct {
	Entry    ledger.Entry
	Bundle   *pki.Bundle
	Path     string // the folder of the bundle; empty if it has none
	Default  bool   // an authority that signs when no other is named
	Warnings []string
	// Err says why it was not issued; then Entry has the name alone. Only
	// [Dir.IssueAll] reports such.
	Err error
}

// signers are the authorities that sign in one run. Each key is read once.
type signers struct {
	d          *Dir
	authority  string // who signs what names nobody
	passphrase Passphrase
	loaded     map[string]*pki.Authority // by name, in lower case
	failed     map[string]error          // ordered in this run, and not made
}

func (d *Dir) newSigners(authority string, passphrase Passphrase) *signers {
	return &signers{d, authority, passphrase, map[string]*pki.Authority{}, map[string]error{}}
}

// of returns who signs an order, by name and with its key; nobody if it signs
// itself.
func (s *signers) of(o *Order) (string, *pki.Authority, error) {
	if o.selfSigned() {
		return o.Name.String(), nil, nil
	}
	name := o.Authority
	if name == "" {
		name = s.authority
	}
	if err := s.failed[fold(name)]; err != nil {
		return "", nil, fmt.Errorf("its issuer %q was not issued: %w", name, err)
	}
	if a, ok := s.loaded[fold(name)]; ok && name != "" {
		return name, a, nil
	}
	name, err := s.d.resolveAuthority(name)
	if err != nil {
		return "", nil, err
	}
	a, ok := s.loaded[fold(name)]
	if !ok {
		if a, err = s.d.Authority(name, s.passphrase); err != nil {
			return "", nil, err
		}
		s.loaded[fold(name)] = a
	}
	return name, a, nil
}

// A job is an order on its way to a signed certificate.
type job struct {
	order  *Order
	by     string         // the name of who signs
	signer *pki.Authority // nil if it signs itself
	draft  *pki.Draft
	item   item
	made   *pki.Authority // what was made, if it is an authority
	issued Issued
	err    error
}

// prepare makes the draft.
func (j *job) prepare(now time.Time) (err error) {
	o := j.order
	switch {
	case o.selfSigned():
		j.draft, err = pki.PrepareSelfSigned(*o.Exact, now)
	case o.Exact != nil:
		j.draft, err = j.signer.PrepareExact(*o.Exact)
	default:
		j.draft, err = j.signer.Prepare(o.Profile, o.Request)
	}
	if err != nil {
		return err
	}
	return o.Encoding.Fits(j.draft.KeyType())
}

// canSign reports in an error that the key of who signs is not here.
func (j *job) canSign(d *Dir) error {
	if j.signer == nil || j.signer.CanSign() {
		return nil
	}
	return &KeyMissingError{Authority: j.by, Path: d.AuthorityKeyPath(j.by)}
}

// sign makes the key, if one is to be made, the certificate, and what has to be
// known to record and keep them.
func (j *job) sign(ctx context.Context, d *Dir, passphrase Passphrase, urls pki.URLs) error {
	o := j.order
	key, err := j.key(ctx, d, passphrase)
	if err != nil {
		return err
	}
	b := &pki.Bundle{Key: key, Encoding: o.Encoding}
	var cert *x509.Certificate
	switch {
	case j.signer != nil && key != nil:
		cert, err = j.signer.Sign(j.draft, key.Public())
	case j.signer != nil:
		cert, err = j.signer.Sign(j.draft, o.publicKey())
	case key == nil:
		err = fmt.Errorf("it is to sign itself: %w", pki.ErrNoKey)
	default:
		cert, err = pki.SignRoot(j.draft, key)
	}
	if err != nil {
		return err
	}
	var above []*x509.Certificate
	if j.signer == nil {
		b.Chain, b.Roots = []*x509.Certificate{cert}, []*x509.Certificate{cert}
	} else {
		b.Chain, b.Roots, above = j.signer.ChainFor(cert), j.signer.Roots(), j.signer.FullChain()
	}
	e, err := newEntry(j.by, o, cert, d.now())
	if err != nil {
		return err
	}
	if e.Kind == ledger.KindAuthority {
		chain := append([]*x509.Certificate{cert}, above...)
		if j.made, err = pki.NewAuthority(pki.AuthorityConfig{Chain: chain, Trusted: b.Roots, Signer: key, URLs: urls, Now: d.now}); err != nil {
			return err
		}
	}
	j.issued = Issued{Entry: e, Bundle: b, Warnings: j.draft.Warnings()}
	j.item = item{entry: e, chain: b.Chain, roots: b.Roots, replace: o.Replace}
	switch {
	case isKept(&e) && key != nil:
		j.item.key, err = x509.MarshalPKCS8PrivateKey(key)
	case key != nil:
		j.item.key, err = b.KeyPEM()
	}
	if !isKept(&e) {
		j.issued.Path = d.Path(targetOf(&e))
	}
	return err
}

// key returns the key to be certified, or nil if it is somebody else's.
func (j *job) key(ctx context.Context, d *Dir, passphrase Passphrase) (crypto.Signer, error) {
	o := j.order
	switch {
	case o.Key != nil:
		return o.Key, nil
	case o.publicKey() != nil:
		return nil, nil
	case o.KeepKey:
		key, err := d.currentKey(ctx, o.Name, passphrase)
		if errors.Is(err, pki.ErrNoKey) {
			break
		}
		if err != nil {
			return nil, err
		}
		if has, err := pki.KeyTypeOf(key.Public()); err != nil || has != j.draft.KeyType() {
			return nil, errors.Join(&KeyTypeError{o.Name.String(), has, j.draft.KeyType()}, err)
		}
		return key, nil
	}
	return pki.GenerateKey(j.draft.KeyType())
}

// ProfileManifest is the profile's name, in the ledger, of a certificate that was
// asked for exactly.
const ProfileManifest = "manifest"

// ProfileImported is the profile's name, in the ledger, of a certificate that was
// imported, and did not come of a manifest.
const ProfileImported = "imported"

// A record is what the ledger keeps of a request, to ask for the same again.
type record struct {
	Subject  pki.Subject     `json:"subject"`
	SANs     []string        `json:"sans,omitempty"` // "kind:value"
	Key      string          `json:"key"`
	Encoding pki.KeyEncoding `json:"encoding,omitempty"`
	Validity string          `json:"validity,omitempty"` // the lifetime it got
	Asked    bool            `json:"asked,omitempty"`    // that lifetime was asked for
	CSR      bool            `json:"csr,omitempty"`      // the key is somebody else's
	// Trusts are the serials of a root's predecessors that are trusted beside it.
	Trusts []string `json:"trusts,omitempty"`
	// Exact is the request, if it was one; then what is above says nothing of it
	// but Key, Encoding and CSR.
	Exact *pki.ExactRequest `json:"exact,omitempty"`
}

func newEntry(issuer string, o *Order, cert *x509.Certificate, now time.Time) (ledger.Entry, error) {
	e := ledger.Entry{Name: o.Name.String(), Kind: ledger.KindCertificate, Issuer: issuer, Manifest: o.Manifest}
	r := record{Encoding: o.Encoding, CSR: o.publicKey() != nil && o.Key == nil, Exact: o.Exact}
	switch {
	case o.Exact == nil:
		e.Profile, r.Subject = o.Profile.Name(), o.Request.Subject
		r.Asked = o.Request.Validity != 0 || !o.Request.NotAfter.IsZero()
		for _, s := range o.Request.SANs {
			r.SANs = append(r.SANs, string(s.Kind())+":"+s.Value())
		}
	case !o.Exact.CA:
		e.Profile = ProfileManifest
	case o.SelfSigned:
		e.Kind, e.Profile = ledger.KindAuthority, ProfileRoot
	default:
		e.Kind, e.Profile = ledger.KindAuthority, ProfileIntermediate
	}
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
	return fill(e, cert, kt, r, now)
}

// fill is complete for a key of whatever type.
func fill(e *ledger.Entry, cert *x509.Certificate, kt profiles.KeyType, r record, now time.Time) (err error) {
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
