package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

type restoreOptions struct{ file string }

// restoreJSON is what came of a backup: docs/json.md explains the fields.
type restoreJSON struct {
	Path       string          `json:"path"`
	At         time.Time       `json:"at"`
	Files      int             `json:"files"`
	Keys       bool            `json:"keys"`
	CRLNumbers []crlNumberJSON `json:"crlNumbers"`
	Warnings   []string        `json:"warnings,omitempty"`
}

type crlNumberJSON struct {
	Authority string `json:"authority"`
	Number    int64  `json:"number"`
}

func newRestoreCmd(a *app, run func(context.Context, *restoreOptions) error) *cobra.Command {
	o := &restoreOptions{}
	if run == nil {
		run = a.runRestore
	}
	return &cobra.Command{
		Use:     "restore FILE",
		GroupID: groupUse,
		Short:   "Make the PKI directory of a backup",
		Long: `restore makes the PKI directory of what 'mtlsctl backup' wrote into FILE, or of
standard input for "-". There must be nothing at its place, or an empty folder.
The backup is read and checked as a whole first: a damaged one makes nothing.

What was issued or revoked after the backup was made is not in it. The numbers
of CRLs go on above all that may have been published since, as they must never
go back (RFC 5280 section 5.2.3): publish the CRLs anew with 'mtlsctl crl'.`,
		Example: `  mtlsctl restore pki-2026-06-15.tgz
  age -d -i key.txt pki.tar.age | mtlsctl --pki /srv/pki restore -`,
		Args: exactArgs("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.file = args[0]
			return run(c.Context(), o)
		},
	}
}

func (a *app) runRestore(ctx context.Context, o *restoreOptions) (err error) {
	name, in := "standard input", a.stdin()
	if o.file == "-" && term.IsTerminal(a.Stdin) {
		return usagef("name a file, or pipe it in", "a backup is not read from a terminal")
	}
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		name, in = o.file, io.Reader(&stoppable{ctx, f})
	}
	done := a.patience("restoring")
	r, err := pkidir.Restore(ctx, a.pkiPath, a.Now, in, a.command)
	done()
	if errors.Is(err, pkidir.ErrBackup) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return err
	}
	return a.showRestored(r)
}

func (a *app) showRestored(r pkidir.Restored) error {
	if a.json {
		j := restoreJSON{Path: a.pkiPath, At: r.At, Files: r.Files, Keys: r.Keys, CRLNumbers: []crlNumberJSON{}, Warnings: r.Warnings}
		for _, t := range r.Taken {
			j.CRLNumbers = append(j.CRLNumbers, crlNumberJSON{t.Issuer, t.Number})
		}
		return a.writeJSON(j)
	}
	for _, w := range r.Warnings {
		a.warn("%s", w)
	}
	if a.quiet {
		return nil
	}
	t, style := term.Table{Indent: "  "}, a.style(a.Stdout)
	t.Row(term.Cell{Text: filepath.Clean(a.pkiPath), Style: style.Bold}, "as it was at "+pki.FormatTime(r.At), plural(r.Files, "file"), keysText(r.Keys))
	if err := t.Write(a.Stdout); err != nil {
		return err
	}
	a.note("What was issued or revoked after that is not in it: revoke again what must not be trusted.")
	a.note("CRL numbers go on above all that may have been published since. Next, for each authority with a CRL: mtlsctl crl AUTHORITY")
	return nil
}
