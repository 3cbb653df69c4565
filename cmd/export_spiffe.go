package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type exportSPIFFEBundleOptions struct {
	exportOptions
	format export.SPIFFEBundle
}

func newExportSPIFFEBundleCmd(a *app, run func(context.Context, *exportSPIFFEBundleOptions) error) *cobra.Command {
	o := &exportSPIFFEBundleOptions{}
	if run == nil {
		run = func(ctx context.Context, o *exportSPIFFEBundleOptions) error {
			return a.runFormat(ctx, &o.exportOptions, o.format, stdout)
		}
	}
	c := &cobra.Command{
		Use: "spiffe-bundle NAME",
		Long: `export spiffe-bundle writes the roots as the bundle of a SPIFFE trust domain, a
JWK set, to standard output unless --out names a file: what SPIRE federates
with, and what go-spiffe verifies X509-SVIDs against. There is no key in it.
While a root is being replaced, both are there.

Whose bundle it is follows from the SPIFFE ID in the certificate or in a CA
above it; where there is none, --trust-domain says it.`,
		Example: `  mtlsctl export spiffe-bundle web > example.org.json
  mtlsctl export spiffe-bundle root --trust-domain example.org --sequence 2 --refresh-hint 5m
  mtlsctl export spiffe-bundle root --trust-domain example.org | spire-server bundle set -format spiffe -id spiffe://example.org`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (the default)")
	f := c.Flags()
	f.StringVar(&o.format.TrustDomain, "trust-domain", "", "the trust `domain` (default that of the SPIFFE ID)")
	f.Uint64Var(&o.format.Sequence, "sequence", 0, "spiffe_sequence, a `number` that grows with each change (default none)")
	f.Var(parsed(&o.format.RefreshHint, "duration", profiles.ParseValidity), "refresh-hint",
		"spiffe_refresh_hint, how often to look for a new one (default none)")
	return c
}
