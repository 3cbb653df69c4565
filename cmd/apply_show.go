package cmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/plan"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

// applyResult is what apply did, or with --dry-run would do.
type applyResult struct {
	DryRun   bool              `json:"dryRun"`
	Actions  []appliedJSON     `json:"actions"`
	Removed  []removedJSON     `json:"removed"`
	Refused  []refusedJSON     `json:"refused"`
	Warnings []string          `json:"warnings"`
	Passed   map[string]int    `json:"passedOver"`
	counts   map[plan.Verb]int // of the actions
	written  int               // files
}

type appliedJSON struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`
	Verb     plan.Verb    `json:"verb"`
	Reasons  []reasonJSON `json:"reasons,omitempty"`
	Issuer   string       `json:"issuer"`
	Secret   string       `json:"secret,omitempty"`
	Serial   string       `json:"serial,omitempty"`
	NotAfter time.Time    `json:"notAfter,omitzero"`
	File     string       `json:"file,omitempty"`
	names    string
}

type reasonJSON struct {
	Reason string   `json:"reason"`
	Text   string   `json:"text"`
	Fields []string `json:"fields,omitempty"`
}

type removedJSON struct {
	Name    string   `json:"name"`
	Revoked bool     `json:"revoked"`
	Files   []string `json:"files,omitempty"`
}

type refusedJSON struct {
	Name  string `json:"name"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

// shown bounds the rows, warnings and errors that a person is shown of a kind.
const shown = 50

// add puts an action into the result.
func (r *applyRun) add(j appliedJSON) {
	if r.result.counts == nil {
		r.result.counts = map[plan.Verb]int{}
	}
	r.result.counts[j.Verb]++
	if j.File != "" {
		r.result.written++
	}
	if r.app.json || (j.Verb != plan.Keep || j.File != "") && len(r.result.Actions) < shown {
		r.result.Actions = append(r.result.Actions, j)
	}
}

func describeAction(x *plan.Action) appliedJSON {
	j := appliedJSON{Name: x.Name, Verb: x.Verb, Issuer: x.Signer.Authority}
	if x.Signer.SelfSigned {
		j.Issuer = x.Name
	}
	for _, reason := range x.Reasons {
		j.Reasons = append(j.Reasons, reasonJSON{reason.Name, reason.Text, reason.Fields})
	}
	if c := x.Certificate; c != nil {
		j.Kind, j.Secret = c.Kind, manifest.Key{Namespace: c.Namespace, Name: c.Spec.SecretName}.String()
		j.names = specNames(c)
	} else {
		j.Kind = x.Request.Kind
	}
	return j
}

// specNames is what a Certificate is for, as short as a row has room for.
func specNames(c *manifest.Certificate) string {
	var names []string
	for _, kind := range []struct {
		word string
		all  []string
	}{{"DNS", c.Spec.DNSNames}, {"IP", c.Spec.IPAddresses}, {"email", c.Spec.EmailAddresses}, {"URI", c.Spec.URIs}} {
		for _, name := range kind.all {
			names = append(names, kind.word+" "+name)
		}
	}
	const room = 3
	switch {
	case len(names) == 0 && c.Spec.CommonName != "":
		return "CN " + c.Spec.CommonName
	case len(names) > room:
		return strings.Join(names[:room], ", ") + fmt.Sprintf(" and %d more", len(names)-room)
	}
	return strings.Join(names, ", ")
}

func (r *applyRun) done(x *plan.Action, i *pkidir.Issued, file string) {
	j := describeAction(x)
	j.Serial, j.NotAfter, j.File = i.Entry.Serial, i.Entry.NotAfter, file
	r.add(j)
	for _, w := range i.Warnings {
		r.warn(x.Name + ": " + w)
	}
}

func (r *applyRun) kept(x *plan.Action, file string) {
	j := describeAction(x)
	if row := r.state.rows[x.Name]; row != nil {
		j.Serial, j.NotAfter = row.serial, row.actual.NotAfter
	}
	j.File = file
	r.add(j)
}

