package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root, dir
}

// tree returns what is in a folder: each file's mode and text, each link's target.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		is := info.Mode().String()
		if runtime.GOOS == "windows" {
			is = info.Mode().Type().String()
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			is = "-> " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is += " " + string(data)
		}
		all[filepath.ToSlash(rel)] = is
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func expect(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		for k, v := range want {
			if mode, text, ok := strings.Cut(v, " "); ok && !strings.HasPrefix(v, "->") {
				want[k] = strings.Repeat("-", len(mode)) + " " + text
			}
		}
	}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCreateAndReplace(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	must(t, root.Mkdir("d", 0o700))
	must(t, Create(root, "d/key", []byte("k"), Private))
	must(t, Create(root, "crt", []byte("c"), Public))
	if err := Create(root, "crt", []byte("new"), Private); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a file: %v", err)
	}
	expect(t, dir, map[string]string{"d": "drwx------", "d/key": "-rw------- k", "crt": "-rw-r--r-- c"})

	// Replace gives the new file its own mode.
	must(t, Replace(root, "crt", []byte("new"), Private))
	must(t, Replace(root, "d/key", []byte("new"), Public))
	must(t, Replace(root, "d/more", nil, Public))
	expect(t, dir, map[string]string{"d": "drwx------", "d/key": "-rw-r--r-- new", "d/more": "-rw-r--r-- ", "crt": "-rw------- new"})

	// What cannot be written leaves nothing.
	for _, name := range []string{"no/file", "d", "../out", "/out", "d/key/x"} {
		if err := Create(root, name, []byte("x"), Public); err == nil {
			t.Errorf("Create(%q) is no error", name)
		}
		if name == "d" {
			continue // Windows and Unix differ on renaming over a folder; none takes it
		}
		if err := Replace(root, name, []byte("x"), Public); err == nil {
			t.Errorf("Replace(%q) is no error", name)
		}
	}
	if err := Replace(root, "d", []byte("x"), Public); err == nil {
		t.Error("a file replaced a folder")
	}
	expect(t, dir, map[string]string{"d": "drwx------", "d/key": "-rw-r--r-- new", "d/more": "-rw-r--r-- ", "crt": "-rw------- new"})
}

// A pending file is nowhere until it is put into its place, and can be given up.
func TestPending(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	one, err := Write(root, "one", []byte("1"), Private)
	must(t, err)
	two, err := Write(root, "two", []byte("2"), Private)
	must(t, err)
	for name := range tree(t, dir) {
		if !IsTemp(name) {
			t.Errorf("%s is there already", name)
		}
	}
	must(t, one.Create())
	must(t, two.Discard())
	expect(t, dir, map[string]string{"one": "-rw------- 1"})
	three, err := Write(root, "one", []byte("3"), Public)
	must(t, err)
	if err := three.Create(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a file: %v", err)
	}
	expect(t, dir, map[string]string{"one": "-rw------- 1"})
}

// A link in the place of a file is never followed, wherever it leads.
func TestLinks(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("mine"), 0o600))
	must(t, root.Mkdir("folder", 0o700))
	for name, target := range map[string]string{"out": outside, "in": "file", "dangling": "nothing", "up": "folder"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("mine"), 0o600))
	for _, name := range []string{"out", "in", "dangling", "up"} {
		if err := Create(root, name, []byte("new"), Public); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create over the link %s: %v", name, err)
		}
		must(t, Replace(root, name, []byte("new"), Public))
	}
	expect(t, dir, map[string]string{
		"out": "-rw-r--r-- new", "in": "-rw-r--r-- new", "dangling": "-rw-r--r-- new", "up": "-rw-r--r-- new",
		"file": "-rw------- mine", "folder": "drwx------",
	})
	if data, err := os.ReadFile(outside); err != nil || string(data) != "mine" {
		t.Errorf("outside holds %q, %v", data, err)
	}

	// A folder on the way that leads out of the root is refused.
	must(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "away")))
	if err := Replace(root, "away/outside", []byte("new"), Public); err == nil {
		t.Error("a link led out of the folder")
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "mine" {
		t.Errorf("outside holds %q, %v", data, err)
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	must(t, root.Mkdir("d", PrivateDir))
	must(t, Fill(root, "d", File{"key", []byte("half"), Public}))
	must(t, Fill(root, "d", File{"key", []byte("k"), Private}, File{"crt", []byte("c"), Public}))
	must(t, SyncAll(root, "d"))
	expect(t, dir, map[string]string{"d": "drwx------", "d/key": "-rw------- k", "d/crt": "-rw-r--r-- c"})

	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("mine"), 0o600))
	if os.Symlink(outside, filepath.Join(dir, "d", "link")) == nil {
		must(t, Fill(root, "d", File{"link", []byte("l"), Private}))
		if data, err := os.ReadFile(outside); err != nil || string(data) != "mine" {
			t.Errorf("outside holds %q, %v", data, err)
		}
	}
	if err := Fill(root, "no", File{"key", nil, Private}); err == nil {
		t.Error("filling a folder that is not there")
	}
	if err := SyncAll(root, "no"); err == nil {
		t.Error("syncing a folder that is not there")
	}
}

