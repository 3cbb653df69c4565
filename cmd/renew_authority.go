package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

// sortRenewals parts authorities, each after those above it, from certificates.
func (a *app) sortRenewals(ctx context.Context, d *pkidir.Dir, entries []*ledger.Entry) (authorities, certificates []*ledger.Entry, err error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, nil, err
	}
	depth := map[string]int{}
	for _, e := range entries {
		if e.Kind != ledger.KindAuthority {
			certificates = append(certificates, e)
			continue
		}
		authorities = append(authorities, e)
		// Names that are used again could make a circle.
		for up := e; !strings.EqualFold(up.Issuer, up.Name) && depth[e.Name] < len(entries)+32; depth[e.Name]++ {
			if up, err = l.Current(ctx, up.Issuer); errors.Is(err, ledger.ErrNotFound) {
				break
			} else if err != nil {
				return nil, nil, err
			}
		}
	}
	slices.SortStableFunc(authorities, func(a, b *ledger.Entry) int { return depth[a.Name] - depth[b.Name] })
	return authorities, certificates, nil
}

// checkKinds refuses flags that are for one kind only.
func (o *renewOptions) checkKinds(authorities, certificates []*ledger.Entry) error {
	switch {
	case len(certificates) > 0 && (o.rollover || o.finish):
		return usagef("leave it out: a certificate gets a new key anyway", "%q is a certificate, and --rollover and --finish are for authorities", certificates[0].Name)
	case len(authorities) > 0 && o.revokeOld:
		return usagef("renew what it signed, and then revoke its former certificate by its serial", "--revoke-old: with the former certificate of %q would fall what it signed", authorities[0].Name)
	}
	return nil
}

// checkRevocable finds out whether what is replaced could be revoked.
func (a *app) checkRevocable(ctx context.Context, d *pkidir.Dir, entries []*ledger.Entry) error {
	for _, e := range entries {
		if !e.RevokedAt.IsZero() || !a.Now().Before(e.NotAfter) || strings.EqualFold(e.Issuer, e.Name) {
			continue
		}
		if err := d.CheckRevocable(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// finishRollovers ends the changes of roots.
func (a *app) finishRollovers(ctx context.Context, d *pkidir.Dir, roots []*ledger.Entry, o *renewOptions) error {
	var renewed []pkidir.RenewedAuthority
	for _, e := range roots {
		refreshed, err := d.FinishRollover(ctx, e.Name, o.force)
		if err != nil {
			return err
		}
		b, err := d.Bundle(e.Name, nil)
		if err != nil {
			return err
		}
		path, _ := d.FolderOf(e)
		renewed = append(renewed, pkidir.RenewedAuthority{Issued: pkidir.Issued{Entry: *e, Bundle: b, Path: path}, Refreshed: refreshed})
	}
	stale, exportErr := a.followExports(ctx, d, renewed, o)
	if err := a.showRenewed(ctx, d, renewed, stale, o); err != nil || exportErr != nil {
		return errors.Join(err, exportErr)
	}
	return a.runHook(ctx, o.hook)
}

// renewedJSON is one certificate or authority that was renewed.
type renewedJSON struct {
	certificateJSON
	Refreshed []string     `json:"refreshed,omitempty"` // names
	Reissue   []string     `json:"reissue,omitempty"`   // names
	Exports   []exportedAt `json:"exports,omitempty"`
}

func (a *app) showRenewed(ctx context.Context, d *pkidir.Dir, renewed []pkidir.RenewedAuthority, exports []exportedAt, o *renewOptions) error {
	reissue := map[string][]*ledger.Entry{}
	for _, r := range renewed {
		if r.Entry.Kind != ledger.KindAuthority {
			continue
		}
		var err error
		if reissue[r.Entry.Name], err = d.ToReissue(ctx, r.Entry.Name); err != nil {
			return err
		}
	}
	if a.json {
		return a.writeJSON(a.renewedJSON(renewed, reissue, exports))
	}
	if !a.quiet {
		style := a.style(a.Stdout)
		t := term.Table{Indent: "  "}
		for _, r := range renewed {
			e := &r.Entry
			t.Row(term.Cell{Text: e.Name, Style: style.Bold}, e.Profile, "by "+e.Issuer, "until "+day(e.NotAfter), r.Path)
		}
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
	}
	for _, r := range renewed {
		for _, w := range r.Warnings {
			a.warn("%s: %s", r.Entry.Name, w)
		}
	}
	for i := range renewed {
		if err := a.sayWhatFollows(&renewed[i], reissue[renewed[i].Entry.Name], o); err != nil {
			return err
		}
	}
	if err := a.sayWhatIsDone(ctx, d, renewed); err != nil {
		return err
	}
	return a.showExports(exports, o.export)
}

func (a *app) renewedJSON(renewed []pkidir.RenewedAuthority, reissue map[string][]*ledger.Entry, exports []exportedAt) []renewedJSON {
	all := make([]renewedJSON, len(renewed))
	place := map[string]int{}
	for i, r := range renewed {
		all[i].certificateJSON = issuedJSON(a, []pkidir.Issued{r.Issued})[0]
		all[i].Refreshed = r.Refreshed
		for _, e := range reissue[r.Entry.Name] {
			all[i].Reissue = append(all[i].Reissue, e.Name)
		}
		for _, n := range r.Refreshed {
			if _, ok := place[n]; !ok {
				place[n] = i
			}
		}
	}
	for i, r := range renewed {
		place[r.Entry.Name] = i
	}
	for _, e := range exports {
		i := place[e.Name]
		all[i].Exports = append(all[i].Exports, e)
	}
	return all
}

// sayWhatFollows says what becomes of what an authority signed.
func (a *app) sayWhatFollows(r *pkidir.RenewedAuthority, reissue []*ledger.Entry, o *renewOptions) error {
	e := &r.Entry
	if e.Kind != ledger.KindAuthority || a.quiet {
		return nil
	}
	isRoot := e.Profile == pkidir.ProfileRoot
	switch {
	case o.finish:
		a.note("The former root is trusted no longer; who trusts it elsewhere must take it out.")
	case o.rollover && isRoot:
		a.note("Every ca.crt holds the former root as well, until 'mtlsctl renew %s --finish'. First give all servers and clients the new ca.crt.", e.Name)
	case o.rollover:
		a.note("The former key is gone. What it signed stays valid, but cannot be revoked one by one any more.")
	case isRoot:
		a.note("The key is the same: what it signed stays valid. Trust stores need the new root before the former one ends.")
	default:
		a.note("The key is the same: what it signed stays valid.")
	}
	if len(r.Refreshed) > 0 {
		what := "chain"
		if isRoot {
			what = "ca.crt"
		}
		a.note("With a new %s: %s.", what, someNames(r.Refreshed))
	}
	if len(reissue) == 0 {
		return nil
	}
	a.note("To be issued again with 'mtlsctl renew', in this order:")
	return a.writeList(reissue, a.Now())
}

// fewNames are as many as a line holds.
const fewNames = 8

// someNames names the first of many.
func someNames(names []string) string {
	if len(names) <= fewNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:fewNames], ", "), len(names)-fewNames)
}

