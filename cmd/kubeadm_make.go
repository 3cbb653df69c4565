package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

// makeAlone does what was planned in its turn, and plans it anew for that, since
// another run may have done some of it.
func (r *kubeadmRun) makeAlone(ctx context.Context) (err error) {
	if r.dir == nil || !slices.ContainsFunc(r.parts, func(p *kubeadmPart) bool { return p.state != kubeadmKept }) {
		return r.make(ctx)
	}
	end, err := r.dir.Turn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := r.plan(ctx); err != nil {
		return err
	}
	return r.make(ctx)
}

// make does what was planned: modes of keys, authorities, the key of the service accounts,
// certificates, and then the files, all or none.
func (r *kubeadmRun) make(ctx context.Context) error {
	if err := r.closeKeys(); err != nil {
		return err
	}
	done := r.app.patience("Making keys")
	err := r.issue(ctx)
	done()
	var unfinished *pkidir.UnfinishedError
	if errors.As(err, &unfinished) || r.began && pkidir.IsFull(err) {
		return withHint(err, "mend the cause and run the same command again: what was made is on record, and it goes on from there")
	}
	if err != nil {
		return err
	}
	for _, p := range r.parts {
		if p.state == kubeadmMade || p.state == kubeadmRenewed {
			if err := r.fill(p); err != nil {
				return err
			}
		}
	}
	if err := r.write(ctx); err != nil {
		return withHint(fmt.Errorf("the certificates are made and on record, but %s is not written: %w", r.o.dir, err),
			"mend the cause and run the same command again: it writes what is missing")
	}
	return nil
}

func (r *kubeadmRun) issue(ctx context.Context) error {
	if err := r.makeAuthorities(ctx); err != nil {
		return err
	}
	if err := r.makeServiceAccountKey(ctx); err != nil {
		return err
	}
	var orders []pkidir.Order
	var parts []*kubeadmPart
	for _, p := range r.parts {
		if p.order != nil {
			orders, parts = append(orders, *p.order), append(parts, p)
		}
	}
	if len(orders) == 0 {
		return nil
	}
	issued, err := r.dir.Issue(ctx, orders, pkidir.IssueOptions{Passphrase: r.passphrase})
	if err != nil {
		return err
	}
	for i, p := range parts {
		p.bundle = issued[i].Bundle
		for _, w := range issued[i].Warnings {
			r.warn("%s: %s", issued[i].Entry.Name, w)
		}
	}
	return nil
}

// makeAuthorities makes those that are not there, as kubeadm makes them: ten
// years, and no limit on authorities below. The cluster's is the last, and so the
// default of a new PKI directory.
func (r *kubeadmRun) makeAuthorities(ctx context.Context) error {
	var orders []pkidir.AuthorityOrder
	for _, ca := range r.missing {
		name, err := pki.ParseName(r.o.authority(ca))
		if err != nil {
			return err
		}
		orders = append(orders, pkidir.AuthorityOrder{Name: name, Request: pki.CARequest{
			Subject: pki.Subject{CommonName: ca.Name}, Key: r.keyType(), PathLen: pki.NoPathLen,
			Lifetime: pki.Lifetime{Validity: pki.RootValidity},
		}})
	}
	if len(orders) == 0 {
		return nil
	}
	slices.Reverse(orders)
	if r.dir != nil {
		if err := r.dir.Close(); err != nil {
			return err
		}
		r.dir = nil
	}
	_, err := pkidir.CreateAuthorities(ctx, r.app.pkiPath, r.app.Now, orders, pkidir.AuthorityOptions{
		Command: r.app.command, Passphrase: r.passphrase,
	})
	var exists *ledger.ExistsError
	if errors.As(err, &exists) { // another process was faster
		return withHint(err, "run the same command again")
	}
	if err != nil {
		return err
	}
	r.began = true
	r.dir, err = r.app.open()
	return err
}

// makeServiceAccountKey makes the key that all nodes share, or takes over the one
// that is brought.
func (r *kubeadmRun) makeServiceAccountKey(ctx context.Context) (err error) {
	if !r.serviceAccounts().isNew {
		return nil
	}
	key := r.sa
	if key == nil {
		if key, err = pki.GenerateKey(r.keyType()); err != nil {
			return err
		}
	}
	cluster := r.o.authority(kubeadm.ClusterCA)
	kept, err := r.dir.KeepServiceAccountKey(ctx, cluster, key)
	if err != nil {
		return err
	}
	if r.sa != nil && !pki.SamePublicKey(kept.Public(), r.sa.Public()) { // another process was faster
		return withHint(fmt.Errorf("--sa-key %s: the service accounts of authority %q have another key by now", r.o.saKey, cluster), "run the same command again")
	}
	r.sa, r.began = kept, true
	r.serviceAccounts().source, err = serviceAccountSource(kept)
	return err
}

// serviceAccounts returns the part of the service accounts' key.
func (r *kubeadmRun) serviceAccounts() *kubeadmPart {
	for _, p := range r.parts {
		if p.ca == nil && p.leaf == nil {
			return p
		}
	}
	return nil
}

// write brings the tree to what was planned. The ledger knows what is written
// before it is, so that a process that is killed leaves nothing that the next one
// would not take for its own.
func (r *kubeadmRun) write(ctx context.Context) error {
	places := map[string]*place{}
	var order []string
	var exports []ledger.Export
	var gone []string
	force := false
	for _, p := range r.parts {
		if p.state == kubeadmKept && !p.adopted && p.record.Next == r.o.command() {
			continue
		}
		e, err := r.entry(p)
		if err != nil {
			return err
		}
		exports = append(exports, e)
		if p.state == kubeadmKept {
			continue
		}
		dir := p.place(r.o)
		if places[dir] == nil {
			places[dir] = &place{dir: dir}
			order = append(order, dir)
		}
		for _, f := range p.files {
			switch {
			case f.isRight():
			case f.gone:
				gone = append(gone, filepath.Join(dir, f.Name))
			default:
				places[dir].files = append(places[dir].files, export.File{Name: f.Name, Data: f.data, Private: f.Private})
				force = force || f.found != "" || f.foreign
			}
		}
	}
	if len(exports) == 0 {
		return nil
	}
	if err := r.dir.PutExports(ctx, exports); err != nil {
		return err
	}
	var all []place
	slices.Sort(order)
	for _, dir := range order {
		all = append(all, *places[dir])
	}
	if err := writePlaces(all, force); err != nil {
		return err
	}
	for _, file := range gone {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &pkidir.PathError{Path: file, Err: atomicfile.Reason(err)}
		}
	}
	return nil
}
