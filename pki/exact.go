package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// An ExactRequest asks for a certificate field by field, as cert-manager's
// resources do. Nothing is filled in and nothing is brought into another form:
// what is odd about it is a warning of the draft.
type ExactRequest struct {
	// Subject is an RDNSequence in DER; empty means no name at all.
	Subject []byte `json:"subject,omitempty"`
	// SAN is the value of the subjectAltName extension in DER, see [MarshalSAN];
	// empty means none.
	SAN []byte `json:"san,omitempty"`
	// KeyUsage and the purposes are certified as they stand, in their order.
	KeyUsage           x509.KeyUsage           `json:"keyUsage,omitempty"`
	ExtKeyUsage        []x509.ExtKeyUsage      `json:"extKeyUsage,omitempty"`
	UnknownExtKeyUsage []asn1.ObjectIdentifier `json:"unknownExtKeyUsage,omitempty"`
	// CA asks for an authority.
	CA bool `json:"ca,omitempty"`
	// Constraints are the name constraints; nil means none.
	Constraints *ExactConstraints `json:"constraints,omitempty"`
	// URLs go into the certificate, whatever its issuer's are.
	URLs URLs `json:"urls,omitzero"`
	// Duration is how long it lasts, from a minute before now. What passes the
	// issuer's end is cut to it, with a warning.
	Duration time.Duration `json:"duration"`
	// Key is the type of the key to be certified, RSA of any size too; empty means
	// that of PublicKey.
	Key       profiles.KeyType `json:"key,omitempty"`
	PublicKey crypto.PublicKey `json:"-"`
}

// ExactConstraints are name constraints as cert-manager has them (RFC 5280
// section 4.2.1.10): DNS and URI domains, mailboxes, and CIDR ranges.
type ExactConstraints struct {
	Critical            bool     `json:"critical,omitempty"`
	PermittedDNS        []string `json:"permittedDNS,omitempty"`
	ExcludedDNS         []string `json:"excludedDNS,omitempty"`
	PermittedIPRanges   []string `json:"permittedIPRanges,omitempty"`
	ExcludedIPRanges    []string `json:"excludedIPRanges,omitempty"`
	PermittedEmails     []string `json:"permittedEmails,omitempty"`
	ExcludedEmails      []string `json:"excludedEmails,omitempty"`
	PermittedURIDomains []string `json:"permittedURIDomains,omitempty"`
	ExcludedURIDomains  []string `json:"excludedURIDomains,omitempty"`
}

// An OtherName is a name of a kind that an OID tells (RFC 5280 section
// 4.2.1.6), with a UTF8String for its value.
type OtherName struct {
	OID   asn1.ObjectIdentifier
	Value string
}

// ExactNames are the names of a subjectAltName extension, as written.
type ExactNames struct {
	DNS    []string
	Emails []string
	IPs    []string
	URIs   []string
	Others []OtherName
}

// PrepareExact makes the draft of an exact request, to be signed by a. It
// applies no profile and none of the defaults of [Authority.Prepare]; what
// verifiers will have against the certificate is a warning.
//
// Errors are for what cert-manager cannot sign either: [*LifetimeError], also
// for an issuer that has expired, [*SANError], those of causes [ErrKey] and
// [ErrNotCA], and those of crypto/x509 for a subject, names or constraints that
// it would not read again.
func (a *Authority) PrepareExact(r ExactRequest) (*Draft, error) {
	if _, err := exactAlgorithm(a.Certificate().PublicKey); err != nil {
		return nil, fmt.Errorf("%q: %w", displayName(a.Certificate()), err)
	}
	d := &Draft{issuer: a}
	if err := d.prepareExact(a, r); err != nil {
		return nil, err
	}
	return d, nil
}

// PrepareSelfSigned makes the draft of an exact request, to be signed by its own
// key with [SignRoot], authority or not; now is the current time. Errors and
// warnings are those of [Authority.PrepareExact].
func PrepareSelfSigned(r ExactRequest, now time.Time) (*Draft, error) {
	d := &Draft{}
	if err := d.prepareExact(&Authority{now: func() time.Time { return now }}, r); err != nil {
		return nil, err
	}
	return d, nil
}

