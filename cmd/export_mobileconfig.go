package cmd

import (
	"context"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportMobileconfigOptions struct {
	exportOptions
	format   export.MobileConfig
	password passwordFlags
}

func newExportMobileconfigCmd(a *app, run func(context.Context, *exportMobileconfigOptions) error) *cobra.Command {
	o := &exportMobileconfigOptions{}
	if run == nil {
		run = a.runExportMobileconfig
	}
	c := &cobra.Command{
		Use: "mobileconfig NAME",
		Long: `export mobileconfig writes a configuration profile for iPhone, iPad and Mac: the
root to trust, the intermediates, and the certificate with its key. Of an
authority it is the root and the intermediates alone, for every device.

The key is in a PKCS#12 file in the profile, which all versions of iOS and macOS
read; --for ios18,macos15 has it encrypted better. The device asks for its
password when the profile is installed. The password is made here unless you
bring one, and is shown once, on the terminal. --with-password puts it into the
profile, which is then as secret as the key.

A profile takes the place of one with the same identifier on the device, so that
the next export of NAME replaces this one. It is not signed, and devices say so.`,
		Example: `  mtlsctl export mobileconfig alice@example.com
  mtlsctl export mobileconfig alice@example.com --for ios18 --password-out alice.password
  mtlsctl export mobileconfig root --org Acme --identifier com.example.acme.root`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file` (default NAME.mobileconfig), or - for standard output")
	f := c.Flags()
	f.Var(&listValue[export.P12Target]{to: &o.format.For, parse: export.ParseP12Target}, "for",
		"which systems install it: "+strings.Join(export.AppleTargetNames(), ", ")+"; repeatable (default all)")
	f.StringVar(&o.format.Identifier, "identifier", "", "the profile's `name` in reverse DNS, as in com.example.vpn")
	f.StringVar(&o.format.DisplayName, "display-name", "", "the `name` that the device shows (default the certificate's)")
	f.StringVar(&o.format.Organization, "org", "", "the `organization` that the device shows (default the certificate's, or the root's)")
	f.BoolVar(&o.format.WithPassword, "with-password", false, "write the password into the profile")
	o.password.addMade(c)
	must(c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(export.AppleTargetNames(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func (a *app) runExportMobileconfig(ctx context.Context, o *exportMobileconfigOptions) error {
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	o.consumers = consumersAmong(formatMobileconfig, o.format.For)
	if _, err := a.fit(ctx, &o.exportOptions, formatMobileconfig, o.format, b); err != nil {
		return err
	}
	var password filePassword
	switch {
	case b.Key != nil:
		if password, err = o.password.password(a, o.force); err != nil {
			return err
		}
		o.format.Password = password.text
	case b.Leaf().IsCA && (o.password.given() || o.password.out != "" || o.format.WithPassword):
		return usagef("leave it out; --with-ca-key writes the key too", "the key of %q stays here, so there is nothing for a password to protect", o.name)
	}
	e := &exported{format: o.format, def: path.Base(o.name) + ".mobileconfig", others: password.file,
		said: exportJSON{PasswordFile: o.password.out}}
	if err := a.exportBundle(ctx, &o.exportOptions, e, b); err != nil {
		return err
	}
	a.tellPassword(password)
	if o.format.WithPassword {
		a.warn("the profile holds the key and its password: whoever has the file has the key")
	}
	for _, file := range e.said.Files {
		a.note("macOS: open %s, then System Settings > General > Device Management", export.ShellWord(file))
		a.note("iOS, iPadOS: send the file to the device and open it there, then Settings > General > VPN & Device Management;\n" +
			"  servers are trusted after Settings > General > About > Certificate Trust Settings")
	}
	return nil
}
