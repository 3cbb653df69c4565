package export

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// cacertSuffix ends the names of the Secrets in which Istio looks for the CA of
// clients before it looks beside the server's certificate (gh/istio/istio,
// pilot/pkg/credentials/kube/secrets.go).
const cacertSuffix = "-cacert"

// istioServer is the part of a Gateway (networking.istio.io) that is about
// certificates.
func istioServer(p *Placement, credential, more string) string {
	hosts := p.Bundle.Leaf().DNSNames
	if !p.serves() || len(hosts) == 0 {
		hosts = []string{"*"}
	}
	return p.object(`spec:
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: <hosts>
      tls:
        mode: MUTUAL
        credentialName: <credential>
`+more, "hosts", yamlWords(hosts), "credential", yamlWord(credential))
}

const istioWhere = "# The Secret belongs in the namespace of the gateway's pods.\n"

func istioGatewayConfig(p *Placement) string {
	return istioWhere + istioServer(p, p.Object, "") +
		"# Were there a Secret " + p.Object + cacertSuffix + ", clients would be verified by that.\n"
}

func istioCACertConfig(p *Placement) string {
	server, usual := strings.CutSuffix(p.Object, cacertSuffix)
	if !usual {
		return istioWhere + "# Its name does not end in " + cacertSuffix + ", so it is named beside the server's (Istio 1.28 and later):\n" +
			istioServer(p, "SERVER", "        caCertCredentialName: <name>\n")
	}
	return istioWhere + "# It goes with the credentialName " + server + ", and before the ca.crt in that Secret;\n" +
		"# to go with another, it is called --name CREDENTIAL" + cacertSuffix + "\n" +
		istioServer(p, server, "")
}

// istioCAConfig: istio.io, "Plug in CA Certificates".
func istioCAConfig(p *Placement) string {
	text := p.elsewhere("istiod", "cacerts", "istio-system") +
		"# Apply it before Istio is installed. After a change, restart istiod and then the workloads:\n" +
		"kubectl -n istio-system rollout restart deployment istiod\n"
	leaf := p.Bundle.Leaf()
	if domains := leaf.PermittedURIDomains; len(domains) > 0 {
		text += "# The authority signs for no other trust domain than this:\n#   istioctl install --set meshConfig.trustDomain=" + printable(domains[0]) + "\n"
	}
	if slices.ContainsFunc(p.Bundle.Roots, leaf.Equal) {
		text += "# That is the root, whose key is in the cluster then. An intermediate does, too:\n#   mtlsctl init-ca istio --parent " + p.Name + "\n"
	}
	return text
}

// istioHost is what istiod certifies itself for, by the CA it is given.
const istioHost = "istiod.istio-system.svc"

// The rules of the CA that istiod is given.

// noIstioEd25519: gh/istio/istio issue 27238.
func noIstioEd25519(f *Fit) (problem, remedy string) {
	if f.KeyType() != profiles.Ed25519 {
		return "", ""
	}
	return "does not start with an Ed25519 key", "'mtlsctl init-ca NAME --parent AUTHORITY --key ec-p256' makes an authority that it starts with"
}

// noIstioUsages: gh/istio/istio issue 27193.
func noIstioUsages(f *Fit) (problem, remedy string) {
	for _, c := range f.Bundle.Chain {
		workload := x509.Certificate{ExtKeyUsage: c.ExtKeyUsage, UnknownExtKeyUsage: c.UnknownExtKeyUsage}
		if RoleOf(&workload) != Peer {
			return fmt.Sprintf("signs for servers and clients at once, and the extended key usages of %s do not allow it", printable(c.Subject.CommonName)),
				"'mtlsctl init-ca NAME --parent AUTHORITY' makes an authority without such limits"
		}
	}
	return "", ""
}

// noIstioNames: istiod makes a certificate for its own host name at the start, as
// it logs (gh/istio/istio pull request 45382).
func noIstioNames(f *Fit) (problem, remedy string) {
	for _, c := range slices.Concat(f.Bundle.Chain, f.Bundle.Roots) {
		if d := c.PermittedDNSDomains; len(d) > 0 && !slices.ContainsFunc(d, holdsIstio) || slices.ContainsFunc(c.ExcludedDNSDomains, holdsIstio) {
			return fmt.Sprintf("signs for %s, which the name constraints of %s do not allow", istioHost, printable(c.Subject.CommonName)),
				"'mtlsctl init-ca NAME --parent AUTHORITY', with --permit istio-system.svc if you limit its names, under a root that allows it"
		}
	}
	return "", ""
}

