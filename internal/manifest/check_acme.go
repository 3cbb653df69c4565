package manifest

import (
	"fmt"
	"strings"

	cmacme "github.com/cert-manager/cert-manager/pkg/apis/acme/v1"
	corev1 "k8s.io/api/core/v1"
)

func checkACME(o *object, a *cmacme.ACMEIssuer) {
	required(o, "spec.acme.server", a.Server, "write the URL of the server's directory")
	required(o, "spec.acme.privateKeySecretRef.name", a.PrivateKey.Name, "name the Secret for the account's key; cert-manager makes it")
	checkBundle(o, "spec.acme.caBundle", a.CABundle)
	if len(a.CABundle) > 0 && a.SkipTLSVerify {
		exclusive(o, "spec.acme.caBundle", "spec.acme.skipTLSVerify")
	}
	if len(a.PreferredChain) > 64 {
		o.problem("spec.acme.preferredChain", "", "has %d characters, and a common name has at most 64", len(a.PreferredChain))
	}
	if e := a.ExternalAccountBinding; e != nil {
		required(o, "spec.acme.externalAccountBinding.keyID", e.KeyID, "")
		requiredKey(o, "spec.acme.externalAccountBinding.keySecretRef", e.Key)
	}
	for i := range a.Solvers {
		checkSolver(o, fmt.Sprintf("spec.acme.solvers[%d]", i), &a.Solvers[i])
	}
}

func checkSolver(o *object, path string, s *cmacme.ACMEChallengeSolver) {
	switch {
	case s.HTTP01 == nil && s.DNS01 == nil:
		o.problem(path, "set http01 or dns01", "solves nothing")
	case s.HTTP01 != nil && s.DNS01 != nil:
		o.problem(path, "make two solvers of it", "has both http01 and dns01")
	}
	if w := s.WaitInsteadOfSelfCheck; w != nil && w.Duration < 0 {
		o.problem(path+".waitInsteadOfSelfCheck", "", "%s is negative", w.Duration)
	}
	if h := s.HTTP01; h != nil {
		checkHTTP01(o, path+".http01", h)
	}
	if s.DNS01 != nil && s.HTTP01 == nil {
		checkDNS01(o, path+".dns01", s.DNS01)
	}
}

func checkHTTP01(o *object, path string, h *cmacme.ACMEChallengeSolverHTTP01) {
	if (h.Ingress == nil) == (h.GatewayHTTPRoute == nil) {
		o.problem(path, "", "wants one of ingress and gatewayHTTPRoute")
	}
	if in := h.Ingress; in != nil {
		checkService(o, path+".ingress", in.ServiceType)
		n := 0
		for _, set := range []bool{in.Class != nil, in.IngressClassName != nil, in.Name != ""} {
			if set {
				n++
			}
		}
		if n > 1 {
			o.problem(path+".ingress", "leave one of them", "has %d of ingressClassName, class and name", n)
		}
		if c := in.IngressClassName; c != nil && !isSubdomain(*c) {
			o.problem(path+".ingress.ingressClassName", "for a class that is no IngressClass, use class", "%q is no name for an IngressClass", *c)
		}
	}
	if g := h.GatewayHTTPRoute; g != nil {
		checkService(o, path+".gatewayHTTPRoute", g.ServiceType)
		for i, r := range g.ParentRefs {
			if (r.Kind != nil) != (r.Name != "") {
				o.problem(fmt.Sprintf("%s.gatewayHTTPRoute.parentRefs[%d]", path, i), "", "wants both kind and name")
			}
		}
	}
}

func checkService(o *object, path string, t corev1.ServiceType) {
	if t != "" {
		oneOf(o, path+".serviceType", t, corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort)
	}
}

