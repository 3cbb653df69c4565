package pkidir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// A keyOut is a key on its way to a file outside the PKI directory.
type keyOut struct {
	file string
	data []byte
	made bool
}

// Reasons why a key cannot be written outside the PKI directory.
var (
	ErrKeyOutExists = errors.New("it exists already")
	ErrKeyOutInside = errors.New("it is in the PKI directory, which this key is to stay out of")
)

// checkKeyOut finds out, before a key is made, whether its file can be: it must
// not exist, and its folder must. The empty file is none.
func checkKeyOut(file string) error {
	if file == "" {
		return nil
	}
	if _, err := os.Lstat(file); err == nil {
		return &PathError{file, ErrKeyOutExists}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return &PathError{file, atomicfile.Reason(err)}
	}
	folder := filepath.Dir(file)
	if info, err := os.Stat(folder); err != nil {
		return &PathError{file, fmt.Errorf("its folder %s: %w", folder, atomicfile.Reason(err))}
	} else if !info.IsDir() {
		return &PathError{file, fmt.Errorf("its folder %s is none", folder)}
	}
	if err := atomicfile.CheckWritable(folder); err != nil {
		return &PathError{file, fmt.Errorf("cannot write to its folder: %w", err)}
	}
	return nil
}

// checkKeyOut refuses a file in the directory as well.
func (d *Dir) checkKeyOut(file string) error {
	if err := checkKeyOut(file); err != nil || file == "" {
		return err
	}
	own, err := d.root.Stat(".")
	if err != nil {
		return &PathError{d.path, atomicfile.Reason(err)}
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return &PathError{file, atomicfile.Reason(err)}
	}
	for {
		if info, err := os.Stat(folder); err == nil && os.SameFile(info, own) {
			return &PathError{file, ErrKeyOutInside}
		}
		above := filepath.Dir(folder)
		if above == folder {
			return nil
		}
		folder = above
	}
}

// write makes the file, and waits for the disk.
func (k *keyOut) write() error {
	root, err := os.OpenRoot(filepath.Dir(k.file))
	if err != nil {
		return &PathError{k.file, atomicfile.Reason(err)}
	}
	err = atomicfile.Create(root, filepath.Base(k.file), k.data, atomicfile.Private)
	k.made = err == nil
	switch {
	case errors.Is(err, fs.ErrExist):
		err = &PathError{k.file, ErrKeyOutExists}
	case err != nil:
		err = &PathError{k.file, fmt.Errorf("cannot write it: %w", atomicfile.Reason(err))}
	}
	return errors.Join(err, root.Close())
}

// commitWithKeys is commit of items some of whose keys are to be elsewhere. Those
// are durable before the ledger has their certificates; of a process that is
// killed in between, a key remains that nobody uses. The caller holds the lock.
func (d *Dir) commitWithKeys(ctx context.Context, items []item) error {
	var err error
	for i := range items {
		if k := items[i].keyOut; k != nil && err == nil {
			err = k.write()
		}
	}
	if err == nil {
		err = d.commit(ctx, items)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, removeKeysOut(ctx, d.ledger, items))
}

// removeKeysOut removes the keys that were written for items that came to
// nothing: l is nil, or has not got them. Should they be on record all the same,
// their keys are needed.
func removeKeysOut(ctx context.Context, l *ledger.Ledger, items []item) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for i := range items {
		k, e := items[i].keyOut, &items[i].entry
		if k == nil || !k.made {
			continue
		}
		if l != nil {
			if _, err := l.BySerial(ctx, e.Issuer, e.Serial); !errors.Is(err, ledger.ErrNotFound) {
				continue
			}
		}
		k.made = false
		errs = append(errs, os.Remove(k.file))
	}
	return errors.Join(errs...)
}

// removeKeysBeside is removeKeysOut for a directory that was to come to path, and
// did not, unless what failed failed after that.
func removeKeysBeside(ctx context.Context, path string, now func() time.Time, items []item) error {
	d, err := Open(path, now)
	if errors.Is(err, ErrNoDir) || errors.Is(err, ErrNotDir) {
		return removeKeysOut(ctx, nil, items)
	}
	if err != nil {
		return nil // nobody knows; a key too many does no harm
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return d.Close()
	}
	return errors.Join(removeKeysOut(ctx, l, items), d.Close())
}
