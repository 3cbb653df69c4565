package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportEnvOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportEnvOptions) error) *cobra.Command {
		return newExportEnvCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportEnvOptions]{
		"a name": {args: []string{"web"}, want: exportEnvOptions{exportOptions: commonExport(exportOptions{name: "web"})}},
		"everything": {
			args: []string{"web", "--out", "f", "--prefix", "API", "--shell"},
			want: exportEnvOptions{exportOptions: commonExport(exportOptions{name: "web", out: "f"}), format: export.Env{Prefix: "API", Shell: true}},
		},
		"no name": {err: "NAME is missing"},
	})
}
