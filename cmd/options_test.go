package cmd

import (
	"context"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// whole compares options with every field, those of other packages too.
func whole() cmp.Options {
	return cmp.Options{
		cmp.Exporter(func(reflect.Type) bool { return true }),
		cmp.Comparer(func(a, b *profiles.Profile) bool { return a == b || a != nil && b != nil && a.Name() == b.Name() }),
	}
}

// parseOptions runs a command that was made with a run function of the test's
// own, on nothing but its arguments.
func parseOptions(c *cobra.Command, args ...string) error {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetFlagErrorFunc(flagError)
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	c.SetArgs(append([]string{}, args...)) // nil would be those of the test binary
	return c.ExecuteContext(context.Background())
}

// An optionsTest is a row of a table of flags and the options that they make.
type optionsTest[T any] struct {
	args []string
	want T      // if err is empty
	err  string // what is wrong with args
}

// checkOptions runs a table. make makes the command with a run function.
func checkOptions[T any](t *testing.T, newCmd func(run func(context.Context, *T) error) *cobra.Command, table map[string]optionsTest[T]) {
	t.Helper()
	for name, tt := range table {
		var got *T
		err := parseOptions(newCmd(func(_ context.Context, o *T) error { got = o; return nil }), tt.args...)
		switch {
		case tt.err != "":
			if err == nil || err.Error() != tt.err || got != nil {
				t.Errorf("%s: %v\ngot  %v\nwant %s", name, tt.args, err, tt.err)
			} else if !isUsage(err) {
				t.Errorf("%s: %v: it is no usage error", name, tt.args)
			}
		case err != nil || got == nil:
			t.Errorf("%s: %v: %v", name, tt.args, err)
		default:
			if diff := cmp.Diff(&tt.want, got, whole()); diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, tt.args, diff)
			}
		}
	}
}

func mustSAN(t *testing.T, s string) pki.SAN {
	t.Helper()
	san, err := pki.ParseSAN(s)
	if err != nil {
		t.Fatal(err)
	}
	return san
}

func mustConstraint(t *testing.T, s string) pki.Constraint {
	t.Helper()
	c, err := pki.ParseConstraint(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func moment(year int, month time.Month, day, hour int) time.Time {
	return time.Date(year, month, day, hour, 0, 0, 0, time.UTC)
}

const oneDay = 24 * time.Hour
