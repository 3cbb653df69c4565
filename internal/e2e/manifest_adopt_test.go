package e2e

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	apiutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// reissue is what a cert-manager that starts now, with nothing but the
// Certificate and its Secret, would call the reason to issue anew; empty if it
// adopts the Secret. The order of the checks is cert-manager's, and each
// comparison is its own function.
func reissue(crt *cmapi.Certificate, secret *corev1.Secret, now time.Time) string {
	if secret == nil || secret.Name != crt.Spec.SecretName || secret.Namespace != crt.Namespace {
		return "DoesNotExist"
	}
	if len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 || len(secret.Data[corev1.TLSCertKey]) == 0 {
		return "MissingData"
	}
	key, err := cmpki.DecodePrivateKeyBytes(secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return "InvalidKeyPair: " + err.Error()
	}
	leaf, err := cmpki.DecodeX509CertificateBytes(secret.Data[corev1.TLSCertKey])
	if err != nil {
		return "InvalidCertificate: " + err.Error()
	}
	if equal, err := cmpki.PublicKeysEqual(leaf.PublicKey, key.Public()); err != nil || !equal {
		return "InvalidKeyPair"
	}
	if !apiutil.SecretIssuerAnnotationsMatch(secret, crt.Spec.IssuerRef) {
		return "IncorrectIssuer"
	}
	if name, ok := secret.Annotations[cmapi.CertificateNameKey]; ok && name != crt.Name {
		return "IncorrectCertificate"
	}
	if violations := cmpki.PrivateKeyMatchesSpec(key, crt.Spec); len(violations) > 0 {
		return "SecretMismatch: " + strings.Join(violations, ", ")
	}
	//nolint:staticcheck // deprecated, and what it decides by all the same
	if violations := cmpki.FuzzyX509AltNamesMatchSpec(leaf, crt.Spec); len(violations) > 0 {
		return "SecretMismatch: " + strings.Join(violations, ", ")
	}
	if crt.Spec.Renewal != nil && crt.Spec.Renewal.Policy == cmapi.CertificateRenewalPolicyDisabled {
		return ""
	}
	due, err := cmpki.RenewalTime(leaf.NotBefore, leaf.NotAfter, crt.Spec.RenewBefore, crt.Spec.RenewBeforePercentage, crt.Spec.Renewal)
	if err != nil {
		return "WindowError: " + err.Error()
	}
	if !due.After(now) {
		return "Renewing"
	}
	return ""
}

// certificates are those of a manifest that stand in it as such.
func certificates(t *testing.T, manifest []byte) (all []*cmapi.Certificate) {
	t.Helper()
	for _, document := range bytes.Split(manifest, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		if kind.Kind != cmapi.CertificateKind {
			continue
		}
		crt := new(cmapi.Certificate)
		if err := yaml.UnmarshalStrict(document, crt); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if crt.Namespace == "" {
			crt.Namespace = corev1.NamespaceDefault
		}
		all = append(all, crt)
	}
	return all
}

// adopted fails the test unless cert-manager takes the Secret for the one that it
// would have made.
func adopted(t *testing.T, crt *cmapi.Certificate, all secrets) {
	t.Helper()
	secret := all[crt.Namespace+"/"+crt.Spec.SecretName]
	if reason := reissue(crt, secret, time.Now()); reason != "" {
		t.Fatalf("cert-manager issues it again: %s\n%+v", reason, secret)
	}
	// The type can never be changed, and without these a ClusterIssuer never fits.
	if secret.Type != corev1.SecretTypeTLS {
		t.Errorf("the type is %q", secret.Type)
	}
	ref := crt.Spec.IssuerRef
	for annotation, want := range map[string]string{
		cmapi.CertificateNameKey:       crt.Name,
		cmapi.IssuerNameAnnotationKey:  ref.Name,
		cmapi.IssuerKindAnnotationKey:  ref.Kind,
		cmapi.IssuerGroupAnnotationKey: ref.Group,
	} {
		if got, ok := secret.Annotations[annotation]; !ok || got != want {
			t.Errorf("%s is %q, %v; want %q", annotation, got, ok, want)
		}
	}
	if _, err := cmpki.DecodeX509CertificateChainBytes(secret.Data[corev1.TLSCertKey]); err != nil {
		t.Error(err)
	}
	if roots, err := cmpki.DecodeX509CertificateSetBytes(secret.Data[cmmeta.TLSCAKey]); err != nil || len(roots) != 1 {
		t.Errorf("ca.crt: %d certificates, %v", len(roots), err)
	}
}

