package export

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"howett.net/plist"

	"github.com/mtlsctl/mtlsctl/pki"
)

// MobileConfig writes a configuration profile for iOS, iPadOS, macOS, tvOS and
// watchOS: an XML property list with a payload for each root, for each
// intermediate, and for the certificate with its key. A CA whose key is not in the
// bundle has no such payload; that is how a root alone is brought to devices.
//
// The profile is not signed, so that devices show it as such.
//
// A device replaces a profile by one with the same identifier. The identifiers
// here depend on names and fingerprints alone: the same bundle gives the same.
//
// Errors: [ErrNoKey] for what is no CA, [ErrNoRoots], and [*OptionError] for what
// devices would not take, such as an Ed25519 key.
//
// Sources: Apple's device-management repository, mdm/profiles/TopLevel.yaml,
// CommonPayloadKeys.yaml and com.apple.security.*.yaml.
type MobileConfig struct {
	// Name is the file's without its ending .mobileconfig; empty: "profile".
	Name string
	// Identifier names the profile in the way of reverse DNS; empty: one that is
	// made of the organization and the name of the certificate.
	Identifier string
	// DisplayName is what the device shows; empty: the certificate's name.
	DisplayName string
	// Organization is who provides it; empty: the certificate's, or else the
	// root's. There may be none.
	Organization string
	// For is which of Apple's systems install it; empty: all versions of macOS and
	// iOS.
	For []P12Target
	// Password encrypts the key, as in [P12]. The device asks for it, unless
	// WithPassword puts it into the profile: then the file is the key.
	Password     string `json:"-"`
	WithPassword bool
}

// The types of payloads. That of an identity holds one certificate and its key;
// what is above it has payloads of its own.
const (
	payloadProfile      = "Configuration"
	payloadRoot         = "com.apple.security.root"
	payloadIntermediate = "com.apple.security.pkcs1" // DER, of any certificate
	payloadIdentity     = "com.apple.security.pkcs12"
)

// identifierPrefix begins the identifiers that are made here.
const identifierPrefix = "io.github.mtlsctl."

// Export implements [Format].
func (f MobileConfig) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case b.Key == nil && !b.Leaf().IsCA:
		return nil, fmt.Errorf("a profile holds certificate and key: %w", ErrNoKey)
	case len(b.Roots) == 0:
		return nil, fmt.Errorf("a profile holds the root: %w", ErrNoRoots)
	}
	name := leafName(b)
	display, organization := cmp.Or(f.DisplayName, name), cmp.Or(f.Organization, organizationOf(b))
	identifier := cmp.Or(f.Identifier, identifierPrefix+identifierWord(cmp.Or(organization, leafName(&pki.Bundle{Chain: b.Roots})))+"."+identifierWord(name))
	if err := f.check(identifier, display); err != nil {
		return nil, err
	}
	payloads, err := f.payloads(b, identifier)
	if err != nil {
		return nil, err
	}
	unique := identifier
	for _, p := range payloads {
		unique += fmt.Sprint(p["PayloadUUID"])
	}
	profile := newPayload(payloadProfile, identifier, display, unique, payloads)
	profile["PayloadRemovalDisallowed"] = false
	if organization != "" {
		profile["PayloadOrganization"] = organization
	}
	data, err := plist.MarshalIndent(profile, plist.XMLFormat, "\t")
	if err != nil {
		return nil, fmt.Errorf("writing the profile: %w", err)
	}
	return []File{{cmp.Or(f.Name, "profile") + ".mobileconfig", append(data, '\n'), b.Key != nil}}, nil
}

func (f MobileConfig) check(identifier, display string) error {
	for _, label := range strings.Split(identifier, ".") {
		if label == "" || identifierWord(label) != label {
			return &OptionError{"identifier", identifier, "write it in the way of reverse DNS, as in com.example.vpn: letters, digits, - and ., at most 63 between two dots", ""}
		}
	}
	for _, t := range f.For {
		for _, r := range t.readers {
			if !isApple(r.family) {
				return &OptionError{"for", t.name, "it installs no profiles; macOS and iOS do", ""}
			}
		}
	}
	if err := checkName("display-name", display); err != nil {
		return err
	}
	return checkName("org", f.Organization)
}

