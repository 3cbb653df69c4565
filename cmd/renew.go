package cmd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type renewOptions struct {
	names      []string
	due        bool
	all        bool
	expiring   time.Duration
	reuseKey   bool
	revokeOld  bool
	hook       string
	dryRun     bool
	passphrase secretFlags
}

func newRenewCmd(a *app, run func(context.Context, *renewOptions) error) *cobra.Command {
	o := &renewOptions{}
	if run == nil {
		run = a.runRenew
	}
	c := &cobra.Command{
		Use:     "renew NAME...",
		GroupID: groupMake,
		Short:   "Issue certificates again, for what they were issued for",
		Long: `renew asks for the same certificate again, as the ledger has it on record, with
a new key, and replaces the bundle as a whole. The old certificate stays on
record. A certificate is due when two thirds of its lifetime are over.

Where the key is somebody else's, it is the same key: the certificate was made
from a signing request. Revoked certificates are renewed only by NAME.

--hook is given to the shell after everything was renewed, to reload a server,
and not if there was nothing to renew.`,
		Example: `  mtlsctl renew api.example.com
  mtlsctl renew --due --quiet
  mtlsctl renew --expiring 30d --hook "nginx -s reload"
  mtlsctl renew laptop --revoke-old`,
		ValidArgsFunction: a.completeCertificates,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			if err := o.check(); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.due, "due", false, "renew what is past its renewal time")
	f.Var(parsed(&o.expiring, "duration", profiles.ParseValidity), "expiring", "renew what ends within this time, as in 30d")
	f.BoolVar(&o.all, "all", false, "renew every certificate")
	f.BoolVar(&o.reuseKey, "reuse-key", false, "keep the keys")
	f.BoolVar(&o.revokeOld, "revoke-old", false, "revoke what is replaced, as superseded")
	f.StringVar(&o.hook, "hook", "", "`command` that runs after success")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be renewed, and renew nothing")
	o.passphrase.add(c, "passphrase", "passphrase of the authority's key")
	exclusive(c, "due", "expiring", "all")
	return c
}

func (o *renewOptions) check() error {
	several := o.due || o.all || o.expiring != 0
	switch {
	case len(o.names) == 0 && !several:
		return usagef("name what to renew, or say --due, --expiring 30d or --all", "NAME is missing")
	case len(o.names) > 0 && several:
		return usagef("leave out one of them", "NAME and --due, --expiring or --all exclude each other")
	}
	return nil
}

func (a *app) runRenew(ctx context.Context, o *renewOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	entries, err := a.chooseRenewals(ctx, d, o)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		if a.json {
			return a.writeJSON([]certificateJSON{})
		}
		a.note("Nothing to renew.")
		return nil
	}
	orders, issuers, err := a.renewalOrders(d, entries, o)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.showRenewals(entries)
	}
	// One that cannot sign must not stop the others half-way.
	for _, issuer := range issuers {
		if err := d.CheckSigner(ctx, issuer, true); err != nil {
			return err
		}
		if _, err := d.Prepare(issuer, orders[issuer]); err != nil {
			return err
		}
	}
	var issued []pkidir.Issued
	done := a.patience("Making keys")
	for _, issuer := range issuers {
		some, err := d.Issue(ctx, orders[issuer], pkidir.IssueOptions{Authority: issuer, Passphrase: a.passphrase(&o.passphrase), Replace: true})
		if err != nil {
			done()
			return renewError(err, len(issued))
		}
		issued = append(issued, some...)
	}
	done()
	if o.revokeOld {
		if err := a.revokeReplaced(ctx, d, entries, o); err != nil {
			return err
		}
	}
	if err := a.showRenewed(issued); err != nil {
		return err
	}
	return a.runHook(ctx, o.hook)
}

func renewError(err error, before int) error {
	if before > 0 {
		return fmt.Errorf("after %s renewed: %w", plural(before, "certificate"), err)
	}
	return err
}

