package cmd

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
)

func TestTreeOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *treeOptions) error) *cobra.Command { return newTreeCmd(&app{}, run) }
	checkOptions(t, newCmd, map[string]optionsTest[treeOptions]{
		"nothing":     {},
		"authorities": {args: []string{"--authorities"}, want: treeOptions{authorities: true}},
		"a name":      {args: []string{"web"}, err: `"web" is one argument too many`},
	})
}

// An entry whose issuer is not on record stands at the top, and nothing is lost.
func TestBuildTree(t *testing.T) {
	t.Parallel()
	entry := func(name, kind, issuer string) *ledger.Entry {
		return &ledger.Entry{Name: name, Kind: kind, Issuer: issuer}
	}
	const ca, leaf = ledger.KindAuthority, ledger.KindCertificate
	roots := buildTree([]*ledger.Entry{
		entry("root", ca, "root"), entry("a", leaf, "issuing"), entry("issuing", ca, "ROOT"),
		entry("lost", leaf, "gone"), entry("lostca", ca, "gone"), entry("b", leaf, "lostca"),
	})
	var lines []string
	var draw func(n *node, depth string)
	draw = func(n *node, depth string) {
		lines = append(lines, depth+n.entry.Name)
		for _, c := range n.children {
			draw(c, depth+" ")
		}
	}
	for _, r := range roots {
		draw(r, "")
	}
	want := []string{"root", " issuing", "  a", "lost", "lostca", " b"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("buildTree (-want +got):\n%s", diff)
	}
}
