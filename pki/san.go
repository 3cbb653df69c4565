package pki

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/net/idna"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// A SAN is one subject alternative name in the form in which it is certified.
// Only [NewSAN] and [ParseSAN] make one; it is comparable.
type SAN struct {
	kind  profiles.SANKind
	value string
}

// A SANError says why a string is no subject alternative name of a kind.
type SANError struct {
	Kind    profiles.SANKind // the kind it was read as; empty if none was found
	Value   string           // as given
	Problem string           // what is wrong with it
	// Instead is a kind that the value does fit, and InsteadValue how it is
	// written as one; empty if there is none.
	Instead      profiles.SANKind
	InsteadValue string
}

func (e *SANError) Error() string {
	if e.Kind == "" {
		return fmt.Sprintf("name %q: %s", e.Value, e.Problem)
	}
	return fmt.Sprintf("%s %q: %s", e.Kind, e.Value, e.Problem)
}

// Kind returns the kind of the name.
func (s SAN) Kind() profiles.SANKind { return s.kind }

// Value returns the name as it is certified: DNS names in lower-case A-labels,
// addresses in their shortest form.
func (s SAN) Value() string { return s.value }

// String returns the name with its kind, as in "DNS api.example.com".
func (s SAN) String() string { return s.kind.String() + " " + s.value }

// NewSAN checks value as a name of the given kind and brings it into the form
// in which it is certified. Every error is a [*SANError].
//
//   - dns: RFC 5280 section 4.2.1.6 and RFC 1034 section 3.5, an underscore also
//     allowed left of the last two labels; labels to 63 bytes, the whole to 253;
//     internationalised names become A-labels (RFC 5890); a wildcard only as the
//     whole first label (RFC 9525 section 6.3)
//   - ip: IPv4 or IPv6, without zone and prefix length
//   - email: RFC 5321 mailbox with an ASCII local part, without display name
//   - uri: absolute, with an authority that is a full domain name or an IP
//     address, if it has one
//   - spiffe: a SPIFFE ID (SPIFFE-ID section 2), at most 2048 bytes
func NewSAN(kind profiles.SANKind, value string) (SAN, error) {
	if kind == profiles.KindURI && hasPrefixFold(value, "spiffe:") {
		kind = profiles.KindSPIFFE
	}
	s, err := canonicalSAN(kind, value)
	if err == nil {
		return SAN{kind, s}, nil
	}
	e := &SANError{Kind: kind, Value: value, Problem: err.Error()}
	if _, err := profiles.ParseSANKind(string(kind)); err != nil {
		e.Kind = ""
	}
	other, rest, err := recogniseSAN(value)
	if err != nil || other == kind {
		return SAN{}, e
	}
	if s, err := canonicalSAN(other, rest); err == nil {
		e.Instead, e.InsteadValue = other, s
		if other == profiles.KindIP {
			e.Problem = "that is an IP address, and clients match it only as one"
		}
	}
	return SAN{}, e
}

// ParseSAN recognises the kind of a name by its look: a URI by "://" or "urn:",
// an address by its digits, an email address by "@", everything else is a DNS
// name. A kind may be put in front, with a colon, as in "dns:localhost" or
// "URI:tag:example.com,2026:x". Every error is a [*SANError].
func ParseSAN(s string) (SAN, error) {
	kind, value, err := recogniseSAN(s)
	if err != nil {
		return SAN{}, err
	}
	return NewSAN(kind, value)
}

