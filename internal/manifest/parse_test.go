package manifest

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// tree writes nodes as text with their lines.
func tree(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		var parts []string
		for _, c := range n.Content {
			parts = append(parts, tree(c))
		}
		return fmt.Sprintf("%d:%s(%s)", n.Line, strings.TrimPrefix(n.Tag, "!!"), strings.Join(parts, " "))
	default:
		return fmt.Sprintf("%d:%s", n.Line, n.Value)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"nothing", "", "nothing"},
		{"a comment", "---\n# c\n", "nothing"},
		{"YAML", "a:\n- b", "11:map(11:a 12:seq(12:b))"},
		{"JSON", "\n{\"a\":\n [1, true,\nnull, \"\\ud83d\\ude00\"]}", "12:map(12:a 13:seq(13:1 13:true 14:null 14:😀))"},
		{"JSON after a marker", "# c\n--- # d\n{\"\\ud83d\\ude00\":\n1}\n", "13:map(13:😀 14:1)"},
		{"JSON with a tab, and a key and its colon apart", "{\n\t\"a\"\n\t: 1}", "11:map(12:a 13:1)"},
		{"YAML that begins like JSON", "{\"a\": b, }", "11:map(11:a 11:b)"},
		{"a BOM", "\ufeffa: b", "11:map(11:a 11:b)"},
		{"aliases", "a: &x\n  b: c\nd: *x", "11:map(11:a 11:map(12:b 12:c) 13:d 11:map(12:b 12:c))"},
		{"merge keys", "a: &x {k: 1, l: 1}\nb: &y {l: 2, m: 2}\nc: {m: 3, <<: [*x, *y]}\nd: {<<: *y, <<: *x}",
			"11:map(11:a 11:map(11:k 11:1 11:l 11:1) 12:b 12:map(12:l 12:2 12:m 12:2) 13:c 13:map(13:m 13:3 11:k 11:1 11:l 11:1) 14:d 14:map(12:l 12:2 12:m 12:2 11:k 11:1))"},
		{"a merge of a merge", "a: &x {k: 1}\nb: &y {<<: *x}\nc: {<<: *y}", "11:map(11:a 11:map(11:k 11:1) 12:b 12:map(11:k 11:1) 13:c 13:map(11:k 11:1))"},
		{"a quoted <<", "{'<<': 1}", "11:map(11:<< 11:1)"},

		{"an anchor in itself", "a: &x\n  b: [*x]", "11: the anchor &x contains itself"},
		{"a merge of itself", "a: &x\n  <<: *x", "11: the anchor &x contains itself"},
		{"a merge of a number", "a: b\nc: {<<: 5}", "12: << takes a mapping, or a list of mappings, found the number 5"},
		{"no such anchor", "a: *x", "11: not YAML: unknown anchor 'x' referenced"},
		{"too many aliases", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + bomb("abcdefgh"), "15: aliases make it too large"},
		{"too many merged keys", wideMerge(), "120: aliases make it too large"},
		{"too deep", strings.Repeat("[", 2000) + strings.Repeat("]", 2000), "11: nested too deep"},
		{"JSON too deep", "[{\"a\":" + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "}]", "11: nested too deep"},
		{"deep by aliases", "a: &a " + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "\nb: " + strings.Repeat("[", 600) + "*a" + strings.Repeat("]", 600), "12: nested too deep"},

		{"bad indentation", "a: b\n c: d\n", "12: not YAML: mapping values are not allowed in this context"},
		{"a bracket that is not closed", "a: b\nc: [d\ne: f\n", "12: not YAML: did not find expected ',' or ']'"},
		{"a key that ends nowhere", "\na:\n  b: c\n d: e\nf: g\nh: i\n", "14: not YAML: did not find expected key"},
		{"bad UTF-8", "a: b\nc: \xff\n", "12: not YAML: invalid leading UTF-8 octet"},
		{"a control character", "a: b\nc: d\ne: \x01\n", "13: not YAML: control characters are not allowed"},
		{"two documents by old line ends", "a: b\r---\rc: d\r", "12: another document begins here"},
		{"after the end", "{a: b} c\n", "11: not YAML: did not find expected <document start>"},
		{"bad JSON", "{\"a\": 1,\n\"b\": ]}", "12: not JSON: invalid character ']' looking for beginning of value"},
		{"JSON that ends early", "{\"a\": 1,\n\"b\":", "12: not JSON: it ends too early"},
		{"UTF-16", "\xff\xfe" + wide("a: b"), "11: UTF-16 text"},
		{"UTF-16 without a BOM", wide("a: b"), "11: UTF-16 text, or no text at all"},
		{"gzip", "\x1f\x8b\x08", "11: compressed by gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, f := parse(document{text: []byte(tt.in), line: 11, index: 1})
			got := "nothing"
			if f != nil {
				got = fmt.Sprintf("%d: %s", f.line, f.text)
			} else if n != nil {
				got = tree(n)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// bomb is aliases to aliases to the first name.
func bomb(names string) string {
	var b strings.Builder
	for i := 1; i < len(names); i++ {
		fmt.Fprintf(&b, "%c: &%c [%s]\n", names[i], names[i], strings.TrimSuffix(strings.Repeat("*"+names[i-1:i]+",", 10), ","))
	}
	return b.String()
}

// wideMerge merges a thousand keys into two thousand mappings.
func wideMerge() string {
	var b strings.Builder
	b.WriteString("- &a {")
	for i := range 1000 {
		fmt.Fprintf(&b, "k%d: 1, ", i)
	}
	b.WriteString("}\n" + strings.Repeat("- {<<: *a}\n", 2000))
	return b.String()
}

func wide(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func TestLineOf(t *testing.T) {
	t.Parallel()
	n, f := parse(document{text: []byte(`metadata:
  annotations:
    cert-manager.io/issuer: ca
spec:
  dnsNames:
  - a
  -
    b
  privateKey:
    size: 1
`), line: 1})
	if f != nil {
		t.Fatal(f.text)
	}
	for path, want := range map[string]int{
		"":                     1,
		"metadata.annotations": 2,
		"metadata.annotations[cert-manager.io/issuer]": 3,
		"metadata.annotations[other]":                  2,
		"spec":                                         4,
		"spec.dnsNames":                                5,
		"spec.dnsNames[0]":                             6,
		"spec.dnsNames[1]":                             8,
		"spec.dnsNames[2]":                             5,
		"spec.dnsNames[-1]":                            5,
		"spec.dnsNames[x":                              5,
		"spec.dnsNames.x":                              5,
		"spec.privateKey.size":                         10,
		"spec.privateKey.size.x":                       10,
		"spec.other[0].x":                              4,
		"other":                                        1,
	} {
		if got := lineOf(n, path); got != want {
			t.Errorf("%q is in line %d, want %d", path, got, want)
		}
	}
}
