package term

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgress has a clock of its own: see package synctest.
func TestProgress(t *testing.T) {
	t.Parallel()
	const gone = "\r\x1b[K"
	for name, tt := range map[string]struct {
		on    bool
		total int
		takes time.Duration
		want  string
	}{
		"quick":     {true, 0, 900 * time.Millisecond, ""},
		"slow":      {true, 0, 1500 * time.Millisecond, "\rWorking ..." + gone},
		"counted":   {true, 10, 1250 * time.Millisecond, "\rWorking: 1 of 10\rWorking: 1 of 10" + gone},
		"no person": {false, 10, 2 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				step, done := Progress(&out, tt.on, "Working", tt.total)
				step(1)
				time.Sleep(tt.takes)
				synctest.Wait()
				done()
				time.Sleep(time.Minute)
				synctest.Wait()
				if out.String() != tt.want {
					t.Errorf("wrote %q; want %q", out.String(), tt.want)
				}
			})
		})
	}
}
