package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportTruststoreOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportTruststoreOptions) error) *cobra.Command {
		return newExportTruststoreCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportTruststoreOptions]{
		"a name": {
			args: []string{"root"},
			want: exportTruststoreOptions{exportOptions: commonExport(exportOptions{name: "root"}), password: ownPassword(passwordFlags{})},
		},
		"everything": {
			args: []string{"root", "--type", "p12", "--for", "java17", "--encoding", "compat", "--password-prompt", "--out", "t.p12"},
			want: exportTruststoreOptions{
				exportOptions: commonExport(exportOptions{name: "root", out: "t.p12"}),
				format:        export.Truststore{Type: export.StoreP12, For: []export.P12Target{p12Target(t, "java17")}, Encoding: export.Compat},
				password:      ownPassword(passwordFlags{prompt: true}),
			},
		},
		"an unknown type": {args: []string{"root", "--type", "bks"}, err: `--type "bks": not known; there are p12, jks`},
		"nothing is made": {args: []string{"root", "--password-out", "f"}, err: "unknown flag: --password-out"},
	})
}
