package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportSecretOptions struct {
	exportOptions
	format export.Secret
}

func newExportSecretCmd(a *app, run func(context.Context, *exportSecretOptions) error) *cobra.Command {
	o := &exportSecretOptions{}
	if run == nil {
		run = a.runExportSecret
	}
	c := &cobra.Command{
		Use: "secret NAME",
		Long: `export secret writes a Kubernetes Secret of type kubernetes.io/tls with tls.crt,
tls.key and ca.crt, to standard output unless --out names a file. Its name is
that of the certificate, with dashes for what Kubernetes does not allow.

With --ca-only it is an Opaque Secret with the root in ca.crt, as gateways want
it to verify clients.`,
		Example: `  mtlsctl export secret api.example.com --namespace prod | kubectl apply --server-side -f -
  mtlsctl export secret api.example.com --label app=api --json
  mtlsctl export secret root --ca-only --name ca.bundle --namespace test-infra
  mtlsctl export secret issuing --with-ca-key --name ca-key-pair`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			o.format.JSON = a.json
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (the default)")
	f := c.Flags()
	f.StringVar(&o.format.Name, "name", "", "the Secret's `name` (default NAME, made to fit)")
	f.StringVarP(&o.format.Namespace, "namespace", "n", "", "the Secret's `namespace` (default none)")
	f.Var(pairs(&o.format.Labels), "label", "a label; repeatable")
	f.Var(pairs(&o.format.Annotations), "annotation", "an annotation; repeatable")
	f.BoolVar(&o.format.CAOnly, "ca-only", false, "the root alone, in an Opaque Secret")
	return c
}

// pairs is a flag of key=value that may be repeated.
func pairs(to *map[string]string) pflag.Value {
	return &value{kind: "key=value", set: func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return errors.New("write it as key=value")
		}
		if _, twice := (*to)[k]; twice {
			return fmt.Errorf("%s is given twice", k)
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[k] = v
		return nil
	}}
}

func (a *app) runExportSecret(ctx context.Context, o *exportSecretOptions) error {
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	if o.format.Name == "" {
		o.format.Name = export.SecretName(o.name)
	}
	files, err := o.format.Export(b)
	if err != nil {
		return exportError(&o.exportOptions, err)
	}
	if o.out == "" {
		o.out = stdout
	}
	ending := ".yaml"
	if a.json {
		ending = ".json"
	}
	paths, err := a.write(&o.exportOptions, fileTarget(o.out, o.format.Name+ending), files)
	if err != nil || o.out == stdout {
		return err
	}
	return a.showExported(exportJSON{Name: o.name, Format: "secret", Files: paths})
}
