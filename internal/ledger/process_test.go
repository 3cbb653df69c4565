package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
