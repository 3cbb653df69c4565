package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// The names of the authorities that init-ca makes when it is given none.
const (
	rootName    = "root"
	issuingName = "issuing"
)

type initCAOptions struct {
	name             string // empty: the root and the issuing authority
	rootOnly         bool
	parent           string
	subject          pki.Subject
	key              profiles.KeyType
	lifetime         pki.Lifetime
	pathLen          int
	pathLenSet       bool
	permit           []pki.Constraint
	exclude          []pki.Constraint
	urls             pki.URLs
	makeDefault      bool
	ifMissing        bool
	rootKeyOut       string
	caKey            string
	secret           secretFlags
	parentPassphrase secretFlags
}

// pathLenNone as a path length sets no limit.
const pathLenNone = "none"

func newInitCACmd(a *app, run func(context.Context, *initCAOptions) error) *cobra.Command {
	o := &initCAOptions{}
	if run == nil {
		run = a.runInitCA
	}
	c := &cobra.Command{
		Use:     "init-ca [NAME]",
		GroupID: groupMake,
		Short:   "Make an authority: a root and an intermediate, or one by name",
		Long: `Without a name, init-ca makes a root named "root" and under it an intermediate
named "issuing", which signs certificates from then on. The root's key is then
needed only to make further authorities, and is best kept elsewhere.

With a name it makes one more authority: a root, or, with --parent, an
intermediate. The PKI directory is made if there is none.

--root-key-out writes the key of a new root to a file elsewhere, and never into
the PKI directory. --ca-key names that file to whoever signs with it.

Name constraints (--permit, --exclude) bind everything below the authority. They
are of one kind each, and a kind that is not named stays free:

    example.com            that DNS name and all below it
    10.0.0.0/8             a range of IP addresses
    @example.com           the mailboxes of a host
    email:.example.com     the mailboxes of all hosts below a domain
    spiffe://example.org   the SPIFFE IDs of a trust domain
    uri:example.org        all URIs with that host

{authority} in a URL stands for the name of the authority that publishes there.
With a root and an intermediate made at once, a URL without it is the
intermediate's.`,
		Example: `  mtlsctl init-ca --org Acme
  mtlsctl init-ca --root-only --cn "Test root" --key ed25519
  mtlsctl init-ca --org Acme --root-key-out /media/safe/root.key
  mtlsctl init-ca mesh --parent root --permit spiffe://example.org --permit mesh.internal
  mtlsctl init-ca partners --cn "Partners" --crl-url http://pki.example.com/{authority}.crl`,
		Args:              atMostOneArg,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			o.pathLenSet = c.Flags().Changed("path-len")
			return run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.rootOnly, "root-only", false, "make the root alone; it signs certificates itself")
	f.StringVar(&o.parent, "parent", "", "the `authority` above; makes an intermediate")
	addSubjectFlags(c, &o.subject)
	addKeyFlag(c, &o.key)
	addLifetimeFlags(c, &o.lifetime, "10y for a root, 5y for an intermediate")
	f.Var(parsed(&o.pathLen, "number", parsePathLen), "path-len",
		`how many authorities may follow below, or "none" for no limit (default none for a root, 0 for an intermediate)`)
	f.Var(collected(&o.permit, "names", pki.ParseConstraint), "permit", "certify only names of this kind in here; repeatable")
	f.Var(collected(&o.exclude, "names", pki.ParseConstraint), "exclude", "never certify names in here; repeatable")
	addURLFlags(c, &o.urls)
	f.BoolVar(&o.makeDefault, "default", false, "let the new authority sign when --ca names no other")
	f.BoolVar(&o.ifMissing, "if-missing", false, "do nothing, and succeed, if the authority exists")
	o.secret.add(c, "passphrase", "passphrase that encrypts the new keys")
	o.parentPassphrase.add(c, "parent-passphrase", "passphrase of the parent's key")
	addCAKeyFlag(c, &o.caKey)
	f.Lookup("ca-key").Usage = "`file` with the parent's key, if that is not in its folder"
	f.StringVar(&o.rootKeyOut, "root-key-out", "", "new `file` for the root's key, in place of the root's folder")
	exclusive(c, "root-only", "parent")
	exclusive(c, "root-key-out", "parent")
	exclusive(c, "passphrase-stdin", "parent-passphrase-stdin")
	must(c.RegisterFlagCompletionFunc("parent", a.completeAuthorities))
	return c
}

func parsePathLen(s string) (int, error) {
	if s == pathLenNone {
		return pki.NoPathLen, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("a path length is 0, 1, 2 ... or %q", pathLenNone)
	}
	return n, nil
}

// parsePublishURL takes what relying parties can fetch (RFC 5280 sections
// 4.2.1.13 and 4.2.2.1).
func parsePublishURL(s string) (string, error) {
	u, err := url.Parse(strings.ReplaceAll(s, authorityPlaceholder, "x"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ldap" && u.Scheme != "ldaps" {
		return "", errors.New("it must be a whole URL, as in http://pki.example.com/root.crl")
	}
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("it contains %q; percent-encode it", r)
		}
	}
	return s, nil
}

