package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	const marked = "metadata: {name: a, annotations: {cert-manager.io/issuer: ca}}\n"
	tests := []struct {
		in     string
		passed string
		want   string // the problem, and its hint
	}{
		{in: "apiVersion: apps/v1\nkind: Deployment", passed: "Deployment.apps"},
		{in: "apiVersion: v1\nkind: Pod", passed: "Pod"},
		{in: "apiVersion: networking.internal.knative.dev/v1alpha1\nkind: Certificate", passed: "Certificate.networking.internal.knative.dev"},
		{in: "apiVersion: networking.gke.io/v1\nkind: ManagedCertificate", passed: "ManagedCertificate.networking.gke.io"},
		{in: "apiVersion: networking.istio.io/v1\nkind: Gateway\n" + marked, passed: "Gateway.networking.istio.io"},
		{in: "apiVersion: networking.k8s.io/v1\nkind: Ingress\nnonsense: 1", passed: "Ingress.networking.k8s.io"},
		{in: "apiVersion: extensions/v1beta1\nkind: Ingress", passed: "Ingress.extensions"},
		{in: "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: Gateway", passed: "Gateway.gateway.networking.k8s.io"},
		{in: "apiVersion: acme.cert-manager.io/v1\nkind: Order", passed: "Order.acme.cert-manager.io"},
		{in: "apiVersion: example.com/v1\nkind: AccessList\nspec: {}", passed: "AccessList.example.com"},
		{in: "apiVersion: v1\nkind: List", passed: ""},

		{in: "apiVersion: cert-manager.io/v1beta1\nkind: Issuer", want: "1: Issuer: apiVersion: Issuer is not of apiVersion cert-manager.io/v1beta1|write apiVersion: cert-manager.io/v1"},
		{in: "apiVersion: cert-manager.io/v2\nkind: ClusterIssuer", want: "1: ClusterIssuer: apiVersion: ClusterIssuer is not of apiVersion cert-manager.io/v2|write apiVersion: cert-manager.io/v1"},
		{in: "apiVersion: certmanager.io/v1\nkind: Issuer", want: "1: Issuer: apiVersion: Issuer is not of apiVersion certmanager.io/v1|write apiVersion: cert-manager.io/v1"},
		{in: "apiVersion: v1\nkind: Issuer", want: "1: Issuer: apiVersion: Issuer is not of apiVersion v1|write apiVersion: cert-manager.io/v1"},
		{in: "apiVersion: v1beta1\nkind: Secret", want: "1: Secret: apiVersion: Secret is not of apiVersion v1beta1|write apiVersion: v1"},
		{in: "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\n" + marked, want: "1: Ingress default/a: apiVersion: Ingress is not of apiVersion networking.k8s.io/v1beta1|write apiVersion: networking.k8s.io/v1"},
		{in: "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: Gateway\n" + marked, want: "1: Gateway default/a: apiVersion: Gateway is not of apiVersion gateway.networking.k8s.io/v1alpha2|write apiVersion: gateway.networking.k8s.io/v1"},
		{in: "apiVersion: v1\nkind: secret", want: "2: secret: kind: there is no kind secret|write kind: Secret"},
		{in: "apiVersion: cert-manager.io/v1\nkind: Certficate", want: "2: Certficate: kind: cert-manager.io has no kind Certficate|did you mean Certificate?"},
		{in: "apiVersion: cert-manager.io/v1\nkind: Thing", want: "2: Thing: kind: cert-manager.io has no kind Thing|"},

		{in: "kind: Secret", want: "1: not a Kubernetes object: apiVersion is missing|every object names its apiVersion and its kind"},
		{in: "apiVersion: 1\nkind: Secret", want: "1: not a Kubernetes object: apiVersion is missing|every object names its apiVersion and its kind"},
		{in: "name: '{{ x }}'", want: "1: not a Kubernetes object: apiVersion and kind are missing|" + templateHint},
		{in: "hello", want: "1: not a Kubernetes object: want a mapping, found text|"},
		{in: "{{- if .x }}\na: b\n{{- end }}", want: "1: not YAML: did not find expected node content|" + templateHint},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			set, problems := readText(t, tt.in)
			got := ""
			for _, p := range problems {
				_, text, _ := strings.Cut(p.String(), "standard input:")
				got += strings.Replace(text, " document 1:", "", 1) + "|" + p.Hint
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			want := map[string]int{}
			if tt.passed != "" {
				want[tt.passed] = 1
			}
			if diff := cmp.Diff(want, set.Passed); diff != "" {
				t.Error(diff)
			}
		})
	}
}
