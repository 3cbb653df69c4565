package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A change of a key file is in the log of its authority, and counted in whatever
// case.
func TestKeyChanges(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	l.SetActor(Actor{Command: "passwd", Now: func() time.Time { return start }})
	a, b := entry("a", "root", "01"), entry("b", "root", "02")
	for _, err := range []error{
		l.RecordKeyChange(t.Context(), &a, "added"),
		l.RecordKeyChange(t.Context(), &a, "removed"),
		l.RecordKeyChange(t.Context(), &b, "added"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]int{"a": 2, "A": 2, "b": 1, "c": 0} {
		if n, err := l.KeyChanges(t.Context(), name); n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", name, n, err, want)
		}
	}
	want := []string{"0 passwd passwd a root 01 added", "0 passwd passwd a root 01 removed", "0 passwd passwd b root 02 added"}
	if diff := cmp.Diff(want, logged(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
