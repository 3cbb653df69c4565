package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type listOptions struct {
	expiring time.Duration
	check    bool
	status   ledger.Status
	ca       string
	history  bool
	names    []string
}

func newListCmd(a *app, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{}
	if run == nil {
		run = a.runList
	}
	c := &cobra.Command{
		Use:     "list [NAME...]",
		Aliases: []string{"ls"},
		GroupID: groupLook,
		Short:   "List the certificates and authorities of the PKI directory",
		Long: `list shows every authority and certificate, or those called NAME, in the order
in which they were signed: its name, profile, who signed it, its state, its end
and its names.

With --history, also those that had a name before: all that was ever signed.

With --expiring, only what ends within that time or has ended, the soonest
first. With --check besides, the exit status is 3 if there is anything: a line
for cron and CI.`,
		Example: `  mtlsctl list
  mtlsctl list --expiring 30d --check
  mtlsctl list --history api.example.com
  mtlsctl list --ca issuing --status valid --json`,
		Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return a.completeFrom((*pkidir.Dir).BundleNames, (*pkidir.Dir).AuthorityNames), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.names = append(o.names, args...)
			if o.check && o.expiring == 0 {
				return usagef("say what to check, as in --expiring 30d --check", "--check needs --expiring")
			}
			return run(c.Context(), o)
		},
	}
	states := []ledger.Status{ledger.Valid, ledger.Pending, ledger.Expired, ledger.Revoked, ledger.Superseded, ledger.Removed}
	f := c.Flags()
	f.Var(parsed(&o.expiring, "duration", profiles.ParseValidity), "expiring", "only what ends within this time, as in 30d")
	f.BoolVar(&o.check, "check", false, "exit with 3 if anything is listed")
	f.Var(parsed(&o.status, "state", func(s string) (ledger.Status, error) {
		for _, st := range states {
			if s == string(st) {
				return st, nil
			}
		}
		return "", fmt.Errorf("unknown state: there are %v", joinWords(states))
	}), "status", "only what is in this state: "+joinWords(states))
	f.StringVar(&o.ca, "ca", "", "only what this `authority` signed")
	f.BoolVar(&o.history, "history", false, "also what was replaced")
	must(c.RegisterFlagCompletionFunc("ca", a.completeAuthorities))
	must(c.RegisterFlagCompletionFunc("status", words(states)))
	return c
}

func joinWords[T ~string](all []T) string {
	s := ""
	for i, w := range all {
		if i > 0 {
			s += ", "
		}
		s += string(w)
	}
	return s
}

func (a *app) runList(ctx context.Context, o *listOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if o.ca != "" {
		if _, err := d.Authority(o.ca, nil); err != nil {
			return err
		}
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	now := a.Now()
	filter := ledger.Filter{Issuer: o.ca, All: o.history || o.status == ledger.Superseded || o.status == ledger.Revoked || o.status == ledger.Removed}
	if o.expiring != 0 {
		filter.Ending = now.Add(o.expiring)
	}
	w := a.newListWriter(now)
	add := func(e *ledger.Entry) error {
		if o.status == "" || e.Status(now) == o.status {
			return w.add(e)
		}
		return nil
	}
	if len(o.names) == 0 {
		err = l.Stream(ctx, filter, add)
	}
	for _, name := range o.names {
		if filter.Name, err = nameOnRecord(ctx, l, name); err == nil {
			err = l.Stream(ctx, filter, add)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(err, w.end(err == nil)); err != nil {
		return err
	}
	if o.check && w.listed > 0 {
		return errCheckFailed
	}
	return nil
}

// nameOnRecord returns a name in its own spelling; one that never stood for
// anything is [pkidir.ErrNoBundle].
func nameOnRecord(ctx context.Context, l *ledger.Ledger, name string) (string, error) {
	n, err := pki.ParseName(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", pkidir.ErrNoBundle, err)
	}
	errFound := errors.New("found")
	err = l.Stream(ctx, ledger.Filter{Name: n.String(), All: true}, func(*ledger.Entry) error { return errFound })
	if err == nil {
		err = fmt.Errorf("%w %q", pkidir.ErrNoBundle, name)
	}
	if errors.Is(err, errFound) {
		err = nil
	}
	return n.String(), err
}

func (a *app) writeList(entries []*ledger.Entry, now time.Time) error {
	w := a.newListWriter(now)
	for _, e := range entries {
		if err := w.add(e); err != nil {
			return err
		}
	}
	return w.end(true)
}

// A listWriter writes a list of certificates piece by piece.
type listWriter struct {
	a      *app
	now    time.Time
	style  term.Style
	table  *tableStream
	array  *arrayStream
	listed int
}

func (a *app) newListWriter(now time.Time) *listWriter {
	return &listWriter{
		a: a, now: now, style: a.style(a.Stdout), array: newArrayStream(a.Stdout),
		table: a.newTableStream("NAME", "PROFILE", "SIGNED BY", "STATE", "ENDS", "NAMES"),
	}
}

func (w *listWriter) add(e *ledger.Entry) error {
	w.listed++
	if w.a.json {
		j, err := entryJSON(w.a, e)
		if err != nil {
			return err
		}
		return w.array.add(j)
	}
	return w.table.row(term.Cell{Text: e.Name, Style: w.style.Bold}, e.Profile, e.Issuer, stateCell(e, w.now, w.style), day(e.NotAfter), namesText(e))
}

// end writes what is left. Only what is whole gets an end in JSON.
func (w *listWriter) end(whole bool) error {
	switch {
	case w.a.json && whole:
		return w.array.end()
	case w.a.json:
		return nil
	case w.listed == 0 && whole:
		w.a.note("Nothing to list.")
	}
	return w.table.end()
}

// stateCell is an entry's state in its colour.
func stateCell(e *ledger.Entry, now time.Time, style term.Style) term.Cell {
	switch s := e.Status(now); s {
	case ledger.Valid:
		return term.Cell{Text: string(s), Style: style.Good}
	case ledger.Pending, ledger.Superseded:
		return term.Cell{Text: string(s), Style: style.Warn}
	default:
		return term.Cell{Text: string(s), Style: style.Bad}
	}
}

// namesText is what a certificate is for, in one line.
func namesText(e *ledger.Entry) string {
	if len(e.SANs) > 0 {
		return orNone(e.SANs)
	}
	return e.Subject
}
