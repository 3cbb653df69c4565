package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/pki"
)

// exportOptions are what all formats share.
type exportOptions struct {
	name       string
	out        string
	force      bool
	withCAKey  bool
	consumers  []*export.Consumer // empty: nobody in particular
	authority  bool               // NAME is one
	crl        bool
	passphrase secretFlags
}

func newExportCmd(a *app) *cobra.Command {
	var o struct {
		consumer *export.Consumer
		list     bool
	}
	c := &cobra.Command{
		Use:     "export FORMAT NAME",
		GroupID: groupUse,
		Short:   "Write a certificate in the form that a program wants",
		Long: `export writes a certificate of the PKI directory, with its key and the root to
trust, in the form that a program wants. NAME may be an authority too: then its
key stays behind, unless --with-ca-key asks for it.

With --for, the files have the names and the order that the program reads, what
it could not use is refused, and the lines of its configuration that use them
are shown. 'mtlsctl export NAME --for PROGRAM' chooses the format too; --list
shows all programs and formats.`,
		Example: `  mtlsctl export --list
  mtlsctl export api.example.com --for nginx --out /etc/nginx/tls
  mtlsctl export p12 alice@example.com --for macos
  mtlsctl export secret api.example.com --namespace prod | kubectl apply --server-side -f -
  mtlsctl export secret root --ca-only --name ca.bundle`,
		FParseErrWhitelist:         cobra.FParseErrWhitelist{UnknownFlags: true},
		SuggestionsMinimumDistance: 2, // of letters that differ
		Args:                       cobra.ArbitraryArgs,
		ValidArgsFunction:          a.completeBundles,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.list:
				return a.listFormats()
			case o.consumer != nil && len(args) > 0:
				return a.exportFor(c.Context(), o.consumer, args[0])
			case o.consumer != nil:
				return usagef("as in 'mtlsctl export api.example.com --for "+o.consumer.Name+"'", "NAME is missing")
			case len(args) == 0:
				return usagef("as in 'mtlsctl export p12 alice@example.com'; 'mtlsctl export --list' shows all",
					"FORMAT is missing: there are %s", strings.Join(formatNames(), ", "))
			}
			return a.unknownFormat(c, args)
		},
	}
	f := c.Flags()
	f.Var(parsed(&o.consumer, "program", findConsumer), "for", "who it is for: the `program` chooses the format")
	f.BoolVar(&o.list, "list", false, "show all programs and formats")
	must(c.RegisterFlagCompletionFunc("for", completeConsumers("")))
	c.AddCommand(
		newExportPEMCmd(a, nil),
		newExportSecretCmd(a, nil),
		newExportConfigMapCmd(a, nil),
		newExportP12Cmd(a, nil),
		newExportJKSCmd(a, nil),
		newExportTruststoreCmd(a, nil),
		newExportKubeconfigCmd(a, nil),
		newExportSPIFFEBundleCmd(a, nil),
		newExportCRLCmd(a, nil),
		newExportAPISIXCmd(a, nil),
		newExportIssuerCmd(a, nil),
		newExportEnvCmd(a, nil),
		newExportMobileconfigCmd(a, nil),
	)
	return c
}

func formatNames() (names []string) {
	for _, e := range export.Formats() {
		names = append(names, e.Name)
	}
	return names
}

// addExportFlags adds the flags that all formats share. Who a format has a word
// for is in the table of consumers; the formats of key stores have a --for of
// their own.
func (a *app) addExportFlags(c *cobra.Command, o *exportOptions, out string) {
	f := c.Flags()
	f.StringVar(&o.out, "out", "", out)
	f.BoolVar(&o.force, "force", false, "replace files that exist")
	f.BoolVar(&o.withCAKey, "with-ca-key", false, "of an authority, write the key too")
	o.passphrase.add(c, "passphrase", "passphrase of the authority's key")
	c.ValidArgsFunction = a.completeBundles
	e, err := export.Find(c.Name())
	must(err)
	c.Args = a.formatArgs(o, c.Args)
	c.Short = "Write " + e.Summary
	if names := export.ConsumersOf(c.Name()); len(names) > 0 && !hasOwnFor(c.Name()) {
		f.Var(&value{kind: "program", set: func(s string) error {
			c, err := findConsumer(s)
			o.consumers = []*export.Consumer{c}
			return err
		}}, "for", "who it is for: "+strings.Join(names, ", "))
		must(c.RegisterFlagCompletionFunc("for", completeConsumers(c.Name())))
	}
	if _, shaped := e.Format.(export.Shaped); shaped {
		f.BoolVar(&o.crl, "crl", false, "also the CRLs of all authorities above")
	}
}

// hasOwnFor reports whether a format asks itself who reads it.
func hasOwnFor(format string) bool {
	return format == formatP12 || format == formatTruststore || format == formatMobileconfig
}

// bundle loads what is to be exported. The key of an authority is read only if
// it was asked for.
func (a *app) bundle(ctx context.Context, o *exportOptions) (b *pki.Bundle, err error) {
	d, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	passphrase := a.passphrase(&o.passphrase)
	o.authority = d.IsAuthority(o.name)
	if o.authority && !o.withCAKey {
		passphrase = nil
	}
	b, err = d.Bundle(o.name, passphrase)
	if err == nil && o.withCAKey && b.Key == nil && o.authority {
		file := d.AuthorityKeyPath(o.name)
		return nil, withHint(fmt.Errorf("the key of authority %q is not at %s", o.name, file), "bring it back to export it")
	}
	return b, err
}

// exportError adds the next step to what a format refuses.
func exportError(o *exportOptions, err error) error {
	var option *export.OptionError
	var fit *export.FitError
	switch {
	case errors.As(err, &fit):
		return withHint(err, "%s", fit.Remedy)
	case errors.As(err, &option) && option.Option == "password":
		then := "a strong one is made"
		if option.Suggestion != "" {
			then = "it is " + option.Suggestion
		}
		return &usageError{fmt.Errorf("the password: %s", option.Problem), "bring another, or none: then " + then}
	case errors.As(err, &option) && option.Option == "for" && option.Value == "":
		return usagef("say who reads it, as in --for "+option.Suggestion, "%q: %s", o.name, option.Problem)
	case errors.As(err, &option):
		hint := ""
		if option.Suggestion != "" {
			hint = fmt.Sprintf("use --%s %s", option.Option, option.Suggestion)
		}
		return &usageError{flagProblem(option), hint}
	case errors.Is(err, export.ErrNoKey) && o.authority && !o.withCAKey:
		return withHint(fmt.Errorf("%q: %w", o.name, err), "the key of an authority stays behind unless --with-ca-key asks for it")
	case errors.Is(err, export.ErrDamagedCRL):
		return withHint(err, "'mtlsctl crl %s' makes it anew", o.name)
	case errors.Is(err, export.ErrNoKey) && !o.withCAKey:
		return withHint(fmt.Errorf("%q: %w", o.name, err), "whoever sent the signing request has the key")
	}
	return err
}

func flagProblem(e *export.OptionError) error {
	if e.Value == "" {
		return fmt.Errorf("--%s: %s", e.Option, e.Problem)
	}
	return flagValueError("--"+e.Option, e.Value, errors.New(e.Problem))
}
