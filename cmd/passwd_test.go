package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"
)

func TestPasswdOptions(t *testing.T) {
	t.Parallel()
	old, next := secretFlags{word: "passphrase"}, secretFlags{word: "new-passphrase"}
	newCmd := func(run func(context.Context, *passwdOptions) error) *cobra.Command { return newPasswdCmd(&app{}, run) }
	checkOptions(t, newCmd, map[string]optionsTest[passwdOptions]{
		"a person": {args: []string{"root"}, want: passwdOptions{authority: "root", passphrase: old, next: next}},
		"files": {args: []string{"root", "--passphrase-file", "a", "--new-passphrase-file", "b"}, want: passwdOptions{
			authority: "root", passphrase: secretFlags{word: "passphrase", file: "a"}, next: secretFlags{word: "new-passphrase", file: "b"},
		}},
		"from elsewhere": {args: []string{"root", "--passphrase-env", "A", "--new-passphrase-stdin"}, want: passwdOptions{
			authority: "root", passphrase: secretFlags{word: "passphrase", env: "A"}, next: secretFlags{word: "new-passphrase", stdin: true},
		}},
		"away with it": {args: []string{"root", "--passphrase-stdin", "--remove"}, want: passwdOptions{
			authority: "root", remove: true, passphrase: secretFlags{word: "passphrase", stdin: true}, next: next,
		}},
		"no name":        {err: "AUTHORITY is missing"},
		"two names":      {args: []string{"root", "issuing"}, err: `"issuing" is one argument too many`},
		"both on stdin":  {args: []string{"root", "--passphrase-stdin", "--new-passphrase-stdin"}, err: "--passphrase-stdin and --new-passphrase-stdin exclude each other"},
		"new and none":   {args: []string{"root", "--remove", "--new-passphrase-env", "A"}, err: "--remove and --new-passphrase-env exclude each other"},
		"two new":        {args: []string{"root", "--new-passphrase-file", "b", "--new-passphrase-env", "A"}, err: "--new-passphrase-file and --new-passphrase-env exclude each other"},
		"a secret value": {args: []string{"root", "--new-passphrase", "hunter2"}, err: "unknown flag: --new-passphrase"},
	})
}