func isApple(family string) bool { return family == "macos" || family == "ios" }

// AppleTargetNames returns the names among [P12TargetNames] of systems that
// install profiles.
func AppleTargetNames() (names []string) {
	for _, name := range P12TargetNames() {
		if t, err := ParseP12Target(name); err == nil && !slices.ContainsFunc(t.readers, func(r *P12Reader) bool { return !isApple(r.family) }) {
			names = append(names, name)
		}
	}
	return names
}

// payloads returns those in the profile: the roots, the intermediates, and the
// certificate with its key. A device that has the root already keeps one.
func (f MobileConfig) payloads(b *pki.Bundle, identifier string) (all []map[string]any, err error) {
	add := func(kind string, c *x509.Certificate, content []byte, file string) map[string]any {
		sum := sha256.Sum256(c.Raw)
		id := fmt.Sprintf("%s.%s.%x", identifier, kind[strings.LastIndexByte(kind, '.')+1:], sum[:4])
		p := newPayload(kind, id, leafName(&pki.Bundle{Chain: []*x509.Certificate{c}}), id+string(sum[:]), content)
		p["PayloadCertificateFileName"] = file
		all = append(all, p)
		return p
	}
	for _, c := range b.Roots {
		add(payloadRoot, c, c.Raw, "root.cer")
	}
	above := b.Chain[1:]
	if b.Key == nil {
		above = b.Chain
	}
	for _, c := range above {
		if !slices.ContainsFunc(b.Roots, c.Equal) { // a root is its own chain
			add(payloadIntermediate, c, c.Raw, "intermediate.cer")
		}
	}
	if b.Key == nil {
		return all, nil
	}
	p12 := P12{For: f.For, Password: f.Password}
	if len(p12.For) == 0 {
		for _, family := range []string{"macos", "ios"} {
			p12.For = append(p12.For, P12Target{family, familyReaders(family)})
		}
	}
	data, err := p12.encode(b, nil)
	var option *OptionError
	if errors.As(err, &option) && option.Option == "for" { // no other system installs it
		option.Problem, option.Suggestion = option.Problem+"; issue it with a key of another type", ""
	}
	if err != nil {
		return nil, err
	}
	p := add(payloadIdentity, b.Leaf(), data, "identity.p12")
	if f.WithPassword {
		p["Password"] = f.Password
	}
	return all, nil
}

// newPayload makes a payload with the keys that each has; what makes it unique
// goes into its UUID.
func newPayload(kind, identifier, display, unique string, content any) map[string]any {
	return map[string]any{
		"PayloadType":        kind,
		"PayloadVersion":     1,
		"PayloadIdentifier":  identifier,
		"PayloadUUID":        stableUUID(unique),
		"PayloadDisplayName": display,
		"PayloadContent":     content,
	}
}

// stableUUID makes a UUID of version 8 (RFC 9562 section 5.8) from a SHA-256: the
// same text gives the same UUID.
func stableUUID(text string) string {
	h := sha256.Sum256([]byte(text))
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

// organizationOf is the organization of the certificate, or else of a root.
func organizationOf(b *pki.Bundle) string {
	for _, c := range append([]*x509.Certificate{b.Leaf()}, b.Roots...) {
		if len(c.Subject.Organization) > 0 && c.Subject.Organization[0] != "" {
			return c.Subject.Organization[0]
		}
	}
	return ""
}

// identifierWord makes one word of an identifier of any text. What had to be
// changed ends in a hash, so that two texts never become one word.
func identifierWord(text string) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, text)
	if word == text && len(word) <= 63 {
		return word
	}
	h := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s-%x", word[:min(len(word), 54)], h[:4])
}
