package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// A Draft is a certificate that has passed its profile and its issuer's limits
// and may be signed once. Only [Authority.Prepare], [Authority.PrepareCA],
// [PrepareRoot], for exact requests [Authority.PrepareExact] and
// [PrepareSelfSigned], and for what exists [Authority.PrepareAgain] and
// [PrepareRootAgain], make one.
type Draft struct {
	template *x509.Certificate
	exact    bool              // key identifiers and signature algorithm are cert-manager's
	former   *x509.Certificate // what is certified again; nil for something new
	signed   atomic.Bool
	key      profiles.KeyType
	pub      crypto.PublicKey // nil: any key of type key
	issuer   *Authority       // nil: self-signed
	warnings []string
}

// Template returns a copy of what will be certified. It lacks what the
// signature brings: serial, key and key identifiers.
func (d *Draft) Template() x509.Certificate { return *d.template }

// KeyType returns the type of the key to be certified.
func (d *Draft) KeyType() profiles.KeyType { return d.key }

// Warnings returns what the asker should know: sentences without a full stop.
func (d *Draft) Warnings() []string { return slices.Clone(d.warnings) }

func (d *Draft) warn(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

// A PolicyError says which demand of a profile a request does not meet.
type PolicyError struct {
	Profile string
	Rule    string // the field of the profile that says so: "sans.required"
	Problem string
}

func (e *PolicyError) Error() string { return fmt.Sprintf("profile %q: %s", e.Profile, e.Problem) }

// Reasons why a request is refused whatever its profile.
var (
	ErrNoName     = errors.New("neither a common name nor a subject alternative name")
	ErrSPIFFE     = errors.New("not an X509-SVID")
	ErrPathLength = errors.New("the issuer's path length does not allow it")
	ErrPurpose    = errors.New("the issuer's extended key usage does not allow it")
)

// Prepare measures r against the profile and against the authority and makes a
// draft of it. It uses no private key.
//
// Errors: [*SubjectError], [*PolicyError], [*LifetimeError], [*ConstraintError],
// and those of causes [ErrNoName], [ErrSPIFFE], [ErrPurpose], [ErrPathLength]
// and [ErrKey].
func (a *Authority) Prepare(p *profiles.Profile, r Request) (*Draft, error) {
	if err := a.checkPathLength(); err != nil {
		return nil, err
	}
	d := &Draft{issuer: a, pub: r.PublicKey}
	r.SANs = once(r.SANs)
	policy := func(rule, format string, args ...any) (*Draft, error) {
		return nil, &PolicyError{p.Name(), rule, fmt.Sprintf(format, args...)}
	}
	var err error
	if d.key, err = requestedKey(r, p.Key()); err != nil {
		return nil, err
	}
	if !slices.Contains(p.Keys(), d.key) {
		return policy("keys", "%s keys are not allowed", d.key)
	}
	if err := r.Subject.Check(); err != nil {
		return nil, err
	}
	subject := fillSubject(r.Subject, p.Subject())
	if err := subject.Check(); err != nil {
		return policy("subject", "its own %v", err)
	}
	if subject.CommonName == "" && len(r.SANs) == 0 {
		return nil, ErrNoName
	}
	for _, s := range r.SANs {
		if !p.Allows(s.kind) {
			return policy("sans.allowed", "%s names are not allowed, and this is one: %s", s.kind, s.value)
		}
	}
	if err := checkPatterns(p, subject.CommonName, r.SANs); err != nil {
		return nil, err
	}
	if err := d.checkSPIFFE(p, r.SANs); err != nil {
		return nil, err
	}
	if need := p.Required(); len(need) > 0 && !slices.ContainsFunc(r.SANs, func(s SAN) bool { return slices.Contains(need, s.kind) }) {
		return policy("sans.required", "it needs a name of kind %s", profiles.JoinKinds(need, " or "))
	}
	if err := a.checkPurposes(p.ExtKeyUsage()); err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		KeyUsage:              p.KeyUsageFor(d.key),
		ExtKeyUsage:           p.ExtKeyUsage(),
		BasicConstraintsValid: true,
		CRLDistributionPoints: a.urls.CRL,
		IssuingCertificateURL: a.urls.AIA,
		OCSPServer:            a.urls.OCSP,
	}
	if t.RawSubject, err = subject.raw(); err != nil {
		return nil, err
	}
	if err := a.checkSubject(t.RawSubject, subject); err != nil {
		return nil, err
	}
	if err := addSANs(t, r.SANs); err != nil {
		return nil, err
	}
	if err := d.setLifetime(a, t, r.Lifetime, p.Validity()); err != nil {
		return nil, err
	}
	if longest := p.MaxValidity(); longest != 0 && t.NotAfter.Sub(t.NotBefore) > longest {
		return policy("maxValidity", "it certifies for %s at most", profiles.FormatValidity(longest))
	}
	if err := checkConstraints(a.chain, t, subject.CommonName); err != nil {
		return nil, err
	}
	if subject.CommonName != "" && len(t.DNSNames) == 0 && p.HasPurpose(x509.ExtKeyUsageServerAuth) && permitsDNS(a.chain) {
		d.warn("GnuTLS and NSS take the common name %q for a DNS name, which the issuer may not certify; leave it empty for them", subject.CommonName)
	}
	d.template = t
	return d, nil
}