// holdsIstio reports whether a DNS domain (RFC 5280 4.2.1.10) has istiod in it.
func holdsIstio(domain string) bool {
	return strings.HasSuffix("."+istioHost, "."+strings.ToLower(strings.TrimPrefix(domain, ".")))
}

// noLinkerdKeys holds all CAs to ECDSA P-256: gh/linkerd/linkerd2,
// pkg/issuercerts/issuercerts.go, CheckCertAlgoRequirements. Their names are free.
func noLinkerdKeys(f *Fit) (problem, remedy string) {
	all := f.Bundle.Roots
	if f.Format == "secret" {
		all = slices.Concat(f.Bundle.Chain, all)
	}
	for _, c := range all {
		t, err := pki.KeyTypeOf(c.PublicKey)
		if err == nil && t == profiles.ECP256 {
			continue
		}
		return fmt.Sprintf("takes authorities with ECDSA P-256 keys alone, and that of %s is %s", printable(c.Subject.CommonName), keyWord(t)),
			"'mtlsctl init-ca NAME --key ec-p256' makes a root, and with --parent an intermediate, that it takes"
	}
	return "", ""
}

// keyWord is a key type as flags name it.
func keyWord(t profiles.KeyType) string {
	if t == "" {
		return "of another type"
	}
	return string(t)
}

// linkerdConfig: linkerd.io, "Automatically Rotating Control Plane TLS
// Credentials", which goes for whoever keeps the two objects.
func linkerdConfig(p *Placement) string {
	want, text := "linkerd-identity-issuer", `# It reads the roots from the ConfigMap linkerd-identity-trust-roots:
#   mtlsctl export configmap <authority> --for linkerd --namespace linkerd
`
	if p.Format == "configmap" {
		want, text = "linkerd-identity-trust-roots", `# It signs with the Secret linkerd-identity-issuer:
#   mtlsctl export secret AUTHORITY --for linkerd --with-ca-key --namespace linkerd
`
	}
	return p.elsewhere("Linkerd", want, "linkerd") + p.object(text+`# With both there:
helm install linkerd-control-plane -n linkerd \
  --set identity.externalCA=true \
  --set identity.issuer.scheme=kubernetes.io/tls \
  linkerd/linkerd-control-plane
# or
linkerd install \
  --set identity.externalCA=true \
  --set identity.issuer.scheme=kubernetes.io/tls \
  | kubectl apply -f -
`, "authority", p.Name)
}

// apisixConfig: gh/apache/apisix, docs/en/latest, admin-api.md and mtls.md.
func apisixConfig(p *Placement) string {
	const trust = `# conf/config.yaml
apisix:
  ssl:
    ssl_trusted_certificate: <ca.crt>
`
	switch {
	case p.Format == "apisix":
		return apisixPut(p)
	case p.Role() == Authority:
		return p.fill(yamlWord, trust)
	case p.serves():
		return p.fill(yamlWord, `# conf/config.yaml
deployment:
  admin:
    https_admin: true
    admin_api_mtls:
      admin_ssl_cert: <tls.crt>
      admin_ssl_cert_key: <tls.key>
      admin_ssl_ca_cert: <ca.crt>
`)
	}
	return p.fill(yamlWord, trust+`deployment:
  etcd:
    tls:
      cert: <tls.crt>
      key: <tls.key>
`)
}

// apisixPut is how the Admin API gets the JSON, with the key of the API in the
// environment.
func apisixPut(p *Placement) string {
	id, file := SecretName(p.Name), "-"
	if len(p.Files) > 0 {
		file = ShellWord(p.Files[0])
	}
	text := `curl -X PUT --data-binary @<file> -H "X-API-KEY: $ADMIN_KEY" \
  http://127.0.0.1:9180/apisix/admin/ssls/<id>
`
	if p.serves() {
		text += "# Clients are verified if it was exported with --mtls.\n"
	} else {
		text += `# An upstream of scheme https names it: {"tls": {"client_cert_id": "<id>"}}` + "\n"
	}
	return p.fill(asIs, text, "id", id, "file", file)
}
