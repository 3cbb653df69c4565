package ledger

import (
	"context"
	"database/sql"
	"strconv"
	"time"
)

// An Action is what the log says was done.
type Action string

// The actions.
const (
	ActionIssue    Action = "issue"
	ActionImport   Action = "import"
	ActionAbandon  Action = "abandon"  // recorded, and lost before it had left the process
	ActionRemove   Action = "remove"   // its name was taken from it, and its key deleted
	ActionAmend    Action = "amend"    // its manifest changed, and it stays
	ActionRevoke   Action = "revoke"   // Detail is the CRLReason
	ActionUnrevoke Action = "unrevoke" // a hold was lifted
	ActionCRL      Action = "crl"      // Detail is the number
	ActionPasswd   Action = "passwd"   // an authority's key file; Detail is added, changed or removed, of its passphrase
	ActionBackup   Action = "backup"   // of all of it; Detail says whether with keys
	ActionFinish   Action = "finish"   // the change-over to an authority's new key is over; Detail is its name
	ActionRestore  Action = "restore"  // all of it came of a backup; Detail is when that was made
)

// A LogEntry is one thing that was done, recorded together with it.
type LogEntry struct {
	At      time.Time // UTC, whole seconds
	Command string    // see [Actor]
	Action  Action
	Name    string // of the certificate, or of the authority whose CRL it is
	Issuer  string // empty for a CRL
	Serial  string // empty for a CRL
	Detail  string
}

// A LogFilter chooses entries of the log. Its zero value chooses all.
type LogFilter struct {
	Since time.Time // at this moment or later; zero for whenever
	Name  string    // about this certificate or authority only, in whatever case
}

// EachLog calls f for what was done, the oldest first. It stops at the first
// error and returns it. f may take its time, and may use the ledger: others can
// write meanwhile, and what they do comes last.
func (l *Ledger) EachLog(ctx context.Context, filter LogFilter, f func(*LogEntry) error) error {
	query, args := "SELECT id, at, command, action, name, issuer, serial, detail FROM log WHERE id > ?", []any{int64(0)}
	if !filter.Since.IsZero() {
		query += " AND at >= ?"
		args = append(args, filter.Since.Unix())
	}
	if filter.Name != "" {
		query += " AND name = ? COLLATE NOCASE"
		args = append(args, filter.Name)
	}
	query += " ORDER BY id LIMIT " + strconv.Itoa(pageSize)
	return pages(func(yield func(*LogEntry)) error {
		return l.each(ctx, func(rows *sql.Rows) error {
			var e LogEntry
			var id, at int64
			if err := rows.Scan(&id, &at, &e.Command, &e.Action, &e.Name, &e.Issuer, &e.Serial, &e.Detail); err != nil {
				return err
			}
			args[0], e.At = id, fromUnix(at)
			yield(&e)
			return nil
		}, query, args...)
	}, f)
}

// Note logs what was done to no certificate in particular.
func (l *Ledger) Note(ctx context.Context, action Action, detail string) error {
	return l.update(ctx, func(tx *sql.Tx) error { return l.log(ctx, tx, action, &Entry{}, detail) })
}

func (l *Ledger) log(ctx context.Context, tx *sql.Tx, action Action, e *Entry, detail string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO log (at, command, action, name, issuer, serial, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
		l.actor.Now().Unix(), l.actor.Command, action, e.Name, e.Issuer, e.Serial, detail)
	return err
}

// logSince logs one action for each certificate with an id above last.
func (l *Ledger) logSince(ctx context.Context, tx *sql.Tx, action Action, last int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO log (at, command, action, name, issuer, serial, detail)
		SELECT ?, ?, ?, name, issuer, serial, '' FROM certificates WHERE id > ? ORDER BY id`,
		l.actor.Now().Unix(), l.actor.Command, action, last)
	return err
}