func (r *applyRun) failed(x *plan.Action, err error) {
	r.refused(refusedJSON{Name: x.Name, Error: actionOrigin(x).String() + ": " + err.Error(), Hint: r.app.hint(nil, err)})
}

func actionOrigin(x *plan.Action) manifest.Origin {
	if x.Request != nil {
		return x.Request.Origin
	}
	return x.Certificate.Origin
}

func (r *applyRun) refused(j refusedJSON) {
	r.result.Refused = append(r.result.Refused, j)
}

func (r *applyRun) warn(text string) {
	r.result.Warnings = append(r.result.Warnings, text)
}

// warnings gathers what the manifests and the plan say beforehand, and what they
// refuse.
func (r *applyRun) warnings() {
	for _, all := range [][]manifest.Warning{r.set.Warnings, r.plan.Warnings} {
		for i := range all {
			r.warn(all[i].String())
		}
	}
	for _, refusal := range r.plan.Refused {
		r.refused(refusedJSON{Name: refusal.Name, Error: refusal.Problem.String(), Hint: refusal.Problem.Hint})
	}
	r.result.Passed = r.set.Passed
}

// showPlan is --dry-run.
func (r *applyRun) showPlan(ctx context.Context) error {
	r.result.DryRun = true
	if r.o.out != stdout {
		for i := range r.plan.Actions {
			x := &r.plan.Actions[i]
			j := describeAction(x)
			if !issues(x) {
				wanted, err := r.sink.wants(ctx, x, r.state.serial(x.Name))
				if err != nil {
					return err
				}
				if wanted {
					j.File = r.o.out
				}
			}
			r.add(j)
		}
	} else {
		for i := range r.plan.Actions {
			r.add(describeAction(&r.plan.Actions[i]))
		}
	}
	for _, name := range r.plan.Removals {
		r.result.Removed = append(r.result.Removed, removedJSON{Name: name, Revoked: r.o.revoke})
	}
	if err := r.show(); err != nil {
		return err
	}
	if r.o.check && r.changes() > 0 {
		return errCheckFailed
	}
	return nil
}

// changes counts what is not as it should be.
func (r *applyRun) changes() int {
	n := len(r.result.Removed) + len(r.plan.Imports) + r.result.written
	for verb, count := range r.result.counts {
		if verb != plan.Keep {
			n += count
		}
	}
	return n
}

// show writes the result, and fails if something could not be had.
func (r *applyRun) show() error {
	a := r.app
	if a.json && r.o.out != stdout || a.json && r.o.dryRun {
		if err := a.writeJSON(r.result.complete()); err != nil {
			return err
		}
	} else if err := r.showText(); err != nil {
		return err
	}
	if len(r.result.Refused) == 0 {
		return nil
	}
	problems := make([]problem, 0, len(r.result.Refused))
	for _, refused := range r.result.Refused {
		problems = append(problems, problem{refused.Error, refused.Hint})
	}
	return &problemsError{problems}
}

