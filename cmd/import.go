package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

type importOptions struct {
	target    string // NAME, or the folder of a ledger
	cert      string
	key       string
	ledger    string
	ca        string // of a ledger
	keySecret secretFlags
}

// ledgerEasyRSA is the one kind of ledger that is read.
const ledgerEasyRSA = "easy-rsa"

func newImportCmd(a *app, run func(context.Context, *importOptions) error) *cobra.Command {
	o := &importOptions{}
	if run == nil {
		run = a.runImport
	}
	c := &cobra.Command{
		Use:     "import NAME --cert FILE [--key FILE] | import --ledger easy-rsa DIR",
		GroupID: groupMake,
		Short:   "Put certificates on record that an imported CA made earlier",
		Long: `import puts a certificate on record as NAME that one of the authorities here
signed before it was taken over with import-ca. From then on it is listed,
exported, renewed and revoked as those that were issued here. With --key its key
is kept beside it, not encrypted; without, the key is somebody else's, as with a
signing request.

With --ledger easy-rsa it reads what easy-rsa has on record in DIR, the folder
with index.txt: all certificates of the CA in its ca.crt, with their revocations
at their times. Keys stay there. Each certificate is called by its common name;
of several with one name the latest that is not revoked has it, and the others
are listed with --history. What has a name already keeps it: then the new one is
called NAME-SERIAL. It can be done again, and then brings what is new. Entries
whose certificate is not there are left out, and named; if they are revoked,
they are on the next CRL all the same.`,
		Example: `  mtlsctl import web.example.com --cert web.pem --key web.key
  mtlsctl import laptop --cert laptop.crt
  mtlsctl import --ledger easy-rsa /etc/openvpn/easy-rsa/pki`,
		Args: exactArgs("NAME or DIR"),
		ValidArgsFunction: func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			if c.Flags().Changed("ledger") {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.target = args[0]
			if err := o.check(); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.cert, "cert", "", "`file` with the certificate, PEM or DER")
	f.StringVar(&o.key, "key", "", "`file` with its key")
	f.Var(parsed(&o.ledger, "kind", func(s string) (string, error) {
		if s != ledgerEasyRSA {
			return "", errors.New("there is " + ledgerEasyRSA)
		}
		return s, nil
	}), "ledger", "read what another program has on record: "+ledgerEasyRSA)
	f.StringVar(&o.ca, "ca", "", "the `authority` of the ledger, if its folder has no ca.crt")
	o.keySecret.add(c, "key-passphrase", "passphrase of the key in --key")
	exclusive(c, "ledger", "cert")
	exclusive(c, "ledger", "key")
	must(c.RegisterFlagCompletionFunc("ledger", cobra.FixedCompletions([]string{ledgerEasyRSA}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("ca", a.completeAuthorities))
	return c
}

func (o *importOptions) check() error {
	switch {
	case o.ledger == "" && o.cert == "":
		return usagef("name the file with the certificate, or a folder with --ledger easy-rsa", "--cert is missing")
	case o.ledger == "" && o.ca != "":
		return usagef("leave it out: who signed a certificate shows in it", "--ca goes with --ledger")
	case o.key == "" && o.keySecret.given():
		return usagef("name the file with the key with --key, or leave the passphrase out", "a passphrase is given, and no --key")
	}
	return nil
}

func (a *app) runImport(ctx context.Context, o *importOptions) error {
	if o.ledger != "" {
		return a.runImportLedger(ctx, o)
	}
	return a.runImportCertificate(ctx, o)
}

func (a *app) runImportCertificate(ctx context.Context, o *importOptions) (err error) {
	name, err := parseName(o.target)
	if err != nil {
		return err
	}
	certs, err := a.readCertificates("--cert", o.cert)
	if err != nil {
		return err
	}
	key, _, err := a.readImportedKey(o.key, &o.keySecret)
	if err != nil {
		return err
	}
	if certs, err = ofKey(certs, key); err != nil {
		return withHint(fmt.Errorf("--key %s: %w", o.key, err), "give the key of the certificate in %s, or leave --key out", o.cert)
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	issued, err := d.ImportCertificate(ctx, pkidir.CertificateImport{Name: name, Cert: certs[0], Key: key, Encoding: pki.PKCS8})
	if err != nil {
		return importError(err, o)
	}
	return a.showImported(&issued)
}

// importError adds the next step that is import's own.
func importError(err error, o *importOptions) error {
	var exists *ledger.ExistsError
	var unfinished *pkidir.UnfinishedError
	switch {
	case errors.As(err, &unfinished):
		return withHint(err, "mend the cause, and run the same command again")
	case errors.As(err, &exists):
		return withHint(err, "give the certificate another name; 'mtlsctl show %s' shows what has this one", exists.Name)
	case errors.Is(err, pkidir.ErrForeign):
		return withHint(err, "bring the CA that signed it with 'mtlsctl import-ca NAME --cert FILE'; 'mtlsctl show %s' names it", o.cert)
	case errors.Is(err, pki.ErrNotCA): // which says what it is for where a CA is wanted
		return withHint(fmt.Errorf("%q: %w", o.target, pkidir.ErrIsAuthority), "take it over with 'mtlsctl import-ca %s --cert %s'", o.target, o.cert)
	case errors.Is(err, pki.ErrKey):
		return withHint(err, "leave --key out: then it can be listed and revoked")
	}
	return err
}

func (a *app) showImported(i *pkidir.Issued) error {
	if a.json {
		return a.writeJSON(issuedJSON(a, []pkidir.Issued{*i})[0])
	}
	if !a.quiet {
		style := a.style(a.Stdout)
		t := term.Table{Indent: "  "}
		t.Row(term.Cell{Text: i.Entry.Name, Style: style.Bold}, i.Entry.Profile, "by "+i.Entry.Issuer, stateCell(&i.Entry, a.Now(), style),
			"until "+day(i.Entry.NotAfter), namesText(&i.Entry))
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
		files := []string{pkidir.ChainFile, pkidir.KeyFile, pkidir.RootsFile}
		if i.Bundle.Key == nil {
			files = []string{pkidir.ChainFile, pkidir.RootsFile}
		}
		if _, err := fmt.Fprintf(a.Stdout, "  %s: %s\n", i.Path, strings.Join(files, " ")); err != nil {
			return err
		}
	}
	for _, w := range i.Warnings {
		a.warn("%s: %s", i.Entry.Name, w)
	}
	return nil
}
