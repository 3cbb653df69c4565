package cmd

import (
	"context"
	"errors"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/pki"
)

type exportIssuerOptions struct {
	exportOptions
	format export.Issuer
}

func newExportIssuerCmd(a *app, run func(context.Context, *exportIssuerOptions) error) *cobra.Command {
	o := &exportIssuerOptions{}
	if run == nil {
		run = a.runExportIssuer
	}
	c := &cobra.Command{
		Use: "issuer AUTHORITY",
		Long: `export issuer writes what lets cert-manager sign with an authority in a cluster,
while the root stays offline: a Secret with its certificate and key, and the
Issuer that names it. Two YAML documents go to standard output unless --out
names a file. The key leaves in the clear, so --with-ca-key has to say so; an
authority of the cluster's own, below the root, is the one to give away.

A ClusterIssuer's Secret goes to the namespace cert-manager, where cert-manager
looks for it unless it was told another. The URLs of the authority's CRL,
certificate and OCSP responder go into what cert-manager signs; flags put others
in their place.`,
		Example: `  mtlsctl init-ca k8s --parent root
  mtlsctl export issuer k8s --with-ca-key --namespace prod | kubectl apply --server-side -f -
  mtlsctl export issuer k8s --with-ca-key --kind ClusterIssuer --name acme
  mtlsctl export issuer k8s --with-ca-key --crl-url http://pki.example.com/k8s.crl --out k8s.yaml`,
		Args: exactArgs("AUTHORITY"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (the default)")
	c.ValidArgsFunction = a.completeAuthorities
	f := c.Flags()
	f.Lookup("with-ca-key").Usage = "yes, the key of the authority is to leave"
	kinds := []string{export.KindIssuer, export.KindClusterIssuer}
	f.StringVar(&o.format.Kind, "kind", export.KindIssuer, "`kind`: Issuer or ClusterIssuer")
	f.StringVar(&o.format.Name, "name", "", "the Issuer's `name` (default AUTHORITY, made to fit)")
	f.StringVarP(&o.format.Namespace, "namespace", "n", "", "the `namespace` (default none; of a ClusterIssuer's Secret cert-manager)")
	f.StringVar(&o.format.SecretName, "secret-name", "", "the Secret's `name` (default the Issuer's)")
	addURLFlags(c, &o.format.URLs)
	must(c.RegisterFlagCompletionFunc("kind", words(kinds)))
	must(c.RegisterFlagCompletionFunc("namespace", cobra.NoFileCompletions))
	return c
}

func (a *app) runExportIssuer(ctx context.Context, o *exportIssuerOptions) error {
	if err := a.fillIssuer(o); err != nil {
		return err
	}
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	if err := a.exportBundle(ctx, &o.exportOptions, &exported{format: o.format, def: stdout}, b); err != nil {
		return err
	}
	switch leaf := b.Leaf(); {
	case slices.ContainsFunc(b.Roots, leaf.Equal):
		a.warn("%s is a root: whoever reads the Secret speaks for it everywhere; give the cluster an authority below it: 'mtlsctl init-ca k8s --parent %[1]s'", o.name)
	case leaf.MaxPathLen != 0 || !leaf.MaxPathLenZero:
		a.warn("%s may sign further authorities, so whoever makes Certificates there may have one; an authority with --path-len 0 may not", o.name)
	}
	a.note("The Secret holds the key of %s, not encrypted.", o.name)
	return nil
}

// fillIssuer fills in what follows from the authority, and has the user say that
// its key is to leave.
func (a *app) fillIssuer(o *exportIssuerOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if _, err := d.Authority(o.name, nil); err != nil {
		return err
	}
	if !o.withCAKey {
		return usagef("add --with-ca-key if it is to leave; 'mtlsctl init-ca k8s --parent root' makes an authority for a cluster alone",
			"cert-manager signs with the key of authority %q, which stays here unless it is asked for", o.name)
	}
	f := &o.format
	if f.Name == "" {
		f.Name = export.SecretName(path.Base(o.name))
	}
	if name, err := pki.ParseName(o.name); err == nil && f.Namespace == "" && f.Kind == export.KindIssuer {
		f.Namespace = name.Namespace()
	}
	given, own := fillURLs(f.URLs, o.name), d.AuthorityURLs(o.name)
	for _, list := range []struct {
		to         *[]string
		given, own []string
	}{{&f.URLs.CRL, given.CRL, own.CRL}, {&f.URLs.AIA, given.AIA, own.AIA}, {&f.URLs.OCSP, given.OCSP, own.OCSP}} {
		if *list.to = list.given; len(list.given) == 0 {
			*list.to = list.own
		}
	}
	return nil
}
