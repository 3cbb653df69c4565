package ledger

import (
	"context"
	"database/sql"
)

// RecordKeyChange logs that the key file of e, an authority, is written anew.
// detail says what became of its passphrase.
func (l *Ledger) RecordKeyChange(ctx context.Context, e *Entry, detail string) error {
	return l.update(ctx, func(tx *sql.Tx) error { return l.log(ctx, tx, ActionPasswd, e, detail) })
}

// KeyChanges returns how often the log has that of an authority.
func (l *Ledger) KeyChanges(ctx context.Context, name string) (n int, err error) {
	err = l.db.QueryRowContext(ctx, "SELECT count(*) FROM log WHERE action = ? AND name = ? COLLATE NOCASE", ActionPasswd, name).Scan(&n)
	return n, err
}
