package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// Sign signs a draft that this authority prepared, for the key pub; a nil pub
// means the key of the draft's request. A draft is signed once. The result is
// parsed again and compared with the draft before it is returned. An offline
// authority returns [ErrNoKey].
func (a *Authority) Sign(d *Draft, pub crypto.PublicKey) (*x509.Certificate, error) {
	if d.issuer != a {
		return nil, errors.New("the draft was prepared by another authority")
	}
	if !a.CanSign() {
		return nil, a.errNoKey()
	}
	if pub == nil {
		pub = d.pub
	}
	return d.sign(a.Certificate(), pub, a.signer)
}

func (a *Authority) errNoKey() error {
	return fmt.Errorf("%q: %w", displayName(a.Certificate()), ErrNoKey)
}

// SignRoot signs a self-signed draft with the key that it certifies: a root's,
// or one that [PrepareSelfSigned] made, authority or not. It is signed once,
// and read again and compared as [Authority.Sign] does.
func SignRoot(d *Draft, key crypto.Signer) (*x509.Certificate, error) {
	if d.issuer != nil {
		return nil, errors.New("the draft is for an authority to sign, not for its own key")
	}
	return d.sign(nil, key.Public(), key)
}

// Issue prepares and signs a certificate and returns the bundle: with a new
// key, or without one if the request brought its public key.
func (a *Authority) Issue(p *profiles.Profile, r Request) (*Bundle, error) {
	d, err := a.Prepare(p, r)
	if err != nil {
		return nil, err
	}
	if !a.CanSign() { // said before a key is made in vain
		return nil, a.errNoKey()
	}
	b := &Bundle{Roots: a.Roots()}
	pub := r.PublicKey
	if pub == nil {
		if b.Key, err = GenerateKey(d.key); err != nil {
			return nil, err
		}
		pub = b.Key.Public()
	}
	cert, err := a.Sign(d, pub)
	if err != nil {
		return nil, err
	}
	b.Chain = a.ChainFor(cert)
	return b, nil
}

// ChainFor returns cert, which the authority signed, followed by its parents
// without the root, as [Authority.Chain] has them.
func (a *Authority) ChainFor(cert *x509.Certificate) []*x509.Certificate {
	return append([]*x509.Certificate{cert}, a.chain[:a.sent]...)
}

// NewRoot makes a root with a new key. A nil clock means the system's.
func NewRoot(r CARequest, now func() time.Time) (*Authority, error) {
	if now == nil {
		now = time.Now //nolint:forbidigo // for those who bring no clock
	}
	d, err := PrepareRoot(r, now())
	if err != nil {
		return nil, err
	}
	key, err := GenerateKey(d.key)
	if err != nil {
		return nil, err
	}
	cert, err := SignRoot(d, key)
	if err != nil {
		return nil, err
	}
	return NewAuthority(AuthorityConfig{Chain: []*x509.Certificate{cert}, Signer: key, Now: now})
}

// NewIntermediate makes an authority below this one, with a new key.
func (a *Authority) NewIntermediate(r CARequest) (*Authority, error) {
	d, err := a.PrepareCA(r)
	if err != nil {
		return nil, err
	}
	key, err := GenerateKey(d.key)
	if err != nil {
		return nil, err
	}
	cert, err := a.Sign(d, key.Public())
	if err != nil {
		return nil, err
	}
	return NewAuthority(AuthorityConfig{Chain: append([]*x509.Certificate{cert}, a.chain...), Trusted: a.also, Signer: key, Now: a.now})
}

// sign is the one place where a certificate is signed. A nil parent means that
// the certificate signs itself.
func (d *Draft) sign(parent *x509.Certificate, pub crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	if pub == nil {
		return nil, errors.New("the draft has no key to certify")
	}
	switch kt, err := KeyTypeOf(pub); {
	case err != nil:
		return nil, err
	case kt != d.key:
		return nil, fmt.Errorf("the draft is for a key of type %s, not %s", d.key, kt)
	case d.pub != nil && !SamePublicKey(d.pub, pub):
		return nil, errors.New("the draft is for another key")
	}
	if d.signed.Swap(true) {
		return nil, errors.New("the draft is signed already")
	}
	t := new(x509.Certificate)
	*t = *d.template
	var err error
	if t.SerialNumber, err = newSerial(); err != nil {
		return nil, err
	}
	issuer := t.RawSubject
	if parent == nil {
		parent = t
	} else {
		issuer = parent.RawSubject
	}
	switch {
	case d.former != nil:
		err = d.identifyAgain(t, parent, pub, signer.Public())
	case d.exact:
		err = identifyExactly(t, parent, issuer, pub, signer.Public())
	default:
		err = identify(t, parent, pub)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, signer)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading what was signed: %w", err)
	}
	if field := difference(t, cert, issuer, pub); field != "" {
		return nil, fmt.Errorf("what was signed differs from what was prepared in its %s", field)
	}
	return cert, nil
}

