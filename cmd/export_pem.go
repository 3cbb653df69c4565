package cmd

import (
	"context"
	"path"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

type exportPEMOptions struct {
	exportOptions
	format export.PEM
}

func newExportPEMCmd(a *app, run func(context.Context, *exportPEMOptions) error) *cobra.Command {
	o := &exportPEMOptions{}
	if run == nil {
		run = a.runExportPEM
	}
	c := &cobra.Command{
		Use: "pem NAME",
		Long: `export pem writes tls.crt (the certificate and its chain), tls.key and ca.crt to
a folder, which is named like the certificate unless --out names another.

With --combined it writes one file: certificate, chain, key, as HAProxy and
MongoDB read them. With --der, each certificate and the key in DER.`,
		Example: `  mtlsctl export pem api.example.com --out /etc/nginx/tls
  mtlsctl export pem api.example.com --combined --out haproxy.pem
  mtlsctl export pem alice@example.com --der
  mtlsctl export pem root --out - > root.pem`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `folder` (with --combined the file), or - for standard output")
	c.Flags().BoolVar(&o.format.Combined, "combined", false, "one file: certificate, chain, key")
	c.Flags().BoolVar(&o.format.DER, "der", false, "DER in place of PEM")
	exclusive(c, "combined", "der")
	return c
}

func (a *app) runExportPEM(ctx context.Context, o *exportPEMOptions) error {
	if o.out == stdout && (o.format.DER || term.IsTerminal(a.Stdout) && o.format.Combined) {
		return usagef("name a file or a folder with --out", "--out -: keys and DER are not written to a terminal or in a row")
	}
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	files, err := o.format.Export(b)
	if err != nil {
		return exportError(&o.exportOptions, err)
	}
	t := target{dir: o.out}
	switch {
	case o.format.Combined:
		t = fileTarget(o.out, path.Base(o.name)+".pem")
	case o.out == "":
		t.dir = path.Base(o.name)
	}
	paths, err := a.write(&o.exportOptions, t, files)
	if err != nil || o.out == stdout {
		return err
	}
	if b.Key == nil && !b.Leaf().IsCA {
		a.note("No key is written: that of %s is not here.", o.name)
	}
	r := exportRecord{PEM: &o.format, WithCAKey: o.withCAKey}
	if err := a.recordExport(ctx, o.name, formatPEM, t.dir, r, files); err != nil {
		return err
	}
	return a.showExported(exportJSON{Name: o.name, Format: formatPEM, Files: paths})
}
