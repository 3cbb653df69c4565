package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportAPISIXOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportAPISIXOptions) error) *cobra.Command {
		return newExportAPISIXCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportAPISIXOptions]{
		"a name": {args: []string{"api"}, want: exportAPISIXOptions{exportOptions: commonExport(exportOptions{name: "api"})}},
		"a server": {
			args: []string{"api", "--as", "server", "--mtls", "--depth", "3", "--skip-mtls", "^/a,b$", "--skip-mtls", "c"},
			want: exportAPISIXOptions{
				exportOptions: commonExport(exportOptions{name: "api"}),
				format:        export.APISIX{As: export.Server, MTLS: true, Depth: 3, SkipMTLS: []string{"^/a,b$", "c"}},
			},
		},
		"an upstream": {
			args: []string{"api", "--upstream", "--client-cert-id", "1", "--out", "-"},
			want: exportAPISIXOptions{
				exportOptions: commonExport(exportOptions{name: "api", out: "-"}),
				format:        export.APISIX{Upstream: true, ClientCertID: "1"},
			},
		},
		"no name": {err: "NAME is missing"},
	})
}
