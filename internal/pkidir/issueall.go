package pkidir

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// batchSize is how many certificates are signed and recorded together: enough
// for a sync of the disk to cost each next to nothing, and few enough for others
// to get their turn soon.
const batchSize = 1024

// IssueAllOptions are what all orders of one call have in common.
type IssueAllOptions struct {
	Authority  string     // who signs what names nobody; empty for the default
	Passphrase Passphrase // for the authorities' keys; not nil
}

// An OrdersError says how many orders of a call could not be carried out. Its
// cause is what was wrong with the first.
type OrdersError struct {
	Failed, Issued int
	Name           string // of the first that failed
	First          error
}

func (e *OrdersError) Error() string {
	if e.Failed == 1 {
		return fmt.Sprintf("%q: %v", e.Name, e.First)
	}
	return fmt.Sprintf("%d certificates could not be issued, the first is %q: %v", e.Failed, e.Name, e.First)
}

// Unwrap returns what was wrong with the first.
func (e *OrdersError) Unwrap() error { return e.First }

// A StoppedError says that a call ended early. What was issued until then, and
// handed over, stays.
type StoppedError struct {
	Issued int
	Err    error
}

func (e *StoppedError) Error() string {
	if e.Issued == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("stopped after %d certificates, which stay: %v", e.Issued, e.Err)
}

// Unwrap returns the cause.
func (e *StoppedError) Unwrap() error { return e.Err }

// IssueAll issues orders in their order, however many: while one batch of them is
// recorded, keys and certificates of the next are made on all cores. The lock is
// taken for each batch, so that others get their turn. An order may be signed by
// an authority that one before it makes.
//
// When a batch is durable it is handed to done, batch after batch, from the
// goroutine of the caller; an error of done ends the call. What is wrong with one
// order does not stop the others, except those that it was to sign: done gets it
// with its Err, and IssueAll returns an [*OrdersError] in the end. What stops
// everything is a [*StoppedError], such as a full disk, or ctx.
//
// orders is drawn from in another goroutine, which has ended when IssueAll
// returns; no order is drawn from it twice.
func (d *Dir) IssueAll(ctx context.Context, orders iter.Seq[Order], o IssueAllOptions, done func([]Issued) error) error {
	if err := d.checkWritable(); err != nil {
		return err
	}
	if err := d.openLedgerToWrite(ctx); err != nil {
		return err
	}
	// A process may have been killed just before it had made who signs here. And
	// what is open from here on stays open: signing and recording share it.
	if err := d.Finish(ctx); err != nil {
		return err
	}
	if _, err := d.openKeys(ctx, true); err != nil {
		return err
	}
	run := &run{d: d, signers: d.newSigners(o.Authority, o.Passphrase), dropped: map[string]error{}}
	signing, stop := context.WithCancel(ctx)
	batches := make(chan []job, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(batches)
		run.sign(signing, orders, batches)
	})
	err := run.recordAll(ctx, batches, done)
	stop()
	wg.Wait()
	switch {
	case err != nil:
		return &StoppedError{run.issued, err}
	case run.failed.Failed > 0:
		run.failed.Issued = run.issued
		return &run.failed
	}
	return nil
}

// A run is one call of IssueAll. Its two halves share what is in d alone.
type run struct {
	d       *Dir
	signers *signers // of the half that signs

	dropped map[string]error // authorities that were signed and not recorded, by folded name
	issued  int
	failed  OrdersError
}

// sign cuts orders into batches and sends them on when they are signed. It ends
// when there are no more, or with ctx.
func (r *run) sign(ctx context.Context, orders iter.Seq[Order], batches chan<- []job) {
	var batch []job
	names := map[string]bool{} // those of the batch
	flush := func() bool {
		if len(batch) == 0 {
			return true
		}
		r.signBatch(ctx, batch)
		select {
		case batches <- batch:
		case <-ctx.Done():
			return false
		}
		batch, names = nil, map[string]bool{}
		return true
	}
	for order := range orders {
		// What signs must have been signed, and one name is taken once at a time.
		full := len(batch) == batchSize || names[fold(order.Name.String())] || names[fold(r.signers.nameOf(&order))]
		if full && !flush() {
			return
		}
		names[fold(order.Name.String())] = true
		batch = append(batch, job{order: &order})
	}
	flush()
}

