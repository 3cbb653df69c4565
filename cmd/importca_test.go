package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/pki"
)

func TestImportCAOptions(t *testing.T) {
	t.Parallel()
	own, theirs := secretFlags{word: "passphrase"}, secretFlags{word: "key-passphrase"}
	newCmd := func(run func(context.Context, *importCAOptions) error) *cobra.Command {
		return newImportCACmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[importCAOptions]{
		"offline": {args: []string{"a", "--cert", "f"}, want: importCAOptions{name: "a", cert: "f", secret: own, keySecret: theirs}},
		"everything": {
			args: []string{
				"a", "--cert", "f", "--key", "k", "--chain", "c", "--crl", "l", "--default", "--crl-url", "http://pki.example.com/{authority}.crl",
				"--aia-url", "http://pki.example.com/a.crt", "--ocsp-url", "http://ocsp.example.com", "--passphrase-file", "p", "--key-passphrase-env", "E",
			},
			want: importCAOptions{
				name: "a", cert: "f", key: "k", chain: "c", crl: "l", makeDefault: true,
				urls: pki.URLs{
					CRL: []string{"http://pki.example.com/{authority}.crl"}, AIA: []string{"http://pki.example.com/a.crt"}, OCSP: []string{"http://ocsp.example.com"},
				},
				secret: secretFlags{word: "passphrase", file: "p"}, keySecret: secretFlags{word: "key-passphrase", env: "E"},
			},
		},
		"a number": {args: []string{"a", "--cert", "f", "--crl-number", "7"}, want: importCAOptions{name: "a", cert: "f", crlNumber: 7, secret: own, keySecret: theirs}},

		"no name":      {args: []string{"--cert", "f"}, err: "NAME is missing"},
		"two names":    {args: []string{"a", "b", "--cert", "f"}, err: `"b" is one argument too many`},
		"no file":      {args: []string{"a", "--key", "k"}, err: "--cert is missing"},
		"no key":       {args: []string{"a", "--cert", "f", "--key-passphrase-file", "p"}, err: "a passphrase is given, and no --key"},
		"a bad number": {args: []string{"a", "--cert", "f", "--crl-number", "0x7"}, err: `--crl-number "0x7": it is a number from 1, in decimal`},
		"two numbers":  {args: []string{"a", "--cert", "f", "--crl-number", "7", "--crl", "l"}, err: "--crl and --crl-number exclude each other"},
		"one input for two": {
			args: []string{"a", "--cert", "f", "--key", "k", "--passphrase-stdin", "--key-passphrase-stdin"},
			err:  "--passphrase-stdin and --key-passphrase-stdin exclude each other",
		},
	})
}
