package cmd

import (
	"context"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportTruststoreOptions struct {
	exportOptions
	format   export.Truststore
	password passwordFlags
}

func newExportTruststoreCmd(a *app, run func(context.Context, *exportTruststoreOptions) error) *cobra.Command {
	o := &exportTruststoreOptions{}
	if run == nil {
		run = a.runExportTruststore
	}
	c := &cobra.Command{
		Use: "truststore NAME",
		Long: `export truststore writes the root of a certificate or authority as Java takes it
for javax.net.ssl.trustStore: a PKCS#12 file whose entries have the attribute by
which Java trusts them, or with --type jks a Java KeyStore. No key is needed.

All is public in it. Its password only shows that the file is whole, and is
"changeit", as that of Java's own truststore, unless you bring another.

Java 8 and later read what is written by default; --for and --encoding choose
as in 'mtlsctl export p12'.`,
		Example: `  mtlsctl export truststore root
  mtlsctl export truststore root --for java17 --out truststore.p12
  mtlsctl export truststore kafka-1 --type jks --password-env STORE_PASSWORD`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file` (default NAME-truststore.p12), or - for standard output")
	must(c.Flags().MarkHidden("with-ca-key"))
	f := c.Flags()
	f.Var(parsed(&o.format.Type, "kind", export.ParseStoreType), "type", "p12 or jks (default p12)")
	addReaderFlags(c, &o.format.For, &o.format.Encoding)
	must(c.RegisterFlagCompletionFunc("type", words(export.StoreTypes())))
	o.password.add(c)
	return c
}

func (a *app) runExportTruststore(ctx context.Context, o *exportTruststoreOptions) (err error) {
	if err := a.refuseTerminal(&o.exportOptions, "truststore"); err != nil {
		return err
	}
	if o.format.Password, err = o.password.own(a); err != nil {
		return err
	}
	kind := export.StoreP12
	if o.format.Type != "" {
		kind = o.format.Type
	}
	o.consumers = consumersAmong(formatTruststore, o.format.For)
	e := &exported{format: o.format, def: path.Base(o.name) + "-truststore." + string(kind)}
	if kind == export.StoreP12 {
		if o.format.Encoding == "" {
			if o.format.Encoding, err = export.BestP12Encoding(o.format.For); err != nil {
				return exportError(&o.exportOptions, err)
			}
		}
		e.format, e.said.Encoding = o.format, string(o.format.Encoding)
	}
	if err := a.runExport(ctx, &o.exportOptions, e); err != nil {
		return err
	}
	for _, file := range e.said.Files {
		if len(o.consumers) > 0 { // the lines of its configuration were shown
			break
		}
		password := export.TruststorePassword
		if o.format.Password != "" {
			password = "PASSWORD"
		}
		javaType := map[export.StoreType]string{export.StoreP12: "PKCS12", export.StoreJKS: "JKS"}[kind]
		a.note("Java: %s", strings.Join([]string{
			"-Djavax.net.ssl.trustStore=" + export.ShellWord(file),
			"-Djavax.net.ssl.trustStoreType=" + javaType,
			"-Djavax.net.ssl.trustStorePassword=" + password,
		}, " "))
	}
	if o.format.Password == "" && len(e.said.Files) > 0 {
		a.note("The password is %s, as that of Java's own truststore: nothing in the file is secret.", export.TruststorePassword)
	}
	return nil
}
