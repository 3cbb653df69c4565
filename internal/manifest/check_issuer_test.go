package manifest

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Of each case the spec is given as YAML, so that its paths are those of the
// messages.
func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	const acme = "acme: {server: https://acme.example.com/dir, privateKeySecretRef: {name: account}"
	for _, c := range []struct {
		name, spec string
		want       []string
	}{
		{"self-signed", "selfSigned: {}", nil},
		{"none", "{}", []string{"spec: has no type"}},
		{"two", "{selfSigned: {}, ca: {secretName: a}}", []string{"spec.selfSigned: spec.ca is set too"}},
		{"all", "{selfSigned: {}, ca: {}, vault: {}, venafi: {}, " + acme + "}}", []string{"spec.ca: spec.acme", "spec.selfSigned: spec.acme", "spec.vault: spec.acme", "spec.venafi: spec.acme"}},
		{"CA", "ca: {secretName: a, crlDistributionPoints: [http://x.example.com/crl], ocspServers: [http://x.example.com], issuingCertificateURLs: [http://x.example.com/ca]}", nil},
		{"CA without a Secret", "ca: {}", []string{"spec.ca.secretName: missing"}},
		{"CA with empty URLs", `ca: {secretName: a, crlDistributionPoints: [""], ocspServers: [http://x.example.com, ""], issuingCertificateURLs: [""]}`, []string{
			"spec.ca.ocspServers[1]: empty", "spec.ca.issuingCertificateURLs[0]: empty"}},
		{"CA with odd URLs", "ca: {secretName: a, crlDistributionPoints: [x], ocspServers: [ldap://x.example.com], issuingCertificateURLs: [z]}", []string{
			"~spec.ca.crlDistributionPoints[0]: fetch", "~spec.ca.issuingCertificateURLs[0]: fetch", "~spec.ca.ocspServers[0]: fetch"}},
		{"self-signed with an odd URL", "selfSigned: {crlDistributionPoints: [x]}", []string{"~spec.selfSigned.crlDistributionPoints[0]: fetch"}},

		{"Vault", "vault: {server: https://v, path: pki/sign/x, auth: {tokenSecretRef: {name: a, key: b}}}", nil},
		{"Vault, empty", "vault: {}", []string{"spec.vault.server: missing", "spec.vault.path: missing", "spec.vault.auth: how to log in"}},
		{"Vault, dots", "vault: {server: v, path: a/../b, auth: {appRole: {path: .., roleId: a, secretRef: {name: b}}, clientCertificate: {mountPath: /..}, kubernetes: {mountPath: ../x, role: a, secretRef: {name: a}}, aws: {role: a, mountPath: ../y}}}", []string{
			"spec.vault.path: leads out", "spec.vault.auth.appRole.path: leads out", "spec.vault.auth.clientCertificate.mountPath: leads out", "spec.vault.auth.kubernetes.mountPath: leads out", "spec.vault.auth.aws.mountPath: leads out"}},
		{"Vault, CA", "vault: {server: v, path: a, caBundle: eA==, caBundleSecretRef: {name: a}, clientCertSecretRef: {name: a}, auth: {tokenSecretRef: {name: a}}}", []string{
			"spec.vault.caBundle: no certificate", "spec.vault.caBundle: together", "spec.vault.caBundleSecretRef: together", "spec.vault.clientKeySecretRef: missing"}},
		{"Vault, client key", "vault: {server: v, path: a, clientKeySecretRef: {name: a}, auth: {tokenSecretRef: {name: a}}}", []string{"spec.vault.clientCertSecretRef: missing"}},
		{"Vault, roles", "vault: {server: v, path: a, auth: {appRole: {}, kubernetes: {}, aws: {serviceAccountRef: {}}}}", []string{
			"spec.vault.auth.appRole.roleId: missing", "spec.vault.auth.appRole.secretRef.name: missing", "spec.vault.auth.kubernetes.role: missing", "spec.vault.auth.kubernetes: no account",
			"spec.vault.auth.aws.role: missing", "spec.vault.auth.aws.serviceAccountRef.name: missing", "spec.vault.auth.aws.iamRoleArn: missing"}},
		{"Vault, two accounts", "vault: {server: v, path: a, auth: {kubernetes: {role: a, secretRef: {name: a}, serviceAccountRef: {}}}}", []string{
			"spec.vault.auth.kubernetes.secretRef: together", "spec.vault.auth.kubernetes.serviceAccountRef: together", "spec.vault.auth.kubernetes.serviceAccountRef.name: missing"}},

		{"Venafi", "venafi: {zone: a, cloud: {}}", nil},
		{"Venafi, empty", "venafi: {}", []string{"spec.venafi.zone: missing", "spec.venafi: has 0"}},
		{"Venafi, all", "venafi: {zone: a, cloud: {}, tpp: {caBundle: eA==, caBundleSecretRef: {name: a}}, ngts: {}}", []string{"spec.venafi.tpp.url: missing",
			"spec.venafi.tpp.caBundle: together", "spec.venafi.tpp.caBundleSecretRef: together", "spec.venafi.ngts.tsgID: missing", "spec.venafi.ngts.credentialsRef.name: missing", "spec.venafi: has 3"}},

		{"ACME", acme + ", solvers: [{http01: {ingress: {class: nginx}}}]}", nil},
		{"ACME, empty", "acme: {}", []string{"spec.acme.server: missing", "spec.acme.privateKeySecretRef.name: missing"}},
		{"ACME, more", acme + ", caBundle: eA==, skipTLSVerify: true, preferredChain: " + strings.Repeat("x", 65) + ", externalAccountBinding: {}}", []string{
			"spec.acme.caBundle: no certificate", "spec.acme.caBundle: together", "spec.acme.skipTLSVerify: together", "spec.acme.preferredChain: 65 characters",
			"spec.acme.externalAccountBinding.keyID: missing", "spec.acme.externalAccountBinding.keySecretRef.name: missing", "spec.acme.externalAccountBinding.keySecretRef.key: missing"}},
		{"solvers", acme + ", solvers: [{}, {http01: {}, dns01: {}}, {waitInsteadOfSelfCheck: -1s, dns01: {}}]}", []string{
			"spec.acme.solvers[0]: solves nothing", "spec.acme.solvers[1]: both", "spec.acme.solvers[1].http01: one of ingress",
			"spec.acme.solvers[2].waitInsteadOfSelfCheck: negative", "spec.acme.solvers[2].dns01: no provider"}},
		{"HTTP-01", acme + ", solvers: [{http01: {ingress: {class: a, name: b, serviceType: LoadBalancer}}}, {http01: {ingress: {ingressClassName: a/b}}}, {http01: {ingress: {}, gatewayHTTPRoute: {serviceType: x, parentRefs: [{name: a}, {name: a, kind: Gateway}]}}}]}", []string{
			"spec.acme.solvers[0].http01.ingress.serviceType: not one of", "spec.acme.solvers[0].http01.ingress: has 2 of", "spec.acme.solvers[1].http01.ingress.ingressClassName: no name",
			"spec.acme.solvers[2].http01: one of", "spec.acme.solvers[2].http01.gatewayHTTPRoute.serviceType: not one of", "spec.acme.solvers[2].http01.gatewayHTTPRoute.parentRefs[0]: both"}},
		{"DNS-01", acme + ", solvers: [{dns01: {cnameStrategy: x, akamai: {}}}]}", []string{"spec.acme.solvers[0].dns01.cnameStrategy: not one of",
			"spec.acme.solvers[0].dns01.akamai.accessTokenSecretRef.name: missing", "spec.acme.solvers[0].dns01.akamai.accessTokenSecretRef.key: missing",
			"spec.acme.solvers[0].dns01.akamai.clientSecretSecretRef.name: missing", "spec.acme.solvers[0].dns01.akamai.clientSecretSecretRef.key: missing",
			"spec.acme.solvers[0].dns01.akamai.clientTokenSecretRef.name: missing", "spec.acme.solvers[0].dns01.akamai.clientTokenSecretRef.key: missing",
			"spec.acme.solvers[0].dns01.akamai.serviceConsumerDomain: missing"}},
		{"Azure", acme + ", solvers: [{dns01: {azureDNS: {environment: Mars, clientID: a, managedIdentity: {}}}}, {dns01: {azureDNS: {subscriptionID: a, resourceGroupName: b, managedIdentity: {tenantID: a}}}}, " +
			"{dns01: {azureDNS: {subscriptionID: a, resourceGroupName: b, managedIdentity: {resourceID: a, clientID: b}}}}, {dns01: {azureDNS: {subscriptionID: a, resourceGroupName: b, clientID: c, tenantID: d, clientSecretSecretRef: {name: e}}}}]}", []string{
			"spec.acme.solvers[0].dns01.azureDNS.subscriptionID: missing", "spec.acme.solvers[0].dns01.azureDNS.resourceGroupName: missing", "spec.acme.solvers[0].dns01.azureDNS.environment: not one of",
			"spec.acme.solvers[0].dns01.azureDNS.tenantID: missing", "spec.acme.solvers[0].dns01.azureDNS.clientSecretSecretRef: missing", "spec.acme.solvers[0].dns01.azureDNS.managedIdentity: together",
			"spec.acme.solvers[1].dns01.azureDNS.managedIdentity.clientID: missing", "spec.acme.solvers[2].dns01.azureDNS.managedIdentity: another name",
			"spec.acme.solvers[3].dns01.azureDNS.clientSecretSecretRef.key: missing"}},
		{"Cloudflare and Google", acme + ", solvers: [{dns01: {cloudflare: {}}}, {dns01: {cloudflare: {apiKeySecretRef: {name: a, key: b}, apiTokenSecretRef: {name: a}}}}, {dns01: {cloudDNS: {serviceAccountSecretRef: {name: a}}}}]}", []string{
			"spec.acme.solvers[0].dns01.cloudflare: neither", "spec.acme.solvers[1].dns01.cloudflare.apiKeySecretRef: together", "spec.acme.solvers[1].dns01.cloudflare.apiTokenSecretRef: together",
			"spec.acme.solvers[1].dns01.cloudflare.email: missing", "spec.acme.solvers[1].dns01.cloudflare.apiTokenSecretRef.key: missing",
			"spec.acme.solvers[2].dns01.cloudDNS.project: missing", "spec.acme.solvers[2].dns01.cloudDNS.serviceAccountSecretRef.key: missing"}},
		{"more of DNS-01", acme + ", solvers: [{dns01: {route53: {}, acmeDNS: {}}}, {dns01: {route53: {accessKeyID: a, accessKeyIDSecretRef: {name: a}}}}, {dns01: {digitalocean: {}}}, {dns01: {webhook: {}}}]}", []string{
			"spec.acme.solvers[0].dns01.acmeDNS.accountSecretRef.name: missing", "spec.acme.solvers[0].dns01.acmeDNS.accountSecretRef.key: missing", "spec.acme.solvers[0].dns01.acmeDNS.host: missing",
			"spec.acme.solvers[0].dns01: more than one provider: route53, acmeDNS",
			"spec.acme.solvers[1].dns01.route53.accessKeyID: together", "spec.acme.solvers[1].dns01.route53.accessKeyIDSecretRef: together", "spec.acme.solvers[1].dns01.route53.accessKeyIDSecretRef.key: missing",
			"spec.acme.solvers[2].dns01.digitalocean.tokenSecretRef.name: missing", "spec.acme.solvers[2].dns01.digitalocean.tokenSecretRef.key: missing",
			"spec.acme.solvers[3].dns01.webhook.groupName: missing", "spec.acme.solvers[3].dns01.webhook.solverName: missing"}},
		{"RFC 2136", acme + ", solvers: [{dns01: {rfc2136: {tsigAlgorithm: x}}}, {dns01: {rfc2136: {nameserver: a, tsigAlgorithm: hmacsha256, tsigKeyName: k}}}, {dns01: {rfc2136: {nameserver: a, tsigSecretSecretRef: {name: a, key: b}}}}]}", []string{
			"spec.acme.solvers[0].dns01.rfc2136.nameserver: missing", "spec.acme.solvers[0].dns01.rfc2136.tsigAlgorithm: not one of",
			"spec.acme.solvers[1].dns01.rfc2136.tsigSecretSecretRef.name: missing", "spec.acme.solvers[1].dns01.rfc2136.tsigSecretSecretRef.key: missing",
			"spec.acme.solvers[2].dns01.rfc2136.tsigKeyName: missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testObject("Issuer")
			i := &Issuer{Origin: o.Origin}
			if err := yaml.UnmarshalStrict([]byte(c.spec), &i.Spec); err != nil {
				t.Fatal(err)
			}
			checkIssuer(o, i)
			expect(t, o, c.want)
		})
	}
}
