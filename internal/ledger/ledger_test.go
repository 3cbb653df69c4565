package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/sqlite"
)

var start = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func entry(name, issuer, serial string) Entry {
	return Entry{
		Name: name, Kind: KindCertificate, Profile: "server", Issuer: issuer, Serial: serial,
		Subject: "CN=" + name, SANs: []string{"DNS " + name, "IP 10.0.0.7"},
		NotBefore: start, NotAfter: start.Add(365 * 24 * time.Hour), IssuedAt: start.Add(time.Second),
		Request: json.RawMessage(`{"key":"ec-p256"}`), DER: []byte{0x30, 0, 0xff}, Current: true,
	}
}

func create(t *testing.T) (*Ledger, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, path
}

func record(t *testing.T, l *Ledger, replace bool, entries ...Entry) {
	t.Helper()
	if err := l.Record(t.Context(), entries, replace); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, l *Ledger, f Filter) (entries []Entry) {
	t.Helper()
	if err := l.Each(t.Context(), f, func(e *Entry) error { entries = append(entries, *e); return nil }); err != nil {
		t.Fatal(err)
	}
	return entries
}

func names(entries []Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.Name+" "+e.Serial)
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	l, path := create(t)
	want := []Entry{entry("a.example.com", "issuing", "0a"), entry("ü 'quoted' \"twice\"", "issuing", "0b")}
	want[1].SANs = []string{}
	record(t, l, false, want...)
	for _, open := range []func(context.Context, string) (*Ledger, error){Open, OpenReadOnly, Create} {
		again, err := open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, all(t, again, Filter{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	e, err := l.Current(t.Context(), "A.EXAMPLE.com")
	if err != nil || e.Serial != "0a" {
		t.Errorf("Current = %v, %v; names are one whatever their case", e, err)
	}
	e, err = l.BySerial(t.Context(), "ISSUING", "0b")
	if err != nil || e.Name != want[1].Name {
		t.Errorf("BySerial = %v, %v", e, err)
	}
	for _, serial := range []string{"0c", "0A", ""} {
		if e, err := l.BySerial(t.Context(), "issuing", serial); e != nil || !errors.Is(err, ErrNotFound) {
			t.Errorf("BySerial(%q) = %v, %v", serial, e, err)
		}
	}
	if e, err := l.Current(t.Context(), "b"); e != nil || !errors.Is(err, ErrNotFound) {
		t.Errorf("Current of nothing = %v, %v", e, err)
	}
}

func TestExists(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	ca := entry("Issuing", "root", "01")
	ca.Kind = KindAuthority
	record(t, l, false, ca)
	err := l.Record(t.Context(), []Entry{entry("new", "issuing", "02"), entry("issuing", "issuing", "03")}, false)
	e, ok := errors.AsType[*ExistsError](err)
	if !ok || e.Name != "Issuing" || e.Kind != KindAuthority || !errors.Is(err, ErrExists) || err.Error() != `authority "Issuing" exists already` {
		t.Errorf("a name that is taken: %v", err)
	}
	if got := names(all(t, l, Filter{All: true})); len(got) != 1 {
		t.Errorf("recorded in part: %v", got)
	}
	// The same name twice in one call is taken by the first.
	if err := l.Record(t.Context(), []Entry{entry("b", "issuing", "04"), entry("B", "issuing", "05")}, false); !errors.Is(err, ErrExists) {
		t.Errorf("one name twice: %v", err)
	}
	if got := names(all(t, l, Filter{All: true})); len(got) != 1 {
		t.Errorf("recorded in part: %v", got)
	}
}

func TestSerialsAreUnique(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	record(t, l, false, entry("a", "issuing", "01"))
	record(t, l, false, entry("b", "other", "01"))
	for _, issuer := range []string{"issuing", "ISSUING"} {
		if err := l.Record(t.Context(), []Entry{entry("c", issuer, "02"), entry("d", issuer, "01")}, true); err == nil {
			t.Errorf("%s used a serial twice", issuer)
		}
	}
	if diff := cmp.Diff([]string{"a 01", "b 01"}, names(all(t, l, Filter{All: true}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	record(t, l, false, entry("a", "issuing", "01"), entry("b", "issuing", "02"))
	record(t, l, true, entry("A", "issuing", "03"), entry("c", "issuing", "04"))
	if diff := cmp.Diff([]string{"b 02", "A 03", "c 04"}, names(all(t, l, Filter{}))); diff != "" {
		t.Errorf("current (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a 01", "b 02", "A 03", "c 04"}, names(all(t, l, Filter{All: true}))); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	e, err := l.BySerial(t.Context(), "issuing", "01")
	if err != nil || e.Current || e.Status(start) != Superseded {
		t.Errorf("the old one: %+v, %v", e, err)
	}
	// A failure replaces nothing.
	if err := l.Record(t.Context(), []Entry{entry("b", "issuing", "05"), entry("d", "issuing", "04")}, true); err == nil {
		t.Error("a serial was used twice")
	}
	if e, err := l.Current(t.Context(), "b"); err != nil || e.Serial != "02" {
		t.Errorf("b is %v, %v", e, err)
	}
}

func TestAbandon(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	record(t, l, false, entry("a", "issuing", "01"), entry("other", "issuing", "09"))
	record(t, l, true, entry("a", "issuing", "02"))
	lost, err := l.Current(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Abandon(t.Context(), lost, "01"); err != nil {
		t.Fatal(err)
	}
	if e, err := l.Current(t.Context(), "a"); err != nil || e.Serial != "01" {
		t.Errorf("the name stands for %v, %v", e, err)
	}
	if e, err := l.BySerial(t.Context(), "issuing", "02"); err != nil || e.Current {
		t.Errorf("the lost one: %v, %v; it stays on record", e, err)
	}
	if e, err := l.Current(t.Context(), "other"); err != nil || e.Serial != "09" {
		t.Errorf("another is %v, %v", e, err)
	}
	// With nothing in its place, the name is free.
	first, err := l.Current(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Abandon(t.Context(), first, ""); err != nil {
		t.Fatal(err)
	}
	record(t, l, false, entry("a", "issuing", "03"))
}

func TestFilter(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	soon := entry("soon", "issuing", "01")
	soon.NotAfter = start.Add(time.Hour)
	record(t, l, false, soon, entry("a", "issuing", "02"), entry("b", "root", "03"))
	record(t, l, true, entry("a", "root", "04"))
	for _, tt := range []struct {
		f    Filter
		want []string
	}{
		{Filter{}, []string{"soon 01", "b 03", "a 04"}},
		{Filter{All: true}, []string{"soon 01", "a 02", "b 03", "a 04"}},
		{Filter{Name: "A"}, []string{"a 04"}},
		{Filter{Name: "a", All: true}, []string{"a 02", "a 04"}},
		{Filter{Issuer: "Root"}, []string{"b 03", "a 04"}},
		{Filter{Issuer: "issuing", All: true}, []string{"soon 01", "a 02"}},
		{Filter{Ending: start.Add(time.Hour)}, []string{"soon 01"}},
		{Filter{Ending: start.Add(time.Hour - time.Second)}, nil},
		{Filter{Name: "nobody"}, nil},
	} {
		if diff := cmp.Diff(tt.want, names(all(t, l, tt.f))); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.f, diff)
		}
	}
	stop := errors.New("stop")
	n := 0
	if err := l.Each(t.Context(), Filter{}, func(*Entry) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("Each went on after an error: %d, %v", n, err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	now := start
	for _, tt := range []struct {
		change func(*Entry)
		want   Status
	}{
		{func(*Entry) {}, Valid},
		{func(e *Entry) { e.NotBefore = now.Add(time.Second) }, Pending},
		{func(e *Entry) { e.NotAfter = now }, Valid}, // its last second
		{func(e *Entry) { e.NotAfter = now.Add(-time.Second) }, Expired},
		{func(e *Entry) { e.Current = false }, Superseded},
		{func(e *Entry) { e.Current = false; e.NotAfter = now.Add(-time.Second) }, Expired},
		{func(e *Entry) { e.RevokedAt = now; e.NotAfter = now.Add(-time.Second) }, Revoked},
		{func(e *Entry) { e.RevokedAt = now; e.Current = false }, Revoked},
	} {
		e := entry("a", "issuing", "01")
		tt.change(&e)
		if got := e.Status(now); got != tt.want {
			t.Errorf("%+v is %s, want %s", e, got, tt.want)
		}
	}
}

// Whatever a folder is called, the ledger is in it, and opened as asked for.
func TestOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "a?mode=ro", "a#b", "a%20b", "a&b=c", "ü", "a'b"} {
		path := filepath.Join(t.TempDir(), name, "ledger.db")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := Create(t.Context(), path)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		record(t, l, false, entry("a", "issuing", "01"))
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("no database "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	_, newer := create(t)
	setVersion(t, newer, len(migrations)+1)
	missing := filepath.Join(dir, "missing.db")
	for name, tt := range map[string]struct {
		open func(context.Context, string) (*Ledger, error)
		path string
		want error
	}{
		"missing":                     {Open, missing, ErrClosed},
		"missing, to read":            {OpenReadOnly, missing, ErrClosed},
		"no folder":                   {Create, filepath.Join(dir, "no", "ledger.db"), ErrClosed},
		"no database":                 {Open, garbage, ErrDamaged},
		"no database, to read":        {OpenReadOnly, garbage, ErrDamaged},
		"no database, to make":        {Create, garbage, ErrDamaged},
		"a later version":             {Open, newer, ErrNewer},
		"a later version, to read":    {OpenReadOnly, newer, ErrNewer},
		"a later version, to make":    {Create, newer, ErrNewer},
		"a folder where it should be": {Open, dir, ErrClosed},
	} {
		before, _ := os.ReadFile(tt.path)
		l, err := tt.open(t.Context(), tt.path)
		if l != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v; want %v", name, l, err, tt.want)
		}
		if after, _ := os.ReadFile(tt.path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file changed", name)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a ledger was made: %v", err)
	}
}

// setVersion writes the user version into a database.
func setVersion(t *testing.T, path string, version int) {
	t.Helper()
	db, _, err := schema().OpenAsIs(t.Context(), path, sqlite.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", version))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A ledger of any earlier version, an empty file too, is brought up to date by
// whoever opens it, and by all who do so at once.
func TestMigrations(t *testing.T) {
	t.Parallel()
	for done := range len(migrations) + 1 {
		for name, opener := range map[string]func(context.Context, string) (*Ledger, error){"write": Open, "read": OpenReadOnly} {
			t.Run(fmt.Sprintf("%d/%s", done, name), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "ledger.db")
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				old, _, err := schema().OpenAsIs(t.Context(), path, sqlite.ReadWrite)
				if err != nil {
					t.Fatal(err)
				}
				for i, m := range migrations[:done] {
					if _, err := old.ExecContext(t.Context(), m+fmt.Sprintf("; PRAGMA user_version = %d", i+1)); err != nil {
						t.Fatal(err)
					}
				}
				if err := old.Close(); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						l, err := opener(t.Context(), path)
						if err != nil {
							t.Error(err)
							return
						}
						var version int
						err = l.db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version)
						if err := errors.Join(err, l.Close()); err != nil || version != len(migrations) {
							t.Errorf("version %d, %v", version, err)
						}
					})
				}
				wg.Wait()
				l, err := Open(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				record(t, l, false, entry("a", "issuing", "01"))
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
