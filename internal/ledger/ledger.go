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
	"time"

	"github.com/mtlsctl/mtlsctl/internal/sqlite"
)

// A Ledger is open on one database. It is safe for concurrent use, and many
// processes may have the same one open.
type Ledger struct {
	db       *sql.DB
	prepared sqlite.Prepared
	actor    Actor
}

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
	// Manifest is what a manifest said, for whoever wrote it there; nil unless it
	// came of one.
	Manifest  json.RawMessage
	RemovedAt time.Time // zero unless its name was taken from it by [Ledger.Remove]
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
	Removed    Status = "removed"    // it was removed, and its key with it
)

// Status returns the state of e at the moment now.
func (e *Entry) Status(now time.Time) Status {
	switch {
	case !e.RevokedAt.IsZero():
		return Revoked
	case now.After(e.NotAfter):
		return Expired
	case !e.RemovedAt.IsZero():
		return Removed
	case !e.Current:
		return Superseded
	case now.Before(e.NotBefore):
		return Pending
	}
	return Valid
}

// What goes wrong with a ledger.
var (
	ErrNotFound = errors.New("not in the ledger")
	ErrExists   = errors.New("exists already")
	ErrNewer    = sqlite.ErrNewer
	ErrFull     = sqlite.ErrFull
	ErrReadOnly = sqlite.ErrReadOnly
	ErrClosed   = sqlite.ErrClosed
	ErrDamaged  = sqlite.ErrDamaged
	ErrNoLocks  = sqlite.ErrNoLocks
)

// An ExistsError names what exists already. Its cause is [ErrExists].
type ExistsError struct {
	Name string
	Kind string // KindAuthority or KindCertificate
}

func (e *ExistsError) Error() string { return fmt.Sprintf("%s %q %v", e.Kind, e.Name, ErrExists) }

// Unwrap returns [ErrExists].
func (e *ExistsError) Unwrap() error { return ErrExists }

// Create is [Open], and makes the ledger if there is none.
func Create(ctx context.Context, path string) (*Ledger, error) {
	return open(ctx, path, sqlite.MakeIt)
}

// Open opens the ledger at path to read and write, and brings its tables up to
// date. A ledger of a later version is [ErrNewer].
func Open(ctx context.Context, path string) (*Ledger, error) {
	return open(ctx, path, sqlite.ReadWrite)
}

// OpenReadOnly opens the ledger at path to read. It makes and changes nothing,
// unless the ledger is of an earlier version, or a process was killed while it
// wrote: what that one began is undone.
func OpenReadOnly(ctx context.Context, path string) (*Ledger, error) {
	return open(ctx, path, sqlite.ReadOnly)
}

func open(ctx context.Context, path string, mode sqlite.Mode) (*Ledger, error) {
	db, err := schema().Open(ctx, path, mode)
	if err != nil {
		return nil, err
	}
	return &Ledger{db: db, actor: Actor{Now: func() time.Time { return time.Unix(0, 0) }}}, nil
}

// Close closes the ledger.
func (l *Ledger) Close() error { return errors.Join(l.prepared.Close(), l.db.Close()) }

// An Actor is who writes to a ledger, as its log says.
type Actor struct {
	Command string           // as in "issue"; no argument of it, and no secret
	Now     func() time.Time // the clock; not nil
}

// SetActor says who writes from now on. Until then the log names nobody, and the
// year 1970.
func (l *Ledger) SetActor(a Actor) { l.actor = a }

// update calls f in a transaction.
func (l *Ledger) update(ctx context.Context, f func(*sql.Tx) error) error {
	return schema().Update(ctx, l.db, f)
}

// explain gives an error of SQLite the cause that a caller can tell.
func explain(err error) error {
	return schema().Explain(err)
}

// each calls f for every row of a query.
func (l *Ledger) each(ctx context.Context, f func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return explain(err)
		}
	}
	return explain(rows.Err())
}
