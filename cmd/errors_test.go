package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// Each kind of error has its status and its next step, however deep it is
// wrapped.
func TestReport(t *testing.T) {
	t.Parallel()
	now := moment(2026, 6, 15, 12)
	path := func(err error) error { return &pkidir.PathError{Path: "pki/x", Err: err} }
	for name, tt := range map[string]struct {
		err    error
		code   int
		stderr string
	}{
		"any":         {errors.New("lost"), 1, "mtlsctl: lost\n"},
		"of use":      {&usageError{err: errors.New("odd")}, 2, "mtlsctl: odd\nhint: 'mtlsctl --help' shows how it is used\n"},
		"with a hint": {withHint(path(pkidir.ErrNoDir), "do this"), 1, "mtlsctl: pki/x: there is no PKI directory\nhint: do this\n"},
		"a check":     {errCheckFailed, 3, ""},
		"interrupted": {context.Canceled, 1, "mtlsctl: interrupted\n"},
		"given up":    {term.ErrInterrupted, 1, "mtlsctl: interrupted\n"},
		"two lines":   {errors.Join(errors.New("a"), errors.New("b")), 1, "mtlsctl: a\n  b\n"},
		"control characters": {
			errors.New("a\x1b[31mb"), 1, "mtlsctl: a\uFFFD[31mb\n",
		},
		"no directory": {path(pkidir.ErrNoDir), 1, "mtlsctl: pki/x: there is no PKI directory\nhint: make one with 'mtlsctl init-ca', or name another with --pki\n"},
		"no authority": {
			fmt.Errorf("%w %q", pkidir.ErrNoAuthority, "x"), 2,
			"mtlsctl: unknown authority \"x\"\nhint: 'mtlsctl tree' shows the authorities there are; 'mtlsctl init-ca NAME' makes one\n",
		},
		"no certificate": {
			fmt.Errorf("%w %q", pkidir.ErrNoBundle, "x"), 2, "mtlsctl: unknown certificate \"x\"\nhint: 'mtlsctl list' shows the certificates there are\n",
		},
		"exists": {
			&ledger.ExistsError{Name: "x", Kind: ledger.KindCertificate}, 1,
			"mtlsctl: certificate \"x\" exists already\nhint: see it with 'mtlsctl show x'; to replace it add --force, to keep it --if-missing\n",
		},
		"past the issuer": {
			&pki.LifetimeError{Problem: "too long", Latest: now.Add(time.Hour)}, 1,
			"mtlsctl: lifetime: too long\nhint: the latest end possible is --not-after 2026-06-15T13:00:00Z\n",
		},
		"issuer over": {
			&pki.LifetimeError{Problem: "over", Latest: now}, 1, "mtlsctl: lifetime: over\nhint: sign by another authority with --ca; 'mtlsctl init-ca NAME' makes one\n",
		},
		"full":   {path(syscall.ENOSPC), 1, "mtlsctl: pki/x: no space left on device\nhint: nothing was made; make room and run the same command again\n"},
		"quota":  {path(syscall.EDQUOT), 1, "mtlsctl: pki/x: disk quota exceeded\nhint: nothing was made; make room and run the same command again\n"},
		"locked": {path(fs.ErrPermission), 1, "mtlsctl: pki/x: permission denied\nhint: check the owner and the mode of pki/x\n"},
		"passphrase": {
			path(pki.ErrPassphrase), 1,
			"mtlsctl: pki/x: wrong passphrase\nhint: give the passphrase with --passphrase-file, --passphrase-env or --passphrase-stdin\n",
		},
	} {
		var stderr bytes.Buffer
		a := &app{Env: Env{Stderr: &stderr, Now: func() time.Time { return now }, Getenv: func(string) string { return "" }}}
		root := newRootCmd(a, nil)
		code := a.report(root, tt.err)
		if got := stderr.String(); code != tt.code || got != tt.stderr {
			t.Errorf("%s: status %d, want %d\ngot  %q\nwant %q", name, code, tt.code, got, tt.stderr)
		}
	}
}

// A secret that a person gives in the wrong place is not said again.
func TestSecretsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"export", "p12", "x", "--password", "hunter2-hunter2"},
		{"issue", "client", "x", "--passphrase", "hunter2-hunter2"},
		{"init-ca", "--passphrase=hunter2-hunter2"},
	} {
		stdout, stderr, code := run(t, args...)
		if code != 2 || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("mtlsctl %v: status %d\n%s%s", args, code, stdout, stderr)
		}
	}
}
