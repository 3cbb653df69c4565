package pkidir

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An item is a signed certificate on its way into the ledger and its folder, or
// into keys.db if it has none.
type item struct {
	entry ledger.Entry
	chain []*x509.Certificate // for tls.crt
	roots []*x509.Certificate // for ca.crt
	// key is for tls.key, or in PKCS#8 for keys.db; nil if somebody else holds it.
	key     []byte
	keyOut  *keyOut // its key, if that is to be elsewhere
	replace bool
	// old is what is replaced and has to be discarded, as nothing takes its place.
	old *oldMark
	// known says that the certificate is out in the world already, and that its
	// chain cannot be had elsewhere.
	known bool
	again bool // it is on record, and takes its name back
	// keepsCRL says that the CRL beside what is replaced stays.
	keepsCRL bool
	// settings are those of the whole directory from then on, whole with the
	// authority that they are about; nil to leave them.
	settings []byte
}

// isRoot reports whether the certificate is its own root: then ca.crt, too, waits
// until the ledger has it.
func (it *item) isRoot() bool {
	return len(it.roots) > 0 && len(it.chain) > 0 && it.roots[0].Equal(it.chain[0])
}

func (it *item) rootsFile() atomicfile.File {
	return atomicfile.File{Name: RootsFile, Data: pki.MarshalCertificates(it.roots), Mode: atomicfile.Public}
}

func (it *item) chainFile() atomicfile.File {
	return atomicfile.File{Name: ChainFile, Data: pki.MarshalCertificates(it.chain), Mode: atomicfile.Public}
}

// checkItems makes sure that the names and folders of items may be taken, and
// returns an error, or nil, for each. That a name without a folder is free the
// ledger says when it records it, unless ask is true. The caller holds the lock.
func (d *Dir) checkItems(ctx context.Context, items []item, ask bool) []error {
	errs := make([]error, len(items))
	var at []int
	var names []string
	for i := range items {
		it := &items[i]
		inNamespace := strings.Contains(it.entry.Name, "/")
		if !isKept(&it.entry) {
			errs[i] = d.checkFree(ctx, &it.entry, it.replace)
		}
		if errs[i] == nil && inNamespace && (it.replace || ask) {
			at, names = append(at, i), append(names, it.entry.Name)
		}
	}
	if len(names) == 0 {
		return errs
	}
	holders, err := d.ledger.Holders(ctx, names)
	for n, i := range at {
		if err != nil {
			errs[i] = d.ledgerError(err)
			continue
		}
		h, it := holders[n], &items[i]
		switch {
		case h.Name == "":
		case !it.replace:
			errs[i] = &ledger.ExistsError{Name: h.Name, Kind: h.Kind}
		case h.Kind != it.entry.Kind || isKept(&it.entry):
			it.old = &oldMark{keystore.ID{Issuer: h.Issuer, Serial: h.Serial}, h.Name, h.Kind}
		}
	}
	return errs
}

// commit takes items that were checked through the ledger into their folders. The
// caller holds the lock.
//
// The key is written before the ledger has the certificate, and the certificate
// only after that. So there is a certificate in a file only if it is in the
// ledger, and what is in the ledger can be finished: see recover. Only the
// ledger has to be durable before that: if power fails and the key is lost, so is
// the certificate, which nobody has seen.
func (d *Dir) commit(ctx context.Context, items []item) error {
	return d.commitAs(ctx, ledger.ActionIssue, items)
}

