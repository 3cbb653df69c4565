package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

type exportP12Options struct {
	exportOptions
	format         export.P12
	password       secretFlags
	passwordPrompt bool
	passwordOut    string
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
	f.Var(&listValue[export.P12Target]{to: &o.format.For, parse: export.ParseP12Target}, "for",
		"who reads it: macos, ios, windows, android, firefox, chrome, java, openssl ..., with a version if it is known, as in macos15; repeatable")
	f.Var(parsed(&o.format.Encoding, "name", export.ParseP12Encoding), "encoding", "compat, modern-2023 or modern-2026 (default compat)")
	f.StringVar(&o.format.FriendlyName, "friendly-name", "", "the `name` that key stores show (default the common name)")
	f.BoolVar(&o.format.NoRoot, "no-root", false, "leave the root out")
	o.password.add(c, "password", "password of the file")
	f.BoolVar(&o.passwordPrompt, "password-prompt", false, "ask for the password on the terminal")
	f.StringVar(&o.passwordOut, "password-out", "", "write the password that is made to this new `file`")
	exclusive(c, "password-file", "password-env", "password-stdin", "password-prompt", "password-out")
	must(c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(export.P12TargetNames(), cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("encoding", words(export.P12Encodings())))
	return c
}

func (a *app) runExportP12(ctx context.Context, o *exportP12Options) error {
	if o.out == stdout && term.IsTerminal(a.Stdout) {
		return usagef("name a file with --out", "--out -: a PKCS#12 file is not written to a terminal")
	}
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	if o.passwordOut != "" && !o.force {
		if err := refuseExisting(filepath.Dir(o.passwordOut), filepath.Base(o.passwordOut)); errors.Is(err, errOutExists) {
			return withHint(err, "name another file with --password-out, or replace it with --force")
		} else if err != nil {
			return err
		}
	}
	made, err := a.p12Password(o)
	if err != nil {
		return err
	}
	if o.format.Encoding == "" {
		if o.format.Encoding, err = export.BestP12Encoding(o.format.For); err != nil {
			return exportError(&o.exportOptions, err)
		}
	}
	files, err := o.format.Export(b)
	var option *export.OptionError
	if errors.As(err, &option) && option.Option == "for" && len(o.format.For) == 0 {
		return usagef("say who reads it, as in --for "+option.Suggestion, "%q: %s", o.name, option.Problem)
	}
	if err != nil {
		return exportError(&o.exportOptions, err)
	}
	var password []place
	if o.passwordOut != "" {
		file := export.File{Name: filepath.Base(o.passwordOut), Data: []byte(o.format.Password + "\n"), Private: true}
		password = []place{{filepath.Dir(o.passwordOut), []export.File{file}}}
	}
	t := fileTarget(o.out, path.Base(o.name)+".p12")
	paths, err := a.write(&o.exportOptions, t, files, password...)
	if err != nil {
		return err
	}
	if o.out != stdout {
		if err := a.recordExport(ctx, o.name, formatP12, t.dir, exportRecord{Flags: o.again(), WithCAKey: o.withCAKey}, files); err != nil {
			return err
		}
		info, err := export.InspectP12(files[0].Data)
		if err != nil {
			return err
		}
		j := exportJSON{Name: o.name, Format: formatP12, Files: paths, PasswordFile: o.passwordOut, Encoding: string(o.format.Encoding)}
		if names := info.Names(); len(names) > 0 {
			j.FriendlyName = names[0]
		}
		if err := a.showExported(j); err != nil {
			return err
		}
	}
	if made && o.passwordOut == "" {
		a.say("Password, shown only now: %s", a.style(a.Stderr).Bold(o.format.Password))
	}
	a.adviseImport(o, paths)
	return nil
}

// again returns the flags that ask for the same, but for the password.
func (o *exportP12Options) again() (flags []string) {
	for _, t := range o.format.For {
		flags = append(flags, "--for", t.String())
	}
	if len(o.format.For) == 0 {
		flags = append(flags, "--encoding", string(o.format.Encoding))
	}
	if o.format.FriendlyName != "" {
		flags = append(flags, "--friendly-name", o.format.FriendlyName)
	}
	if o.format.NoRoot {
		flags = append(flags, "--no-root")
	}
	if file, err := filepath.Abs(o.passwordOut); o.passwordOut != "" && err == nil {
		flags = append(flags, "--password-out", file)
	}
	return flags
}

// p12Password puts the password where the format wants it, and reports whether
// it was made here.
func (a *app) p12Password(o *exportP12Options) (made bool, err error) {
	switch {
	case o.password.given():
		secret, err := o.password.read(a)
		o.format.Password = string(secret)
		return false, err
	case o.passwordPrompt:
		if !a.canAsk() {
			return false, usagef("use --password-file, --password-env or --password-stdin", "--password-prompt: there is no terminal to ask on")
		}
		secret, err := a.ask("Password for the file: ")
		if err != nil {
			return false, err
		}
		again, err := a.ask("Once more: ")
		if err != nil {
			return false, err
		}
		if !bytes.Equal(secret, again) {
			return false, errors.New("the two passwords differ; nothing was written")
		}
		o.format.Password = string(secret)
		return false, nil
	case o.passwordOut == "" && !term.IsTerminal(a.Stderr):
		return false, usagef("write it to a file with --password-out, or bring your own with --password-file, --password-env or --password-stdin",
			"there is no terminal on which a new password could be shown once")
	}
	o.format.Password = export.NewPassword()
	return true, nil
}

// adviseImport says how the first target takes the file.
func (a *app) adviseImport(o *exportP12Options, paths []string) {
	if len(paths) == 0 {
		return
	}
	for _, t := range o.format.For {
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
	if len(o.format.For) == 0 {
		a.note("Next: mtlsctl show %s, which says who reads it; --for macos, windows, firefox ... says how it is imported", paths[0])
	}
}

// say writes what must reach a person even if --quiet is given.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, format+"\n", args...) // nothing better is left to do
}
