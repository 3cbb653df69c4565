package cmd

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/trust"
	"github.com/mtlsctl/mtlsctl/pki"
)

type trustOptions struct {
	authority string
	kinds     []trust.Kind // empty: all
	storePass trust.StorePass
	yes       bool
	dryRun    bool
	check     bool
}

func newTrustCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "trust ACTION [AUTHORITY]",
		GroupID: groupUse,
		Short:   "Make this machine trust the root, and undo it",
		Long: `trust puts the root of an authority, the default one unless AUTHORITY names
another, into the trust stores of this machine: the system's, Firefox's,
Chromium's and Java's. It says what it will change and asks before it does. No
key is needed for it, and none is touched.`,
		Example: `  mtlsctl trust install
  mtlsctl trust status
  mtlsctl trust uninstall`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("as in 'mtlsctl trust install'", "ACTION is missing: there are install, uninstall, status")
			}
			return unknownCommand(c, args[0])
		},
	}
	c.AddCommand(newTrustInstallCmd(a, nil), newTrustUninstallCmd(a, nil), newTrustStatusCmd(a, nil))
	return c
}

func newTrustInstallCmd(a *app, run func(context.Context, *trustOptions) error) *cobra.Command {
	if run == nil {
		run = a.runTrustInstall
	}
	return a.newTrustAction(&cobra.Command{
		Use:   "install [AUTHORITY]",
		Short: "Make this machine trust the root",
		Long: `trust install adds the root to the stores that are here, says before what it
will change, and asks once. Where only root may change a store, it is done by
sudo, and said before; nothing else is. A store that trusts it already is left
as it is.

Whoever has the key of a root without name constraints can impersonate any site
to this machine. 'mtlsctl init-ca --permit example.com' makes one that has them.`,
		Example: `  mtlsctl trust install
  mtlsctl trust install --store firefox,chromium
  mtlsctl trust install root --dry-run
  mtlsctl trust install --yes --store system`,
	}, run)
}

func newTrustUninstallCmd(a *app, run func(context.Context, *trustOptions) error) *cobra.Command {
	if run == nil {
		run = a.runTrustUninstall
	}
	return a.newTrustAction(&cobra.Command{
		Use:   "uninstall [AUTHORITY]",
		Short: "Take the root out of the trust stores again",
		Long: `trust uninstall takes the root out of every store that has it, whoever put it
there, and takes out nothing else. A former root of the same name stays.`,
		Example: `  mtlsctl trust uninstall
  mtlsctl trust uninstall root --store java`,
	}, run)
}

func newTrustStatusCmd(a *app, run func(context.Context, *trustOptions) error) *cobra.Command {
	o := &trustOptions{}
	if run == nil {
		run = a.runTrustStatus
	}
	c := &cobra.Command{
		Use:   "status [AUTHORITY]",
		Short: "Say which trust stores trust the root",
		Long: `trust status looks into every store that is here and says whether it trusts
the root, and whether it trusts another root of the same name, such as the one
from before a renewal.`,
		Example: `  mtlsctl trust status
  mtlsctl trust status root --store system --check`,
	}
	a.addTrustFlags(c, o, run)
	c.Flags().BoolVar(&o.check, "check", false, "exit with status 3 unless every store trusts it")
	return c
}

// newTrustAction adds what the commands share that change something.
func (a *app) newTrustAction(c *cobra.Command, run func(context.Context, *trustOptions) error) *cobra.Command {
	o := &trustOptions{}
	a.addTrustFlags(c, o, run)
	c.Flags().BoolVar(&o.yes, "yes", false, "do it without a question")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be changed, and change nothing")
	return c
}

// addTrustFlags adds what all commands of trust share.
func (a *app) addTrustFlags(c *cobra.Command, o *trustOptions, run func(context.Context, *trustOptions) error) {
	f := c.Flags()
	f.Var(&listValue[trust.Kind]{to: &o.kinds, parse: parseStoreKind}, "store",
		"which: system, firefox, chromium, java (default those that are here)")
	f.StringVar(&o.storePass.File, "java-storepass-file", "", "`file` with the password of Java's store, if it was changed")
	f.StringVar(&o.storePass.Env, "java-storepass-env", "", "environment `variable` that holds the password of Java's store")
	exclusive(c, "java-storepass-file", "java-storepass-env")
	must(c.RegisterFlagCompletionFunc("store", words(trust.Kinds())))
	c.Args = atMostOneArg
	c.ValidArgsFunction = func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeAuthorities(c, args, word)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			o.authority = args[0]
		}
		return run(c.Context(), o)
	}
}

func parseStoreKind(s string) (trust.Kind, error) {
	k := trust.Kind(s)
	if !slices.Contains(trust.Kinds(), k) {
		return "", errors.New("there are system, firefox, chromium, java")
	}
	return k, nil
}

// A trustRow is a root in a store.
type trustRow struct {
	store *trust.Store
	root  *x509.Certificate
	in    trust.Contents
	err   error // why the store could not be read, or changed
}

