// Package ledger is the record of everything that the authorities of a PKI
// directory ever signed: an SQLite database of public data, with each
// certificate as it was signed. No private key goes through it.
package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A Ledger is open on one database. It is safe for concurrent use, and many
// processes may have the same one open.
type Ledger struct{ db *sql.DB }

// Kinds of entries.
const (
	KindAuthority   = "authority"
	KindCertificate = "certificate"
)

// An Entry is one signed certificate.
type Entry struct {
	Name      string          // what the user calls it
	Kind      string          // KindAuthority or KindCertificate
	Profile   string          // the profile's name; "root" or "intermediate" for authorities
	Issuer    string          // the name of the authority that signed it; its own for a root
	Serial    string          // lower-case hexadecimal, two digits a byte
	Subject   string          // RFC 4514
	SANs      []string        // as in "DNS api.example.com"
	NotBefore time.Time       // UTC, whole seconds
	NotAfter  time.Time       // UTC, whole seconds
	IssuedAt  time.Time       // UTC, whole seconds
	Request   json.RawMessage // what was asked for, to ask for it again
	DER       []byte          // the certificate
	Current   bool            // this is the certificate that Name stands for now
	RevokedAt time.Time       // zero unless revoked
	Reason    int             // CRLReason, RFC 5280 section 5.3.1
}

// Status says what a certificate is good for.
type Status string

// The states of a certificate. One that was replaced, revoked and is over is
// reported as revoked.
const (
	Valid      Status = "valid"
	Pending    Status = "pending" // its time has not begun
	Expired    Status = "expired"
	Revoked    Status = "revoked"
	Superseded Status = "superseded" // another certificate has its name now
)

// Status returns the state of e at the moment now.
func (e *Entry) Status(now time.Time) Status {
	switch {
	case !e.RevokedAt.IsZero():
		return Revoked
	case now.After(e.NotAfter):
		return Expired
	case !e.Current:
		return Superseded
	case now.Before(e.NotBefore):
		return Pending
	}
	return Valid
}

// What goes wrong with a ledger.
var (
	ErrNewer    = errors.New("made by a newer version of mtlsctl")
	ErrNotFound = errors.New("not in the ledger")
	ErrExists   = errors.New("exists already")
	ErrFull     = errors.New("the disk is full")
	ErrReadOnly = errors.New("the ledger cannot be written to")
	ErrClosed   = errors.New("the ledger cannot be opened")
	ErrDamaged  = errors.New("the ledger is damaged")
)

// An ExistsError names what exists already. Its cause is [ErrExists].
type ExistsError struct {
	Name string
	Kind string // KindAuthority or KindCertificate
}

func (e *ExistsError) Error() string { return fmt.Sprintf("%s %q %v", e.Kind, e.Name, ErrExists) }

// Unwrap returns [ErrExists].
func (e *ExistsError) Unwrap() error { return ErrExists }

// busyTimeout is how long a statement waits for another process.
const busyTimeout = 5 * time.Second

// Create is [Open], and makes the ledger if there is none.
func Create(ctx context.Context, path string) (*Ledger, error) {
	return openToWrite(ctx, path, "rwc")
}

// Open opens the ledger at path to read and write, and brings its tables up to
// date. A ledger of a later version is [ErrNewer].
func Open(ctx context.Context, path string) (*Ledger, error) {
	return openToWrite(ctx, path, "rw")
}

func openToWrite(ctx context.Context, path, mode string) (*Ledger, error) {
	l, version, err := open(ctx, path, mode)
	if err != nil {
		return nil, err
	}
	if version < len(migrations) {
		err = l.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// OpenReadOnly opens the ledger at path to read. It makes and changes nothing,
// unless a process was killed while it wrote: what that one began is undone.
func OpenReadOnly(ctx context.Context, path string) (*Ledger, error) {
	l, version, err := open(ctx, path, "ro")
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code() == sqlite3.SQLITE_READONLY_ROLLBACK {
		return Open(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	if version < len(migrations) {
		if err := l.Close(); err != nil {
			return nil, err
		}
		return Open(ctx, path)
	}
	return l, nil
}

func open(ctx context.Context, path, mode string) (*Ledger, int, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, 0, err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs
	}
	// A rollback journal with full sync, SQLite's default, is durable at commit,
	// needs no shared memory, and leaves the whole ledger in one file. That the
	// journal stays, its head wiped, saves a sync of the folder.
	dsn := "file://" + (&url.URL{Path: abs}).EscapedPath() + "?mode=" + mode + "&_txlock=immediate" +
		fmt.Sprintf("&_pragma=busy_timeout(%d)", busyTimeout.Milliseconds())
	if mode != "ro" {
		dsn += "&_pragma=journal_mode(persist)"
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, 0, explain(err)
	}
	db.SetMaxOpenConns(1)
	l := &Ledger{db}
	var version int
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version > len(migrations) {
		err = fmt.Errorf("the ledger has format %d, and this program knows %d: %w", version, len(migrations), ErrNewer)
	}
	if err != nil {
		return nil, 0, errors.Join(explain(err), db.Close())
	}
	return l, version, nil
}

// Close closes the ledger.
func (l *Ledger) Close() error { return l.db.Close() }

// explain gives an error of SQLite the cause that a caller can tell.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("another process kept the ledger busy for %s: %w", busyTimeout, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("ledger: %w", err)
}
