package ledger

import "github.com/mtlsctl/mtlsctl/internal/sqlite"

// schema is that of every ledger.
func schema() *sqlite.Schema { return &sqlite.Schema{Name: "the ledger", Migrations: migrations} }

// migrations bring the tables from one version to the next. A migration that was
// released is never changed.
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
	`ALTER TABLE certificates ADD COLUMN manifest TEXT; -- JSON; what a manifest said
	ALTER TABLE certificates ADD COLUMN removed_at INTEGER;
	CREATE INDEX certificates_authorities ON certificates (name) WHERE kind = 'authority';
	CREATE TABLE issuers (
		kind      TEXT NOT NULL,
		namespace TEXT NOT NULL, -- empty for a ClusterIssuer
		name      TEXT NOT NULL,
		spec      TEXT NOT NULL, -- JSON object
		PRIMARY KEY (kind, namespace, name)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE exports (
		path    TEXT PRIMARY KEY, -- outside the PKI directory
		name    TEXT NOT NULL COLLATE NOCASE,
		format  TEXT NOT NULL,
		options TEXT NOT NULL, -- JSON object
		sha256  TEXT NOT NULL  -- of what was written, hexadecimal
	) STRICT, WITHOUT ROWID;
	CREATE INDEX exports_by_name ON exports (name);
	CREATE TABLE log (
		id      INTEGER PRIMARY KEY,
		at      INTEGER NOT NULL,
		command TEXT NOT NULL,
		action  TEXT NOT NULL,
		name    TEXT NOT NULL,
		issuer  TEXT NOT NULL,
		serial  TEXT NOT NULL,
		detail  TEXT NOT NULL
	) STRICT;
	CREATE TRIGGER log_stays BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;
	CREATE TRIGGER log_as_it_is BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log only grows'); END;`,
	// All that a CRL says: the rows themselves are all over the file.
	`CREATE INDEX certificates_by_any_name ON certificates (name);
	DROP INDEX certificates_revoked;
	CREATE INDEX certificates_on_crl ON certificates (issuer, not_after, serial, revoked_at, reason) WHERE revoked_at IS NOT NULL;`,
	`CREATE TABLE revocations ( -- of certificates that are not on record
		issuer     TEXT    NOT NULL COLLATE NOCASE,
		serial     TEXT    NOT NULL,
		revoked_at INTEGER NOT NULL,
		reason     INTEGER NOT NULL,
		PRIMARY KEY (issuer, serial)
	) STRICT, WITHOUT ROWID;`,
}
