package cmd

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type issueOptions struct {
	profile    *profiles.Profile
	name       string
	positional []string
	sans       []pki.SAN
	subject    pki.Subject
	cnSet      bool
	ca         string
	key        profiles.KeyType
	encoding   pki.KeyEncoding
	lifetime   pki.Lifetime
	csr        string
	out        string
	ifMissing  bool
	force      bool
	dryRun     bool
	passphrase secretFlags
	caKey      string
}

// newIssueCmd makes the parent of one subcommand for each profile. The user's
// own profiles are read only if args ask for one.
func newIssueCmd(a *app, args []string) *cobra.Command {
	c := &cobra.Command{
		Use:     "issue PROFILE NAME [SAN...]",
		GroupID: groupMake,
		Short:   "Issue a certificate by a profile: server, client, peer, spiffe, or your own",
		Long: `issue makes a key and a certificate, and keeps them in the PKI directory with
the chain and the root to trust, ready to be mounted: tls.crt, tls.key, ca.crt.

A profile says what a certificate is for. Your own are YAML files in the folder
profiles of the PKI directory; each is a subcommand here. See
'mtlsctl issue server --help' for the flags, which all profiles share.`,
		Example: `  mtlsctl issue server api.example.com 10.0.0.7
  mtlsctl issue client alice@example.com
  mtlsctl issue peer etcd-1 etcd-1.internal 10.0.0.11
  mtlsctl issue spiffe web --spiffe spiffe://example.org/ns/prod/sa/web`,
		// So that an unknown profile is named, not the first flag after it.
		FParseErrWhitelist:         cobra.FParseErrWhitelist{UnknownFlags: true},
		SuggestionsMinimumDistance: 2, // of letters that differ
		Args:                       cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			known := make([]string, 0, len(c.Commands()))
			for _, sub := range c.Commands() {
				known = append(known, sub.Name())
			}
			list := strings.Join(known, ", ")
			if len(args) == 0 {
				return usagef("as in 'mtlsctl issue server api.example.com'", "PROFILE is missing: there are %s", list)
			}
			if similar := c.SuggestionsFor(args[0]); len(similar) > 0 {
				return usagef("did you mean "+strings.Join(similar, " or ")+"?", "unknown profile %q: there are %s", args[0], list)
			}
			return usagef("profiles of your own are YAML files in "+filepath.Join(a.pkiPath, "profiles"),
				"unknown profile %q: there are %s", args[0], list)
		},
	}
	dir := a.peekPKI(args)
	own := pkidir.Profiles(dir)
	var makers []maker
	for _, p := range profiles.Builtin() {
		shadowed := slices.Contains(own, p.Name())
		own = slices.DeleteFunc(own, func(n string) bool { return n == p.Name() })
		makers = append(makers, maker{p.Name(), func() *cobra.Command {
			sub := newIssueProfileCmd(a, p, nil)
			if shadowed {
				a.warnShadowed(sub, filepath.Join(dir, "profiles", p.Name()+".yaml"))
			}
			return sub
		}})
	}
	for _, name := range own {
		makers = append(makers, maker{name, func() *cobra.Command { return newOwnProfileCmd(a, dir, name) }})
	}
	if len(args) > 0 && args[0] == c.Name() {
		args = args[1:]
	} else {
		args = nil
	}
	addCommands(c, args, makers)
	return c
}