// checkDNS01 looks at what every provider needs. What only its cloud can judge
// is left to the cloud.
func checkDNS01(o *object, path string, d *cmacme.ACMEChallengeSolverDNS01) {
	if d.CNAMEStrategy != "" {
		oneOf(o, path+".cnameStrategy", d.CNAMEStrategy, cmacme.NoneStrategy, cmacme.FollowStrategy)
	}
	var found []string
	provider := func(name string, there bool, check func(path string)) {
		if there {
			found = append(found, name)
			check(path + "." + name)
		}
	}
	provider("akamai", d.Akamai != nil, func(p string) {
		requiredKey(o, p+".accessTokenSecretRef", d.Akamai.AccessToken)
		requiredKey(o, p+".clientSecretSecretRef", d.Akamai.ClientSecret)
		requiredKey(o, p+".clientTokenSecretRef", d.Akamai.ClientToken)
		required(o, p+".serviceConsumerDomain", d.Akamai.ServiceConsumerDomain, "")
	})
	provider("azureDNS", d.AzureDNS != nil, func(p string) { checkAzure(o, p, d.AzureDNS) })
	provider("cloudDNS", d.CloudDNS != nil, func(p string) {
		required(o, p+".project", d.CloudDNS.Project, "")
		if s := d.CloudDNS.ServiceAccount; s != nil {
			requiredKey(o, p+".serviceAccountSecretRef", *s)
		}
	})
	provider("cloudflare", d.Cloudflare != nil, func(p string) { checkCloudflare(o, p, d.Cloudflare) })
	provider("route53", d.Route53 != nil, func(p string) {
		r := d.Route53
		if r.AccessKeyID != "" && r.SecretAccessKeyID != nil {
			exclusive(o, p+".accessKeyID", p+".accessKeyIDSecretRef")
		}
		if r.SecretAccessKeyID != nil {
			requiredKey(o, p+".accessKeyIDSecretRef", *r.SecretAccessKeyID)
		}
	})
	provider("acmeDNS", d.AcmeDNS != nil, func(p string) {
		requiredKey(o, p+".accountSecretRef", d.AcmeDNS.AccountSecret)
		required(o, p+".host", d.AcmeDNS.Host, "")
	})
	provider("digitalocean", d.DigitalOcean != nil, func(p string) { requiredKey(o, p+".tokenSecretRef", d.DigitalOcean.Token) })
	provider("rfc2136", d.RFC2136 != nil, func(p string) { checkRFC2136(o, p, d.RFC2136) })
	provider("webhook", d.Webhook != nil, func(p string) {
		required(o, p+".groupName", d.Webhook.GroupName, "")
		required(o, p+".solverName", d.Webhook.SolverName, "")
	})
	switch {
	case len(found) == 0:
		o.problem(path, "", "has no provider, such as route53 or rfc2136")
	case len(found) > 1:
		o.problem(path, "make a solver of each", "has more than one provider: %s", strings.Join(found, ", "))
	}
}

func checkAzure(o *object, path string, a *cmacme.ACMEIssuerDNS01ProviderAzureDNS) {
	required(o, path+".subscriptionID", a.SubscriptionID, "")
	required(o, path+".resourceGroupName", a.ResourceGroupName, "")
	if a.Environment != "" {
		oneOf(o, path+".environment", a.Environment,
			cmacme.AzurePublicCloud, cmacme.AzureChinaCloud, cmacme.AzureGermanCloud, cmacme.AzureUSGovernmentCloud)
	}
	m := a.ManagedIdentity
	switch {
	case a.ClientID != "" || a.TenantID != "" || a.ClientSecret != nil:
		const hint = "clientID, tenantID and clientSecretSecretRef go together"
		required(o, path+".clientID", a.ClientID, hint)
		required(o, path+".tenantID", a.TenantID, hint)
		if a.ClientSecret == nil {
			o.problem(path+".clientSecretSecretRef", hint, "is missing")
		} else {
			requiredKey(o, path+".clientSecretSecretRef", *a.ClientSecret)
		}
		if m != nil {
			o.problem(path+".managedIdentity", "leave one of them out", "cannot be set together with clientID, tenantID and clientSecretSecretRef")
		}
	case m == nil:
	case m.ResourceID != "" && (m.ClientID != "" || m.TenantID != ""):
		o.problem(path+".managedIdentity", "", "has a resourceID and another name as well")
	case m.TenantID != "" && m.ClientID == "":
		o.problem(path+".managedIdentity.clientID", "tenantID needs it", "is missing")
	}
}

func checkCloudflare(o *object, path string, c *cmacme.ACMEIssuerDNS01ProviderCloudflare) {
	switch {
	case c.APIKey != nil && c.APIToken != nil:
		exclusive(o, path+".apiKeySecretRef", path+".apiTokenSecretRef")
	case c.APIKey == nil && c.APIToken == nil:
		o.problem(path, "set apiTokenSecretRef", "has neither apiTokenSecretRef nor apiKeySecretRef")
	}
	if c.APIKey != nil {
		requiredKey(o, path+".apiKeySecretRef", *c.APIKey)
		required(o, path+".email", c.Email, "an API key goes with its owner's e-mail address")
	}
	if c.APIToken != nil {
		requiredKey(o, path+".apiTokenSecretRef", *c.APIToken)
	}
}

func checkRFC2136(o *object, path string, r *cmacme.ACMEIssuerDNS01ProviderRFC2136) {
	required(o, path+".nameserver", r.Nameserver, "write HOST or HOST:PORT, an IPv6 address in brackets")
	if r.TSIGAlgorithm != "" {
		oneOf(o, path+".tsigAlgorithm", strings.ToUpper(r.TSIGAlgorithm), "HMACMD5", "HMACSHA1", "HMACSHA256", "HMACSHA512")
	}
	ref := r.TSIGSecret
	if r.TSIGKeyName != "" {
		requiredKey(o, path+".tsigSecretSecretRef", ref)
	} else if ref.Name != "" && ref.Key != "" {
		required(o, path+".tsigKeyName", "", "a TSIG secret goes with its key's name")
	}
}
