package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a.yml", "c.json", "notes.txt", "d[1].yaml", "sub/e.yaml", "sub/deep/f.json", "empty/README"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "sub", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "sub", "loop.yaml")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		args      string
		recursive bool
		want      string // relative to the folder
		err       error
	}{
		{name: "a file of any name", args: "notes.txt", want: "notes.txt"},
		{name: "a folder", args: ".", want: "a.yml b.yaml c.json d[1].yaml"},
		{name: "a folder and below", args: ".", recursive: true, want: "a.yml b.yaml c.json d[1].yaml sub/deep/f.json sub/e.yaml sub/link.yaml"},
		{name: "a glob", args: "*.y*ml", want: "a.yml b.yaml d[1].yaml"},
		{name: "what looks like a glob and is there", args: "d[1].yaml", want: "d[1].yaml"},
		{name: "twice the same", args: "b.yaml sub/../b.yaml *.json c.json", want: "b.yaml c.json"},
		{name: "a glob takes no folders", args: "su*", err: ErrNone},
		{name: "a glob without a file", args: "*.toml", err: ErrNone},
		{name: "a folder without manifests", args: "empty", err: ErrNone},
		{name: "no such file", args: "x.yaml", err: fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var args []string
			for _, arg := range strings.Fields(tt.args) {
				args = append(args, dir+string(filepath.Separator)+arg)
			}
			sources, err := Sources(args, tt.recursive, nil)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			var got []string
			for _, s := range sources {
				rel, err := filepath.Rel(dir, s.Name)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, filepath.ToSlash(rel))
			}
			if diff := cmp.Diff(strings.Fields(tt.want), got); diff != "" && tt.err == nil {
				t.Error(diff)
			}
		})
	}
}

func TestSourcesElsewhere(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]error{"https://example.com/a.yaml": ErrRemote, "HTTP://example.com": ErrRemote, "gone[": filepath.ErrBadPattern} {
		if _, err := Sources([]string{arg}, false, nil); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", arg, err, want)
		}
	}
	if _, err := Sources([]string{"-", "-"}, false, nil); !errors.Is(err, ErrStdin) {
		t.Errorf("- twice: error %v, want %v", err, ErrStdin)
	}
	sources, err := Sources([]string{"-"}, false, strings.NewReader("x"))
	if err != nil || len(sources) != 1 || sources[0].Name != "standard input" {
		t.Errorf("-: %v, %v", sources, err)
	}
}
