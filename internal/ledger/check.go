package ledger

import (
	"context"
	"database/sql"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/sqlite"
)

// Check reads the whole ledger and finds out whether it holds together. One that
// does not is [ErrDamaged].
func (l *Ledger) Check(ctx context.Context) error {
	return explain(sqlite.Check(ctx, l.db))
}

// A Reserve is the number of an authority's CRL before which none is free.
type Reserve struct {
	Issuer string
	Number int64
}

// Restored records that the ledger came of a backup made at a moment. Of each
// authority that may have published CRLs after that, the next number is above the
// last known by more than jump. It returns the numbers that are taken now.
func (l *Ledger) Restored(ctx context.Context, at time.Time, jump int64) (taken []Reserve, err error) {
	err = l.update(ctx, func(tx *sql.Tx) error {
		// What the last one says besides its number stays: revocations go by it.
		rows, err := tx.QueryContext(ctx, `INSERT INTO crls (issuer, number, this_update, next_update, entries)
			SELECT a.name, ifnull(c.number, 0) + ?, ifnull(c.this_update, 0), ifnull(c.next_update, 0), ifnull(c.entries, 0)
			FROM (SELECT DISTINCT name FROM certificates WHERE kind = 'authority') AS a
			LEFT JOIN crls AS c ON c.issuer = a.name AND c.number = (SELECT max(number) FROM crls WHERE issuer = a.name)
			RETURNING issuer, number`, jump)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // the transaction says what went wrong
		for rows.Next() {
			var r Reserve
			if err := rows.Scan(&r.Issuer, &r.Number); err != nil {
				return err
			}
			taken = append(taken, r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return l.log(ctx, tx, ActionRestore, &Entry{}, at.UTC().Format(time.RFC3339))
	})
	return taken, err
}
