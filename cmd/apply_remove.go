package cmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

// remove prunes what no manifest names any more.
func (r *applyRun) remove(ctx context.Context) error {
	if len(r.plan.Removals) == 0 {
		return nil
	}
	names := make([]pki.Name, len(r.plan.Removals))
	for i, s := range r.plan.Removals {
		var err error
		if names[i], err = pki.ParseName(s); err != nil {
			return err
		}
	}
	if r.o.revoke {
		if err := r.revokeRemoved(ctx); err != nil {
			return err
		}
	}
	if err := r.dir.Remove(ctx, names); err != nil {
		return err
	}
	for _, name := range r.plan.Removals {
		files, err := r.removeFiles(ctx, name)
		if err != nil {
			return err
		}
		r.result.Removed = append(r.result.Removed, removedJSON{Name: name, Revoked: r.o.revoke, Files: files})
	}
	return nil
}

// revokeRemoved revokes what is about to be removed, as no longer in use.
func (r *applyRun) revokeRemoved(ctx context.Context) error {
	l, err := r.dir.Ledger(ctx)
	if err != nil {
		return err
	}
	var all []pkidir.Revocation
	for _, name := range r.plan.Removals {
		e, err := l.Current(ctx, name)
		if err != nil {
			return err
		}
		if !e.RevokedAt.IsZero() {
			continue
		}
		if e.Issuer == e.Name {
			r.warn(name + ": it signed itself, and nobody can revoke it")
			continue
		}
		all = append(all, pkidir.Revocation{Entry: e, Reason: pki.CessationOfOperation})
	}
	o := pkidir.CRLOptions{Passphrase: r.app.passphrase(&r.o.passphrase), Validity: crlValidity}
	for len(all) > 0 {
		_, err := r.dir.Revoke(ctx, all, o)
		var former *pkidir.FormerKeyError
		if !errors.As(err, &former) {
			return err
		}
		r.warn(former.Error())
		all = slices.DeleteFunc(all, func(v pkidir.Revocation) bool { return v.Entry.Name == former.Name })
	}
	return nil
}

// removeFiles removes the files that --out wrote for a certificate and nobody
// changed since, and returns them.
func (r *applyRun) removeFiles(ctx context.Context, name string) (removed []string, err error) {
	l, err := r.dir.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	exports, err := l.Exports(ctx, name)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, e := range exports {
		if e.Format != formatApplied {
			continue
		}
		gone = append(gone, e.Path)
		data, err := os.ReadFile(e.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && digest(data) != e.SHA256:
			r.warn(e.Path + " was changed since apply wrote it, and stays")
			continue
		case err == nil:
			err = os.Remove(e.Path)
		}
		if err != nil {
			return nil, &pkidir.PathError{Path: e.Path, Err: atomicfile.Reason(err)}
		}
		removed = append(removed, e.Path)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return removed, r.dir.DeleteExports(ctx, gone)
}