// TestManifestAdopted has cert-manager's own functions decide on the Secrets that
// were made without it.
func TestManifestAdopted(t *testing.T) {
	t.Parallel()
	s := newAcme(t, nil)
	s.write(t, "adopt.yaml", []byte(adoptYAML))
	own := s.ok(t, "mtlsctl apply -f adopt.yaml --out -")
	type applied struct {
		crts    []*cmapi.Certificate
		secrets secrets
	}
	manifests := map[string]applied{"adopt.yaml": {certificates(t, []byte(adoptYAML)), parseSecrets(t, own)}}
	for _, name := range []string{"apisix.yaml", "istio.yaml"} {
		manifests[name] = applied{certificates(t, readManifest(t, name)), s.apply(t, name, "")}
	}
	// What cert-manager's shim makes of the Ingress.
	example := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Name: "example-tls", Namespace: "default"}}
	example.Spec = cmapi.CertificateSpec{
		DNSNames: []string{"example.com"}, SecretName: "example-tls", Usages: cmapi.DefaultKeyUsages(),
		IssuerRef: cmmeta.IssuerReference{Name: "letsencrypt-production", Kind: "Issuer", Group: "cert-manager.io"},
	}
	manifests["ingress-acme.yaml"] = applied{[]*cmapi.Certificate{example}, s.apply(t, "ingress-acme.yaml", "--issuer letsencrypt-production=issuing")}

	for name, m := range manifests {
		if len(m.crts) == 0 || len(m.crts) != len(m.secrets) {
			t.Errorf("%s: %d Certificates and %d Secrets", name, len(m.crts), len(m.secrets))
		}
		for _, crt := range m.crts {
			t.Run(name+"/"+crt.Name, func(t *testing.T) {
				// The one exception that is known of: cert-manager compares the common
				// name with the spec's, which a literal subject leaves empty.
				if strings.Contains(crt.Spec.LiteralSubject, "CN=") {
					reason := reissue(crt, m.secrets[crt.Namespace+"/"+crt.Spec.SecretName], time.Now())
					if reason != "SecretMismatch: spec.commonName" {
						t.Errorf("mend what the guide says: %q", reason)
					}
					return
				}
				adopted(t, crt, m.secrets)
			})
		}
	}

	// That the judge is awake: a Secret of another Certificate is not taken.
	full := manifests["adopt.yaml"].crts[slices.IndexFunc(manifests["adopt.yaml"].crts, func(c *cmapi.Certificate) bool { return c.Name == "full" })]
	for _, c := range []struct {
		want string
		edit func(*cmapi.Certificate, *corev1.Secret)
	}{
		{"", func(*cmapi.Certificate, *corev1.Secret) {}},
		{"DoesNotExist", func(c *cmapi.Certificate, _ *corev1.Secret) { c.Namespace = "other" }},
		{"MissingData", func(_ *cmapi.Certificate, s *corev1.Secret) { delete(s.Data, corev1.TLSPrivateKeyKey) }},
		{"InvalidKeyPair", func(_ *cmapi.Certificate, s *corev1.Secret) {
			s.Data[corev1.TLSPrivateKeyKey] = manifests["adopt.yaml"].secrets["prod/plain"].Data[corev1.TLSPrivateKeyKey]
		}},
		{"IncorrectIssuer", func(_ *cmapi.Certificate, s *corev1.Secret) { delete(s.Annotations, cmapi.IssuerKindAnnotationKey) }},
		{"IncorrectIssuer", func(c *cmapi.Certificate, _ *corev1.Secret) { c.Spec.IssuerRef.Name = "other" }},
		{"IncorrectCertificate", func(c *cmapi.Certificate, _ *corev1.Secret) { c.Name = "other" }},
		{"SecretMismatch: spec.privateKey.algorithm", func(c *cmapi.Certificate, _ *corev1.Secret) { c.Spec.PrivateKey = nil }},
		{"SecretMismatch: spec.privateKey.size", func(c *cmapi.Certificate, _ *corev1.Secret) { c.Spec.PrivateKey.Size = 256 }},
		{"SecretMismatch: spec.ipAddresses", func(c *cmapi.Certificate, _ *corev1.Secret) { c.Spec.IPAddresses = nil }},
		{"Renewing", func(c *cmapi.Certificate, _ *corev1.Secret) {
			c.Spec.RenewBefore = &metav1.Duration{Duration: 48*time.Hour - time.Second}
		}},
	} {
		crt, secret := full.DeepCopy(), manifests["adopt.yaml"].secrets["prod/full"].DeepCopy()
		c.edit(crt, secret)
		if got := reissue(crt, secret, time.Now()); got != c.want {
			t.Errorf("reissue: %q; want %q", got, c.want)
		}
	}
}

