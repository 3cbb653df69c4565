package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// Check reads a whole database and finds out whether it holds together. One that
// does not is [ErrDamaged].
func Check(ctx context.Context, db *sql.DB) error {
	var found string
	// One finding is enough; without any, the row says ok.
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("the database %w: %s", ErrDamaged, found)
	}
	return nil
}