// prepareExact fills the draft. An issuer without a certificate is the key
// itself.
func (d *Draft) prepareExact(issuer *Authority, r ExactRequest) error {
	d.exact, d.pub = true, r.PublicKey
	var err error
	if d.key, err = exactKey(r); err != nil {
		return err
	}
	if r.CA && r.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("%w: its key usage lacks cert sign", ErrNotCA)
	}
	t, err := r.template()
	if err != nil {
		return err
	}
	if err := d.setExactLifetime(issuer, t, r.Duration); err != nil {
		return err
	}
	d.template = t
	d.warnOfVerifiers(issuer)
	return nil
}

// exactKey returns the type of the key that r wants certified.
func exactKey(r ExactRequest) (profiles.KeyType, error) {
	switch {
	case r.PublicKey != nil:
		t, err := KeyTypeOf(r.PublicKey)
		if err == nil && r.Key != "" && r.Key != t {
			err = fmt.Errorf("%w: it is %s, and %s was asked for", ErrKey, t, r.Key)
		}
		return t, err
	case r.Key.RSABits() > 0:
		return r.Key, nil
	}
	return profiles.ParseKeyType(string(r.Key))
}

// emptyName is the DER of a subject without attributes.
func emptyName() []byte { return []byte{0x30, 0} }

// template writes r into a template that makes crypto/x509 write the extensions
// in cert-manager's order: that of its own fields, and the names, as bytes, last.
func (r ExactRequest) template() (*x509.Certificate, error) {
	t := &x509.Certificate{
		RawSubject:            bytes.Clone(r.Subject),
		KeyUsage:              r.KeyUsage,
		ExtKeyUsage:           append([]x509.ExtKeyUsage(nil), r.ExtKeyUsage...),
		UnknownExtKeyUsage:    append([]asn1.ObjectIdentifier(nil), r.UnknownExtKeyUsage...),
		BasicConstraintsValid: true,
		IsCA:                  r.CA,
	}
	urls := r.URLs.clone()
	t.CRLDistributionPoints, t.IssuingCertificateURL, t.OCSPServer = urls.CRL, urls.AIA, urls.OCSP
	if len(r.Subject) == 0 {
		t.RawSubject = emptyName()
	}
	var read []pkix.Extension
	if len(r.SAN) > 0 {
		t.ExtraExtensions = []pkix.Extension{{Id: oidSAN, Critical: bytes.Equal(t.RawSubject, emptyName()), Value: bytes.Clone(r.SAN)}}
		read = append(read, t.ExtraExtensions...)
	}
	constraints, err := r.Constraints.marshal()
	if err != nil {
		return nil, err
	}
	if constraints != nil {
		read = append(read, *constraints)
	}
	c, err := readStandIn(t.RawSubject, read)
	if err != nil {
		return nil, err
	}
	t.DNSNames, t.EmailAddresses, t.IPAddresses, t.URIs = c.DNSNames, c.EmailAddresses, c.IPAddresses, c.URIs
	copyConstraints(t, c)
	return t, nil
}

