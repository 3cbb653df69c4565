package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func TestRecordOptions(t *testing.T) {
	t.Parallel()
	checkOptions(t, func(run func(context.Context, *logOptions) error) *cobra.Command { return newLogCmd(&app{}, run) }, map[string]optionsTest[logOptions]{
		"nothing": {},
		"flags":   {args: []string{"--since", "7d", "--name", "web"}, want: logOptions{since: 7 * oneDay, name: "web"}},
		"a name":  {args: []string{"web"}, err: `"web" is one argument too many`},
		"a time":  {args: []string{"--since", "soon"}, err: `--since "soon": not a lifetime: write it as 90d, 1y or 36h`},
	})
	checkOptions(t, func(run func(context.Context, *backupOptions) error) *cobra.Command { return newBackupCmd(&app{}, run) }, map[string]optionsTest[backupOptions]{
		"file":    {args: []string{"pki.tar"}, want: backupOptions{file: "pki.tar"}},
		"flags":   {args: []string{"-", "--force", "--without-keys"}, want: backupOptions{file: "-", force: true, withoutKeys: true}},
		"nothing": {err: "FILE is missing"},
		"two":     {args: []string{"a", "b"}, err: `"b" is one argument too many`},
	})
	checkOptions(t, func(run func(context.Context, *restoreOptions) error) *cobra.Command {
		return newRestoreCmd(&app{}, run)
	}, map[string]optionsTest[restoreOptions]{
		"file":    {args: []string{"pki.tar"}, want: restoreOptions{file: "pki.tar"}},
		"nothing": {err: "FILE is missing"},
		"two":     {args: []string{"a", "b"}, err: `"b" is one argument too many`},
	})
}

// A list that is written piece by piece is the same text as one written at once.
func TestArrayStream(t *testing.T) {
	t.Parallel()
	type object struct {
		Text string   `json:"text"`
		List []string `json:"list"`
	}
	for _, list := range [][]object{{}, {{"a<b>", nil}}, {{"a", []string{"x", "y"}}, {"b\nc", []string{}}, {}}} {
		var want, got bytes.Buffer
		a := &app{Env: Env{Stdout: &want}}
		if err := a.writeJSON(list); err != nil {
			t.Fatal(err)
		}
		s := newArrayStream(&got)
		for _, o := range list {
			if err := s.add(o); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.end(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), got.String()); diff != "" || !json.Valid(got.Bytes()) {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Blocks of a table line up, and no column gets narrower; none is held back for
// long.
func TestTableStream(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{Env: Env{Stdout: &out, Getenv: func(string) string { return "" }}}
	s := a.newTableStream("NAME", "X")
	if err := s.end(); err != nil || out.Len() > 0 {
		t.Errorf("%q, %v: a table of nothing", out.String(), err)
	}
	s = a.newTableStream("NAME", "X")
	for i := range 2 * tableBlock {
		name := "a"
		if i == 7 {
			name = "long-name"
		}
		if err := s.row(name, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if s.table.Rows() > tableBlock {
		t.Errorf("%d rows are held back", s.table.Rows())
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2*tableBlock+1 {
		t.Errorf("%d lines", len(lines))
	}
	for i, line := range lines {
		if len(line) != len("long-name  X") {
			t.Fatalf("line %d is %q", i, line)
		}
	}
}
