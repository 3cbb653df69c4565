package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

// errOutExists is a file that --out would overwrite.
var errOutExists = errors.New("exists already")

// pathIn returns the path of a file of a bundle.
func (a *app) pathIn(i pkidir.Issued, file string) string { return filepath.Join(i.Path, file) }

// refusePlace finds out before anything is made whether files can be written to
// a folder, or whether it can be made.
func refusePlace(dir string) error {
	for folder := filepath.Clean(dir); ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		switch {
		case isBrokenLink(folder, err):
			return withHint(fmt.Errorf("%s is a link that leads nowhere", folder), "remove it, or name another place with --out")
		case folder != filepath.Dir(folder) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
			continue
		case err != nil:
			return &pkidir.PathError{Path: folder, Err: atomicfile.Reason(err)}
		case !info.IsDir():
			return withHint(fmt.Errorf("%s is a file, and a folder is wanted there", folder), "name another place with --out")
		}
		if err := atomicfile.CheckWritable(folder); err != nil {
			return &pkidir.PathError{Path: folder, Err: fmt.Errorf("cannot write to it: %w", err)}
		}
		return nil
	}
}

// isBrokenLink reports whether something could not be followed since it is a link
// to nothing, or to itself.
func isBrokenLink(path string, err error) bool {
	if err == nil {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// refuseExisting finds files that must not be overwritten before anything is
// made.
func refuseExisting(dir string, names ...string) error {
	if err := refusePlace(dir); err != nil {
		return err
	}
	for _, n := range names {
		file := filepath.Join(dir, n)
		if err := refuseSpecial(file); err != nil {
			return err
		}
		if _, err := os.Lstat(file); err == nil {
			return withHint(fmt.Errorf("%s %w", file, errOutExists), "name another place with --out, or replace it with --force")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return &pkidir.PathError{Path: file, Err: atomicfile.Reason(err)}
		}
	}
	return nil
}

// refuseSpecial finds what no file may take the place of, whatever is forced: a
// folder, a device, a pipe, and a link to one of the latter, as /dev/stdout is.
func refuseSpecial(file string) error {
	what := ""
	if info, err := os.Lstat(file); err == nil && info.IsDir() {
		what = "a folder"
	} else if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		what = "a device or a pipe"
	}
	if what == "" {
		return nil
	}
	return withHint(fmt.Errorf("%s is %s, which no file replaces", file, what), "name another place with --out")
}

// writeBundle writes the three files of a bundle to a folder.
func writeBundle(dir string, b *pki.Bundle, force bool) error {
	files, err := export.PEM{}.Export(b)
	if err != nil {
		return err
	}
	return writeFiles(dir, files, force)
}

// A place is a folder with what is to be written to it.
type place struct {
	dir   string
	files []export.File
}

// writeFiles writes files to a folder, which is made if there is none. Without
// force, no file is overwritten.
func writeFiles(dir string, files []export.File, force bool) error {
	return writePlaces([]place{{dir, files}}, force)
}

// writePlaces writes files to several folders: all of them, or, if there is no
// room or no right to, none.
func writePlaces(places []place, force bool) (err error) {
	var w placesWriter
	defer func() { err = errors.Join(err, w.end(err != nil)) }()
	for _, p := range places {
		for _, f := range p.files {
			if err := refuseSpecial(filepath.Join(p.dir, f.Name)); err != nil {
				return err
			}
		}
		if err := w.write(p); err != nil {
			return err
		}
	}
	for _, f := range w.files {
		put := f.Create
		if force {
			put = f.Replace
		}
		if err := put(); errors.Is(err, fs.ErrExist) {
			return refuseExisting(f.dir, f.name)
		} else if err != nil {
			return &pkidir.PathError{Path: f.dir, Err: fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
		}
		f.done, f.created = true, !force
	}
	return nil
}

// A placesWriter remembers what was made, to take it back.
type placesWriter struct {
	folders []string // made, the innermost first
	roots   []*os.Root
	files   []*placedFile
}

type placedFile struct {
	*atomicfile.Pending
	root          *os.Root
	dir, name     string
	done, created bool
}

// write makes a folder, and writes its files beside their places.
func (w *placesWriter) write(p place) error {
	mode := fs.FileMode(0o755)
	for _, f := range p.files {
		if f.Private {
			mode = atomicfile.PrivateDir
		}
	}
	w.folders = append(missingFolders(p.dir), w.folders...)
	cannot := func(err error) error {
		return &pkidir.PathError{Path: p.dir, Err: fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	if err := os.MkdirAll(p.dir, mode); err != nil {
		return cannot(err)
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return cannot(err)
	}
	w.roots = append(w.roots, root)
	for _, f := range p.files {
		mode := atomicfile.Public
		if f.Private {
			mode = atomicfile.Private
		}
		pending, err := atomicfile.Write(root, f.Name, f.Data, mode)
		if err != nil {
			return cannot(err)
		}
		w.files = append(w.files, &placedFile{Pending: pending, root: root, dir: p.dir, name: f.Name})
	}
	return nil
}

// missingFolders returns the folders that are to be made for one, the innermost
// first.
func missingFolders(dir string) (missing []string) {
	for folder := filepath.Clean(dir); folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, folder)
	}
	return missing
}

// removeEmpty removes folders, but for those with something in them.
func removeEmpty(folders []string) {
	for _, folder := range folders {
		_ = os.Remove(folder)
	}
}

// end takes back what was made if it failed, and closes.
func (w *placesWriter) end(failed bool) error {
	var errs []error
	for _, f := range w.files {
		if failed && !f.done {
			errs = append(errs, f.Discard())
		} else if failed && f.created {
			errs = append(errs, f.root.Remove(f.name))
		}
	}
	for _, r := range w.roots {
		errs = append(errs, r.Close())
	}
	if failed {
		removeEmpty(w.folders)
	}
	return errors.Join(errs...)
}

// readInput reads a file, or standard input for "-", up to a limit.
func (a *app) readInput(file string, limit int64) ([]byte, error) {
	in := a.stdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return data, err
}
