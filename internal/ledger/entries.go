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

// Record writes entries, all of them or none, and returns when they are
// durable. Each that says so becomes the current certificate of its name. A name
// that has one already is an [*ExistsError], unless replace says that the old one
// is superseded.
func (l *Ledger) Record(ctx context.Context, entries []Entry, replace bool) error {
	return l.RecordEach(ctx, ActionIssue, len(entries), func(i int) (*Entry, bool) { return &entries[i], replace })
}

// RecordEach is [Ledger.Record] for the n entries that at returns, each with
// whether it replaces. The log calls it action. What is imported is revoked if
// [Ledger.Adopt] was told so.
func (l *Ledger) RecordEach(ctx context.Context, action Action, n int, at func(int) (e *Entry, replace bool)) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		var last int64
		if err := tx.QueryRowContext(ctx, "SELECT ifnull(max(id), 0) FROM certificates").Scan(&last); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, `INSERT INTO certificates
			(name, kind, profile, issuer, serial, subject, sans, not_before, not_after, issued_at, request, der, manifest, current)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close() //nolint:errcheck // the transaction says what went wrong
		supersede, err := tx.PrepareContext(ctx, "UPDATE certificates SET current = 0 WHERE name = ? AND current = 1")
		if err != nil {
			return err
		}
		defer supersede.Close() //nolint:errcheck // the transaction says what went wrong
		for i := range n {
			e, replace := at(i)
			if replace {
				if _, err := supersede.ExecContext(ctx, e.Name); err != nil {
					return err
				}
			}
			sans, err := json.Marshal(e.SANs)
			if err != nil {
				return err
			}
			_, err = insert.ExecContext(ctx, e.Name, e.Kind, e.Profile, e.Issuer, e.Serial, e.Subject, string(sans),
				e.NotBefore.Unix(), e.NotAfter.Unix(), e.IssuedAt.Unix(), string(e.Request), e.DER, orNull(e.Manifest), e.Current)
			if err != nil {
				return whyTaken(ctx, tx, e, err)
			}
		}
		if action == ActionImport {
			if err := settleRevocations(ctx, tx, last); err != nil {
				return err
			}
		}
		return l.logSince(ctx, tx, action, last)
	})
}

// whyTaken returns what an insert failed of: a name that has a certificate
// already is an [*ExistsError].
func whyTaken(ctx context.Context, tx *sql.Tx, e *Entry, err error) error {
	if !sqlite.IsTaken(err) {
		return err
	}
	var taken ExistsError
	row := tx.QueryRowContext(ctx, "SELECT name, kind FROM certificates WHERE name = ? AND current = 1", e.Name)
	if row.Scan(&taken.Name, &taken.Kind) == nil {
		return &taken
	}
	return err
}

func orNull(text json.RawMessage) any {
	if text == nil {
		return nil
	}
	return string(text)
}

// Abandon takes the name from a certificate that was recorded and then never
// left the process; it stays on record. The name goes back to the certificate
// with the serial inPlace, if there is one.
func (l *Ledger) Abandon(ctx context.Context, e *Entry, inPlace string) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE certificates SET current = 0 WHERE issuer = ? AND serial = ?", e.Issuer, e.Serial); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE certificates SET current = 1 WHERE name = ? AND serial = ?", e.Name, inPlace); err != nil {
			return err
		}
		return l.log(ctx, tx, ActionAbandon, e, "")
	})
}

// Remove takes the names from current certificates, which stay on record as
// [Removed], and leaves the names free; all of them or none. One that is not
// current is [ErrNotFound].
func (l *Ledger) Remove(ctx context.Context, entries []Entry) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		remove, err := tx.PrepareContext(ctx, "UPDATE certificates SET current = 0, removed_at = ? WHERE issuer = ? AND serial = ? AND current = 1")
		if err != nil {
			return err
		}
		defer remove.Close() //nolint:errcheck // the transaction says what went wrong
		for i := range entries {
			e := &entries[i]
			if err := changedOne(remove.ExecContext(ctx, l.actor.Now().Unix(), e.Issuer, e.Serial))(e.Name); err != nil {
				return err
			}
			if err := l.log(ctx, tx, ActionRemove, e, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// Restore makes a certificate on record the current one of its name again, with
// the manifest that e has. A name that has another one is an [*ExistsError],
// unless replace says that it is superseded.
func (l *Ledger) Restore(ctx context.Context, e *Entry, replace bool) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		if replace {
			if _, err := tx.ExecContext(ctx, "UPDATE certificates SET current = 0 WHERE name = ? AND current = 1", e.Name); err != nil {
				return err
			}
		}
		done, err := tx.ExecContext(ctx, `UPDATE certificates SET current = 1, removed_at = NULL, manifest = ?
			WHERE issuer = ? AND serial = ?`, orNull(e.Manifest), e.Issuer, e.Serial)
		if err := changedOne(done, err)(e.Name); err != nil {
			return whyTaken(ctx, tx, e, err)
		}
		return l.log(ctx, tx, ActionImport, e, "")
	})
}

// A ManifestOf is what a manifest says now of a certificate that stays.
type ManifestOf struct {
	Name     string
	Manifest json.RawMessage
}

// Amend writes what manifests say of current certificates, all of it or nothing.
// A name that stands for none is [ErrNotFound].
func (l *Ledger) Amend(ctx context.Context, changes []ManifestOf) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		amend, err := tx.PrepareContext(ctx, "UPDATE certificates SET manifest = ? WHERE name = ? AND current = 1 RETURNING issuer, serial")
		if err != nil {
			return err
		}
		defer amend.Close() //nolint:errcheck // the transaction says what went wrong
		for _, c := range changes {
			e := Entry{Name: c.Name}
			err := amend.QueryRowContext(ctx, orNull(c.Manifest), c.Name).Scan(&e.Issuer, &e.Serial)
			if errors.Is(err, sql.ErrNoRows) {
				err = fmt.Errorf("%q %w", c.Name, ErrNotFound)
			}
			if err != nil {
				return err
			}
			if err := l.log(ctx, tx, ActionAmend, &e, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// changedOne takes the result of a statement and returns a function that says
// which name it changed nothing for.
func changedOne(done sql.Result, err error) func(name string) error {
	return func(name string) error {
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("%q %w", name, ErrNotFound), err)
		}
		return nil
	}
}

const columns = `name, kind, profile, issuer, serial, subject, sans,
	not_before, not_after, issued_at, request, der, current, revoked_at, reason, manifest, removed_at`

// A Filter chooses entries. Its zero value chooses the current ones.
type Filter struct {
	Name       string    // this name only
	Kind       string    // KindAuthority or KindCertificate only
	Issuer     string    // signed by this authority only
	Ending     time.Time // ending at this moment or before; zero for whenever
	Namespaced bool      // those whose name has a namespace only
	All        bool      // superseded and removed ones too
}

// Each calls f for every chosen entry, in the order in which they were signed.
// It stops at the first error and returns it. f must not use the ledger.
func (l *Ledger) Each(ctx context.Context, filter Filter, f func(*Entry) error) error {
	where, args := filter.where()
	return l.each(ctx, func(rows *sql.Rows) error {
		e, err := scan(rows)
		if err != nil {
			return err
		}
		return f(e)
	}, "SELECT "+columns+" FROM certificates WHERE 1 = 1"+where+" ORDER BY id", args...)
}

// where returns the clauses of a query, each after an AND, and its arguments.
func (filter *Filter) where() (clauses string, args []any) {
	where := func(clause string, arg ...any) {
		clauses += " AND " + clause
		args = append(args, arg...)
	}
	if !filter.All {
		where("current = 1")
	}
	if filter.Name != "" {
		where("name = ?", filter.Name)
	}
	switch filter.Kind {
	case KindAuthority: // as the index says it
		where("kind = 'authority'")
	case KindCertificate:
		where("kind = 'certificate'")
	}
	if filter.Issuer != "" {
		where("issuer = ?", filter.Issuer)
	}
	if !filter.Ending.IsZero() {
		where("not_after <= ?", filter.Ending.Unix())
	}
	if filter.Namespaced {
		where("instr(name, '/') > 0")
	}
	return clauses, args
}

// Current returns the certificate that name stands for, or [ErrNotFound].
func (l *Ledger) Current(ctx context.Context, name string) (*Entry, error) {
	return l.one(ctx, "name = ? AND current = 1", name)
}

// BySerial returns the certificate that an authority signed under a serial, or
// [ErrNotFound].
func (l *Ledger) BySerial(ctx context.Context, issuer, serial string) (*Entry, error) {
	return l.one(ctx, "issuer = ? AND serial = ?", issuer, serial)
}

// A Holder is the certificate that has a name now.
type Holder struct{ Name, Kind, Issuer, Serial string }

// Holders returns, for each of names, the certificate that it stands for; one
// that has no Name means that there is none.
func (l *Ledger) Holders(ctx context.Context, names []string) ([]Holder, error) {
	holders := make([]Holder, len(names))
	find, err := l.prepared.Get(ctx, l.db, "SELECT name, kind, issuer, serial FROM certificates WHERE name = ? AND current = 1")
	if err != nil {
		return nil, explain(err)
	}
	for i, name := range names {
		h := &holders[i]
		if err = find.QueryRowContext(ctx, name).Scan(&h.Name, &h.Kind, &h.Issuer, &h.Serial); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, explain(err)
		}
	}
	return holders, nil
}

// Names calls f with the name of every current entry of a kind, sorted.
func (l *Ledger) Names(ctx context.Context, kind string, f func(string) error) error {
	query := "SELECT name FROM certificates INDEXED BY certificates_by_name WHERE current = 1 AND kind = ? ORDER BY name"
	args := []any{kind}
	if kind == KindAuthority {
		query, args = "SELECT name FROM certificates INDEXED BY certificates_authorities WHERE kind = 'authority' AND current = 1 ORDER BY name", nil
	}
	return l.each(ctx, func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		return f(name)
	}, query, args...)
}

func (l *Ledger) one(ctx context.Context, where string, args ...any) (*Entry, error) {
	find, err := l.prepared.Get(ctx, l.db, "SELECT "+columns+" FROM certificates WHERE "+where)
	if err != nil {
		return nil, explain(err)
	}
	e, err := scan(find.QueryRowContext(ctx, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%v %w", args[len(args)-1], ErrNotFound)
	}
	return e, err
}

func scan(row interface{ Scan(...any) error }) (*Entry, error) {
	var e Entry
	var sans, request string
	var notBefore, notAfter, issuedAt int64
	var revokedAt, reason, removedAt sql.NullInt64
	var manifest sql.NullString
	if err := row.Scan(&e.Name, &e.Kind, &e.Profile, &e.Issuer, &e.Serial, &e.Subject, &sans,
		&notBefore, &notAfter, &issuedAt, &request, &e.DER, &e.Current, &revokedAt, &reason, &manifest, &removedAt); err != nil {
		return nil, explain(err)
	}
	if err := json.Unmarshal([]byte(sans), &e.SANs); err != nil {
		return nil, fmt.Errorf("ledger: names of %q: %w", e.Name, err)
	}
	e.NotBefore, e.NotAfter, e.IssuedAt = fromUnix(notBefore), fromUnix(notAfter), fromUnix(issuedAt)
	e.Request, e.Reason = json.RawMessage(request), int(reason.Int64)
	if revokedAt.Valid {
		e.RevokedAt = fromUnix(revokedAt.Int64)
	}
	if manifest.Valid {
		e.Manifest = json.RawMessage(manifest.String)
	}
	if removedAt.Valid {
		e.RemovedAt = fromUnix(removedAt.Int64)
	}
	return &e, nil
}

func fromUnix(s int64) time.Time { return time.Unix(s, 0).UTC() }