// checkPatterns holds names to the patterns of a profile. Its error is a
// [*PolicyError].
func checkPatterns(p *profiles.Profile, commonName string, sans []SAN) error {
	var err error
	for _, s := range sans {
		if err == nil {
			err = p.CheckName(s.kind, s.value)
		}
	}
	if err == nil && commonName != "" {
		host := looksLikeHost(strings.TrimPrefix(commonName, "*."))
		err = p.CheckCommonName(commonName, host)
	}
	if broken, ok := errors.AsType[*profiles.NameError](err); ok {
		return &PolicyError{p.Name(), broken.Rule, broken.Error()}
	}
	return err
}

// PrepareCA measures r against the authority and makes the draft of an
// authority below it. Its errors are those of [Authority.Prepare].
func (a *Authority) PrepareCA(r CARequest) (*Draft, error) {
	if err := a.checkPathLength(); err != nil {
		return nil, err
	}
	d := &Draft{issuer: a}
	limit := a.PathLen()
	switch {
	case limit == 0:
		return nil, fmt.Errorf("%q signs no authorities: %w", displayName(a.Certificate()), ErrPathLength)
	case limit > 0 && (r.PathLen == NoPathLen || r.PathLen >= limit):
		return nil, fmt.Errorf("%q signs authorities with a path length of at most %d: %w", displayName(a.Certificate()), limit-1, ErrPathLength)
	}
	if err := d.prepareCA(a, r, IntermediateValidity); err != nil {
		return nil, err
	}
	if err := a.checkSubject(d.template.RawSubject, r.Subject); err != nil {
		return nil, err
	}
	d.template.CRLDistributionPoints = a.urls.CRL
	d.template.IssuingCertificateURL = a.urls.AIA
	d.template.OCSPServer = a.urls.OCSP
	return d, nil
}

// PrepareRoot makes the draft of a root from r; now is the current time.
func PrepareRoot(r CARequest, now time.Time) (*Draft, error) {
	d := &Draft{}
	self := &Authority{now: func() time.Time { return now }}
	if err := d.prepareCA(self, r, RootValidity); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Draft) prepareCA(issuer *Authority, r CARequest, validity time.Duration) error {
	d.key = r.Key
	if d.key == "" {
		d.key = profiles.ECP256
	}
	if _, err := profiles.ParseKeyType(string(d.key)); err != nil {
		return err
	}
	if err := r.Subject.Check(); err != nil {
		return err
	}
	if r.Subject.IsEmpty() {
		return &SubjectError{"CN", "", "an authority needs a subject"}
	}
	if r.PathLen < NoPathLen {
		return fmt.Errorf("a path length of %d", r.PathLen)
	}
	t := &x509.Certificate{
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            r.PathLen,
		MaxPathLenZero:        r.PathLen == 0,
	}
	constrain(t, r.Permit, r.Exclude)
	var err error
	if t.RawSubject, err = r.Subject.raw(); err != nil {
		return err
	}
	if err := d.setLifetime(issuer, t, r.Lifetime, validity); err != nil {
		return err
	}
	d.template = t
	return nil
}

// checkSubject refuses the subject of an authority of the chain for what stands
// below it: a certificate that is issued by its own name counts as a root
// (RFC 5280 section 3.2 calls it self-issued), and chains through it break.
func (a *Authority) checkSubject(raw []byte, s Subject) error {
	for _, c := range a.chain {
		if !s.IsEmpty() && bytes.Equal(raw, c.RawSubject) {
			return &SubjectError{"CN", s.CommonName, "an authority above it has the same subject"}
		}
	}
	return nil
}