// recogniseSAN finds the kind of a name, and the name without the kind in front.
func recogniseSAN(s string) (kind profiles.SANKind, value string, err error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return profiles.KindIP, s, nil
	}
	fail := func(kind profiles.SANKind, problem string) (profiles.SANKind, string, error) {
		return "", "", &SANError{Kind: kind, Value: s, Problem: problem}
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return fail(profiles.KindIP, "a certificate names single addresses, not ranges")
	}
	prefix, rest, colon := strings.Cut(s, ":")
	named, unknown := profiles.ParseSANKind(prefix)
	switch {
	case hasPrefixFold(s, "spiffe:") && !hasPrefixFold(rest, "spiffe:"):
		return profiles.KindSPIFFE, s, nil
	case colon && unknown == nil && !strings.HasPrefix(rest, "//"):
		return named, rest, nil
	case strings.Contains(s, "://"), hasPrefixFold(s, "urn:"):
		return profiles.KindURI, s, nil
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		return fail(profiles.KindIP, "an address is written without brackets here, as in 2001:db8::1")
	case colon && isPort(s, rest):
		return fail("", "a certificate names no port")
	case strings.Count(s, ":") > 1 && strings.Trim(prefix, "0123456789abcdefABCDEF") == "":
		return profiles.KindIP, s, nil
	case colon:
		return fail("", unknown.Error())
	case strings.Contains(s, "@"):
		return profiles.KindEmail, s, nil
	}
	return profiles.KindDNS, s, nil
}

// isPort reports whether rest, which follows a colon in s, is a port.
func isPort(s, rest string) bool {
	_, err := netip.ParseAddrPort(s)
	return err == nil || rest != "" && strings.Trim(rest, "0123456789") == ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// canonicalSAN returns value in the form in which it is certified.
func canonicalSAN(kind profiles.SANKind, value string) (string, error) {
	switch kind {
	case profiles.KindDNS:
		return canonicalDNS(value, true)
	case profiles.KindIP:
		return canonicalIP(value)
	case profiles.KindEmail:
		return canonicalEmail(value)
	case profiles.KindURI:
		return canonicalURI(value)
	case profiles.KindSPIFFE:
		return canonicalSPIFFE(value)
	}
	_, err := profiles.ParseSANKind(string(kind))
	return "", err
}

// SANs is [ParseSAN] for each of names.
func SANs(names ...string) ([]SAN, error) {
	all := make([]SAN, 0, len(names))
	for _, n := range names {
		s, err := ParseSAN(n)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// toASCII turns an internationalised name into A-labels. The rules on
// underscores and length are canonicalDNS's.
func toASCII(s string) (string, error) {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true), idna.StrictDomainName(false), idna.VerifyDNSLength(false)).ToASCII(s)
}

func canonicalDNS(s string, wildcard bool) (string, error) {
	if s == "" {
		return "", errors.New("it is empty")
	}
	if strings.HasSuffix(s, ".") {
		return "", errors.New("it ends with a dot; certificates name hosts without it")
	}
	// The dot-like characters of other scripts are dots too (RFC 3490 section 3.1).
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }); i >= 0 {
		return "", fmt.Errorf("it contains %q", s[i:i+1])
	}
	host, star := s, false
	if wildcard {
		host, star = strings.CutPrefix(s, "*.")
	}
	if strings.Contains(host, "*") {
		if !wildcard {
			return "", errors.New("no wildcard can stand here")
		}
		return "", errors.New("a wildcard is the whole first label and nothing else, as in *.example.com")
	}
	a := strings.ToLower(host)
	// What is no IDN is left to checkHost: hosts do have names like a1--b2.
	if strings.ContainsFunc(a, func(r rune) bool { return r >= utf8.RuneSelf }) || strings.Contains(a, "xn--") {
		var err error
		if a, err = toASCII(a); err != nil {
			return "", fmt.Errorf("not a DNS name: %w", err)
		}
	}
	if err := checkHost(a); err != nil {
		return "", err
	}
	if star {
		a = "*." + a
	}
	if len(a) > 253 {
		return "", fmt.Errorf("it has %d bytes; a DNS name has at most 253", len(a))
	}
	return a, nil
}

// checkHost checks the labels of an ASCII name.
func checkHost(a string) error {
	labels := strings.Split(a, ".")
	for i, l := range labels {
		switch {
		case l == "":
			return errors.New("it has an empty label")
		case len(l) > 63:
			return fmt.Errorf("the label %q has %d bytes; a label has at most 63", l, len(l))
		case l[0] == '-' || l[len(l)-1] == '-':
			return fmt.Errorf("the label %q begins or ends with a hyphen", l)
		case strings.Contains(l, "_") && len(labels) > 1 && i >= len(labels)-2:
			return fmt.Errorf("the label %q has an underscore; only labels left of the last two may", l)
		}
		for _, c := range l {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return fmt.Errorf("the label %q contains %q", l, c)
			}
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return errors.New("it ends in a number, as only IP addresses do")
	}
	return nil
}

