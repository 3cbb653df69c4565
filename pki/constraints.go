package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// A Constraint is one name constraint: a set of names of one kind (RFC 5280
// section 4.2.1.10). Only [ParseConstraint] makes one.
type Constraint struct {
	kind  profiles.SANKind
	value string
}

// Kind returns the kind of names that c is about.
func (c Constraint) Kind() profiles.SANKind { return c.kind }

// Value returns c as it is certified.
func (c Constraint) Value() string { return c.value }

// String returns c as [ParseConstraint] reads it, with its kind in front.
func (c Constraint) String() string { return string(c.kind) + ":" + c.value }

// ParseConstraint reads a name constraint. Its kind is recognised, or put in
// front with a colon:
//
//   - "example.com", "dns:example.com": that DNS name and all below it
//   - "10.0.0.0/8", "fd00::/8", "192.0.2.1": a range of IP addresses
//   - "@example.com", "alice@example.com", "email:.example.com": the mailboxes
//     of a host, one mailbox, the mailboxes of all hosts below a domain
//   - "uri:example.com", "uri:.example.com", "spiffe://example.org": URIs with
//     that host, or with a host below that domain
//
// Every error is a [*SANError].
func ParseConstraint(s string) (Constraint, error) {
	kind, value := profiles.SANKind(""), s
	if strings.HasPrefix(s, "spiffe://") {
		kind, value = profiles.KindURI, strings.TrimPrefix(s, "spiffe://")
	} else if prefix, rest, ok := strings.Cut(s, ":"); ok {
		if k, err := profiles.ParseSANKind(prefix); err == nil {
			kind, value = k, rest
		}
	}
	if kind == "" {
		switch {
		case strings.Contains(s, "@"):
			kind = profiles.KindEmail
		case strings.Contains(s, "/"), strings.Contains(s, ":"), isAddr(s):
			kind = profiles.KindIP
		default:
			kind = profiles.KindDNS
		}
	}
	if kind == profiles.KindSPIFFE {
		kind = profiles.KindURI
	}
	v, err := canonicalConstraint(kind, value)
	if err != nil {
		return Constraint{}, &SANError{Kind: kind, Value: s, Problem: err.Error()}
	}
	return Constraint{kind, v}, nil
}

func isAddr(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

func canonicalConstraint(kind profiles.SANKind, s string) (string, error) {
	switch kind {
	case profiles.KindIP:
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String(), nil
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return "", errors.New("that is no range of IP addresses, as in 10.0.0.0/8")
		}
		if p.Addr().Is4In6() {
			return "", errors.New("that is a range of IPv4 addresses written as IPv6; write it as IPv4, as in 10.0.0.0/8")
		}
		if p != p.Masked() {
			return "", fmt.Errorf("the range begins at %s; write %s", p.Masked().Addr(), p.Masked())
		}
		return p.String(), nil
	case profiles.KindEmail:
		if local, domain, ok := strings.Cut(s, "@"); ok {
			if local == "" {
				return canonicalDNS(domain, false)
			}
			return canonicalEmail(s)
		}
		return dottedDNS(s)
	case profiles.KindURI:
		v, err := dottedDNS(s)
		if err == nil && !strings.Contains(strings.TrimPrefix(v, "."), ".") {
			err = fmt.Errorf("%q is no full domain name, which RFC 5280 section 4.2.1.10 wants for URIs", v)
		}
		return v, err
	}
	if strings.HasPrefix(s, ".") {
		return "", fmt.Errorf("without the leading dot: %s means that name and all below it", strings.TrimPrefix(s, "."))
	}
	return canonicalDNS(s, false)
}

// dottedDNS is a DNS name that a leading dot may turn into all names below it.
func dottedDNS(s string) (string, error) {
	rest, dot := strings.CutPrefix(s, ".")
	a, err := canonicalDNS(rest, false)
	if err != nil || !dot {
		return a, err
	}
	return "." + a, nil
}

// constrain writes constraints into the template of an authority.
func constrain(t *x509.Certificate, permit, exclude []Constraint) {
	t.PermittedDNSDomainsCritical = len(permit)+len(exclude) > 0
	add := func(c Constraint, dns, email, uri *[]string, ip *[]*net.IPNet) {
		switch c.kind {
		case profiles.KindIP:
			p := netip.MustParsePrefix(c.value)
			*ip = append(*ip, &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
		case profiles.KindEmail:
			*email = append(*email, c.value)
		case profiles.KindURI:
			*uri = append(*uri, c.value)
		default:
			*dns = append(*dns, c.value)
		}
	}
	for _, c := range permit {
		add(c, &t.PermittedDNSDomains, &t.PermittedEmailAddresses, &t.PermittedURIDomains, &t.PermittedIPRanges)
	}
	for _, c := range exclude {
		add(c, &t.ExcludedDNSDomains, &t.ExcludedEmailAddresses, &t.ExcludedURIDomains, &t.ExcludedIPRanges)
	}
}

// ConstraintsOf returns the name constraints of a certificate.
func ConstraintsOf(c *x509.Certificate) (permit, exclude []Constraint) {
	collect := func(dns, email, uri []string, ip []*net.IPNet) (all []Constraint) {
		for _, v := range dns {
			all = append(all, Constraint{profiles.KindDNS, v})
		}
		for _, v := range ip {
			all = append(all, Constraint{profiles.KindIP, v.String()})
		}
		for _, v := range email {
			all = append(all, Constraint{profiles.KindEmail, v})
		}
		for _, v := range uri {
			all = append(all, Constraint{profiles.KindURI, v})
		}
		return all
	}
	return collect(c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains, c.PermittedIPRanges),
		collect(c.ExcludedDNSDomains, c.ExcludedEmailAddresses, c.ExcludedURIDomains, c.ExcludedIPRanges)
}

// A ConstraintError says that a name lies outside the name constraints of an
// authority, the issuer or one above it.
type ConstraintError struct {
	Authority string // its common name, or the whole subject
	Detail    string // which name, and which constraint
}

func (e *ConstraintError) Error() string {
	return fmt.Sprintf("the name constraints of %q: %s", e.Authority, e.Detail)
}

// permitsDNS reports whether an authority of chain may certify only certain DNS
// names.
func permitsDNS(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(ca *x509.Certificate) bool { return len(ca.PermittedDNSDomains) > 0 })
}

