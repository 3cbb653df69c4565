package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// crlValidity is how long a CRL holds if nothing else is asked for.
const crlValidity = 7 * 24 * time.Hour

// removeFromCRL as a reason lifts a hold (RFC 5280 section 5.3.1).
const removeFromCRL = "removeFromCRL"

type revokeOptions struct {
	targets    []string
	reason     pki.Reason
	lift       bool
	validity   time.Duration
	export     bool
	passphrase secretFlags
	caKey      string
}

func newRevokeCmd(a *app, run func(context.Context, *revokeOptions) error) *cobra.Command {
	o := &revokeOptions{validity: crlValidity}
	if run == nil {
		run = a.runRevoke
	}
	c := &cobra.Command{
		Use:     "revoke NAME|SERIAL...",
		GroupID: groupMake,
		Short:   "Revoke certificates, and publish the CRL that says so",
		Long: `revoke records that certificates are no longer to be trusted, and publishes the
CRL of each authority that signed one of them: crl.pem in the authority's
folder. NAME is the certificate that has the name now; earlier ones are named by
their serial number, which 'mtlsctl list --history --json' has.

The reason certificateHold can be taken back, with removeFromCRL; all others are
final. A revoked authority takes everything below it along.`,
		Example: `  mtlsctl revoke laptop --reason keyCompromise
  mtlsctl revoke 6cef92456f63e7208dbd6a032ea7e1cc --reason superseded
  mtlsctl revoke alice@example.com --reason certificateHold
  mtlsctl revoke alice@example.com --reason removeFromCRL`,
		Args:              minArgs("NAME or SERIAL"),
		ValidArgsFunction: a.completeBundles,
		RunE: func(c *cobra.Command, args []string) error {
			o.targets = args
			return run(c.Context(), o)
		},
	}
	var reasons []string
	for _, r := range pki.Reasons() {
		reasons = append(reasons, r.String())
	}
	reasons = append(reasons, removeFromCRL)
	c.Flags().Var(&value{kind: "reason", set: func(s string) (err error) {
		if o.lift = strings.EqualFold(s, removeFromCRL); o.lift {
			return nil
		}
		o.reason, err = pki.ParseReason(s)
		return err
	}}, "reason", "why: "+strings.Join(reasons, ", ")+" (default unspecified)")
	addCRLFlags(c, &o.validity, &o.passphrase, &o.caKey)
	addCRLExportFlag(c, &o.export)
	must(c.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(reasons, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func addCRLFlags(c *cobra.Command, validity *time.Duration, passphrase *secretFlags, caKey *string) {
	c.Flags().Var(parsed(validity, "duration", profiles.ParseValidity), "validity", "until when the next CRL is promised: 7d, 36h (default 7d)")
	passphrase.add(c, "passphrase", "passphrase of the authority's key")
	addCAKeyFlag(c, caKey)
}

// revokedJSON is the result of revoke and of crl.
type revokedJSON struct {
	Revoked []certificateJSON `json:"revoked,omitempty"`
	Lifted  []certificateJSON `json:"lifted,omitempty"`
	CRLs    []publishedJSON   `json:"crls"`
	Exports []exportedAt      `json:"exports,omitempty"`
}

// publishedJSON is a CRL that was published.
type publishedJSON struct {
	Authority  string    `json:"authority"`
	Number     int64     `json:"number"`
	ThisUpdate time.Time `json:"thisUpdate"`
	NextUpdate time.Time `json:"nextUpdate"`
	Entries    int       `json:"entries"`
	Path       string    `json:"path"`
}

func (a *app) runRevoke(ctx context.Context, o *revokeOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	d.SetKeyFile(o.caKey)
	var revocations []pkidir.Revocation
	for _, t := range o.targets {
		e, err := findOne(ctx, d, t)
		if err != nil {
			return err
		}
		if e.Issuer == e.Name {
			return withHint(fmt.Errorf("%q is a root, and no CRL can revoke one", e.Name), "take it out of the trust stores that it is in")
		}
		same := func(r pkidir.Revocation) bool { return r.Entry.Issuer == e.Issuer && r.Entry.Serial == e.Serial }
		if !slices.ContainsFunc(revocations, same) {
			revocations = append(revocations, pkidir.Revocation{Entry: e, Reason: o.reason, Lift: o.lift})
		}
	}
	crls, err := d.Revoke(ctx, revocations, pkidir.CRLOptions{Passphrase: a.passphrase(&o.passphrase), Validity: o.validity})
	if err != nil {
		return revokeError(err)
	}
	exports, exportErr := a.followCRLs(ctx, d, crls, o.export, &o.passphrase)
	return errors.Join(a.showRevoked(ctx, d, o, revocations, crls, exports), exportErr)
}

func revokeError(err error) error {
	switch {
	case errors.Is(err, ledger.ErrRevoked):
		return withHint(err, "only certificateHold can be changed; 'mtlsctl crl' publishes the CRL anew")
	case errors.Is(err, ledger.ErrNotOnHold):
		return withHint(err, "removeFromCRL takes back the reason certificateHold alone")
	}
	return err
}

// findOne returns the one certificate that a name or a serial stands for.
func findOne(ctx context.Context, d *pkidir.Dir, target string) (*ledger.Entry, error) {
	found, err := findEntries(ctx, d, target)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("%w %q", pkidir.ErrNoBundle, target)
	case len(found) > 1:
		return nil, fmt.Errorf("%q is the serial of %d certificates, of different authorities", target, len(found))
	}
	return found[0], nil
}

func (a *app) showRevoked(ctx context.Context, d *pkidir.Dir, o *revokeOptions, revocations []pkidir.Revocation, crls []pkidir.PublishedCRL, exports []exportedAt) error {
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	result := revokedJSON{CRLs: crlsJSON(crls), Exports: exports}
	style := a.style(a.Stdout)
	t := term.Table{Indent: "  "}
	for _, r := range revocations {
		e, err := l.BySerial(ctx, r.Entry.Issuer, r.Entry.Serial)
		if err != nil {
			return err
		}
		j, err := entryJSON(a, e)
		if err != nil {
			return err
		}
		if r.Lift {
			result.Lifted = append(result.Lifted, j)
			t.Row(term.Cell{Text: e.Name, Style: style.Bold}, e.Profile, "signed by "+e.Issuer, term.Cell{Text: "no longer on hold", Style: style.Good})
		} else {
			result.Revoked = append(result.Revoked, j)
			t.Row(term.Cell{Text: e.Name, Style: style.Bold}, e.Profile, "signed by "+e.Issuer, term.Cell{Text: "revoked, " + pki.Reason(e.Reason).String(), Style: style.Bad})
		}
	}
	if a.json {
		return a.writeJSON(result)
	}
	if a.quiet {
		return nil
	}
	if err := t.Write(a.Stdout); err != nil {
		return err
	}
	if err := a.writeCRLs(crls); err != nil {
		return err
	}
	for _, r := range revocations {
		if err := a.sayWhatFalls(ctx, l, r); err != nil {
			return err
		}
	}
	for _, r := range revocations {
		published := func(c pkidir.PublishedCRL) bool { return strings.EqualFold(c.Issuer, r.Entry.Issuer) }
		if !slices.ContainsFunc(crls, published) {
			a.warn("no server learns that %s is revoked: %s may not sign CRLs, since its key usage lacks crl sign", r.Entry.Name, r.Entry.Issuer)
		}
	}
	if len(crls) > 0 {
		a.note("Servers know of it when they have the new CRL: %s", crls[0].Path)
	}
	return a.showExports(exports, o.export)
}

// sayWhatFalls names what an authority's revocation takes along.
func (a *app) sayWhatFalls(ctx context.Context, l *ledger.Ledger, r pkidir.Revocation) error {
	// What a former certificate signed may stand below its successor.
	if r.Lift || r.Entry.Kind != ledger.KindAuthority || !r.Entry.Current {
		return nil
	}
	n := 0
	if err := l.Each(ctx, ledger.Filter{Issuer: r.Entry.Name}, func(*ledger.Entry) error { n++; return nil }); err != nil {
		return err
	}
	if n > 0 {
		a.note("With %s fall the %s that it signed; 'mtlsctl list --ca %s' names them.", r.Entry.Name, plural(n, "certificate"), r.Entry.Name)
	}
	return nil
}

func crlsJSON(crls []pkidir.PublishedCRL) []publishedJSON {
	all := make([]publishedJSON, 0, len(crls))
	for _, c := range crls {
		all = append(all, publishedJSON{c.Issuer, c.Number, c.ThisUpdate, c.NextUpdate, c.Entries, c.Path})
	}
	return all
}

func (a *app) writeCRLs(crls []pkidir.PublishedCRL) error {
	t := term.Table{Indent: "  "}
	style := a.style(a.Stdout)
	for _, c := range crls {
		t.Row(term.Cell{Text: "CRL of " + c.Issuer, Style: style.Bold}, fmt.Sprintf("number %d", c.Number), entriesText(c.Entries),
			"next by "+pki.FormatTime(c.NextUpdate), c.Path)
	}
	return t.Write(a.Stdout)
}

func entriesText(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
