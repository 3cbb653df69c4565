package pkitest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// fakeTB notes how a test would have ended.
type fakeTB struct {
	testing.TB
	fatal, skip string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Fatalf(format string, args ...any) { f.fatal = fmt.Sprintf(format, args...); panic(f) }

func (f *fakeTB) Skipf(format string, args ...any) { f.skip = fmt.Sprintf(format, args...); panic(f) }

func look(name string) (f *fakeTB, path string) {
	f = &fakeTB{}
	defer func() {
		if r := recover(); r != nil && r != any(f) {
			panic(r)
		}
	}()
	return f, pkitest.Program(f, name)
}

func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes make no program there")
	}
	dir := t.TempDir()
	want := filepath.Join(dir, "judge")
	if err := os.WriteFile(want, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		if f, got := look("judge"); got != want || f.fatal+f.skip != "" {
			t.Errorf("CI=%q: Program = %q, ends with %q; want %q", ci, got, f.fatal+f.skip, want)
		}
		f, got := look("no-such-judge")
		ended, other := f.skip, f.fatal
		if ci == "true" {
			ended, other = other, ended
		}
		if got != "" || !strings.Contains(ended, "no-such-judge") || other != "" {
			t.Errorf("CI=%q: a missing program: skip %q, fatal %q", ci, f.skip, f.fatal)
		}
	}
}
