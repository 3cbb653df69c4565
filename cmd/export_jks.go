package cmd

import (
	"context"
	"crypto/ed25519"
	"path"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportJKSOptions struct {
	exportOptions
	format   export.JKS
	password passwordFlags
}

func newExportJKSCmd(a *app, run func(context.Context, *exportJKSOptions) error) *cobra.Command {
	o := &exportJKSOptions{}
	if run == nil {
		run = a.runExportJKS
	}
	c := &cobra.Command{
		Use: "jks NAME",
		Long: `export jks writes a Java KeyStore with the key, the certificate and its chain,
for programs that take no other kind. Java has read PKCS#12 since version 8, and
that protects a key better: 'mtlsctl export p12 NAME --for java'.

Store and key have one password. It is made here unless you bring one of at
least 16 characters, and is shown once, on the terminal.`,
		Example: `  mtlsctl export jks kafka-1
  mtlsctl export jks kafka-1 --alias kafka --password-out kafka.password
  mtlsctl export jks kafka-1 --no-root --password-env STORE_PASSWORD --out kafka.jks`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file` (default NAME.jks), or - for standard output")
	f := c.Flags()
	f.StringVar(&o.format.Alias, "alias", "", "the `name` of the entry, in lower case (default the common name)")
	f.BoolVar(&o.format.NoRoot, "no-root", false, "leave the root out")
	o.password.addMade(c)
	return c
}

func (a *app) runExportJKS(ctx context.Context, o *exportJKSOptions) error {
	if err := a.refuseTerminal(&o.exportOptions, "keystore"); err != nil {
		return err
	}
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	if _, err := a.fit(ctx, &o.exportOptions, a.formatName(), o.format, b); err != nil {
		return err
	}
	password, err := o.password.password(a, o.force)
	if err != nil {
		return err
	}
	o.format.Password = password.text
	e := &exported{format: o.format, def: path.Base(o.name) + ".jks", others: password.file, said: exportJSON{
		FriendlyName: o.format.AliasFor(b), PasswordFile: o.password.out,
	}}
	if err := a.exportBundle(ctx, &o.exportOptions, e, b); err != nil {
		return err
	}
	a.tellPassword(password)
	if _, ok := b.Leaf().PublicKey.(ed25519.PublicKey); ok {
		a.note("Java reads Ed25519 keys from version 15 on.")
	}
	if len(o.consumers) == 0 { // else the lines of its configuration were shown
		for _, file := range e.said.Files {
			a.note("Java: -Djavax.net.ssl.keyStore=%s -Djavax.net.ssl.keyStoreType=JKS, alias %s; store and key have one password", export.ShellWord(file), e.said.FriendlyName)
		}
	}
	return nil
}