// checkPurposes refuses purposes that an authority of the chain does not have,
// where it says what it is for. RFC 5280 section 4.2.1.12 leaves open what that
// means in a CA; verifiers take it as a limit on all below it.
func (a *Authority) checkPurposes(purposes []x509.ExtKeyUsage) error {
	for _, c := range a.chain {
		has := c.ExtKeyUsage
		if len(has)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(has, x509.ExtKeyUsageAny) {
			continue
		}
		for _, p := range purposes {
			if !slices.Contains(has, p) {
				return fmt.Errorf("%q does not sign for %s: %w", displayName(c), strings.Join(profiles.FormatUsages(0, []x509.ExtKeyUsage{p}), ""), ErrPurpose)
			}
		}
	}
	return nil
}

// requestedKey returns the type of the key that r wants certified.
func requestedKey(r Request, def profiles.KeyType) (profiles.KeyType, error) {
	switch {
	case r.PublicKey != nil:
		t, err := KeyTypeOf(r.PublicKey)
		if err == nil {
			err = checkListed(t)
		}
		if err == nil && r.Key != "" && r.Key != t {
			err = fmt.Errorf("%w: it is %s, and %s was asked for", ErrKey, t, r.Key)
		}
		return t, err
	case r.Key != "":
		return profiles.ParseKeyType(string(r.Key))
	}
	return def, nil
}

// fillSubject gives s the profile's values for the fields it leaves empty.
func fillSubject(s Subject, p profiles.SubjectConfig) Subject {
	fill := func(given *[]string, def []string) {
		if len(*given) == 0 {
			*given = def
		}
	}
	fill(&s.Organizations, p.Organizations)
	fill(&s.OrganizationalUnits, p.OrganizationalUnits)
	fill(&s.Countries, p.Countries)
	fill(&s.Provinces, p.Provinces)
	fill(&s.Localities, p.Localities)
	return s
}

// checkSPIFFE holds certificates with a SPIFFE ID to the X509-SVID standard:
// one URI (section 2), which has a path (section 3.1), digital signature among
// the key usages (section 4.3), and, where there are purposes, both of TLS
// (section 4.4). One URI binds everyone. The rest binds profiles that require a
// SPIFFE ID, and is a warning for those who only allow it; the purposes, a
// SHOULD of the standard, are a warning for all.
func (d *Draft) checkSPIFFE(p *profiles.Profile, sans []SAN) error {
	var ids, uris []string
	for _, s := range sans {
		switch s.kind {
		case profiles.KindSPIFFE:
			ids = append(ids, s.value)
		case profiles.KindURI:
			uris = append(uris, s.value)
		}
	}
	switch {
	case len(ids) == 0:
		return nil
	case len(ids) > 1:
		return fmt.Errorf("%w: it has exactly one SPIFFE ID, and here are %s", ErrSPIFFE, strings.Join(ids, " and "))
	case len(uris) > 0:
		return fmt.Errorf("%w: its SPIFFE ID is its only URI, and here is also %s", ErrSPIFFE, uris[0])
	}
	var flaws []string
	if u, err := url.Parse(ids[0]); err == nil && u.Path == "" {
		flaws = append(flaws, fmt.Sprintf("the SPIFFE ID of a workload has a path, and %s has none", ids[0]))
	}
	if p.KeyUsageFor(d.key)&x509.KeyUsageDigitalSignature == 0 {
		flaws = append(flaws, fmt.Sprintf("it has the key usage digital signature, and profile %q gives none", p.Name()))
	}
	for _, f := range flaws {
		if slices.Contains(p.Required(), profiles.KindSPIFFE) {
			return fmt.Errorf("%w: %s", ErrSPIFFE, f)
		}
		d.warn("not an X509-SVID by the standard: %s", f)
	}
	if purposes := p.ExtKeyUsage(); len(purposes) > 0 && !(p.HasPurpose(x509.ExtKeyUsageClientAuth) && p.HasPurpose(x509.ExtKeyUsageServerAuth)) {
		d.warn("the X509-SVID standard wants both server auth and client auth; this certificate has %s alone",
			strings.Join(profiles.FormatUsages(0, purposes), ", "))
	}
	return nil
}

// once returns the names in their order, each once.
func once(sans []SAN) (all []SAN) {
	for _, s := range sans {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// addSANs writes the names into t.
func addSANs(t *x509.Certificate, sans []SAN) error {
	for _, s := range sans {
		switch s.kind {
		case profiles.KindDNS:
			t.DNSNames = append(t.DNSNames, s.value)
		case profiles.KindIP:
			t.IPAddresses = append(t.IPAddresses, net.ParseIP(s.value))
		case profiles.KindEmail:
			t.EmailAddresses = append(t.EmailAddresses, s.value)
		default:
			u, err := url.Parse(s.value)
			if err != nil {
				return &SANError{Kind: s.kind, Value: s.value, Problem: "that is no URI"}
			}
			t.URIs = append(t.URIs, u)
		}
	}
	return nil
}