// checkConstraints asks crypto/x509, which will judge the certificate in the
// end, whether names may stand below each authority of chain. It verifies a
// stand-in of the leaf under a stand-in of the authority, both signed with a
// throw-away key, so that no real key is used before the answer is known.
//
// Two demands of others come on top. OpenSSL and GnuTLS hold a common name that
// looks like a host to the DNS constraints, where no DNS name stands beside it.
// And a host permitted for email or URIs is to RFC 5280 that host alone, where
// crypto/x509 lets pass all below it.
func checkConstraints(chain []*x509.Certificate, leaf *x509.Certificate, commonName string) error {
	dns := leaf.DNSNames
	if len(dns) == 0 && looksLikeHost(commonName) {
		dns = []string{commonName}
	}
	if len(dns)+len(leaf.IPAddresses)+len(leaf.EmailAddresses)+len(leaf.URIs) == 0 {
		return nil // and the stand-ins could not be told apart
	}
	for _, ca := range chain {
		if permit, exclude := ConstraintsOf(ca); len(permit)+len(exclude) == 0 {
			continue
		}
		detail, err := verifyConstraints(ca, &x509.Certificate{
			DNSNames: dns, IPAddresses: leaf.IPAddresses,
			EmailAddresses: leaf.EmailAddresses, URIs: leaf.URIs,
		})
		if err != nil {
			return fmt.Errorf("checking name constraints: %w", err)
		}
		if detail == "" {
			detail = beyondHosts(ca, leaf)
		}
		if detail != "" {
			return &ConstraintError{Authority: displayName(ca), Detail: detail}
		}
	}
	return nil
}

// verifyConstraints returns what crypto/x509 has against names below ca.
func verifyConstraints(ca, names *x509.Certificate) (detail string, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	at := time.Unix(0, 0)
	stand := func(t, parent *x509.Certificate) (*x509.Certificate, error) {
		t.RawSubject = []byte{0x30, 0}
		t.SerialNumber, t.NotBefore, t.NotAfter = big.NewInt(1), at, at
		der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(der)
	}
	t := &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         ca.PermittedDNSDomains, ExcludedDNSDomains: ca.ExcludedDNSDomains,
		PermittedIPRanges: ca.PermittedIPRanges, ExcludedIPRanges: ca.ExcludedIPRanges,
		PermittedEmailAddresses: ca.PermittedEmailAddresses, ExcludedEmailAddresses: ca.ExcludedEmailAddresses,
		PermittedURIDomains: ca.PermittedURIDomains, ExcludedURIDomains: ca.ExcludedURIDomains,
	}
	root, err := stand(t, t)
	if err != nil {
		return "", err
	}
	child, err := stand(names, root)
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err = child.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalid.Detail, nil
	}
	return "", err
}

// beyondHosts returns the first email address or URI whose host is below one
// that ca permits, but not itself permitted (RFC 5280 section 4.2.1.10).
func beyondHosts(ca, leaf *x509.Certificate) string {
	within := func(permitted []string, host, local string) bool {
		return len(permitted) == 0 || slices.ContainsFunc(permitted, func(p string) bool {
			if i := strings.LastIndexByte(p, '@'); i >= 0 {
				return p[:i] == local && strings.EqualFold(p[i+1:], host)
			}
			if strings.HasPrefix(p, ".") {
				return strings.HasSuffix(host, strings.ToLower(p))
			}
			return strings.EqualFold(p, host)
		})
	}
	for _, e := range leaf.EmailAddresses {
		at := strings.LastIndexByte(e, '@')
		if !within(ca.PermittedEmailAddresses, e[at+1:], e[:at]) {
			return fmt.Sprintf("email address %q is not permitted by any constraint", e)
		}
	}
	for _, u := range leaf.URIs {
		if !within(ca.PermittedURIDomains, u.Hostname(), "") {
			return fmt.Sprintf("URI %q is not permitted by any constraint", u)
		}
	}
	return ""
}

// looksLikeHost is OpenSSL's test of a common name: two labels or more.
func looksLikeHost(cn string) bool {
	labels := strings.Split(cn, ".")
	return len(labels) > 1 && !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		})
	})
}
