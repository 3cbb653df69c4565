package profiles

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A Pattern is a set of names of one kind. Only [ParsePattern] makes one.
type Pattern struct {
	kind SANKind
	text string

	labels []string     // of a DNS name, or of the host of an email address or a URI
	local  string       // of an email address; empty for any
	prefix netip.Prefix // of IP addresses
	scheme string       // of a URI
	opaque string       // of a URI without a host
	port   string
	path   []string // the segments that a path begins with
	below  bool     // at least one more follows
}

// String returns p as [ParsePattern] reads it.
func (p Pattern) String() string { return p.text }

// ParsePattern reads a pattern for names of kind k, which may be
// [KindCommonName]. A * stands for any run of characters within one part: a label
// of a host, a segment of a path, the mailbox of an address, or a whole common
// name.
//
//   - commonName: "svc-*"; letters count as they are
//   - dns: "*.example.com", "web-*.example.com"; "**.example.com" is for all names
//     below, however far
//   - ip: "10.0.0.0/8", "192.0.2.1"
//   - email: "@example.com", "@*.example.com", "alice@example.com"
//   - uri, spiffe: "https://example.com/id/", which is what is below it,
//     "spiffe://example.org/ns/*/sa/web", which is that and what is below it, or
//     "urn:example:", which is what begins with it
func ParsePattern(k SANKind, s string) (Pattern, error) {
	p := Pattern{kind: k, text: s}
	err := errors.New("it is empty")
	if s != "" {
		err = p.parse(s)
	}
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", s, err)
	}
	return p, nil
}

func (p *Pattern) parse(s string) (err error) {
	switch p.kind {
	case KindCommonName:
		return nil
	case KindDNS:
		p.labels, err = hostLabels(s)
	case KindIP:
		p.prefix, err = parsePrefix(s)
	case KindEmail:
		at := strings.LastIndexByte(s, '@')
		if at < 0 {
			return errors.New("it has no @, as in @example.com")
		}
		p.local = s[:at]
		p.labels, err = hostLabels(s[at+1:])
	case KindURI, KindSPIFFE:
		return p.parseURI(s)
	default:
		_, err = ParseSANKind(string(p.kind))
	}
	return err
}

// hostLabels splits the pattern of a host.
func hostLabels(s string) ([]string, error) {
	labels := strings.Split(strings.ToLower(s), ".")
	for i, l := range labels {
		if l == "" {
			return nil, errors.New("it has an empty label")
		}
		if l == "**" && i == 0 && len(labels) > 1 {
			continue
		}
		if strings.Contains(l, "**") {
			return nil, errors.New("** stands in front of a host alone, as in **.example.com")
		}
		for _, c := range l {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '*') {
				return nil, fmt.Errorf("its label %q contains %q; write other scripts in A-labels, as in xn--bcher-kva", l, c)
			}
		}
	}
	return labels, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("that is no range of IP addresses, as in 10.0.0.0/8")
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New("that is a range of IPv4 addresses written as IPv6; write it as IPv4")
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("the range begins at %s; write %s", p.Masked().Addr(), p.Masked())
	}
	return p, nil
}

func (p *Pattern) parseURI(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "":
		return errors.New("it has no scheme, or is no URI, as in https://example.com/id/")
	case (u.Scheme == "spiffe") != (p.kind == KindSPIFFE):
		return errors.New("spiffe: is for patterns of kind spiffe, and they for it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil:
		return errors.New("it is about scheme, host and path alone")
	}
	p.scheme = u.Scheme
	if u.Opaque != "" && p.kind == KindURI {
		p.opaque = u.Opaque
		return nil
	}
	if u.Host == "" {
		return errors.New("it has no host, as in https://example.com/id/")
	}
	p.port = u.Port()
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		p.labels = strings.Split(a.String(), ".")
	} else if p.labels, err = hostLabels(u.Hostname()); err != nil {
		return err
	}
	p.path = segments(u.EscapedPath())
	if slices.ContainsFunc(p.path, isDots) {
		return errors.New("its path contains . or .., which mean another")
	}
	if n := len(p.path); n > 0 && p.path[n-1] == "" {
		p.path, p.below = p.path[:n-1], true
	}
	return nil
}

