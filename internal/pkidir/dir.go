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
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/pki"
)

// What is in a PKI directory.
const (
	settingsFile    = "mtlsctl.yaml"
	ledgerFile      = "ledger.db"
	authoritiesDir  = "authorities"
	certificatesDir = "certificates"
	profilesDir     = "profiles"
	stagingDir      = ".staging"
	lockFile        = ".lock"

	// The files of a bundle and of an authority.
	ChainFile = "tls.crt"
	KeyFile   = "tls.key"
	RootsFile = "ca.crt"
)

// A Dir is an open PKI directory.
type Dir struct {
	path     string // as messages name it
	at       string // where it is: path, unless it is still being made
	root     *os.Root
	settings settings
	now      func() time.Time
	ledger   *ledger.Ledger // nil until needed
	writable bool           // of the open ledger
}

// Reasons why a PKI directory, or something in it, cannot be used.
var (
	ErrNoDir        = errors.New("there is no PKI directory")
	ErrNotDir       = errors.New("that is not a PKI directory")
	ErrNoAuthority  = errors.New("unknown authority")
	ErrNoBundle     = errors.New("unknown certificate")
	ErrInTheWay     = errors.New("something that mtlsctl did not write is in the way")
	ErrLooseKeyMode = errors.New("others may read this key")
	ErrBadKey       = errors.New("that is no key to use")
	ErrNoLedger     = errors.New("the ledger is missing")
	ErrSettings     = errors.New("the settings cannot be used")
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
	if d.settings, err = readSettings(root); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: it has no %s", ErrNotDir, settingsFile)
		}
		return nil, errors.Join(&PathError{path, err}, root.Close())
	}
	return d, nil
}

// Close closes the directory and its ledger.
func (d *Dir) Close() error {
	var err error
	if d.ledger != nil {
		err = d.ledger.Close()
	}
	return errors.Join(err, d.root.Close())
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
	l, err := ledger.OpenReadOnly(ctx, d.real(ledgerFile))
	if err != nil {
		return nil, d.ledgerError(err)
	}
	d.ledger = l
	return l, nil
}

// ledgerError says which ledger it was.
func (d *Dir) ledgerError(err error) error {
	if err == nil || errors.Is(err, ledger.ErrExists) {
		return err
	}
	if _, statErr := d.root.Lstat(ledgerFile); errors.Is(statErr, fs.ErrNotExist) {
		err = ErrNoLedger
	}
	return &PathError{d.Path(ledgerFile), err}
}

// ledgerWriteError is [Dir.ledgerError] for one that is to be written to. SQLite
// does not say why it could not make its journal, so a full disk shows by trying.
func (d *Dir) ledgerWriteError(err error) error {
	if errors.Is(err, ledger.ErrClosed) {
		probe, probeErr := atomicfile.Write(d.root, ledgerFile, nil, atomicfile.Public)
		if probeErr == nil {
			probeErr = probe.Discard()
		}
		if IsFull(probeErr) {
			err = fmt.Errorf("%w: %w", ledger.ErrFull, err)
		}
	}
	return d.ledgerError(err)
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
			// An empty file is an empty database.
			err := atomicfile.Create(d.root, ledgerFile, nil, atomicfile.Public)
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return &PathError{d.path, fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
			}
		}
	}
	l, err := ledger.Open(ctx, d.real(ledgerFile))
	if err != nil {
		return d.ledgerWriteError(err)
	}
	d.ledger, d.writable = l, true
	return nil
}

// lock makes this process the only one that writes to the directory, waiting
// for its turn, and finishes what a killed process left.
func (d *Dir) lock(ctx context.Context) (unlock func() error, err error) {
	unlock, err = d.takeLock(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.prepareToWrite(ctx); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// takeLock is the lock alone.
func (d *Dir) takeLock(ctx context.Context) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := flock.New(d.real(lockFile), flock.SetPermissions(atomicfile.Public))
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
			return nil, &PathError{d.Path(lockFile), fmt.Errorf("the file system cannot lock: %w", err)}
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

// checkKeyMode refuses a key file that others than its owner may read.
func checkKeyMode(path string, mode fs.FileMode) error {
	if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 {
		return &PathError{path, fmt.Errorf("%w: its mode is %04o", ErrLooseKeyMode, mode.Perm())}
	}
	return nil
}
