package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/internal/trust"
	"github.com/mtlsctl/mtlsctl/pki"
)

// A trustChange is to install, or to uninstall.
type trustChange struct {
	word, command string // in JSON; as it is called
	question      string
	done, already string // what is said of a store
	due           func(*trustRow) bool
	do            func(context.Context, *trustRow) (trust.Contents, error)
}

func (a *app) runTrustInstall(ctx context.Context, o *trustOptions) error {
	return a.changeTrust(ctx, o, &trustChange{
		word: "add", command: "install", question: "Make this machine trust it", done: "trusted", already: "trusted already",
		due: func(r *trustRow) bool { return !r.in.Trusts(r.root) },
		do:  func(ctx context.Context, r *trustRow) (trust.Contents, error) { return r.store.Install(ctx, r.root) },
	})
}

func (a *app) runTrustUninstall(ctx context.Context, o *trustOptions) error {
	return a.changeTrust(ctx, o, &trustChange{
		word: "remove", command: "uninstall", question: "Take it out", done: "taken out", already: "not there",
		// What is not there needs nothing, whatever is missing.
		due: func(r *trustRow) bool { return r.err != nil || r.in.Has(r.root) },
		do:  func(ctx context.Context, r *trustRow) (trust.Contents, error) { return r.store.Uninstall(ctx, r.root) },
	})
}

// changeTrust says what will change, asks, changes it, and says what became of
// it: of each store, whatever became of the others.
func (a *app) changeTrust(ctx context.Context, o *trustOptions, c *trustChange) error {
	v, err := a.viewTrust(ctx, o)
	if err != nil {
		return err
	}
	due := map[*trustRow]bool{}
	possible := 0
	for _, r := range v.rows {
		if due[r] = c.due(r); due[r] && r.blocked() == nil {
			possible++
		}
	}
	change := func(r *trustRow) string {
		if due[r] {
			return c.word
		}
		return ""
	}
	warnings := v.warnings(c, possible)
	if !o.dryRun && possible > 0 && !o.yes && !a.canAsk() {
		return usagef("look with --dry-run at what it would change, and then say --yes", "there is no terminal to ask on whether to change %s", plural(possible, "trust store"))
	}
	style := a.style(a.Stderr)
	plan := func(r *trustRow) []any { return a.trustPlan(r, c, due[r], style) }
	if o.dryRun {
		if a.json {
			j := v.json(change)
			j.Warnings = warnings
			return a.writeJSON(j)
		}
		if err := a.writeTrust(a.Stdout, v, a.style(a.Stdout), plan); err != nil {
			return err
		}
		a.warnAll(warnings)
		a.note("This was a dry run: nothing was changed.")
		return nil
	}
	if !a.json {
		a.warnAll(warnings)
	}
	if possible > 0 && (!o.yes || v.bySudo(due) && !a.quiet && !a.json) {
		if err := a.writeTrust(a.Stderr, v, style, plan); err != nil {
			return err
		}
	}
	if possible > 0 && !o.yes {
		if yes, err := a.agreed(ctx, fmt.Sprintf("%s in %s? [y/N] ", c.question, plural(possible, "store"))); err != nil {
			return err
		} else if !yes {
			return withHint(errors.New("nothing was changed: the answer was not yes"), "answer y, or say --yes")
		}
	}
	var failed []*trustRow
	changed := 0
	for _, r := range v.rows {
		if !due[r] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.err = r.blocked(); r.err == nil {
			if r.in, r.err = c.do(ctx, r); r.err == nil {
				changed++
				continue
			}
		}
		failed = append(failed, r)
	}
	if err := a.showTrustChange(v, c, due, change, warnings); err != nil {
		return err
	}
	if changed > 0 {
		a.note("Programs that are running, browsers too, notice it when they are started again.")
	}
	return a.trustFailure(o, v, c, failed)
}

// blocked is why nothing can be done about a row; nil if it can be tried.
func (r *trustRow) blocked() error {
	switch {
	case r.store.Missing != "":
		return trust.ErrMissing
	case r.store.NeedsRoot && !r.store.Sudo:
		return trust.ErrNeedsRoot
	}
	return r.err
}

// bySudo reports whether a password may be asked for, of which a person should
// know the reason.
func (v *trustView) bySudo(due map[*trustRow]bool) bool {
	return slices.ContainsFunc(v.rows, func(r *trustRow) bool { return due[r] && r.store.NeedsRoot && r.blocked() == nil })
}

