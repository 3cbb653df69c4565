package pkidir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// ErrNotEmpty says that a PKI directory cannot be made where there is something.
var ErrNotEmpty = errors.New("there is something already")

// A Restored is a PKI directory that came of a backup.
type Restored struct {
	At    time.Time // when the backup was made
	Files int
	Keys  bool // private keys are among them
	// Taken are the CRL numbers that are not free any more: above any that may
	// have been published since.
	Taken []ledger.Reserve
	// Warnings are about what was wrong before the backup was made.
	Warnings []string
}

// Restore makes the PKI directory at path of a backup, compressed or not. There
// must be nothing at path, or an empty folder: otherwise the error is of cause
// [ErrNotEmpty]. What is no whole backup is [ErrBackup], and a ledger that does
// not hold together [ledger.ErrDamaged]; nothing is made then. command is as in
// [Dir.SetCommand].
func Restore(ctx context.Context, path string, now func() time.Time, in io.Reader, command string) (r Restored, err error) {
	err = makeNew(path, now, func(d *Dir) error {
		d.SetCommand(command)
		r, err = d.restore(ctx, in)
		return err
	})
	if err != nil {
		return Restored{}, err
	}
	return r, nil
}

// makeNew makes a PKI directory that f fills where there is nothing, or an empty
// folder.
func makeNew(dir string, now func() time.Time, f func(*Dir) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeBeside(dir, now, f); errors.Is(err, errFaster) {
			err = &PathError{dir, ErrNotEmpty}
		}
		return err
	}
	for _, e := range entries {
		if !atomicfile.IsTemp(e.Name()) {
			return &PathError{dir, ErrNotEmpty}
		}
	}
	if err != nil {
		return &PathError{dir, atomicfile.Reason(err)}
	}
	// A disk may be mounted there: it is filled from within.
	inner := atomicfile.TempName()
	err = makeBeside(filepath.Join(dir, inner), now, func(d *Dir) error {
		d.path = dir
		return f(d)
	})
	if err != nil {
		return err
	}
	return moveUp(dir, inner)
}

// moveUp moves what is in a folder of dir into dir, the settings last: with them it
// is a PKI directory.
func moveUp(dir, inner string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &PathError{dir, atomicfile.Reason(err)}
	}
	var moved []string
	defer func() {
		if err != nil {
			for _, name := range moved {
				err = errors.Join(err, root.RemoveAll(name))
			}
			err = &PathError{dir, err}
		}
		err = errors.Join(err, root.RemoveAll(inner), root.Close())
	}()
	entries, err := fs.ReadDir(root.FS(), inner)
	if err != nil {
		return atomicfile.Reason(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != settingsFile {
			names = append(names, e.Name())
		}
	}
	for _, name := range append(names, settingsFile) {
		if err := atomicfile.Move(root, path.Join(inner, name), name); err != nil {
			return atomicfile.Reason(err)
		}
		moved = append(moved, name)
	}
	return nil
}

// restore fills a new directory, and finds out whether it works.
func (d *Dir) restore(ctx context.Context, in io.Reader) (r Restored, err error) {
	if err := d.root.Remove(settingsFile); err != nil {
		return r, err
	}
	c, err := extract(in, d.root)
	if err != nil {
		return r, err
	}
	r = Restored{At: c.At, Files: len(c.Files), Keys: c.Keys}
	for _, needed := range []string{settingsFile, ledgerFile} {
		if _, err := d.root.Lstat(needed); err != nil {
			return r, notBackup(fmt.Errorf("it has no %s", needed))
		}
	}
	if err := d.loadSettings(); err != nil {
		return r, notBackup(err)
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := d.checkDatabases(ctx); err != nil {
		return r, err
	}
	if r.Taken, err = d.ledger.Restored(ctx, c.At, numberJump(c.At, d.now())); err != nil {
		return r, d.ledgerWriteError(err)
	}
	if r.Warnings, err = d.unsound(); err != nil {
		return r, err
	}
	return r, d.syncRestored(ctx)
}

// numberJump returns by how much the numbers of CRLs have to grow at least (RFC
// 5280 section 5.2.3) to be above those that were published between a backup and
// now: nobody signs and syncs one in each millisecond. The hour is for clocks that
// disagree, and for who publishes elsewhere until the restored one is in its place.
func numberJump(at, now time.Time) int64 {
	return (max(0, now.Sub(at)) + time.Hour).Milliseconds()
}

func (d *Dir) checkDatabases(ctx context.Context) error {
	if err := d.ledgerError(d.ledger.Check(ctx)); err != nil {
		return err
	}
	if _, err := d.root.Lstat(keysFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	keys, err := d.openKeys(ctx, true)
	if err != nil {
		return err
	}
	return d.keysError(keys.Check(ctx))
}

// errEncrypted says that a key needs a passphrase, and is left unread.
var errEncrypted = errors.New("encrypted")

// unsound returns what is wrong with the files of authorities and certificates, as
// far as that shows without a passphrase. A backup brings back what there was: it
// is for the user to know, and no error.
func (d *Dir) unsound() (problems []string, err error) {
	note := func(err error) {
		if err != nil && !errors.Is(err, errEncrypted) {
			problems = append(problems, err.Error())
		}
	}
	passphrase := func() ([]byte, error) { return nil, errEncrypted }
	authorities, err := d.AuthorityNames()
	if err != nil {
		return nil, err
	}
	for _, name := range authorities {
		_, err := d.Authority(name, passphrase)
		note(err)
	}
	certificates, err := d.folders(certificatesDir)
	if err != nil {
		return nil, err
	}
	for _, name := range certificates {
		_, err := d.Bundle(name, passphrase)
		note(err)
	}
	return problems, nil
}

// syncRestored makes all files durable.
func (d *Dir) syncRestored(ctx context.Context) error {
	folders := []string{profilesDir}
	for _, parent := range []string{authoritiesDir, certificatesDir} {
		names, err := d.folders(parent)
		if err != nil {
			return err
		}
		for _, name := range names {
			folders = append(folders, path.Join(parent, name))
		}
	}
	err := onAllCores(ctx, len(folders), func(i int) error { return atomicfile.SyncAll(d.root, folders[i]) })
	for _, file := range []string{settingsFile, ledgerFile, keysFile} {
		if syncErr := atomicfile.Sync(d.root, file); file != keysFile || !errors.Is(syncErr, fs.ErrNotExist) {
			err = errors.Join(err, syncErr)
		}
	}
	for _, parent := range []string{authoritiesDir, certificatesDir, "."} {
		err = errors.Join(err, atomicfile.SyncDir(d.root, parent))
	}
	return err
}
