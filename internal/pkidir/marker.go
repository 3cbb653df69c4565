package pkidir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// markerFile, in the staging folder, says what is about to happen to keys that
// have no folder, and to what is removed. It is durable before anything of it is
// done, and goes when all of it is.
const markerFile = "keys"

// A mark is one certificate that comes, or goes, or both: the other in place of
// the one.
type mark struct {
	New *keystore.ID `json:"new,omitempty"` // its key is to be kept
	Old *oldMark     `json:"old,omitempty"` // once it is not current any more, its key and folder go
}

type oldMark struct {
	keystore.ID
	Name string
	Kind string
}

func (m *oldMark) entry() *ledger.Entry {
	return &ledger.Entry{Name: m.Name, Kind: m.Kind, Issuer: m.Issuer, Serial: m.Serial}
}

func (d *Dir) writeMarker(marks []mark) error {
	data, err := json.Marshal(marks)
	if err == nil {
		err = atomicfile.Replace(d.root, path.Join(stagingDir, markerFile), data, atomicfile.Public)
	}
	if err != nil {
		return &PathError{d.Path(stagingDir), fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	return nil
}

// removeMarker takes the marker away. That may be lost: what it says is then
// found to be done.
func (d *Dir) removeMarker() error { return d.root.Remove(path.Join(stagingDir, markerFile)) }

// recoverMarker finishes or undoes what a marker says. The caller holds the lock.
func (d *Dir) recoverMarker(ctx context.Context) error {
	data, err := d.root.ReadFile(path.Join(stagingDir, markerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var marks []mark
	if err := json.Unmarshal(data, &marks); err != nil {
		return err
	}
	var old []*ledger.Entry
	var lost []keystore.ID
	for _, m := range marks {
		if m.New != nil {
			isLost, err := d.recoverKey(ctx, m)
			if err != nil {
				return err
			}
			if isLost {
				lost = append(lost, *m.New)
			}
		}
		if m.Old == nil {
			continue
		}
		e, err := d.ledger.BySerial(ctx, m.Old.Issuer, m.Old.Serial)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
		case err != nil:
			return d.ledgerError(err)
		case !e.Current:
			old = append(old, e)
		}
	}
	if err := d.deleteKeys(ctx, lost); err != nil {
		return err
	}
	if err := d.discard(ctx, old); err != nil {
		return err
	}
	return d.removeMarker()
}

// recoverKey holds the ledger to what the keys say: a certificate whose key was
// lost is abandoned. It reports whether, the other way round, a key is there in
// vain.
func (d *Dir) recoverKey(ctx context.Context, m mark) (inVain bool, err error) {
	e, err := d.ledger.BySerial(ctx, m.New.Issuer, m.New.Serial)
	if errors.Is(err, ledger.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, d.ledgerError(err)
	}
	keys, err := d.openKeys(ctx, true)
	if err != nil {
		return false, err
	}
	if _, err := keys.Get(ctx, *m.New); !errors.Is(err, keystore.ErrNotFound) || !e.Current {
		return false, d.keysErrorOrNil(err)
	}
	inPlace := ""
	if m.Old != nil {
		inPlace = m.Old.Serial
	}
	return false, d.ledgerWriteError(d.ledger.Abandon(ctx, e, inPlace))
}

func (d *Dir) keysErrorOrNil(err error) error {
	if errors.Is(err, keystore.ErrNotFound) {
		return nil
	}
	return d.keysError(err)
}

// discard deletes the keys and folders of entries that are not current any more.
func (d *Dir) discard(ctx context.Context, entries []*ledger.Entry) error {
	var ids []keystore.ID
	for _, e := range entries {
		if isKept(e) {
			ids = append(ids, keyID(e))
			continue
		}
		// Another may be in its place.
		if !d.holds(e) {
			continue
		}
		if err := d.discardFolder(e); err != nil {
			return err
		}
	}
	return d.deleteKeys(ctx, ids)
}

// discardFolder takes the folder of an entry away, at once as a whole.
func (d *Dir) discardFolder(e *ledger.Entry) error {
	gone := stageOf(e) + ".old"
	if err := d.root.RemoveAll(gone); err != nil {
		return err
	}
	if err := d.root.Rename(targetOf(e), gone); err != nil { //nolint:forbidigo // nothing is written
		return &PathError{d.Path(targetOf(e)), atomicfile.Reason(err)}
	}
	if err := atomicfile.SyncDir(d.root, folderOf(e.Kind)); err != nil {
		return err
	}
	d.above = nil
	return d.root.RemoveAll(gone)
}

func (d *Dir) deleteKeys(ctx context.Context, ids []keystore.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := d.root.Lstat(keysFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	keys, err := d.openKeys(ctx, true)
	if err != nil {
		return err
	}
	return d.keysError(keys.Delete(ctx, ids))
}
