package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportJKSOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportJKSOptions) error) *cobra.Command {
		return newExportJKSCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportJKSOptions]{
		"a name": {
			args: []string{"kafka"},
			want: exportJKSOptions{exportOptions: commonExport(exportOptions{name: "kafka"}), password: ownPassword(passwordFlags{})},
		},
		"everything": {
			args: []string{"kafka", "--alias", "Kafka", "--no-root", "--password-env", "E", "--out", "k.jks"},
			want: exportJKSOptions{
				exportOptions: commonExport(exportOptions{name: "kafka", out: "k.jks"}),
				format:        export.JKS{Alias: "Kafka", NoRoot: true},
				password:      ownPassword(passwordFlags{secret: secretFlags{env: "E"}}),
			},
		},
		"no name":       {err: "NAME is missing"},
		"two passwords": {args: []string{"kafka", "--password-out", "f", "--password-env", "E"}, err: "--password-env and --password-out exclude each other"},
	})
}
