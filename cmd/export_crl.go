package cmd

import (
	"context"
	"path"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

type exportCRLOptions struct {
	exportOptions
	format export.CRL
}

func newExportCRLCmd(a *app, run func(context.Context, *exportCRLOptions) error) *cobra.Command {
	o := &exportCRLOptions{}
	if run == nil {
		run = a.runExportCRL
	}
	c := &cobra.Command{
		Use: "crl AUTHORITY",
		Long: `export crl writes the CRL that an authority published last, to standard output
unless --out names a file.

With --chain, the CRLs of the authorities above follow: nginx wants one for
every CA of a chain in its ssl_crl.`,
		Example: `  mtlsctl export crl issuing --chain --out /etc/nginx/tls/crl.pem
  mtlsctl export crl root --der --out root.crl`,
		Args:              exactArgs("AUTHORITY"),
		ValidArgsFunction: a.completeAuthorities,
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	e, err := export.Find(c.Name())
	must(err)
	c.Short = "Write " + e.Summary
	f := c.Flags()
	f.StringVar(&o.out, "out", "", "the `file`, or - for standard output (the default)")
	f.BoolVar(&o.force, "force", false, "replace a file that exists")
	f.BoolVar(&o.format.Chain, "chain", false, "also the CRLs of the authorities above")
	f.BoolVar(&o.format.DER, "der", false, "DER in place of PEM")
	exclusive(c, "chain", "der")
	return c
}

func (a *app) runExportCRL(ctx context.Context, o *exportCRLOptions) error {
	if o.out == "" {
		o.out = stdout
	}
	if o.out == stdout && o.format.DER && term.IsTerminal(a.Stdout) {
		return usagef("name a file with --out", "--der: DER is not written to a terminal")
	}
	e := &exported{format: o.format, def: path.Base(o.name) + ".crl.pem"}
	if o.format.DER {
		e.def = path.Base(o.name) + ".crl"
	}
	return a.runExport(ctx, &o.exportOptions, e)
}
