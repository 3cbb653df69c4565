package export

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

func TestAppendString(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		// Plain words.
		"web":                       "web",
		"web.example.com":           "web.example.com",
		"cert-manager.io/alt-names": "cert-manager.io/alt-names",
		"kubernetes.io/tls":         "kubernetes.io/tls",
		"alice@example.com":         "alice@example.com",
		"A_b":                       "A_b",
		"yesterday":                 "yesterday",
		"x":                         "x",

		// What some reader takes for something else.
		"":           `""`,
		"yes":        `"yes"`,
		"No":         `"No"`,
		"y":          `"y"`,
		"N":          `"N"`,
		"on":         `"on"`,
		"OFF":        `"OFF"`,
		"true":       `"true"`,
		"False":      `"False"`,
		"null":       `"null"`,
		"~":          `"~"`,
		"inf":        `"inf"`,
		"NaN":        `"NaN"`,
		".inf":       `".inf"`,
		"0":          `"0"`,
		"1e3":        `"1e3"`,
		"0x1F":       `"0x1F"`,
		"1_000":      `"1_000"`,
		"-1":         `"-1"`,
		"+1":         `"+1"`,
		"12:30:45":   `"12:30:45"`,
		"2026-01-01": `"2026-01-01"`,
		"10.0.0.7":   `"10.0.0.7"`,
		"=":          `"="`,
		"<<":         `"<<"`,
		"---":        `"---"`,

		// Indicators and space.
		"*.example.com":             `"*.example.com"`,
		"a: b":                      `"a: b"`,
		"a:":                        `"a:"`,
		"a #b":                      `"a #b"`,
		"a,b":                       `"a,b"`,
		" a":                        `" a"`,
		"a ":                        `"a "`,
		"@a":                        `"@a"`,
		"[a]":                       `"[a]"`,
		"{}":                        `"{}"`,
		"!a":                        `"!a"`,
		"%a":                        `"%a"`,
		"spiffe://acme.test/ns/web": `"spiffe://acme.test/ns/web"`,

		// Escapes.
		`a "b" 'c' \d`:    `"a \"b\" 'c' \\d"`,
		"a\nb\r\n\tc":     `"a\nb\r\n\tc"`,
		"\x00\x1B\x7F":    `"\x00\x1B\x7F"`,
		"\u0085\u009F":    `"\x85\x9F"`,
		"\u2028\u2029":    `"\u2028\u2029"`,
		"\uFEFFa":         `"\uFEFFa"`,
		"\uFFFE\uFFFF":    `"\uFFFE\uFFFF"`,
		"\U0001F600":      `"\U0001F600"`,
		"\U0010FFFF":      `"\U0010FFFF"`,
		"Ångström \u00A0": "\"Ångström \u00A0\"",
		"日本":              `"日本"`,
		"a\xFFb":          "\"a\uFFFDb\"",
	} {
		got := string(appendString(nil, in))
		if got != want {
			t.Errorf("%q is written as %s, want %s", in, got, want)
		}
		readBack(t, secretObject{Metadata: secretMeta{Name: in, Annotations: map[string]string{in: in}}})
	}
}

// Base64 that begins with a digit or '+', and words of four letters.
func TestAppendBase64(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                     `""`,
		"\xB6\xBB\x9E":                         `"true"`,
		"\x9E\xE9\x65":                         `"null"`,
		"\xD7\x6D\xF8":                         `"1234"`,
		"\xD3\x5D\xB7\xE3\x9E\xBB\xF3\xDF\xBD": `"0123456789+9"`,
		"\xFB\xEF\xBE\xFB\xEF\xBE":             `"++++++++"`,
		"\xFF\xFF\xFF\xFF\xFF\xFF":             `////////`,
		"-----BEGIN":                           `LS0tLS1CRUdJTg==`,
	} {
		got := string(appendBase64(nil, []byte(in)))
		if got != want {
			t.Errorf("%q is written as %s, want %s", in, got, want)
		}
		readBack(t, secretObject{Data: map[string][]byte{"a": []byte(in)}})
	}
}

