package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportConfigMapOptions struct {
	exportOptions
	format export.ConfigMap
}

func newExportConfigMapCmd(a *app, run func(context.Context, *exportConfigMapOptions) error) *cobra.Command {
	o := &exportConfigMapOptions{}
	if run == nil {
		run = func(ctx context.Context, o *exportConfigMapOptions) error {
			return a.runFormat(ctx, &o.exportOptions, o.format, stdout)
		}
	}
	c := &cobra.Command{
		Use: "configmap NAME",
		Long: `export configmap writes a Kubernetes ConfigMap with the root in ca.crt, to
standard output unless --out names a file: for the Gateway API's
caCertificateRefs, and for pods that verify others. There is no key in it. Its
name is that of the certificate, with dashes for what Kubernetes does not allow.

With --crl, the CRLs of all authorities above follow in ca.crl.`,
		Example: `  mtlsctl export configmap root --name client-ca --namespace prod | kubectl apply --server-side -f -
  mtlsctl export configmap issuing --for gateway-api --out client-ca.yaml`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			o.format.JSON = a.json
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (the default)")
	addObjectFlags(c, "ConfigMap", &o.format.Name, &o.format.Namespace, &o.format.Labels, &o.format.Annotations)
	return c
}

// addObjectFlags adds the flags for the metadata of a Kubernetes object.
func addObjectFlags(c *cobra.Command, kind string, name, namespace *string, labels, annotations *map[string]string) {
	f := c.Flags()
	f.StringVar(name, "name", "", "the "+kind+"'s `name` (default NAME, made to fit)")
	f.StringVarP(namespace, "namespace", "n", "", "the "+kind+"'s `namespace` (default none)")
	f.Var(pairs(labels), "label", "a label; repeatable")
	f.Var(pairs(annotations), "annotation", "an annotation; repeatable")
}
