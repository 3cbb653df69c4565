package manifest

import (
	"fmt"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// checkCertificate finds what admission refuses in a Certificate, what passes
// it and can never be issued, and what somebody will stumble over.
func checkCertificate(o *object, c *Certificate) {
	s := &c.Spec
	checkNames(o, s)
	checkLifetime(o, s)
	checkRenewal(o, s.Renewal)
	checkKey(o, s)
	checkUsages(o, s.Usages)
	checkConstraints(o, s)
	checkIssuerRef(o, s.IssuerRef)
	checkOutput(o, s)
	checkKeystores(o, s.Keystores)
	if n := s.RevisionHistoryLimit; n != nil && *n < 1 {
		o.problem("spec.revisionHistoryLimit", "leave it out for 1", "%d is too few: the last request is always kept", *n)
	}
	warnUsages(o, s)
	if _, ok := c.Annotations[cmapi.IssueTemporaryCertificateAnnotation]; ok {
		o.warn(annotation(cmapi.IssueTemporaryCertificateAnnotation),
			"a temporary certificate is for the time until the real one comes; here the real one comes at once, so the annotation does nothing")
	}
}

func checkIssuerRef(o *object, ref cmmeta.IssuerReference) {
	if ref.Name == "" {
		o.problem("spec.issuerRef.name", "name the Issuer or ClusterIssuer that is to sign", "is missing")
	}
	if external(ref) {
		return
	}
	switch ref.Kind {
	case "", cmapi.IssuerKind, cmapi.ClusterIssuerKind:
		return
	}
	hint := meant(ref.Kind, []string{cmapi.IssuerKind, cmapi.ClusterIssuerKind})
	if hint == "" {
		hint = "write Issuer or ClusterIssuer"
	}
	if ref.Group == "" {
		hint += "; if it is the kind of another project's issuer, set spec.issuerRef.group too"
	}
	o.problem("spec.issuerRef.kind", hint, "cert-manager has no issuers of kind %q", ref.Kind)
}

func checkUsages(o *object, words []cmapi.KeyUsage) (ok bool) {
	ok = true
	for i, w := range words {
		if _, _, err := profiles.ParseUsage(string(w)); err != nil {
			o.problem(fmt.Sprintf("spec.usages[%d]", i), usageHint(string(w)), "unknown usage %q", w)
			ok = false
		}
	}
	return ok
}

func usageHint(word string) string {
	words := profiles.UsageWords()
	if hint := meant(word, words); hint != "" {
		return hint
	}
	return "there are " + strings.Join(words, ", ")
}

// warnUsages tells of usages which are not what is needed.
func warnUsages(o *object, s *cmapi.CertificateSpec) {
	if e := s.EncodeUsagesInRequest; e != nil && !*e {
		o.warn("spec.encodeUsagesInRequest", "has no effect: it keeps the usages out of the request, and they are put into the certificate all the same")
	}
	if s.IsCA {
		if !slices.Contains(s.Usages, cmapi.UsageCRLSign) {
			o.warn("spec.usages", `without "crl sign" this authority cannot sign CRLs, so what it issues cannot be revoked`)
		}
		return
	}
	if i := slices.Index(s.Usages, cmapi.UsageCertSign); i >= 0 {
		o.warn(fmt.Sprintf("spec.usages[%d]", i), `"cert sign" without isCA does not make an authority, and RFC 5280 section 4.2.1.9 forbids it`)
	}
	if len(s.Usages) == 0 && len(s.DNSNames)+len(s.IPAddresses) > 0 {
		o.warn("spec.usages", `none are given, so the certificate has no extended key usage; mutual TLS wants "server auth" or "client auth" in it, and Apple's systems take no server without`)
	}
}

var keyAlgorithms = []cmapi.PrivateKeyAlgorithm{cmapi.RSAKeyAlgorithm, cmapi.ECDSAKeyAlgorithm, cmapi.Ed25519KeyAlgorithm}

// signatures are the algorithms that go with a key's, in order of strength.
var signatures = map[cmapi.PrivateKeyAlgorithm][]cmapi.SignatureAlgorithm{
	cmapi.RSAKeyAlgorithm:     {cmapi.SHA256WithRSA, cmapi.SHA384WithRSA, cmapi.SHA512WithRSA},
	cmapi.ECDSAKeyAlgorithm:   {cmapi.ECDSAWithSHA256, cmapi.ECDSAWithSHA384, cmapi.ECDSAWithSHA512},
	cmapi.Ed25519KeyAlgorithm: {cmapi.PureEd25519},
}

func checkKey(o *object, s *cmapi.CertificateSpec) {
	k := cmapi.CertificatePrivateKey{}
	if s.PrivateKey != nil {
		k = *s.PrivateKey
	}
	if k.Algorithm == "" {
		k.Algorithm = cmapi.RSAKeyAlgorithm
	}
	known := oneOf(o, "spec.privateKey.algorithm", k.Algorithm, keyAlgorithms...)
	sizeIsGood := true
	bad := func(hint, format string, args ...any) {
		o.problem("spec.privateKey.size", hint, format, args...)
		sizeIsGood = false
	}
	switch {
	case k.Algorithm == cmapi.Ed25519KeyAlgorithm: // has one size only
	case k.Size < 0:
		bad("leave it out for the default", "%d is negative", k.Size)
	case k.Size == 0:
	case k.Algorithm == cmapi.RSAKeyAlgorithm && (k.Size < 2048 || k.Size > 8192):
		bad("2048 is the default, 3072 and 4096 are usual", "%d bits: an RSA key has 2048 to 8192", k.Size)
	case k.Algorithm == cmapi.ECDSAKeyAlgorithm && k.Size != 256 && k.Size != 384 && k.Size != 521:
		bad("256 is the default", "%d: an ECDSA key has 256, 384 or 521 bits", k.Size)
	}
	if k.Encoding != "" {
		oneOf(o, "spec.privateKey.encoding", k.Encoding, cmapi.PKCS1, cmapi.PKCS8)
	}
	if k.RotationPolicy != "" {
		oneOf(o, "spec.privateKey.rotationPolicy", k.RotationPolicy, cmapi.RotationPolicyAlways, cmapi.RotationPolicyNever)
	}
	if k.RotationPolicy == cmapi.RotationPolicyNever {
		o.warn("spec.privateKey.rotationPolicy", "Never keeps the key at every renewal, so a stolen key stays good; and once its algorithm or size is changed here, cert-manager issues nothing until the Secret is deleted")
	}
	if s.SignatureAlgorithm == "" || !known {
		return
	}
	fitting := signatures[k.Algorithm]
	switch {
	case !slices.Contains(fitting, s.SignatureAlgorithm):
		o.problem("spec.signatureAlgorithm", "leave it out, or set spec.privateKey.algorithm to the key that is meant",
			"%q is not for %s keys, which sign with %s", s.SignatureAlgorithm, k.Algorithm, join(fitting))
	case sizeIsGood && s.SignatureAlgorithm != usualSignature(k):
		o.warn("spec.signatureAlgorithm", "signs the request only: the certificate is signed as its issuer's key wants it")
	}
}

// usualSignature is what a key of k's type signs with if nothing is said.
func usualSignature(k cmapi.CertificatePrivateKey) cmapi.SignatureAlgorithm {
	all := signatures[k.Algorithm]
	switch {
	case k.Algorithm == cmapi.RSAKeyAlgorithm && k.Size >= 4096, k.Size == 521:
		return all[len(all)-1]
	case len(all) > 1 && (k.Algorithm == cmapi.RSAKeyAlgorithm && k.Size >= 3072 || k.Size == 384):
		return all[1]
	}
	return all[0]
}

// oneOf reports whether a word is among those that the schema has.
func oneOf[T ~string](o *object, path string, word T, words ...T) bool {
	if slices.Contains(words, word) {
		return true
	}
	o.problem(path, meant(word, words), "%q is not one of %s", word, join(words))
	return false
}

// meant is a hint at the word that differs in its spelling only, as server auth
// from serverAuth; empty if there is none.
func meant[T ~string](word T, words []T) string {
	plain := func(w T) string {
		return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(string(w)))
	}
	for _, w := range words {
		if plain(w) == plain(word) {
			return "write " + string(w)
		}
	}
	return ""
}

func join[T ~string](words []T) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}