// A trustView is what a command of trust is about.
type trustView struct {
	name  string // of the authority
	roots []*x509.Certificate
	rows  []*trustRow
}

// viewTrust looks which of the stores trust the roots of the authority.
func (a *app) viewTrust(ctx context.Context, o *trustOptions) (*trustView, error) {
	v := &trustView{name: o.authority}
	au, err := a.rootsToTrust(v)
	if err != nil {
		return nil, err
	}
	v.roots = au.Roots()
	if !au.Certificate().Equal(au.Root()) && o.authority != "" {
		a.note("%s is an intermediate: what is trusted is its root, %s.", v.name, displayName(au.Root()))
	}
	kinds := o.kinds
	if len(kinds) == 0 {
		kinds = trust.Kinds()
	}
	m := &trust.Machine{Getenv: a.env, StorePass: o.storePass}
	if file := o.storePass.File; file != "" {
		if m.StorePass.File, err = filepath.Abs(file); err != nil {
			return nil, err
		}
	}
	if home := a.env("HOME"); os.Geteuid() == 0 && a.env("SUDO_USER") != "" && (home == "/root" || home == "/var/root") {
		a.warn("run by sudo, this looks for the browsers of root; without sudo it finds yours, and asks for sudo where it is needed")
	}
	stores := m.Stores(len(o.kinds) > 0, kinds...)
	for _, k := range o.kinds {
		if !slices.ContainsFunc(stores, func(s *trust.Store) bool { return s.Kind == k }) {
			return nil, withHint(fmt.Errorf("--store %s: there is none here", k), "%s", noStoreHint(k))
		}
	}
	done := a.patience("Looking into the trust stores")
	defer done()
	for _, s := range stores {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		in, err := s.Read(ctx)
		for _, root := range v.roots {
			v.rows = append(v.rows, &trustRow{s, root, in, err})
		}
	}
	return v, ctx.Err()
}

func noStoreHint(k trust.Kind) string {
	if k == trust.Java {
		return "name the folder of the JDK or JRE with the environment variable JAVA_HOME"
	}
	return "start the browser once: it then makes a profile; on Windows, it takes what --store system has"
}

// rootsToTrust loads the authority, whose key stays where it is.
func (a *app) rootsToTrust(v *trustView) (au *pki.Authority, err error) {
	d, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if v.name == "" {
		v.name = d.DefaultAuthority()
	} else if !d.IsAuthority(v.name) {
		if _, err := d.Bundle(v.name, nil); err == nil {
			return nil, usagef("leave it out for the root of the default authority; 'mtlsctl tree --authorities' shows all", "%q is a certificate, and no authority", v.name)
		}
	}
	return d.Authority(v.name, nil)
}

// trustJSON is the result of the commands of trust.
type trustJSON struct {
	Authority string           `json:"authority"`
	Stores    []trustStoreJSON `json:"stores"`
	Warnings  []string         `json:"warnings,omitempty"`
}

// trustStoreJSON is a root in a trust store.
type trustStoreJSON struct {
	Store     string   `json:"store"`
	Path      string   `json:"path,omitempty"`
	Subject   string   `json:"subject"`
	SHA256    string   `json:"sha256"`
	Trusted   bool     `json:"trusted"`
	Former    []string `json:"former,omitempty"` // SHA-256 of others of the same name
	Change    string   `json:"change,omitempty"` // add, remove
	NeedsRoot bool     `json:"needsRoot,omitempty"`
	Missing   string   `json:"missing,omitempty"`
	Package   string   `json:"package,omitempty"`
	Problem   string   `json:"problem,omitempty"`
}

func (v *trustView) json(change func(*trustRow) string) trustJSON {
	j := trustJSON{Authority: v.name, Stores: []trustStoreJSON{}}
	for _, r := range v.rows {
		s := trustStoreJSON{
			Store: string(r.store.Kind), Path: r.store.Path, Subject: nameText(r.root.RawSubject, r.root.Subject), SHA256: sha256Hex(r.root.Raw),
			Trusted: r.in.Trusts(r.root), Change: change(r), NeedsRoot: r.store.NeedsRoot, Missing: r.store.Missing, Package: r.store.Package,
		}
		for _, other := range v.others(r) {
			s.Former = append(s.Former, sha256Hex(other.Raw))
		}
		if r.err != nil && !errors.Is(r.err, trust.ErrMissing) {
			s.Problem = r.err.Error()
		}
		j.Stores = append(j.Stores, s)
	}
	return j
}

// others are the roots of the same name in a store that have no rows of their
// own.
func (v *trustView) others(r *trustRow) []*x509.Certificate {
	return slices.DeleteFunc(r.in.Others(r.root), func(c *x509.Certificate) bool { return slices.ContainsFunc(v.roots, c.Equal) })
}

// short is a path as a person writes it.
func (a *app) short(path string) string {
	if rest, ok := strings.CutPrefix(path, a.env("HOME")+string(filepath.Separator)); ok && a.env("HOME") != "" {
		return filepath.Join("~", rest)
	}
	return path
}