// Covers reports whether a name, and all that it may stand for, is in p: what is
// in doubt is not.
func (p Pattern) Covers(name string) bool { return p.match(name, false) }

// Touches reports whether a name, or some of what it may stand for, is in p: what
// is in doubt is.
func (p Pattern) Touches(name string) bool { return p.match(name, true) }

func (p Pattern) match(name string, wide bool) bool {
	switch p.kind {
	case KindCommonName:
		return glob(p.text, name) || wide && glob(strings.ToLower(p.text), strings.ToLower(name))
	case KindDNS:
		return p.matchHost(name, wide)
	case KindIP:
		a, err := netip.ParseAddr(name)
		return err == nil && p.prefix.Contains(a.Unmap())
	case KindEmail:
		at := strings.LastIndexByte(name, '@')
		if at < 0 || !p.matchHost(name[at+1:], wide) {
			return false
		}
		local, pattern := name[:at], p.local
		if wide { // many hosts hold them to be the same
			local, pattern = strings.ToLower(local), strings.ToLower(pattern)
		}
		return p.local == "" || glob(pattern, local)
	case KindURI, KindSPIFFE:
		return p.matchURI(name, wide)
	}
	return false
}

// matchHost compares a host label by label. A wildcard is one label that stands
// for many.
func (p Pattern) matchHost(host string, wide bool) bool {
	labels, pattern := strings.Split(strings.ToLower(host), "."), p.labels
	if len(pattern) > 0 && pattern[0] == "**" {
		pattern = pattern[1:]
		if len(labels) <= len(pattern) {
			return false
		}
		labels = labels[len(labels)-len(pattern):]
	}
	return len(labels) == len(pattern) && !slices.ContainsFunc(indices(labels), func(i int) bool {
		return !glob(pattern[i], labels[i]) && !(wide && labels[i] == "*")
	})
}

func (p Pattern) matchURI(name string, wide bool) bool {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != p.scheme {
		return false
	}
	if p.opaque != "" || u.Opaque != "" {
		rest, ok := strings.CutPrefix(u.Opaque, p.opaque)
		end := strings.HasSuffix(p.opaque, ":") || strings.HasSuffix(p.opaque, "/")
		return ok && p.opaque != "" && (rest == "" || end || wide)
	}
	if u.Port() != p.port && !(wide && p.port == "") || !p.matchHost(u.Hostname(), wide) || u.User != nil && !wide {
		return false
	}
	path := segments(u.EscapedPath())
	if p.matchPath(path) {
		return wide || !slices.ContainsFunc(path, isDots)
	}
	return wide && (slices.ContainsFunc(path, isDots) || p.matchPath(segments(u.Path)))
}

func (p Pattern) matchPath(path []string) bool {
	if len(path) < len(p.path) || p.below && len(path) == len(p.path) {
		return false
	}
	return !slices.ContainsFunc(indices(p.path), func(i int) bool { return !glob(p.path[i], path[i]) })
}

func indices(s []string) []int {
	all := make([]int, len(s))
	for i := range all {
		all[i] = i
	}
	return all
}

// segments splits a path; the first slash is none's.
func segments(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(strings.TrimPrefix(path, "/"), "/")
}

// isDots reports whether a segment, however it is encoded, leads elsewhere.
func isDots(segment string) bool {
	plain, err := url.PathUnescape(segment)
	return err != nil || plain == "." || plain == ".." || strings.HasPrefix(plain, "../") || strings.Contains(plain, "/..")
}

// glob reports whether s matches a pattern in which * stands for any run of
// characters.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