// readStandIn has crypto/x509 read a certificate with a subject and extensions
// that nobody has signed, so that what it will not read again is known before a
// key is used.
func readStandIn(subject []byte, exts []pkix.Extension) (*x509.Certificate, error) {
	type builder = cryptobyte.Builder
	const seq = tag.SEQUENCE
	none := make([]byte, ed25519.PublicKeySize) // neither key nor signature is looked at
	algorithm := func(b *builder) {             // RFC 8410 section 3
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 101, 112})
	}
	var c builder
	c.AddASN1(seq, func(c *builder) {
		c.AddASN1(seq, func(c *builder) {
			c.AddASN1(tag.Tag(0).ContextSpecific().Constructed(), func(c *builder) { c.AddASN1Int64(2) })
			c.AddASN1Int64(1) // the serial number
			c.AddASN1(seq, algorithm)
			c.AddBytes(emptyName())
			c.AddASN1(seq, func(c *builder) {
				c.AddASN1UTCTime(time.Unix(0, 0).UTC())
				c.AddASN1UTCTime(time.Unix(0, 0).UTC())
			})
			c.AddBytes(subject)
			c.AddASN1(seq, func(c *builder) {
				c.AddASN1(seq, algorithm)
				c.AddASN1BitString(none)
			})
			if len(exts) == 0 {
				return
			}
			c.AddASN1(tag.Tag(3).ContextSpecific().Constructed(), func(c *builder) {
				c.AddASN1(seq, func(c *builder) {
					for _, e := range exts {
						c.AddASN1(seq, func(c *builder) {
							c.AddASN1ObjectIdentifier(e.Id)
							if e.Critical {
								c.AddASN1Boolean(true)
							}
							c.AddASN1OctetString(e.Value)
						})
					}
				})
			})
		})
		c.AddASN1(seq, algorithm)
		c.AddASN1BitString(none)
	})
	der, err := c.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing a certificate: %w", err)
	}
	read, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("no such certificate could be read: %w", err)
	}
	return read, nil
}

// setExactLifetime lets the certificate last as long as asked for from a minute
// ago, but not longer than its issuer.
func (d *Draft) setExactLifetime(issuer *Authority, t *x509.Certificate, length time.Duration) error {
	now := issuer.now().UTC().Truncate(time.Second)
	_, last := anyTime()
	if len(issuer.chain) > 0 {
		last = issuer.NotAfter()
	}
	t.NotBefore = now.Add(-backdate)
	t.NotAfter = t.NotBefore.Add(length).Truncate(time.Second)
	switch {
	case !now.Before(last):
		return &LifetimeError{Problem: fmt.Sprintf("the issuer expired on %s", FormatTime(last)), Latest: last}
	case length <= 0:
		return &LifetimeError{Problem: fmt.Sprintf("%s is no length of time", length)}
	case !t.NotAfter.After(now):
		return &LifetimeError{Problem: fmt.Sprintf("%s are over already, since it begins %s before now", length, backdate)}
	case t.NotAfter.After(last):
		t.NotAfter = last
		d.warn("it ends with its issuer, on %s, before the %s asked for are over", FormatTime(last), humanDays(length))
	}
	return nil
}

// identifyExactly gives t what cert-manager's issuers give: an identifier of its
// own key on authorities only; that of its issuer's key if the issuer's
// certificate has one and is called otherwise; and the signature algorithm by
// the signer's key.
func identifyExactly(t, parent *x509.Certificate, issuer []byte, pub, signer crypto.PublicKey) (err error) {
	if t.SignatureAlgorithm, err = exactAlgorithm(signer); err != nil {
		return err
	}
	if t.IsCA {
		t.SubjectKeyId, err = keyID(pub)
	}
	if !bytes.Equal(issuer, t.RawSubject) {
		t.AuthorityKeyId = parent.SubjectKeyId
	}
	return err
}

// exactAlgorithm returns the algorithm with which cert-manager signs by a key.
// RSA keys count by their whole bytes there.
func exactAlgorithm(signer crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	switch k := signer.(type) {
	case *rsa.PublicKey:
		switch bits := 8 * k.Size(); {
		case bits >= 4096:
			return x509.SHA512WithRSA, nil
		case bits >= 3072:
			return x509.SHA384WithRSA, nil
		case bits >= profiles.MinRSABits:
			return x509.SHA256WithRSA, nil
		default:
			return 0, fmt.Errorf("%w: RSA of %d bits is too weak to sign, %d is the least", ErrKey, k.N.BitLen(), profiles.MinRSABits)
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return x509.ECDSAWithSHA256, nil
		case elliptic.P384():
			return x509.ECDSAWithSHA384, nil
		case elliptic.P521():
			return x509.ECDSAWithSHA512, nil
		}
	case ed25519.PublicKey:
		return x509.PureEd25519, nil
	}
	_, err := KeyTypeOf(signer)
	return 0, err
}
