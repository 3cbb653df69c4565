package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportCRLOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportCRLOptions) error) *cobra.Command {
		return newExportCRLCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportCRLOptions]{
		"a name":  {args: []string{"root"}, want: exportCRLOptions{exportOptions: exportOptions{name: "root"}}},
		"chain":   {args: []string{"root", "--chain", "--out", "f", "--force"}, want: exportCRLOptions{exportOptions: exportOptions{name: "root", out: "f", force: true}, format: export.CRL{Chain: true}}},
		"DER":     {args: []string{"root", "--der"}, want: exportCRLOptions{exportOptions: exportOptions{name: "root"}, format: export.CRL{DER: true}}},
		"both":    {args: []string{"root", "--der", "--chain"}, err: "--chain and --der exclude each other"},
		"no name": {err: "AUTHORITY is missing"},
	})
}
