package ledger

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"strings"
)

// pageSize is how many rows are read at once on behalf of somebody who is slow:
// while one reads, nobody can write.
const pageSize = 1000

// pages calls f for what read yields, page after page, until one is not full. No
// statement is open while f is called.
func pages[T any](read func(yield func(*T)) error, f func(*T) error) error {
	page := make([]*T, 0, pageSize)
	for {
		page = page[:0]
		if err := read(func(e *T) { page = append(page, e) }); err != nil {
			return err
		}
		for _, e := range page {
			if err := f(e); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// Stream is [Ledger.Each] for an f that takes its time, as it does who writes to a
// pipe, or that uses the ledger: others can write meanwhile. Current entries that
// filter chooses by their end come in the order of the ends, the soonest first. An
// entry comes once; of a name that is replaced meanwhile the old and the new one
// may.
func (l *Ledger) Stream(ctx context.Context, filter Filter, f func(*Entry) error) error {
	query, after, chosen := filter.page()
	return pages(func(yield func(*Entry)) error {
		args := append(append([]any{}, after...), chosen...)
		return l.each(ctx, func(rows *sql.Rows) error {
			var id int64
			e, err := scan(withID{rows, &id})
			if err != nil {
				return err
			}
			if after[len(after)-1] = id; len(after) > 1 {
				after[0] = e.NotAfter.Unix()
			}
			yield(e)
			return nil
		}, query, args...)
	}, f)
}

// page returns the query of a page, its arguments that say after which entry the
// page begins, at first before all, and the others.
func (filter *Filter) page() (query string, after, chosen []any) {
	where, chosen := filter.where()
	// The order must be that of an index, or every page sorts them all: so no other
	// index may be used.
	where = strings.Replace(where, " issuer =", " +issuer =", 1)
	order, key, after := "id", "id > ?", []any{int64(0)}
	if !filter.Ending.IsZero() && !filter.All && filter.Name == "" {
		order, key, after = "not_after, id", "(not_after, id) > (?, ?)", []any{int64(math.MinInt64), int64(0)}
	}
	query = "SELECT " + columns + ", id FROM certificates WHERE " + key + where + " ORDER BY " + order + " LIMIT " + strconv.Itoa(pageSize)
	return query, after, chosen
}

// withID scans a row that ends in an id.
type withID struct {
	rows *sql.Rows
	id   *int64
}

func (w withID) Scan(dest ...any) error { return w.rows.Scan(append(dest, w.id)...) }
