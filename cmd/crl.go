package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/pkidir"
)

type crlOptions struct {
	authority  string
	validity   time.Duration
	export     bool
	passphrase secretFlags
	caKey      string
}

func newCRLCmd(a *app, run func(context.Context, *crlOptions) error) *cobra.Command {
	o := &crlOptions{validity: crlValidity}
	if run == nil {
		run = a.runCRL
	}
	c := &cobra.Command{
		Use:     "crl [AUTHORITY]",
		GroupID: groupMake,
		Short:   "Publish the CRL of an authority anew",
		Long: `crl signs the complete CRL of an authority (RFC 5280) and writes it to crl.pem
in the authority's folder. Its number grows every time. A CRL ends: run this
before it does, from cron, even if nothing was revoked. A revoked certificate
stays on it until the first CRL after its own end.

'mtlsctl export crl' writes it elsewhere, in DER, or with those of the
authorities above.`,
		Example: `  mtlsctl crl
  mtlsctl crl root --validity 90d`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeFrom((*pkidir.Dir).AuthorityNames), cobra.ShellCompDirectiveNoFileComp
		},
		Args: atMostOneArg,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.authority = args[0]
			}
			return run(c.Context(), o)
		},
	}
	addCRLFlags(c, &o.validity, &o.passphrase, &o.caKey)
	addCRLExportFlag(c, &o.export)
	return c
}

func (a *app) runCRL(ctx context.Context, o *crlOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	d.SetKeyFile(o.caKey)
	crl, err := d.PublishCRL(ctx, o.authority, pkidir.CRLOptions{Passphrase: a.passphrase(&o.passphrase), Validity: o.validity})
	if err != nil {
		return err
	}
	crls := []pkidir.PublishedCRL{crl}
	exports, exportErr := a.followCRLs(ctx, d, crls, o.export, &o.passphrase)
	if a.json {
		return errors.Join(a.writeJSON(revokedJSON{CRLs: crlsJSON(crls), Exports: exports}), exportErr)
	}
	if !a.quiet {
		if err := a.writeCRLs(crls); err != nil {
			return errors.Join(err, exportErr)
		}
	}
	return errors.Join(a.showExports(exports, o.export), exportErr)
}
