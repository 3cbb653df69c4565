package pkidir

import (
	"context"
	"encoding/json"
	"errors"
	"path"

	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// Manifests calls f for every current certificate and authority whose name has a
// namespace, in the order in which they were signed, with what its manifest says
// and whether its key is here, which is not read. It stops at the first error and
// returns it. f must not use d.
func (d *Dir) Manifests(ctx context.Context, f func(e *ledger.Entry, manifest json.RawMessage, hasKey bool) error) error {
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	kept, err := d.keptIDs(ctx)
	if err != nil {
		return err
	}
	return l.Each(ctx, ledger.Filter{Namespaced: true}, func(e *ledger.Entry) error {
		hasKey := false
		if isKept(e) {
			_, hasKey = kept[keystore.ID{Issuer: fold(e.Issuer), Serial: e.Serial}]
		} else if _, err := d.root.Lstat(path.Join(targetOf(e), KeyFile)); err == nil {
			hasKey = true
		}
		return f(e, e.Manifest, hasKey)
	})
}

// keptIDs returns which keys are among those that have no folder.
func (d *Dir) keptIDs(ctx context.Context) (map[keystore.ID]struct{}, error) {
	ids := map[keystore.ID]struct{}{}
	keys, err := d.openKeys(ctx, false)
	if errors.Is(err, ErrNoKeys) {
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	issuers := map[string]string{} // one string for all that are the same
	err = keys.Each(ctx, func(id keystore.ID) error {
		issuer, ok := issuers[id.Issuer]
		if !ok {
			issuer = fold(id.Issuer)
			issuers[id.Issuer] = issuer
		}
		ids[keystore.ID{Issuer: issuer, Serial: id.Serial}] = struct{}{}
		return nil
	})
	return ids, d.keysErrorOrNil(err)
}

// locked calls f with the ledger open to write, and holds the lock meanwhile.
func (d *Dir) locked(ctx context.Context, f func(*ledger.Ledger) error) (err error) {
	if err := d.checkWritable(); err != nil {
		return err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return d.ledgerWriteError(f(d.ledger))
}

// AmendManifest changes what is kept as the manifest of a certificate that stays.
// A name that stands for none is [ledger.ErrNotFound].
func (d *Dir) AmendManifest(ctx context.Context, name string, manifest json.RawMessage) error {
	return d.AmendManifests(ctx, []ledger.ManifestOf{{Name: name, Manifest: manifest}})
}

// AmendManifests is [Dir.AmendManifest] for many, all or none.
func (d *Dir) AmendManifests(ctx context.Context, changes []ledger.ManifestOf) error {
	return d.locked(ctx, func(l *ledger.Ledger) error { return l.Amend(ctx, changes) })
}

// PutIssuers stores issuers of manifests, each in place of what has its key.
func (d *Dir) PutIssuers(ctx context.Context, issuers []ledger.StoredIssuer) error {
	return d.locked(ctx, func(l *ledger.Ledger) error { return l.PutIssuers(ctx, issuers) })
}

// DeleteIssuers forgets issuers of manifests.
func (d *Dir) DeleteIssuers(ctx context.Context, keys []ledger.IssuerKey) error {
	return d.locked(ctx, func(l *ledger.Ledger) error { return l.DeleteIssuers(ctx, keys) })
}

// PutExports records where certificates were written to.
func (d *Dir) PutExports(ctx context.Context, exports []ledger.Export) error {
	return d.locked(ctx, func(l *ledger.Ledger) error { return l.PutExports(ctx, exports) })
}

// DeleteExports forgets what was written to paths.
func (d *Dir) DeleteExports(ctx context.Context, paths []string) error {
	return d.locked(ctx, func(l *ledger.Ledger) error { return l.DeleteExports(ctx, paths) })
}

// Remove takes certificates and authorities out of the directory, all or none:
// their keys and folders go, and their names are free. They stay on record, as
// [ledger.Removed]. A name that stands for none is [ledger.ErrNotFound].
func (d *Dir) Remove(ctx context.Context, names []pki.Name) error {
	return d.locked(ctx, func(l *ledger.Ledger) error {
		entries := make([]ledger.Entry, len(names))
		marks := make([]mark, len(names))
		for i, name := range names {
			e, err := l.Current(ctx, name.String())
			if err != nil {
				return err
			}
			entries[i] = *e
			marks[i].Old = &oldMark{keyID(e), e.Name, e.Kind}
		}
		if len(names) == 0 {
			return nil
		}
		if err := d.writeMarker(marks); err != nil {
			return err
		}
		// From here on nothing is given up half-way.
		ctx := context.WithoutCancel(ctx)
		return errors.Join(l.Remove(ctx, entries), d.recoverMarker(ctx))
	})
}
