package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// A Growing is a file that is written piece by piece beside its place. Finish or
// Discard has to be called, once.
type Growing struct {
	*os.File
	pending Pending
}

// Begin makes an empty file beside its place, to write to and to read again.
func Begin(root *os.Root, name string, mode fs.FileMode) (*Growing, error) {
	temp := path.Join(path.Dir(filepath.ToSlash(name)), TempName())
	f, err := openNew(root, temp, mode)
	if err != nil {
		return nil, err
	}
	return &Growing{f, Pending{root, name, temp}}, nil
}

// Finish waits for the disk and closes the file, which is whole now.
func (g *Growing) Finish() (*Pending, error) {
	if err := errors.Join(g.Sync(), g.Close()); err != nil {
		return nil, errors.Join(err, g.pending.Discard())
	}
	return &g.pending, nil
}

// Discard closes the file and takes it away.
func (g *Growing) Discard() error { return errors.Join(g.Close(), g.pending.Discard()) }

// Hide takes the file's name away where the system can do that to an open file:
// then nothing of it is left even if the process is killed. Discard is its end.
func (g *Growing) Hide() { _ = g.pending.Discard() }

// FillFrom writes what r has into a new file of a folder that nobody reads yet.
// If the name is taken, the error is [fs.ErrExist]. It does not wait for the disk.
func FillFrom(root *os.Root, name string, r io.Reader, mode fs.FileMode) (err error) {
	f, err := openNew(root, name, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func openNew(root *os.Root, name string, mode fs.FileMode) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	// The mode given to open is narrowed by the umask.
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(err, f.Close(), ignoreMissing(root.Remove(name)))
	}
	return f, nil
}
