package cmd

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// FuzzApplyDryRun gives apply whatever comes: it may refuse it, but must not
// panic, and --dry-run makes nothing, with an authority to stand in or without a
// PKI directory at all.
func FuzzApplyDryRun(f *testing.F) {
	files, err := filepath.Glob("../testdata/manifests/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no manifests to begin with: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	pki := filepath.Join(f.TempDir(), "pki")
	if code := Main(context.Background(), []string{"--pki", pki, "init-ca", "--quiet"}, testEnv(new(bytes.Buffer), new(bytes.Buffer))); code != 0 {
		f.Fatal("no CA to stand in")
	}
	ledger := filepath.Join(pki, "ledger.db")
	before, err := os.ReadFile(ledger)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		none := filepath.Join(t.TempDir(), "pki")
		for _, args := range [][]string{
			{"--pki", none, "apply", "-f", "-", "--dry-run"},
			{"--pki", pki, "apply", "-f", "-", "--dry-run", "--check", "--prune", "--json", "--issuer", "letsencrypt=issuing", "--out", filepath.Join(none, "out")},
		} {
			var out, errs bytes.Buffer
			env := testEnv(&out, &errs)
			env.Stdin = bytes.NewReader(data)
			code := Main(context.Background(), args, env)
			if code != exitDone && code != exitFailed && code != exitNo {
				t.Errorf("%v: exit status %d: %s", args, code, errs.String())
			}
			if code == exitFailed && errs.Len() == 0 {
				t.Errorf("%v failed and says nothing", args)
			}
		}
		if _, err := os.Lstat(none); !errors.Is(err, fs.ErrNotExist) {
			t.Error("a dry run has made something")
		}
		if after, err := os.ReadFile(ledger); err != nil || !bytes.Equal(before, after) {
			t.Errorf("a dry run has changed the ledger: %v", err)
		}
	})
}
