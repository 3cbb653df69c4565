package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestGrowing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // of a test
	begin := func() *Growing {
		t.Helper()
		g, err := Begin(root, "a", Private)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.WriteString("text"); err != nil {
			t.Fatal(err)
		}
		return g
	}
	files := func() (names []string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	g := begin()
	if _, err := os.Stat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is in its place already: %v", err)
	}
	p, err := g.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Create(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a")); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode().Perm() != Private && runtime.GOOS != "windows" {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := begin().Discard(); err != nil {
		t.Error(err)
	}
	hidden := begin()
	hidden.Hide()
	if got := files(); len(got) != 1 && runtime.GOOS != "windows" {
		t.Errorf("%v: it was not hidden", got)
	}
	if _, err := hidden.Seek(0, io.SeekStart); err != nil {
		t.Error(err)
	}
	if data, err := io.ReadAll(hidden); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if err := hidden.Discard(); err != nil {
		t.Error(err)
	}
	if got := files(); len(got) != 1 {
		t.Errorf("%v was left", got)
	}
}

func TestFillFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // of a test
	if err := FillFrom(root, "a", strings.NewReader("text"), Public); err != nil {
		t.Error(err)
	}
	if err := FillFrom(root, "a", strings.NewReader("other"), Public); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if err := FillFrom(root, "../b", strings.NewReader("text"), Public); err == nil {
		t.Error("it led out")
	}
	bad := errors.New("bad")
	if err := FillFrom(root, "c", iotest.ErrReader(bad), Public); !errors.Is(err, bad) {
		t.Errorf("%v; want %v", err, bad)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a")); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}
