package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
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
// ended before the moment since, in the order in which they were signed, and then
// for those that are not on record, whose end nobody knows.
func (l *Ledger) Revocations(ctx context.Context, issuer string, since time.Time, f func(serial string, at time.Time, reason int) error) error {
	each := func(rows *sql.Rows) error {
		var serial string
		var at int64
		var reason int
		if err := rows.Scan(&serial, &at, &reason); err != nil {
			return err
		}
		return f(serial, fromUnix(at), reason)
	}
	err := l.each(ctx, each, `SELECT serial, revoked_at, reason FROM certificates
		WHERE issuer = ? AND revoked_at IS NOT NULL AND not_after >= ? ORDER BY id`, issuer, since.Unix())
	if err != nil {
		return err
	}
	return l.each(ctx, each, "SELECT serial, revoked_at, reason FROM revocations WHERE issuer = ? ORDER BY revoked_at, serial", issuer)
}

// Publish records changes and the CRLs that show them, all or nothing, and
// returns when they are durable. A CRL whose number does not grow is an error.
func (l *Ledger) Publish(ctx context.Context, changes []Change, crls []CRL) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		for _, c := range changes {
			if err := l.change(ctx, tx, c); err != nil {
				return err
			}
		}
		for _, c := range crls {
			var last sql.NullInt64
			if err := tx.QueryRowContext(ctx, "SELECT max(number) FROM crls WHERE issuer = ?", c.Issuer).Scan(&last); err != nil {
				return err
			}
			if c.Number <= last.Int64 {
				return fmt.Errorf("ledger: CRL number %d of %q is not above %d", c.Number, c.Issuer, last.Int64)
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO crls (issuer, number, this_update, next_update, entries) VALUES (?, ?, ?, ?, ?)",
				c.Issuer, c.Number, c.ThisUpdate.Unix(), c.NextUpdate.Unix(), c.Entries); err != nil {
				return err
			}
			if err := l.log(ctx, tx, ActionCRL, &Entry{Name: c.Issuer}, strconv.FormatInt(c.Number, 10)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *Ledger) change(ctx context.Context, tx *sql.Tx, c Change) error {
	var at, reason any
	action, detail := ActionUnrevoke, ""
	if !c.At.IsZero() {
		at, reason = c.At.Unix(), c.Reason
		action, detail = ActionRevoke, strconv.Itoa(c.Reason)
	}
	e := Entry{Issuer: c.Issuer, Serial: c.Serial}
	err := tx.QueryRowContext(ctx, "UPDATE certificates SET revoked_at = ?, reason = ? WHERE issuer = ? AND serial = ? RETURNING name",
		at, reason, c.Issuer, c.Serial).Scan(&e.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s of %q %w", c.Serial, c.Issuer, ErrNotFound)
	}
	if err != nil {
		return err
	}
	return l.log(ctx, tx, action, &e, detail)
}