func newIssueProfileCmd(a *app, p *profiles.Profile, run func(context.Context, *issueOptions) error) *cobra.Command {
	o := &issueOptions{profile: p}
	if run == nil {
		run = a.runIssue
	}
	c := &cobra.Command{
		Use:     p.Name() + " NAME [SAN...]",
		Short:   profileShort(p),
		Long:    profileLong(p),
		Example: profileExample(p),
		Args:    minArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name, o.positional = args[0], args[1:]
			o.cnSet = c.Flags().Changed("cn")
			return run(c.Context(), o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := c.Flags()
	for _, k := range p.Allowed() {
		f.Var(collected(&o.sans, "name", func(s string) (pki.SAN, error) { return pki.NewSAN(k, s) }), string(k), sanFlagHelp(k))
	}
	addSubjectFlags(c, &o.subject)
	// An empty common name is a choice: the names alone.
	f.Lookup("cn").Usage = `common name (default NAME; "" for none)`
	f.Lookup("cn").Value = parsed(&o.subject.CommonName, "text", parseCN)
	f.StringVar(&o.ca, "ca", "", "the `authority` that signs (default the one that mtlsctl.yaml names)")
	addKeyFlag(c, &o.key)
	f.Var(parsed(&o.encoding, "form", pki.ParseKeyEncoding), "encoding", "form of the key file: pkcs8, pkcs1, sec1 (default pkcs8)")
	addLifetimeFlags(c, &o.lifetime, profiles.FormatValidity(p.Validity()))
	f.StringVar(&o.csr, "csr", "", "certify the key of this signing request; `file`, or - for standard input")
	f.StringVar(&o.out, "out", "", "write tls.crt, tls.key and ca.crt to this `directory` as well")
	f.BoolVar(&o.ifMissing, "if-missing", false, "do nothing, and succeed, if the certificate exists")
	f.BoolVar(&o.force, "force", false, "replace the certificate if it exists")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the certificate that would be made, and make nothing")
	o.passphrase.add(c, "passphrase", "passphrase of the authority's key")
	addCAKeyFlag(c, &o.caKey)
	exclusive(c, "if-missing", "force")
	exclusive(c, "csr", "key")
	exclusive(c, "csr", "encoding")
	must(c.RegisterFlagCompletionFunc("ca", a.completeAuthorities))
	must(c.RegisterFlagCompletionFunc("encoding", words(pki.KeyEncodings())))
	must(c.MarkFlagDirname("out"))
	return c
}

func parseCN(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return s, pki.Subject{CommonName: s}.Check()
}

func (a *app) runIssue(ctx context.Context, o *issueOptions) (err error) {
	order, left, err := a.issueOrder(o)
	if err != nil {
		return err
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	d.SetKeyFile(o.caKey)
	if o.dryRun {
		return issueError(o, a.showDraft(ctx, d, o, order, left))
	}
	if o.ifMissing {
		kept, err := a.keepExisting(ctx, d, order)
		if kept && err == nil {
			err = a.keepOut(d, o, order)
		}
		if kept || err != nil {
			return err
		}
	}
	if o.out != "" {
		if err := refusePlace(o.out); err != nil {
			return err
		}
	}
	if o.out != "" && !o.force {
		if err := refuseExisting(o.out, pkidir.ChainFile, pkidir.KeyFile, pkidir.RootsFile); err != nil {
			return err
		}
	}
	done := a.patience("Making the key")
	issued, err := d.Issue(ctx, []pkidir.Order{order}, pkidir.IssueOptions{
		Authority: o.ca, Passphrase: a.passphrase(&o.passphrase), Replace: o.force,
	})
	done()
	if err != nil {
		var exists *ledger.ExistsError
		if o.ifMissing && errors.As(err, &exists) { // another process was faster
			kept, keepErr := a.keepExisting(ctx, d, order)
			if kept && keepErr == nil {
				keepErr = a.keepOut(d, o, order)
			}
			if kept || keepErr != nil {
				return keepErr
			}
		}
		return issueError(o, err)
	}
	if o.out != "" {
		if err := writeBundle(o.out, issued[0].Bundle, o.force); err != nil {
			return withHint(fmt.Errorf("the certificate is in %s, but not in %s: %w", issued[0].Path, o.out, err),
				"'mtlsctl export pem %s --out %s' writes it again", issued[0].Entry.Name, o.out)
		}
		if err := a.recordBundle(ctx, &issued[0], o.out); err != nil {
			return err
		}
	}
	return a.showIssued(o, &issued[0], left)
}

// issueError adds the next step where the request itself is at fault. What flags
// and arguments ask for in vain is wrong use; what a signing request does is not.
func issueError(o *issueOptions, err error) error {
	var policy *pki.PolicyError
	hint := ""
	switch {
	case errors.As(err, &policy) && policy.Rule == "sans.required":
		hint = "add a name with --" + profiles.JoinKinds(o.profile.Required(), " or --")
	case errors.As(err, &policy):
		hint = fmt.Sprintf("that is the profile's %s; 'mtlsctl issue %s --help' says what it takes", policy.Rule, o.profile.Name())
	case errors.Is(err, pki.ErrSPIFFE):
		hint = "as in --spiffe spiffe://example.org/ns/prod/sa/web, once and without another URI"
	case errors.Is(err, pki.ErrNoName):
		hint = "give a common name with --cn, or a name with --" + profiles.JoinKinds(o.profile.Allowed(), ", --")
	default:
		return err
	}
	if o.csr != "" {
		return withHint(fmt.Errorf("--csr %s: %w", o.csr, err), "names given here are certified in place of the request's; 'mtlsctl issue %s --help' says what is needed", o.profile.Name())
	}
	return &usageError{err, hint}
}

// issueOrder turns the flags into an order. What a signing request asked for in
// vain is returned as well.
func (a *app) issueOrder(o *issueOptions) (order pkidir.Order, left []string, err error) {
	name, err := parseName(o.name)
	if err != nil {
		return order, nil, err
	}
	order = pkidir.Order{Name: name, Profile: o.profile, Encoding: o.encoding}
	sans := slices.Clone(o.sans)
	for _, s := range o.positional {
		san, err := pki.ParseSAN(s)
		if err != nil {
			return order, nil, &usageError{err: err}
		}
		sans = append(sans, san)
	}
	if o.csr != "" {
		if order.Request, left, err = a.readCSR(o.csr, o.profile); err != nil {
			return order, nil, err
		}
		mergeSubject(&order.Request.Subject, o.subject, o.cnSet)
		if len(sans) > 0 {
			order.Request.SANs = sans
		}
	} else {
		order.Request.Subject = o.subject
		if s, ok := nameAsSAN(o.profile, o.name); ok && !slices.Contains(sans, s) {
			sans = append([]pki.SAN{s}, sans...)
		}
		if !o.cnSet && (pki.Subject{CommonName: o.name}).Check() == nil {
			order.Request.Subject.CommonName = o.name
		} else if !o.cnSet && len(sans) == 0 {
			return order, nil, noNameError(o.name)
		}
		order.Request.SANs = sans
	}
	order.Request.Key, order.Request.Lifetime = o.key, o.lifetime
	if err := o.encoding.Fits(keyOf(o)); o.csr == "" && err != nil {
		return order, nil, usagef("add --key "+keyFor(o.encoding), "--encoding %s: %w", o.encoding, err)
	}
	return order, left, nil
}

// keyOf is the type of the key that will be made.
func keyOf(o *issueOptions) profiles.KeyType {
	if o.key == "" {
		return o.profile.Key()
	}
	return o.key
}

// keyFor is the usual type of keys that are written in a form.
func keyFor(e pki.KeyEncoding) string {
	if e == pki.PKCS1 {
		return string(profiles.RSA2048)
	}
	return string(profiles.ECP256)
}

// noNameError says why a certificate's name can be neither certified nor be its
// common name.
func noNameError(name string) error {
	_, err := pki.ParseSAN(name)
	if err == nil {
		err = pki.Subject{CommonName: name}.Check()
	}
	return &usageError{err, "call the certificate something short; what it is certified for follows, or comes with --cn"}
}

// nameAsSAN returns the certificate's name as a SAN, if it is one that the
// profile is about: what it needs, or, where it needs nothing, what is plainly
// an address. "laptop" is a host to a server, and just a name to a client.
func nameAsSAN(p *profiles.Profile, name string) (pki.SAN, bool) {
	s, err := pki.ParseSAN(name)
	if err != nil || !p.Allows(s.Kind()) {
		return pki.SAN{}, false
	}
	if need := p.Required(); len(need) > 0 {
		return s, slices.Contains(need, s.Kind())
	}
	return s, s.Kind() != profiles.KindDNS || strings.Contains(name, ".")
}

// keepExisting reports whether there is a certificate of the order's name, and
// warns if it is not the one that was asked for.
func (a *app) keepExisting(ctx context.Context, d *pkidir.Dir, o pkidir.Order) (bool, error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return false, err
	}
	e, err := l.Current(ctx, o.Name.String())
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if e.Kind != ledger.KindCertificate {
		return false, nil // and will be refused
	}
	if err := d.Finish(ctx); err != nil {
		return true, err
	}
	if a.json {
		c, err := entryJSON(a, e)
		if err != nil {
			return true, err
		}
		return true, a.writeJSON(c)
	}
	a.note("Nothing to do: %q exists.", e.Name)
	if status := e.Status(a.Now()); status != ledger.Valid {
		a.warn("%q is %s; --force replaces it", e.Name, status)
	}
	var asked []string
	for _, s := range o.Request.SANs {
		asked = append(asked, s.String())
	}
	have := slices.Clone(e.SANs)
	slices.Sort(asked)
	slices.Sort(have)
	if e.Profile != o.Profile.Name() || !slices.Equal(slices.Compact(asked), slices.Compact(have)) {
		a.warn("%q was issued by profile %s for %s, and not for what is asked for now; --force replaces it", e.Name, e.Profile, orNone(have))
	}
	return true, nil
}

// keepOut writes a certificate that exists to --out, or of it what a process that
// was killed did not come to. A folder that holds something else is left alone.
func (a *app) keepOut(d *pkidir.Dir, o *issueOptions, order pkidir.Order) error {
	if o.out == "" {
		return nil
	}
	if err := refusePlace(o.out); err != nil {
		return err
	}
	b, err := d.Bundle(order.Name.String(), a.passphrase(&o.passphrase))
	if err != nil {
		return err
	}
	files, err := export.PEM{}.Export(b)
	if err != nil {
		return err
	}
	var missing []export.File
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(o.out, f.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, f)
		case err != nil || !bytes.Equal(data, f.Data):
			return nil
		}
	}
	return writeFiles(o.out, missing, false)
}

