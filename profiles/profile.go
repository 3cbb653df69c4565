package profiles

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// DefaultValidity is how long a certificate lasts when neither its profile nor
// its request says.
const DefaultValidity = 365 * day

// Config is a profile as its file has it. Every field but Usages may be left
// out. The strict reading is the default: a kind of name that is not allowed is
// refused, and nothing is taken over from a signing request but its key, its
// common name and the kinds of names allowed.
type Config struct {
	// Description is one line for the help text.
	Description string `yaml:"description"`
	// Usages are cert-manager's usage words, see [UsageWords].
	Usages []string `yaml:"usages"`
	// Key is the type of the keys made for this profile; default ec-p256.
	Key string `yaml:"key"`
	// Keys are the key types that may be certified; default all.
	Keys []string `yaml:"keys"`
	// Validity is the lifetime given to requests that ask for none, as
	// [ParseValidity] reads it; default 1y.
	Validity string `yaml:"validity"`
	// MaxValidity is the longest lifetime a request may ask for; default none.
	MaxValidity string `yaml:"maxValidity"`
	// Subject fills the fields that a request leaves empty.
	Subject SubjectConfig `yaml:"subject"`
	// SANs says which kinds of subject alternative names there may and must be.
	SANs SANConfig `yaml:"sans"`
	// Names says which names of those kinds, and which common names.
	Names NamesConfig `yaml:"names"`
	// CSR lists what is taken over from a signing request beside its public
	// key: "commonName", the subject fields of [SubjectConfig], and kinds of
	// names. Default: commonName and every kind that SANs allows. An empty
	// list takes the key alone.
	CSR *[]string `yaml:"csr"`
}

// SubjectConfig holds subject fields by the names cert-manager gives them.
type SubjectConfig struct {
	Organizations       []string `yaml:"organizations"`
	OrganizationalUnits []string `yaml:"organizationalUnits"`
	Countries           []string `yaml:"countries"`
	Provinces           []string `yaml:"provinces"`
	Localities          []string `yaml:"localities"`
}

// clone keeps a profile from changing with what it was made of.
func (s SubjectConfig) clone() SubjectConfig {
	return SubjectConfig{
		Organizations:       slices.Clone(s.Organizations),
		OrganizationalUnits: slices.Clone(s.OrganizationalUnits),
		Countries:           slices.Clone(s.Countries),
		Provinces:           slices.Clone(s.Provinces),
		Localities:          slices.Clone(s.Localities),
	}
}

// SANConfig says which kinds of names a certificate may and must have.
type SANConfig struct {
	// Allowed kinds; default all.
	Allowed []string `yaml:"allowed"`
	// Required: at least one name of one of these kinds; default none.
	Required []string `yaml:"required"`
}

// The words of [Config].CSR beside the kinds of names.
const (
	CSRCommonName          = "commonName"
	CSROrganizations       = "organizations"
	CSROrganizationalUnits = "organizationalUnits"
	CSRCountries           = "countries"
	CSRProvinces           = "provinces"
	CSRLocalities          = "localities"
)

func csrSubjectWords() []string {
	return []string{CSRCommonName, CSROrganizations, CSROrganizationalUnits, CSRCountries, CSRProvinces, CSRLocalities}
}

// A Profile is a checked policy. Only [New] makes one; it does not change.
type Profile struct {
	name        string
	description string
	keyUsage    x509.KeyUsage
	extKeyUsage []x509.ExtKeyUsage
	key         KeyType
	keys        []KeyType
	validity    time.Duration
	maxValidity time.Duration
	subject     SubjectConfig
	allowed     []SANKind
	required    []SANKind
	csr         []string
	permit      patterns
	exclude     patterns
}

// Parse reads the YAML of a profile file. Unknown fields, several documents
// and everything that [New] refuses are errors; name is for their text and the
// profile's.
func Parse(name string, data []byte) (*Profile, error) {
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("profile %q: %w", name, yamlError(err))
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("profile %q: one YAML document is wanted, and there are more", name)
	}
	return New(name, c)
}

