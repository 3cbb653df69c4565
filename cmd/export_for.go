package cmd

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// exportFor runs `export FORMAT NAME --for PROGRAM` in place of the same without
// FORMAT: the program's own format for a certificate of that role.
func (a *app) exportFor(ctx context.Context, consumer *export.Consumer, name string) error {
	b, err := a.bundle(ctx, &exportOptions{name: name})
	if err != nil {
		return err
	}
	format := consumer.FormatFor(export.RoleOf(b.Leaf()))
	at := slices.Index(a.args, "export")
	args := slices.Concat([]string{"export", format}, a.args[:at], a.args[at+1:])
	root := newRootCmd(a, args)
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	return root.ExecuteContext(ctx)
}

// unknownFormat says what is wrong with the first argument of `export`, which is
// no format.
func (a *app) unknownFormat(c *cobra.Command, args []string) error {
	_, err := export.Find(args[0])
	word := export.ShellWord(args[0])
	if p, err2 := export.FindConsumer(args[0]); err2 == nil {
		name := "NAME"
		if len(args) > 1 {
			name = export.ShellWord(args[1])
		}
		return &usageError{err, fmt.Sprintf("%s is a program: 'mtlsctl export %s --for %s'", p.Name, name, p.Name)}
	}
	if b, _ := a.bundle(c.Context(), &exportOptions{name: args[0]}); b != nil {
		if len(args) > 1 && slices.Contains(formatNames(), args[1]) {
			return usagef(fmt.Sprintf("'mtlsctl export %s %s'", args[1], word), "FORMAT comes before NAME")
		}
		return usagef(fmt.Sprintf("as in 'mtlsctl export pem %s'; 'mtlsctl export %[1]s --for PROGRAM' chooses the format", word),
			"FORMAT is missing before %q: there are %s", args[0], strings.Join(formatNames(), ", "))
	}
	if similar := c.SuggestionsFor(args[0]); len(similar) > 0 {
		return &usageError{err, "did you mean " + strings.Join(similar, " or ") + "?"}
	}
	return &usageError{err, "'mtlsctl export --list' shows what they are"}
}

// findConsumer is [export.FindConsumer] with the next step.
func findConsumer(name string) (*export.Consumer, error) {
	p, err := export.FindConsumer(name)
	if err == nil {
		return p, nil
	}
	all := &cobra.Command{SuggestionsMinimumDistance: 2} // as cobra finds a command
	for _, p := range export.Consumers() {
		all.AddCommand(&cobra.Command{Use: p.Name, Run: func(*cobra.Command, []string) {}})
	}
	if similar := all.SuggestionsFor(name); name != "" && len(similar) > 0 {
		return nil, withHint(err, "did you mean %s?", strings.Join(similar, " or "))
	}
	return nil, withHint(err, "'mtlsctl export --list' shows what they take")
}

// formatArgs checks the arguments of a format as check does, and minds those whose
// certificate is called as the format is.
func (a *app) formatArgs(o *exportOptions, check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if err == nil || len(args) > 0 {
			return err
		}
		b, _ := a.bundle(c.Context(), &exportOptions{name: c.Name()})
		if b == nil {
			return err
		}
		command := "FORMAT " + c.Name()
		if len(o.consumers) > 0 {
			p := o.consumers[0]
			command = fmt.Sprintf("%s %s --for %s", p.FormatFor(export.RoleOf(b.Leaf())), c.Name(), p.Name)
		}
		return usagef(fmt.Sprintf("for the certificate of that name, 'mtlsctl export %s'", command), "NAME is missing: %s is a format", c.Name())
	}
}

// fit measures a bundle against those it is for, and returns the shape that the
// first of them wants.
func (a *app) fit(ctx context.Context, o *exportOptions, format string, f export.Format, b *pki.Bundle) (shape export.Shape, err error) {
	fit := export.Fit{Format: format, Name: o.name, Bundle: b, Encoding: b.Encoding}
	if p, ok := f.(export.PEM); ok && p.Encoding != "" {
		fit.Encoding = p.Encoding
	}
	for i, c := range o.consumers {
		if c.Compares() && fit.Others == nil {
			if fit.Others, err = a.othersOf(ctx, o.name); err != nil {
				return shape, err
			}
		}
		s, err := c.Fit(&fit)
		if err != nil {
			return shape, exportError(o, err)
		}
		if i == 0 {
			shape = s
		}
	}
	return shape, nil
}

