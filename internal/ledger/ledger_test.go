package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	l, _, err := open(t.Context(), path, "rw")
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", version))
	if err := errors.Join(err, l.Close()); err != nil {
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
				old, _, err := open(t.Context(), path, "rw")
				if err != nil {
					t.Fatal(err)
				}
				for i, m := range migrations[:done] {
					if _, err := old.db.ExecContext(t.Context(), m+fmt.Sprintf("; PRAGMA user_version = %d", i+1)); err != nil {
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

// helperEnv makes the test binary a process that writes to a ledger.
const helperEnv = "MTLSCTL_LEDGER_HELPER"

// TestHelper is no test: it is what other processes run.
func TestHelper(t *testing.T) {
	path, who := os.Getenv(helperEnv), os.Getenv(helperEnv+"_WHO")
	if path == "" {
		t.Skip("this is not a process that helps")
	}
	l, err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if who == "killed" {
		beginAndDie(t, l)
	}
	won := 0
	for i := range 20 {
		serial := fmt.Sprintf("%s%02d", who, i)
		record(t, l, false, entry("own"+serial, "issuing", serial))
		switch err := l.Record(t.Context(), []Entry{entry("shared"+strconv.Itoa(i), "issuing", serial+"ff")}, false); {
		case err == nil:
			won++
		case !errors.Is(err, ErrExists):
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("won %d", won)
}

// beginAndDie writes so much in one transaction that it reaches the disk, and
// dies before the end.
func beginAndDie(t *testing.T, l *Ledger) {
	if _, err := l.db.ExecContext(t.Context(), "PRAGMA cache_size = 1"); err != nil {
		t.Fatal(err)
	}
	tx, err := l.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := tx.ExecContext(t.Context(), "UPDATE certificates SET subject = ? WHERE id = ?", string(bytes.Repeat([]byte("x"), 3000)), i+1); err != nil {
			t.Fatal(err)
		}
	}
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	select {}
}

func helper(path, who string) *exec.Cmd {
	c := exec.Command(os.Args[0], "-test.run=^TestHelper$", "-test.v")
	c.Env = append(os.Environ(), helperEnv+"="+path, helperEnv+"_WHO="+who)
	return c
}

// Many processes, each with goroutines of its own, write to one ledger: nothing
// is lost, and of those that want one name exactly one gets it.
func TestProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	var wg sync.WaitGroup
	for _, who := range []string{"a", "b", "c"} {
		wg.Go(func() {
			if out, err := helper(path, who).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	own, err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for g := range 3 {
		wg.Go(func() {
			for i := range 10 {
				serial := fmt.Sprintf("d%d%02d", g, i)
				if err := own.Record(context.Background(), []Entry{entry("own"+serial, "issuing", serial)}, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, e := range all(t, own, Filter{All: true}) {
		seen[e.Name]++
	}
	if len(seen) != 3*20+20+30 {
		t.Errorf("%d names are on record, not %d", len(seen), 3*20+20+30)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is on record %d times", name, n)
		}
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
}

// A process that was killed in the midst of a transaction has changed nothing,
// also for who only reads.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	for name, opener := range map[string]func(context.Context, string) (*Ledger, error){"write": Open, "read": OpenReadOnly} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, path := create(t)
			var entries []Entry
			for i := range 200 {
				entries = append(entries, entry(fmt.Sprintf("a%d", i), "issuing", fmt.Sprintf("%04x", i)))
			}
			record(t, l, false, entries...)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := helper(path, "killed").CombinedOutput(); err == nil {
				t.Fatalf("the helper lives:\n%s", out)
			}
			if after, err := os.ReadFile(path); err != nil || bytes.Equal(before, after) {
				t.Fatalf("nothing reached the disk, so there is nothing to undo: %v", err)
			}
			again, err := opener(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(entries, all(t, again, Filter{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
