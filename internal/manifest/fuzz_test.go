package manifest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// seeds adds the manifests of testdata, and fails without any.
func seeds(f *testing.F) {
	files, err := filepath.Glob("../../testdata/manifests/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("{\"a\": [1, \"\\ud83d\"]}{}\n---\n"))
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b, {<<: *a}]"))
	f.Add([]byte("? {a: b}\n: !!binary c\n"))
	f.Add([]byte("#\n  - a\n #\n - #\n"))
}

// Whatever comes in, it is read or refused, and every problem stands somewhere.
func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		sources, err := Sources([]string{"-"}, false, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(data, []byte{'\n'}) + bytes.Count(data, []byte{'\r'}) + bytes.Count(data, []byte("\u0085")) +
			bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) + 1
		set, err := Read(t.Context(), sources, Options{})
		if err == nil {
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || set == nil || len(problems) == 0 {
			t.Fatalf("%T %v, Set %v", err, err, set)
		}
		for _, p := range problems {
			if p.Text == "" || p.Document < 1 || p.Line < 1 || p.Line > lines {
				t.Errorf("%#v in %d lines", p, lines)
			}
		}
	})
}

// The documents joined are the input.
func FuzzSplit(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var joined []byte
		last := 0
		err := split(bytes.NewReader(data), 1<<30, func(d document) error {
			if want := 1 + bytes.Count(joined, []byte{'\n'}); d.line != want {
				t.Errorf("a document in line %d, want %d", d.line, want)
			}
			if d.index != 0 && d.index != last+1 {
				t.Errorf("document %d after %d", d.index, last)
			}
			last = max(last, d.index)
			joined = append(joined, d.text...)
			return nil
		})
		if err != nil || !bytes.Equal(joined, data) {
			t.Errorf("split and joined: %q, %v", joined, err)
		}
	})
}