// adoptYAML has the shapes of Certificates that differ in what is compared.
const adoptYAML = `
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: selfsigned}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: root, namespace: cert-manager}
spec:
  isCA: true
  commonName: Root
  secretName: root
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: selfsigned, kind: ClusterIssuer}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: root}
spec: {ca: {secretName: root}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: intermediate, namespace: prod}
spec:
  isCA: true
  subject: {organizations: [Acme]}
  commonName: Intermediate
  secretName: intermediate
  usages: [cert sign, crl sign]
  privateKey: {algorithm: ECDSA, size: 521}
  issuerRef: {name: root, kind: ClusterIssuer, group: cert-manager.io}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: intermediate, namespace: prod}
spec: {ca: {secretName: intermediate}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: full, namespace: prod}
spec:
  secretName: full
  commonName: full.example.com
  subject:
    organizations: [Zeta, "Acme, Inc."]
    organizationalUnits: [Shop]
    countries: [FI]
    provinces: [Uusimaa]
    localities: [Helsinki]
    streetAddresses: [Katu 1]
    postalCodes: ["00100"]
    serialNumber: "7"
  dnsNames: [b.example.com, A.example.com, b.example.com, "*.example.com"]
  ipAddresses: [10.0.0.1, "0::1", "::ffff:10.0.0.2"]
  uris: ["spiffe://example.com/web", "https://example.com/a%20b?c=d"]
  emailAddresses: [web@example.com]
  otherNames: [{oid: 1.3.6.1.4.1.311.20.2.3, utf8Value: web@example.com}]
  usages: [digital signature, server auth, client auth]
  privateKey: {algorithm: ECDSA, size: 384, encoding: PKCS8, rotationPolicy: Never}
  duration: 48h
  renewBefore: 12h
  secretTemplate: {labels: {app: web}, annotations: {example.com/team: edge}}
  additionalOutputFormats: [{type: DER}, {type: CombinedPEM}]
  keystores: {pkcs12: {create: true, password: changeit}, jks: {create: true, password: changeit}}
  issuerRef: {name: root, kind: ClusterIssuer}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: plain, namespace: prod}
spec:
  secretName: plain
  dnsNames: [plain]
  issuerRef: {name: intermediate}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: by-kind, namespace: prod}
spec:
  secretName: by-kind
  ipAddresses: [10.0.0.1]
  privateKey: {size: 3072, encoding: PKCS8}
  issuerRef: {name: intermediate, kind: Issuer, group: cert-manager.io}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ed25519, namespace: prod}
spec:
  secretName: ed25519
  uris: [urn:example:1]
  privateKey: {algorithm: Ed25519, size: 7}
  issuerRef: {name: root, kind: ClusterIssuer}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: long, namespace: prod}
spec:
  secretName: long
  dnsNames: [long]
  duration: 87600h
  renewBefore: 43800h
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: root, kind: ClusterIssuer}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: percentage, namespace: prod}
spec:
  secretName: percentage
  emailAddresses: [a@example.com, b@example.com]
  duration: 1h
  renewBeforePercentage: 90
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: intermediate}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: windows, namespace: prod}
spec:
  secretName: windows
  dnsNames: [windows]
  renewal: {policy: RenewBefore, windows: [{cron: "0 3 * * 6", windowDuration: 4h, timezone: Europe/Berlin}]}
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: intermediate}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: disabled, namespace: prod}
spec:
  secretName: disabled
  dnsNames: [disabled]
  renewal: {policy: Disabled}
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: intermediate}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: literal, namespace: prod}
spec:
  secretName: literal
  literalSubject: O=Acme,OU=Shop
  dnsNames: [literal]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: intermediate}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: literal-name, namespace: prod}
spec:
  secretName: literal-name
  literalSubject: CN=literal,O=Acme
  dnsNames: [literal-name]
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: intermediate}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: by-itself}
spec:
  secretName: by-itself
  commonName: by-itself
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: selfsigned, kind: ClusterIssuer}
`
