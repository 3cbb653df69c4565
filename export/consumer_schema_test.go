package export

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// What no program is at hand for is held to its schema, where the schema is Go
// code of the API, and otherwise to the rules that its source or documentation
// has: the tests are called after which of the two it is.

// kubeExport is what a consumer in Kubernetes gets, read strictly.
type kubeExport struct {
	kind, name string
	secretType corev1.SecretType
	data       map[string][]byte
	config     string
}

// exportKube exports a bundle as a Secret or ConfigMap for a consumer into the
// namespace prod.
func exportKube(t *testing.T, consumer, format string, b *pki.Bundle) kubeExport {
	t.Helper()
	c, err := FindConsumer(consumer)
	if err != nil {
		t.Fatal(err)
	}
	fit := Fit{Format: format, Name: SecretName(leafName(b)), Bundle: b}
	shape, err := c.Fit(&fit)
	if err != nil {
		t.Fatal(err)
	}
	if shape.HoldsCRLs() {
		shape.CRLs = []byte("a CRL")
	}
	shape.Object = cmp.Or(shape.Object, fit.Name)
	f := Secret{Namespace: "prod"}.WithShape(shape)
	if format == "configmap" {
		f = ConfigMap{Namespace: "prod"}.WithShape(shape)
	}
	files, err := f.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	e := kubeExport{config: c.Config(&Placement{Fit: fit, Object: shape.Object, Namespace: "prod", CRL: len(shape.CRLs) > 0})}
	if format == "configmap" {
		m := strictly[corev1.ConfigMap](t, string(files[0].Data))
		e.kind, e.name, e.data = m.Kind, m.Name, map[string][]byte{}
		for k, v := range m.Data {
			e.data[k] = []byte(v)
		}
		return e
	}
	s := strictly[corev1.Secret](t, string(files[0].Data))
	e.kind, e.name, e.data, e.secretType = s.Kind, s.Name, s.Data, s.Type
	return e
}

// keys returns the names in the object, sorted.
func (e kubeExport) keys() string { return strings.Join(slices.Sorted(maps.Keys(e.data)), " ") }

