package export

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// authorityBundle is what the PKI directory has of an authority.
func authorityBundle(t testing.TB, a *pki.Authority, owner pkitest.Owner) *pki.Bundle {
	t.Helper()
	return &pki.Bundle{Chain: a.Chain(), Roots: a.Roots(), Key: pkitest.Key(t, profiles.ECP256, owner)}
}

// documents reads the Secret and the Issuer.
func documents(t *testing.T, data []byte) (s secretObject, i map[string]any) {
	t.Helper()
	secret, issuer, ok := strings.Cut(string(data), "---\n")
	if !ok || strings.Contains(issuer, "---\n") {
		t.Fatalf("not two documents:\n%s", data)
	}
	if err := yaml.UnmarshalStrict([]byte(secret), &s); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(issuer), &i); err != nil {
		t.Fatal(err)
	}
	return s, i
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	b := authorityBundle(t, pkitest.Issuing(t), pkitest.IssuingKey)
	urls := pki.URLs{CRL: []string{"http://pki.test/a.crl"}, AIA: []string{"http://pki.test/a.crt"}, OCSP: []string{"http://ocsp.test"}}
	ca := func(name string) map[string]any { return map[string]any{"secretName": name} }
	for name, tt := range map[string]struct {
		format Issuer
		secret secretMeta
		kind   string
		meta   map[string]any
		ca     map[string]any
	}{
		"Issuer":               {Issuer{Name: "k8s"}, secretMeta{Name: "k8s"}, "Issuer", map[string]any{"name": "k8s"}, ca("k8s")},
		"in a namespace":       {Issuer{Kind: "Issuer", Name: "k8s", Namespace: "prod"}, secretMeta{Name: "k8s", Namespace: "prod"}, "Issuer", map[string]any{"name": "k8s", "namespace": "prod"}, ca("k8s")},
		"ClusterIssuer":        {Issuer{Kind: "ClusterIssuer", Name: "k8s"}, secretMeta{Name: "k8s", Namespace: "cert-manager"}, "ClusterIssuer", map[string]any{"name": "k8s"}, ca("k8s")},
		"ClusterIssuer, moved": {Issuer{Kind: "ClusterIssuer", Name: "k8s", Namespace: "kube-system"}, secretMeta{Name: "k8s", Namespace: "kube-system"}, "ClusterIssuer", map[string]any{"name": "k8s"}, ca("k8s")},
		"another Secret":       {Issuer{Name: "k8s", SecretName: "k8s-ca"}, secretMeta{Name: "k8s-ca"}, "Issuer", map[string]any{"name": "k8s"}, ca("k8s-ca")},
		"where it publishes": {Issuer{Name: "k8s", URLs: urls}, secretMeta{Name: "k8s"}, "Issuer", map[string]any{"name": "k8s"}, map[string]any{
			"secretName": "k8s", "crlDistributionPoints": []any{"http://pki.test/a.crl"},
			"issuingCertificateURLs": []any{"http://pki.test/a.crt"}, "ocspServers": []any{"http://ocsp.test"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := file(t, tt.format, b)
			if f.Name != "k8s.yaml" || !f.Private {
				t.Errorf("the file is %s, private %v", f.Name, f.Private)
			}
			key, err := b.KeyPEM()
			if err != nil {
				t.Fatal(err)
			}
			s, i := documents(t, f.Data)
			wantSecret := secretObject{"v1", "Secret", tt.secret, "kubernetes.io/tls", map[string][]byte{"tls.crt": b.ChainPEM(), "tls.key": key, "ca.crt": b.RootsPEM()}}
			if diff := cmp.Diff(wantSecret, s); diff != "" {
				t.Errorf("Secret (-want +got):\n%s", diff)
			}
			want := map[string]any{"apiVersion": "cert-manager.io/v1", "kind": tt.kind, "metadata": tt.meta, "spec": map[string]any{"ca": tt.ca}}
			if diff := cmp.Diff(want, i); diff != "" {
				t.Errorf("Issuer (-want +got):\n%s", diff)
			}
		})
	}
}