const authorityPlaceholder = "{authority}"

func (a *app) runInitCA(ctx context.Context, o *initCAOptions) error {
	orders, makeDefault, err := a.authorityOrders(o)
	if err != nil {
		return err
	}
	if o.ifMissing {
		if orders, err = a.onlyMissing(ctx, orders); err != nil {
			return err
		}
		if len(orders) == 0 {
			return a.nothingMissing()
		}
	}
	if o.secret.given() {
		secret, err := o.secret.read(a)
		if err != nil {
			return err
		}
		for i := range orders {
			orders[i].Secret = secret
		}
	}
	done := a.patience("Making keys")
	issued, err := pkidir.CreateAuthorities(ctx, a.pkiPath, a.Now, orders, pkidir.AuthorityOptions{
		Command:    a.command,
		Passphrase: a.passphrase(&o.parentPassphrase),
		Default:    makeDefault,
		KeyFile:    o.caKey,
	})
	done()
	if err != nil {
		var exists *ledger.ExistsError
		if o.ifMissing && errors.As(err, &exists) { // another process was faster
			if orders, missingErr := a.onlyMissing(ctx, orders); missingErr == nil && len(orders) == 0 {
				return a.nothingMissing()
			}
		}
		return a.initCAError(err)
	}
	return a.showAuthorities(issued, o)
}

func (a *app) nothingMissing() error {
	if a.json {
		return a.writeJSON([]certificateJSON{})
	}
	a.note("Nothing to do: the authority exists.")
	return nil
}

// initCAError adds the next step that is init-ca's own.
func (a *app) initCAError(err error) error {
	var exists *ledger.ExistsError
	switch {
	case errors.As(err, &exists) && exists.Kind == ledger.KindCertificate:
		return withHint(err, "certificates and authorities share their names: give the authority another")
	case errors.As(err, &exists):
		return withHint(err, "'mtlsctl tree' shows what there is; 'mtlsctl init-ca NAME' makes one more; --if-missing keeps what there is")
	case errors.Is(err, pki.ErrPassphrase):
		return withHint(err, "give the passphrase of the parent's key with --parent-passphrase-file, --parent-passphrase-env or --parent-passphrase-stdin")
	}
	return err
}

// authorityOrders turns the flags into one order or two, and the name of the
// new default authority.
func (a *app) authorityOrders(o *initCAOptions) ([]pkidir.AuthorityOrder, string, error) {
	if o.name != "" && o.rootOnly {
		return nil, "", usagef("leave out --root-only: with a name, init-ca makes one authority", "--root-only goes without a name")
	}
	if o.name == "" && o.parent != "" {
		return nil, "", usagef("name the new authority, as in 'mtlsctl init-ca issuing --parent root'", "--parent needs a NAME")
	}
	if o.caKey != "" && o.parent == "" && (o.name != "" || o.rootOnly || !o.ifMissing) {
		return nil, "", usagef("name the authority above with --parent, or leave out --ca-key", "--ca-key is the key of the authority above, and a root has none")
	}
	request := pki.CARequest{
		Subject: o.subject, Key: o.key, PathLen: pki.NoPathLen, Permit: o.permit, Exclude: o.exclude, Lifetime: o.lifetime,
	}
	if o.parent != "" {
		request.PathLen = 0
	}
	if o.pathLenSet {
		request.PathLen = o.pathLen
	}
	name := o.name
	if name == "" {
		name = rootName
	}
	parsedName, err := parseName(name)
	if err != nil {
		return nil, "", err
	}
	if request.Subject.CommonName == "" {
		request.Subject.CommonName = defaultCN(o.subject, parsedName.String())
	}
	order := pkidir.AuthorityOrder{
		Name: parsedName, Parent: o.parent, Request: request, URLs: fillURLs(o.urls, parsedName.String()),
		KeyOut: o.rootKeyOut,
	}
	makeDefault := ""
	if o.makeDefault {
		makeDefault = parsedName.String()
	}
	if o.name != "" {
		return []pkidir.AuthorityOrder{order}, makeDefault, nil
	}
	if o.rootOnly {
		return []pkidir.AuthorityOrder{order}, rootName, nil
	}
	if o.pathLenSet && o.pathLen == 0 {
		return nil, "", usagef("add --root-only, or leave out --path-len 0", "a root with path length 0 can have no intermediate below it")
	}
	return a.pairOrders(order, o)
}

