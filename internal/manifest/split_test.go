package manifest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// pieces writes documents as INDEX@LINE:TEXT; an index of 0 is no document.
func pieces(t *testing.T, in string, limit int) []string {
	t.Helper()
	var got []string
	err := split(iotest.HalfReader(strings.NewReader(in)), limit, func(d document) error {
		text := string(d.text)
		if d.long {
			text = "too long"
		}
		got = append(got, fmt.Sprintf("%d@%d:%s", d.index, d.line, text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSplit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70<<10)
	tests := []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"one", "a: 1", []string{"1@1:a: 1"}},
		{"two", "a: 1\n---\nb: 2\n", []string{"1@1:a: 1\n", "2@2:---\nb: 2\n"}},
		{"a comment and a directive before the first", "# c\n%YAML 1.1\n---\na: 1\n", []string{"1@1:# c\n%YAML 1.1\n---\na: 1\n"}},
		{"empty ones count", "---\n---\n# c\n---\na: 1\n", []string{"1@1:---\n", "2@2:---\n# c\n", "3@4:---\na: 1\n"}},
		{"one that is on the line of its marker", "--- {a: 1}\n---\tb\n", []string{"1@1:--- {a: 1}\n", "2@2:---\tb\n"}},
		{"no markers", "----\n---a\n ---\n- ---\n", []string{"1@1:----\n---a\n ---\n- ---\n"}},
		{"an end", "a: 1\n...\n# c\n---\nb: 2\n...\n", []string{"1@1:a: 1\n...\n", "2@3:# c\n---\nb: 2\n...\n"}},
		{"an end, and no marker after it", "a: 1\n...\nb: 2\n", []string{"1@1:a: 1\n...\n", "2@3:b: 2\n"}},
		{"nothing but an end", "# c\n...\na: 1", []string{"0@1:# c\n...\n", "1@3:a: 1"}},
		{"blanks at the end", "a: 1\n...\n\n# c\n", []string{"1@1:a: 1\n...\n", "0@3:\n# c\n"}},
		{"Windows line ends", "a: 1\r\n---\r\nb: 2\r\n...\r\n", []string{"1@1:a: 1\r\n", "2@2:---\r\nb: 2\r\n...\r\n"}},
		{"a BOM before a marker", "\ufeffa: 1\n\ufeff---\nb: 2", []string{"1@1:\ufeffa: 1\n", "2@2:\ufeff---\nb: 2"}},
		{"a long comment is one line", "#" + long + "---\n---\na: 1\n", []string{"1@1:#" + long + "---\n---\na: 1\n"}},
		{"a long line", long + "\n---\na: 1\n", []string{"1@1:" + long + "\n", "2@2:---\na: 1\n"}},
		{"spaces before what counts", strings.Repeat(" ", 70<<10) + "a: 1\n---\n", []string{"1@1:" + strings.Repeat(" ", 70<<10) + "a: 1\n", "2@2:---\n"}},

		{"JSON", "\n{\"a\": \"}{\\\"\"}\n", []string{"1@1:\n{\"a\": \"}{\\\"\"}", "0@2:\n"}},
		{"JSON, value after value", "{\"a\":[{}]}{\"b\":1}\n[{\n}]", []string{"1@1:{\"a\":[{}]}", "2@1:{\"b\":1}", "3@1:\n[{\n}]"}},
		{"JSON that ends early", "{\"a\": [1", []string{"1@1:{\"a\": [1"}},
		{"JSON, then YAML", "{\"a\":1}\n---\nb: 2\n---\n{}", []string{"1@1:{\"a\":1}", "2@1:\n---\nb: 2\n", "3@4:---\n{}"}},
		{"JSON, then something else", "{\"a\":1} b\n---\n", []string{"1@1:{\"a\":1}", "2@1: b\n", "3@2:---\n"}},
		{"a template is not JSON", "{{ if }}\n---\n{a: 1}\n", []string{"1@1:{{ if }}\n", "2@2:---\n{a: 1}\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, pieces(t, tt.in, 1<<20)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplitLimit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"a: 1\n---\nb: 123456\n---\nc: 3\n":    {"1@1:a: 1\n", "2@2:too long", "3@4:---\nc: 3\n"},
		"{\"a\":1}\n{\"b\":123456789}{\"\":1}": {"1@1:{\"a\":1}", "2@1:too long", "3@2:{\"\":1}"},
	} {
		if diff := cmp.Diff(want, pieces(t, in, 12)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSplitErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ignore := func(document) error { return nil }
	for _, in := range []string{"", "a: 1\n---\n", "{\"a\":"} {
		if err := split(iotest.DataErrReader(&failing{in, broken}), 100, ignore); !errors.Is(err, broken) {
			t.Errorf("%q: error %v of the reader is lost", in, err)
		}
	}
	for _, in := range []string{"a: 1\n---\nb: 2", "a: 1\n...\n", "a: 1", "{\"a\":1}", "{\"a\""} {
		if err := split(strings.NewReader(in), 100, func(document) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("%q: error %v of emit is lost", in, err)
		}
	}
}

// A failing reader gives a text, and then an error.
type failing struct {
	text string
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.text == "" {
		return 0, f.err
	}
	n := copy(p, f.text)
	f.text = f.text[n:]
	return n, nil
}
