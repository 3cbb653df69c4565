package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An exported is an export on its way: what is written, and what is said of it.
type exported struct {
	format export.Format
	def    string  // where it goes without --out: "-", a folder that ends in "/", or a file
	others []place // what is written beside it
	said   exportJSON
}

// runFormat is the one way of an export: it loads the bundle that o names, lets f
// make the files, writes them, puts the export on record for renew, and says what
// was written. def is where the files go without --out: "-" is standard output,
// "x/" a folder, and else a file, of which f makes just one.
func (a *app) runFormat(ctx context.Context, o *exportOptions, f export.Format, def string) error {
	return a.runExport(ctx, o, &exported{format: f, def: def})
}

func (a *app) runExport(ctx context.Context, o *exportOptions, e *exported) error {
	b, err := a.bundle(ctx, o)
	if err != nil {
		return err
	}
	return a.exportBundle(ctx, o, e, b)
}

// exportBundle is [app.runExport] of a bundle that is there already.
func (a *app) exportBundle(ctx context.Context, o *exportOptions, e *exported, b *pki.Bundle) error {
	entry, err := export.Find(a.formatName())
	if err != nil {
		return err
	}
	made, err := a.makeFiles(ctx, o, entry.Name, e.format, b)
	if err != nil {
		return exportError(o, err)
	}
	a.warnEnded(ctx, o.name)
	if o.out == "" {
		o.out = e.def
	}
	if o.out == stdout && term.IsTerminal(a.Stdout) && slices.ContainsFunc(made.files, func(f export.File) bool { return !utf8.Valid(f.Data) }) {
		return usagef("name a file or a folder with --out", "--out -: what is not text is not written to a terminal")
	}
	folder := strings.HasSuffix(e.def, "/")
	t := target{dir: o.out}
	switch {
	case folder:
	case e.def == stdout:
		t = fileTarget(o.out, made.files[0].Name)
	default:
		t = fileTarget(o.out, e.def)
	}
	paths, err := a.write(o, t, made.files, e.others...)
	if err != nil {
		return err
	}
	if o.out != stdout {
		r := exportRecord{Folder: folder, WithCAKey: o.withCAKey, CRL: o.crl, Flags: a.flags}
		if len(o.consumers) > 0 {
			r.For = o.consumers[0].Name
		}
		if err := r.setOptions(entry, e.format); err != nil {
			return err
		}
		if err := a.recordExport(ctx, o.name, entry.Name, t.dir, r, made.files); err != nil {
			return err
		}
	}
	e.said.Name, e.said.Format, e.said.Files = o.name, entry.Name, paths
	configs, err := a.configLines(o, made, entry.Name, paths)
	if err != nil {
		return err
	}
	e.said.Config = strings.Join(configs, "\n")
	if o.out != stdout {
		if err := a.showExported(e.said); err != nil {
			return err
		}
	}
	for i, lines := range configs {
		if lines != "" {
			a.note("For %s:\n%s", o.consumers[i].Title, indented(strings.TrimSuffix(lines, "\n")))
		}
	}
	return nil
}

// warnEnded says that nobody accepts any more what is exported. Where the ledger
// cannot be read, the files are exported all the same.
func (a *app) warnEnded(ctx context.Context, name string) {
	_ = a.withEntry(ctx, name, func(_ *pkidir.Dir, _ *ledger.Ledger, e *ledger.Entry) error {
		switch e.Status(a.Now()) {
		case ledger.Revoked:
			a.warn("%s was revoked on %s; whoever reads the CRL refuses it", name, day(e.RevokedAt))
		case ledger.Expired:
			a.warn("%s ended on %s; 'mtlsctl renew %[1]s' makes it anew", name, day(e.NotAfter))
		}
		return nil
	})
}

// formatName is that of the export command that runs.
func (a *app) formatName() string { return strings.TrimPrefix(a.command, "export ") }

// A madeExport is what a format made.
type madeExport struct {
	bundle *pki.Bundle
	files  []export.File
	shape  export.Shape
	format export.Format // with the shape
}