func canonicalIP(s string) (string, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		if _, err := netip.ParsePrefix(s); err == nil {
			return "", errors.New("a certificate names single addresses, not ranges")
		}
		return "", errors.New("that is no IPv4 or IPv6 address")
	case a.Zone() != "":
		return "", errors.New("a zone means something on one machine only")
	}
	return a.Unmap().String(), nil
}

func canonicalEmail(s string) (string, error) {
	addr, err := mail.ParseAddress(s)
	if err != nil || addr.Address != s {
		return "", errors.New("that is no email address; give it bare, as in alice@example.com")
	}
	at := strings.LastIndexByte(s, '@')
	local, domain := s[:at], s[at+1:]
	for _, r := range local {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("the part before the @ contains %q; certificates hold printable ASCII there", r)
		}
	}
	if len(local) > 64 {
		return "", fmt.Errorf("the part before the @ has %d bytes; 64 is the most", len(local))
	}
	host, err := canonicalDNS(domain, false)
	if err != nil {
		return "", fmt.Errorf("its domain: %w", err)
	}
	return local + "@" + host, nil
}

func canonicalURI(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("that is no URI")
	}
	switch {
	case u.Scheme == "":
		return "", errors.New("it has no scheme; give a whole URI, as in https://example.com/id")
	case u.Opaque == "" && u.Host == "" && u.Path == "":
		return "", errors.New("nothing follows its scheme")
	case u.Opaque == "" && u.Host == "":
		return "", errors.New("it has no host, as in https://example.com/id")
	}
	if u.Host != "" {
		host, port := u.Hostname(), u.Port()
		switch a, err := netip.ParseAddr(host); {
		case err == nil && a.Zone() != "":
			return "", errors.New("its host: a zone means something on one machine only")
		case err == nil && a.Is4():
			u.Host = a.String()
		case err == nil && !strings.HasPrefix(u.Host, "["):
			return "", errors.New("its host: an IPv6 address is written in brackets, as in https://[2001:db8::1]/id")
		case err == nil:
			u.Host = "[" + a.String() + "]"
		default:
			if u.Host, err = canonicalDNS(host, false); err != nil {
				return "", fmt.Errorf("its host: %w", err)
			}
			if !strings.Contains(u.Host, ".") {
				return "", fmt.Errorf("its host: %q is no full domain name, which RFC 5280 section 4.2.1.6 wants in a URI", u.Host)
			}
		}
		if port != "" {
			u.Host += ":" + port
		}
	}
	out := u.String()
	for i, r := range out {
		if r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) { // RFC 3986 appendix A
			return "", fmt.Errorf("it contains %q; percent-encode it", r)
		}
		if r == '%' && (len(out) < i+3 || strings.Trim(out[i+1:i+3], "0123456789abcdefABCDEF") != "") {
			return "", errors.New("it contains a % that encodes nothing; write it as %25")
		}
	}
	return out, nil
}

func canonicalSPIFFE(s string) (string, error) {
	if len(s) > 2048 {
		return "", fmt.Errorf("it has %d bytes; a SPIFFE ID has at most 2048", len(s))
	}
	id, err := spiffeid.FromString(s)
	if err != nil {
		return "", err
	}
	td := id.TrustDomain().Name()
	switch {
	case len(td) > 255:
		return "", fmt.Errorf("its trust domain has %d bytes; a trust domain has at most 255", len(td))
	case slices.Contains(strings.Split(td, "."), ""):
		// The standard says nothing of it, but no crypto/x509 reads such a certificate.
		return "", fmt.Errorf("its trust domain %q has an empty label", td)
	}
	return id.String(), nil
}
