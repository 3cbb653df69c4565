package manifest

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/pki"
)

// checkIssuer finds what admission refuses in an Issuer or a ClusterIssuer. It
// looks into one type only, as cert-manager does.
func checkIssuer(o *object, i *Issuer) {
	s := &i.Spec
	types := []struct {
		path  string
		there bool
		check func()
	}{
		{"spec.acme", s.ACME != nil, func() { checkACME(o, s.ACME) }},
		{"spec.ca", s.CA != nil, func() { checkCA(o, s.CA) }},
		{"spec.selfSigned", s.SelfSigned != nil, func() { warnURLs(o, "spec.selfSigned.", s.SelfSigned.CRLDistributionPoints, nil, nil) }},
		{"spec.vault", s.Vault != nil, func() { checkVault(o, s.Vault) }},
		{"spec.venafi", s.Venafi != nil, func() { checkVenafi(o, s.Venafi) }},
	}
	first := ""
	for _, t := range types {
		switch {
		case !t.there:
		case first == "":
			first = t.path
			t.check()
		default:
			o.problem(t.path, "make two issuers of it", "an issuer has one type, and %s is set too", first)
		}
	}
	if first == "" {
		o.problem("spec", "set ca with a secretName, or selfSigned: {}", "has no type: it is neither acme, ca, selfSigned, vault nor venafi")
	}
}

func checkCA(o *object, ca *cmapi.CAIssuer) {
	required(o, "spec.ca.secretName", ca.SecretName, "name the Secret that holds the authority's certificate and key")
	for _, list := range []struct {
		path string
		urls []string
	}{{"spec.ca.ocspServers", ca.OCSPServers}, {"spec.ca.issuingCertificateURLs", ca.IssuingCertificateURLs}} {
		for i, u := range list.urls {
			if u == "" {
				o.problem(fmt.Sprintf("%s[%d]", list.path, i), "write a URL, as in http://pki.example.com/ca.crt", "is empty")
			}
		}
	}
	warnURLs(o, "spec.ca.", ca.CRLDistributionPoints, ca.IssuingCertificateURLs, ca.OCSPServers)
}

// warnURLs: nobody checks that they are URLs, and they go into certificates.
func warnURLs(o *object, path string, crl, aia, ocsp []string) {
	for _, list := range []struct {
		name string
		urls []string
		as   func(u []string) pki.URLs
	}{
		{"crlDistributionPoints", crl, func(u []string) pki.URLs { return pki.URLs{CRL: u} }},
		{"issuingCertificateURLs", aia, func(u []string) pki.URLs { return pki.URLs{AIA: u} }},
		{"ocspServers", ocsp, func(u []string) pki.URLs { return pki.URLs{OCSP: u} }},
	} {
		for i, u := range list.urls {
			if err := list.as([]string{u}).Check(); err != nil && u != "" {
				o.warn(fmt.Sprintf("%s%s[%d]", path, list.name, i), "goes into every certificate as it stands, and verifiers cannot fetch it: %v", err)
			}
		}
	}
}

func checkVault(o *object, v *cmapi.VaultIssuer) {
	required(o, "spec.vault.server", v.Server, "write Vault's URL")
	required(o, "spec.vault.path", v.Path, "write the path of the PKI mount that signs, as in pki/sign/web")
	noDots(o, "spec.vault.path", v.Path)
	checkBundle(o, "spec.vault.caBundle", v.CABundle)
	if len(v.CABundle) > 0 && v.CABundleSecretRef != nil {
		exclusive(o, "spec.vault.caBundle", "spec.vault.caBundleSecretRef")
	}
	if (v.ClientCertSecretRef == nil) != (v.ClientKeySecretRef == nil) {
		path := "spec.vault.clientKeySecretRef"
		if v.ClientCertSecretRef == nil {
			path = "spec.vault.clientCertSecretRef"
		}
		o.problem(path, "", "is missing: a client certificate and its key go together")
	}
	checkVaultAuth(o, &v.Auth)
}

