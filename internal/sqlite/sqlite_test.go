package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func schema() *Schema {
	return &Schema{Name: "the list", Migrations: []string{"CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT;", "CREATE TABLE b (x INTEGER) STRICT;"}}
}

func TestOpenAndUpdate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.db")
	if _, err := schema().Open(t.Context(), path, ReadWrite); !errors.Is(err, ErrClosed) || !strings.HasPrefix(err.Error(), "the list cannot be opened: ") {
		t.Errorf("what is not there: %v", err)
	}
	db, err := schema().Open(t.Context(), path, MakeIt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // of a test
	insert := func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO a VALUES (1)")
		return err
	}
	stop := errors.New("stop")
	if err := schema().Update(t.Context(), db, func(tx *sql.Tx) error { return errors.Join(insert(tx), stop) }); !errors.Is(err, stop) {
		t.Errorf("Update = %v", err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM a").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d, %v: what failed was not undone", n, err)
	}
	if err := schema().Update(t.Context(), db, insert); err != nil {
		t.Error(err)
	}
	if err := schema().Update(t.Context(), db, insert); !IsTaken(err) {
		t.Errorf("twice: %v", err)
	}
	if IsTaken(stop) || IsTaken(nil) {
		t.Error("anything is taken")
	}

	ro, err := schema().Open(t.Context(), path, ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close() //nolint:errcheck // of a test
	if _, err := ro.ExecContext(t.Context(), "INSERT INTO a VALUES (2)"); !errors.Is(schema().Explain(err), ErrReadOnly) {
		t.Errorf("written to what is read only: %v", err)
	}
	older := &Schema{Name: "the list", Migrations: schema().Migrations[:1]}
	if _, err := older.Open(t.Context(), path, ReadOnly); !errors.Is(err, ErrNewer) || err.Error() != "the list has format 2, and this program knows 1: made by a newer version of mtlsctl" {
		t.Errorf("a later version: %v", err)
	}
}

func TestPrepared(t *testing.T) {
	t.Parallel()
	db, err := schema().Open(t.Context(), filepath.Join(t.TempDir(), "list.db"), MakeIt)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // of a test
	var p Prepared
	first, err := p.Get(t.Context(), db, "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Get(t.Context(), db, "SELECT 1"); err != nil || again != first {
		t.Errorf("prepared again: %v", err)
	}
	if _, err := p.Get(t.Context(), db, "SELECT nothing"); err == nil {
		t.Error("what is no statement was prepared")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if again, err := p.Get(t.Context(), db, "SELECT 1"); err != nil || again == first {
		t.Errorf("a closed one is used: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
