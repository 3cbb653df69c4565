package pkidir

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

// A Backup is what was backed up.
type Backup struct {
	At      time.Time // all that was done before is in it; UTC, whole seconds
	Files   int
	Keys    bool     // private keys are among them
	LeftOut []string // what is in the PKI directory, and is nothing that mtlsctl writes there
}

// Backup writes a copy of the directory as it is at one moment into an empty file,
// as a tar archive. The copy is of what commands that write leave, whole; they
// wait only while the files are read. Without keys, what may hold a private key
// is left out.
func (d *Dir) Backup(ctx context.Context, f io.ReadWriteSeeker, withoutKeys bool) (Backup, error) {
	b := Backup{Keys: !withoutKeys}
	if err := d.copyTo(ctx, f, &b); err != nil {
		return Backup{}, err
	}
	c, err := seal(f, contents{Version: backupVersion, At: b.At, Keys: b.Keys, Files: []archivedFile{}})
	if err != nil {
		return Backup{}, err
	}
	b.Files = len(c.Files)
	return b, nil
}

// copyTo writes the files, without the end of the archive.
func (d *Dir) copyTo(ctx context.Context, f io.Writer, b *Backup) (err error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	detail := "with keys"
	if !b.Keys {
		detail = "without keys"
	}
	if err := d.ledger.Note(ctx, ledger.ActionBackup, detail); err != nil {
		return d.ledgerWriteError(err)
	}
	if err := d.settleDatabases(ctx); err != nil {
		return err
	}
	b.At = d.now().UTC().Truncate(time.Second)
	buffered := bufio.NewWriterSize(f, copyBuffer)
	w := tar.NewWriter(buffered)
	if err := d.archive(ctx, w, b); err != nil {
		return err
	}
	return errors.Join(w.Flush(), buffered.Flush())
}

// settleDatabases closes the databases, after what a killed process began to
// write to one was undone. The caller holds the lock: nobody writes to them then.
func (d *Dir) settleDatabases(ctx context.Context) error {
	if _, err := d.root.Lstat(keysFile); !errors.Is(err, fs.ErrNotExist) {
		if _, err := d.openKeys(ctx, true); err != nil {
			return err
		}
		if err := d.keys.Close(); err != nil {
			return err
		}
		d.keys, d.writeKey = nil, false
	}
	err := d.ledger.Close()
	d.ledger, d.writable = nil, false
	return err
}

// archive writes all files that belong into a backup, and notes what does not.
func (d *Dir) archive(ctx context.Context, w *tar.Writer, b *Backup) error {
	return fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return &PathError{d.Path(name), atomicfile.Reason(err)}
		}
		if e.IsDir() {
			switch depth := strings.Count(name, "/"); {
			case name == ".", depth == 0 && (name == authoritiesDir || name == certificatesDir || name == profilesDir):
				return nil
			case name == stagingDir:
				return fs.SkipDir
			case depth == 1 && !strings.HasPrefix(name, profilesDir):
				return nil
			}
			b.LeftOut = append(b.LeftOut, d.Path(name))
			return fs.SkipDir
		}
		if isOwnLeftover(name) {
			return nil
		}
		if _, ok := archivedMode(name); !ok || !e.Type().IsRegular() {
			b.LeftOut = append(b.LeftOut, d.Path(name))
			return nil
		}
		if !b.Keys && mayHoldKey(name) {
			return nil
		}
		return d.archiveFile(w, name, b.At)
	})
}

// isOwnLeftover reports whether a file is one that the program needs only while it
// runs.
func isOwnLeftover(name string) bool {
	return atomicfile.IsTemp(name) || slices.Contains([]string{lockFile, turnFile, ledgerFile + "-journal", keysFile + "-journal"}, name)
}

func mayHoldKey(name string) bool {
	return name == keysFile || strings.Count(name, "/") == 2 && !isPublicFile(path.Base(name))
}

func (d *Dir) archiveFile(w *tar.Writer, name string, at time.Time) (err error) {
	f, err := d.root.Open(name)
	if err != nil {
		return &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return &PathError{d.Path(name), atomicfile.Reason(err)}
	}
	if err := w.WriteHeader(header(name, info.Size(), at)); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, info.Size())
	return err
}
