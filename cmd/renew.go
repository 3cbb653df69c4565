package cmd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type renewOptions struct {
	names      []string
	due        bool
	all        bool
	expiring   time.Duration
	reuseKey   bool
	rollover   bool
	finish     bool
	revokeOld  bool
	export     bool
	force      bool
	hook       string
	dryRun     bool
	passphrase secretFlags
	caKey      string
}

func newRenewCmd(a *app, run func(context.Context, *renewOptions) error) *cobra.Command {
	o := &renewOptions{}
	if run == nil {
		run = a.runRenew
	}
	c := &cobra.Command{
		Use:     "renew NAME...",
		GroupID: groupMake,
		Short:   "Issue certificates and authorities again, for what they were issued for",
		Long: `renew asks for the same certificate again, as the ledger has it on record, with
a new key, and replaces the bundle as a whole. The old certificate stays on
record. A certificate is due when two thirds of its lifetime are over.

Where the key is somebody else's, it is the same key: the certificate was made
from a signing request. Revoked certificates are renewed only by NAME.

Authorities, too, are renewed only by NAME: with the same key, so that what they
signed stays valid. With --rollover they get a new key, and what has to be
issued again is listed. Of a root with a new key, every ca.crt holds the former
root as well, until --finish ends that. The bundles in the PKI directory follow.

Files that 'issue --out' and 'export' have written elsewhere are named, and
with --export written again, unless somebody has changed them.

--hook is given to the shell after everything was renewed, to reload a server,
and not if there was nothing to renew.`,
		Example: `  mtlsctl renew api.example.com
  mtlsctl renew --due --quiet
  mtlsctl renew --expiring 30d --hook "nginx -s reload"
  mtlsctl renew laptop --revoke-old
  mtlsctl renew root --rollover
  mtlsctl renew root --finish`,
		ValidArgsFunction: a.completeBundles,
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
	f.BoolVar(&o.rollover, "rollover", false, "give authorities new keys")
	f.BoolVar(&o.finish, "finish", false, "trust the new key of a root alone from now on")
	f.BoolVar(&o.export, "export", false, "write files outside the PKI directory again")
	f.BoolVar(&o.force, "force", false, "with --export, also what was changed since; with --finish, whatever is in use")
	f.BoolVar(&o.revokeOld, "revoke-old", false, "revoke what is replaced, as superseded")
	f.StringVar(&o.hook, "hook", "", "`command` that runs after success")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be renewed, and renew nothing")
	o.passphrase.add(c, "passphrase", "passphrase of the authority's key")
	addCAKeyFlag(c, &o.caKey)
	exclusive(c, "due", "expiring", "all")
	exclusive(c, "rollover", "reuse-key")
	exclusive(c, "rollover", "finish")
	exclusive(c, "finish", "reuse-key")
	exclusive(c, "finish", "revoke-old")
	exclusive(c, "finish", "dry-run")
	return c
}

func (o *renewOptions) check() error {
	several := o.due || o.all || o.expiring != 0
	switch {
	case several && (o.rollover || o.finish):
		return usagef("as in 'mtlsctl renew root --rollover'", "--rollover and --finish need the NAME of an authority")
	case o.force && !o.export && !o.finish:
		return usagef("leave it out, or add --export", "--force goes with --export or --finish")
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
	d.SetKeyFile(o.caKey)
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
	authorities, certificates, err := a.sortRenewals(ctx, d, entries)
	if err != nil {
		return err
	}
	if err := o.checkKinds(authorities, certificates); err != nil {
		return err
	}
	if o.finish {
		return a.finishRollovers(ctx, d, authorities, o)
	}
	orders, issuers, err := a.renewalOrders(d, certificates, o)
	if err != nil {
		return err
	}
	if err := a.checkRenewals(ctx, d, authorities, orders, issuers, o); err != nil {
		return err
	}
	if o.revokeOld {
		if err := a.checkRevocable(ctx, d, certificates); err != nil {
			return err
		}
	}
	if o.dryRun {
		return a.showRenewals(append(authorities, certificates...))
	}
	done := a.patience("Making keys")
	renewed, err := a.renewAll(ctx, d, authorities, orders, issuers, o)
	done()
	if err != nil {
		return renewError(err, len(renewed))
	}
	if o.revokeOld {
		if err := a.revokeReplaced(ctx, d, certificates, o); err != nil {
			return err
		}
	}
	stale, exportErr := a.followExports(ctx, d, renewed, o)
	if err := a.showRenewed(ctx, d, renewed, stale, o); err != nil || exportErr != nil {
		return errors.Join(err, exportErr)
	}
	return a.runHook(ctx, o.hook)
}

// checkRenewals finds out before anything is renewed whether everything can be:
// one that cannot must not stop the others half-way.
func (a *app) checkRenewals(ctx context.Context, d *pkidir.Dir, authorities []*ledger.Entry, orders map[string][]pkidir.Order, issuers []string, o *renewOptions) error {
	for _, e := range authorities {
		if err := d.CheckRenewal(ctx, e.Name, o.rollover); err != nil {
			return err
		}
	}
	if o.dryRun {
		return nil
	}
	for _, issuer := range issuers {
		if !orders[issuer][0].SelfSigned {
			if err := d.CheckSigner(ctx, issuer, true); err != nil {
				return err
			}
		}
		if _, err := d.Prepare("", orders[issuer]); err != nil {
			return err
		}
	}
	return nil
}

// renewAll renews authorities, each after those above it, and then certificates.
func (a *app) renewAll(ctx context.Context, d *pkidir.Dir, authorities []*ledger.Entry, orders map[string][]pkidir.Order, issuers []string, o *renewOptions) ([]pkidir.RenewedAuthority, error) {
	var renewed []pkidir.RenewedAuthority
	for _, e := range authorities {
		r, err := d.RenewAuthority(ctx, e.Name, pkidir.AuthorityRenewal{
			Rollover: o.rollover, Passphrase: a.passphrase(&o.passphrase), CRLValidity: crlValidity,
		})
		if err != nil {
			return renewed, err
		}
		renewed = append(renewed, r)
	}
	for _, issuer := range issuers {
		some, err := d.Issue(ctx, orders[issuer], pkidir.IssueOptions{Passphrase: a.passphrase(&o.passphrase), Replace: true})
		if err != nil {
			return renewed, err
		}
		for _, i := range some {
			renewed = append(renewed, pkidir.RenewedAuthority{Issued: i})
		}
	}
	return renewed, nil
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
	var authorities []string
	now := a.Now()
	filter := ledger.Filter{}
	if o.expiring != 0 {
		filter.Ending = now.Add(o.expiring)
	}
	err = l.Each(ctx, filter, func(e *ledger.Entry) error {
		if !e.RevokedAt.IsZero() {
			return nil
		}
		if o.due {
			due, err := isDue(e, now)
			if !due || err != nil {
				return err
			}
		}
		if e.Kind == ledger.KindAuthority {
			authorities = append(authorities, e.Name)
			return nil
		}
		entries = append(entries, e)
		return nil
	})
	if len(authorities) > 0 && !o.all && !a.json {
		a.warn("not renewed, since authorities are renewed by name: 'mtlsctl renew %s'", strings.Join(authorities, " "))
	}
	return entries, err
}

// isDue reports whether the renewal time of a certificate has come: that of its
// manifest, if one made it.
func isDue(e *ledger.Entry, now time.Time) (bool, error) {
	spec, err := appliedSpec(e)
	if err != nil || spec == nil {
		return err == nil && !now.Before(pkidir.RenewalTime(e)), err
	}
	// A window that cannot be had leaves the time without it.
	at, never, _ := manifest.RenewalTime(e.NotBefore, e.NotAfter, spec)
	return !never && !now.Before(at), nil
}

// appliedSpec returns what a manifest asked for when it made a certificate; nil if
// no Certificate of a manifest did.
func appliedSpec(e *ledger.Entry) (*cmapi.CertificateSpec, error) {
	applied, err := decodeApplied(e.Manifest)
	if err != nil || applied == nil {
		return nil, err
	}
	return applied.Certificate, nil
}

// renewalOrder makes the order for one certificate.
func (a *app) renewalOrder(d *pkidir.Dir, e *ledger.Entry, reuseKey bool) (order pkidir.Order, err error) {
	if !pkidir.AskedExactly(e) {
		p, err := a.findProfile(e.Profile)
		if err != nil {
			return order, fmt.Errorf("%q: %w", e.Name, err)
		}
		return d.Renewal(e, p, reuseKey)
	}
	spec, err := appliedSpec(e)
	if err != nil {
		return order, err
	}
	if spec != nil && spec.PrivateKey != nil && spec.PrivateKey.RotationPolicy == cmapi.RotationPolicyNever {
		reuseKey = true
	}
	return d.Renewal(e, nil, reuseKey)
}

// renewalOrders makes the orders, by the authority that signs them again.
func (a *app) renewalOrders(d *pkidir.Dir, entries []*ledger.Entry, o *renewOptions) (map[string][]pkidir.Order, []string, error) {
	orders := map[string][]pkidir.Order{}
	var issuers []string
	for _, e := range entries {
		order, err := a.renewalOrder(d, e, o.reuseKey)
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