// pairOrders puts the issuing authority below the root.
func (a *app) pairOrders(root pkidir.AuthorityOrder, o *initCAOptions) ([]pkidir.AuthorityOrder, string, error) {
	name, err := pki.ParseName(issuingName)
	if err != nil {
		return nil, "", err
	}
	issuing := pkidir.AuthorityOrder{Name: name, Parent: rootName, Request: root.Request, URLs: fillURLs(o.urls, issuingName)}
	issuing.Request.Subject.CommonName = defaultCN(o.subject, issuingName)
	if o.subject.CommonName != "" {
		issuing.Request.Subject.CommonName = strings.TrimSpace(strings.TrimSuffix(o.subject.CommonName, " root")) + " issuing CA"
	}
	issuing.Request.PathLen = 0
	// What the root permits binds what is below it; once is enough.
	issuing.Request.Permit, issuing.Request.Exclude = nil, nil
	// The lifetime asked for is the root's.
	issuing.Request.Lifetime = pki.Lifetime{NotBefore: o.lifetime.NotBefore}
	root.URLs = pki.URLs{
		CRL: withPlaceholder(o.urls.CRL, rootName), AIA: withPlaceholder(o.urls.AIA, rootName), OCSP: withPlaceholder(o.urls.OCSP, rootName),
	}
	return []pkidir.AuthorityOrder{root, issuing}, issuingName, nil
}

// defaultCN is "ORG root CA" and the like.
func defaultCN(s pki.Subject, name string) string {
	if len(s.Organizations) > 0 {
		return s.Organizations[0] + " " + name + " CA"
	}
	return name + " CA"
}

func fillURLs(u pki.URLs, name string) pki.URLs {
	fill := func(all []string) (out []string) {
		for _, s := range all {
			out = append(out, strings.ReplaceAll(s, authorityPlaceholder, url.PathEscape(name)))
		}
		return out
	}
	return pki.URLs{CRL: fill(u.CRL), AIA: fill(u.AIA), OCSP: fill(u.OCSP)}
}

func withPlaceholder(all []string, name string) (out []string) {
	for _, s := range all {
		if strings.Contains(s, authorityPlaceholder) {
			out = append(out, strings.ReplaceAll(s, authorityPlaceholder, name))
		}
	}
	return out
}

// onlyMissing leaves out the orders whose authority exists.
func (a *app) onlyMissing(ctx context.Context, orders []pkidir.AuthorityOrder) ([]pkidir.AuthorityOrder, error) {
	d, err := a.open()
	if err != nil {
		// What is there is checked again when it is written to: another process may
		// be making it just now.
		if errors.Is(err, pkidir.ErrNoDir) || errors.Is(err, pkidir.ErrNotDir) {
			return orders, nil
		}
		return nil, err
	}
	err = d.Finish(ctx)
	names, namesErr := d.AuthorityNames()
	if err := errors.Join(err, namesErr, d.Close()); err != nil {
		return nil, err
	}
	var missing []pkidir.AuthorityOrder
	for _, order := range orders {
		exists := false
		for _, n := range names {
			exists = exists || strings.EqualFold(n, order.Name.String())
		}
		if !exists {
			missing = append(missing, order)
		}
	}
	return missing, nil
}

func (a *app) showAuthorities(issued []pkidir.Issued, o *initCAOptions) error {
	if a.json {
		return a.writeJSON(issuedJSON(a, issued))
	}
	if !a.quiet {
		style := a.style(a.Stdout)
		table := term.Table{Indent: "  "}
		for _, i := range issued {
			signs := ""
			if i.Default {
				signs = "signs by default"
			}
			table.Row(term.Cell{Text: i.Entry.Name, Style: style.Bold}, displayName(i.Bundle.Leaf()), keyText(i.Bundle.Leaf()),
				"until "+day(i.Entry.NotAfter), i.Path, signs)
		}
		if err := table.Write(a.Stdout); err != nil {
			return err
		}
	}
	for _, i := range issued {
		for _, w := range i.Warnings {
			a.warn("%s: %s", i.Entry.Name, w)
		}
	}
	a.adviseAuthorities(issued, o)
	return nil
}

// adviseAuthorities says what comes next.
func (a *app) adviseAuthorities(issued []pkidir.Issued, o *initCAOptions) {
	if len(o.permit) > 0 {
		if free := unconstrained(o.permit, o.exclude); len(free) > 0 {
			a.note("Names of other kinds stay free: %s.", profiles.JoinKinds(free, ", "))
		}
	}
	if out := o.rootKeyOut; out != "" && issued[0].Entry.Profile == pkidir.ProfileRoot {
		a.note("The root's key is in %s and nowhere else. Keep it safe; sign with it by --ca-key.", out)
	} else if len(issued) == 2 {
		a.note("The root's key is needed only to make further authorities. Move it to a safe place: %s",
			a.pathIn(issued[0], pkidir.KeyFile))
	}
	if last := issued[len(issued)-1]; !last.Default {
		a.note("Next: mtlsctl issue server api.example.com --ca %s", last.Entry.Name)
		return
	}
	a.note("Next: mtlsctl issue server api.example.com")
}

// unconstrained returns the kinds of names that no constraint is about.
func unconstrained(permit, exclude []pki.Constraint) (free []profiles.SANKind) {
	bound := map[profiles.SANKind]bool{}
	for _, c := range append(append([]pki.Constraint(nil), permit...), exclude...) {
		bound[c.Kind()] = true
	}
	for _, k := range []profiles.SANKind{profiles.KindDNS, profiles.KindIP, profiles.KindEmail, profiles.KindURI} {
		if !bound[k] {
			free = append(free, k)
		}
	}
	return free
}
