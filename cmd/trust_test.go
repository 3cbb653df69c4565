package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/trust"
)

func TestTrustOptions(t *testing.T) {
	t.Parallel()
	checkOptions(t, func(run func(context.Context, *trustOptions) error) *cobra.Command {
		return newTrustInstallCmd(&app{}, run)
	}, map[string]optionsTest[trustOptions]{
		"nothing": {nil, trustOptions{}, ""},
		"everything": {
			[]string{"root", "--store", "system, java", "--store", "firefox", "--yes", "--dry-run", "--java-storepass-file", "pass"},
			trustOptions{
				authority: "root", kinds: []trust.Kind{trust.System, trust.Java, trust.Firefox}, yes: true, dryRun: true,
				storePass: trust.StorePass{File: "pass"},
			}, "",
		},
		"two":           {[]string{"root", "issuing"}, trustOptions{}, `"issuing" is one argument too many`},
		"unknown store": {[]string{"--store", "system,opera"}, trustOptions{}, `--store "system,opera": there are system, firefox, chromium, java`},
		"two passwords": {
			[]string{"--java-storepass-file", "a", "--java-storepass-env", "B"}, trustOptions{},
			"--java-storepass-file and --java-storepass-env exclude each other",
		},
	})
	checkOptions(t, func(run func(context.Context, *trustOptions) error) *cobra.Command {
		return newTrustStatusCmd(&app{}, run)
	}, map[string]optionsTest[trustOptions]{
		"check": {
			[]string{"--check", "--java-storepass-env", "PASS"},
			trustOptions{check: true, storePass: trust.StorePass{Env: "PASS"}}, "",
		},
		"no question": {[]string{"--yes"}, trustOptions{}, "unknown flag: --yes"},
	})
}
