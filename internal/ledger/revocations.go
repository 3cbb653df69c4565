package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrRevoked says that a certificate is revoked already.
var ErrRevoked = errors.New("revoked already")

// ErrNotOnHold says that a certificate is not revoked, or for good.
var ErrNotOnHold = errors.New("not on hold")

// A CRL is one that an authority published.
type CRL struct {
	Issuer     string    // the authority's name
	Number     int64     // grows with every CRL of the issuer
	ThisUpdate time.Time // UTC, whole seconds
	NextUpdate time.Time // UTC, whole seconds
	Entries    int       // how many certificates it lists
}

// A Change is a certificate's new state of revocation.
type Change struct {
	Issuer, Serial string
	At             time.Time // zero: the revocation is taken back
	Reason         int       // CRLReason, RFC 5280 section 5.3.1
}

// LastCRL returns the latest CRL of an authority; one with the number 0 means
// that there is none.
func (l *Ledger) LastCRL(ctx context.Context, issuer string) (CRL, error) {
	c := CRL{Issuer: issuer}
	var this, next int64
	err := l.db.QueryRowContext(ctx, `SELECT number, this_update, next_update, entries FROM crls
		WHERE issuer = ? ORDER BY number DESC LIMIT 1`, issuer).Scan(&c.Number, &this, &next, &c.Entries)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	c.ThisUpdate, c.NextUpdate = fromUnix(this), fromUnix(next)
	return c, explain(err)
}

// Revocations calls f for the revoked certificates of an authority that had not
// ended before the moment since, in the order in which they were signed.
func (l *Ledger) Revocations(ctx context.Context, issuer string, since time.Time, f func(serial string, at time.Time, reason int) error) (err error) {
	rows, err := l.db.QueryContext(ctx, `SELECT serial, revoked_at, reason FROM certificates
		WHERE issuer = ? AND revoked_at IS NOT NULL AND not_after >= ? ORDER BY id`, issuer, since.Unix())
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var serial string
		var at int64
		var reason int
		if err := rows.Scan(&serial, &at, &reason); err != nil {
			return explain(err)
		}
		if err := f(serial, fromUnix(at), reason); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

// Publish records changes and the CRLs that show them, all or nothing, and
// returns when they are durable. A CRL whose number does not grow is an error.
func (l *Ledger) Publish(ctx context.Context, changes []Change, crls []CRL) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to undo after a commit
	for _, c := range changes {
		var at, reason any
		if !c.At.IsZero() {
			at, reason = c.At.Unix(), c.Reason
		}
		done, err := tx.ExecContext(ctx, "UPDATE certificates SET revoked_at = ?, reason = ? WHERE issuer = ? AND serial = ?",
			at, reason, c.Issuer, c.Serial)
		if err != nil {
			return explain(err)
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("%s of %q %w", c.Serial, c.Issuer, ErrNotFound), err)
		}
	}
	for _, c := range crls {
		var last sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT max(number) FROM crls WHERE issuer = ?", c.Issuer).Scan(&last); err != nil {
			return explain(err)
		}
		if c.Number <= last.Int64 {
			return fmt.Errorf("ledger: CRL number %d of %q is not above %d", c.Number, c.Issuer, last.Int64)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO crls (issuer, number, this_update, next_update, entries) VALUES (?, ?, ?, ?, ?)",
			c.Issuer, c.Number, c.ThisUpdate.Unix(), c.NextUpdate.Unix(), c.Entries); err != nil {
			return explain(err)
		}
	}
	return explain(tx.Commit())
}
