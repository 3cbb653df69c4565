package plan

import (
	"bytes"
	"cmp"
	"crypto/x509/pkix"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// requestChanges returns the field paths in which a spec asks for another
// certificate than the one that was issued for old: cert-manager's comparison of a
// CertificateRequest with a Certificate (section 4.2), but for issuerRef, which has
// its own reason.
func requestChanges(old, now *cmapi.CertificateSpec) (fields []string) {
	changed := func(path string, is bool) {
		if is {
			fields = append(fields, path)
		}
	}
	changed("spec.ipAddresses", !sameIPs(old.IPAddresses, now.IPAddresses))
	changed("spec.uris", !sameURIs(old.URIs, now.URIs))
	changed("spec.emailAddresses", !sameSet(old.EmailAddresses, now.EmailAddresses))
	changed("spec.dnsNames", !sameSet(old.DNSNames, now.DNSNames))
	changed("spec.otherNames", len(now.OtherNames) > 0 && !sameOtherNames(old.OtherNames, now.OtherNames))
	fields = append(fields, subjectChanges(old, now)...)
	changed("spec.isCA", old.IsCA != now.IsCA)
	changed("spec.usages", !sameSet(old.Usages, now.Usages))
	changed("spec.duration", old.Duration != nil && now.Duration != nil && old.Duration.Duration != now.Duration.Duration)
	return fields
}

// lateChanges returns the field paths that differ and that cert-manager does not
// compare: they take effect with the next certificate. signatureAlgorithm and
// encodeUsagesInRequest are not among them, since they never do.
func lateChanges(old, now *cmapi.CertificateSpec) (fields []string) {
	if len(now.OtherNames) == 0 && len(old.OtherNames) > 0 {
		fields = append(fields, "spec.otherNames")
	}
	if (old.Duration == nil) != (now.Duration == nil) && lifetime(old.Duration) != lifetime(now.Duration) {
		fields = append(fields, "spec.duration")
	}
	if encoding(old.PrivateKey) != encoding(now.PrivateKey) {
		fields = append(fields, "spec.privateKey.encoding")
	}
	if !sameConstraints(old.NameConstraints, now.NameConstraints) {
		fields = append(fields, "spec.nameConstraints")
	}
	return fields
}

func subjectChanges(old, now *cmapi.CertificateSpec) (fields []string) {
	if now.LiteralSubject != "" {
		if old.LiteralSubject != now.LiteralSubject && !bytes.Equal(rawSubject(old), rawSubject(now)) {
			return []string{"spec.literalSubject"}
		}
		return nil
	}
	was := nameOf(old)
	if old.LiteralSubject != "" {
		// As it stands in the certificate, field by field.
		n, err := pki.ParseRawName(rawSubject(old))
		if err != nil {
			return []string{"spec.literalSubject"}
		}
		was = n
	}
	is := nameOf(now)
	if was.CommonName != is.CommonName {
		fields = append(fields, "spec.commonName")
	}
	if was.SerialNumber != is.SerialNumber {
		fields = append(fields, "spec.subject.serialNumber")
	}
	for _, f := range []struct {
		path    string
		was, is []string
	}{
		{"organizations", was.Organization, is.Organization},
		{"countries", was.Country, is.Country},
		{"localities", was.Locality, is.Locality},
		{"organizationalUnits", was.OrganizationalUnit, is.OrganizationalUnit},
		{"postalCodes", was.PostalCode, is.PostalCode},
		{"provinces", was.Province, is.Province},
		{"streetAddresses", was.StreetAddress, is.StreetAddress},
	} {
		if !sameSet(f.was, f.is) {
			fields = append(fields, "spec.subject."+f.path)
		}
	}
	return fields
}

func nameOf(s *cmapi.CertificateSpec) pkix.Name {
	n := pkix.Name{CommonName: s.CommonName}
	if x := s.Subject; x != nil {
		n.Country, n.Organization, n.OrganizationalUnit = x.Countries, x.Organizations, x.OrganizationalUnits
		n.Locality, n.Province = x.Localities, x.Provinces
		n.StreetAddress, n.PostalCode, n.SerialNumber = x.StreetAddresses, x.PostalCodes, x.SerialNumber
	}
	return n
}

// rawSubject is the subject in DER; nil if it cannot be written, which checking
// has ruled out.
func rawSubject(s *cmapi.CertificateSpec) []byte {
	der, err := pki.ExactSubject(nameOf(s))
	if s.LiteralSubject != "" {
		der, err = pki.LiteralSubject(s.LiteralSubject)
	}
	if err != nil {
		return nil
	}
	return der
}

// sameSet reports whether two lists have the same elements, each as often.
func sameSet[T cmp.Ordered](a, b []T) bool {
	if slices.Equal(a, b) {
		return true
	}
	return len(a) == len(b) && slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func sameIPs(a, b []string) bool {
	return sameSet(a, b) || sameSet(each(a, canonicalIP), each(b, canonicalIP))
}

func canonicalIP(s string) string { return net.ParseIP(s).String() }

// sameURIs takes the old ones as the certificate's reader spells them, as
// cert-manager does. One that is spelt otherwise in the manifest would differ for
// ever, so as they were written is right, too.
func sameURIs(old, now []string) bool {
	return sameSet(old, now) || sameSet(each(old, canonicalURI), now)
}

func canonicalURI(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	return u.String()
}

func each(list []string, f func(string) string) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = f(s)
	}
	return all
}