// yamlError puts what the YAML package says over several lines and in Go's
// terms into one line of a profile file's.
func yamlError(err error) error {
	var t *yaml.TypeError
	if !errors.As(err, &t) {
		return err
	}
	words := strings.NewReplacer(
		"cannot unmarshal !!str ", "found the text ",
		"cannot unmarshal !!seq", "found a list",
		"cannot unmarshal !!map", "found fields",
		"cannot unmarshal !!", "found the ",
		" into []string", ", not a list",
		" into string", ", not a text",
		" into profiles.Config", ", not fields",
		" into profiles.SubjectConfig", ", not fields",
		" into profiles.SANConfig", ", not fields",
		" into profiles.NamesConfig", ", not fields",
		" into profiles.NamePatterns", ", not fields",
		" not found in type profiles.Config", " is unknown",
		" not found in type profiles.SubjectConfig", " is unknown in subject",
		" not found in type profiles.SANConfig", " is unknown in sans",
		" not found in type profiles.NamesConfig", " is unknown in names",
		" not found in type profiles.NamePatterns", " is unknown in names.permit and names.exclude",
	)
	return errors.New(words.Replace(strings.Join(t.Errors, "; ")))
}

// New checks c and makes a profile of it. Its errors name the field.
func New(name string, c Config) (*Profile, error) {
	p := &Profile{name: name, description: c.Description, subject: c.Subject.clone()}
	fail := func(field string, err error) (*Profile, error) {
		return nil, fmt.Errorf("profile %q: %s: %w", name, field, err)
	}
	var err error
	if p.keyUsage, p.extKeyUsage, err = ParseUsages(c.Usages); err != nil {
		return fail("usages", err)
	}
	if err := checkUsages(p.keyUsage, p.extKeyUsage); err != nil {
		return fail("usages", err)
	}
	if p.keys, err = parseAll(c.Keys, ParseKeyType, KeyTypes()); err != nil {
		return fail("keys", err)
	}
	p.key = p.keys[0]
	if c.Key != "" {
		if p.key, err = ParseKeyType(c.Key); err != nil {
			return fail("key", err)
		}
		if !slices.Contains(p.keys, p.key) {
			return fail("key", fmt.Errorf("%s is not among keys", c.Key))
		}
	}
	for _, k := range p.keys {
		if p.KeyUsageFor(k) == 0 && p.keyUsage != 0 {
			return fail("keys", fmt.Errorf("%s can do none of the key usages given", string(k)))
		}
		if err := consistent(p.KeyUsageFor(k), p.extKeyUsage); err != nil {
			return fail("usages", fmt.Errorf("%w, and %s is among keys", err, string(k)))
		}
	}
	if c.MaxValidity != "" {
		if p.maxValidity, err = ParseValidity(c.MaxValidity); err != nil {
			return fail("maxValidity", err)
		}
	}
	p.validity = DefaultValidity
	if p.maxValidity != 0 {
		p.validity = min(p.validity, p.maxValidity)
	}
	if c.Validity != "" {
		if p.validity, err = ParseValidity(c.Validity); err != nil {
			return fail("validity", err)
		}
		if p.maxValidity != 0 && p.validity > p.maxValidity {
			return fail("validity", fmt.Errorf("%s is longer than maxValidity, %s", c.Validity, c.MaxValidity))
		}
	}
	if p.allowed, err = parseAll(c.SANs.Allowed, ParseSANKind, SANKinds()); err != nil {
		return fail("sans.allowed", err)
	}
	if p.required, err = parseAll(c.SANs.Required, ParseSANKind, nil); err != nil {
		return fail("sans.required", err)
	}
	for _, k := range p.required {
		if !slices.Contains(p.allowed, k) {
			return fail("sans.required", fmt.Errorf("%s is not among sans.allowed", string(k)))
		}
	}
	if p.permit, err = parsePatterns(c.Names.Permit, p.allowed); err != nil {
		return fail("names.permit", err)
	}
	if p.exclude, err = parsePatterns(c.Names.Exclude, p.allowed); err != nil {
		return fail("names.exclude", err)
	}
	if p.csr, err = csrWords(c.CSR, p.allowed); err != nil {
		return fail("csr", err)
	}
	return p, nil
}