// readBack writes o, and reads it with both of Go's YAML libraries.
func readBack(t *testing.T, o secretObject) {
	t.Helper()
	text := o.appendYAML(nil)

	// What is no UTF-8 cannot be written, in YAML as in JSON.
	valid := func(s string) string { return string([]rune(s)) }
	validMap := func(in map[string]string) map[string]string {
		if len(in) == 0 {
			return nil
		}
		out := map[string]string{}
		for k, v := range in {
			out[valid(k)] = valid(v)
		}
		return out
	}
	want := o
	want.APIVersion = valid(o.APIVersion)
	want.Metadata = secretMeta{valid(o.Metadata.Name), valid(o.Metadata.Namespace), validMap(o.Metadata.Labels), validMap(o.Metadata.Annotations)}
	if want.Data == nil {
		want.Data = map[string][]byte{}
	}
	var got secretObject
	if err := yaml.UnmarshalStrict(text, &got); err != nil {
		t.Errorf("%v\n%s", err, text)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, text)
	}

	var loose struct {
		Metadata map[string]any
		Data     map[string]any
	}
	if err := yaml3.Unmarshal(text, &loose); err != nil {
		t.Errorf("YAML 1.2: %v\n%s", err, text)
		return
	}
	if name := loose.Metadata["name"]; name != want.Metadata.Name {
		t.Errorf("YAML 1.2: name %#v\n%s", name, text)
	}
	annotations, _ := loose.Metadata["annotations"].(map[string]any)
	if len(annotations) != len(want.Metadata.Annotations) {
		t.Errorf("YAML 1.2: annotations %#v\n%s", loose.Metadata["annotations"], text)
	}
	for k, v := range annotations {
		if s, ok := want.Metadata.Annotations[k]; !ok || v != s {
			t.Errorf("YAML 1.2: annotation %q is %#v\n%s", k, v, text)
		}
	}
	for k, v := range loose.Data {
		if _, ok := v.(string); !ok {
			t.Errorf("YAML 1.2: data %q is %#v\n%s", k, v, text)
		}
	}
}

func TestAppendYAMLOrder(t *testing.T) {
	t.Parallel()
	o := secretObject{
		APIVersion: "v1", Kind: "Secret", Type: "Opaque",
		Metadata: secretMeta{"n", "ns", map[string]string{"b": "2", "a": "x"}, map[string]string{"d": "", "c": "a\nb"}},
		Data:     map[string][]byte{"z.crt": []byte("-----BEGIN"), "a.crt": {1}},
	}
	want := strings.TrimPrefix(`
apiVersion: v1
data:
  a.crt: "AQ=="
  z.crt: LS0tLS1CRUdJTg==
kind: Secret
metadata:
  annotations:
    c: "a\nb"
    d: ""
  labels:
    a: x
    b: "2"
  name: "n"
  namespace: ns
type: Opaque
`, "\n")
	if diff := cmp.Diff(want, string(o.appendYAML(nil))); diff != "" {
		t.Error(diff)
	}
	readBack(t, o)
	if got := string(o.appendYAML([]byte("# first\n"))); got != "# first\n"+want {
		t.Errorf("appended: %s", got)
	}
}

func FuzzAppendYAML(f *testing.F) {
	for _, s := range []string{"", "yes", "~", "1e3", " a", "a: b # c", "\x00\x7F\u0085", "\u2028\uFEFF", "\U0001F600", "\xFF", "<<", "- a", "? a", "\r\n"} {
		f.Add(s, s, []byte(s))
	}
	f.Fuzz(func(t *testing.T, key, value string, data []byte) {
		if len(key) > 100 {
			return // longer than an implicit key may be, once it is escaped
		}
		readBack(t, secretObject{
			APIVersion: value,
			Metadata:   secretMeta{Name: value, Labels: map[string]string{value[:min(len(value), 100)]: key}, Annotations: map[string]string{key: value}},
			Data:       map[string][]byte{string([]rune(key)): data},
		})
	})
}
