package cmd

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

type backupOptions struct {
	file        string
	force       bool
	withoutKeys bool
}

// backupJSON is what a backup holds: docs/json.md explains the fields.
type backupJSON struct {
	File    string    `json:"file"`
	At      time.Time `json:"at"`
	Files   int       `json:"files"`
	Keys    bool      `json:"keys"`
	LeftOut []string  `json:"leftOut,omitempty"`
}

func newBackupCmd(a *app, run func(context.Context, *backupOptions) error) *cobra.Command {
	o := &backupOptions{}
	if run == nil {
		run = a.runBackup
	}
	c := &cobra.Command{
		Use:     "backup FILE",
		GroupID: groupUse,
		Short:   "Write the whole PKI directory into one file, as it is at one moment",
		Long: `backup writes a tar archive of everything that mtlsctl keeps in the PKI
directory, compressed if FILE ends in .tgz or .tar.gz, or to standard output for
"-". It may be taken at any time: commands that write wait while the files are
read, and nothing in it is half done. 'mtlsctl restore' brings it back.

The file holds the private keys, unless --without-keys leaves them out: it is as
secret as they are, and has mode 0600. Keys that are encrypted stay so.`,
		Example: `  mtlsctl backup pki-2026-06-15.tgz
  mtlsctl backup - | age -r age1... > pki.tar.age
  mtlsctl backup record.tar --without-keys`,
		Args: exactArgs("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.file = args[0]
			return run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.force, "force", false, "replace a file that exists")
	f.BoolVar(&o.withoutKeys, "without-keys", false, "leave out all private keys, and whatever may hold one")
	return c
}

func (a *app) runBackup(ctx context.Context, o *backupOptions) (err error) {
	if o.file == stdout && term.IsTerminal(a.Stdout) {
		return usagef("name a file, or pipe it elsewhere", "a backup is not written to a terminal")
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	// What goes to standard output is put together in the PKI directory: there it
	// is as safe as the keys are.
	folder, base := a.pkiPath, "backup"
	if o.file != stdout {
		folder, base = filepath.Dir(o.file), filepath.Base(o.file)
		if err := a.refuseBackup(o, folder, base); err != nil {
			return err
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return &pkidir.PathError{Path: folder, Err: fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	defer a.patience("backing up")()
	b, err := a.writeBackup(ctx, d, root, base, o)
	if err != nil {
		return err
	}
	return a.showBackup(o, b)
}

// refuseBackup finds out before anything is read whether the file may be written.
func (a *app) refuseBackup(o *backupOptions, folder, base string) error {
	if _, err := os.Stat(folder); err != nil {
		return &pkidir.PathError{Path: folder, Err: atomicfile.Reason(err)}
	}
	if info, err := os.Stat(o.file); err == nil && info.IsDir() {
		return usagef("name a file in it", "%s is a folder", o.file)
	}
	if o.force {
		if err := refuseSpecial(filepath.Join(folder, base)); err != nil {
			return err
		}
		return refusePlace(folder)
	}
	if err := refuseExisting(folder, base); errors.Is(err, errOutExists) {
		return withHint(err, "give another name, or replace it with --force")
	} else if err != nil {
		return err
	}
	return nil
}

func (a *app) writeBackup(ctx context.Context, d *pkidir.Dir, root *os.Root, base string, o *backupOptions) (b pkidir.Backup, err error) {
	cannot := func(err error) error {
		var path *pkidir.PathError
		if err == nil || errors.As(err, &path) || errors.Is(err, context.Canceled) {
			return err
		}
		return &pkidir.PathError{Path: root.Name(), Err: fmt.Errorf("cannot write to it: %w", atomicfile.Reason(err))}
	}
	g, err := atomicfile.Begin(root, base, atomicfile.Private)
	if err != nil {
		return b, cannot(err)
	}
	if o.file == stdout {
		g.Hide()
	}
	if b, err = d.Backup(ctx, g, o.withoutKeys); err != nil {
		return b, errors.Join(cannot(err), g.Discard())
	}
	if o.file == stdout {
		_, err := g.Seek(0, io.SeekStart)
		if err == nil {
			_, err = io.Copy(a.Stdout, g)
		}
		return b, errors.Join(err, g.Discard())
	}
	if strings.HasSuffix(base, ".tgz") || strings.HasSuffix(base, ".gz") {
		if g, err = compress(ctx, root, base, g); err != nil {
			return b, cannot(err)
		}
	}
	pending, err := g.Finish()
	if err != nil {
		return b, cannot(err)
	}
	put := pending.Create
	if o.force {
		put = pending.Replace
	}
	if err := put(); errors.Is(err, fs.ErrExist) {
		return b, a.refuseBackup(o, root.Name(), base)
	} else if err != nil {
		return b, cannot(err)
	}
	return b, nil
}

// compress puts a file, which it discards, into a smaller one.
func compress(ctx context.Context, root *os.Root, base string, plain *atomicfile.Growing) (small *atomicfile.Growing, err error) {
	defer func() { err = errors.Join(err, plain.Discard()) }()
	if small, err = atomicfile.Begin(root, base, atomicfile.Private); err != nil {
		return nil, err
	}
	z := gzip.NewWriter(small)
	_, err = plain.Seek(0, io.SeekStart)
	if err == nil {
		_, err = io.Copy(z, &stoppable{ctx, plain})
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, errors.Join(err, small.Discard())
	}
	return small, nil
}

// stoppable is a file that is read until the user wants an end.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (r *stoppable) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (a *app) showBackup(o *backupOptions, b pkidir.Backup) error {
	if len(b.LeftOut) > 0 && !a.json {
		a.warn("left out, since mtlsctl keeps nothing there: %s", strings.Join(b.LeftOut, ", "))
	}
	if o.file == stdout {
		return nil
	}
	if a.json {
		return a.writeJSON(backupJSON{o.file, b.At, b.Files, b.Keys, b.LeftOut})
	}
	if a.quiet {
		return nil
	}
	t, style := term.Table{Indent: "  "}, a.style(a.Stdout)
	t.Row(term.Cell{Text: o.file, Style: style.Bold}, plural(b.Files, "file"), keysText(b.Keys))
	if err := t.Write(a.Stdout); err != nil {
		return err
	}
	if b.Keys {
		a.note("Whoever has this file has the keys that are not encrypted: keep it as you keep them.")
	}
	a.note("Bring it back with: mtlsctl --pki DIR restore %s", o.file)
	return nil
}

func keysText(keys bool) string {
	if keys {
		return "with private keys"
	}
	return "without private keys"
}
