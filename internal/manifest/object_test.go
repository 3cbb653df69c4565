package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	tests := []struct{ metadata, want string }{
		{"{name: a.b-1, namespace: c-2}", ""},
		{"{name: a, namespace: ''}", ""},
		{"{}", "metadata: there is no name (write metadata.name)"},
		{"null", "metadata: there is no name (write metadata.name)"},
		{"{name: 5}", `metadata.name: want text, found the number 5 (quote it: "5")`},
		{"{nam: a}", "metadata.nam: unknown field (did you mean name?)"},
		{"{generateName: a-}", "metadata.generateName: only a cluster makes names up (write a name)"},
		{"{name: A}", `metadata.name: "A" cannot be a name (in lower case: a)`},
		{"{name: a_b}", `metadata.name: "a_b" cannot be a name (lower-case letters, digits, - and ., at most 253)`},
		{"{name: '*.a.b'}", `metadata.name: "*.a.b" cannot be a name (only dnsNames take wildcards; name it "wildcard.a.b")`},
		{"{name: '{{ x }}'}", `metadata.name: "{{ x }}" cannot be a name (` + templateHint + ")"},
		{"{name: a, namespace: b.c}", `metadata.namespace: "b.c" cannot be a namespace (lower-case letters, digits and -, at most 63)`},
		{"{name: a, managedFields: [{nonsense: 1}], creationTimestamp: null, uid: x}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.metadata, func(t *testing.T) {
			t.Parallel()
			_, problems := readText(t, "apiVersion: v1\nkind: Secret\nmetadata: "+tt.metadata)
			got := ""
			for _, p := range problems {
				got += p.Path + ": " + p.Text + " (" + p.Hint + ")"
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIsSubdomain(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"a": true, "1": true, "a-b.c": true, strings.Repeat("a", 253): true,
		"": false, "-a": false, "a-": false, "a..b": false, ".a": false, "a.": false, "a.-b": false, "é": false, strings.Repeat("a", 254): false,
	} {
		if got := isSubdomain(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}

// What does not decode is one problem, not one more from each check that misses
// it; and all that is wrong besides is said too.
func TestProblemsOnce(t *testing.T) {
	t.Parallel()
	set, problems := readText(t, `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: a}
spec:
  secretName: UPPER
  dnsName: [a.example.com]
  duration: 90d
  usages: server auth
  issuerRef: {nam: ca}
`)
	var got []string
	for _, p := range problems {
		got = append(got, p.Path)
	}
	want := []string{"spec.secretName", "spec.dnsName", "spec.duration", "spec.usages", "spec.issuerRef.nam"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Without usages there would be one.
	if len(set.Warnings) != 0 {
		t.Errorf("warnings %v", set.Warnings)
	}
}

// No message shows what is secret.
func TestSecretsUnseen(t *testing.T) {
	t.Parallel()
	set, problems := readText(t, `
apiVersion: v1
kind: Secret
metadata:
  name: a
data: {a: hunter*2, b: [hunter2], c: 72727272}
stringData: {a: {hunter2: hunter2}, b: 72727272, c: yes}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: a}
spec:
  secretName: a
  dnsNames: [a]
  issuerRef: {name: ca}
  keystores: {jks: {create: true, password: 72727272}, pkcs12: {create: true, password: [hunter2]}}
---
apiVersion: v1
kind: Secret
metadata:
  name: b
  annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2, a: b}
`)
	if len(problems) != 8 {
		t.Errorf("%d problems, want 8:\n%s", len(problems), problems)
	}
	if all := lines(problems); strings.Contains(all, "hunter") || strings.Contains(all, "7272") {
		t.Error(all)
	}
	if got := set.Secrets[Key{"default", "b"}].Annotations; len(got) != 1 {
		t.Errorf("annotations %v, want kubectl's left out", got)
	}
}

func TestListItems(t *testing.T) {
	t.Parallel()
	set, problems := readText(t, `
apiVersion: v1
kind: SecretList
metadata: {}
items:
- metadata: {name: a}
- metadata: {name: b}
  dta: {}
-
- {apiVersion: v1, kind: List, items: [{metadata: {name: d}}, {apiVersion: v1, kind: Secret, metadata: {name: a}}]}
`)
	want := `standard input:8: document 1: Secret default/b: dta: unknown field
	did you mean data?
standard input:10: document 1: not a Kubernetes object: apiVersion and kind are missing
	every object names its apiVersion and its kind
standard input:10: document 1: Secret default/a: is there twice; first at standard input:6: document 1
	keep one of them
`
	if diff := cmp.Diff(want, lines(problems)); diff != "" {
		t.Error(diff)
	}
	if len(set.Secrets) != 1 || set.Secrets[Key{"default", "a"}].Line != 6 {
		t.Errorf("Secrets %v, want the first a alone", set.Secrets)
	}

	deep := strings.Repeat("{apiVersion: v1, kind: List, items: [", 20) + strings.Repeat("]}", 20)
	if _, problems := readText(t, deep); len(problems) != 1 || !strings.Contains(problems[0].Text, tooDeep) {
		t.Errorf("Lists in Lists: %v", problems)
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{"'True'": true, "'False'": false} {
		_, problems := readText(t, `
apiVersion: cert-manager.io/v1
kind: CertificateRequest
metadata: {name: a}
spec: {request: '', issuerRef: {name: ca}}
status: {conditions: [{type: Approved, status: 'True'}, {type: Denied, status: `+status+`}]}
`)
		if got := strings.Contains(lines(problems), "denied"); got != want {
			t.Errorf("Denied: %s: denied is %t", status, got)
		}
	}
}
