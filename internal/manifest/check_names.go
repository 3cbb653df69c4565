package manifest

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func checkNames(o *object, s *cmapi.CertificateSpec) {
	cn, path, known := s.CommonName, "spec.commonName", true
	if s.LiteralSubject != "" {
		cn, path, known = checkLiteral(o, s)
	}
	if len(cn) > 64 {
		o.problem(path, "put long names into dnsNames, where clients look for them", "the common name has %d bytes; RFC 5280 allows 64", len(cn))
	}
	if known && cn == "" && len(s.DNSNames)+len(s.URIs)+len(s.EmailAddresses)+len(s.IPAddresses)+len(s.OtherNames) == 0 {
		o.problem("spec", "set dnsNames, ipAddresses, uris, emailAddresses, otherNames or commonName", "it names nobody; an organisation alone does not count")
	}
	for i, n := range s.DNSNames {
		checkDNS(o, fmt.Sprintf("spec.dnsNames[%d]", i), n)
	}
	for i, n := range s.IPAddresses {
		checkIP(o, fmt.Sprintf("spec.ipAddresses[%d]", i), n)
	}
	for i, n := range s.EmailAddresses {
		checkEmail(o, fmt.Sprintf("spec.emailAddresses[%d]", i), n)
	}
	checkURIs(o, s.URIs)
	for i, n := range s.OtherNames {
		path := fmt.Sprintf("spec.otherNames[%d]", i)
		id, err := parseOID(n.OID)
		if err == nil {
			_, err = pki.MarshalSAN(pki.ExactNames{Others: []pki.OtherName{{OID: id, Value: "x"}}})
		}
		if n.OID == "" {
			o.problem(path+".oid", "1.3.6.1.4.1.311.20.2.3 is a user principal name", "is missing")
		} else if err != nil {
			o.problem(path+".oid", "", "%s", reason(err))
		}
		if n.UTF8Value == "" || !utf8.ValidString(n.UTF8Value) {
			o.problem(path+".utf8Value", "", "is empty, or is no UTF-8")
		}
	}
	warnCommonName(o, path, cn, s)
}

// warnCommonName: RFC 9525 section 2 has clients look at the SANs alone.
func warnCommonName(o *object, path, cn string, s *cmapi.CertificateSpec) {
	_, parent, _ := strings.Cut(cn, ".")
	if cn == "" || s.IsCA || slices.Contains(s.DNSNames, cn) || slices.Contains(s.DNSNames, "*."+parent) || slices.Contains(s.IPAddresses, cn) {
		return
	}
	field := "dnsNames"
	if net.ParseIP(cn) != nil {
		field = "ipAddresses"
	}
	switch {
	case slices.Contains(s.Usages, cmapi.UsageServerAuth):
	case len(s.DNSNames) > 0 && !slices.Contains(s.Usages, cmapi.UsageClientAuth):
	default:
		return
	}
	o.warn(path, "clients do not look for the server's name in the common name: to be found as %q it has to stand in %s too", cn, field)
}

// checkLiteral returns the common name in the literal subject, or the one that
// stands beside it, where it is, and whether the subject could be read.
func checkLiteral(o *object, s *cmapi.CertificateSpec) (cn, path string, known bool) {
	cn, path = s.CommonName, "spec.commonName"
	if cn != "" {
		o.problem(path, "write CN=... in literalSubject", "cannot stand beside literalSubject")
	}
	if x := s.Subject; x != nil && len(x.SerialNumber)+len(x.Organizations)+len(x.Countries)+len(x.OrganizationalUnits)+
		len(x.Localities)+len(x.Provinces)+len(x.StreetAddresses)+len(x.PostalCodes) > 0 {
		o.problem("spec.subject", "write its attributes in literalSubject", "cannot stand beside literalSubject")
	}
	der, err := pki.LiteralSubject(s.LiteralSubject)
	if err != nil {
		o.problem("spec.literalSubject", "write it as in CN=web,OU=Shop,O=Acme, with the keys in capitals, or dotted numbers for others", "%s", reason(err))
		return cn, path, false
	}
	if names := pki.CommonNames(der); len(names) > 0 {
		cn, path = names[len(names)-1], "spec.literalSubject"
		o.warn(path, "a cert-manager that finds this Secret issues it again: it compares the common name in it with commonName, which is empty")
	}
	return cn, path, true
}

