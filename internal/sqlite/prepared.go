package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Prepared are the statements of one database that were prepared once, by their
// text: what is asked for a thousand times is read once. The zero value is ready
// for use, by many at once.
type Prepared struct {
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

// Get returns the statement of a query.
func (p *Prepared) Get(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.stmts[query]; ok {
		return s, nil
	}
	s, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if p.stmts == nil {
		p.stmts = map[string]*sql.Stmt{}
	}
	p.stmts[query] = s
	return s, nil
}

// Close closes all statements.
func (p *Prepared) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, s := range p.stmts {
		errs = append(errs, s.Close())
	}
	p.stmts = nil
	return errors.Join(errs...)
}