// signBatch makes keys and certificates of jobs that do not depend on each other.
func (r *run) signBatch(ctx context.Context, batch []job) {
	for i := range batch {
		j := &batch[i]
		j.by, j.signer, j.err = r.signers.of(j.order)
		if j.err == nil {
			j.err = j.canSign(r.d)
		}
	}
	now := r.d.now()
	stopped := onAllCores(ctx, len(batch), func(i int) error {
		if j := &batch[i]; j.err == nil {
			j.err = j.prepare(now)
		}
		return nil
	})
	if stopped == nil {
		stopped = r.d.signAll(ctx, batch, r.signers.passphrase, r.d.urls, true)
	}
	for i := range batch {
		j := &batch[i]
		switch {
		case j.err == nil && stopped != nil:
			j.err = stopped
		case j.err != nil:
			if j.order.Exact != nil && j.order.Exact.CA {
				r.signers.failed[fold(j.order.Name.String())] = j.err
			}
		case j.made != nil:
			r.signers.loaded[fold(j.order.Name.String())] = j.made
			delete(r.signers.failed, fold(j.order.Name.String()))
		}
	}
}

// nameOf returns who signs an order; empty if it signs itself.
func (s *signers) nameOf(o *Order) string {
	switch {
	case o.selfSigned():
		return ""
	case o.Authority != "":
		return o.Authority
	case s.authority != "":
		return s.authority
	}
	return s.d.DefaultAuthority()
}

// recordAll records batches and hands them over.
func (r *run) recordAll(ctx context.Context, batches <-chan []job, done func([]Issued) error) error {
	for batch := range batches {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.recordBatch(ctx, batch); err != nil {
			return err
		}
		issued := make([]Issued, len(batch))
		for i, j := range batch {
			if issued[i] = j.issued; j.err == nil {
				r.issued++
				continue
			}
			issued[i] = Issued{Entry: ledger.Entry{Name: j.order.Name.String()}, Err: j.err}
			if r.failed.Failed++; r.failed.Failed == 1 {
				r.failed.Name, r.failed.First = j.order.Name.String(), j.err
			}
		}
		if err := done(issued); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// recordBatch records what is right with a batch, and says of each job what is
// wrong with it. The error is for what is nobody's fault.
func (r *run) recordBatch(ctx context.Context, batch []job) (err error) {
	unlock, err := r.d.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	signers := map[string]error{}
	for i := range batch {
		j := &batch[i]
		if j.err != nil || j.signer == nil {
			continue
		}
		err, ok := signers[j.by]
		if !ok {
			err = r.mayHaveSigned(ctx, j)
			signers[j.by] = err
		}
		j.err = err
	}
	// The ledger says best whether a name is free. If one is not, it is asked for
	// each, and the batch goes without those.
	for ask := false; ; ask = true {
		items, at := r.check(ctx, batch, ask)
		if len(items) == 0 {
			break
		}
		err := r.d.commit(ctx, items)
		if taken, ok := errors.AsType[*ledger.ExistsError](err); ok && !ask && taken != nil {
			continue
		}
		if err != nil {
			return err
		}
		for n, i := range at {
			if batch[i].made != nil {
				delete(r.dropped, fold(items[n].entry.Name))
			}
		}
		break
	}
	for i := range batch {
		if j := &batch[i]; j.err != nil && j.made != nil {
			r.dropped[fold(j.order.Name.String())] = j.err
		}
	}
	return nil
}

// mayHaveSigned refuses what was signed by an authority that is revoked, or that
// was made in this run and could not be recorded.
func (r *run) mayHaveSigned(ctx context.Context, j *job) error {
	if err := r.dropped[fold(j.by)]; err != nil {
		return fmt.Errorf("its issuer %q was not issued: %w", j.by, err)
	}
	return r.d.checkNotRevoked(ctx, j.by)
}

// check returns the items of a batch that can be recorded, with their places.
func (r *run) check(ctx context.Context, batch []job, ask bool) (items []item, at []int) {
	for i := range batch {
		if batch[i].err == nil {
			items, at = append(items, batch[i].item), append(at, i)
		}
	}
	n := 0
	for k, err := range r.d.checkItems(ctx, items, ask) {
		if err != nil {
			batch[at[k]].err = err
			continue
		}
		items[n], at[n] = items[k], at[k]
		n++
	}
	return items[:n], at[:n]
}
