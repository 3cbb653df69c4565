package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
)

// warnOpen names the keys of a part that were written for their owner alone, and
// that somebody has opened to others since.
func (r *kubeadmRun) warnOpen(p *kubeadmPart) {
	for i := range p.files {
		f := &p.files[i]
		if !f.isOpen(p.record) {
			continue
		}
		file := filepath.Join(p.place(r.o), f.Name)
		what := fmt.Sprintf("%s was open to others, with mode %04o; it is %04o again", file, f.open, atomicfile.Private)
		if r.o.dryRun {
			what = fmt.Sprintf("%s is open to others, with mode %04o, which is to be %04o", file, f.open, atomicfile.Private)
		}
		switch {
		case p.ca != nil:
			r.warn("%s; whoever read it can sign as authority %q: 'mtlsctl renew %[2]s --rollover' replaces its key", what, p.name)
		case p.leaf == nil:
			r.warn("%s; whoever read it can make tokens of service accounts: it is best replaced", what)
		case p.state == kubeadmRenewed:
			r.warn("%s; a new key takes its place, and the certificate of the former ends on %s", what, day(p.cert.NotAfter))
		default:
			r.warn("%s; whoever read it can pass for %s: 'mtlsctl revoke %s --reason keyCompromise', and then this command, replaces its key",
				what, p.leaf.Subject.CommonName, p.name)
		}
	}
}

// isOpen reports whether a file is a key of the tree that others may use. What
// somebody else brought is not looked at.
func (f *kubeadmFile) isOpen(record *kubeadmRecord) bool { return f.open != 0 && f.isOurs(record) }

// closeKeys takes from others what is for none but the owner.
func (r *kubeadmRun) closeKeys() error {
	for _, p := range r.parts {
		for i := range p.files {
			f := &p.files[i]
			if !f.isOpen(p.record) {
				continue
			}
			if err := closeKey(p.place(r.o), f.Name); err != nil {
				file := filepath.Join(p.place(r.o), f.Name)
				return withHint(&pkidir.PathError{Path: file, Err: fmt.Errorf("it is open to others, and its mode cannot be changed: %w", atomicfile.Reason(err))},
					"close it as its owner, with 'chmod 600 %s'", file)
			}
			r.closed = true
		}
	}
	return nil
}

// closeKey gives a file the mode of a key. A link is not followed: what was opened
// must be what the name stands for.
func closeKey(dir, name string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if named, err := root.Lstat(name); err != nil || !named.Mode().IsRegular() || !os.SameFile(opened, named) {
		return errors.Join(err, errors.New("another process has replaced it"))
	}
	return f.Chmod(atomicfile.Private)
}

// findLeftovers looks for files that are as this command wrote them, and that the
// tree has no more. What somebody else put there, such as the client of an external
// etcd, may be needed.
func (r *kubeadmRun) findLeftovers(ctx context.Context) error {
	all, err := r.o.cluster.Leftovers()
	if err != nil {
		return err
	}
	for _, l := range all {
		p := &kubeadmPart{path: l.Path}
		for _, f := range l.Files {
			p.files = append(p.files, kubeadmFile{File: f})
		}
		if err := r.readRecord(ctx, p); err != nil {
			return err
		}
		if p.record == nil {
			continue
		}
		for i := range p.files {
			f := &p.files[i]
			if err := f.read(p.place(r.o)); err != nil {
				return err
			}
			if f.found != "" && p.record.has(f.Name, f.found) {
				r.left = append(r.left, filepath.Join(p.place(r.o), f.Name))
			}
		}
	}
	return nil
}
