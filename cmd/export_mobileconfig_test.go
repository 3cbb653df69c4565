package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportMobileconfigOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportMobileconfigOptions) error) *cobra.Command {
		return newExportMobileconfigCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportMobileconfigOptions]{
		"a name": {
			args: []string{"alice"},
			want: exportMobileconfigOptions{exportOptions: commonExport(exportOptions{name: "alice"}), password: ownPassword(passwordFlags{})},
		},
		"everything": {
			args: []string{"alice", "--for", "ios18", "--identifier", "com.example.vpn", "--display-name", "VPN", "--org", "Acme", "--with-password", "--password-stdin"},
			want: exportMobileconfigOptions{
				exportOptions: commonExport(exportOptions{name: "alice"}),
				format: export.MobileConfig{
					For: []export.P12Target{p12Target(t, "ios18")}, Identifier: "com.example.vpn", DisplayName: "VPN", Organization: "Acme", WithPassword: true,
				},
				password: ownPassword(passwordFlags{secret: secretFlags{stdin: true}}),
			},
		},
		"an unknown system": {args: []string{"alice", "--for", "beos"}, err: `--for "beos": not known; there are ` + allTargets()},
	})
}
