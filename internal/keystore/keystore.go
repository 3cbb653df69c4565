// Package keystore keeps private keys in bulk, in one file instead of one each:
// an SQLite database of keys as bytes, by the certificate that they belong to. It
// cannot read a key; what a key is for, the ledger says.
package keystore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/sqlite"
)

// ErrNotFound says that there is no such key.
var ErrNotFound = errors.New("not among the keys")

// An ID says to which certificate a key belongs.
type ID struct {
	Issuer string // the name of the authority; in whatever case
	Serial string // as the ledger has it
}

// A Key is a private key in PKCS#8, not encrypted.
type Key struct {
	ID
	PKCS8 []byte
}

// A Store is open on one file of keys. It is safe for concurrent use, and many
// processes may have the same one open.
type Store struct {
	db       *sql.DB
	prepared sqlite.Prepared
}

// migrations are append-only.
var migrations = []string{
	`CREATE TABLE keys (
		issuer TEXT NOT NULL COLLATE NOCASE,
		serial TEXT NOT NULL,
		pkcs8  BLOB NOT NULL,
		PRIMARY KEY (issuer, serial)
	) STRICT, WITHOUT ROWID;`,
}

func schema() *sqlite.Schema {
	return &sqlite.Schema{Name: "the file of keys", Migrations: migrations, Secret: true}
}

// Open opens the file of keys at path to read and write. An empty file is one
// without keys; its mode, which is that of its journal, too, is the caller's to
// choose. A file that is not there is [sqlite.ErrClosed].
func Open(ctx context.Context, path string) (*Store, error) { return open(ctx, path, sqlite.ReadWrite) }

// OpenReadOnly opens the file of keys at path to read.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, sqlite.ReadOnly)
}

func open(ctx context.Context, path string, mode sqlite.Mode) (*Store, error) {
	db, err := schema().Open(ctx, path, mode)
	if err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return errors.Join(s.prepared.Close(), s.db.Close()) }

// Put keeps keys, all of them or none, each in place of what has its ID, and
// returns when they are durable.
func (s *Store) Put(ctx context.Context, keys []Key) error {
	return s.update(ctx, "INSERT OR REPLACE INTO keys (issuer, serial, pkcs8) VALUES (?, ?, ?)", func(do *sql.Stmt) error {
		for i := range keys {
			if _, err := do.ExecContext(ctx, keys[i].Issuer, keys[i].Serial, keys[i].PKCS8); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete forgets keys, all of them or none, and returns when nothing is left of
// them in the file. One that is not there is none less.
func (s *Store) Delete(ctx context.Context, ids []ID) error {
	return s.update(ctx, "DELETE FROM keys WHERE issuer = ? AND serial = ?", func(do *sql.Stmt) error {
		for _, id := range ids {
			if _, err := do.ExecContext(ctx, id.Issuer, id.Serial); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) update(ctx context.Context, query string, f func(*sql.Stmt) error) error {
	return schema().Update(ctx, s.db, func(tx *sql.Tx) error {
		do, err := tx.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		defer do.Close() //nolint:errcheck // the transaction says what went wrong
		return f(do)
	})
}

// Get returns a key, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, id ID) (pkcs8 []byte, err error) {
	find, err := s.prepared.Get(ctx, s.db, "SELECT pkcs8 FROM keys WHERE issuer = ? AND serial = ?")
	if err == nil {
		err = find.QueryRowContext(ctx, id.Issuer, id.Serial).Scan(&pkcs8)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s of %q: %w", id.Serial, id.Issuer, ErrNotFound)
	}
	return pkcs8, schema().Explain(err)
}

// Each calls f for every key that is kept, without reading it. It stops at the
// first error and returns it. f must not use the store.
func (s *Store) Each(ctx context.Context, f func(ID) error) (err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT issuer, serial FROM keys ORDER BY issuer, serial")
	if err != nil {
		return schema().Explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id ID
		if err := rows.Scan(&id.Issuer, &id.Serial); err != nil {
			return schema().Explain(err)
		}
		if err := f(id); err != nil {
			return err
		}
	}
	return schema().Explain(rows.Err())
}

// Check reads the whole file and finds out whether it holds together. One that
// does not is [sqlite.ErrDamaged].
func (s *Store) Check(ctx context.Context) error {
	return schema().Explain(sqlite.Check(ctx, s.db))
}
