package cmd

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/internal/trust"
)

func (a *app) runTrustStatus(ctx context.Context, o *trustOptions) error {
	v, err := a.viewTrust(ctx, o)
	if err != nil {
		return err
	}
	if a.json {
		err = a.writeJSON(v.json(func(*trustRow) string { return "" }))
	} else {
		style := a.style(a.Stdout)
		err = a.writeTrust(a.Stdout, v, style, func(r *trustRow) []any { return a.trustState(v, r, style) })
	}
	if err == nil && o.check && slices.ContainsFunc(v.rows, func(r *trustRow) bool { return !r.in.Trusts(r.root) }) {
		return errCheckFailed
	}
	return err
}

// writeTrust writes each root and, below it, a line for each store, which ends
// in what say says.
func (a *app) writeTrust(w io.Writer, v *trustView, style term.Style, say func(*trustRow) []any) error {
	for _, root := range v.roots {
		if _, err := fmt.Fprintln(w, rootText(root)); err != nil {
			return err
		}
		t := &term.Table{Indent: "  "}
		for _, r := range v.rows {
			if r.root.Equal(root) {
				t.Row(append([]any{term.Cell{Text: string(r.store.Kind), Style: style.Bold}}, say(r)...)...)
			}
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	return nil
}

// rootText tells a root from all others.
func rootText(root *x509.Certificate) string {
	return term.Safe(fmt.Sprintf("%s, until %s, SHA-256 %s", displayName(root), day(root.NotAfter), sha256Hex(root.Raw)))
}

// trustState is the end of a line that says whether a store trusts a root.
func (a *app) trustState(v *trustView, r *trustRow, style term.Style) []any {
	yes := term.Cell{Text: "trusted", Style: style.Good}
	no := term.Cell{Text: "not trusted", Style: style.Warn}
	state := []any{a.short(r.store.Path)}
	switch {
	case r.err != nil:
		return append(state, term.Cell{Text: "unknown", Style: style.Bad}, trustProblem(r))
	case r.in.Trusts(r.root):
		state = append(state, yes)
	default:
		state = append(state, no)
	}
	others := v.others(r)
	if len(others) > 0 {
		return append(state, fmt.Sprintf("another of this name is trusted: until %s, SHA-256 %s", day(others[0].NotAfter), sha256Hex(others[0].Raw)))
	}
	if r.store.Missing != "" {
		return append(state, trustProblem(r))
	}
	return state
}

// trustProblem is what keeps a store from being read or changed.
func trustProblem(r *trustRow) string {
	switch {
	case r.store.Missing != "":
		return fmt.Sprintf("%s is missing: install %s", r.store.Missing, r.store.Package)
	case trust.IsPassword(r.err):
		return r.err.Error() + ": run this on a terminal, where it is asked for"
	}
	return r.err.Error()
}
