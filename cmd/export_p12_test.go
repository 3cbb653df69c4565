package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func p12Target(t *testing.T, name string) export.P12Target {
	t.Helper()
	target, err := export.ParseP12Target(name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// ownPassword is what the flags of a command that writes a key store make.
func ownPassword(p passwordFlags) passwordFlags {
	p.secret.word = "password"
	return p
}

func TestExportP12Options(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportP12Options) error) *cobra.Command {
		return newExportP12Cmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportP12Options]{
		"a name": {
			args: []string{"alice"},
			want: exportP12Options{exportOptions: commonExport(exportOptions{name: "alice"}), password: ownPassword(passwordFlags{})},
		},
		"readers": {
			args: []string{"alice", "--for", "macos15, Firefox", "--for", "java"},
			want: exportP12Options{
				exportOptions: commonExport(exportOptions{name: "alice"}), password: ownPassword(passwordFlags{}),
				format: export.P12{For: []export.P12Target{p12Target(t, "macos15"), p12Target(t, "firefox"), p12Target(t, "java")}},
			},
		},
		"everything else": {
			args: []string{"alice", "--encoding", "modern-2023", "--friendly-name", "Alice", "--no-root", "--password-file", "f", "--out", "a.p12", "--force"},
			want: exportP12Options{
				exportOptions: commonExport(exportOptions{name: "alice", out: "a.p12", force: true}), password: ownPassword(passwordFlags{secret: secretFlags{file: "f"}}),
				format: export.P12{Encoding: export.Modern2023, FriendlyName: "Alice", NoRoot: true},
			},
		},
		"a prompt": {
			args: []string{"alice", "--password-prompt"},
			want: exportP12Options{exportOptions: commonExport(exportOptions{name: "alice"}), password: ownPassword(passwordFlags{prompt: true})},
		},
		"a file for the password": {
			args: []string{"alice", "--password-out", "f"},
			want: exportP12Options{exportOptions: commonExport(exportOptions{name: "alice"}), password: ownPassword(passwordFlags{out: "f"})},
		},
		"an unknown encoding": {args: []string{"alice", "--encoding", "rc2"}, err: `--encoding "rc2": not known; there are compat, modern-2023, modern-2026`},
		"two passwords":       {args: []string{"alice", "--password-stdin", "--password-prompt"}, err: "--password-stdin and --password-prompt exclude each other"},
		"a password's value":  {args: []string{"alice", "--password", "hunter2"}, err: "unknown flag: --password"},
	})
}
