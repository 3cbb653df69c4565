package ledger

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func streamed(t *testing.T, l *Ledger, f Filter) (names []string) {
	t.Helper()
	if err := l.Stream(t.Context(), f, func(e *Entry) error { names = append(names, e.Name+" "+e.Serial); return nil }); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestStream(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	var all []string
	var entries []Entry
	const count = 2*pageSize + 1
	for i := range count {
		e := entry(fmt.Sprintf("n%d", i), "issuing", fmt.Sprintf("%04x", i))
		e.NotAfter = start.Add(time.Duration(count-i/2) * time.Second) // two each end at once
		entries = append(entries, e)
		all = append(all, e.Name+" "+e.Serial)
	}
	record(t, l, false, entries...)
	if diff := cmp.Diff(all, streamed(t, l, Filter{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all, streamed(t, l, Filter{All: true, Issuer: "ISSUING", Ending: start.Add(time.Hour)})); diff != "" {
		t.Errorf("with history (-want +got):\n%s", diff)
	}
	ends := streamed(t, l, Filter{Ending: start.Add(time.Hour)})
	seen := map[string]bool{}
	var last time.Time
	for _, line := range ends {
		seen[line] = true
		name, _, _ := strings.Cut(line, " ")
		e, err := l.Current(t.Context(), name)
		if err != nil || e.NotAfter.Before(last) {
			t.Fatalf("%s ends %v, after %v; %v", name, e.NotAfter, last, err)
		}
		last = e.NotAfter
	}
	if len(ends) != count || len(seen) != count {
		t.Errorf("%d lines, %d of them different; want %d", len(ends), len(seen), count)
	}
	// Others write meanwhile, and so does who reads.
	if err := l.Stream(t.Context(), Filter{Name: "N7"}, func(e *Entry) error {
		record(t, l, true, entry(e.Name, "issuing", "ffff"))
		return nil
	}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"n7 0007", "n7 ffff"}, streamed(t, l, Filter{Name: "n7", All: true})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogFilter(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	at := start
	l.SetActor(Actor{Command: "issue", Now: func() time.Time { return at }})
	for i := range 3 {
		at = start.Add(time.Duration(i) * time.Hour)
		record(t, l, true, entry("web", "issuing", fmt.Sprintf("%02x", i)), entry("other", "issuing", fmt.Sprintf("a%x", i)))
	}
	for want, f := range map[string]LogFilter{
		"00 a0 01 a1 02 a2": {}, "00 01 02": {Name: "WEB"}, "01 a1 02 a2": {Since: start.Add(time.Hour)}, "02": {Name: "web", Since: at}, "": {Name: "nobody"},
	} {
		var got []string
		if err := l.EachLog(t.Context(), f, func(e *LogEntry) error { got = append(got, e.Serial); return nil }); err != nil {
			t.Error(err)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %v; want %s", f, got, want)
		}
	}
}

// What is asked often must be found by an index, and in its order.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	for query, want := range map[string]string{
		"SELECT " + columns + " FROM certificates WHERE name = 'x' AND current = 1":                                                        "SEARCH certificates USING INDEX certificates_by_name (name=?)",
		"SELECT " + columns + " FROM certificates WHERE issuer = 'x' AND serial = '1'":                                                     "SEARCH certificates USING INDEX sqlite_autoindex_certificates_1 (issuer=? AND serial=?)",
		"SELECT serial, revoked_at, reason FROM certificates WHERE issuer = 'x' AND revoked_at IS NOT NULL AND not_after >= 7 ORDER BY id": "SEARCH certificates USING COVERING INDEX certificates_on_crl (issuer=? AND not_after>?); USE TEMP B-TREE FOR ORDER BY",
		plan(Filter{}):                           "SEARCH certificates USING INTEGER PRIMARY KEY (rowid>?)",
		plan(Filter{Issuer: "x"}):                "SEARCH certificates USING INTEGER PRIMARY KEY (rowid>?)",
		plan(Filter{Ending: start}):              "SEARCH certificates USING INDEX certificates_by_end (not_after>? AND not_after<?)",
		plan(Filter{Ending: start, Issuer: "x"}): "SEARCH certificates USING INDEX certificates_by_end (not_after>? AND not_after<?)",
		plan(Filter{Name: "x", All: true}):       "SEARCH certificates USING INDEX certificates_by_any_name (name=? AND rowid>?)",
	} {
		var steps []string
		if err := l.each(t.Context(), func(rows *sql.Rows) error {
			var id, parent, unused int
			var step string
			err := rows.Scan(&id, &parent, &unused, &step)
			steps = append(steps, step)
			return err
		}, "EXPLAIN QUERY PLAN "+query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if got := strings.Join(steps, "; "); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
	}
}

func plan(f Filter) string {
	query, after, chosen := f.page()
	for _, arg := range append(after, chosen...) {
		query = strings.Replace(query, "?", fmt.Sprintf("%q", fmt.Sprint(arg)), 1)
	}
	return strings.ReplaceAll(query, `"`, "'")
}
