package cmd

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"

	"github.com/spf13/cobra"
)

func TestImportOptions(t *testing.T) {
	t.Parallel()
	secret := secretFlags{word: "key-passphrase"}
	newCmd := func(run func(context.Context, *importOptions) error) *cobra.Command { return newImportCmd(&app{}, run) }
	checkOptions(t, newCmd, map[string]optionsTest[importOptions]{
		"a certificate": {args: []string{"a", "--cert", "f"}, want: importOptions{target: "a", cert: "f", keySecret: secret}},
		"its key": {
			args: []string{"a", "--cert", "f", "--key", "k", "--key-passphrase-stdin"},
			want: importOptions{target: "a", cert: "f", key: "k", keySecret: secretFlags{word: "key-passphrase", stdin: true}},
		},
		"a ledger":   {args: []string{"d", "--ledger", "easy-rsa"}, want: importOptions{target: "d", ledger: "easy-rsa", keySecret: secret}},
		"of a CA":    {args: []string{"d", "--ledger", "easy-rsa", "--ca", "a"}, want: importOptions{target: "d", ledger: "easy-rsa", ca: "a", keySecret: secret}},
		"no file":    {args: []string{"a"}, err: "--cert is missing"},
		"no name":    {args: []string{"--cert", "f"}, err: "NAME or DIR is missing"},
		"no key":     {args: []string{"a", "--cert", "f", "--key-passphrase-env", "E"}, err: "a passphrase is given, and no --key"},
		"a CA":       {args: []string{"a", "--cert", "f", "--ca", "c"}, err: "--ca goes with --ledger"},
		"an unknown": {args: []string{"d", "--ledger", "step"}, err: `--ledger "step": there is easy-rsa`},
		"both":       {args: []string{"d", "--ledger", "easy-rsa", "--key", "k"}, err: "--ledger and --key exclude each other"},
	})
}

func TestLedgerName(t *testing.T) {
	t.Parallel()
	for cn, want := range map[string]string{
		"web.example.com":   "web.example.com",
		"*.example.com":     "wildcard.example.com",
		"alice@example.com": "alice@example.com",
		"Carol Smith":       "Carol-Smith",
		"a/b":               "a-b",
		"../../etc":         "etc",
		"Zoë":               "Zo",
		"-x-":               "x",
		"":                  "serial-0abc",
		"???":               "serial-0abc",
	} {
		got, err := ledgerName(&x509.Certificate{Subject: pkix.Name{CommonName: cn}, SerialNumber: big.NewInt(0xabc)})
		if err != nil || got.String() != want {
			t.Errorf("%q: %q, %v, want %q", cn, got, err, want)
		}
	}
}