// strictly reads YAML in which there must be nothing that T does not have.
func strictly[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

func certificates(t *testing.T, data []byte) []*x509.Certificate {
	t.Helper()
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// TestKubernetesObjectsBySchema holds each object for each consumer to the API's
// types, and to what the API server checks: names, keys, and what a Secret of
// type kubernetes.io/tls has.
func TestKubernetesObjectsBySchema(t *testing.T) {
	t.Parallel()
	bundles := map[Role]consumerBundle{Server: aServer, Client: aClient, Peer: aPeer, Authority: anIssuing}
	seen := 0
	for _, c := range Consumers() {
		for _, format := range []string{"secret", "configmap"} {
			for role, bundle := range bundles {
				if !slices.ContainsFunc(c.shapes, func(s consumerShape) bool { return s.format == format && s.takes(role) }) {
					continue
				}
				seen++
				e := exportKube(t, c.Name, format, bundle(t))
				what := strings.Join([]string{c.Name, format, string(role)}, ", ")
				if want := map[string]string{"secret": "Secret", "configmap": "ConfigMap"}[format]; e.kind != want {
					t.Errorf("%s: a %s", what, e.kind)
				}
				if problems := validation.IsDNS1123Subdomain(e.name); len(problems) > 0 {
					t.Errorf("%s: name %q: %v", what, e.name, problems)
				}
				for key, data := range e.data {
					if problems := validation.IsConfigMapKey(key); len(problems) > 0 || len(data) == 0 {
						t.Errorf("%s: key %q of %d bytes: %v", what, key, len(data), problems)
					}
				}
				_, pairErr := tls.X509KeyPair(e.data[corev1.TLSCertKey], e.data[corev1.TLSPrivateKeyKey])
				if isTLS := e.secretType == corev1.SecretTypeTLS; isTLS != (pairErr == nil) || !isTLS && format == "secret" && e.secretType != corev1.SecretTypeOpaque {
					t.Errorf("%s: type %q, and of the pair: %v", what, e.secretType, pairErr)
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d objects", seen)
	}
}

// TestGatewayAPIBySchema reads the lines of a Gateway as the API's own types.
func TestGatewayAPIBySchema(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(g *gatewayv1.Gateway) (kind, name string){
		"listener": func(g *gatewayv1.Gateway) (string, string) {
			l := g.Spec.Listeners[0]
			if l.Protocol != gatewayv1.HTTPSProtocolType || *l.TLS.Mode != gatewayv1.TLSModeTerminate {
				return "", ""
			}
			return string(*l.TLS.CertificateRefs[0].Kind), string(l.TLS.CertificateRefs[0].Name)
		},
		"backend": func(g *gatewayv1.Gateway) (string, string) {
			return "Secret", string(g.Spec.TLS.Backend.ClientCertificateRef.Name)
		},
		"frontend": func(g *gatewayv1.Gateway) (string, string) {
			ref := g.Spec.TLS.Frontend.Default.Validation.CACertificateRefs[0]
			return string(ref.Kind), string(ref.Name)
		},
	}
	for _, tt := range []struct {
		consumer, format string
		bundle           consumerBundle
		part, keys       string
	}{
		{"gateway-api", "secret", aServer, "listener", "ca.crt tls.crt tls.key"},
		{"gateway-api", "secret", aPeer, "listener", "ca.crt tls.crt tls.key"},
		{"gateway-api", "secret", aClient, "backend", "ca.crt tls.crt tls.key"},
		{"gateway-api", "configmap", aRoot, "frontend", "ca.crt"},
		{"gateway-api", "configmap", aClient, "frontend", "ca.crt"},
		{"agc", "secret", aServer, "listener", "ca.crt tls.crt tls.key"},
	} {
		e := exportKube(t, tt.consumer, tt.format, tt.bundle(t))
		kind, name := kinds[tt.part](strictly[gatewayv1.Gateway](t, e.config))
		if kind != e.kind || name != e.name || e.keys() != tt.keys {
			t.Errorf("%s %s: the Gateway names %s %q, and there is %s %q with %s", tt.consumer, tt.part, kind, name, e.kind, e.name, e.keys())
		}
		if tt.format == "configmap" && len(certificates(t, e.data["ca.crt"])) != 1 {
			t.Errorf("%s: more than the one CA that is Core", tt.consumer)
		}
	}
}

// TestIngressNginxBySchema reads the lines of an Ingress as the API's own type,
// and holds the annotations to those of annotations.md.
func TestIngressNginxBySchema(t *testing.T) {
	t.Parallel()
	for bundle, want := range map[*consumerBundle]map[string]string{
		&aServer: {"auth-tls-secret": "prod/api.example.com", "auth-tls-verify-client": "on", "auth-tls-verify-depth": "2"},
		&aRoot:   {"auth-tls-secret": "prod/test-root-ca", "auth-tls-verify-client": "on", "auth-tls-verify-depth": "2"},
		&aClient: {"backend-protocol": "HTTPS", "proxy-ssl-secret": "prod/alice-example-com", "proxy-ssl-verify": "on", "proxy-ssl-verify-depth": "2"},
	} {
		b := (*bundle)(t)
		e := exportKube(t, "ingress-nginx", "secret", b)
		ingress := strictly[networkingv1.Ingress](t, e.config)
		got := map[string]string{}
		for k, v := range ingress.Annotations {
			got[strings.TrimPrefix(k, "nginx.ingress.kubernetes.io/")] = v
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", e.name, diff)
		}
		if e.data["ca.crt"] == nil {
			t.Errorf("%s: no ca.crt", e.name)
		}
		if serves := RoleOf(b.Leaf()) == Server; serves != (len(ingress.Spec.TLS) == 1 && ingress.Spec.TLS[0].SecretName == e.name) {
			t.Errorf("%s: tls %v", e.name, ingress.Spec.TLS)
		}
	}
}

// azurePolicy is what FrontendTLSPolicy and BackendTLSPolicy have in Microsoft's
// guides and specification of alb.networking.azure.io/v1.
type azurePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		TargetRef struct {
			azureRef     `json:",inline"`
			SectionNames []string `json:"sectionNames,omitempty"`
		} `json:"targetRef"`
		Default struct {
			SNI                  string               `json:"sni,omitempty"`
			Ports                []struct{ Port int } `json:"ports,omitempty"`
			ClientCertificateRef *azureRef            `json:"clientCertificateRef,omitempty"`
			Verify               struct {
				CACertificateRef azureRef `json:"caCertificateRef"`
				SubjectAltName   string   `json:"subjectAltName,omitempty"`
			} `json:"verify"`
		} `json:"default"`
	} `json:"spec"`
}

type azureRef struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

func TestAGCByRule(t *testing.T) {
	t.Parallel()
	ca := exportKube(t, "agc", "secret", aRoot(t))
	if ca.name != "ca.bundle" || ca.keys() != "ca.crt" || ca.secretType != corev1.SecretTypeOpaque {
		t.Errorf("Secret %s of type %s with %s", ca.name, ca.secretType, ca.keys())
	}
	front := strictly[azurePolicy](t, ca.config)
	secret := func(name string) azureRef { return azureRef{"", "Secret", name, "prod"} }
	if front.APIVersion != "alb.networking.azure.io/v1" || front.Kind != "FrontendTLSPolicy" || front.Namespace != "prod" ||
		front.Spec.TargetRef.Kind != "Gateway" || len(front.Spec.TargetRef.SectionNames) != 1 ||
		front.Spec.Default.Verify.CACertificateRef != secret(ca.name) {
		t.Errorf("FrontendTLSPolicy: %+v", front)
	}
	client := exportKube(t, "agc", "secret", aClient(t))
	back := strictly[azurePolicy](t, client.config)
	if back.APIVersion != front.APIVersion || back.Kind != "BackendTLSPolicy" || back.Spec.TargetRef.Kind != "Service" ||
		back.Spec.Default.ClientCertificateRef == nil || *back.Spec.Default.ClientCertificateRef != secret(client.name) ||
		back.Spec.Default.Verify.CACertificateRef != secret(ca.name) || client.secretType != corev1.SecretTypeTLS {
		t.Errorf("BackendTLSPolicy: %+v", back)
	}
}

// TestTraefikByRule: pkg/provider/kubernetes/crd/kubernetes.go reads tls.ca, and
// ca.crt only if that is missing.
func TestTraefikByRule(t *testing.T) {
	t.Parallel()
	type object struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`

		Spec struct {
			ClientAuth *struct {
				SecretNames    []string `json:"secretNames"`
				ClientAuthType string   `json:"clientAuthType"`
			} `json:"clientAuth,omitempty"`
			CertificatesSecrets []string            `json:"certificatesSecrets,omitempty"`
			RootCAs             []map[string]string `json:"rootCAs,omitempty"`
		} `json:"spec"`
	}
	type route struct {
		Spec struct {
			TLS struct {
				SecretName string                           `json:"secretName,omitempty"`
				Options    struct{ Name, Namespace string } `json:"options"`
			} `json:"tls"`
		} `json:"spec"`
	}
	for _, bundle := range []consumerBundle{aServer, aPeer, aRoot} {
		e := exportKube(t, "traefik", "secret", bundle(t))
		first, second, _ := strings.Cut(e.config, "---\n")
		option, in := strictly[object](t, first), strictly[route](t, second)
		if option.APIVersion != "traefik.io/v1alpha1" || option.Kind != "TLSOption" || option.Namespace != "prod" ||
			option.Spec.ClientAuth.SecretNames[0] != e.name || option.Spec.ClientAuth.ClientAuthType != "RequireAndVerifyClientCert" {
			t.Errorf("TLSOption: %+v", option)
		}
		if in.Spec.TLS.Options.Name != option.Name || in.Spec.TLS.Options.Namespace != "prod" ||
			(in.Spec.TLS.SecretName == e.name) != (e.secretType == corev1.SecretTypeTLS) {
			t.Errorf("IngressRoute: %+v", in)
		}
		if c := certificates(t, e.data["tls.ca"]); c[0].Subject.CommonName != "Test root CA" {
			t.Errorf("%s: %s", e.name, e.keys())
		}
	}
	e := exportKube(t, "traefik", "secret", aClient(t))
	if o := strictly[object](t, e.config); o.Kind != "ServersTransport" || o.Spec.CertificatesSecrets[0] != e.name || o.Spec.RootCAs[0]["secret"] != e.name {
		t.Errorf("ServersTransport: %+v", o)
	}
}

// istioGateway is what the lines have of a Gateway of networking.istio.io.
type istioGateway struct {
	Spec struct {
		Servers []struct {
			Port struct {
				Number         int
				Name, Protocol string
			} `json:"port"`
			Hosts []string          `json:"hosts"`
			TLS   map[string]string `json:"tls"`
		} `json:"servers"`
	} `json:"spec"`
}

// TestIstioGatewayByRule looks for certificate, CA and CRL where
// pilot/pkg/credentials/kube/secrets.go does, in its order.
func TestIstioGatewayByRule(t *testing.T) {
	t.Parallel()
	server := exportKube(t, "istio-gateway", "secret", aServer(t))
	apart := exportKube(t, "istio-gateway-cacert", "secret", aServer(t))
	root := exportKube(t, "istio-gateway-cacert", "secret", aRoot(t))
	clientCA := func(secrets ...kubeExport) (ca, crl []byte) {
		for _, s := range secrets {
			switch {
			case s.data["cacert"] != nil:
				return s.data["cacert"], s.data["crl"]
			case s.data["ca.crt"] != nil:
				return s.data["ca.crt"], s.data["ca.crl"]
			}
		}
		return nil, nil
	}
	if server.data["cert"] != nil || server.data["tls.crt"] == nil || server.data["tls.key"] == nil {
		t.Errorf("the gateway's own: %s", server.keys())
	}
	for _, secrets := range [][]kubeExport{{server}, {apart, server}, {root, server}} {
		ca, crl := clientCA(secrets...)
		if c := certificates(t, ca); c[0].Subject.CommonName != "Test root CA" || len(crl) == 0 {
			t.Errorf("%s: CA %s, CRL of %d bytes", secrets[0].name, c[0].Subject, len(crl))
		}
	}
	if apart.name != server.name+"-cacert" || apart.secretType != corev1.SecretTypeOpaque {
		t.Errorf("%s of type %s for %s", apart.name, apart.secretType, server.name)
	}
	for _, e := range []kubeExport{server, apart, root} {
		s := strictly[istioGateway](t, e.config).Spec.Servers[0]
		want := map[string]string{"mode": "MUTUAL", "credentialName": strings.TrimSuffix(e.name, "-cacert")}
		if diff := gocmp.Diff(want, s.TLS); diff != "" || s.Port.Protocol != "HTTPS" || len(s.Hosts) != 1 {
			t.Errorf("%s (-want +got):\n%s%+v", e.name, diff, s)
		}
	}
	c, err := FindConsumer("istio-gateway-cacert")
	if err != nil {
		t.Fatal(err)
	}
	other := c.Config(&Placement{Fit: Fit{Format: "secret", Name: "root", Bundle: aRoot(t)}, Object: "clients"})
	if s := strictly[istioGateway](t, other).Spec.Servers[0]; s.TLS["caCertCredentialName"] != "clients" {
		t.Errorf("a Secret of another name is not named:\n%s", other)
	}
}

// TestIstioCacertsByRule does with the files what istiod does at its start
// (security/pkg/pki/util/keycertbundle.go, verify), and then with workloads.
func TestIstioCacertsByRule(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(testing.TB) *pki.Authority{
		"intermediate": pkitest.Issuing, "root": pkitest.Root, "limited": constrained("spiffe://cluster.local", "istio-system.svc"),
	} {
		a := make(t)
		owner := pkitest.IssuingKey
		if name == "root" {
			owner = pkitest.RootKey
		}
		e := exportKube(t, "istio-cacerts", "secret", &pki.Bundle{Chain: a.Chain(), Key: pkitest.Key(t, profiles.ECP256, owner), Roots: a.Roots()})
		if e.name != "cacerts" || e.keys() != "ca-cert.pem ca-crl.pem ca-key.pem cert-chain.pem root-cert.pem" {
			t.Errorf("%s: Secret %s with %s", name, e.name, e.keys())
		}
		if _, err := tls.X509KeyPair(e.data["ca-cert.pem"], e.data["ca-key.pem"]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		chain, roots := certificates(t, e.data["cert-chain.pem"]), certificates(t, e.data["root-cert.pem"])
		options := x509.VerifyOptions{Roots: pool(roots...), Intermediates: pool(chain...), CurrentTime: pkitest.Clock()}
		if _, err := certificates(t, e.data["ca-cert.pem"])[0].Verify(options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !chain[len(chain)-1].Equal(roots[0]) || !chain[0].Equal(a.Certificate()) {
			t.Errorf("%s: cert-chain.pem is not the intermediate, then the root", name)
		}
		// A proxy shows its certificate and cert-chain.pem, and knows root-cert.pem.
		workload := pkitest.Issue(t, a, profiles.Peer(), pki.Request{SANs: pkitest.SANs(t, istioHost, "spiffe://cluster.local/ns/prod/sa/api")})
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			options.KeyUsages = []x509.ExtKeyUsage{usage}
			if _, err := workload.Leaf().Verify(options); err != nil {
				t.Errorf("%s: a workload: %v", name, err)
			}
		}
	}
}

// TestLinkerdByRule does what pkg/issuercerts/issuercerts.go does, with the roots
// of either object.
func TestLinkerdByRule(t *testing.T) {
	t.Parallel()
	issuer := exportKube(t, "linkerd", "secret", anIssuing(t))
	anchors := exportKube(t, "linkerd", "configmap", aClient(t))
	if issuer.name != "linkerd-identity-issuer" || issuer.secretType != corev1.SecretTypeTLS || issuer.keys() != "ca.crt tls.crt tls.key" {
		t.Errorf("Secret %s of type %s with %s", issuer.name, issuer.secretType, issuer.keys())
	}
	if anchors.name != "linkerd-identity-trust-roots" || anchors.keys() != "ca-bundle.crt" {
		t.Errorf("ConfigMap %s with %s", anchors.name, anchors.keys())
	}
	ca := certificates(t, issuer.data["tls.crt"])[0]
	for _, c := range append(certificates(t, anchors.data["ca-bundle.crt"]), ca) {
		key, ok := c.PublicKey.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() || c.SignatureAlgorithm != x509.ECDSAWithSHA256 || !c.IsCA {
			t.Errorf("%s: %s, %s, CA %t", c.Subject, c.PublicKeyAlgorithm, c.SignatureAlgorithm, c.IsCA)
		}
	}
	for _, roots := range [][]byte{issuer.data["ca.crt"], anchors.data["ca-bundle.crt"]} {
		if _, err := ca.Verify(x509.VerifyOptions{Roots: pool(certificates(t, roots)...), CurrentTime: pkitest.Clock()}); err != nil {
			t.Error(err)
		}
	}
	for _, e := range []kubeExport{issuer, anchors} {
		for _, line := range []string{"--set identity.externalCA=true", "--set identity.issuer.scheme=kubernetes.io/tls", "--namespace linkerd"} {
			if !strings.Contains(e.config, line) {
				t.Errorf("%s: no line with %s", e.name, line)
			}
		}
	}
}
