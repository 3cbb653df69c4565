package export

import (
	"cmp"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// The objects that gateways in Kubernetes read: with what clients are verified by
// in any case, and of those that know no CRLs.
var (
	mutualSecret = Layout{item("tls.crt", Chain), item("tls.key", Key), item("ca.crt", Roots), maybe("ca.crl", CRLs)}

	pairSecret  = Layout{item("tls.crt", Chain), item("tls.key", Key), maybe("ca.crt", Roots)}
	rootsObject = Layout{item("ca.crt", Roots)}
)

// yamlWord writes a word so that YAML takes it as a string: a Secret may well be
// called 007. It stays in one line, which the writer would break at 80 characters:
// yaml-cpp, with which Envoy and MongoDB read, takes no such words.
func yamlWord(s string) string {
	data, err := yaml.Marshal(s)
	if text := strings.TrimSpace(string(data)); err == nil && !strings.Contains(text, "\n") {
		return text
	}
	return string(appendQuoted(nil, s))
}

// yamlWords writes a list in one line.
func yamlWords(all []string) string {
	words := make([]string, len(all))
	for i, s := range all {
		if words[i] = yamlWord(s); strings.ContainsAny(s, ",[]{}") {
			words[i] = string(appendQuoted(nil, s))
		}
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// serves reports whether the certificate is shown to clients.
func (p *Placement) serves() bool { return p.Role() == Server || p.Role() == Peer }

// namespaceLine is the line for a namespace, if there is one, moved to the right
// by as many spaces.
func (p *Placement) namespaceLine(indent int) string {
	if p.Namespace == "" {
		return ""
	}
	return strings.Repeat(" ", indent) + "namespace: " + yamlWord(p.Namespace) + "\n"
}

// elsewhere says how the object comes to where the consumer looks for it.
func (p *Placement) elsewhere(who, name, namespace string) string {
	flags := ""
	if p.Object != name {
		flags += " --name " + name
	}
	if p.Namespace != namespace {
		flags += " --namespace " + namespace
	}
	if flags == "" {
		return ""
	}
	return "# " + who + " looks for " + name + " in the namespace " + namespace + " alone: add" + flags + "\n"
}

// object is [Placement.fill] with words for the object: <name>, and lines for its
// namespace, if it has one, moved to the right by 2, 4 ... spaces: <ns2>, <ns4> ...
func (p *Placement) object(text string, words ...string) string {
	words = append(words, "name", yamlWord(p.Object))
	for _, indent := range []int{2, 4, 6, 8} {
		words = append(words, fmt.Sprint("ns", indent), p.namespaceLine(indent))
	}
	return p.fill(yamlWord, text, words...)
}

// ingressNginxConfig: gh/kubernetes/ingress-nginx, annotations.md; the depths are
// 1 unless they are said, and count as nginx does.
func ingressNginxConfig(p *Placement) string {
	text := `metadata:
  annotations:
    nginx.ingress.kubernetes.io/auth-tls-secret: <secret>
    nginx.ingress.kubernetes.io/auth-tls-verify-client: "on"
    nginx.ingress.kubernetes.io/auth-tls-verify-depth: "<depth>"
`
	switch {
	case p.Role() == Client:
		text = `metadata:
  annotations:
    nginx.ingress.kubernetes.io/backend-protocol: HTTPS
    nginx.ingress.kubernetes.io/proxy-ssl-secret: <secret>
    nginx.ingress.kubernetes.io/proxy-ssl-verify: "on"
    nginx.ingress.kubernetes.io/proxy-ssl-verify-depth: "<depth>"
`
	case p.serves():
		text += `spec:
  tls:
    - hosts: <hosts>
      secretName: <name>
`
	}
	return p.object(text, "secret", yamlWord(cmp.Or(p.Namespace, "default")+"/"+p.Object),
		"depth", fmt.Sprint(p.Depth()), "hosts", yamlWords(p.Bundle.Leaf().DNSNames))
}

// gatewayAPIConfig: gh/kubernetes-sigs/gateway-api, apis/v1/gateway_types.go and
// backendtlspolicy_types.go. That one certificate is in a ConfigMap is Core, more
// are up to the implementation.
func gatewayAPIConfig(p *Placement) string {
	text := ""
	if p.Namespace != "" {
		text = "# A Gateway in another namespace names it with namespace: " + p.Namespace + ", and needs a ReferenceGrant.\n"
	}
	switch {
	case p.Format == "configmap":
		text += `spec:
  tls:
    frontend:
      default:
        validation:
          caCertificateRefs:
            - group: ""
              kind: ConfigMap
              name: <name>
# To verify backends, a BackendTLSPolicy has the same under spec.validation.
`
		if n := len(p.Bundle.Roots); n > 1 {
			text += fmt.Sprintf("# It holds %d roots: not every implementation takes more than one.\n", n)
		}
	case p.serves():
		text += gatewayListener
	default:
		text += `spec:
  tls:
    backend:
      clientCertificateRef:
        name: <name>
`
	}
	return p.object(text, "listener", "https")
}

// gatewayListener is the part of a Gateway that shows a certificate.
const gatewayListener = `spec:
  listeners:
    - name: <listener>
      port: 443
      protocol: HTTPS
      tls:
        mode: Terminate
        certificateRefs:
          - group: ""
            kind: Secret
            name: <name>
`

// agcConfig: learn.microsoft.com, how-to-frontend-mtls-gateway-api and
// how-to-backend-mtls-gateway-api of application-gateway/for-containers.
func agcConfig(p *Placement) string {
	text := `apiVersion: alb.networking.azure.io/v1
kind: BackendTLSPolicy
metadata:
  name: mtls-backend
<ns2>spec:
  targetRef:
    group: ""
    kind: Service
    name: backend # your Service
<ns4>  default:
    sni: backend.example.com # a name in the backend's certificate
    ports:
      - port: 443
    clientCertificateRef:
      group: ""
      kind: Secret
      name: <name>
<ns6>    verify:
      caCertificateRef:
        group: ""
        kind: Secret
        name: ca.bundle
<ns8>      subjectAltName: backend.example.com
`
	switch {
	case p.Role() == Authority:
		text = `apiVersion: alb.networking.azure.io/v1
kind: FrontendTLSPolicy
metadata:
  name: mtls-policy
<ns2>spec:
  targetRef:
    group: gateway.networking.k8s.io
    kind: Gateway
    name: gateway-01 # your Gateway
<ns4>    sectionNames: [mtls-listener] # its listener
  default:
    verify:
      caCertificateRef:
        group: ""
        kind: Secret
        name: <name>
<ns8>`
	case p.serves():
		text = gatewayListener + "# Clients are verified by a FrontendTLSPolicy: mtlsctl export AUTHORITY --for agc\n"
	}
	return p.object(text, "listener", "mtls-listener")
}

// traefikConfig: gh/traefik/traefik, pkg/provider/kubernetes/crd, the types of
// traefikio/v1alpha1. There is no field for CRLs.
func traefikConfig(p *Placement) string {
	text, pair := `apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata:
  name: <name>
<ns2>spec:
  clientAuth:
    secretNames: [<name>]
    clientAuthType: RequireAndVerifyClientCert
---
# In the IngressRoute:
spec:
  tls:
<pair>    options:
      name: <name>
<ns6>`, ""
	switch {
	case p.Role() == Client:
		text = `apiVersion: traefik.io/v1alpha1
kind: ServersTransport
metadata:
  name: <name>
<ns2>spec:
  certificatesSecrets: [<name>]
  rootCAs:
    - secret: <name>
`
	case p.serves():
		pair = "    secretName: " + yamlWord(p.Object) + "\n"
	}
	return p.object(text, "pair", pair)
}