// identify gives t the identifier of its own key and that of its issuer's, also
// where the issuer's certificate has none.
func identify(t, parent *x509.Certificate, pub crypto.PublicKey) (err error) {
	if t.SubjectKeyId, err = keyID(pub); err != nil {
		return err
	}
	if t.AuthorityKeyId = parent.SubjectKeyId; len(t.AuthorityKeyId) == 0 {
		t.AuthorityKeyId, err = keyID(parent.PublicKey)
	}
	return err
}

// difference names the first field in which a signed certificate is not what
// its template says, or is "".
func difference(t, c *x509.Certificate, issuer []byte, pub crypto.PublicKey) string {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"serial number", c.SerialNumber.Cmp(t.SerialNumber) == 0},
		{"issuer", bytes.Equal(c.RawIssuer, issuer)},
		{"subject", bytes.Equal(c.RawSubject, t.RawSubject)},
		{"validity", c.NotBefore.Equal(t.NotBefore) && c.NotAfter.Equal(t.NotAfter)},
		{"public key", SamePublicKey(c.PublicKey, pub)},
		{"basic constraints", c.BasicConstraintsValid && c.IsCA == t.IsCA && pathLenOf(c) == pathLenOf(t)},
		{"key usage", c.KeyUsage == t.KeyUsage},
		{"extended key usage", slices.Equal(c.ExtKeyUsage, t.ExtKeyUsage) &&
			slices.EqualFunc(c.UnknownExtKeyUsage, t.UnknownExtKeyUsage, asn1.ObjectIdentifier.Equal)},
		{"key identifiers", bytes.Equal(c.SubjectKeyId, t.SubjectKeyId) && bytes.Equal(c.AuthorityKeyId, t.AuthorityKeyId)},
		{"names", slices.Equal(sanStrings(c), sanStrings(t))},
		{"name constraints", slices.Equal(constraintStrings(c), constraintStrings(t)) &&
			c.PermittedDNSDomainsCritical == t.PermittedDNSDomainsCritical},
		{"URLs", slices.Equal(c.CRLDistributionPoints, t.CRLDistributionPoints) &&
			slices.Equal(c.IssuingCertificateURL, t.IssuingCertificateURL) && slices.Equal(c.OCSPServer, t.OCSPServer)},
		{"extensions", hasExtensions(c, t.ExtraExtensions)},
		{"signature algorithm", t.SignatureAlgorithm == x509.UnknownSignatureAlgorithm || c.SignatureAlgorithm == t.SignatureAlgorithm},
	} {
		if !f.same {
			return f.name
		}
	}
	return ""
}

// hasExtensions reports whether a certificate ends with certain extensions, byte
// for byte.
func hasExtensions(c *x509.Certificate, want []pkix.Extension) bool {
	n := len(c.Extensions) - len(want)
	return n >= 0 && slices.EqualFunc(c.Extensions[n:], want, func(a, b pkix.Extension) bool {
		return a.Id.Equal(b.Id) && a.Critical == b.Critical && bytes.Equal(a.Value, b.Value)
	})
}

func sanStrings(c *x509.Certificate) (all []string) {
	for _, s := range SANsOf(c) {
		all = append(all, s.String())
	}
	return all
}

func constraintStrings(c *x509.Certificate) (all []string) {
	permit, exclude := ConstraintsOf(c)
	for _, p := range permit {
		all = append(all, "+"+p.String())
	}
	for _, e := range exclude {
		all = append(all, "-"+e.String())
	}
	return all
}

// SANsOf returns the names of a certificate or template as they stand there, in
// the order DNS, email, IP, URI. They are not checked: a foreign certificate
// may hold anything.
func SANsOf(c *x509.Certificate) (all []SAN) {
	for _, n := range c.DNSNames {
		all = append(all, SAN{profiles.KindDNS, n})
	}
	for _, n := range c.EmailAddresses {
		all = append(all, SAN{profiles.KindEmail, n})
	}
	for _, n := range c.IPAddresses {
		all = append(all, SAN{profiles.KindIP, n.String()})
	}
	for _, n := range c.URIs {
		kind := profiles.KindURI
		if n.Scheme == "spiffe" {
			kind = profiles.KindSPIFFE
		}
		all = append(all, SAN{kind, n.String()})
	}
	return all
}

// newSerial returns 128 random bits that are not zero (RFC 5280 section
// 4.1.2.2).
func newSerial() (*big.Int, error) {
	for {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
		if n := new(big.Int).SetBytes(b); n.Sign() > 0 {
			return n, nil
		}
	}
}

// keyID is RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of
// the public key's bits.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	var bits []byte
	var err error
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		bits, err = k.Bytes()
	case *rsa.PublicKey:
		bits = x509.MarshalPKCS1PublicKey(k)
	case ed25519.PublicKey:
		bits = k
	default:
		err = fmt.Errorf("%w: it is neither EC, RSA nor Ed25519", ErrKey)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bits)
	return sum[:20], nil
}
