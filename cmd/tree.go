package cmd

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

type treeOptions struct {
	authorities bool
}

func newTreeCmd(a *app, run func(context.Context, *treeOptions) error) *cobra.Command {
	o := &treeOptions{}
	if run == nil {
		run = a.runTree
	}
	c := &cobra.Command{
		Use:     "tree",
		GroupID: groupLook,
		Short:   "Draw who signed what",
		Long: `tree draws the authorities, each below the one that signed it, with the
certificates they signed.`,
		Example: `  mtlsctl tree
  mtlsctl tree --authorities
  mtlsctl tree --json`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error { return run(c.Context(), o) },
	}
	c.Flags().BoolVar(&o.authorities, "authorities", false, "leave out the certificates")
	return c
}

// node is an entry with what it signed.
type node struct {
	entry    *ledger.Entry
	children []*node
}

// nodeJSON is a node for a program.
type nodeJSON struct {
	certificateJSON
	Signed []nodeJSON `json:"signed,omitempty"`
}

func (a *app) runTree(ctx context.Context, o *treeOptions) (err error) {
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	var entries []*ledger.Entry
	if err := l.Each(ctx, ledger.Filter{}, func(e *ledger.Entry) error {
		if e.Kind == ledger.KindAuthority || !o.authorities {
			entries = append(entries, e)
		}
		return nil
	}); err != nil {
		return err
	}
	roots := buildTree(entries)
	if a.json {
		all, err := a.treeJSON(roots)
		if err != nil {
			return err
		}
		return a.writeJSON(all)
	}
	if len(roots) == 0 {
		a.note("There is no authority yet. Next: mtlsctl init-ca")
		return nil
	}
	t := a.treeTable(roots)
	return t.Write(a.Stdout)
}

// buildTree puts each entry below its issuer; one whose issuer is not there
// stands at the top.
func buildTree(entries []*ledger.Entry) []*node {
	nodes := map[string]*node{}
	for _, e := range entries {
		if e.Kind == ledger.KindAuthority {
			nodes[strings.ToLower(e.Name)] = &node{entry: e}
		}
	}
	var roots []*node
	for _, e := range entries {
		n := nodes[strings.ToLower(e.Name)]
		if n == nil || n.entry != e {
			n = &node{entry: e}
		}
		parent := nodes[strings.ToLower(e.Issuer)]
		if parent == nil || parent == n {
			roots = append(roots, n)
			continue
		}
		parent.children = append(parent.children, n)
	}
	return roots
}

func (a *app) treeJSON(nodes []*node) ([]nodeJSON, error) {
	all := make([]nodeJSON, 0, len(nodes))
	for _, n := range nodes {
		d, err := entryJSON(a, n.entry)
		if err != nil {
			return nil, err
		}
		signed, err := a.treeJSON(n.children)
		if err != nil {
			return nil, err
		}
		all = append(all, nodeJSON{d, signed})
	}
	return all, nil
}

func (a *app) treeTable(roots []*node) *term.Table {
	style, now := a.style(a.Stdout), a.Now()
	t := &term.Table{}
	var draw func(n *node, first, rest string)
	draw = func(n *node, first, rest string) {
		e := n.entry
		what := e.Profile
		if e.Kind == ledger.KindAuthority {
			what = subjectName(e)
		}
		t.Row(term.Cell{Text: first + e.Name, Style: func(s string) string {
			return first + style.Bold(strings.TrimPrefix(s, first))
		}}, what, a.untilCell(e, now, style), strings.Join(e.SANs, ", "))
		for i, child := range n.children {
			if i == len(n.children)-1 {
				draw(child, rest+"`-- ", rest+"    ")
			} else {
				draw(child, rest+"|-- ", rest+"|   ")
			}
		}
	}
	for _, r := range roots {
		draw(r, "", "")
	}
	return t
}

// subjectName is the common name of an authority.
func subjectName(e *ledger.Entry) string {
	for _, rdn := range strings.Split(e.Subject, ",") {
		if cn, ok := strings.CutPrefix(rdn, "CN="); ok {
			return cn
		}
	}
	return e.Subject
}

// untilCell says until when a certificate holds, or why it does not.
func (a *app) untilCell(e *ledger.Entry, now time.Time, style term.Style) term.Cell {
	switch e.Status(now) {
	case ledger.Revoked:
		return term.Cell{Text: "revoked " + day(e.RevokedAt) + ", " + pki.Reason(e.Reason).String(), Style: style.Bad}
	case ledger.Expired:
		return term.Cell{Text: "expired " + day(e.NotAfter), Style: style.Bad}
	case ledger.Pending:
		return term.Cell{Text: "from " + day(e.NotBefore), Style: style.Warn}
	}
	return term.Cell{Text: "until " + day(e.NotAfter)}
}
