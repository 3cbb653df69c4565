package pkidir

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// IssueOptions are what all orders of one call have in common.
type IssueOptions struct {
	Authority  string     // who signs what names nobody; empty for the default
	Passphrase Passphrase // for the authorities' keys; not nil
	Replace    bool       // certificates that have a name already are superseded
}

// Issue issues all orders, or none. Every order is checked before any key is
// made; keys are made and certificates signed on all cores; then the ledger
// records them in one transaction, and their folders follow. Who signs must be
// there before: what signs what in one call, [Dir.IssueAll] knows.
//
// Beside the errors of [pki.Authority.Prepare] there are those of cause
// [ErrNoAuthority], [pki.ErrNoKey], [pki.ErrPassphrase], [ledger.ErrExists] and
// [ErrInTheWay].
func (d *Dir) Issue(ctx context.Context, orders []Order, o IssueOptions) ([]Issued, error) {
	return again(func() ([]Issued, error) { return d.issue(ctx, orders, o) })
}

func (d *Dir) issue(ctx context.Context, orders []Order, o IssueOptions) ([]Issued, error) {
	// The ledger opens while keys are made.
	var opening sync.WaitGroup
	var openErr error
	opening.Go(func() { openErr = d.openLedgerToWrite(ctx) })
	defer opening.Wait()

	s := d.newSigners(o.Authority, o.Passphrase)
	jobs, err := s.jobs(orders)
	if errors.Is(err, ErrNoAuthority) {
		// A process may have been killed just before it had made it.
		if opening.Wait(); openErr == nil && d.Finish(ctx) == nil {
			jobs, err = s.jobs(orders)
		}
	}
	if err == nil {
		err = d.prepareAll(jobs)
	}
	if err != nil {
		return nil, err
	}
	for i := range jobs {
		jobs[i].order.Replace = jobs[i].order.Replace || o.Replace
		if err := jobs[i].canSign(d); err != nil {
			return nil, err
		}
	}
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	// The ledger has the last word, under the lock; this is to fail before keys
	// are made.
	for _, j := range jobs {
		e := ledger.Entry{Name: j.order.Name.String(), Kind: ledger.KindCertificate}
		if j.order.Replace || isKept(&e) || !d.hasFolder(targetOf(&e)) {
			continue
		}
		if opening.Wait(); openErr != nil {
			return nil, openErr
		}
		if err := d.checkFree(ctx, &e, false); err != nil {
			return nil, err
		}
	}
	for _, j := range jobs {
		if j.order.KeepKey {
			if opening.Wait(); openErr != nil {
				return nil, openErr
			}
			// All cores share them.
			if _, err := d.openKeys(ctx, true); err != nil {
				return nil, err
			}
			break
		}
	}
	if err := d.signAll(ctx, jobs, o.Passphrase, d.urls, false); err != nil {
		return nil, err
	}
	if opening.Wait(); openErr != nil {
		return nil, openErr
	}
	return d.record(ctx, jobs)
}

// record takes what was signed through the ledger, all or none.
func (d *Dir) record(ctx context.Context, jobs []job) (_ []Issued, err error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	items, issued, checked := make([]item, len(jobs)), make([]Issued, len(jobs)), map[string]bool{}
	for i, j := range jobs {
		items[i], issued[i] = j.item, j.issued
		if j.signer != nil && !checked[j.by] {
			if err := errors.Join(d.checkNotRevoked(ctx, j.by), d.checkSame(j.by, j.signer)); err != nil {
				return nil, err
			}
			checked[j.by] = true
		}
	}
	for _, err := range d.checkItems(ctx, items, false) {
		if err != nil {
			return nil, err
		}
	}
	if err := d.commit(ctx, items); err != nil {
		return nil, err
	}
	return issued, nil
}

// Prepare makes the drafts of orders and neither signs nor writes anything. It
// needs no key. authority signs what names nobody.
func (d *Dir) Prepare(authority string, orders []Order) ([]*pki.Draft, error) {
	jobs, err := d.newSigners(authority, nil).jobs(orders)
	if err == nil {
		err = d.prepareAll(jobs)
	}
	drafts := make([]*pki.Draft, len(jobs))
	for i := range jobs {
		drafts[i] = jobs[i].draft
	}
	return drafts, err
}

// jobs finds out who signs each order.
func (s *signers) jobs(orders []Order) ([]job, error) {
	jobs := make([]job, len(orders))
	for i := range orders {
		order := orders[i] // the caller's stays as it is
		jobs[i].order = &order
		var err error
		if jobs[i].by, jobs[i].signer, err = s.of(&order); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// prepareAll makes all drafts and returns all errors.
func (d *Dir) prepareAll(jobs []job) error {
	var errs []error
	for i := range jobs {
		err := jobs[i].prepare(d.now())
		if err != nil && len(jobs) > 1 {
			err = fmt.Errorf("%q: %w", jobs[i].order.Name, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// signAll makes keys and certificates on all cores. With each, what goes wrong
// with a job is its own, and the others go on.
func (d *Dir) signAll(ctx context.Context, jobs []job, passphrase Passphrase, urls func(string) pki.URLs, each bool) error {
	return onAllCores(ctx, len(jobs), func(i int) error {
		j := &jobs[i]
		if j.err != nil {
			return nil
		}
		var u pki.URLs
		if j.order.Exact != nil && j.order.Exact.CA {
			u = urls(j.order.Name.String())
		}
		err := j.sign(ctx, d, passphrase, u)
		if each {
			j.err = err
			return nil
		}
		if err != nil {
			return fmt.Errorf("%q: %w", j.order.Name, err)
		}
		return nil
	})
}

// A KeyMissingError says that an authority cannot sign because its key is not
// here, and where it was looked for. Its cause is [pki.ErrNoKey].
type KeyMissingError struct {
	Authority string
	Path      string
}

func (e *KeyMissingError) Error() string {
	return fmt.Sprintf("authority %q cannot sign: its key is not at %s", e.Authority, e.Path)
}

// Unwrap returns [pki.ErrNoKey].
func (e *KeyMissingError) Unwrap() error { return pki.ErrNoKey }

// fold makes of a name what all its spellings have in common.
func fold(name string) string { return strings.ToLower(name) }

// onAllCores calls f for 0 to n-1 and returns the first error, after which no
// further call begins.
func onAllCores(ctx context.Context, n int, f func(int) error) error {
	if n == 1 {
		return f(0) // a person waits for it
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
