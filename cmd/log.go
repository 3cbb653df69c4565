package cmd

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type logOptions struct {
	since time.Duration
	name  string
}

// logJSON is one thing that was done: docs/json.md explains the fields.
type logJSON struct {
	At        time.Time `json:"at"`
	Command   string    `json:"command"`
	Action    string    `json:"action"`
	Name      string    `json:"name,omitempty"`
	Authority string    `json:"authority,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Number    int64     `json:"number,omitempty"`
	Detail    string    `json:"detail,omitempty"`
}

func newLogCmd(a *app, run func(context.Context, *logOptions) error) *cobra.Command {
	o := &logOptions{}
	if run == nil {
		run = a.runLog
	}
	c := &cobra.Command{
		Use:     "log",
		GroupID: groupLook,
		Short:   "Show what was done in the PKI directory, when, and by which command",
		Long: `log shows everything that was done to certificates, authorities and CRLs, the
oldest first: when, by which command, what, to which name and serial. It is
written together with what it is about, and only grows. No secret is in it.`,
		Example: `  mtlsctl log
  mtlsctl log --since 7d --json
  mtlsctl log --name api.example.com`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error { return run(c.Context(), o) },
	}
	f := c.Flags()
	f.Var(parsed(&o.since, "duration", profiles.ParseValidity), "since", "only what was done within this time, as in 7d")
	f.StringVar(&o.name, "name", "", "only what was done to this `certificate` or authority")
	must(c.RegisterFlagCompletionFunc("name", func(c *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
		return a.completeBundles(c, nil, text)
	}))
	return c
}

func (a *app) runLog(ctx context.Context, o *logOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	filter := ledger.LogFilter{}
	if o.since != 0 {
		filter.Since = a.Now().Add(-o.since)
	}
	if o.name != "" {
		if filter.Name, err = nameOnRecord(ctx, l, o.name); err != nil {
			return err
		}
	}
	if a.json {
		array := newArrayStream(a.Stdout)
		if err := l.EachLog(ctx, filter, func(e *ledger.LogEntry) error { return array.add(describeLog(e)) }); err != nil {
			return err
		}
		return array.end()
	}
	table, style := a.newTableStream("TIME (UTC)", "COMMAND", "WHAT", "NAME", "SERIAL"), a.style(a.Stdout)
	if err := l.EachLog(ctx, filter, func(e *ledger.LogEntry) error {
		return table.row(e.At.Format(time.DateTime), e.Command, whatText(e), term.Cell{Text: e.Name, Style: style.Bold}, e.Serial)
	}); err != nil {
		return err
	}
	if !table.some {
		a.note("Nothing to show.")
	}
	return table.end()
}

func describeLog(e *ledger.LogEntry) logJSON {
	j := logJSON{At: e.At, Command: e.Command, Action: string(e.Action), Name: e.Name, Authority: e.Issuer, Serial: e.Serial}
	n, err := strconv.ParseInt(e.Detail, 10, 64)
	switch {
	case err == nil && e.Action == ledger.ActionRevoke:
		j.Reason = pki.Reason(n).String()
	case err == nil && e.Action == ledger.ActionCRL:
		j.Number = n
	default:
		j.Detail = e.Detail
	}
	return j
}

// whatText is what was done, in few words.
func whatText(e *ledger.LogEntry) string {
	j := describeLog(e)
	switch {
	case j.Reason != "":
		return j.Action + " " + j.Reason
	case e.Detail != "":
		return j.Action + " " + e.Detail
	}
	return j.Action
}
