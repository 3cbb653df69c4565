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
)

// Create makes the PKI directory at path, without any authority, unless it is
// there already; see [CreateAuthorities].
func Create(ctx context.Context, path string, now func() time.Time) error {
	d, err := openOrLayOut(path, now)
	if err == nil {
		return d.Close()
	}
	if !errors.Is(err, ErrNoDir) {
		return err
	}
	err = makeBeside(path, now, func(d *Dir) error {
		unlock, err := d.lock(ctx)
		if err != nil {
			return err
		}
		return unlock()
	})
	if errors.Is(err, errFaster) {
		return nil
	}
	return err
}

// CreateAuthorities makes authorities, all or none, in the PKI directory at
// path. If there is nothing at path, the directory is made beside it and renamed
// into its place with its first authorities in it, so that it too is whole or
// absent. An empty folder becomes a PKI directory as it stands: it may be where
// a disk is mounted.
func CreateAuthorities(ctx context.Context, path string, now func() time.Time, orders []AuthorityOrder, o AuthorityOptions) ([]Issued, error) {
	for {
		issued, err := createAuthorities(ctx, path, now, orders, o)
		if !errors.Is(err, errFaster) {
			return issued, err
		}
	}
}

// errFaster says that another process made the directory meanwhile.
var errFaster = errors.New("another process was faster")

func createAuthorities(ctx context.Context, path string, now func() time.Time, orders []AuthorityOrder, o AuthorityOptions) (issued []Issued, err error) {
	d, err := openOrLayOut(path, now)
	if errors.Is(err, ErrNoDir) {
		return makeWhole(ctx, path, now, orders, o)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	d.SetCommand(o.Command)
	d.SetKeyFile(o.KeyFile)
	return d.addAuthorities(ctx, orders, o)
}

// openOrLayOut opens a PKI directory, and makes one of an empty folder.
func openOrLayOut(path string, now func() time.Time) (*Dir, error) {
	d, err := Open(path, now)
	if !errors.Is(err, ErrNotDir) {
		return d, err
	}
	if isEmpty(path) {
		if err := layOut(path); err != nil {
			return nil, err
		}
	}
	// What was not empty may be what another process has just laid out.
	return Open(path, now)
}

// isEmpty reports whether a folder holds nothing but what layOut begins with.
func isEmpty(path string) bool {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	for _, e := range entries {
		switch e.Name() {
		case authoritiesDir, certificatesDir, profilesDir, stagingDir:
			sub, err := os.ReadDir(filepath.Join(path, e.Name()))
			if err != nil || len(sub) > 0 {
				return false
			}
		default:
			if !atomicfile.IsTemp(e.Name()) {
				return false
			}
		}
	}
	return true
}

// layOut puts the folders and settings of a PKI directory into a folder, which
// is one from then on. Several processes may do so at once.
func layOut(path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return &PathError{path, atomicfile.Reason(err)}
	}
	err = func() error {
		if err := makeFolders(root); err != nil {
			return err
		}
		err := atomicfile.Create(root, settingsFile, newSettings(), atomicfile.Public)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}()
	if err != nil {
		err = &PathError{path, fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	return errors.Join(err, root.Close())
}

// makeFolders makes the folders that are not there.
func makeFolders(root *os.Root) error {
	for _, sub := range []string{authoritiesDir, certificatesDir, profilesDir, stagingDir} {
		if err := root.Mkdir(sub, atomicfile.PrivateDir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// makeWhole makes the PKI directory at path with its first authorities.
func makeWhole(ctx context.Context, path string, now func() time.Time, orders []AuthorityOrder, o AuthorityOptions) (issued []Issued, err error) {
	for _, order := range orders {
		if err := checkKeyOut(order.KeyOut); err != nil {
			return nil, err
		}
	}
	items, issued, err := signAuthorities(ctx, nil, orders, now, o.Passphrase)
	if err != nil {
		return nil, err
	}
	err = makeBeside(path, now, func(d *Dir) error {
		d.SetCommand(o.Command)
		unlock, err := d.lock(ctx)
		if err != nil {
			return err
		}
		err = errors.Join(d.recordAuthorities(ctx, items, orders, o.Default), unlock())
		issued = d.placed(issued)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, removeKeysBeside(ctx, path, now, items))
	}
	return issued, nil
}

// makeBeside makes a PKI directory beside path, has f fill it, and renames it
// into its place. If another process was faster, the error is errFaster.
func makeBeside(path string, now func() time.Time, f func(*Dir) error) (err error) {
	parent := filepath.Dir(filepath.Clean(path))
	missing := missingFolders(parent)
	temp := filepath.Join(parent, atomicfile.TempName())
	defer func() {
		if err == nil {
			return
		}
		err = errors.Join(err, os.RemoveAll(temp))
		for _, folder := range missing {
			_ = os.Remove(folder) // what is not empty is not ours alone
		}
	}()
	if err := makeTemp(parent, temp); err != nil {
		return err
	}
	if err := layOut(temp); err != nil {
		return &PathError{path, atomicfile.Reason(err)}
	}
	d, err := openAt(temp, path, now)
	if err != nil {
		return err
	}
	if err := errors.Join(f(d), d.Close()); err != nil {
		return err
	}
	switch err := atomicfile.MoveDir(temp, path); {
	case errors.Is(err, fs.ErrExist):
		return errFaster
	case err != nil:
		return &PathError{path, atomicfile.Reason(err)}
	}
	return nil
}

func makeTemp(parent, temp string) error {
	err := os.MkdirAll(parent, atomicfile.PrivateDir)
	if err == nil {
		err = os.Mkdir(temp, atomicfile.PrivateDir)
	}
	if err == nil {
		return nil
	}
	folder := parent
	if missing := missingFolders(parent); len(missing) > 0 {
		folder = filepath.Dir(missing[len(missing)-1])
	}
	return &PathError{folder, fmt.Errorf("cannot make a folder in it: %w", atomicfile.Reason(err))}
}

// missingFolders returns what there is not yet of path, the innermost first.
func missingFolders(path string) (missing []string) {
	for path = filepath.Clean(path); path != filepath.Dir(path); path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, path)
	}
	return missing
}
