package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"

	"github.com/mtlsctl/mtlsctl/profiles"
)

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// marshal writes the extension, or nil if nothing is permitted or excluded. What
// cannot be written is a [*SANError].
func (c *ExactConstraints) marshal() (*pkix.Extension, error) {
	if c == nil {
		return nil, nil
	}
	permitted, err := subtrees(c.PermittedDNS, c.PermittedIPRanges, c.PermittedEmails, c.PermittedURIDomains)
	if err != nil {
		return nil, err
	}
	excluded, err := subtrees(c.ExcludedDNS, c.ExcludedIPRanges, c.ExcludedEmails, c.ExcludedURIDomains)
	if err != nil {
		return nil, err
	}
	if len(permitted)+len(excluded) == 0 {
		return nil, nil
	}
	der, err := asn1.Marshal(struct {
		Permitted []subtree `asn1:"optional,omitempty,tag:0"`
		Excluded  []subtree `asn1:"optional,omitempty,tag:1"`
	}{permitted, excluded})
	if err != nil {
		return nil, fmt.Errorf("writing name constraints: %w", err)
	}
	return &pkix.Extension{Id: oidNameConstraints, Critical: c.Critical, Value: der}, nil
}

// A subtree is a GeneralSubtree of RFC 5280 section 4.2.1.10, which has no
// minimum and no maximum.
type subtree struct{ Base asn1.RawValue }

func subtrees(dns, ranges, emails, uris []string) (all []subtree, err error) {
	for _, list := range []struct {
		tag    int
		kind   profiles.SANKind
		values []string
	}{
		{tagDNS, profiles.KindDNS, dns},
		{tagIP, profiles.KindIP, ranges},
		{tagEmail, profiles.KindEmail, emails},
		{tagURI, profiles.KindURI, uris},
	} {
		for _, v := range list.values {
			b := []byte(v)
			if list.kind == profiles.KindIP {
				_, n, err := net.ParseCIDR(v)
				if err != nil {
					return nil, &SANError{Kind: list.kind, Value: v, Problem: "that is no range of IP addresses, as in 10.0.0.0/8"}
				}
				b = append(append([]byte{}, n.IP...), n.Mask...)
			} else if !isASCII(v) {
				return nil, &SANError{Kind: list.kind, Value: v, Problem: "a certificate holds it in ASCII only"}
			}
			all = append(all, subtree{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: list.tag, Bytes: b}})
		}
	}
	return all, nil
}

// copyConstraints gives t the name constraints that were read from a
// certificate.
func copyConstraints(t, from *x509.Certificate) {
	t.PermittedDNSDomainsCritical = from.PermittedDNSDomainsCritical
	t.PermittedDNSDomains, t.ExcludedDNSDomains = from.PermittedDNSDomains, from.ExcludedDNSDomains
	t.PermittedIPRanges, t.ExcludedIPRanges = from.PermittedIPRanges, from.ExcludedIPRanges
	t.PermittedEmailAddresses, t.ExcludedEmailAddresses = from.PermittedEmailAddresses, from.ExcludedEmailAddresses
	t.PermittedURIDomains, t.ExcludedURIDomains = from.PermittedURIDomains, from.ExcludedURIDomains
}

// exactConstraintsOf returns the name constraints of a certificate, as they are
// asked for.
func exactConstraintsOf(c *x509.Certificate) *ExactConstraints {
	ranges := func(nets []*net.IPNet) (all []string) {
		for _, n := range nets {
			// Not n.String(), which writes IPv4-mapped ranges as IPv4.
			a, _ := netip.AddrFromSlice(n.IP)
			bits, _ := n.Mask.Size()
			all = append(all, netip.PrefixFrom(a, bits).String())
		}
		return all
	}
	return &ExactConstraints{
		Critical:     c.PermittedDNSDomainsCritical,
		PermittedDNS: c.PermittedDNSDomains, ExcludedDNS: c.ExcludedDNSDomains,
		PermittedIPRanges: ranges(c.PermittedIPRanges), ExcludedIPRanges: ranges(c.ExcludedIPRanges),
		PermittedEmails: c.PermittedEmailAddresses, ExcludedEmails: c.ExcludedEmailAddresses,
		PermittedURIDomains: c.PermittedURIDomains, ExcludedURIDomains: c.ExcludedURIDomains,
	}
}
