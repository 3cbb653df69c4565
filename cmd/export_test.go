package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func commonExport(o exportOptions) exportOptions {
	o.passphrase.word = "passphrase"
	return o
}

func TestExportPEMOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportPEMOptions) error) *cobra.Command {
		return newExportPEMCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportPEMOptions]{
		"a name": {args: []string{"web"}, want: exportPEMOptions{exportOptions: commonExport(exportOptions{name: "web"})}},
		"everything": {
			args: []string{"web", "--out", "d", "--force", "--with-ca-key", "--combined", "--passphrase-env", "E"},
			want: exportPEMOptions{
				exportOptions: exportOptions{name: "web", out: "d", force: true, withCAKey: true, passphrase: secretFlags{word: "passphrase", env: "E"}},
				format:        export.PEM{Combined: true},
			},
		},
		"DER":       {args: []string{"web", "--der"}, want: exportPEMOptions{exportOptions: commonExport(exportOptions{name: "web"}), format: export.PEM{DER: true}}},
		"no name":   {err: "NAME is missing"},
		"two names": {args: []string{"a", "b"}, err: `"b" is one argument too many`},
		"two forms": {args: []string{"a", "--der", "--combined"}, err: "--combined and --der exclude each other"},
	})
}

func TestExportSecretOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportSecretOptions) error) *cobra.Command {
		return newExportSecretCmd(&app{json: true}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportSecretOptions]{
		"a name": {args: []string{"web"}, want: exportSecretOptions{exportOptions: commonExport(exportOptions{name: "web"}), format: export.Secret{JSON: true}}},
		"everything": {
			args: []string{"web", "--name", "tls", "-n", "prod", "--label", "a=1", "--label", "b=", "--annotation", "c=x=y", "--ca-only", "--out", "f"},
			want: exportSecretOptions{
				exportOptions: commonExport(exportOptions{name: "web", out: "f"}),
				format: export.Secret{
					JSON: true, Name: "tls", Namespace: "prod", CAOnly: true,
					Labels: map[string]string{"a": "1", "b": ""}, Annotations: map[string]string{"c": "x=y"},
				},
			},
		},
		"no value":  {args: []string{"web", "--label", "a"}, err: `--label "a": write it as key=value`},
		"no key":    {args: []string{"web", "--annotation", "=a"}, err: `--annotation "=a": write it as key=value`},
		"one twice": {args: []string{"web", "--label", "a=1", "--label", "a=2"}, err: `--label "a=2": a is given twice`},
	})
}

func TestFileTarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sep := string(filepath.Separator)
	for _, tt := range []struct {
		out  string
		want target
	}{
		{"", target{".", []string{"web.p12"}}},
		{"a.p12", target{".", []string{"a.p12"}}},
		{filepath.Join("x", "a.p12"), target{"x", []string{"a.p12"}}},
		{"new" + sep, target{"new" + sep, []string{"web.p12"}}},
		{dir, target{dir, []string{"web.p12"}}},
		{filepath.Join(dir, "a"), target{dir, []string{"a"}}},
	} {
		if diff := cmp.Diff(tt.want, fileTarget(tt.out, "web.p12"), whole()); diff != "" {
			t.Errorf("fileTarget(%q) (-want +got):\n%s", tt.out, diff)
		}
	}
}

// All files are written or none, also to several folders.
func TestWritePlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, data string, private bool) export.File {
		return export.File{Name: name, Data: []byte(data), Private: private}
	}
	good := place{filepath.Join(dir, "a", "b"), []export.File{file("key", "k", true), file("crt", "c", false)}}
	other := place{filepath.Join(dir, "a", "c"), []export.File{file("x", "x", false)}}
	if err := writePlaces([]place{good, other}, false); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"a/b": 0o700, "a/b/key": 0o600, "a/b/crt": 0o644, "a/c": 0o755, "a/c/x": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode && os.PathSeparator == '/' {
			t.Errorf("%s has mode %o, not %o", name, got, mode)
		}
	}

	// One name that is taken: nothing of the rest is left, nor the folder made for it.
	more := place{filepath.Join(dir, "new", "folder"), []export.File{file("y", "y", false)}}
	err := writePlaces([]place{more, other}, false)
	if err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a file that exists: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !os.IsNotExist(err) {
		t.Errorf("new is there: %v", err)
	}
	// A folder that cannot be made: the same, though the first was good.
	broken := place{filepath.Join(dir, "a", "b", "key", "folder"), []export.File{file("z", "z", false)}}
	if err := writePlaces([]place{more, broken}, true); err == nil {
		t.Error("a file in the way of a folder is no error")
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !os.IsNotExist(err) {
		t.Errorf("new is there: %v", err)
	}
	// By force, what is there is replaced.
	if err := writePlaces([]place{{other.dir, []export.File{file("x", "new", false)}}}, true); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(other.dir, "x")); err != nil || string(data) != "new" {
		t.Errorf("x holds %q, %v", data, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
