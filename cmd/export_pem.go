package cmd

import (
	"context"
	"path"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
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
MongoDB read them. With --der, each certificate and the key in DER. With --for,
the files are named as a program wants them.`,
		Example: `  mtlsctl export pem api.example.com --for nginx --out /etc/nginx/tls
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
	c.Flags().Var(parsed(&o.format.Encoding, "name", pki.ParseKeyEncoding), "encoding",
		"of the key: pkcs8, pkcs1 or sec1 (default as it was issued)")
	must(c.RegisterFlagCompletionFunc("encoding", words(pki.KeyEncodings())))
	exclusive(c, "combined", "der", "for")
	exclusive(c, "combined", "crl")
	exclusive(c, "der", "crl")
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
	def := path.Base(o.name) + "/"
	if o.format.Combined {
		def = path.Base(o.name) + ".pem"
	}
	if err := a.exportBundle(ctx, &o.exportOptions, &exported{format: o.format, def: def}, b); err != nil {
		return err
	}
	if b.Key == nil && !b.Leaf().IsCA && o.out != stdout {
		a.note("No key is written: that of %s is not here.", o.name)
	}
	return nil
}