func sameOtherNames(a, b []cmapi.OtherName) bool {
	flat := func(list []cmapi.OtherName) []string {
		all := make([]string, len(list))
		for i, n := range list {
			all[i] = n.OID + " " + n.UTF8Value
		}
		return all
	}
	return sameSet(flat(a), flat(b))
}

func sameConstraints(a, b *cmapi.NameConstraints) bool {
	return encode(a) == encode(b)
}

// encode flattens constraints; what writes no extension is empty.
func encode(n *cmapi.NameConstraints) string {
	if n == nil {
		return ""
	}
	var s string
	for _, half := range []*cmapi.NameConstraintItem{n.Permitted, n.Excluded} {
		if half == nil {
			half = &cmapi.NameConstraintItem{}
		}
		for _, list := range [][]string{half.DNSDomains, half.IPRanges, half.EmailAddresses, half.URIDomains} {
			for _, v := range list {
				s += strconv.Quote(v)
			}
			s += ","
		}
	}
	if s == ",,,,,,,," {
		return ""
	}
	return s + strconv.FormatBool(n.Critical)
}

func lifetime(d *metav1.Duration) int64 {
	if d == nil {
		return int64(cmapi.DefaultCertificateDuration)
	}
	return int64(d.Duration)
}

func encoding(k *cmapi.CertificatePrivateKey) cmapi.PrivateKeyEncoding {
	if k == nil || k.Encoding == "" {
		return cmapi.PKCS1
	}
	return k.Encoding
}

// wantedKey is the type of key that a spec asks for; without one, RSA 2048.
func wantedKey(s *cmapi.CertificateSpec) profiles.KeyType {
	var k cmapi.CertificatePrivateKey
	if s.PrivateKey != nil {
		k = *s.PrivateKey
	}
	size := func(unset int) string {
		if k.Size > 0 {
			unset = k.Size
		}
		return strconv.Itoa(unset)
	}
	switch k.Algorithm {
	case cmapi.Ed25519KeyAlgorithm:
		return profiles.Ed25519
	case cmapi.ECDSAKeyAlgorithm:
		return profiles.KeyType("ec-p" + size(256))
	}
	return profiles.KeyType("rsa-" + size(2048))
}

// keyField is the field in which a wanted key differs from the one that is there.
func keyField(is, want profiles.KeyType) string {
	if is.IsRSA() && want.IsRSA() || is.IsEC() && want.IsEC() {
		return "spec.privateKey.size"
	}
	return "spec.privateKey.algorithm"
}

// rewrites returns why the Secret is to be written again though key and
// certificate stay (section 4.3).
func rewrites(old, now *cmapi.CertificateSpec) (reasons []Reason) {
	if old.IssuerRef != now.IssuerRef {
		reasons = append(reasons, Reason{SecretManagedMetadataMismatch, "the issuer is spelt otherwise, and the annotations repeat it", []string{"spec.issuerRef"}})
	}
	was, is := template(old), template(now)
	var fields []string
	if !maps.Equal(was.Labels, is.Labels) {
		fields = append(fields, "spec.secretTemplate.labels")
	}
	if !maps.Equal(was.Annotations, is.Annotations) {
		fields = append(fields, "spec.secretTemplate.annotations")
	}
	if fields != nil {
		reasons = append(reasons, changedReason(SecretTemplateMismatch, fields))
	}
	if !sameSet(formats(old), formats(now)) {
		reasons = append(reasons, changedReason(AdditionalOutputFormatsMismatch, []string{"spec.additionalOutputFormats"}))
	}
	fields = nil
	if hasJKS(old) != hasJKS(now) {
		fields = append(fields, "spec.keystores.jks")
	}
	if hasPKCS12(old) != hasPKCS12(now) {
		fields = append(fields, "spec.keystores.pkcs12")
	}
	if fields = append(fields, unnoticed(old, now)...); fields != nil {
		reasons = append(reasons, changedReason(SecretMismatch, fields))
	}
	return reasons
}

// unnoticed returns what changed in the keystores that cert-manager sees only
// when it writes the Secret again for another reason.
func unnoticed(old, now *cmapi.CertificateSpec) (fields []string) {
	if hasJKS(old) && hasJKS(now) && alias(old) != alias(now) {
		fields = append(fields, "spec.keystores.jks.alias")
	}
	if hasPKCS12(old) && hasPKCS12(now) && old.Keystores.PKCS12.Profile != now.Keystores.PKCS12.Profile {
		fields = append(fields, "spec.keystores.pkcs12.profile")
	}
	return fields
}

func template(s *cmapi.CertificateSpec) cmapi.CertificateSecretTemplate {
	if s.SecretTemplate == nil {
		return cmapi.CertificateSecretTemplate{}
	}
	return *s.SecretTemplate
}

func formats(s *cmapi.CertificateSpec) []cmapi.CertificateOutputFormatType {
	all := make([]cmapi.CertificateOutputFormatType, len(s.AdditionalOutputFormats))
	for i, f := range s.AdditionalOutputFormats {
		all[i] = f.Type
	}
	return all
}

func hasJKS(s *cmapi.CertificateSpec) bool {
	return s.Keystores != nil && s.Keystores.JKS != nil && s.Keystores.JKS.Create
}

func hasPKCS12(s *cmapi.CertificateSpec) bool {
	return s.Keystores != nil && s.Keystores.PKCS12 != nil && s.Keystores.PKCS12.Create
}

func alias(s *cmapi.CertificateSpec) string {
	if a := s.Keystores.JKS.Alias; a != nil && *a != "" {
		return *a
	}
	return "certificate"
}
