package cmd

import (
	"context"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportSPIFFEBundleOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportSPIFFEBundleOptions) error) *cobra.Command {
		return newExportSPIFFEBundleCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportSPIFFEBundleOptions]{
		"a name": {args: []string{"root"}, want: exportSPIFFEBundleOptions{exportOptions: commonExport(exportOptions{name: "root"})}},
		"everything": {
			args: []string{"root", "--out", "f", "--trust-domain", "example.org", "--sequence", "7", "--refresh-hint", "1d"},
			want: exportSPIFFEBundleOptions{
				exportOptions: commonExport(exportOptions{name: "root", out: "f"}),
				format:        export.SPIFFEBundle{TrustDomain: "example.org", Sequence: 7, RefreshHint: 24 * time.Hour},
			},
		},
		"no name":    {err: "NAME is missing"},
		"a sequence": {args: []string{"root", "--sequence", "-1"}, err: `--sequence "-1": write a whole number`},
		"a duration": {args: []string{"root", "--refresh-hint", "often"}, err: `--refresh-hint "often": not a lifetime: write it as 90d, 1y or 36h`},
	})
}
