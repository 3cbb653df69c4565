//go:build !windows

package cmd_test

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// TestKilled kills commands at every moment of their lives. Whatever the moment,
// there is no certificate that the ledger lacks, and the next command finds
// everything in order, or puts it there.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		setup [][]string
		run   []string // %d is the number of the try
		fresh bool     // every try has a PKI directory of its own
	}{
		"issue":   {setup: [][]string{{"init-ca"}}, run: []string{"issue", "server", "a%d.example.com"}},
		"replace": {setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}}, run: []string{"issue", "server", "a.example.com", "--force"}},
		"init-ca name": {
			setup: [][]string{{"init-ca"}},
			run:   []string{"init-ca", "a%d", "--parent", "root", "--default", "--crl-url", "http://pki.example.com/a%d.crl"},
		},
		"init-ca": {run: []string{"init-ca"}, fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			for _, args := range tt.setup {
				if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
					t.Fatalf("mtlsctl %v: %s", args, stderr)
				}
			}
			const step = 700 * time.Microsecond
			survived := 0
			for try := 0; survived < 3 && try < 200; try++ {
				if tt.fresh {
					work = t.TempDir()
				}
				var args []string
				for _, a := range tt.run {
					args = append(args, strings.ReplaceAll(a, "%d", fmt.Sprint(try)))
				}
				if killed(t, work, time.Duration(try)*step, args) {
					survived = 0
				} else {
					survived++
				}
				checkKilled(t, work)
			}
			if survived < 3 {
				t.Error("the command never came to its end")
			}
		})
	}
}

// killed runs a command and kills it after a time; it returns false if it was
// done by then.
func killed(t *testing.T, work string, after time.Duration, args []string) bool {
	t.Helper()
	c := exec.Command("mtlsctl", append([]string{"--pki", filepath.Join(work, "pki")}, args...)...)
	c.Env = append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	err := c.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		t.Fatalf("mtlsctl %v: %v", args, err)
	}
	return err != nil
}

// checkKilled checks what a killed process left.
func checkKilled(t *testing.T, work string) {
	t.Helper()
	dir := filepath.Join(work, "pki")
	if _, err := os.Stat(dir); err == nil {
		if _, stderr, code := mtlsctl(t, work, "list"); code != 0 {
			t.Fatalf("list, after a kill: %s", stderr)
		}
		checkAllOnRecord(t, dir)
	} else if _, stderr, code := mtlsctl(t, work, "init-ca"); code != 0 {
		t.Fatalf("init-ca, after a kill: %s", stderr)
	}
	// The next command that writes puts everything into order.
	if _, stderr, code := mtlsctl(t, work, "issue", "client", "next", "--force"); code != 0 {
		t.Fatalf("issue, after a kill: %s", stderr)
	}
	if err := checkConsistent(dir); err != nil {
		t.Fatal(err)
	}
}

// checkAllOnRecord looks for a certificate, wherever it is, that the ledger lacks.
func checkAllOnRecord(t *testing.T, dir string) {
	t.Helper()
	entries, err := readLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for _, e := range entries {
		recorded[e.Serial] = true
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".crt") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		certs, err := pki.ParseCertificates(data)
		if errors.Is(err, pki.ErrNoCertificate) && strings.Contains(path, ".staging") {
			return nil // it was being written
		}
		if err != nil {
			return fmt.Errorf("%s is not whole: %w", path, err)
		}
		for _, c := range certs {
			if !recorded[serial(c)] {
				return fmt.Errorf("%s: %s is not on record", path, c.Subject)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func serial(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }
