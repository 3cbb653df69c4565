package cmd

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/plan"
)

type applyOptions struct {
	files      []string
	recursive  bool
	read       manifest.Options
	standIns   []plan.StandIn
	out        string
	force      bool
	dryRun     bool
	check      bool
	prune      bool
	revoke     bool
	passphrase secretFlags
	caKey      string
}

func newApplyCmd(a *app, run func(context.Context, *applyOptions) error) *cobra.Command {
	o := &applyOptions{}
	if run == nil {
		run = a.runApply
	}
	c := &cobra.Command{
		Use:     "apply -f FILE",
		GroupID: groupMake,
		Short:   "Make cert-manager's manifests true, without a cluster",
		Long: `apply reads Kubernetes YAML or JSON, issues what cert-manager's resources in it
ask for, and writes the Secrets that cert-manager would have made. It takes
Certificate, Issuer, ClusterIssuer and CertificateRequest, Ingress and Gateway
with cert-manager's annotations, and Secrets with a CA or a keystore password;
the rest is passed over and counted.

What was issued stays: applied again, an unchanged manifest changes nothing, and
a changed line reissues one certificate. Authorities and certificates are called
NAMESPACE/NAME in the PKI directory, where list, tree, export, renew and revoke
find them. --out - streams all Secrets of the manifest for kubectl, --out DIR
writes a file for each.

An issuer that cannot be had here (ACME, Vault, Venafi and those of other
groups) needs an authority that stands in for it, given with --issuer.`,
		Example: `  mtlsctl apply -f manifests/
  mtlsctl apply -f certs.yaml --dry-run --check
  mtlsctl apply -f certs.yaml --out - | kubectl apply --server-side -f -
  mtlsctl apply -f certs.yaml --out secrets/
  mtlsctl apply -f ingress.yaml --issuer letsencrypt-production=issuing
  mtlsctl apply -f manifests/ --prune --revoke`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.complete(); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "`file`, folder, glob or - for standard input; repeatable")
	f.BoolVarP(&o.recursive, "recursive", "R", false, "read the folders below a folder, too")
	f.StringVarP(&o.read.Namespace, "namespace", "n", "default", "`namespace` of what names none")
	f.StringVar(&o.read.ClusterNamespace, "cluster-resource-namespace", "cert-manager", "`namespace` of the Secrets of ClusterIssuers")
	f.Var(collected(&o.standIns, "[kind/][namespace/]name=authority", plan.ParseStandIn), "issuer", "an authority that stands in for an issuer; repeatable")
	f.StringVar(&o.out, "out", "", "`folder` for the Secrets, or - to stream them to standard output")
	f.BoolVar(&o.force, "force", false, "replace files in the folder that mtlsctl did not write")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&o.check, "check", false, "with --dry-run, exit with status 3 if there is something to do")
	f.BoolVar(&o.prune, "prune", false, "remove what was applied before and is in no manifest now")
	f.BoolVar(&o.revoke, "revoke", false, "with --prune, revoke what is removed")
	o.passphrase.add(c, "passphrase", "passphrase of the authorities' keys")
	addCAKeyFlag(c, &o.caKey)
	must(c.RegisterFlagCompletionFunc("namespace", cobra.NoFileCompletions))
	must(c.RegisterFlagCompletionFunc("cluster-resource-namespace", cobra.NoFileCompletions))
	return c
}

func (o *applyOptions) complete() error {
	switch {
	case len(o.files) == 0:
		return usagef("as in 'mtlsctl apply -f certs.yaml'; - is standard input", "-f FILE is missing")
	case o.check && !o.dryRun:
		return usagef("add --dry-run", "--check is about --dry-run")
	case o.revoke && !o.prune:
		return usagef("add --prune", "--revoke is about what --prune removes")
	case o.passphrase.stdin && slices.Contains(o.files, "-"):
		return usagef("give the passphrase with --passphrase-file", "standard input cannot be both the manifest and the passphrase")
	}
	return nil
}