func checkVaultAuth(o *object, a *cmapi.VaultAuth) {
	const path = "spec.vault.auth"
	if a.TokenSecretRef == nil && a.AppRole == nil && a.ClientCertificate == nil && a.Kubernetes == nil && a.AWS == nil {
		o.problem(path, "set tokenSecretRef, appRole, clientCertificate, kubernetes or aws", "says nothing about how to log in")
	}
	if r := a.AppRole; r != nil {
		required(o, path+".appRole.roleId", r.RoleId, "")
		required(o, path+".appRole.secretRef.name", r.SecretRef.Name, "")
		noDots(o, path+".appRole.path", r.Path)
	}
	if c := a.ClientCertificate; c != nil {
		noDots(o, path+".clientCertificate.mountPath", c.Path)
	}
	if k := a.Kubernetes; k != nil {
		required(o, path+".kubernetes.role", k.Role, "")
		noDots(o, path+".kubernetes.mountPath", k.Path)
		switch {
		case k.SecretRef.Name == "" && k.ServiceAccountRef == nil:
			o.problem(path+".kubernetes", "set secretRef or serviceAccountRef", "has no account to log in with")
		case k.SecretRef.Name != "" && k.ServiceAccountRef != nil:
			exclusive(o, path+".kubernetes.secretRef", path+".kubernetes.serviceAccountRef")
		}
		if k.ServiceAccountRef != nil {
			required(o, path+".kubernetes.serviceAccountRef.name", k.ServiceAccountRef.Name, "")
		}
	}
	if w := a.AWS; w != nil {
		required(o, path+".aws.role", w.Role, "")
		noDots(o, path+".aws.mountPath", w.MountPath)
		if w.ServiceAccountRef != nil {
			required(o, path+".aws.serviceAccountRef.name", w.ServiceAccountRef.Name, "")
			required(o, path+".aws.iamRoleArn", w.IAMRoleARN, "serviceAccountRef needs the role that it takes on")
		}
	}
}

func checkVenafi(o *object, v *cmapi.VenafiIssuer) {
	required(o, "spec.venafi.zone", v.Zone, "")
	n := 0
	if t := v.TPP; t != nil {
		n++
		required(o, "spec.venafi.tpp.url", t.URL, "")
		if len(t.CABundle) > 0 && t.CABundleSecretRef != nil {
			exclusive(o, "spec.venafi.tpp.caBundle", "spec.venafi.tpp.caBundleSecretRef")
		}
	}
	if v.Cloud != nil {
		n++
	}
	if g := v.NGTS; g != nil {
		n++
		required(o, "spec.venafi.ngts.tsgID", g.TSGID, "")
		required(o, "spec.venafi.ngts.credentialsRef.name", g.CredentialsRef.Name, "")
	}
	if n != 1 {
		o.problem("spec.venafi", "", "wants one of tpp, cloud and ngts, and has %d", n)
	}
}

func required(o *object, path, value, hint string) {
	if value == "" {
		o.problem(path, hint, "is missing")
	}
}

func requiredKey(o *object, path string, ref cmmeta.SecretKeySelector) {
	required(o, path+".name", ref.Name, "name the Secret")
	required(o, path+".key", ref.Key, "name the key in the Secret")
}

// exclusive reports both fields: which of them is too many is not ours to say.
func exclusive(o *object, a, b string) {
	for _, p := range [][2]string{{a, b}, {b, a}} {
		o.problem(p[0], "leave one of them out", "cannot be set together with %s", p[1])
	}
}

func noDots(o *object, path, value string) {
	if slices.Contains(strings.Split(value, "/"), "..") {
		o.problem(path, "write the path without ..", "%q leads out of its folder", value)
	}
}

func checkBundle(o *object, path string, bundle []byte) {
	if len(bundle) > 0 && !x509.NewCertPool().AppendCertsFromPEM(bundle) {
		o.problem(path, "write the base64 of certificates in PEM", "no certificate is in it")
	}
}
