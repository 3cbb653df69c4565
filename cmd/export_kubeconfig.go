package cmd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

const formatKubeconfig = "kubeconfig"

// maxKubeconfig bounds what is read of a kubeconfig and of a CA.
const maxKubeconfig = 16 << 20

type exportKubeconfigOptions struct {
	exportOptions
	format     export.Kubeconfig
	ca         string
	byPath     bool
	merge      string
	setCurrent bool
}

func newExportKubeconfigCmd(a *app, run func(context.Context, *exportKubeconfigOptions) error) *cobra.Command {
	o := &exportKubeconfigOptions{}
	if run == nil {
		run = a.runExportKubeconfig
	}
	c := &cobra.Command{
		Use: "kubeconfig NAME",
		Long: `export kubeconfig writes a kubeconfig for kubectl: a certificate with its key,
and where the cluster is. The cluster takes the common name for the user, and
the organizations (O) for the groups. It must trust the root of the certificate;
with the same root it is verified itself, unless --ca names another. The file is
NAME.kubeconfig, which nobody else may read, unless --out names another.

With --merge, cluster, user and context are added to a kubeconfig that is there;
everything else in it stays, comments too. A cluster that it has needs no
--server. An entry of the same name that says something else is replaced only
with --force. The current context changes only with --set-current, or if there
is none.

With --by-path, the paths of the files in the PKI directory are written in place
of what they hold: a renewal then needs no new export.`,
		Example: `  mtlsctl export kubeconfig alice --server https://10.0.0.1:6443
  mtlsctl export kubeconfig alice --server https://10.0.0.1:6443 --merge ~/.kube/config
  mtlsctl export kubeconfig alice --cluster kubernetes --namespace dev --merge ~/.kube/config
  mtlsctl export kubeconfig alice --server https://10.0.0.1:6443 --ca /etc/kubernetes/pki/ca.crt --out -`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			o.format.JSON = a.json && o.out == stdout
			switch {
			case o.setCurrent && o.merge == "":
				return usagef("a file of its own has one context, which is the current one", "--set-current goes with --merge")
			case o.format.Server == "" && o.merge == "":
				return usagef("as in --server https://10.0.0.1:6443; 'kubectl cluster-info' shows it",
					"--server is missing: the https URL of the API server")
			}
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (default NAME.kubeconfig)")
	f := c.Flags()
	named := func(to *string, flag, what string) { f.Var(parsed(to, "name", notEmpty), flag, what) }
	f.Var(parsed(&o.format.Server, "URL", notEmpty), "server", "the `URL` of the API server, as in https://10.0.0.1:6443")
	named(&o.format.Cluster, "cluster", "what the cluster is called there (default kubernetes)")
	named(&o.format.User, "user", "what the user is called there (default the common name)")
	named(&o.format.Context, "context", "what the context is called there (default USER@CLUSTER)")
	f.VarP(parsed(&o.format.Namespace, "name", notEmpty), "namespace", "n", "the context's namespace")
	f.Var(&fileFlag{&o.ca}, "ca", "what the API server is verified with (default the root of NAME)")
	f.BoolVar(&o.byPath, "by-path", false, "paths of the PKI directory's files in place of what is in them")
	f.Var(&fileFlag{&o.merge}, "merge", "add to this kubeconfig")
	f.BoolVar(&o.setCurrent, "set-current", false, "with --merge, make the context the current one")
	for _, n := range []string{"server", "cluster", "user", "context", "namespace"} {
		must(c.RegisterFlagCompletionFunc(n, cobra.NoFileCompletions))
	}
	exclusive(c, "out", "merge")
	return c
}

func notEmpty(s string) (string, error) {
	if s == "" {
		return s, errors.New("it is empty")
	}
	return s, nil
}

// A fileFlag is a file that renew names as it is found from everywhere.
type fileFlag struct{ to *string }

func (p *fileFlag) Type() string   { return "file" }
func (p *fileFlag) String() string { return *p.to }

func (p *fileFlag) words() []string {
	if abs, err := filepath.Abs(*p.to); err == nil {
		return []string{abs}
	}
	return []string{*p.to}
}

func (p *fileFlag) Set(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty")
	case s == stdout:
		return errors.New("name a file")
	case strings.HasPrefix(s, "~/"):
		return errors.New("the shell writes ~ out after a blank only, not after '='")
	}
	*p.to = s
	return nil
}