// sayWhatIsDone names the roots whose change can end now.
func (a *app) sayWhatIsDone(ctx context.Context, d *pkidir.Dir, renewed []pkidir.RenewedAuthority) error {
	seen := map[string]bool{}
	for _, r := range renewed {
		name := r.Entry.Issuer
		if seen[name] || a.quiet || strings.EqualFold(name, r.Entry.Name) {
			continue
		}
		seen[name] = true
		by, err := d.Authority(name, nil)
		if err != nil {
			return err
		}
		if len(by.FullChain()) > 1 || len(by.Roots()) < 2 {
			continue
		}
		left, err := d.ToReissue(ctx, name)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			a.note("Nothing is left below the former key of %s. When the new files are everywhere: mtlsctl renew %s --finish", name, name)
		}
	}
	return nil
}

// renewHint is the next step for what is wrong with the keys of authorities.
func renewHint(err error) string {
	var under *pkidir.UnderFormerError
	var former *pkidir.FormerKeyError
	switch {
	case errors.As(err, &under):
		var names []string
		for i, e := range under.Entries {
			if i == fewNames {
				names = append(names, "...")
				break
			}
			names = append(names, e.Name)
		}
		return fmt.Sprintf("issue it again, with 'mtlsctl renew %s', or leave it behind with --force", strings.Join(names, " "))
	case errors.As(err, &former) && former.Root:
		return fmt.Sprintf("'mtlsctl renew %s' issues it again; the former one ends with 'mtlsctl renew %s --finish'", former.Name, former.Authority)
	case errors.As(err, &former):
		return fmt.Sprintf("'mtlsctl renew %s' issues it again; when nothing else is left, 'mtlsctl revoke %s' revokes all that the former key of %q signed",
			former.Name, former.Serial, former.Authority)
	case errors.Is(err, pkidir.ErrChanged):
		return "try again"
	case errors.Is(err, pkidir.ErrNoRollover):
		return "'mtlsctl renew NAME --rollover' gives a root a new key, and --finish ends that"
	case errors.Is(err, pkidir.ErrKeyRevoked):
		return "give it a new key with --rollover"
	}
	return ""
}