// checkUsages refuses what no leaf may carry (RFC 5280 sections 4.2.1.3 and
// 4.2.1.9) and what means nothing.
func checkUsages(bits x509.KeyUsage, purposes []x509.ExtKeyUsage) error {
	switch {
	case bits == 0 && len(purposes) == 0:
		return errors.New(`none given: write what the certificate is for, as in [digital signature, client auth]`)
	case bits&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return errors.New(`"cert sign" and "crl sign" are for authorities: make one with init-ca`)
	case bits&(x509.KeyUsageEncipherOnly|x509.KeyUsageDecipherOnly) != 0 && bits&x509.KeyUsageKeyAgreement == 0:
		return errors.New(`"encipher only" and "decipher only" mean nothing without "key agreement"`)
	}
	return nil
}

func csrWords(given *[]string, allowed []SANKind) ([]string, error) {
	if given == nil {
		words := []string{CSRCommonName}
		for _, k := range allowed {
			words = append(words, string(k))
		}
		return words, nil
	}
	for _, w := range *given {
		if slices.Contains(csrSubjectWords(), w) {
			continue
		}
		if !slices.Contains(SANKinds(), SANKind(w)) {
			return nil, fmt.Errorf("unknown word %q: there are %s, %s", w, strings.Join(csrSubjectWords(), ", "), JoinKinds(SANKinds(), ", "))
		}
		if !slices.Contains(allowed, SANKind(w)) {
			return nil, fmt.Errorf("%s is not among sans.allowed", w)
		}
	}
	return slices.Clone(*given), nil
}

// parseAll parses every word, once each; no words mean def.
func parseAll[T comparable](words []string, parse func(string) (T, error), def []T) ([]T, error) {
	if len(words) == 0 {
		return def, nil
	}
	var all []T
	for _, w := range words {
		v, err := parse(w)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all, nil
}

// Name returns the profile's name.
func (p *Profile) Name() string { return p.name }

// Description returns one line that says what the profile is for; it may be
// empty.
func (p *Profile) Description() string { return p.description }

// Key returns the type of the keys made for this profile.
func (p *Profile) Key() KeyType { return p.key }

// Keys returns the key types that may be certified.
func (p *Profile) Keys() []KeyType { return slices.Clone(p.keys) }

// Validity returns the lifetime of certificates whose request asks for none.
func (p *Profile) Validity() time.Duration { return p.validity }

// MaxValidity returns the longest lifetime a request may ask for; zero is none.
func (p *Profile) MaxValidity() time.Duration { return p.maxValidity }

// Subject returns what fills the subject fields that a request leaves empty.
func (p *Profile) Subject() SubjectConfig { return p.subject.clone() }

// Allowed returns the kinds of names there may be.
func (p *Profile) Allowed() []SANKind { return slices.Clone(p.allowed) }

// Required returns the kinds of names of which there must be one; empty for
// none.
func (p *Profile) Required() []SANKind { return slices.Clone(p.required) }

// Allows reports whether a certificate may have names of kind k.
func (p *Profile) Allows(k SANKind) bool { return slices.Contains(p.allowed, k) }

// TakesFromCSR reports whether word, one of those of [Config].CSR, is taken
// over from a signing request.
func (p *Profile) TakesFromCSR(word string) bool { return slices.Contains(p.csr, word) }

// ExtKeyUsage returns the purposes, in the order of the extension.
func (p *Profile) ExtKeyUsage() []x509.ExtKeyUsage { return slices.Clone(p.extKeyUsage) }

// KeyUsageFor returns the key usage bits for a key of type k: those of the
// profile that such a key can do. Only RSA keys encipher (RFC 4055 section 1.2,
// RFC 8813 section 3, RFC 9295 section 3), and only EC keys agree.
func (p *Profile) KeyUsageFor(k KeyType) x509.KeyUsage {
	bits := p.keyUsage
	if !k.IsRSA() {
		bits &^= x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
	}
	if !k.IsEC() {
		bits &^= x509.KeyUsageKeyAgreement | x509.KeyUsageEncipherOnly | x509.KeyUsageDecipherOnly
	}
	return bits
}

// HasPurpose reports whether certificates may be used for u.
func (p *Profile) HasPurpose(u x509.ExtKeyUsage) bool {
	return slices.Contains(p.extKeyUsage, u) || slices.Contains(p.extKeyUsage, x509.ExtKeyUsageAny)
}