// reason strips what the path and the text already say from an error.
func reason(err error) string {
	var subject *pki.SubjectError
	if errors.As(err, &subject) {
		return subject.Problem
	}
	var san *pki.SANError
	if errors.As(err, &san) {
		return san.Problem
	}
	return err.Error()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func checkDNS(o *object, path, n string) {
	san, err := pki.NewSAN(profiles.KindDNS, n)
	switch {
	case !isASCII(n) && err == nil:
		o.problem(path, fmt.Sprintf("write it as %q", san.Value()), "%q is not ASCII, and a certificate holds the ASCII form of a domain name only", n)
	case !isASCII(n):
		o.problem(path, "", "%q is not ASCII, and no domain name either: %s", n, reason(err))
	case err == nil:
	case net.ParseIP(n) != nil:
		o.warn(path, "%s is an IP address, and clients match it only as one: move it to ipAddresses", n)
	default:
		o.warn(path, "%q is certified as it stands, but clients will not match it: %s", n, reason(err))
	}
}

func checkIP(o *object, path, n string) {
	if net.ParseIP(n) != nil {
		return
	}
	hint := ""
	switch _, err := pki.NewSAN(profiles.KindDNS, n); {
	case strings.Contains(n, "/"):
		hint = "a certificate is for single addresses: write them without a prefix length"
	case strings.Contains(n, "%"):
		hint = "leave out the zone, which means something on one machine only"
	case err == nil && strings.Trim(n, "0123456789.") != "":
		hint = "if it is a host's name, move it to dnsNames"
	}
	o.problem(path, hint, "%q is no IP address", n)
}

func checkEmail(o *object, path, n string) {
	a, err := mail.ParseAddress(n)
	switch {
	case err != nil && strings.Trim(n, " ") != n:
		o.problem(path, "leave out the spaces around it", "%q is no e-mail address", n)
	case err != nil:
		o.problem(path, "write it as in alice@example.com", "%q is no e-mail address", n)
	case a.Address != n:
		o.problem(path, fmt.Sprintf("write %s alone", a.Address), "%q has more in it than the address", n)
	case !isASCII(n):
		o.problem(path, "", "%q is not ASCII, and a certificate has no place for other e-mail addresses", n)
	}
}

func checkURIs(o *object, uris []string) {
	spiffe := 0
	for i, n := range uris {
		path := fmt.Sprintf("spec.uris[%d]", i)
		u, err := url.Parse(n)
		switch {
		case !isASCII(n):
			o.problem(path, "percent-encode the path; write the host in its ASCII form", "%q is not ASCII, and a certificate has no place for other URIs", n)
			continue
		case err != nil:
			o.problem(path, "", "%q is no URI", n)
			continue
		case u.Host != "" && !domainHolds(u.Host):
			o.problem(path, "", "%q cannot be read back from a certificate: its host is no domain name", n)
			continue
		}
		if strings.EqualFold(u.Scheme, "spiffe") {
			spiffe++
			warnSPIFFE(o, path, n, u)
			continue
		}
		if c := u.String(); c != n {
			o.warn(path, "cert-manager spells it %q, never finds that in its own request, and asks for the certificate for ever: write it so", c)
		}
	}
	if spiffe > 0 && len(uris) > 1 {
		o.warn("spec.uris", "a certificate with a SPIFFE ID has no other URI: verifiers refuse this one")
	}
}

func warnSPIFFE(o *object, path, n string, u *url.URL) {
	c := strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Host) + u.EscapedPath()
	_, err := pki.NewSAN(profiles.KindSPIFFE, n)
	switch {
	case u.Host != "" && strings.Trim(u.Path, "/") == "":
		o.warn(path, "%q has a trust domain and no path, so it names a whole domain and no workload: verifiers of workloads refuse it, so write for example spiffe://%s/web", n, u.Host)
	case err == nil && u.String() == n:
	case err == nil || n != c && c != "":
		o.warn(path, "%q is not spelled as a SPIFFE ID is, so cert-manager or verifiers take it for another: write %q", n, c)
	default:
		o.warn(path, "%q is no SPIFFE ID: %s", n, reason(err))
	}
}

// domainHolds reports whether what stands as a host in a certificate can be read
// again: labels that are not empty, of printable ASCII. Nothing at all holds.
func domainHolds(s string) bool {
	if s == "" {
		return true
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return false
		}
	}
	return true
}
