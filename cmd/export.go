package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/pki"
)

// exportOptions are what all formats share.
type exportOptions struct {
	name       string
	out        string
	force      bool
	withCAKey  bool
	passphrase secretFlags
}

func newExportCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "export FORMAT NAME",
		GroupID: groupUse,
		Short:   "Write a certificate in the form that a program wants",
		Long: `export writes a certificate of the PKI directory, with its key and the root to
trust, in the form that a program wants. NAME may be an authority too: then its
key stays behind, unless --with-ca-key asks for it.`,
		Example: `  mtlsctl export p12 alice@example.com --for macos
  mtlsctl export secret api.example.com --namespace prod | kubectl apply --server-side -f -
  mtlsctl export pem api.example.com --combined --out haproxy.pem
  mtlsctl export secret root --ca-only --name ca.bundle`,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		Args:               cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				var names []string
				for _, e := range export.Formats() {
					names = append(names, e.Name)
				}
				return usagef("as in 'mtlsctl export p12 alice@example.com'", "FORMAT is missing: there are %s", strings.Join(names, ", "))
			}
			_, err := export.Find(args[0])
			return &usageError{err: err}
		},
	}
	c.AddCommand(newExportPEMCmd(a, nil), newExportSecretCmd(a, nil), newExportP12Cmd(a, nil), newExportCRLCmd(a, nil))
	return c
}

// addExportFlags adds the flags that all formats share.
func (a *app) addExportFlags(c *cobra.Command, o *exportOptions, out string) {
	f := c.Flags()
	f.StringVar(&o.out, "out", "", out)
	f.BoolVar(&o.force, "force", false, "replace files that exist")
	f.BoolVar(&o.withCAKey, "with-ca-key", false, "of an authority, write the key too")
	o.passphrase.add(c, "passphrase", "passphrase of the authority's key")
	c.ValidArgsFunction = a.completeBundles
	e, err := export.Find(c.Name())
	must(err)
	c.Short = "Write " + e.Summary
}

// bundle loads what is to be exported. The key of an authority is read only if
// it was asked for.
func (a *app) bundle(ctx context.Context, o *exportOptions) (b *pki.Bundle, err error) {
	d, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	passphrase := a.passphrase(&o.passphrase)
	if d.IsAuthority(o.name) && !o.withCAKey {
		passphrase = nil
	}
	b, err = d.Bundle(o.name, passphrase)
	if err == nil && o.withCAKey && b.Key == nil && d.IsAuthority(o.name) {
		file := d.AuthorityKeyPath(o.name)
		return nil, withHint(fmt.Errorf("the key of authority %q is not at %s", o.name, file), "bring it back to export it")
	}
	return b, err
}

// exportError adds the next step to what a format refuses.
func exportError(o *exportOptions, err error) error {
	var option *export.OptionError
	switch {
	case errors.As(err, &option) && option.Option == "password":
		return &usageError{fmt.Errorf("the password: %s", option.Problem), "bring another, or none: then a strong one is made"}
	case errors.As(err, &option):
		hint := ""
		if option.Suggestion != "" {
			hint = fmt.Sprintf("use --%s %s", option.Option, option.Suggestion)
		}
		return &usageError{flagProblem(option), hint}
	case errors.Is(err, export.ErrNoKey) && !o.withCAKey:
		return withHint(fmt.Errorf("%q: %w", o.name, err),
			"whoever sent the signing request has the key; of an authority, --with-ca-key writes it too")
	}
	return err
}

func flagProblem(e *export.OptionError) error {
	if e.Value == "" {
		return fmt.Errorf("--%s: %s", e.Option, e.Problem)
	}
	return flagValueError("--"+e.Option, e.Value, errors.New(e.Problem))
}

// stdout as an --out is standard output.
const stdout = "-"

// target is where the files of an export go.
type target struct {
	dir   string
	names []string // in dir, one a file
}

// fileTarget is the target of a format of one file: --out is the file, or the
// folder for it.
func fileTarget(out, def string) target {
	if out == "" {
		out = def
	}
	if info, err := os.Stat(out); strings.HasSuffix(out, string(filepath.Separator)) || strings.HasSuffix(out, "/") || err == nil && info.IsDir() {
		return target{out, []string{filepath.Base(def)}}
	}
	return target{filepath.Dir(out), []string{filepath.Base(out)}}
}

// write writes the files of an export, and others that belong to them, and
// returns the paths of the former. With the standard output as target, they go
// nowhere else.
func (a *app) write(o *exportOptions, t target, files []export.File, others ...place) ([]string, error) {
	if o.out == stdout {
		if err := writePlaces(others, o.force); err != nil {
			return nil, err
		}
		for i, f := range files {
			// A root is its own ca.crt: once is enough in a row.
			if slices.ContainsFunc(files[:i], func(e export.File) bool { return bytes.Equal(e.Data, f.Data) }) {
				continue
			}
			if _, err := a.Stdout.Write(f.Data); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	var paths []string
	for i := range files {
		if i < len(t.names) {
			files[i].Name = t.names[i]
		}
		paths = append(paths, filepath.Join(t.dir, files[i].Name))
	}
	if !o.force {
		names := make([]string, len(files))
		for i := range files {
			names[i] = files[i].Name
		}
		if err := refuseExisting(t.dir, names...); err != nil {
			return nil, err
		}
	}
	return paths, writePlaces(append(others, place{t.dir, files}), o.force)
}

// exportJSON is the result of an export that was written to files.
type exportJSON struct {
	Name         string   `json:"name"`
	Format       string   `json:"format"`
	Files        []string `json:"files"`
	Encoding     string   `json:"encoding,omitempty"`
	FriendlyName string   `json:"friendlyName,omitempty"`
	PasswordFile string   `json:"passwordFile,omitempty"`
}

// showExported says what was written.
func (a *app) showExported(j exportJSON) error {
	if a.json {
		return a.writeJSON(j)
	}
	if a.quiet {
		return nil
	}
	for _, f := range j.Files {
		if _, err := fmt.Fprintf(a.Stdout, "  %s\n", f); err != nil {
			return err
		}
	}
	if j.PasswordFile != "" {
		if _, err := fmt.Fprintf(a.Stdout, "  %s: its password\n", j.PasswordFile); err != nil {
			return err
		}
	}
	return nil
}