// makeFiles makes the files of an export, in the shape that a consumer wants.
func (a *app) makeFiles(ctx context.Context, o *exportOptions, name string, f export.Format, b *pki.Bundle) (made madeExport, err error) {
	made.bundle = b
	if made.shape, err = a.fit(ctx, o, name, f, b); err != nil {
		return made, err
	}
	if o.crl {
		if !made.shape.HoldsCRLs() {
			return made, usagef("leave it out", "--crl: %s has no place for it here", o.consumers[0].Title)
		}
		if made.shape.CRLs, err = a.crlsAbove(ctx, o.name); err != nil {
			return made, err
		}
	}
	if made.shape.Object == "" {
		made.shape.Object = export.SecretName(filepath.Base(o.name))
	}
	if s, ok := f.(export.Secret); ok {
		applied, err := a.appliedSecret(ctx, o, s)
		if err != nil {
			return made, err
		}
		if applied != nil {
			file, err := applied.Export(b, s.JSON)
			made.files = []export.File{file}
			return made, err
		}
	}
	if c, ok := f.(export.CRL); ok {
		if c.Lists, err = a.crls(ctx, o.name, c.Chain); err != nil {
			return made, err
		}
		f = c
	}
	if shaped, ok := f.(export.Shaped); ok {
		f = shaped.WithShape(made.shape)
	}
	made.format = f
	made.files, err = f.Export(b)
	return made, err
}

// crlsAbove returns the CRLs of the authorities above a certificate, or of an
// authority and those above it.
func (a *app) crlsAbove(ctx context.Context, name string) (crls []byte, err error) {
	err = a.withEntry(ctx, name, func(_ *pkidir.Dir, _ *ledger.Ledger, e *ledger.Entry) error {
		authority := e.Issuer
		if e.Kind == ledger.KindAuthority {
			authority = e.Name
		}
		crls, err = a.crls(ctx, authority, true)
		return err
	})
	return crls, err
}

// withEntry opens the PKI directory for what the ledger has of a name.
func (a *app) withEntry(ctx context.Context, name string, do func(*pkidir.Dir, *ledger.Ledger, *ledger.Entry) error) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	e, err := l.Current(ctx, name)
	if err != nil {
		return err
	}
	return do(d, l, e)
}

// crls returns the CRL of an authority, and with above those of the ones above.
func (a *app) crls(ctx context.Context, authority string, above bool) (crls []byte, err error) {
	d, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	crls, err = d.CRLs(ctx, authority, above)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noCRLYet(err)
	}
	return crls, err
}

// noCRLYet adds the next step to a CRL that was never published.
func noCRLYet(err error) error {
	authority := "AUTHORITY"
	var file *pkidir.PathError
	if errors.As(err, &file) {
		authority = export.ShellWord(filepath.Base(filepath.Dir(file.Path)))
	}
	return withHint(fmt.Errorf("there is no CRL yet: %w", err), "'mtlsctl crl %s' publishes the first", authority)
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
	for _, p := range append(others, place{dir: t.dir}) {
		if o.out == stdout && p.dir == t.dir {
			continue
		}
		if err := a.refuseOwn(p.dir); err != nil {
			return nil, err
		}
	}
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

// refuseOwn refuses a folder of the PKI directory: what an export replaced there
// would be the only one.
func (a *app) refuseOwn(dir string) error {
	own, err := os.Stat(a.pkiPath)
	if err != nil {
		return err
	}
	folder, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			folder = real
		}
		if info, err := os.Stat(folder); err == nil && os.SameFile(info, own) {
			return usagef("name a place elsewhere", "%s: it is in the PKI directory, which is not for exports", dir)
		}
		above := filepath.Dir(folder)
		if above == folder {
			return nil
		}
		folder = above
	}
}

// exportJSON is the result of an export that was written to files.
type exportJSON struct {
	Name         string   `json:"name"`
	Format       string   `json:"format"`
	Files        []string `json:"files"`
	Encoding     string   `json:"encoding,omitempty"`
	FriendlyName string   `json:"friendlyName,omitempty"`
	PasswordFile string   `json:"passwordFile,omitempty"`
	Config       string   `json:"config,omitempty"`
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
