package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/pki"
)

// checkTrees finds keys outside of the PKI directory that are not whole, or that
// others may read, and kubeconfigs that are not whole. Where everything is done, a
// key is that of the certificate beside it.
func checkTrees(work string, done bool) error {
	var errs []error
	walk := filepath.WalkDir(work, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (path == filepath.Join(work, "pki") || atomicfile.IsTemp(path)): // or one that was to be it
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		if err := checkTreeFile(path, done); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		return nil
	})
	return errors.Join(append(errs, walk)...)
}

func checkTreeFile(path string, done bool) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	private := bytes.Contains(data, []byte("PRIVATE KEY")) || bytes.Contains(data, []byte("client-key-data"))
	if private && info.Mode().Perm() != 0o600 {
		return fmt.Errorf("it holds a key, and has mode %v", info.Mode())
	}
	base, isKey := strings.CutSuffix(path, ".key")
	switch ext := filepath.Ext(path); {
	case ext == ".conf" || ext == ".kubeconfig":
		var config struct {
			Users []struct {
				User struct {
					Key  []byte `json:"client-key-data"`
					Cert []byte `json:"client-certificate-data"`
				}
			}
		}
		if err := yaml.Unmarshal(data, &config); err != nil {
			return err
		}
		for _, u := range config.Users {
			if err := samePair(u.User.Cert, u.User.Key); err != nil {
				return err
			}
		}
		if len(config.Users) == 0 {
			return errors.New("it has no user")
		}
	case isKey && done && filepath.Base(base) != "sa" && filepath.Base(base) != "root": // which have no certificate beside them
		cert, err := os.ReadFile(base + ".crt")
		if err != nil {
			return err
		}
		return samePair(cert, data)
	case isKey:
		_, err := pki.ParseKey(data, nil)
		return err
	}
	return nil
}

// samePair checks that a key is that of a certificate.
func samePair(cert, key []byte) error {
	certs, err := pki.ParseCertificates(cert)
	if err != nil {
		return err
	}
	private, err := pki.ParseKey(key, nil)
	if err == nil && !pki.SamePublicKey(private.Public(), certs[0].PublicKey) {
		err = errors.New("it is the key of another certificate")
	}
	return err
}

// TestKubeconfigLock is the file that a killed program leaves beside a
// kubeconfig: who it stops is told what to do.
func TestKubeconfigLock(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	for _, args := range [][]string{{"init-ca"}, {"issue", "client", "alice"}} {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Fatalf("mtlsctl %v: %s", args, stderr)
		}
	}
	config := filepath.Join(work, "config")
	if err := os.WriteFile(config+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	merge := []string{"export", "kubeconfig", "alice", "--server", "https://10.0.0.1:6443", "--merge", config}
	stdout, stderr, code := mtlsctl(t, work, merge...)
	want := "mtlsctl: " + config + " is being changed by another program, such as kubectl\n" +
		"hint: try again; if no such program runs, one was killed: remove " + config + ".lock\n"
	if code != 1 || stdout != "" || stderr != want {
		t.Errorf("status %d, stdout %q, stderr\n%s", code, stdout, stderr)
	}
	if _, err := os.Stat(config); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the kubeconfig: %v", err)
	}
	if err := os.Remove(config + ".lock"); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := mtlsctl(t, work, merge...); code != 0 {
		t.Error(stderr)
	}
	if err := checkTrees(work, true); err != nil {
		t.Error(err)
	}
}

// TestKubeadmAtOnce runs the command for one tree many times at once, with
// something due: the tree has what the ledger has, and nobody takes it for
// another's.
func TestKubeadmAtOnce(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	run := func(args ...string) string {
		stdout, stderr, code := mtlsctl(t, work, args...)
		if code != 0 {
			t.Errorf("mtlsctl %v: %d %s", args, code, stderr)
		}
		return stdout
	}
	run(kubeadmTree...)
	for range 8 {
		run("revoke", "cp1/apiserver", "cp1/etcd-peer", "cp1/scheduler.conf")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { run(kubeadmTree...) })
		}
		wg.Wait()
		if again := run(kubeadmTree...); strings.Count(again, "  kept ") != 16 {
			t.Fatalf("it was not done:\n%s", again)
		}
		if err := errors.Join(checkTrees(work, true), checkConsistent(filepath.Join(work, "pki"))); err != nil {
			t.Fatal(err)
		}
	}
}
