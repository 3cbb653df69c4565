package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

// mergeKubeconfig puts a bundle into a kubeconfig, which is written only if that
// changes it.
func (a *app) mergeKubeconfig(ctx context.Context, o *exportKubeconfigOptions, b *pki.Bundle) (err error) {
	if _, statErr := os.Stat(o.merge); o.format.Server != "" || statErr != nil {
		if _, err := o.format.Merge(nil, b, export.KubeconfigMerge{}); err != nil {
			return exportError(&o.exportOptions, err) // before anything is made
		}
	}
	if err := a.refuseOwn(filepath.Dir(o.merge)); err != nil {
		return err
	}
	if _, err := openMerged(o.merge); err != nil { // likewise
		return err
	}
	unlock, err := a.lockKubeconfig(ctx, o.merge)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	k, err := openMerged(o.merge)
	if err != nil {
		return err
	}
	data, err := o.format.Merge(k.data, b, export.KubeconfigMerge{Force: o.force, SetCurrent: o.setCurrent})
	if err != nil {
		return exportError(&o.exportOptions, err)
	}
	if k.info != nil && bytes.Equal(data, k.data) {
		a.note("%s has all of it already.", o.merge)
	} else if err := k.replace(data, o.format.Paths == nil); err != nil {
		return err
	}
	if o.format.Paths == nil {
		if err := a.recordMerged(ctx, o, k.path, data); err != nil {
			return err
		}
	}
	return a.showExported(exportJSON{Name: o.name, Format: formatKubeconfig, Files: []string{o.merge}})
}

// lockWait is how long another program may take to change a kubeconfig.
const lockWait = 5 * time.Second

// lockKubeconfig keeps kubectl from changing a kubeconfig, as kubectl itself
// does: by a file beside it (gh/kubernetes/client-go tools/clientcmd/loader.go,
// lockFile). A folder that is not there is made, and goes with the lock if nothing
// came into it.
func (a *app) lockKubeconfig(ctx context.Context, file string) (unlock func() error, err error) {
	dir, name := filepath.Dir(file), filepath.Base(file)+".lock"
	if err := refusePlace(dir); err != nil {
		return nil, err
	}
	cannot := func(err error) error {
		return &pkidir.PathError{Path: dir, Err: fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	made := missingFolders(dir)
	defer func() {
		if err != nil {
			removeEmpty(made)
		}
	}()
	if err := os.MkdirAll(dir, atomicfile.PrivateDir); err != nil {
		return nil, cannot(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, cannot(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, withHint(fmt.Errorf("%s is being changed by another program, such as kubectl", file),
		"try again; if no such program runs, one was killed: remove %s.lock", file))
	defer cancel()
	for {
		err := atomicfile.Create(root, name, nil, atomicfile.Private)
		if err == nil {
			return func() error {
				defer removeEmpty(made)
				return errors.Join(root.Remove(name), root.Close())
			}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(cannot(err), root.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), root.Close())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A mergedFile is a kubeconfig that is there, or will be.
type mergedFile struct {
	path string      // where links lead to
	info fs.FileInfo // nil if there is none
	data []byte
}

// openMerged reads a kubeconfig. A link to it stays one: who keeps the file
// elsewhere wants it to be changed there, as kubectl does.
func openMerged(file string) (*mergedFile, error) {
	path, err := filepath.EvalSymlinks(file)
	switch {
	case isBrokenLink(file, err):
		return nil, withHint(fmt.Errorf("%s is a link that leads nowhere", file), "remove the link, or make the file")
	case errors.Is(err, fs.ErrNotExist):
		return &mergedFile{path: file}, nil
	}
	cannot := func(err error) error { return &pkidir.PathError{Path: file, Err: atomicfile.Reason(err)} }
	if err != nil {
		return nil, cannot(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, cannot(err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKubeconfig {
		return nil, withHint(fmt.Errorf("%s is no kubeconfig", file), "name the file of one, such as ~/.kube/config")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, cannot(err)
	}
	return &mergedFile{path, info, data}, nil
}

// replace writes the file in place of the former, for the same readers; with a
// key in it, for none but its owner.
func (k *mergedFile) replace(data []byte, key bool) (err error) {
	mode := atomicfile.Private
	if k.info != nil {
		mode = k.info.Mode().Perm()
		if key {
			mode &= atomicfile.Private
		}
	}
	dir, name := filepath.Dir(k.path), filepath.Base(k.path)
	cannot := func(err error) error {
		return &pkidir.PathError{Path: dir, Err: fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return cannot(err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := atomicfile.Replace(root, name, data, mode); err != nil {
		return cannot(err)
	}
	if uid, gid, ok := ownerOf(k.info); ok {
		// Under sudo, the file stays its owner's.
		if err := root.Chown(name, uid, gid); err != nil {
			return cannot(err)
		}
	}
	return nil
}

// recordMerged remembers a kubeconfig for renew, which names it and leaves it
// alone: it has the entries of others too. One file may have many users.
func (a *app) recordMerged(ctx context.Context, o *exportKubeconfigOptions, path string, data []byte) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	r := exportRecord{Flags: a.flags}
	e, err := r.entry(o.name, formatKubeconfig, filepath.Dir(path), []export.File{{Name: filepath.Base(path), Data: data}})
	if err != nil {
		return err
	}
	e.Path += "#" + o.name
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.PutExports(ctx, []ledger.Export{e}); err != nil {
		a.note("renew will not know of %s: %v", path, err)
	}
	return nil
}