// warnings are what a person should know before a root is trusted.
func (v *trustView) warnings(c *trustChange, possible int) (warnings []string) {
	if c.word != "add" || possible == 0 {
		return nil
	}
	for _, root := range v.roots {
		permit, _ := pki.ConstraintsOf(root)
		if !slices.ContainsFunc(permit, func(p pki.Constraint) bool { return p.Kind() == "dns" }) {
			warnings = append(warnings, fmt.Sprintf("%s has no name constraints: whoever has its key, or that of an authority below it, can impersonate "+
				"any site to this machine; 'mtlsctl init-ca NAME --permit example.com' makes one that cannot", displayName(root)))
		}
	}
	return warnings
}

func (a *app) warnAll(warnings []string) {
	for _, w := range warnings {
		a.warn("%s", w)
	}
}

// trustPlan is the end of a line that says what will become of a store.
func (a *app) trustPlan(r *trustRow, c *trustChange, due bool, style term.Style) []any {
	path := a.short(r.store.Path)
	if due && c.word == "add" {
		path = a.short(r.store.Place(r.root))
	}
	switch err := r.blocked(); {
	case !due:
		return []any{path, term.Cell{Text: c.already, Style: style.Faint}}
	case err != nil:
		shown := *r
		shown.err = err
		return []any{path, term.Cell{Text: "cannot be done", Style: style.Bad}, trustProblem(&shown)}
	}
	what := c.word
	if r.store.New {
		what = "make it, and " + what
	}
	how := "with " + r.store.Tool
	if r.store.NeedsRoot {
		how += ", as root, by sudo"
	}
	return []any{path, what, how}
}

// agreed asks a person a question that needs a yes.
func (a *app) agreed(ctx context.Context, question string) (bool, error) {
	if _, err := fmt.Fprint(a.Stderr, question); err != nil {
		return false, err
	}
	answer, err := firstLine(a.stdin())
	if err := errors.Join(err, ctx.Err()); err != nil {
		return false, err
	}
	word := strings.ToLower(strings.TrimSpace(string(answer)))
	return word == "y" || word == "yes", nil
}

// showTrustChange says what became of each store.
func (a *app) showTrustChange(v *trustView, c *trustChange, due map[*trustRow]bool, change func(*trustRow) string, warnings []string) error {
	if a.json {
		j := v.json(change)
		j.Warnings = warnings
		return a.writeJSON(j)
	}
	if a.quiet {
		return nil
	}
	style := a.style(a.Stdout)
	return a.writeTrust(a.Stdout, v, style, func(r *trustRow) []any {
		path := a.short(r.store.Path)
		switch {
		case r.err != nil:
			return []any{path, term.Cell{Text: "not changed", Style: style.Bad}}
		case due[r]:
			return []any{path, term.Cell{Text: c.done, Style: style.Good}}
		}
		return []any{path, term.Cell{Text: c.already, Style: style.Faint}}
	})
}

// trustFailure names the stores that were not changed, and the next step.
func (a *app) trustFailure(o *trustOptions, v *trustView, c *trustChange, failed []*trustRow) error {
	if len(failed) == 0 {
		return nil
	}
	var lines, byRoot []string
	missing := ""
	for _, r := range failed {
		where := string(r.store.Kind)
		if r.store.Path != "" {
			where += " " + a.short(r.store.Path)
		}
		lines = append(lines, where+": "+trustProblem(r))
		switch {
		case errors.Is(r.err, trust.ErrMissing):
			missing = r.store.Missing
		case errors.Is(r.err, trust.ErrNeedsRoot) && !slices.Contains(byRoot, string(r.store.Kind)):
			byRoot = append(byRoot, string(r.store.Kind))
		}
	}
	err := errors.New(strings.Join(lines, "\n"))
	switch {
	case len(byRoot) > 0:
		dir, absErr := filepath.Abs(a.pkiPath)
		if absErr != nil {
			dir = a.pkiPath
		}
		return withHint(err, "as root, run: mtlsctl --pki %s trust %s %s --store %s", dir, c.command, v.name, strings.Join(byRoot, ","))
	case missing != "" && len(o.kinds) == 0:
		return withHint(err, "install it and run this again, or name with --store those to change")
	case missing != "":
		return withHint(err, "install it and run this again")
	}
	return withHint(err, "'mtlsctl trust status' says what is trusted where; the other stores were done")
}
