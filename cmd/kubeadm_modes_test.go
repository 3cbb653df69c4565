package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A key is closed by its name alone, and no link to one, wherever it leads.
func TestKubeadmCloseKey(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes")
	}
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "key")
	for _, file := range []string{filepath.Join(dir, "ca.key"), filepath.Join(dir, "near"), elsewhere} {
		if err := os.WriteFile(file, []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.key"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out.key": elsewhere, "in.key": "near"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"ca.key": true, "out.key": false, "in.key": false, "folder.key": false, "none.key": false} {
		if err := closeKey(dir, name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for file, want := range map[string]fs.FileMode{filepath.Join(dir, "ca.key"): 0o600, filepath.Join(dir, "near"): 0o644, elsewhere: 0o644} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}
