package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Record writes entries, all of them or none, and returns when they are
// durable. Each becomes the current certificate of its name. A name that has
// one already is an [*ExistsError], unless replace says that the old one is
// superseded.
func (l *Ledger) Record(ctx context.Context, entries []Entry, replace bool) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to undo after a commit
	insert, err := tx.PrepareContext(ctx, `INSERT INTO certificates
		(name, kind, profile, issuer, serial, subject, sans, not_before, not_after, issued_at, request, der, current)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`)
	if err != nil {
		return explain(err)
	}
	for i := range entries {
		e := &entries[i]
		if replace {
			_, err = tx.ExecContext(ctx, "UPDATE certificates SET current = 0 WHERE name = ? AND current = 1", e.Name)
		} else {
			var taken ExistsError
			err = tx.QueryRowContext(ctx, "SELECT name, kind FROM certificates WHERE name = ? AND current = 1", e.Name).Scan(&taken.Name, &taken.Kind)
			if err == nil {
				return &taken
			}
			if errors.Is(err, sql.ErrNoRows) {
				err = nil
			}
		}
		if err != nil {
			return explain(err)
		}
		sans, err := json.Marshal(e.SANs)
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, e.Name, e.Kind, e.Profile, e.Issuer, e.Serial, e.Subject, string(sans),
			e.NotBefore.Unix(), e.NotAfter.Unix(), e.IssuedAt.Unix(), string(e.Request), e.DER); err != nil {
			return explain(err)
		}
	}
	return explain(tx.Commit())
}

// Abandon takes the name from a certificate that was recorded and then never
// left the process; it stays on record. The name goes back to the certificate
// with the serial inPlace, if there is one.
func (l *Ledger) Abandon(ctx context.Context, e *Entry, inPlace string) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to undo after a commit
	if _, err := tx.ExecContext(ctx, "UPDATE certificates SET current = 0 WHERE issuer = ? AND serial = ?", e.Issuer, e.Serial); err != nil {
		return explain(err)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE certificates SET current = 1 WHERE name = ? AND serial = ?", e.Name, inPlace); err != nil {
		return explain(err)
	}
	return explain(tx.Commit())
}

const columns = `name, kind, profile, issuer, serial, subject, sans,
	not_before, not_after, issued_at, request, der, current, revoked_at, reason`

// A Filter chooses entries. Its zero value chooses the current ones.
type Filter struct {
	Name   string    // this name only
	Issuer string    // signed by this authority only
	Ending time.Time // ending at this moment or before; zero for whenever
	All    bool      // superseded ones too
}

// Each calls f for every chosen entry, in the order in which they were signed.
// It stops at the first error and returns it.
func (l *Ledger) Each(ctx context.Context, filter Filter, f func(*Entry) error) (err error) {
	query, args := "SELECT "+columns+" FROM certificates WHERE 1 = 1", []any{}
	where := func(clause string, arg ...any) {
		query += " AND " + clause
		args = append(args, arg...)
	}
	if !filter.All {
		where("current = 1")
	}
	if filter.Name != "" {
		where("name = ?", filter.Name)
	}
	if filter.Issuer != "" {
		where("issuer = ?", filter.Issuer)
	}
	if !filter.Ending.IsZero() {
		where("not_after <= ?", filter.Ending.Unix())
	}
	rows, err := l.db.QueryContext(ctx, query+" ORDER BY id", args...)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return explain(rows.Err())
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

func (l *Ledger) one(ctx context.Context, where string, args ...any) (*Entry, error) {
	e, err := scan(l.db.QueryRowContext(ctx, "SELECT "+columns+" FROM certificates WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%v %w", args[len(args)-1], ErrNotFound)
	}
	return e, err
}

func scan(row interface{ Scan(...any) error }) (*Entry, error) {
	var e Entry
	var sans, request string
	var notBefore, notAfter, issuedAt int64
	var revokedAt, reason sql.NullInt64
	if err := row.Scan(&e.Name, &e.Kind, &e.Profile, &e.Issuer, &e.Serial, &e.Subject, &sans,
		&notBefore, &notAfter, &issuedAt, &request, &e.DER, &e.Current, &revokedAt, &reason); err != nil {
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
	return &e, nil
}

func fromUnix(s int64) time.Time { return time.Unix(s, 0).UTC() }
