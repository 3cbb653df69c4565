package export

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/pki"
)

// The API's own type reads what is written.
func TestConfigMap(t *testing.T) {
	t.Parallel()
	b := alice(t)
	want := corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "client-ca", Namespace: "prod", Labels: map[string]string{"app": "api"}, Annotations: map[string]string{"note": "a: b"},
		},
		Data: map[string]string{"ca.crt": string(b.RootsPEM())},
	}
	for _, asJSON := range []bool{false, true} {
		f := file(t, ConfigMap{Name: "client-ca", Namespace: "prod", Labels: want.Labels, Annotations: want.Annotations, JSON: asJSON}, b)
		var got corev1.ConfigMap
		if err := yaml.UnmarshalStrict(f.Data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if f.Private || f.Name != map[bool]string{false: "client-ca.yaml", true: "client-ca.json"}[asJSON] {
			t.Errorf("file %q, private %v", f.Name, f.Private)
		}
	}
}

func TestConfigMapRefuses(t *testing.T) {
	t.Parallel()
	b := alice(t)
	_, err := ConfigMap{Name: "My CA"}.Export(b)
	wantOption(t, err, "name", "my-ca", "allowed are")
	_, err = ConfigMap{Name: "ca", Namespace: "a.b"}.Export(b)
	wantOption(t, err, "namespace", "a-b", "allowed are")
	if _, err := (ConfigMap{Name: "ca"}).Export(&pki.Bundle{Chain: b.Chain}); !errors.Is(err, ErrNoRoots) {
		t.Errorf("without roots: %v", err)
	}
}
