package manifest

import (
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
)

func TestCheckOutput(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	labels := func(k, v string) func(s *cs) {
		return func(s *cs) {
			s.SecretTemplate = &cmapi.CertificateSecretTemplate{Labels: map[string]string{k: v}}
		}
	}
	annotations := func(k, v string) func(s *cs) {
		return func(s *cs) {
			s.SecretTemplate = &cmapi.CertificateSecretTemplate{Annotations: map[string]string{k: v}}
		}
	}
	formats := func(types ...cmapi.CertificateOutputFormatType) func(s *cs) {
		return func(s *cs) {
			for _, t := range types {
				s.AdditionalOutputFormats = append(s.AdditionalOutputFormats, cmapi.CertificateAdditionalOutputFormat{Type: t})
			}
		}
	}
	checkCases(t, spec, []certCase{
		{"secret's name", func(s *cs) { s.SecretName = "Web_TLS" }, []string{`spec.secretName: "Web_TLS" is no name`}},
		{"too long", func(s *cs) { s.SecretName = strings.Repeat("a", 254) }, []string{"spec.secretName: no name"}},
		{"with dots", func(s *cs) { s.SecretName = "ca.bundle" }, nil},
		{"formats", formats("DER", "CombinedPEM"), nil},
		{"format", formats("PFX"), []string{`spec.additionalOutputFormats[0].type: "PFX" is not one of DER, CombinedPEM`}},
		{"format twice", formats("DER", "DER"), []string{"spec.additionalOutputFormats[1].type: twice"}},
		{"label", labels("app.kubernetes.io/name", "web"), nil},
		{"label's name", labels("a b", "web"), []string{"spec.secretTemplate.labels[a b]: no label's name"}},
		{"label's value", labels("app", "a/b"), []string{"spec.secretTemplate.labels[app]: no label's value"}},
		{"label of cert-manager", labels("cert-manager.io/x", "a"), []string{"spec.secretTemplate.labels[cert-manager.io/x]: cert-manager's own"}},
		{"label of its controller", labels("controller.cert-manager.io/fao", "true"), []string{"spec.secretTemplate.labels[controller.cert-manager.io/fao]: own"}},
		{"annotation", annotations("reloader/match", "true"), nil},
		{"annotation's name", annotations("a b", "x"), []string{"spec.secretTemplate.annotations[a b]: no annotation's name"}},
		{"annotation of cert-manager", annotations("cert-manager.io/x", "a"), []string{"spec.secretTemplate.annotations[cert-manager.io/x]: own"}},
		{"annotation allowed", annotations("cert-manager.io/allow-direct-injection", "true"), nil},
		{"annotations too long", annotations("a", strings.Repeat("x", 256<<10)), []string{"spec.secretTemplate.annotations: 262145 bytes"}},
		{"annotations just not", annotations("a", strings.Repeat("x", 256<<10-1)), nil},
	})
}

func TestCheckKeystores(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	text := func(s string) *string { return &s }
	ref := cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "pw"}, Key: "password"}
	nokey := cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "pw"}}
	jks := func(k cmapi.JKSKeystore) func(s *cs) {
		return func(s *cs) { s.Keystores = &cmapi.CertificateKeystores{JKS: &k} }
	}
	p12 := func(k cmapi.PKCS12Keystore) func(s *cs) {
		return func(s *cs) { s.Keystores = &cmapi.CertificateKeystores{PKCS12: &k} }
	}
	const rc2 = "~spec.keystores.pkcs12.profile: OpenSSL 3"
	checkCases(t, spec, []certCase{
		{"none", func(s *cs) { s.Keystores = &cmapi.CertificateKeystores{} }, nil},
		{"JKS", jks(cmapi.JKSKeystore{Create: true, PasswordSecretRef: ref, Alias: text("web")}), nil},
		{"JKS, both", jks(cmapi.JKSKeystore{Create: true, PasswordSecretRef: ref, Password: text("changeit")}), []string{"spec.keystores.jks: both"}},
		{"JKS, neither", jks(cmapi.JKSKeystore{}), []string{"spec.keystores.jks: no password"}},
		{"JKS, empty", jks(cmapi.JKSKeystore{Password: text("")}), []string{"spec.keystores.jks.password: empty"}},
		{"JKS, no key", jks(cmapi.JKSKeystore{PasswordSecretRef: nokey}), []string{"spec.keystores.jks.passwordSecretRef.key: missing"}},
		{"JKS, short", jks(cmapi.JKSKeystore{Create: true, Password: text("12345")}), []string{"~spec.keystores.jks.password: keytool"}},
		{"JKS, long enough", jks(cmapi.JKSKeystore{Create: true, Password: text("123456")}), nil},
		{"JKS, alias", jks(cmapi.JKSKeystore{Create: true, PasswordSecretRef: ref, Alias: text("CA")}), []string{"~spec.keystores.jks.alias: no key"}},
		{"P12", p12(cmapi.PKCS12Keystore{Create: true, PasswordSecretRef: ref, Profile: "Modern2026"}), nil},
		{"P12, default", p12(cmapi.PKCS12Keystore{Create: true, PasswordSecretRef: ref}), []string{rc2}},
		{"P12, RC2", p12(cmapi.PKCS12Keystore{Create: true, PasswordSecretRef: ref, Profile: "LegacyRC2"}), []string{rc2}},
		{"P12, not made", p12(cmapi.PKCS12Keystore{PasswordSecretRef: ref}), nil},
		{"P12, profile", p12(cmapi.PKCS12Keystore{Create: true, PasswordSecretRef: ref, Profile: "modern2023"}), []string{`spec.keystores.pkcs12.profile: "modern2023" is not one of`}},
		{"P12, neither", p12(cmapi.PKCS12Keystore{}), []string{"spec.keystores.pkcs12: no password"}},
		{"P12, both", p12(cmapi.PKCS12Keystore{PasswordSecretRef: ref, Password: text("x")}), []string{"spec.keystores.pkcs12: both"}},
		{"P12, empty", p12(cmapi.PKCS12Keystore{Password: text("")}), []string{"spec.keystores.pkcs12.password: empty"}},
	})
}