// chooseRenewals returns the entries that the flags mean, in the order in which
// they were signed.
func (a *app) chooseRenewals(ctx context.Context, d *pkidir.Dir, o *renewOptions) ([]*ledger.Entry, error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	var entries []*ledger.Entry
	for _, n := range o.names {
		e, err := l.Current(ctx, n)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil, fmt.Errorf("%w %q", pkidir.ErrNoBundle, n)
		}
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(entries, func(other *ledger.Entry) bool { return other.Name == e.Name }) {
			entries = append(entries, e)
		}
	}
	if len(o.names) > 0 {
		return entries, nil
	}
	now := a.Now()
	filter := ledger.Filter{}
	if o.expiring != 0 {
		filter.Ending = now.Add(o.expiring)
	}
	err = l.Each(ctx, filter, func(e *ledger.Entry) error {
		due := !o.due || !now.Before(pkidir.RenewalTime(e))
		if e.Kind == ledger.KindCertificate && e.RevokedAt.IsZero() && due {
			entries = append(entries, e)
		}
		return nil
	})
	return entries, err
}

// renewalOrders makes the orders, by the authority that signs them again.
func (a *app) renewalOrders(d *pkidir.Dir, entries []*ledger.Entry, o *renewOptions) (map[string][]pkidir.Order, []string, error) {
	orders := map[string][]pkidir.Order{}
	var issuers []string
	for _, e := range entries {
		if e.Kind != ledger.KindCertificate {
			return nil, nil, withHint(fmt.Errorf("%q: %w, and renew is for certificates", e.Name, pkidir.ErrIsAuthority),
				"make a new authority with 'mtlsctl init-ca NAME'")
		}
		p, err := a.findProfile(e.Profile)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", e.Name, err)
		}
		order, err := d.Renewal(e, p, o.reuseKey)
		if err != nil {
			return nil, nil, err
		}
		if len(orders[e.Issuer]) == 0 {
			issuers = append(issuers, e.Issuer)
		}
		orders[e.Issuer] = append(orders[e.Issuer], order)
	}
	return orders, issuers, nil
}

// revokeReplaced revokes what was valid until it was replaced.
func (a *app) revokeReplaced(ctx context.Context, d *pkidir.Dir, entries []*ledger.Entry, o *renewOptions) error {
	var revocations []pkidir.Revocation
	for _, e := range entries {
		if e.RevokedAt.IsZero() && a.Now().Before(e.NotAfter) {
			revocations = append(revocations, pkidir.Revocation{Entry: e, Reason: pki.Superseded})
		}
	}
	if len(revocations) == 0 {
		return nil
	}
	_, err := d.Revoke(ctx, revocations, pkidir.CRLOptions{Passphrase: a.passphrase(&o.passphrase), Validity: crlValidity})
	if err != nil {
		return fmt.Errorf("everything is renewed, but what was replaced is not revoked: %w", err)
	}
	return nil
}

func (a *app) showRenewals(entries []*ledger.Entry) error {
	if err := a.writeList(entries, a.Now()); err != nil {
		return err
	}
	a.note("This was a dry run: nothing was renewed.")
	return nil
}

func (a *app) showRenewed(issued []pkidir.Issued) error {
	if a.json {
		return a.writeJSON(issuedJSON(a, issued))
	}
	if !a.quiet {
		style := a.style(a.Stdout)
		t := term.Table{Indent: "  "}
		for _, i := range issued {
			t.Row(term.Cell{Text: i.Entry.Name, Style: style.Bold}, i.Entry.Profile, "by "+i.Entry.Issuer, "until "+day(i.Entry.NotAfter), i.Path)
		}
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
	}
	for _, i := range issued {
		for _, w := range i.Warnings {
			a.warn("%s: %s", i.Entry.Name, w)
		}
	}
	return nil
}

// runHook gives a command to the system's shell.
func (a *app) runHook(ctx context.Context, hook string) error {
	if hook == "" {
		return nil
	}
	c := exec.CommandContext(ctx, "sh", "-c", hook)
	if runtime.GOOS == "windows" {
		c = exec.CommandContext(ctx, "cmd", "/C", hook)
	}
	c.Stdout, c.Stderr = a.Stderr, a.Stderr // the result of renew alone goes to standard output
	if err := c.Run(); err != nil {
		return withHint(fmt.Errorf("everything is renewed, but the hook %q failed: %w", hook, err), "run it by hand")
	}
	return nil
}