// showDraft is --dry-run.
func (a *app) showDraft(ctx context.Context, d *pkidir.Dir, o *issueOptions, order pkidir.Order, left []string) error {
	if err := d.CheckSigner(ctx, o.ca, false); err != nil {
		return err
	}
	drafts, err := d.Prepare(o.ca, []pkidir.Order{order})
	if err != nil {
		return err
	}
	parent, err := d.Authority(o.ca, nil)
	if err != nil {
		return err
	}
	t := drafts[0].Template()
	described, err := describeDraft(&t, drafts[0].KeyType(), parent.Certificate())
	if err != nil {
		return err
	}
	described.Name, described.Profile = order.Name.String(), o.profile.Name()
	described.Warnings = append(drafts[0].Warnings(), leftWarning(left)...)
	if a.json {
		return a.writeJSON(described)
	}
	if err := a.writeDescription(&described); err != nil {
		return err
	}
	for _, w := range described.Warnings {
		a.warn("%s", w)
	}
	a.note("This was a dry run: nothing was made.")
	return nil
}

func leftWarning(left []string) []string {
	if len(left) == 0 {
		return nil
	}
	return []string{"not taken over from the signing request: " + strings.Join(left, "; ")}
}

func (a *app) showIssued(o *issueOptions, i *pkidir.Issued, left []string) error {
	i.Warnings = append(i.Warnings, leftWarning(left)...)
	if a.json {
		all := issuedJSON(a, []pkidir.Issued{*i})
		return a.writeJSON(all[0])
	}
	if !a.quiet {
		style := a.style(a.Stdout)
		t := term.Table{Indent: "  "}
		t.Row(term.Cell{Text: i.Entry.Name, Style: style.Bold}, i.Entry.Profile, "by "+i.Entry.Issuer, "until "+day(i.Entry.NotAfter), namesText(&i.Entry))
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
		files := []string{pkidir.ChainFile, pkidir.KeyFile, pkidir.RootsFile}
		if i.Bundle.Key == nil {
			files = []string{pkidir.ChainFile, pkidir.RootsFile}
		}
		if _, err := fmt.Fprintf(a.Stdout, "  %s: %s\n", i.Path, strings.Join(files, " ")); err != nil {
			return err
		}
		if o.out != "" {
			if _, err := fmt.Fprintf(a.Stdout, "  %s: the same\n", o.out); err != nil {
				return err
			}
		}
	}
	for _, w := range i.Warnings {
		a.warn("%s", w)
	}
	a.note("Next: %s", nextAfterIssue(o.profile, i))
	return nil
}

// nextAfterIssue is the command that most people want then.
func nextAfterIssue(p *profiles.Profile, i *pkidir.Issued) string {
	switch {
	case i.Bundle.Key == nil:
		return fmt.Sprintf("mtlsctl export pem %s --out DIR", i.Entry.Name)
	case p.Name() == "client" && i.Bundle.Leaf().PublicKeyAlgorithm == x509.Ed25519:
		// No key store of a browser or an operating system takes such a key.
		return fmt.Sprintf("mtlsctl export pem %s", i.Entry.Name)
	case p.Name() == "client":
		return fmt.Sprintf("mtlsctl export p12 %s --for macos", i.Entry.Name)
	}
	return fmt.Sprintf("mtlsctl export secret %s", i.Entry.Name)
}
