package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAdopt(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	revocations := func() (all []string) {
		t.Helper()
		// What ended long ago is on no CRL any more; of what is not on record nobody
		// knows the end.
		if err := l.Revocations(t.Context(), "ISSUING", start, func(serial string, at time.Time, reason int) error {
			all = append(all, fmt.Sprint(serial, " ", at.Unix(), " ", reason))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	adopt := func(last CRL, changes ...Change) int {
		t.Helper()
		n, err := l.Adopt(t.Context(), changes, last)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	record(t, l, false, entry("a", "issuing", "01"))
	old := []Change{
		{"issuing", "01", at(10), 1}, {"issuing", "02", at(30), 4}, {"issuing", "03", at(20), 5}, {"other", "02", at(40), 0},
	}
	last := CRL{Issuer: "issuing", Number: 7, ThisUpdate: at(50), NextUpdate: at(60), Entries: 3}
	if n := adopt(last, old...); n != 4 {
		t.Errorf("%d are new", n)
	}
	if diff := cmp.Diff([]string{"01 10 1", "03 20 5", "02 30 4"}, revocations()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := l.LastCRL(t.Context(), "issuing"); err != nil || got != last {
		t.Errorf("LastCRL = %+v, %v", got, err)
	}

	// Again, with other reasons, and an older CRL: nothing changes.
	before := len(logged(t, l))
	for i := range old {
		old[i].At, old[i].Reason = at(99), 9
	}
	if n := adopt(CRL{Issuer: "issuing", Number: 6, ThisUpdate: at(1), NextUpdate: at(2)}, old...); n != 0 {
		t.Errorf("%d are new", n)
	}
	if got, err := l.LastCRL(t.Context(), "issuing"); err != nil || got != last || len(logged(t, l)) != before {
		t.Errorf("LastCRL = %+v, %v; log %v", got, err, logged(t, l))
	}

	// A certificate that comes later finds its revocation, if it is imported; one
	// that is not current holds no name.
	past := entry("a", "issuing", "02")
	past.Current = false
	all := []Entry{past, entry("b", "issuing", "04")}
	if err := l.RecordEach(t.Context(), ActionImport, len(all), func(i int) (*Entry, bool) { return &all[i], false }); err != nil {
		t.Fatal(err)
	}
	if e, err := l.BySerial(t.Context(), "issuing", "02"); err != nil || e.Current || !e.RevokedAt.Equal(at(30)) || e.Reason != 4 {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := l.BySerial(t.Context(), "issuing", "04"); err != nil || !e.Current || !e.RevokedAt.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
	if diff := cmp.Diff([]string{"01 10 1", "02 30 4", "03 20 5"}, revocations()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := l.Record(t.Context(), []Entry{entry("A", "issuing", "05")}, false); !errors.Is(err, ErrExists) {
		t.Errorf("the name of the current one was given away: %v", err)
	}
}