// cert-manager reads one certificate of ca.crt, and that has to be the one above
// the chain.
func TestIssuerRoots(t *testing.T) {
	t.Parallel()
	root, other := pkitest.Root(t), pkitest.NewRoot(t, pki.CARequest{Subject: pki.Subject{CommonName: "Other"}})
	middle := pkitest.NewIntermediate(t, root, pki.CARequest{PathLen: 1, Subject: pki.Subject{CommonName: "Middle"}})
	for name, tt := range map[string]struct {
		authority *pki.Authority
		owner     pkitest.Owner
		certs     int // in tls.crt
	}{
		"a root":                 {root, pkitest.RootKey, 1},
		"an intermediate":        {pkitest.Issuing(t), pkitest.IssuingKey, 1},
		"two intermediates deep": {pkitest.NewIntermediate(t, middle, pki.CARequest{}), pkitest.IssuingKey, 2},
	} {
		b := authorityBundle(t, tt.authority, tt.owner)
		b.Roots = []*x509.Certificate{other.Root(), root.Root()}
		s, _ := documents(t, file(t, Issuer{Name: "k8s"}, b).Data)
		roots, err := pki.ParseCertificates(s.Data["ca.crt"])
		if err != nil || len(roots) != 2 || !roots[0].Equal(root.Root()) || !roots[1].Equal(other.Root()) {
			t.Errorf("%s: ca.crt is of %v, %v", name, roots, err)
		}
		chain, err := pki.ParseCertificates(s.Data["tls.crt"])
		if err != nil || len(chain) != tt.certs {
			t.Errorf("%s: tls.crt holds %d certificates, %v", name, len(chain), err)
		}
		if !b.Roots[0].Equal(other.Root()) {
			t.Errorf("%s: the bundle was changed", name)
		}
	}
	// A root is its own, whatever it is signed with.
	old := *root.Root()
	old.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	b := &pki.Bundle{Chain: []*x509.Certificate{&old}, Roots: []*x509.Certificate{&old}, Key: pkitest.Key(t, profiles.ECP256, pkitest.RootKey)}
	if _, err := (Issuer{Name: "k8s"}).Export(b); err != nil {
		t.Error(err)
	}
	b = authorityBundle(t, pkitest.Issuing(t), pkitest.IssuingKey)
	for _, roots := range [][]*x509.Certificate{nil, {other.Root()}} {
		b.Roots = roots
		if _, err := (Issuer{Name: "k8s"}).Export(b); !errors.Is(err, ErrNoRoots) || !strings.Contains(err.Error(), "what signed CN=Test issuing CA") {
			t.Errorf("with %d foreign roots: error %v", len(roots), err)
		}
	}
}

func TestIssuerErrors(t *testing.T) {
	t.Parallel()
	b := authorityBundle(t, pkitest.Issuing(t), pkitest.IssuingKey)
	for name, tt := range map[string]struct {
		format             Issuer
		option, suggestion string
		words              string
	}{
		"kind":        {Issuer{Name: "a", Kind: "issuer"}, "kind", "Issuer", "Issuer or ClusterIssuer"},
		"other kind":  {Issuer{Name: "a", Kind: "CA"}, "kind", "", "Issuer or ClusterIssuer"},
		"no name":     {Issuer{}, "name", "test-issuing-ca", "needs a name"},
		"name":        {Issuer{Name: "My CA"}, "name", "my-ca", "lower-case"},
		"namespace":   {Issuer{Name: "a", Namespace: "A"}, "namespace", "a", "lower-case"},
		"of a Secret": {Issuer{Name: "a", Namespace: "A", Kind: "ClusterIssuer"}, "namespace", "a", "lower-case"},
		"Secret":      {Issuer{Name: "a", SecretName: "A_B"}, "secret-name", "a-b", "lower-case"},
		"CRL":         {Issuer{Name: "a", URLs: pki.URLs{CRL: []string{"pki.test"}}}, "crl-url", "", "scheme"},
		"AIA":         {Issuer{Name: "a", URLs: pki.URLs{AIA: []string{"http:///x"}}}, "aia-url", "", "no host"},
		"OCSP":        {Issuer{Name: "a", URLs: pki.URLs{OCSP: []string{"ldap://x/y"}}}, "ocsp-url", "", "scheme"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(b)
			wantOption(t, err, tt.option, tt.suggestion, tt.words)
		})
	}
	if _, err := (Issuer{Name: "a"}).Export(alice(t)); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("of a client: error %v", err)
	}
	keyless := *b
	keyless.Key = nil
	if _, err := (Issuer{Name: "a"}).Export(&keyless); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: error %v", err)
	}
}
