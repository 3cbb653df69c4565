// Package sqlite opens the databases of a PKI directory, brings their tables up
// to date, and says in the project's own terms what went wrong with one. What is
// in them is their owners' business.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What goes wrong with a database.
var (
	ErrNewer    = errors.New("made by a newer version of mtlsctl")
	ErrFull     = errors.New("the disk is full")
	ErrReadOnly = errors.New("cannot be written to")
	ErrClosed   = errors.New("cannot be opened")
	ErrDamaged  = errors.New("is damaged")
	ErrNoLocks  = errors.New("cannot be locked")
)

// A Schema is what a kind of database holds.
type Schema struct {
	Name string // as messages say it: "the ledger"
	// Migrations bring the tables from one version to the next; the number of
	// those done is the database's user_version.
	Migrations []string
	// Secret says that nothing that was deleted may stay in the file or in its
	// journal.
	Secret bool
}

// A Mode says what a database is opened for.
type Mode string

// The modes, as SQLite calls them.
const (
	ReadOnly  Mode = "ro"
	ReadWrite Mode = "rw"
	MakeIt    Mode = "rwc"
)

// busyTimeout is how long a statement waits for another process.
const busyTimeout = 5 * time.Second

// cacheKiB is how much of a database is kept in memory: serials are random, so
// what is recorded in bulk goes to all pages of an index.
const cacheKiB = 12 << 10

// journalBytes is how much of a journal stays after a large transaction.
const journalBytes = 1 << 20

// Open opens the database at path and brings its tables up to date, also when it
// is opened to read only. Errors are explained: see [Schema.Explain]; one of a
// later version is [ErrNewer].
//
// Who only reads makes and changes nothing, unless a process was killed while it
// wrote: what that one began is undone.
func (s *Schema) Open(ctx context.Context, path string, mode Mode) (*sql.DB, error) {
	db, version, err := s.OpenAsIs(ctx, path, mode)
	var e *sqlite.Error
	if mode == ReadOnly && errors.As(err, &e) && e.Code() == sqlite3.SQLITE_READONLY_ROLLBACK {
		return s.Open(ctx, path, ReadWrite)
	}
	if err != nil {
		return nil, err
	}
	if version == len(s.Migrations) {
		return db, nil
	}
	if mode == ReadOnly {
		if err := db.Close(); err != nil {
			return nil, err
		}
		return s.Open(ctx, path, ReadWrite)
	}
	if err := s.migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// OpenAsIs is [Schema.Open] without bringing anything up to date. It returns the
// version of the tables.
func (s *Schema) OpenAsIs(ctx context.Context, path string, mode Mode) (*sql.DB, int, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, 0, err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs
	}
	// A rollback journal with full sync, SQLite's default, is durable at commit,
	// needs no shared memory, and leaves the whole database in one file. That the
	// journal stays, its head wiped, saves a sync of the folder; but then it holds
	// what was there before.
	dsn := "file://" + (&url.URL{Path: abs}).EscapedPath() + "?mode=" + string(mode) + "&_txlock=immediate" +
		fmt.Sprintf("&_pragma=busy_timeout(%d)&_pragma=cache_size(-%d)", busyTimeout.Milliseconds(), cacheKiB)
	switch {
	case mode == ReadOnly:
	case s.Secret:
		dsn += "&_pragma=secure_delete(1)&_pragma=journal_mode(truncate)"
	default:
		dsn += fmt.Sprintf("&_pragma=journal_mode(persist)&_pragma=journal_size_limit(%d)", journalBytes)
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, 0, s.Explain(err)
	}
	db.SetMaxOpenConns(1)
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version > len(s.Migrations) {
		err = fmt.Errorf("%s has format %d, and this program knows %d: %w", s.Name, version, len(s.Migrations), ErrNewer)
	}
	if err != nil {
		return nil, 0, errors.Join(s.Explain(err), db.Close())
	}
	return db, version, nil
}

func (s *Schema) migrate(ctx context.Context, db *sql.DB) error {
	return s.Update(ctx, db, func(tx *sql.Tx) error {
		// Another process may have been faster.
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		for ; version < len(s.Migrations); version++ {
			if _, err := tx.ExecContext(ctx, s.Migrations[version]); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}

// Update calls f in a transaction, which is durable when Update returns nil, and
// undone if there is an error. Errors are explained.
func (s *Schema) Update(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return s.Explain(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to undo after a commit
	if err := f(tx); err != nil {
		return s.Explain(err)
	}
	return s.Explain(tx.Commit())
}

// Explain gives an error of SQLite the cause that a caller can tell; other errors
// stay as they are.
func (s *Schema) Explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, known := range []error{ErrFull, ErrReadOnly, ErrClosed, ErrDamaged, ErrNoLocks} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch e.Code() {
	case sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK:
		return fmt.Errorf("%s %w: %w", s.Name, ErrNoLocks, err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%s %w: %w", s.Name, ErrReadOnly, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s %w: %w", s.Name, ErrClosed, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another process kept %s busy for %s: %w", s.Name, busyTimeout, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s %w: %w", s.Name, ErrDamaged, err)
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(s.Name, "the "), err)
}

// IsTaken reports whether err says that what was to be unique is there already.
func IsTaken(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}
