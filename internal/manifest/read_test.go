package manifest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

const manifests = "../../testdata/manifests/"

// readFile reads a file of testdata, by its name alone.
func readFile(t *testing.T, name string) (*Set, error) {
	t.Helper()
	return Read(t.Context(), []Source{{name, func() (io.ReadCloser, error) { return os.Open(manifests + name) }}}, Options{})
}

// readText reads text from standard input.
func readText(t *testing.T, text string) (*Set, Problems) {
	t.Helper()
	sources, err := Sources([]string{"-"}, false, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	set, err := Read(t.Context(), sources, Options{})
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	return set, problems
}

// lines writes problems with their hints.
func lines(problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&b, p)
		if p.Hint != "" {
			fmt.Fprintln(&b, "\t"+p.Hint)
		}
	}
	return b.String()
}

func TestReadRefused(t *testing.T) {
	t.Parallel()
	set, err := readFile(t, "refused.yaml")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v, want Problems", err)
	}
	if set == nil || len(set.Certificates)+len(set.Issuers)+len(set.Secrets) != 0 {
		t.Errorf("what has problems is in the Set: %+v", set)
	}
	got := lines(problems)
	if *update {
		if err := os.WriteFile(manifests+"refused.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(manifests + "refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestReadSetUps(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"apisix.yaml":       "tls/root-secret tls/etcd-secret tls/apisix-client-secret tls/curl-secret",
		"istio.yaml":        "cert-manager/self-signed-ca-tls istio-system/server-tls default/jinsu-macbook-tls",
		"ingress-acme.yaml": "default/example-tls",
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := readFile(t, name)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range set.Certificates {
				got = append(got, c.Namespace+"/"+c.Spec.SecretName)
			}
			if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadEverything(t *testing.T) {
	t.Parallel()
	set, err := readFile(t, "everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	origin := func(line, document int, kind, namespace, name string) Origin {
		return Origin{"everything.yaml", line, document, kind, Key{namespace, name}}
	}
	spec := cmapi.CertificateSpec{
		SecretName: "one",
		DNSNames:   []string{"one.example.com"},
		Usages:     []cmapi.KeyUsage{"server auth"},
		IssuerRef:  cmmeta.IssuerReference{Name: "ca"},
		Duration:   &metav1.Duration{Duration: 48 * time.Hour},
	}
	two := spec
	two.SecretName, two.IssuerRef.Kind = "two", "ClusterIssuer"
	want := &Set{
		Certificates: []*Certificate{
			{Origin: origin(17, 4, "Certificate", "team", "one"), Spec: spec},
			{Origin: origin(25, 4, "Certificate", "team", "two"), Spec: two},
		},
		Issuers: map[IssuerKey]*Issuer{
			{"Issuer", Key{"default", "ca"}}: {
				Origin: origin(4, 1, "Issuer", "default", "ca"),
				Spec:   cmapi.IssuerSpec{IssuerConfig: cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: "ca"}}},
			},
		},
		Secrets: map[Key]*Secret{
			{"default", "ca"}: {
				Origin: origin(39, 5, "Secret", "default", "ca"),
				Type:   "Opaque",
				Data:   map[string][]byte{"a": []byte("A"), "b": nil},
			},
		},
		Passed: map[string]int{"Deployment.apps": 1, "ConfigMap": 1, "Certificate.internal.example.com": 1, "Ingress.networking.k8s.io": 1},
	}
	if diff := cmp.Diff(want, set, cmpopts.IgnoreFields(Set{}, "Warnings", "References"), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// Many documents are parsed at once; they come out as they went in.
func TestReadOrder(t *testing.T) {
	t.Parallel()
	const n = 500
	sources, err := Sources([]string{"-"}, false, certificates(n))
	if err != nil {
		t.Fatal(err)
	}
	broken := Source{"broken", func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Repeat("---\nx\n", n))), nil
	}}
	set, err := Read(t.Context(), append(sources, broken), Options{})
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != n {
		t.Fatalf("%d problems, want %d", len(problems), n)
	}
	for i := range n {
		if got, want := set.Certificates[i].Name, fmt.Sprintf("service-%d", i); got != want {
			t.Fatalf("%s is at the place of %s", got, want)
		}
		if problems[i].Document != i+1 || problems[i].Line != 2*i+2 {
			t.Fatalf("problem %d is %s", i, problems[i])
		}
	}
}

func TestReadOptions(t *testing.T) {
	t.Parallel()
	const text = `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: a}}
- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: other}}
- {apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: a, namespace: other}, spec: {selfSigned: {}}}
`
	sources, err := Sources([]string{"-"}, false, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	set, err := Read(t.Context(), sources, Options{Namespace: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []Key{{"mine", "a"}, {"other", "a"}} {
		if set.Secrets[key] == nil {
			t.Errorf("no Secret %s: %v", key, set.Secrets)
		}
	}
	if set.Issuers[IssuerKey{"ClusterIssuer", Key{"", "a"}}] == nil {
		t.Errorf("no ClusterIssuer a: %v", set.Issuers)
	}
	if len(set.Warnings) != 1 || set.Warnings[0].Path != "metadata.namespace" || set.Warnings[0].Line != 7 {
		t.Errorf("warnings %v, want one for metadata.namespace", set.Warnings)
	}
}

// What is not the input's fault is no Problem.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		open func() (io.ReadCloser, error)
		want error
	}{
		{"gone", t.Context(), func() (io.ReadCloser, error) { return os.Open(filepath.Join(manifests, "gone")) }, fs.ErrNotExist},
		{"breaks off", t.Context(), func() (io.ReadCloser, error) { return io.NopCloser(&failing{"a: b\n---\n", broken}), nil }, broken},
		{"canceled", canceled, func() (io.ReadCloser, error) { return io.NopCloser(certificates(1000)), nil }, context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set, err := Read(tt.ctx, []Source{{tt.name, tt.open}}, Options{})
			if set != nil || !errors.Is(err, tt.want) {
				t.Errorf("Set %v, error %v, want %v", set, err, tt.want)
			}
		})
	}
}
