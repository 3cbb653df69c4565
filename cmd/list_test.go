package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

func TestListOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *listOptions) error) *cobra.Command { return newListCmd(&app{}, run) }
	checkOptions(t, newCmd, map[string]optionsTest[listOptions]{
		"nothing":  {},
		"expiring": {args: []string{"--expiring", "30d", "--check"}, want: listOptions{expiring: 30 * oneDay, check: true}},
		"others":   {args: []string{"--status", "revoked", "--ca", "issuing", "--history"}, want: listOptions{status: ledger.Revoked, ca: "issuing", history: true}},
		"names":    {args: []string{"web", "--history", "db"}, want: listOptions{names: []string{"web", "db"}, history: true}},
		"a state":  {args: []string{"--status", "ok"}, err: `--status "ok": unknown state: there are valid, pending, expired, revoked, superseded, removed`},
		"a time":   {args: []string{"--expiring", "soon"}, err: `--expiring "soon": not a lifetime: write it as 90d, 1y or 36h`},
		"no time":  {args: []string{"--expiring", "0d"}, err: `--expiring "0d": not a lifetime: it must be longer than nothing`},
		"no check": {args: []string{"--check"}, err: "--check needs --expiring"},
	})
}