func TestReplaceDir(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	folder := func(name, text string) {
		t.Helper()
		must(t, root.Mkdir(name, PrivateDir))
		must(t, Fill(root, name, File{"f", []byte(text), Public}))
	}
	must(t, root.Mkdir("new", PrivateDir))
	must(t, root.Mkdir("all", PrivateDir))
	folder("new/a", "1")
	old, err := ReplaceDir(root, "new/a", "all/a")
	if old != "" || err != nil {
		t.Errorf("into a free place: %q, %v", old, err)
	}
	folder("new/a", "2")
	old, err = ReplaceDir(root, "new/a", "all/a")
	must(t, err)
	if data, err := root.ReadFile(old + "/f"); err != nil || string(data) != "1" {
		t.Errorf("the old one, at %q, holds %q, %v", old, data, err)
	}
	must(t, root.RemoveAll(old))
	expect(t, dir, map[string]string{"new": "drwx------", "all": "drwx------", "all/a": "drwx------", "all/a/f": "-rw-r--r-- 2"})
	if _, err := ReplaceDir(root, "new/nothing", "all/b"); err == nil {
		t.Error("nothing was moved")
	}
	if _, err := ReplaceDir(root, "new/nothing", "all/a"); err == nil {
		t.Error("nothing replaced something")
	}
	expect(t, dir, map[string]string{"new": "drwx------", "all": "drwx------", "all/a": "drwx------", "all/a/f": "-rw-r--r-- 2"})
}

func TestMoveDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	fill := func(name, text string) {
		t.Helper()
		must(t, os.MkdirAll(name, 0o700))
		must(t, os.WriteFile(filepath.Join(name, "f"), []byte(text), 0o600))
	}
	fill(from, "1")
	must(t, MoveDir(from, to))
	fill(from, "2")
	if err := MoveDir(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto a folder: %v", err)
	}
	must(t, os.Remove(filepath.Join(to, "f")))
	if err := MoveDir(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto an empty folder: %v", err)
	}
	expect(t, dir, map[string]string{"from": "drwx------", "from/f": "-rw------- 2", "to": "drwx------"})
}

// Of many who create one file, one wins, and its file is whole.
func TestCreateRace(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := ""
	for _, who := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		wg.Go(func() {
			text := strings.Repeat(who, 1000)
			err := Create(root, "file", []byte(text), Private)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && won != "":
				t.Error("two won")
			case err == nil:
				won = text
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	expect(t, dir, map[string]string{"file": "-rw------- " + won})
}

func TestIsTemp(t *testing.T) {
	t.Parallel()
	one, other := TempName(), TempName()
	if !IsTemp(one) || !IsTemp("a/"+other) || IsTemp("mtlsctl.yaml") || one == other {
		t.Error("temporary names are told by their beginning, and are each another")
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	_, err := os.Open(filepath.Join(t.TempDir(), "nothing"))
	if got := Reason(err); !errors.Is(got, fs.ErrNotExist) || strings.Contains(got.Error(), "nothing") {
		t.Errorf("Reason(%v) = %v", err, got)
	}
	err = os.Rename(filepath.Join(t.TempDir(), "nothing"), filepath.Join(t.TempDir(), "x"))
	if got := Reason(err); !errors.Is(got, fs.ErrNotExist) || strings.Contains(got.Error(), "nothing") {
		t.Errorf("Reason(%v) = %v", err, got)
	}
	if other := errors.New("x"); Reason(other) != other { //nolint:errorlint // the same one
		t.Error("another error changed")
	}
}
