package export

import (
	"crypto/x509"
	"encoding/csv"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// labels returns the labels of the template, and the one by which cert-manager
// finds the Secrets it watches.
func (s *CertManagerSecret) labels() map[string]string {
	all := make(map[string]string, len(s.Labels)+1)
	maps.Copy(all, s.Labels)
	all["controller.cert-manager.io/fao"] = "true"
	return all
}

// annotations returns those of the template, then what the leaf says, then the
// names of certificate and issuer: the later wins.
func (s *CertManagerSecret) annotations(leaf *x509.Certificate) map[string]string {
	all := make(map[string]string, len(s.Annotations)+16)
	maps.Copy(all, s.Annotations)
	describeLeaf(all, leaf)
	if s.Certificate != "" {
		all["cert-manager.io/certificate-name"] = s.Certificate
	}
	if s.IssuerName != "" || s.IssuerKind != "" || s.IssuerGroup != "" {
		all["cert-manager.io/issuer-name"] = s.IssuerName
		all["cert-manager.io/issuer-kind"] = s.IssuerKind
		all["cert-manager.io/issuer-group"] = s.IssuerGroup
	}
	return all
}

// describeLeaf adds cert-manager's annotations about a certificate. Four are
// there even if they are empty, the others are not.
func describeLeaf(all map[string]string, leaf *x509.Certificate) {
	all["cert-manager.io/common-name"] = leaf.Subject.CommonName
	all["cert-manager.io/alt-names"] = joinCSV(leaf.DNSNames)
	all["cert-manager.io/ip-sans"] = joinCSV(texts(leaf.IPAddresses))
	all["cert-manager.io/uri-sans"] = joinCSV(texts(leaf.URIs))

	if leaf.Subject.SerialNumber != "" {
		all["cert-manager.io/subject-serialnumber"] = leaf.Subject.SerialNumber
	}
	for _, a := range []struct {
		key    string
		values []string
	}{
		{"cert-manager.io/email-sans", leaf.EmailAddresses},
		{"cert-manager.io/subject-organizations", leaf.Subject.Organization},
		{"cert-manager.io/subject-organizationalunits", leaf.Subject.OrganizationalUnit},
		{"cert-manager.io/subject-countries", leaf.Subject.Country},
		{"cert-manager.io/subject-provinces", leaf.Subject.Province},
		{"cert-manager.io/subject-localities", leaf.Subject.Locality},
		{"cert-manager.io/subject-postalcodes", leaf.Subject.PostalCode},
		{"cert-manager.io/subject-streetaddresses", leaf.Subject.StreetAddress},
	} {
		if len(a.values) > 0 {
			all[a.key] = joinCSV(a.values)
		}
	}
}

// texts returns the text of each of values.
func texts[T interface{ String() string }](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return all
}

// joinCSV returns values as one record of encoding/csv without the newline,
// which an annotation of cert-manager's is. The writer is spared where nothing
// can need quotes.
func joinCSV(values []string) string {
	if !slices.ContainsFunc(values, mayNeedQuotes) {
		return strings.Join(values, ",")
	}
	var out strings.Builder
	w := csv.NewWriter(&out)
	_ = w.Write(values) // to memory, and a comma is a good separator
	w.Flush()
	return strings.TrimSuffix(out.String(), "\n")
}

func mayNeedQuotes(field string) bool {
	return strings.ContainsAny(field, ",\"\r\n\\") || field != "" && (field[0] <= ' ' || field[0] >= utf8.RuneSelf)
}
