package manifest

import (
	"fmt"
	"net"
	"net/mail"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

// checkConstraints: admission looks at little, and the certificate is made and
// then thrown away if its constraints cannot be read again.
func checkConstraints(o *object, s *cmapi.CertificateSpec) {
	n := s.NameConstraints
	if n == nil {
		return
	}
	if !s.IsCA {
		o.problem("spec.nameConstraints", "set isCA, or leave them out", "only an authority has name constraints, and isCA is not set")
	}
	if n.Permitted == nil && n.Excluded == nil {
		o.problem("spec.nameConstraints", "set permitted or excluded", "nothing is permitted and nothing excluded")
		return
	}
	checkSubtrees(o, "spec.nameConstraints.permitted", n.Permitted)
	checkSubtrees(o, "spec.nameConstraints.excluded", n.Excluded)
	switch {
	case constraints(n) == nil:
		o.warn("spec.nameConstraints", "nothing is listed, so the certificate has no name constraints: its authority may sign any name")
	case !n.Critical:
		o.warn("spec.nameConstraints.critical", "is not set, and a verifier that knows no name constraints then ignores them; RFC 5280 section 4.2.1.10 wants them critical")
	}
}

func checkSubtrees(o *object, path string, n *cmapi.NameConstraintItem) {
	if n == nil {
		return
	}
	for i, d := range n.DNSDomains {
		if !subtreeHolds(d) {
			badSubtree(o, fmt.Sprintf("%s.dnsDomains[%d]", path, i), d, "domain name")
		} else if strings.HasPrefix(d, "*") {
			o.warn(fmt.Sprintf("%s.dnsDomains[%d]", path, i), "%q matches nothing: a constraint has no wildcard, and %q means the names below it already", d, strings.TrimPrefix(d, "*."))
		}
	}
	for i, r := range n.IPRanges {
		if _, _, err := net.ParseCIDR(r); err == nil {
			continue
		}
		hint := "write it as in 10.0.0.0/8"
		if ip := net.ParseIP(r); ip != nil && ip.To4() != nil {
			hint = "write " + r + "/32 for the one address"
		} else if ip != nil {
			hint = "write " + r + "/128 for the one address"
		}
		o.problem(fmt.Sprintf("%s.ipRanges[%d]", path, i), hint, "%q is no CIDR range", r)
	}
	for i, e := range n.EmailAddresses {
		if strings.Contains(e, "@") {
			if a, err := mail.ParseAddress(e); err == nil && a.Address == e && isASCII(e) {
				continue
			}
		} else if subtreeHolds(e) {
			continue
		}
		badSubtree(o, fmt.Sprintf("%s.emailAddresses[%d]", path, i), e, "mailbox, host or domain")
	}
	for i, u := range n.URIDomains {
		path := fmt.Sprintf("%s.uriDomains[%d]", path, i)
		switch {
		case net.ParseIP(u) != nil:
			o.problem(path, "", "%q is an IP address; a constraint of URIs is a host or a domain", u)
		case !subtreeHolds(u):
			badSubtree(o, path, u, "host or domain")
		}
	}
}

// subtreeHolds is domainHolds for constraints, which may begin with a dot.
func subtreeHolds(s string) bool {
	return s != "." && domainHolds(strings.TrimPrefix(s, "."))
}

func badSubtree(o *object, path, s, what string) {
	hint := ""
	if t := strings.TrimPrefix(strings.TrimSuffix(s, "."), "@"); t != s && t != "" && subtreeHolds(t) {
		hint = "write " + t
	}
	o.problem(path, hint, "%q is no %s, and a certificate that says so could not be read again", s, what)
}
