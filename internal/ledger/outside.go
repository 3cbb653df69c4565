package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// An IssuerKey names an issuer of manifests.
type IssuerKey struct {
	Kind      string // Issuer or ClusterIssuer
	Namespace string // empty for a ClusterIssuer
	Name      string
}

// A StoredIssuer is an issuer that a manifest brought, for the manifests after it
// that only name it.
type StoredIssuer struct {
	IssuerKey
	Spec json.RawMessage
}

// Issuers returns the stored issuers, sorted by kind, namespace and name.
func (l *Ledger) Issuers(ctx context.Context) (issuers []StoredIssuer, err error) {
	err = l.each(ctx, func(rows *sql.Rows) error {
		var i StoredIssuer
		var spec string
		if err := rows.Scan(&i.Kind, &i.Namespace, &i.Name, &spec); err != nil {
			return err
		}
		i.Spec = json.RawMessage(spec)
		issuers = append(issuers, i)
		return nil
	}, "SELECT kind, namespace, name, spec FROM issuers ORDER BY kind, namespace, name")
	return issuers, err
}

// PutIssuers stores issuers, each in place of what has its key.
func (l *Ledger) PutIssuers(ctx context.Context, issuers []StoredIssuer) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		for _, i := range issuers {
			if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO issuers (kind, namespace, name, spec) VALUES (?, ?, ?, ?)",
				i.Kind, i.Namespace, i.Name, string(i.Spec)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteIssuers forgets issuers; one that is not there is none less.
func (l *Ledger) DeleteIssuers(ctx context.Context, keys []IssuerKey) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, "DELETE FROM issuers WHERE kind = ? AND namespace = ? AND name = ?", k.Kind, k.Namespace, k.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// An Export is a file or folder outside the PKI directory that a certificate was
// written to.
type Export struct {
	Path    string          // the key; absolute, as its writer has made it
	Name    string          // of the certificate
	Format  string          // as in "secret"
	Options json.RawMessage // of the format, to write it again
	SHA256  string          // of what was written, hexadecimal
}

// Exports returns where a certificate was written to, sorted by path; with an
// empty name, all exports.
func (l *Ledger) Exports(ctx context.Context, name string) (exports []Export, err error) {
	query, args := "SELECT path, name, format, options, sha256 FROM exports", []any{}
	if name != "" {
		query, args = query+" WHERE name = ?", []any{name}
	}
	err = l.each(ctx, func(rows *sql.Rows) error {
		e, err := scanExport(rows)
		exports = append(exports, e)
		return err
	}, query+" ORDER BY path", args...)
	return exports, err
}

// ExportAt returns what was written to a path, or [ErrNotFound].
func (l *Ledger) ExportAt(ctx context.Context, path string) (Export, error) {
	e, err := scanExport(l.db.QueryRowContext(ctx, "SELECT path, name, format, options, sha256 FROM exports WHERE path = ?", path))
	if errors.Is(err, sql.ErrNoRows) {
		return Export{}, fmt.Errorf("%s: %w", path, ErrNotFound)
	}
	return e, explain(err)
}

func scanExport(row interface{ Scan(...any) error }) (e Export, err error) {
	var options string
	err = row.Scan(&e.Path, &e.Name, &e.Format, &options, &e.SHA256)
	e.Options = json.RawMessage(options)
	return e, err
}

// PutExports records exports, each in place of what was written to its path
// before. Options that are empty are {}.
func (l *Ledger) PutExports(ctx context.Context, exports []Export) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		put, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO exports (path, name, format, options, sha256) VALUES (?, ?, ?, ?, ?)")
		if err != nil {
			return err
		}
		defer put.Close() //nolint:errcheck // the transaction says what went wrong
		for _, e := range exports {
			options := string(e.Options)
			if options == "" {
				options = "{}"
			}
			if _, err := put.ExecContext(ctx, e.Path, e.Name, e.Format, options, e.SHA256); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteExports forgets what was written to paths.
func (l *Ledger) DeleteExports(ctx context.Context, paths []string) error {
	return l.update(ctx, func(tx *sql.Tx) error {
		for _, path := range paths {
			if _, err := tx.ExecContext(ctx, "DELETE FROM exports WHERE path = ?", path); err != nil {
				return err
			}
		}
		return nil
	})
}