// consumersAmong returns the readers of key stores that are consumers of a format,
// too. One with a version is not.
func consumersAmong(format string, targets []export.P12Target) (all []*export.Consumer) {
	for _, t := range targets {
		if c, err := export.FindConsumer(t.String()); err == nil && slices.Contains(c.Formats(), format) {
			all = append(all, c)
		}
	}
	return all
}

// completeConsumers completes those that take a format; all for the empty one.
func completeConsumers(format string) cobra.CompletionFunc {
	var words []cobra.Completion
	for _, c := range export.Consumers() {
		if format == "" || slices.Contains(c.Formats(), format) {
			words = append(words, cobra.CompletionWithDesc(c.Name, c.Title))
		}
	}
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// othersOf returns the servers' certificates of the authority that signed one.
func (a *app) othersOf(ctx context.Context, name string) (others []*x509.Certificate, err error) {
	err = a.withEntry(ctx, name, func(_ *pkidir.Dir, l *ledger.Ledger, self *ledger.Entry) error {
		return l.Stream(ctx, ledger.Filter{Issuer: self.Issuer}, func(e *ledger.Entry) error {
			if e.Name == self.Name || e.Status(a.Now()) != ledger.Valid {
				return nil
			}
			c, err := x509.ParseCertificate(e.DER)
			if err != nil {
				return err
			}
			if r := export.RoleOf(c); r == export.Server || r == export.Peer {
				others = append(others, c)
			}
			return nil
		})
	})
	return others, err
}

// configLines returns the lines of each consumer's configuration that use an
// export.
func (a *app) configLines(o *exportOptions, made madeExport, format string, paths []string) (configs []string, err error) {
	if len(o.consumers) == 0 {
		return nil, nil
	}
	p := export.Placement{Fit: export.Fit{Format: format, Name: o.name, Bundle: made.bundle}, CRL: o.crl}
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, abs)
	}
	switch f := made.format.(type) {
	case export.Secret:
		p.Object, p.Namespace = f.Name, f.Namespace
	case export.ConfigMap:
		p.Object, p.Namespace = f.Name, f.Namespace
	case export.Truststore:
		p.StoreType = f.Type
	}
	for _, c := range o.consumers {
		configs = append(configs, c.Config(&p))
	}
	return configs, nil
}

// indented moves lines to the right.
func indented(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}

// formatsJSON is what there is to choose from.
type formatsJSON struct {
	Formats   []formatJSON   `json:"formats"`
	Consumers []consumerJSON `json:"consumers"`
}

type formatJSON struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
}

type consumerJSON struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Formats []string `json:"formats"`
}

// listFormats shows all formats, and who takes which.
func (a *app) listFormats() error {
	if a.json {
		var j formatsJSON
		for _, e := range export.Formats() {
			j.Formats = append(j.Formats, formatJSON{e.Name, e.Summary})
		}
		for _, c := range export.Consumers() {
			j.Consumers = append(j.Consumers, consumerJSON{c.Name, c.Title, c.Formats()})
		}
		return a.writeJSON(j)
	}
	faint := a.style(a.Stdout).Faint
	head := func(words ...string) (cells []any) {
		for _, w := range words {
			cells = append(cells, term.Cell{Text: w, Style: faint})
		}
		return cells
	}
	var t term.Table
	t.Row(head("FORMAT", "WHAT IT IS")...)
	for _, e := range export.Formats() {
		t.Row(e.Name, e.Summary)
	}
	if err := t.Write(a.Stdout); err != nil {
		return err
	}
	if _, err := a.Stdout.Write([]byte("\n")); err != nil {
		return err
	}
	t = term.Table{}
	t.Row(head("--for", "PROGRAM", "FORMATS")...)
	for _, c := range export.Consumers() {
		t.Row(c.Name, c.Title, strings.Join(c.Formats(), ", "))
	}
	return t.Write(a.Stdout)
}
