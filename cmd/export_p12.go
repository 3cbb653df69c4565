package cmd

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportP12Options struct {
	exportOptions
	format   export.P12
	password passwordFlags
}

func newExportP12Cmd(a *app, run func(context.Context, *exportP12Options) error) *cobra.Command {
	o := &exportP12Options{}
	if run == nil {
		run = a.runExportP12
	}
	c := &cobra.Command{
		Use: "p12 NAME",
		Long: `export p12 writes a PKCS#12 file with the key, the certificate and its chain,
for the key store of a browser, an operating system or Java.

Importers differ in the algorithms they know, and call what they do not know a
wrong password. Without --for and --encoding the file is one that all of them
read; --for chooses the strongest encoding that the targets named read.

The password is made here unless you bring one, and is shown once, on the
terminal. A password of your own comes from a file, an environment variable,
standard input or a prompt.`,
		Example: `  mtlsctl export p12 alice@example.com
  mtlsctl export p12 alice@example.com --for macos15,firefox
  mtlsctl export p12 alice@example.com --password-out alice.password
  mtlsctl export p12 api.example.com --encoding modern-2023 --password-env STORE_PASSWORD`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file` (default NAME.p12), or - for standard output")
	f := c.Flags()
	addReaderFlags(c, &o.format.For, &o.format.Encoding)
	f.StringVar(&o.format.FriendlyName, "friendly-name", "", "the `name` that key stores show (default the common name)")
	f.BoolVar(&o.format.NoRoot, "no-root", false, "leave the root out")
	o.password.addMade(c)
	return c
}

// addReaderFlags adds the flags that say what a PKCS#12 file must be read by.
func addReaderFlags(c *cobra.Command, readers *[]export.P12Target, encoding *export.P12Encoding) {
	f := c.Flags()
	f.Var(&listValue[export.P12Target]{to: readers, parse: export.ParseP12Target}, "for",
		"who reads it: macos, ios, windows, android, firefox, chrome, java, openssl ..., with a version if it is known, as in macos15; repeatable")
	f.Var(parsed(encoding, "name", export.ParseP12Encoding), "encoding", "compat, modern-2023 or modern-2026 (default compat)")
	must(c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(export.P12TargetNames(), cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("encoding", words(export.P12Encodings())))
}

func (a *app) runExportP12(ctx context.Context, o *exportP12Options) error {
	if err := a.refuseTerminal(&o.exportOptions, "PKCS#12 file"); err != nil {
		return err
	}
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	o.consumers = consumersAmong(formatP12, o.format.For)
	if _, err := a.fit(ctx, &o.exportOptions, formatP12, o.format, b); err != nil {
		return err
	}
	password, err := o.password.password(a, o.force)
	if err != nil {
		return err
	}
	o.format.Password = password.text
	if o.format.Encoding == "" {
		if o.format.Encoding, err = export.BestP12Encoding(o.format.For); err != nil {
			return exportError(&o.exportOptions, err)
		}
	}
	e := &exported{format: o.format, def: path.Base(o.name) + ".p12", others: password.file, said: exportJSON{
		Encoding: string(o.format.Encoding), FriendlyName: o.format.NameFor(b), PasswordFile: o.password.out,
	}}
	if err := a.exportBundle(ctx, &o.exportOptions, e, b); err != nil {
		return err
	}
	a.tellPassword(password)
	a.adviseImport(o.format.For, e.said.Files)
	return nil
}

// adviseImport says how the targets take the file, but for the consumers among
// them that have lines of their own, which were shown.
func (a *app) adviseImport(targets []export.P12Target, paths []string) {
	if len(paths) == 0 {
		return
	}
	for _, t := range targets {
		if slices.ContainsFunc(consumersAmong(formatP12, []export.P12Target{t}), (*export.Consumer).HasConfig) {
			continue
		}
		for _, step := range t.Import(paths[0]) {
			switch {
			case step.Command != "" && step.Text != "":
				a.note("%s: %s\n  %s", step.Where, step.Command, step.Text)
			case step.Command != "":
				a.note("%s: %s", step.Where, step.Command)
			default:
				a.note("%s: %s", step.Where, step.Text)
			}
		}
	}
	if len(targets) == 0 {
		a.note("Next: mtlsctl show %s, which says who reads it; --for macos, windows, firefox ... says how it is imported", paths[0])
	}
}

// say writes what must reach a person even if --quiet is given.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, format+"\n", args...) // nothing better is left to do
}