func (a *app) runExportKubeconfig(ctx context.Context, o *exportKubeconfigOptions) error {
	if o.ca != "" {
		ca, err := a.readInput(o.ca, maxKubeconfig)
		if err == nil {
			_, err = pki.ParseCertificates(ca)
		}
		if err != nil {
			return &usageError{flagValueError("--ca", o.ca, atomicfile.Reason(err)), "name the cluster's CA, such as /etc/kubernetes/pki/ca.crt"}
		}
		o.format.CA = ca
	}
	b, err := a.bundle(ctx, &o.exportOptions)
	if err != nil {
		return err
	}
	if o.byPath {
		if o.format.Paths, err = a.kubeconfigPaths(ctx, o); err != nil {
			return err
		}
	}
	next := "kubectl --kubeconfig " + export.ShellWord(o.merge) + " --context " + export.ShellWord(o.format.Named(b).Context)
	if o.merge != "" {
		err = a.mergeKubeconfig(ctx, o, b)
	} else {
		def := path.Base(o.name) + ".kubeconfig"
		err = a.exportBundle(ctx, &o.exportOptions, &exported{format: o.format, def: def}, b)
		next = "kubectl --kubeconfig " + export.ShellWord(def)
		if o.out != "" {
			next = "kubectl --kubeconfig " + export.ShellWord(o.out)
		}
	}
	if err != nil {
		return kubeconfigError(o, err)
	}
	for _, w := range o.format.Warnings(b) {
		a.warn("%s", w)
	}
	if o.out != stdout {
		a.note("Next: %s auth whoami", next)
	}
	return nil
}

// kubeconfigPaths are the files of the PKI directory that hold the bundle.
func (a *app) kubeconfigPaths(ctx context.Context, o *exportKubeconfigOptions) (p *export.KubeconfigPaths, err error) {
	folder := ""
	err = a.withEntry(ctx, o.name, func(d *pkidir.Dir, _ *ledger.Ledger, e *ledger.Entry) (err error) {
		there := false
		if folder, there = d.FolderOf(e); !there {
			return usagef("leave it out, or write the files with 'mtlsctl export pem'",
				"--by-path: %s has no files of its own in the PKI directory", o.name)
		}
		folder, err = filepath.Abs(folder)
		return err
	})
	if err != nil {
		return nil, err
	}
	p = &export.KubeconfigPaths{
		Certificate: filepath.Join(folder, pkidir.ChainFile),
		Key:         filepath.Join(folder, pkidir.KeyFile),
		CA:          filepath.Join(folder, pkidir.RootsFile),
	}
	if o.ca != "" {
		p.CA, err = filepath.Abs(o.ca)
	}
	return p, err
}

// kubeconfigError adds the next step to what a kubeconfig cannot be made of, or
// merged into.
func kubeconfigError(o *exportKubeconfigOptions, err error) error {
	var conflict *export.KubeconfigConflict
	var file *export.KubeconfigError
	switch {
	case errors.Is(err, export.ErrNotForClients):
		return withHint(fmt.Errorf("%q: %w", o.name, err), "'mtlsctl issue client' makes one for a client, 'mtlsctl issue peer' one for both sides")
	case errors.Is(err, export.ErrNoCommonName):
		return withHint(fmt.Errorf("%q: %w", o.name, err), "issue it again with --cn USER, and --org GROUP for its groups")
	case errors.Is(err, export.ErrNoRoots):
		return withHint(fmt.Errorf("%q: %w", o.name, err), "name the cluster's CA with --ca")
	case errors.As(err, &conflict):
		return withHint(fmt.Errorf("%s: %w", o.merge, err), "choose other names with %s, or replace what is there with --force", otherNames(conflict))
	case errors.As(err, &file):
		return withHint(fmt.Errorf("%s: %w", o.merge, err), "it is as it was; mend it, or write a file of its own with --out")
	}
	return err
}

// otherNames are the flags that keep out of the way of entries.
func otherNames(c *export.KubeconfigConflict) string {
	var flags []string
	for _, e := range c.Entries {
		flags = append(flags, "--"+e.Kind)
	}
	return strings.Join(flags, ", ")
}
