package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

func checkOutput(o *object, s *cmapi.CertificateSpec) {
	switch {
	case s.SecretName == "":
		o.problem("spec.secretName", "name the Secret that the certificate goes into", "is missing")
	case !isSubdomain(s.SecretName):
		o.problem("spec.secretName", nameHint(s.SecretName), "%q is no name for a Secret", s.SecretName)
	}
	seen := make(map[cmapi.CertificateOutputFormatType]bool)
	for i, f := range s.AdditionalOutputFormats {
		path := fmt.Sprintf("spec.additionalOutputFormats[%d].type", i)
		if seen[f.Type] {
			o.problem(path, "leave out one", "%s is there twice", f.Type)
		} else {
			oneOf(o, path, f.Type, cmapi.CertificateOutputFormatDER, cmapi.CertificateOutputFormatCombinedPEM)
		}
		seen[f.Type] = true
	}
	if s.SecretTemplate != nil {
		checkTemplate(o, s.SecretTemplate)
	}
}

// maxAnnotations is how much the API server takes, names and values together.
const maxAnnotations = 256 << 10

func checkTemplate(o *object, t *cmapi.CertificateSecretTemplate) {
	for _, k := range slices.Sorted(maps.Keys(t.Labels)) {
		path := "spec.secretTemplate.labels[" + k + "]"
		for _, bad := range validation.IsQualifiedName(k) {
			o.problem(path, "", "%q is no label's name: %s", k, bad)
		}
		for _, bad := range validation.IsValidLabelValue(t.Labels[k]) {
			o.problem(path, "", "%q is no label's value: %s", t.Labels[k], bad)
		}
		if own := prefixed(k, "cert-manager.io/", "controller.cert-manager.io/"); own != "" {
			o.problem(path, "leave it out", "labels under %s are cert-manager's own: it would take this one for foreign and rewrite the Secret without end", own)
		}
	}
	size := 0
	for _, k := range slices.Sorted(maps.Keys(t.Annotations)) {
		path := "spec.secretTemplate.annotations[" + k + "]"
		size += len(k) + len(t.Annotations[k])
		for _, bad := range validation.IsQualifiedName(strings.ToLower(k)) {
			o.problem(path, "", "%q is no annotation's name: %s", k, bad)
		}
		if own := prefixed(k, "cert-manager.io/"); own != "" && k != cmapi.AllowsInjectionFromSecretAnnotation {
			o.problem(path, "leave it out", "annotations under %s are cert-manager's own; only %s may be set", own, cmapi.AllowsInjectionFromSecretAnnotation)
		}
	}
	if size > maxAnnotations {
		o.problem("spec.secretTemplate.annotations", "", "they have %d bytes, and a Secret takes %d", size, maxAnnotations)
	}
}

func prefixed(s string, prefixes ...string) string {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return p
		}
	}
	return ""
}

func checkKeystores(o *object, k *cmapi.CertificateKeystores) {
	if k == nil {
		return
	}
	if j := k.JKS; j != nil {
		checkPassword(o, "spec.keystores.jks", j.PasswordSecretRef, j.Password)
		if j.Create && j.Password != nil && *j.Password != "" && len(*j.Password) < 6 {
			o.warn("spec.keystores.jks.password", "keytool opens no keystore with a password of under 6 characters")
		}
		if j.Create && j.Alias != nil && strings.EqualFold(*j.Alias, "ca") {
			o.warn("spec.keystores.jks.alias", "%q is the alias of the CA's own entry too: if the issuer has a CA, it takes the key's place and the keystore holds no key", *j.Alias)
		}
	}
	if p := k.PKCS12; p != nil {
		checkPassword(o, "spec.keystores.pkcs12", p.PasswordSecretRef, p.Password)
		if p.Profile != "" {
			oneOf(o, "spec.keystores.pkcs12.profile", p.Profile,
				cmapi.LegacyRC2PKCS12Profile, cmapi.LegacyDESPKCS12Profile, cmapi.Modern2023PKCS12Profile, cmapi.Modern2026PKCS12Profile)
		}
		if p.Create && (p.Profile == "" || p.Profile == cmapi.LegacyRC2PKCS12Profile) {
			o.warn("spec.keystores.pkcs12.profile", "LegacyRC2, the default, is opened neither by OpenSSL 3 nor by Java 20 and later unless they are told to: Modern2023 is, LegacyDES by older software too")
		}
	}
}

// checkPassword: exactly one of the two, whether the keystore is made or not.
func checkPassword(o *object, path string, ref cmmeta.SecretKeySelector, password *string) {
	const hint = "set passwordSecretRef, with the name and the key of a Secret, or password"
	switch {
	case password != nil && ref.Name != "":
		o.problem(path, "leave one of them out", "passwordSecretRef and password cannot both be set")
	case password == nil && ref.Name == "":
		o.problem(path, hint, "has no password")
	}
	if password != nil && *password == "" {
		o.problem(path+".password", hint, "is empty")
	}
	if ref.Name != "" && ref.Key == "" {
		o.problem(path+".passwordSecretRef.key", "name the Secret's key that holds the password", "is missing, and without the password cert-manager writes no Secret at all")
	}
}
