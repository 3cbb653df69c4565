package ledger

import (
	"context"
	"fmt"
)

// migrations bring the tables from one version to the next; the number of those
// done is the database's user_version. A migration that was released is never
// changed.
var migrations = []string{
	`CREATE TABLE certificates (
		id         INTEGER PRIMARY KEY,
		name       TEXT    NOT NULL COLLATE NOCASE,
		kind       TEXT    NOT NULL,
		profile    TEXT    NOT NULL,
		issuer     TEXT    NOT NULL COLLATE NOCASE,
		serial     TEXT    NOT NULL,
		subject    TEXT    NOT NULL,
		sans       TEXT    NOT NULL, -- JSON array
		not_before INTEGER NOT NULL, -- seconds since 1970
		not_after  INTEGER NOT NULL,
		issued_at  INTEGER NOT NULL,
		request    TEXT    NOT NULL, -- JSON object
		der        BLOB    NOT NULL,
		current    INTEGER NOT NULL, -- 1: the certificate that name stands for
		revoked_at INTEGER,
		reason     INTEGER,
		UNIQUE (issuer, serial)
	) STRICT;
	CREATE UNIQUE INDEX certificates_by_name ON certificates (name) WHERE current = 1;
	CREATE INDEX certificates_by_end ON certificates (not_after) WHERE current = 1;
	CREATE INDEX certificates_revoked ON certificates (issuer) WHERE revoked_at IS NOT NULL;
	CREATE TABLE crls (
		issuer      TEXT    NOT NULL COLLATE NOCASE,
		number      INTEGER NOT NULL,
		this_update INTEGER NOT NULL,
		next_update INTEGER NOT NULL,
		entries     INTEGER NOT NULL,
		PRIMARY KEY (issuer, number)
	) STRICT, WITHOUT ROWID;`,
}

func (l *Ledger) migrate(ctx context.Context) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to undo after a commit
	// Another process may have been faster.
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return explain(err)
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return explain(err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return explain(err)
	}
	return explain(tx.Commit())
}
