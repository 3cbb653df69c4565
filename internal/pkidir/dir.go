// Package pkidir is the PKI directory: where authorities, bundles, profiles,
// settings and the ledger are kept, and the one way by which a certificate gets
// from a request into a file. It is the only reader of private keys.
//
// Everything it signs is in the ledger before it is in a file. A bundle is put
// together in a folder of its own under .staging, key first, and renamed into
// its place as a whole after the ledger has it; what a killed process left
// there is finished or thrown away by the next one that writes.
package pkidir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/keystore"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A Dir is an open PKI directory. It is for one goroutine at a time.
type Dir struct {
	path     string // as messages name it
	at       string // where it is: path, unless it is still being made
	root     *os.Root
	settings atomic.Pointer[settings]
	now      func() time.Time
	command  string
	ledger   *ledger.Ledger // nil until needed
	writable bool           // of the open ledger
	keys     *keystore.Store
	writeKey bool   // of the open keys
	keyFile  string // see SetKeyFile
	above    map[string]*pki.Authority
}

// Reasons why a PKI directory, or something in it, cannot be used.
var (
	ErrNoDir        = errors.New("there is no PKI directory")
	ErrNotDir       = errors.New("that is not a PKI directory")
	ErrNoAuthority  = errors.New("unknown authority")
	ErrNoBundle     = errors.New("unknown certificate")
	ErrInTheWay     = errors.New("something that mtlsctl did not write is in the way")
	ErrLooseKeyMode = errors.New("others may read this key")
	// ErrLooseFolderMode is about the folder of an authority.
	ErrLooseFolderMode = errors.New("others may look into this folder, which holds a key")
	ErrBadKey          = errors.New("that is no key to use")
	ErrNoLedger        = errors.New("the ledger is missing")
	ErrNoKeys          = errors.New("the file of keys is missing")
	ErrSettings        = errors.New("the settings cannot be used")
	ErrNoLocks         = errors.New("the file system cannot lock")
)

// A PathError says which path of a PKI directory is meant.
type PathError struct {
	Path string
	Err  error
}

func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Err }

// Open opens the PKI directory at path. Errors are of cause [ErrNoDir],
// [ErrNotDir] or [ledger.ErrNewer], or say why it cannot be read. now is the
// clock.
func Open(path string, now func() time.Time) (*Dir, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &PathError{path, ErrNoDir}
	case errors.Is(err, syscall.ENOTDIR):
		return nil, &PathError{path, fmt.Errorf("%w: a file is in its way", ErrNotDir)}
	case err != nil:
		return nil, &PathError{path, atomicfile.Reason(err)}
	case !info.IsDir():
		return nil, &PathError{path, fmt.Errorf("%w: it is a file", ErrNotDir)}
	}
	return openAt(path, path, now)
}

func openAt(at, path string, now func() time.Time) (*Dir, error) {
	root, err := os.OpenRoot(at)
	if err != nil {
		return nil, &PathError{path, atomicfile.Reason(err)}
	}
	d := &Dir{path: path, at: at, root: root, now: now}
	if err := d.loadSettings(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: it has no %s", ErrNotDir, settingsFile)
		}
		return nil, errors.Join(&PathError{path, err}, root.Close())
	}
	return d, nil
}

// SetCommand says what the log calls whoever writes from now on: a command's
// name, as in "issue", without its arguments.
func (d *Dir) SetCommand(command string) {
	d.command = command
	if d.ledger != nil {
		d.ledger.SetActor(ledger.Actor{Command: d.command, Now: d.now})
	}
}

// Close closes the directory and its databases.
func (d *Dir) Close() error {
	var errs []error
	if d.keys != nil {
		errs = append(errs, d.keys.Close())
	}
	if d.ledger != nil {
		errs = append(errs, d.ledger.Close())
	}
	return errors.Join(append(errs, d.root.Close())...)
}

// Path returns the path by which the directory was opened, with elem after it.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// real is where a file is, for those that cannot open it below d.root.
func (d *Dir) real(name string) string { return filepath.Join(d.at, name) }

// Ledger returns the ledger, open to read.
func (d *Dir) Ledger(ctx context.Context) (*ledger.Ledger, error) {
	if d.ledger != nil {
		return d.ledger, nil
	}
	if err := d.checkLedger(); err != nil {
		return nil, err
	}
	l, err := ledger.OpenReadOnly(ctx, d.real(ledgerFile))
	if err != nil {
		return nil, d.ledgerError(err)
	}
	d.ledger = l
	d.SetCommand(d.command)
	return l, nil
}

// ledgerError says which ledger it was.
func (d *Dir) ledgerError(err error) error { return d.databaseError(ledgerFile, ErrNoLedger, err) }

// databaseError says which database it was, and missing if it is not there.
func (d *Dir) databaseError(file string, missing, err error) error {
	if err == nil || errors.Is(err, ledger.ErrExists) || errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if _, statErr := d.root.Lstat(file); errors.Is(statErr, fs.ErrNotExist) {
		err = missing
	}
	return &PathError{d.Path(file), err}
}

// ledgerWriteError is [Dir.ledgerError] for one that is to be written to.
func (d *Dir) ledgerWriteError(err error) error { return d.ledgerError(d.orFull(ledgerFile, err)) }

