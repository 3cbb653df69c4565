package keystore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/sqlite"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	must(t, os.WriteFile(path, nil, 0o600))
	return path
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return open1(t, newFile(t))
}

func open1(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func key(issuer, serial, text string) Key { return Key{ID{issuer, serial}, []byte(text)} }

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open1(t, path)
	must(t, s.Put(t.Context(), []Key{key("b/ca", "02", "two"), key("a/ca", "01", "one"), key("a/ca", "02", "other")}))
	must(t, s.Put(t.Context(), []Key{key("A/CA", "02", "three")})) // names are one whatever their case
	r, err := OpenReadOnly(t.Context(), path)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	for _, tt := range []struct{ issuer, serial, want string }{
		{"a/ca", "01", "one"}, {"a/ca", "02", "three"}, {"b/ca", "02", "two"}, {"B/ca", "02", "two"}, {"a/ca", "03", ""}, {"c/ca", "01", ""},
	} {
		got, err := r.Get(t.Context(), ID{tt.issuer, tt.serial})
		if string(got) != tt.want || errors.Is(err, ErrNotFound) != (tt.want == "") {
			t.Errorf("Get(%s, %s) = %q, %v", tt.issuer, tt.serial, got, err)
		}
	}
	must(t, s.Delete(t.Context(), []ID{{"A/ca", "01"}, {"nobody", "01"}}))
	var left []ID
	must(t, r.Each(t.Context(), func(id ID) error { left = append(left, id); return nil }))
	if diff := cmp.Diff([]ID{{"A/CA", "02"}, {"b/ca", "02"}}, left); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	if err := s.Each(t.Context(), func(ID) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Each went on after an error: %v", err)
	}
}

// Of a key that was deleted nothing is left on the disk, in the journal neither,
// and the journal is nobody else's to read.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open1(t, path)
	secret := bytes.Repeat([]byte("secret!"), 30)
	must(t, s.Put(t.Context(), []Key{{ID{"a", "01"}, secret}, key("a", "02", "other")}))
	if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, secret) {
		t.Fatalf("the key is not where it is looked for: %v", err)
	}
	must(t, s.Delete(t.Context(), []ID{{"a", "01"}}))
	files, err := filepath.Glob(path + "*")
	must(t, err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		must(t, err)
		if bytes.Contains(data, []byte("secret!")) {
			t.Errorf("%s has the key still", f)
		}
		info, err := os.Stat(f)
		must(t, err)
		if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %o", f, info.Mode().Perm())
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "keys.db")
	if _, err := Open(t.Context(), missing); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("Open made what is not there: %v", err)
	}
	if _, err := os.Lstat(missing); err == nil {
		t.Error("there is a file")
	}
	garbage := newFile(t)
	must(t, os.WriteFile(garbage, bytes.Repeat([]byte("no database "), 100), 0o600))
	if _, err := OpenReadOnly(t.Context(), garbage); !errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("garbage: %v", err)
	}
	// One key that is wrong: none is kept.
	s := newStore(t)
	if err := s.Put(t.Context(), []Key{key("a", "01", "one"), {ID: ID{"a", "02"}}}); err == nil {
		t.Error("a key that is none was kept")
	}
	if _, err := s.Get(t.Context(), ID{"a", "01"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("kept in part: %v", err)
	}
}
