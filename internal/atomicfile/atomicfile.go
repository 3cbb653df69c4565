// Package atomicfile is the one place where files are written: each is written
// beside its place, made durable, and renamed into it, so that it is whole or
// absent whatever happens. Names are relative to an [os.Root] and cannot leave
// it; a link at the name itself is never followed.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// The two audiences of a file and of a folder.
const (
	Private    fs.FileMode = 0o600 // keys and passwords
	Public     fs.FileMode = 0o644 // everything else
	PrivateDir fs.FileMode = 0o700 // a folder that holds a Private file
)

// tempPrefix begins the names of files that are not whole yet.
const tempPrefix = ".mtlsctl-"

// IsTemp reports whether name is that of a file that was never finished.
func IsTemp(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }

// Reason strips the operation and the path from an error, for a caller that
// names them better.
func Reason(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

// TempName returns a new name for something that is not whole yet.
func TempName() string { return tempPrefix + rand.Text() }

// Create writes a new file. If the name is taken, by whatever it is, the error
// is [fs.ErrExist] and nothing changes.
func Create(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	p, err := Write(root, name, data, mode)
	if err != nil {
		return err
	}
	return p.Create()
}

// Replace writes a file in place of the one there is, if there is one. The old
// one stays until the new one is whole.
func Replace(root *os.Root, name string, data []byte, mode fs.FileMode) error {
	p, err := Write(root, name, data, mode)
	if err != nil {
		return err
	}
	return p.Replace()
}

// A Pending is a whole file that is not in its place yet. One of its methods has
// to be called, once.
type Pending struct {
	root       *os.Root
	name, temp string
}

// Write writes a file beside its place, and waits for the disk.
func Write(root *os.Root, name string, data []byte, mode fs.FileMode) (*Pending, error) {
	temp := path.Join(path.Dir(filepath.ToSlash(name)), TempName())
	if err := writeNew(root, temp, data, mode, true); err != nil {
		return nil, err
	}
	return &Pending{root, name, temp}, nil
}

// Create puts the file into its place, unless that is taken: see [Create].
func (p *Pending) Create() error {
	err := p.root.Link(p.temp, p.name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(err, p.Discard(), SyncDir(p.root, path.Dir(p.temp)))
	}
	// Some file systems have no hard links.
	if _, statErr := p.root.Lstat(p.name); !errors.Is(statErr, fs.ErrNotExist) {
		return errors.Join(&fs.PathError{Op: "create", Path: p.name, Err: fs.ErrExist}, p.Discard())
	}
	return p.Replace()
}

// Replace puts the file into its place, whatever is there.
func (p *Pending) Replace() error {
	if err := p.root.Rename(p.temp, p.name); err != nil {
		return errors.Join(err, p.Discard())
	}
	return SyncDir(p.root, path.Dir(p.temp))
}

// Discard takes the file away.
func (p *Pending) Discard() error { return ignoreMissing(p.root.Remove(p.temp)) }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// A File is one of several that are written at once.
type File struct {
	Name string
	Data []byte
	Mode fs.FileMode
}

// Fill writes files into a folder that nobody reads yet, and that is then
// renamed as a whole. What has the same name there is left from an earlier try
// and is replaced. It does not wait for the disk: [Sync]
// and [SyncAll] do.
func Fill(root *os.Root, dir string, files ...File) error {
	for _, f := range files {
		name := path.Join(dir, f.Name)
		if err := ignoreMissing(root.Remove(name)); err != nil {
			return err
		}
		if err := writeNew(root, name, f.Data, f.Mode, false); err != nil {
			return err
		}
	}
	return nil
}

// SyncAll makes the files of a folder, and then the folder, durable.
func SyncAll(root *os.Root, dir string) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return err
	}
	errs := make([]error, len(entries))
	var wg sync.WaitGroup
	for i, e := range entries {
		// At once: a journal that is written for one file is written for all.
		wg.Go(func() { errs[i] = Sync(root, path.Join(dir, e.Name())) })
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), SyncDir(root, dir))
}

// Sync makes a file durable.
func Sync(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDWR, 0) // Windows syncs only what may be written
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeNew writes a file that must not exist, and waits for the disk if sync is
// true. On an error no file is left.
func writeNew(root *os.Root, name string, data []byte, mode fs.FileMode, sync bool) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", name, err), ignoreMissing(root.Remove(name)))
		}
	}()
	// The mode given to open is narrowed by the umask.
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil || !sync {
		return err
	}
	return f.Sync()
}

// Move renames a whole and durable file into another folder, over what has its
// name there.
func Move(root *os.Root, from, to string) error {
	if err := root.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(root, path.Dir(to))
}

// MoveDir renames a whole folder to a name that is not taken, or the error is
// [fs.ErrExist], and makes the new name durable.
func MoveDir(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	// Between the two, another process may have been faster: a folder with
	// something in it is never replaced.
	if err := os.Rename(from, to); err != nil {
		if errors.Is(err, syscall.ENOTEMPTY) {
			err = &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
		}
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(SyncDir(root, "."), root.Close())
}

// ReplaceDir renames the folder from to the folder to and returns where the
// folder that was at to is now, or "" if there was none. Where the system can
// exchange two names at once, there is no moment without a folder at to.
func ReplaceDir(root *os.Root, from, to string) (old string, err error) {
	_, err = root.Lstat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return "", root.Rename(from, to)
	}
	if err != nil {
		return "", err
	}
	if err := exchange(filepath.Join(root.Name(), from), filepath.Join(root.Name(), to)); err == nil {
		return from, nil
	}
	old = from + ".old"
	if err := root.Rename(to, old); err != nil {
		return "", err
	}
	if err := root.Rename(from, to); err != nil {
		return "", errors.Join(err, root.Rename(old, to))
	}
	return old, nil
}
