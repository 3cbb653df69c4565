package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every authority that ever was gets a number that none of its CRLs had, and what
// its last CRL says besides stays.
func TestRestored(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	var entries []Entry
	for i, name := range []string{"root", "a", "removed"} {
		e := entry(name, name, string(rune('1'+i))+"0")
		e.Kind = KindAuthority
		entries = append(entries, e)
	}
	record(t, l, false, append(entries, entry("web", "a", "77"))...)
	record(t, l, true, func() Entry { e := entries[1]; e.Name, e.Serial = "A", "78"; return e }())
	if err := l.Remove(t.Context(), entries[2:]); err != nil {
		t.Fatal(err)
	}
	last := CRL{Issuer: "a", Number: 7, ThisUpdate: start, NextUpdate: start.Add(time.Hour), Entries: 3}
	for _, c := range []CRL{{Issuer: "a", Number: 3, ThisUpdate: start.Add(-time.Hour), NextUpdate: start}, last} {
		if err := l.Publish(t.Context(), nil, []CRL{c}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Check(t.Context()); err != nil {
		t.Error(err)
	}
	taken, err := l.Restored(t.Context(), start, 1000)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, r := range taken {
		got[r.Issuer] = r.Number
	}
	if diff := cmp.Diff(map[string]int64{"root": 1000, "a": 1007, "removed": 1000}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	last.Number = 1007
	if c, err := l.LastCRL(t.Context(), "a"); err != nil || c != last {
		t.Errorf("%+v, %v; want %+v", c, err, last)
	}
	if c, err := l.LastCRL(t.Context(), "root"); err != nil || c.Number != 1000 || c.ThisUpdate.Unix() != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	log := logged(t, l)
	if last := log[len(log)-1]; !strings.HasSuffix(last, " restore    2026-06-15T12:00:00Z") {
		t.Errorf("the log ends in %q", last)
	}
}