// commitAs is commit of what the log calls action.
func (d *Dir) commitAs(ctx context.Context, action ledger.Action, items []item) error {
	var folders []*item
	kinds := map[string]bool{}
	for i := range items {
		if e := &items[i].entry; !isKept(e) && e.Current {
			folders = append(folders, &items[i])
			kinds[e.Kind] = true
		}
	}
	for kind := range kinds {
		if err := atomicfile.CheckWritable(filepath.Join(d.at, folderOf(kind))); err != nil {
			return &PathError{d.Path(folderOf(kind)), fmt.Errorf("cannot write to it: %w", err)}
		}
	}
	for i, it := range folders {
		if err := d.stage(it); err != nil {
			err = &PathError{d.Path(stagingDir), fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
			return errors.Join(err, d.unstage(folders[:i+1]))
		}
	}
	// From here on nothing is given up half-way.
	ctx = context.WithoutCancel(ctx)
	marked, err := d.stageKeys(ctx, items)
	if err != nil {
		return errors.Join(err, d.unstage(folders), d.recoverMarker(ctx))
	}
	synced := make(chan error, 1)
	go func() {
		synced <- onAllCores(ctx, len(folders), func(i int) error {
			return atomicfile.SyncAll(d.root, stageOf(&folders[i].entry))
		})
	}()
	recordErr := d.ledgerWriteError(d.recordItems(ctx, action, items))
	syncErr := <-synced
	if recordErr != nil {
		// Should it be on record all the same, its key is needed: see recover.
		first := &items[0].entry
		if _, err := d.ledger.BySerial(ctx, first.Issuer, first.Serial); !errors.Is(err, ledger.ErrNotFound) && !items[0].again {
			return recordErr
		}
		return errors.Join(recordErr, d.unstage(folders), d.recoverMarker(ctx))
	}
	err = syncErr
	if err == nil {
		err = onAllCores(ctx, len(folders), func(i int) error { return d.publish(folders[i]) })
	}
	if err == nil {
		err = d.syncTargets(kinds)
	}
	if err == nil && marked {
		err = d.settle(ctx, items)
	}
	if len(folders) > 0 {
		d.above = nil
	}
	if err != nil {
		return &UnfinishedError{err}
	}
	return nil
}

func (d *Dir) recordItems(ctx context.Context, action ledger.Action, items []item) error {
	if items[0].again {
		return d.ledger.Restore(ctx, &items[0].entry, items[0].replace)
	}
	return d.ledger.RecordEach(ctx, action, len(items), func(i int) (*ledger.Entry, bool) {
		return &items[i].entry, items[i].replace
	})
}

// stageKeys makes the keys of items that have no folder durable, and says before
// that what it does. It reports whether there is anything of that kind.
func (d *Dir) stageKeys(ctx context.Context, items []item) (marked bool, err error) {
	var marks []mark
	var keys []keystore.Key
	for i := range items {
		it := &items[i]
		m := mark{Old: it.old}
		if isKept(&it.entry) && it.key != nil {
			id := keyID(&it.entry)
			m.New = &id
			keys = append(keys, keystore.Key{ID: id, PKCS8: it.key})
		}
		if m != (mark{}) {
			marks = append(marks, m)
		}
	}
	if len(marks) == 0 {
		return false, nil
	}
	if err := d.writeMarker(marks); err != nil || len(keys) == 0 {
		return true, err
	}
	store, err := d.openKeys(ctx, true)
	if err != nil {
		return true, err
	}
	return true, d.keysError(store.Put(ctx, keys))
}

// settle discards what items replaced, and with that everything is done.
func (d *Dir) settle(ctx context.Context, items []item) error {
	var old []*ledger.Entry
	for i := range items {
		if o := items[i].old; o != nil {
			old = append(old, o.entry())
		}
	}
	if err := d.discard(ctx, old); err != nil {
		return err
	}
	return d.removeMarker()
}

// An UnfinishedError says that certificates are in the ledger, but could not be
// put into their folders. The next command that writes does that.
type UnfinishedError struct{ err error }

func (e *UnfinishedError) Error() string {
	return "signed and in the ledger, but not yet in its folder: " + e.err.Error()
}

// Unwrap returns the cause.
func (e *UnfinishedError) Unwrap() error { return e.err }

// checkFree makes sure that an entry's name and folder may be taken.
func (d *Dir) checkFree(ctx context.Context, e *ledger.Entry, replace bool) error {
	old, err := d.ledger.Current(ctx, e.Name)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
	case err != nil:
		return err
	case !replace || old.Kind != e.Kind && !strings.Contains(e.Name, "/"):
		return &ledger.ExistsError{Name: old.Name, Kind: old.Kind}
	case old.Kind == e.Kind:
		return nil
	}
	target := targetOf(e)
	if _, err := d.root.Lstat(target); err == nil && !replace {
		return &PathError{d.Path(target), ErrInTheWay}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &PathError{d.Path(target), atomicfile.Reason(err)}
	}
	return nil
}

// stage makes the folder of an item with all but the certificate.
func (d *Dir) stage(it *item) error {
	dir := stageOf(&it.entry)
	if err := d.root.Mkdir(dir, atomicfile.PrivateDir); err != nil {
		return err
	}
	var files []atomicfile.File
	if it.known || !it.isRoot() {
		files = append(files, it.rootsFile())
	}
	if it.key != nil {
		files = append(files, atomicfile.File{Name: KeyFile, Data: it.key, Mode: atomicfile.Private})
	}
	if it.known {
		files = append(files, it.chainFile())
	}
	if it.settings != nil {
		files = append(files, atomicfile.File{Name: settingsFile, Data: it.settings, Mode: atomicfile.Public})
	}
	if err := atomicfile.Fill(d.root, dir, files...); err != nil || !it.keepsCRL {
		return err
	}
	return d.stageCRL(&it.entry)
}

func (d *Dir) unstage(items []*item) error {
	var errs []error
	for _, it := range items {
		errs = append(errs, d.root.RemoveAll(stageOf(&it.entry)))
	}
	return errors.Join(errs...)
}

// publish puts the certificate beside its key and moves the folder into place.
func (d *Dir) publish(it *item) error {
	dir := stageOf(&it.entry)
	files := []atomicfile.File{it.chainFile()}
	if it.isRoot() {
		files = append(files, it.rootsFile())
	}
	if err := atomicfile.Fill(d.root, dir, files...); err != nil {
		return err
	}
	for _, f := range files {
		if err := atomicfile.Sync(d.root, path.Join(dir, f.Name)); err != nil {
			return err
		}
	}
	if err := atomicfile.SyncDir(d.root, dir); err != nil {
		return err
	}
	// Settings first: an authority must not sign without its URLs.
	if it.entry.Kind == ledger.KindAuthority {
		if err := d.publishSettings(dir); err != nil {
			return err
		}
	}
	old, err := atomicfile.ReplaceDir(d.root, dir, targetOf(&it.entry))
	if err != nil || old == "" {
		return err
	}
	return d.root.RemoveAll(old)
}

// syncTargets makes the names of published folders durable.
func (d *Dir) syncTargets(kinds map[string]bool) error {
	for kind := range kinds {
		if err := atomicfile.SyncDir(d.root, folderOf(kind)); err != nil {
			return err
		}
	}
	return nil
}
