package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type listOptions struct {
	expiring time.Duration
	check    bool
	status   ledger.Status
	ca       string
	history  bool
}

func newListCmd(a *app, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{}
	if run == nil {
		run = a.runList
	}
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		GroupID: groupLook,
		Short:   "List the certificates and authorities of the PKI directory",
		Long: `list shows every authority and certificate, in the order in which they were
signed: its name, profile, who signed it, its state, its end and its names.

With --expiring, only what ends within that time or has ended. With --check
besides, the exit status is 3 if there is anything: a line for cron and CI.`,
		Example: `  mtlsctl list
  mtlsctl list --expiring 30d --check
  mtlsctl list --ca issuing --status valid --json`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.check && o.expiring == 0 {
				return usagef("say what to check, as in --expiring 30d --check", "--check needs --expiring")
			}
			return run(c.Context(), o)
		},
	}
	states := []ledger.Status{ledger.Valid, ledger.Pending, ledger.Expired, ledger.Revoked, ledger.Superseded}
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
	filter := ledger.Filter{Issuer: o.ca, All: o.history || o.status == ledger.Superseded || o.status == ledger.Revoked}
	if o.expiring != 0 {
		filter.Ending = now.Add(o.expiring)
	}
	var entries []*ledger.Entry
	if err := l.Each(ctx, filter, func(e *ledger.Entry) error {
		if o.status == "" || e.Status(now) == o.status {
			entries = append(entries, e)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := a.writeList(entries, now); err != nil {
		return err
	}
	if o.check && len(entries) > 0 {
		return errCheckFailed
	}
	return nil
}

func (a *app) writeList(entries []*ledger.Entry, now time.Time) error {
	if a.json {
		all := make([]certificateJSON, 0, len(entries))
		for _, e := range entries {
			d, err := entryJSON(a, e)
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return a.writeJSON(all)
	}
	if len(entries) == 0 {
		a.note("Nothing to list.")
		return nil
	}
	style := a.style(a.Stdout)
	var t term.Table
	var head []any
	for _, h := range []string{"NAME", "PROFILE", "SIGNED BY", "STATE", "ENDS", "NAMES"} {
		head = append(head, term.Cell{Text: h, Style: style.Faint})
	}
	t.Row(head...)
	for _, e := range entries {
		t.Row(term.Cell{Text: e.Name, Style: style.Bold}, e.Profile, e.Issuer, stateCell(e, now, style), day(e.NotAfter), namesText(e))
	}
	return t.Write(a.Stdout)
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
