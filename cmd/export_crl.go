package cmd

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

type exportCRLOptions struct {
	exportOptions
	chain bool
	der   bool
}

func newExportCRLCmd(a *app, run func(context.Context, *exportCRLOptions) error) *cobra.Command {
	o := &exportCRLOptions{}
	if run == nil {
		run = a.runExportCRL
	}
	c := &cobra.Command{
		Use:   "crl AUTHORITY",
		Short: "Write the CRL of an authority, as 'mtlsctl crl' and 'mtlsctl revoke' published it",
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
	f := c.Flags()
	f.StringVar(&o.out, "out", "", "the `file`, or - for standard output (the default)")
	f.BoolVar(&o.force, "force", false, "replace a file that exists")
	f.BoolVar(&o.chain, "chain", false, "also the CRLs of the authorities above")
	f.BoolVar(&o.der, "der", false, "DER in place of PEM")
	exclusive(c, "chain", "der")
	return c
}

func (a *app) runExportCRL(ctx context.Context, o *exportCRLOptions) (err error) {
	if o.out == "" {
		o.out = stdout
	}
	if o.out == stdout && o.der && term.IsTerminal(a.Stdout) {
		return usagef("name a file with --out", "--der: DER is not written to a terminal")
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	data, err := d.CRLs(ctx, o.name, o.chain)
	if errors.Is(err, fs.ErrNotExist) {
		return withHint(fmt.Errorf("there is no CRL yet: %w", err), "'mtlsctl crl AUTHORITY' publishes the first")
	}
	if err != nil {
		return err
	}
	ending := ".crl.pem"
	if o.der {
		block, _ := pem.Decode(data)
		if block == nil {
			return errors.New("the CRL of the PKI directory is damaged; 'mtlsctl crl' makes it anew")
		}
		data, ending = block.Bytes, ".crl"
	}
	files := []export.File{{Data: data}}
	paths, err := a.write(&o.exportOptions, fileTarget(o.out, path.Base(o.name)+ending), files)
	if err != nil || o.out == stdout {
		return err
	}
	return a.showExported(exportJSON{Name: o.name, Format: "crl", Files: paths})
}
