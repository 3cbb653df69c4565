package pki

import (
	"bytes"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// warnOfVerifiers says what verifiers will have against a certificate that
// cert-manager signs all the same. What can be told from the manifest alone is
// for its reader to say.
func (d *Draft) warnOfVerifiers(issuer *Authority) {
	t := d.template
	nameless := bytes.Equal(t.RawSubject, emptyName())
	for _, c := range issuer.chain {
		switch {
		case c.NotBefore.After(t.NotBefore.Add(backdate)):
			d.warn("its issuer %q holds from %s on, and until then nothing below it does", displayName(c), FormatTime(c.NotBefore))
		case !nameless && bytes.Equal(t.RawSubject, c.RawSubject):
			d.warn("it has the subject of %q above it: verifiers take it for self-issued, and chains through it break", displayName(c))
		}
	}
	if err := issuer.checkPathLength(); err != nil {
		d.warn("verifiers refuse it: %v", err)
	} else if t.IsCA && issuer.PathLen() == 0 {
		d.warn("verifiers refuse what it signs: by its path length or one above it, %q has no authorities below it", displayName(issuer.Certificate()))
	}
	if err := issuer.checkPurposes(t.ExtKeyUsage); err != nil {
		d.warn("verifiers refuse it: %v", err)
	}
	cn := ""
	if names := CommonNames(t.RawSubject); len(names) > 0 {
		cn = names[len(names)-1]
	}
	if err := checkConstraints(issuer.chain, t, cn); err != nil {
		d.warn("verifiers refuse it: %v", err)
	}
	d.warnOfSubject(issuer, nameless)
	d.warnOfSPIFFE()
}

func (d *Draft) warnOfSubject(issuer *Authority, nameless bool) {
	switch {
	case nameless && len(issuer.chain) == 0:
		d.warn("it is self-signed with an empty subject, so it has an empty issuer, which RFC 5280 section 4.1.2.4 forbids")
	case nameless && d.template.IsCA:
		d.warn("it is an authority with an empty subject, so what it signs has an empty issuer, which RFC 5280 section 4.1.2.4 forbids")
	case nameless && len(d.template.ExtraExtensions) == 0:
		d.warn("it has neither a subject nor a name")
	}
	if len(issuer.chain) > 0 && bytes.Equal(issuer.Certificate().RawSubject, emptyName()) {
		d.warn("its issuer has an empty subject, which RFC 5280 section 4.1.2.4 forbids")
	}
}

// warnOfSPIFFE holds the usages of a workload with a SPIFFE ID to the X509-SVID
// standard: section 4.3 on key usages, and where there are purposes, both of TLS
// (section 4.4).
func (d *Draft) warnOfSPIFFE() {
	t := d.template
	if t.IsCA || !slices.ContainsFunc(t.URIs, func(u *url.URL) bool { return u.Scheme == "spiffe" }) {
		return
	}
	var flaws []string
	if t.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		flaws = append(flaws, "it lacks the key usage digital signature")
	}
	if t.KeyUsage&x509.KeyUsageCRLSign != 0 {
		flaws = append(flaws, "it has the key usage crl sign")
	}
	if n := len(t.ExtKeyUsage); n > 0 && !(slices.Contains(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && slices.Contains(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)) {
		flaws = append(flaws, "it is for "+strings.Join(profiles.FormatUsages(0, t.ExtKeyUsage), ", ")+" alone, and not for both server auth and client auth")
	}
	if len(flaws) > 0 {
		d.warn("not an X509-SVID by the standard: %s", strings.Join(flaws, "; "))
	}
}
