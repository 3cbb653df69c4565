package pki

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// URLs are where an authority publishes; they go into what it signs.
type URLs struct {
	CRL  []string // cRLDistributionPoints, RFC 5280 section 4.2.1.13
	AIA  []string // id-ad-caIssuers: its own certificate in DER, section 4.2.2.1
	OCSP []string // id-ad-ocsp, section 4.2.2.1
}

// A URLError says why a string is no place to publish at.
type URLError struct {
	Field   string // CRL, AIA, OCSP
	Value   string // as given
	Problem string // what is wrong with it
}

func (e *URLError) Error() string { return fmt.Sprintf("%s URL %q: %s", e.Field, e.Value, e.Problem) }

// Check returns a [*URLError] for the first that is no absolute URL in ASCII,
// or of a scheme that verifiers do not fetch by: HTTP anywhere, LDAP and FTP
// for CRLs and certificates (RFC 5280 sections 4.2.1.13 and 4.2.2.1).
func (u URLs) Check() error {
	const wide = "http https ldap ldaps ftp"
	for _, f := range []struct {
		field   string
		values  []string
		schemes string
	}{{"CRL", u.CRL, wide}, {"AIA", u.AIA, wide}, {"OCSP", u.OCSP, "http https"}} {
		for _, v := range f.values {
			if problem := urlProblem(v, strings.Fields(f.schemes)); problem != "" {
				return &URLError{f.field, v, problem}
			}
		}
	}
	return nil
}

func urlProblem(s string, schemes []string) string {
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return "it holds more than printable ASCII; percent-encode the rest"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "that is no URL"
	case !slices.Contains(schemes, u.Scheme):
		return "its scheme is none of " + strings.Join(schemes, ", ")
	case u.Hostname() == "" && !strings.HasPrefix(u.Scheme, "ldap"): // ldap:///CN=... means the client's own server
		return "it has no host"
	}
	return ""
}

func (u URLs) clone() URLs {
	return URLs{CRL: slices.Clone(u.CRL), AIA: slices.Clone(u.AIA), OCSP: slices.Clone(u.OCSP)}
}
