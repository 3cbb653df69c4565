package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// decodeText decodes YAML alone, without the checks.
func decodeText(t *testing.T, in string, v any) string {
	t.Helper()
	n, f := parse(document{text: []byte(in), line: 1, index: 1})
	if f != nil {
		t.Fatal(f.text)
	}
	o := &object{line: func(path string) int { return lineOf(n, path) }}
	newDecoder().decode(o, n, v)
	var b strings.Builder
	for _, p := range o.problems {
		fmt.Fprintf(&b, "%d: %s: %s", p.Line, p.Path, p.Text)
		if p.Hint != "" {
			b.WriteString(" (" + p.Hint + ")")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// mixed has a field of each sort that Kubernetes' types have.
type mixed struct {
	metav1.TypeMeta `json:",inline"`
	Text            string                        `json:"text,omitempty"`
	Word            cmapi.KeyUsage                `json:"word,omitempty"`
	Flag            bool                          `json:"flag,omitempty"`
	Small           int8                          `json:"small,omitempty"`
	Number          *int64                        `json:"number,omitempty"`
	Float           float64                       `json:"float,omitempty"`
	Texts           []string                      `json:"texts,omitempty"`
	Items           []corev1.LocalObjectReference `json:"items,omitempty"`
	Labels          map[string]string             `json:"labels,omitempty"`
	Bytes           []byte                        `json:"bytes,omitempty"`
	Data            map[string][]byte             `json:"data,omitempty"`
	Password        string                        `json:"password,omitempty"`
	Duration        *metav1.Duration              `json:"duration,omitempty"`
	Time            metav1.Time                   `json:"time,omitempty"`
	Port            intstr.IntOrString            `json:"port,omitempty"`
	Quantity        resource.Quantity             `json:"quantity,omitempty"`
	Hidden          string                        `json:"-"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	tests := []struct {
		in   string
		want mixed
	}{
		{"kind: a", mixed{TypeMeta: metav1.TypeMeta{Kind: "a"}}},
		{"text: null\nflag: ~\nnumber:\ntexts: null\nlabels:\nduration: null\n", mixed{}},
		{"text: 2026-01-02\nword: '1'\n", mixed{Text: "2026-01-02", Word: "1"}},
		{"text: !!str 5\n", mixed{Text: "5"}},
		{"text: |\n  yes\n", mixed{Text: "yes\n"}},
		{"flag: yes\n", mixed{Flag: true}},
		{"flag: on\n", mixed{Flag: true}},
		{"flag: y\n", mixed{Flag: true}},
		{"flag: Off\n", mixed{}},
		{"small: -0x10\nnumber: 0o17\nfloat: 3\n", mixed{Small: -16, Number: number(15), Float: 3}},
		{"small: 1_0\nnumber: 2e3\nfloat: 1.5\n", mixed{Small: 10, Number: number(2000), Float: 1.5}},
		{"number: 9223372036854775807\n", mixed{Number: number(1<<63 - 1)}},
		{"texts: []\nitems: [{name: a}, {}]\n", mixed{Texts: []string{}, Items: []corev1.LocalObjectReference{{Name: "a"}, {}}}},
		{"labels: {1: a, yes: b, 1.5: c, d: null, 'n': e}\n", mixed{Labels: map[string]string{"1": "a", "true": "b", "1.5": "c", "d": "", "n": "e"}}},
		{"bytes: |\n  YW\n  Jj\ndata: {a: YQ==, b: ''}\n", mixed{Bytes: []byte("abc"), Data: map[string][]byte{"a": []byte("a"), "b": {}}}},
		{"duration: 1h30m\n", mixed{Duration: &metav1.Duration{Duration: 90 * time.Minute}}},
		{"time: 2026-01-02T15:04:05Z\n", mixed{Time: metav1.Time{Time: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC).Local()}}},
		{"port: 80\n", mixed{Port: intstr.FromInt32(80)}},
		{"port: http\n", mixed{Port: intstr.FromString("http")}},
		{"status: {no: field}\nmetadata: 1\n", mixed{}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			var got struct {
				mixed
				Metadata int `json:"metadata"`
			}
			if problems := decodeText(t, tt.in, &got); problems != "" {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(tt.want, got.mixed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeProblems(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"Text: a", "1: Text: unknown field (did you mean text?)"},
		{"labls: {}", "1: labls: unknown field (did you mean labels?)"},
		{"Hidden: a", "1: Hidden: unknown field"},
		{"items: [{nam: a}]", "1: items[0].nam: unknown field (did you mean name?)"},
		{"a:\n  b: c\ntext: a\ntext: b", "1: a: unknown field\n4: text: is there twice; first in line 3 (keep one of them)"},
		{"labels: {a: b, a: c}", "1: labels[a]: is there twice (keep one of them)"},
		{"labels: {[a]: b}", "1: labels: a key must be text, found a list"},
		{"{a: b}: c", "1: : a key must be text, found a mapping (" + templateHint + ")"},
		{"text: 123", `1: text: want text, found the number 123 (quote it: "123")`},
		{"text: 1.10", `1: text: want text, found the number 1.10 (quote it: "1.10")`},
		{"text: no", `1: text: want text, found the boolean no (quote it: "no")`},
		{"text: true", `1: text: want text, found the boolean true (quote it: "true")`},
		{"text: [a]", "1: text: want text, found a list"},
		{"text: {{ x }}", "1: text: want text, found a mapping (" + templateHint + ")"},
		{"text: !!binary YQ==", "1: text: want text, found the tag !!binary (leave out the tag)"},
		{"texts: a", `1: texts: want a list of texts, found the text "a"`},
		{"texts:\n- a\n-\n- [b]", "3: texts[1]: want text, found nothing\n4: texts[2]: want text, found a list"},
		{"items: {name: a}", "1: items: want a list of mappings, found a mapping"},
		{"items: [a]", `1: items[0]: want a mapping, found the text "a"`},
		{"labels: [a]", "1: labels: want a mapping, found a list"},
		{"labels: {a: 1}", `1: labels[a]: want text, found the number 1 (quote it: "1")`},
		{`flag: "true"`, `1: flag: want true or false, found the text "true" (leave out the quotes)`},
		{"flag: 1", "1: flag: want true or false, found the number 1"},
		{"flag: !!bool maybe", "1: flag: want true or false, found the boolean maybe"},
		{`number: "5"`, `1: number: want a whole number, found the text "5" (leave out the quotes)`},
		{"number: five", `1: number: want a whole number, found the text "five"`},
		{"number: 1.5", "1: number: want a whole number, found the number 1.5"},
		{"number: 9223372036854775808", "1: number: want a whole number, found the number 9223372036854775808"},
		{"small: 128", "1: small: the number 128 is too large"},
		{"float: .inf", "1: float: want a number, found the number .inf"},
		{"bytes: a*b", "1: bytes: not base64: illegal base64 data at input byte 1"},
		{`bytes: "-----BEGIN X"`, "1: bytes: not base64: illegal base64 data at input byte 0 (the PEM itself is encoded in base64 here: base64 -w0 FILE)"},
		{"bytes: 12345", "1: bytes: want text, found a number (quote it)"},
		{"data: {a: secret}", "1: data[a]: not base64: illegal base64 data at input byte 4 (a value that is not in base64 goes under stringData)"},
		{"data: {a: '{{ x }}'}", "1: data[a]: not base64: illegal base64 data at input byte 0 (" + templateHint + ")"},
		{"data: {a: 12345}", "1: data[a]: want text, found a number (quote it)"},
		{"password: 12345", "1: password: want text, found a number (quote it)"},
		{"duration: 90d", `1: duration: want a duration such as 2160h, found "90d" (cert-manager takes h, m and s: write 2160h)`},
		{"duration: [1]", "1: duration: want a duration such as 2160h, found a list"},
		{"duration: 90", "1: duration: want a duration such as 2160h, found the number 90 (write it with its unit, as in 2160h)"},
		{"time: today", `1: time: want a time such as 2006-01-02T15:04:05Z, found the text "today"`},
		{"port: [1]", "1: port: cannot be a list"},
		{"quantity: many", "1: quantity: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			var v mixed
			if diff := cmp.Diff(tt.want+"\n", decodeText(t, tt.in, &v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A mapping of many keys does not cost the square of them.
func TestDecodeManyKeys(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for range 100_000 {
		in.WriteString("text: a\n")
	}
	var v mixed
	if got := strings.Count(decodeText(t, in.String(), &v), "is there twice; first in line 1 "); got != 99_999 {
		t.Errorf("%d keys are there twice, want 99999", got)
	}
}

func TestDurationHint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"90d": "2160h", "1y": "8760h", "2w": "336h", "1d12h": "36h", "30 days": "720h", "1 Year": "8760h", "1d30m": "24h30m0s",
		"90": "write it with its unit, as in 2160h", "": "", "d": "", "1x": "", "1mo": "", "1.5d": "", "-1d": "", "0d": "", "99999999999y": "",
	} {
		got := durationHint(in)
		if got != want && got != "cert-manager takes h, m and s: write "+want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	if got, want := cut(strings.Repeat("é", 40)+"x"), strings.Repeat("é", 30)+"..."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := cut("x"+strings.Repeat("é", 40)), "x"+strings.Repeat("é", 29)+"..."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
