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
		step  time.Duration
		// next is what puts everything into order; without it, issue.
		next [][]string
	}{
		"issue":   {setup: [][]string{{"init-ca"}}, run: []string{"issue", "server", "a%d.example.com"}},
		"replace": {setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}}, run: []string{"issue", "server", "a.example.com", "--force"}},
		"init-ca name": {
			setup: [][]string{{"init-ca"}},
			run:   []string{"init-ca", "a%d", "--parent", "root", "--default", "--crl-url", "http://pki.example.com/a%d.crl"},
		},
		"init-ca": {run: []string{"init-ca"}, fresh: true},
		"renew an authority": {
			setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}, {"issue", "server", "b.example.com", "--ca", "root"}},
			run:   []string{"renew", "root", "issuing"},
			step:  4 * time.Millisecond,
		},
		"rollover": {
			setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}, {"crl"}},
			run:   []string{"renew", "root", "issuing", "--rollover"},
			step:  4 * time.Millisecond,
			fresh: true,
		},
		"apply": {
			run:   []string{"apply", "-f", smallManifest, "--out", "WORK/secrets"},
			fresh: true,
			next: [][]string{
				{"apply", "-f", smallManifest, "--out", "WORK/secrets"},
				{"apply", "-f", smallManifest, "--out", "WORK/secrets", "--dry-run", "--check"},
				{"issue", "client", "next", "--ca", "tls/ca", "--force"},
			},
		},
		"apply, and everything changes": {
			setup: [][]string{{"apply", "-f", smallManifest, "--quiet"}},
			run:   []string{"apply", "-f", "WORK/changed.yaml", "--prune", "--revoke"},
			next: [][]string{
				{"apply", "-f", "WORK/changed.yaml", "--prune", "--revoke"},
				{"apply", "-f", "WORK/changed.yaml", "--prune", "--dry-run", "--check"},
				{"issue", "client", "next", "--ca", "tls/ca", "--force"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			setup := func() {
				for _, args := range tt.setup {
					if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
						t.Fatalf("mtlsctl %v: %s", args, stderr)
					}
				}
			}
			setup()
			step := max(tt.step, 700*time.Microsecond)
			if tt.run[0] == "apply" && os.Getenv(envStress) == "" { // it takes so long
				step *= 4
			}
			survived := 0
			for try := 0; survived < 3 && try < 200; try++ {
				if tt.fresh && try > 0 {
					work = t.TempDir()
					setup()
				}
				changeManifest(t, work, try)
				var args []string
				for _, a := range tt.run {
					args = append(args, strings.ReplaceAll(a, "%d", fmt.Sprint(try)))
				}
				if killed(t, work, time.Duration(try)*step, args) {
					survived = 0
				} else {
					survived++
				}
				checkKilled(t, work, tt.next)
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
	c := exec.Command("mtlsctl", "--pki", filepath.Join(work, "pki"))
	for _, a := range args {
		c.Args = append(c.Args, strings.ReplaceAll(a, "WORK", work))
	}
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

// smallManifest is quickly made true.
var smallManifest = filepath.Join("..", "testdata", "manifests", "small.yaml")

// changeManifest writes smallManifest with another CA, and with leaves of other
// names, every time.
func changeManifest(t *testing.T, work string, try int) {
	t.Helper()
	data, err := os.ReadFile(smallManifest)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("tls-ca", fmt.Sprintf("tls-ca-%d", try), "etcd.tls.svc", fmt.Sprintf("etcd-%d.tls.svc", try),
		"name: apisix,", fmt.Sprintf("name: apisix-%d,", try%3)).Replace(string(data))
	if err := os.WriteFile(filepath.Join(work, "changed.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkKilled checks what a killed process left.
func checkKilled(t *testing.T, work string, next [][]string) {
	t.Helper()
	dir := filepath.Join(work, "pki")
	if _, err := os.Stat(dir); err == nil {
		if _, stderr, code := mtlsctl(t, work, "list"); code != 0 {
			t.Fatalf("list, after a kill: %s", stderr)
		}
		checkAllOnRecord(t, work)
	} else if next == nil {
		next = [][]string{{"init-ca"}}
	}
	// The next command that writes puts everything into order.
	if next == nil {
		next = [][]string{{"issue", "client", "next", "--force"}}
	}
	for _, args := range next {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Fatalf("mtlsctl %v, after a kill: %d %s", args, code, stderr)
		}
	}
	if err := checkConsistent(dir); err != nil {
		t.Fatal(err)
	}
}

// checkAllOnRecord looks for a certificate, wherever it is, that the ledger lacks.
func checkAllOnRecord(t *testing.T, work string) {
	t.Helper()
	entries, err := readLedger(filepath.Join(work, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for _, e := range entries {
		recorded[e.Serial] = true
	}
	err = filepath.WalkDir(work, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		certs, err := certificatesIn(path)
		staged := strings.Contains(path, ".staging")
		if staged && errors.Is(err, pki.ErrNoCertificate) {
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

// certificatesIn returns the certificates in a file of a PKI directory, or in a
// Secret that apply wrote.
func certificatesIn(path string) ([]*x509.Certificate, error) {
	secret := filepath.Base(filepath.Dir(path)) == "secrets" && filepath.Ext(path) == ".yaml"
	if !secret && filepath.Ext(path) != ".crt" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !secret {
		return pki.ParseCertificates(data)
	}
	answers, err := readAnswers(data)
	if err != nil {
		return nil, err
	}
	var chains []byte
	for i := range answers {
		chains = append(chains, answers[i].Data["tls.crt"]...)
	}
	return pki.ParseCertificates(chains)
}

func serial(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }
