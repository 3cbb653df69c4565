package ledger

import (
	"context"
	"database/sql"
	"strconv"
)

// Adopt records what was revoked elsewhere, before an authority came here, and the
// last CRL that said so; all of it or nothing. It returns how many revocations are
// new. One of a certificate that is revoked already changes nothing. One of a
// certificate that is not on record is kept for the CRLs to come, and is that of
// the certificate as soon as it is imported. A CRL whose number is not above those
// on record is left out, so that numbers never go back.
func (l *Ledger) Adopt(ctx context.Context, revoked []Change, last CRL) (added int, err error) {
	err = l.update(ctx, func(tx *sql.Tx) error {
		added = 0
		for _, c := range revoked {
			isNew, err := l.adoptOne(ctx, tx, c)
			if err != nil {
				return err
			}
			if isNew {
				added++
			}
		}
		if last.Number == 0 {
			return nil
		}
		done, err := tx.ExecContext(ctx, `INSERT INTO crls (issuer, number, this_update, next_update, entries)
			SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM crls WHERE issuer = ? AND number >= ?)`,
			last.Issuer, last.Number, last.ThisUpdate.Unix(), last.NextUpdate.Unix(), last.Entries, last.Issuer, last.Number)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return l.log(ctx, tx, ActionCRL, &Entry{Name: last.Issuer}, strconv.FormatInt(last.Number, 10))
	})
	return added, err
}

func (l *Ledger) adoptOne(ctx context.Context, tx *sql.Tx, c Change) (isNew bool, err error) {
	var known int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM certificates WHERE issuer = ? AND serial = ?", c.Issuer, c.Serial).Scan(&known); err != nil {
		return false, err
	}
	var done sql.Result
	if known > 0 {
		done, err = tx.ExecContext(ctx, "UPDATE certificates SET revoked_at = ?, reason = ? WHERE issuer = ? AND serial = ? AND revoked_at IS NULL",
			c.At.Unix(), c.Reason, c.Issuer, c.Serial)
	} else {
		done, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO revocations (issuer, serial, revoked_at, reason) VALUES (?, ?, ?, ?)",
			c.Issuer, c.Serial, c.At.Unix(), c.Reason)
	}
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, l.log(ctx, tx, ActionRevoke, &Entry{Issuer: c.Issuer, Serial: c.Serial}, strconv.Itoa(c.Reason))
}

// settleRevocations gives certificates with an id above last the revocations that
// were kept for them.
func settleRevocations(ctx context.Context, tx *sql.Tx, last int64) error {
	const theirs = "SELECT issuer, serial FROM certificates WHERE id > ?"
	if _, err := tx.ExecContext(ctx, `UPDATE certificates SET (revoked_at, reason) =
			(SELECT r.revoked_at, r.reason FROM revocations r WHERE r.issuer = certificates.issuer AND r.serial = certificates.serial)
		WHERE id > ? AND EXISTS (SELECT 1 FROM revocations r WHERE r.issuer = certificates.issuer AND r.serial = certificates.serial)`, last); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM revocations WHERE (issuer, serial) IN ("+theirs+")", last)
	return err
}
