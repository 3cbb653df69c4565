package export

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	b := alice(t)
	full := Secret{
		Name:      "alice",
		Namespace: "web",
		// Words that YAML would take for something else than strings.
		Labels:      map[string]string{"app.kubernetes.io/name": "alice", "enabled": "true", "n": "no", "version": "1.10", "empty": ""},
		Annotations: map[string]string{"Example.com/note": "a: b # c\n<d> & \"e\"", "when": "2026-01-01", "null": "null"},
	}
	asJSON, caOnly := full, Secret{Name: "ca.bundle", CAOnly: true}
	asJSON.JSON = true
	for _, tt := range []struct {
		golden string
		format Secret
		want   []string
	}{
		{"secret.yaml", full, []string{"alice.yaml (private)"}},
		{"secret.json", asJSON, []string{"alice.json (private)"}},
		{"secret-ca-only.yaml", caOnly, []string{"ca.bundle.yaml"}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			t.Parallel()
			files, err := tt.format.Export(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, names(files)); diff != "" {
				t.Error(diff)
			}
			golden(t, tt.golden, files[0].Data)
			if again := file(t, tt.format, b); string(again.Data) != string(files[0].Data) {
				t.Error("the second time it is different")
			}

			// What is read back is what was meant, whatever it looks like.
			var o secretObject
			if err := yaml.UnmarshalStrict(files[0].Data, &o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(secretMeta{tt.format.Name, tt.format.Namespace, tt.format.Labels, tt.format.Annotations}, o.Metadata); diff != "" {
				t.Errorf("metadata (-want +got)\n%s", diff)
			}
			want := map[string][]byte{"ca.crt": readFile(t, "bundle", "ca.crt")}
			kind := "Opaque"
			if !tt.format.CAOnly {
				kind = "kubernetes.io/tls"
				want["tls.crt"], want["tls.key"] = readFile(t, "bundle", "tls.crt"), readFile(t, "bundle", "tls.key")
			}
			if diff := cmp.Diff(want, o.Data); diff != "" || o.Type != kind {
				t.Errorf("type %s, data (-want +got)\n%s", o.Type, diff)
			}
		})
	}
}

func TestSecretErrors(t *testing.T) {
	t.Parallel()
	b := alice(t)
	long := strings.Repeat("a", 64)
	for name, tt := range map[string]struct {
		format     Secret
		option     string
		suggestion string
		words      string
	}{
		"no name":               {Secret{}, "name", "alice-example-com", "needs a name"},
		"an email address":      {Secret{Name: "alice@example.com"}, "name", "alice-example-com", "lower-case"},
		"upper case":            {Secret{Name: "Alice"}, "name", "alice", "lower-case"},
		"a dash at the end":     {Secret{Name: "alice-"}, "name", "alice", "both ends"},
		"an empty part":         {Secret{Name: "a..b"}, "name", "a-b", "each part"},
		"a long name":           {Secret{Name: strings.Repeat("a", 254)}, "name", strings.Repeat("a", 253), "254 characters, and 253"},
		"a namespace with dots": {Secret{Name: "a", Namespace: "a.b"}, "namespace", "a-b", "lower-case"},
		"a long namespace":      {Secret{Name: "a", Namespace: long}, "namespace", long[:63], "64 characters, and 63"},
		"an empty label key":    {Secret{Name: "a", Labels: map[string]string{"": "x"}}, "label", "", "its name: it is empty"},
		"an empty prefix":       {Secret{Name: "a", Labels: map[string]string{"/x": "x"}}, "label", "", "its prefix: it is empty"},
		"an upper-case prefix":  {Secret{Name: "a", Labels: map[string]string{"Example.com/x": "x"}}, "label", "", "its prefix"},
		"two slashes":           {Secret{Name: "a", Labels: map[string]string{"a/b/c": "x"}}, "label", "", "its name"},
		"a label value":         {Secret{Name: "a", Labels: map[string]string{"a": "b c"}}, "label", "", `"a=b c": its value`},
		"a long label value":    {Secret{Name: "a", Labels: map[string]string{"a": long}}, "label", "", "64 characters"},
		"an annotation key":     {Secret{Name: "a", Annotations: map[string]string{"a b": "x"}}, "annotation", "", "its name"},
		"large annotations":     {Secret{Name: "a", Annotations: map[string]string{"a": strings.Repeat("x", 256<<10)}}, "annotation", "", "262145 bytes in all, and 262144"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(b)
			wantOption(t, err, tt.option, tt.suggestion, tt.option, tt.words)
		})
	}

	keyless := *b
	keyless.Key = nil
	if _, err := (Secret{Name: "a"}).Export(&keyless); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: error %v, want ErrNoKey", err)
	}
	if _, err := (Secret{Name: "a", CAOnly: true}).Export(&keyless); err != nil {
		t.Errorf("ca.crt needs no key: %v", err)
	}
	keyless.Roots = nil
	if _, err := (Secret{Name: "a", CAOnly: true}).Export(&keyless); !errors.Is(err, ErrNoRoots) {
		t.Errorf("without roots: error %v, want ErrNoRoots", err)
	}
	large := *b
	for len(large.RootsPEM()) <= maxSecret {
		large.Roots = slices.Concat(large.Roots, large.Roots)
	}
	if _, err := (Secret{Name: "a"}).Export(&large); err == nil || !strings.Contains(err.Error(), "1048576 bytes at most") {
		t.Errorf("a large Secret: error %v", err)
	}
}

// kubectl reads JSON, too, and JSON must not depend on the YAML library.
func TestSecretJSON(t *testing.T) {
	t.Parallel()
	f := file(t, Secret{Name: "alice", JSON: true}, alice(t))
	var o map[string]any
	if err := json.Unmarshal(f.Data, &o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"name": "alice"}, o["metadata"]); diff != "" {
		t.Error(diff)
	}
}

func TestSecretName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api":                       "api",
		"api.example.com":           "api.example.com",
		"alice@example.com":         "alice-example-com",
		"Alice Ångström":            "alice-ngstr-m",
		"*.example.com":             "wildcard.example.com",
		"spiffe://acme.test/ns/web": "spiffe-acme-test-ns-web",
		"2001:db8::1":               "2001-db8-1",
		"a_b":                       "a-b",
		"-a-":                       "a",
		"":                          "certificate",
		"@@@":                       "certificate",
		strings.Repeat("a.", 200):   strings.TrimSuffix(strings.Repeat("a-", 127), "-"),
	} {
		if got := SecretName(in); got != want {
			t.Errorf("SecretName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSecretName(f *testing.F) {
	for _, s := range []string{"", "api.example.com", "alice@example.com", "*.x", "-.-", "K", "a\x00b", strings.Repeat("é", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := SecretName(s)
		if err := (secretMeta{Name: name}).check(""); err != nil {
			t.Errorf("SecretName(%q) = %q: %v", s, name, err)
		}
		if again := SecretName(name); again != name {
			t.Errorf("SecretName(%q) = %q, and of that %q", s, name, again)
		}
		if (secretMeta{Name: s}).check("") == nil && name != s {
			t.Errorf("SecretName(%q) = %q, though it is a name as it is", s, name)
		}
	})
}
