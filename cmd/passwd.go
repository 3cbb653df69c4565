package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

type passwdOptions struct {
	authority  string
	remove     bool
	passphrase secretFlags
	next       secretFlags
}

func newPasswdCmd(a *app, run func(context.Context, *passwdOptions) error) *cobra.Command {
	o := &passwdOptions{}
	if run == nil {
		run = a.runPasswd
	}
	c := &cobra.Command{
		Use:     "passwd AUTHORITY",
		GroupID: groupMake,
		Short:   "Add, change or remove the passphrase of an authority's key",
		Long: `passwd writes the key file of an authority anew, encrypted with a new passphrase
(PKCS#8, PBES2), or, with --remove, not encrypted at all. The key itself stays
as it is, and so does all that it has signed. Killed at any moment, it leaves
the old file or the new one.

On a terminal it asks for the old passphrase, if there is one, and twice for the
new one. Elsewhere --passphrase-file and its like say where the old one is, and
--new-passphrase-file and its like where the new one is.

Copies of the key file that were made before, as in a backup, are what they
were.`,
		Example: `  mtlsctl passwd issuing
  mtlsctl passwd issuing --new-passphrase-file /run/secrets/new
  mtlsctl passwd issuing --passphrase-env OLD --new-passphrase-env NEW
  mtlsctl passwd issuing --passphrase-file old.txt --remove`,
		Args: exactArgs("AUTHORITY"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeFrom((*pkidir.Dir).AuthorityNames), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.authority = args[0]
			return run(c.Context(), o)
		},
	}
	o.passphrase.add(c, "passphrase", "passphrase that the key has now")
	o.next.add(c, "new-passphrase", "passphrase that the key gets")
	c.Flags().BoolVar(&o.remove, "remove", false, "leave the key without a passphrase")
	exclusive(c, "passphrase-stdin", "new-passphrase-stdin")
	for _, flag := range []string{"new-passphrase-file", "new-passphrase-env", "new-passphrase-stdin"} {
		exclusive(c, "remove", flag)
	}
	return c
}

// passwdJSON is the result of passwd.
type passwdJSON struct {
	Authority string `json:"authority"`
	Path      string `json:"path"`
	Encrypted bool   `json:"encrypted"`
	Change    string `json:"change,omitempty"`
}

func (a *app) runPasswd(ctx context.Context, o *passwdOptions) (err error) {
	if !o.remove && !o.next.given() && !a.canAsk() {
		return usagef("give it with --new-passphrase-file, --new-passphrase-env or --new-passphrase-stdin; --remove leaves the key without one",
			"there is no new passphrase, and no terminal to ask on")
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	change, err := d.ChangePassphrase(ctx, o.authority, a.passphrase(&o.passphrase), a.newPassphrase(o))
	if missing, ok := errors.AsType[*pkidir.KeyMissingError](err); ok {
		return withHint(fmt.Errorf("the key of authority %q is not at %s", missing.Authority, missing.Path),
			"bring the key back to %s for as long as passwd runs", missing.Path)
	}
	if err != nil {
		return err
	}
	return a.showPasswd(change, !o.remove)
}

// newPassphrase is where the new passphrase comes from; empty for none.
func (a *app) newPassphrase(o *passwdOptions) pkidir.Passphrase {
	return func() ([]byte, error) {
		switch {
		case o.remove:
			return nil, nil
		case o.next.given():
			return o.next.read(a)
		}
		secret, err := a.ask("New passphrase: ")
		if err != nil {
			return nil, err
		}
		if len(secret) == 0 {
			return nil, withHint(errors.New("the new passphrase is empty; nothing was changed"), "--remove leaves the key without one")
		}
		again, err := a.ask("Once more: ")
		if err == nil && !bytes.Equal(secret, again) {
			err = errors.New("the two passphrases differ; nothing was changed")
		}
		return secret, err
	}
}

func (a *app) showPasswd(change pkidir.PassphraseChange, encrypted bool) error {
	if a.json {
		return a.writeJSON(passwdJSON{change.Authority, change.Path, encrypted, change.Change})
	}
	if change.Change == "" {
		a.note("Nothing to do: the key of %q has no passphrase.", change.Authority)
		return nil
	}
	if !a.quiet {
		t := term.Table{Indent: "  "}
		t.Row(term.Cell{Text: change.Authority, Style: a.style(a.Stdout).Bold}, "passphrase "+change.Change, change.Path)
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
	}
	switch change.Change {
	case pkidir.PassphraseAdded:
		a.note("Copies of the key that were made before need no passphrase: find them, and delete them.")
	case pkidir.PassphraseChanged:
		a.note("Copies of the key that were made before still open with the old passphrase.")
	default:
		a.warn("whoever can read %s can sign as %q from now on", change.Path, change.Authority)
	}
	return nil
}