// orFull finds out whether a database could not be written to because the disk is
// full: SQLite does not say why it could not make its journal, so it shows by
// trying.
func (d *Dir) orFull(file string, err error) error {
	if !errors.Is(err, ledger.ErrClosed) {
		return err
	}
	probe, probeErr := atomicfile.Write(d.root, file, nil, atomicfile.Public)
	if probeErr == nil {
		probeErr = probe.Discard()
	}
	if IsFull(probeErr) {
		err = fmt.Errorf("%w: %w", ledger.ErrFull, err)
	}
	return err
}

func (d *Dir) openLedgerToWrite(ctx context.Context) error {
	if d.writable {
		return nil
	}
	if d.ledger != nil {
		if err := d.ledger.Close(); err != nil {
			return err
		}
		d.ledger = nil
	}
	// A process killed while it made the directory leaves it without a ledger,
	// and without anything that should be in one.
	if _, err := d.root.Lstat(ledgerFile); errors.Is(err, fs.ErrNotExist) {
		if names, err := d.AuthorityNames(); err == nil && len(names) == 0 {
			if err := d.makeEmpty(ledgerFile, atomicfile.Public); err != nil {
				return err
			}
		}
	}
	if err := d.checkLedger(); err != nil {
		return err
	}
	l, err := ledger.Open(ctx, d.real(ledgerFile))
	if err != nil {
		return d.ledgerWriteError(err)
	}
	d.ledger, d.writable = l, true
	d.SetCommand(d.command)
	return nil
}

// checkLedger refuses a ledger that lost all it had: an empty file is a new one,
// and new it is only as long as there is no authority.
func (d *Dir) checkLedger() error {
	info, err := d.root.Stat(ledgerFile)
	if err != nil || info.Size() > 0 {
		return nil // whoever opens it says what is wrong
	}
	if authorities, err := d.folders(authoritiesDir); err != nil || len(authorities) == 0 {
		return err
	}
	return &PathError{d.Path(ledgerFile), fmt.Errorf("the ledger %w: it is empty", ledger.ErrDamaged)}
}

// makeEmpty makes a database, unless it is there: an empty file is an empty one,
// and is whole as it is made.
func (d *Dir) makeEmpty(name string, mode fs.FileMode) error {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode) //nolint:forbidigo // it stays empty
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Close(), atomicfile.SyncDir(d.root, "."))
	}
	if err != nil {
		return &PathError{d.path, fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	return nil
}

// lock makes this process the only one that writes to the directory, waiting
// for its turn, and finishes what a killed process left.
func (d *Dir) lock(ctx context.Context) (unlock func() error, err error) {
	unlock, err = d.takeLock(ctx, lockFile)
	if err != nil {
		return nil, err
	}
	if err := d.prepareToWrite(ctx); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// Turn waits for whoever else has its turn, and returns how to end this one. It is
// for a command that decides by what is there, in this directory and elsewhere, and
// then changes both: in its turn, no other such command does. All that writes to
// the directory alone needs no turn.
func (d *Dir) Turn(ctx context.Context) (end func() error, err error) {
	if err := d.checkWritable(); err != nil {
		return nil, err
	}
	return d.takeLock(ctx, turnFile)
}

// takeLock is a lock alone.
func (d *Dir) takeLock(ctx context.Context, file string) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := flock.New(d.real(file), flock.SetPermissions(atomicfile.Public))
	locked := make(chan error, 1)
	// The system serves the waiting in turn, but its call cannot be cancelled.
	go func() { locked <- f.Lock() }()
	select {
	case <-ctx.Done():
		go func() {
			if <-locked == nil { // too late: nobody wants it any more
				_ = f.Close()
			}
		}()
		return nil, ctx.Err()
	case err := <-locked:
		if err != nil {
			return nil, &PathError{d.Path(file), fmt.Errorf("%w: %w", ErrNoLocks, err)}
		}
	}
	return f.Close, nil
}

// prepareToWrite opens the ledger and finishes what a killed process left. The
// caller holds the lock.
func (d *Dir) prepareToWrite(ctx context.Context) error {
	// Whoever keeps the directory in git has no empty folders.
	if !d.hasFolder(stagingDir) || !d.hasFolder(certificatesDir) {
		if err := makeFolders(d.root); err != nil {
			return &PathError{d.path, fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
		}
	}
	if err := d.openLedgerToWrite(ctx); err != nil {
		return err
	}
	return d.recover(ctx)
}

// Finish completes what a killed process left, if there is anything.
func (d *Dir) Finish(ctx context.Context) error {
	if left, err := fs.ReadDir(d.root.FS(), stagingDir); errors.Is(err, fs.ErrNotExist) || err == nil && len(left) == 0 {
		return nil
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	return unlock()
}

// checkWritable finds out before anything is made whether files can be.
func (d *Dir) checkWritable() error {
	f, err := d.root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, atomicfile.Public) //nolint:forbidigo // it stays empty
	if err != nil {
		return &PathError{d.path, fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	return f.Close()
}

// IsFull reports whether err means that there is no room on the disk.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, ledger.ErrFull)
}

// Profiles returns the names of the user's own profiles, sorted. A directory
// that cannot be read has none.
func Profiles(path string) []string {
	entries, err := os.ReadDir(filepath.Join(path, profilesDir))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if stem, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !e.IsDir() {
			if _, err := pki.ParseName(stem); err == nil {
				names = append(names, stem)
			}
		}
	}
	return names
}

// ReadProfile returns the text of one of the user's own profiles, and its path.
func ReadProfile(path, name string) ([]byte, string, error) {
	file := filepath.Join(path, profilesDir, name+".yaml")
	data, err := os.ReadFile(file)
	return data, file, err
}
