package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.db")
	s := &Schema{Name: "the list", Migrations: []string{"CREATE TABLE a (x TEXT) STRICT; CREATE INDEX i ON a (x);"}}
	db, err := s.Open(t.Context(), path, MakeIt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO a VALUES (?)", fmt.Sprintf("%0100d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(Check(t.Context(), db), db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[len(data)/2:], bytes.Repeat([]byte{0xff}, 4096))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err = s.Open(t.Context(), path, ReadOnly); err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // of a test
	if err := s.Explain(Check(t.Context(), db)); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v; want %v", err, ErrDamaged)
	}
}