// complete has empty lists where there is nothing, for programs.
func (j applyResult) complete() applyResult {
	j.Actions, j.Removed = notNil(j.Actions), notNil(j.Removed)
	j.Refused, j.Warnings = notNil(j.Refused), notNil(j.Warnings)
	if j.Passed == nil {
		j.Passed = map[string]int{}
	}
	return j
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (r *applyRun) showText() error {
	a := r.app
	for i, w := range r.result.Warnings {
		if i == shown {
			a.warn("and %d more like these; --json has them all", len(r.result.Warnings)-shown)
			break
		}
		a.warn("%s", w)
	}
	if a.quiet {
		return nil
	}
	out := a.Stdout
	if r.o.out == stdout {
		out = a.Stderr
	}
	style := a.style(out)
	t := term.Table{Indent: "  "}
	for _, j := range r.result.Actions {
		verb := string(j.Verb)
		if j.Verb == plan.Keep {
			verb = "write"
		}
		if !r.o.dryRun {
			verb = past[j.Verb]
		}
		until := ""
		if !j.NotAfter.IsZero() {
			until = "until " + day(j.NotAfter)
		}
		by := "by " + j.Issuer
		if j.Issuer == j.Name {
			by = "by itself"
		}
		t.Row(term.Cell{Text: verb, Style: style.Good}, term.Cell{Text: j.Name, Style: style.Bold}, by, until, j.names, because(j))
	}
	for _, j := range r.result.Removed {
		verb := "removed"
		switch {
		case r.o.dryRun && j.Revoked:
			verb = "remove, revoke"
		case r.o.dryRun:
			verb = "remove"
		case j.Revoked:
			verb = "removed, revoked"
		}
		t.Row(term.Cell{Text: verb, Style: style.Warn}, term.Cell{Text: j.Name, Style: style.Bold})
	}
	if err := t.Write(out); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, r.summary()); err != nil {
		return err
	}
	if len(r.set.Passed) > 0 {
		var all []string
		for _, kind := range slices.Sorted(maps.Keys(r.set.Passed)) {
			all = append(all, fmt.Sprintf("%d %s", r.set.Passed[kind], kind))
		}
		a.note("Passed over: %s.", strings.Join(all, ", "))
	}
	return nil
}

// because says why something that was there is not left as it is.
func because(j appliedJSON) string {
	if j.Verb == plan.Create || j.Verb == plan.Keep {
		return ""
	}
	var all []string
	for _, reason := range j.Reasons {
		all = append(all, reason.Reason+": "+reason.Text)
	}
	return strings.Join(all, "; ")
}

// past says that it is done.
var past = map[plan.Verb]string{
	plan.Create: "created", plan.Reissue: "reissued", plan.Adopt: "adopted", plan.Rewrite: "rewritten", plan.Keep: "written",
}

func (r *applyRun) summary() string {
	if r.changes() == 0 && len(r.result.Refused) == 0 {
		return fmt.Sprintf("Nothing to do: %s as wanted.", plural(r.result.counts[plan.Keep], "certificate"))
	}
	var parts []string
	for _, verb := range []plan.Verb{plan.Create, plan.Reissue, plan.Adopt, plan.Rewrite, plan.Keep} {
		n := r.result.counts[verb]
		if n == 0 {
			continue
		}
		word := past[verb]
		if verb == plan.Keep {
			word = "kept"
		}
		if r.o.dryRun {
			word = "to " + string(verb)
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, word))
	}
	removed := "removed"
	if r.o.dryRun {
		removed = "to remove"
	}
	for _, more := range []struct {
		n    int
		word string
	}{{len(r.result.Removed), removed}, {len(r.result.Refused), "refused"}} {
		if more.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", more.n, more.word))
		}
	}
	text := strings.Join(parts, ", ")
	switch {
	case r.o.dryRun:
		return text + ". This was a dry run: nothing was made."
	case r.result.written > 0:
		text += fmt.Sprintf("; %s in %s", plural(r.result.written, "file"), r.o.out)
	}
	return text + "."
}

// A problem is one line of a problemsError, and its hint.
type problem struct{ text, hint string }

// A problemsError is several errors, each with a hint of its own.
type problemsError struct{ all []problem }

func (e *problemsError) Error() string {
	lines := make([]string, len(e.all))
	for i := range e.all {
		lines[i] = e.all[i].text
	}
	return strings.Join(lines, "\n")
}

// asProblems returns the problems that an error is made of.
func asProblems(err error) []problem {
	var own *problemsError
	if errors.As(err, &own) {
		return own.all
	}
	var read manifest.Problems
	if !errors.As(err, &read) {
		return nil
	}
	all := make([]problem, len(read))
	for i := range read {
		all[i] = problem{read[i].String(), read[i].Hint}
	}
	return all
}
