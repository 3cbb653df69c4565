package cmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/plan"
	"github.com/mtlsctl/mtlsctl/pki"
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

Of what a manifest made it is the Secret that cert-manager would write, with
the name, labels and annotations of the manifest. Its keystores need their
passwords, which are not kept: 'mtlsctl apply --out' writes them.

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
	addObjectFlags(c, "Secret", &o.format.Name, &o.format.Namespace, &o.format.Labels, &o.format.Annotations)
	c.Flags().BoolVar(&o.format.CAOnly, "ca-only", false, "the root alone, in an Opaque Secret")
	exclusive(c, "ca-only", "for")
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
	return a.runFormat(ctx, &o.exportOptions, o.format, stdout)
}

// appliedSecret is the Secret as the manifest that made a certificate wants it,
// with what the flags say in place of it; nil if no manifest did, or another
// layout is asked for.
func (a *app) appliedSecret(ctx context.Context, o *exportOptions, format export.Secret) (f *export.CertManagerSecret, err error) {
	name, err := pki.ParseName(o.name)
	if err != nil || name.Namespace() == "" || format.CAOnly || len(o.consumers) > 0 || o.crl {
		return nil, nil //nolint:nilerr // the bundle was there
	}
	if format.Namespace == "" {
		format.Namespace = name.Namespace()
	}
	var applied *plan.Applied
	err = a.withEntry(ctx, o.name, func(_ *pkidir.Dir, _ *ledger.Ledger, e *ledger.Entry) (err error) {
		applied, err = decodeApplied(e.Manifest)
		return err
	})
	if err != nil || applied == nil || applied.SecretSpec() == nil {
		return nil, err
	}
	spec := applied.SecretSpec()
	f = certManagerSecret(manifest.Key{Namespace: format.Namespace, Name: path.Base(o.name)}, spec)
	if format.Name != "" {
		f.Name = format.Name
	}
	f.Labels, f.Annotations = merged(f.Labels, format.Labels), merged(f.Annotations, format.Annotations)
	if k := spec.Keystores; k != nil && (k.JKS != nil && k.JKS.Create || k.PKCS12 != nil && k.PKCS12.Create) {
		a.warn("the keystores of %s are left out: their passwords are not kept; 'mtlsctl apply --out' writes them", o.name)
	}
	return f, nil
}

// merged returns a with b's values over it.
func merged(a, b map[string]string) map[string]string {
	if len(b) == 0 {
		return a
	}
	all := maps.Clone(b)
	for k, v := range a {
		if _, ok := b[k]; !ok {
			all[k] = v
		}
	}
	return all
}
