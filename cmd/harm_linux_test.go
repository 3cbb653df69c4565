package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// harmSetup is what the PKI directories have that come to harm here.
var harmSetup = [][]string{
	{"apply", "-f", smallManifest}, {"init-ca"}, {"issue", "server", "a.example.com"}, {"issue", "client", "b"}, {"revoke", "b"},
}

// writers are commands that write to such a directory.
var writers = [][]string{
	{"issue", "server", "c.example.com"},
	{"issue", "server", "a.example.com", "--force"},
	{"renew", "a.example.com"},
	{"renew", "tls/etcd"},
	{"revoke", "a.example.com"},
	{"crl", "issuing"},
	{"init-ca", "more", "--parent", "root", "--default"},
	{"apply", "-f", "WORK/changed.yaml"},
}

// readers are commands that only read.
var readers = [][]string{
	{"list"}, {"list", "--history"}, {"tree"}, {"show", "a.example.com"}, {"log"},
	{"issue", "server", "c.example.com", "--dry-run"}, {"apply", "-f", "WORK/changed.yaml", "--dry-run"},
}

func harmed(t *testing.T) (work string) {
	t.Helper()
	work = t.TempDir()
	for _, args := range harmSetup {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Fatalf("mtlsctl %v: %s", args, stderr)
		}
	}
	changeManifest(t, work, 1)
	return work
}

// checkSaysNo checks that a command said no: with one error, a next step, and
// without having changed anything.
func checkSaysNo(t *testing.T, work string, before map[string]string, args []string, stdout, stderr string, code int, want string) {
	t.Helper()
	if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "mtlsctl: ") || strings.Count(stderr, "\n") != 2 ||
		!strings.Contains(stderr, "\nhint: ") || !strings.Contains(stderr, want) {
		t.Errorf("mtlsctl %v: status %d, stdout %q, stderr\n%swhich lacks %q, or is not one error and its hint", args, code, stdout, stderr, want)
	}
	after, err := fingerprint(work)
	if err != nil {
		t.Fatal(err)
	}
	delete(after, "pki/.staging/keys") // until the next one cleans up
	if changes := difference(before, after); len(changes) > 0 {
		t.Errorf("mtlsctl %v changed:\n  %s", args, strings.Join(changes, "\n  "))
	}
}

// TestReadOnlyFileSystem mounts a PKI directory so that nobody may write to it:
// what reads works, and what writes says so and changes nothing.
func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	if _, err := mount(t); err != nil && inNamespace(t) {
		return
	}
	work := harmed(t)
	if err := unix.Mount(work, work, "", unix.MS_BIND, ""); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(work, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", work, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	before, err := fingerprint(work)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range readers {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Errorf("mtlsctl %v: %d %s", args, code, stderr)
		}
	}
	tree := slices.Clone(kubeadmTree)
	tree[1] = filepath.Join(t.TempDir(), "cp1")
	for _, args := range append(slices.Clone(writers), kubeadmTree, tree,
		[]string{"export", "pem", "a.example.com", "--out", "WORK/out"},
		[]string{"export", "kubeconfig", "b", "--server", "https://10.0.0.1:6443", "--merge", "WORK/config"},
	) {
		stdout, stderr, code := mtlsctl(t, work, args...)
		checkSaysNo(t, work, before, args, stdout, stderr, code, "read-only file system")
	}
	if _, stderr, code := mtlsctl(t, work, "export", "pem", "a.example.com", "--out", filepath.Join(t.TempDir(), "out")); code != 0 {
		t.Errorf("export, to elsewhere: %s", stderr)
	}
}

// TestNoLocks is a file system without locks, as NFS can be: what writes says so
// and changes nothing.
func TestNoLocks(t *testing.T) {
	t.Parallel()
	strace, ok := pkitest.LookProgram("strace")
	if !ok {
		if os.Getenv("CI") == "true" {
			t.Fatal("the program strace is missing, and CI must have it: see .ci/run")
		}
		t.Skip("the program strace is missing")
	}
	work := harmed(t)
	before, err := fingerprint(work)
	if err != nil {
		t.Fatal(err)
	}
	lock, ledger := filepath.Join(work, "pki", ".lock"), filepath.Join(work, "pki", "ledger.db")
	for _, args := range writers {
		for _, tt := range []struct{ fails, want string }{
			{"flock:error=ENOLCK", "no locks available"},
			{"flock:error=EOPNOTSUPP", "operation not supported"},
		} {
			stdout, stderr, code := straced(t, strace, work, lock, tt.fails, args)
			checkSaysNo(t, work, before, args, stdout, stderr, code, lock+": the file system cannot lock: "+tt.want)
		}
	}
	for _, args := range readers {
		if _, stderr, code := straced(t, strace, work, lock, "flock:error=ENOLCK", args); code != 0 {
			t.Errorf("mtlsctl %v: %d %s", args, code, stderr)
		}
	}
	// SQLite has locks of its own.
	for _, args := range [][]string{{"list"}, {"issue", "server", "c.example.com"}} {
		stdout, stderr, code := straced(t, strace, work, ledger, "fcntl:error=EOPNOTSUPP", args)
		checkSaysNo(t, work, before, args, stdout, stderr, code, ledger+": the ledger cannot be locked")
	}
	for _, args := range writers {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Errorf("with locks, mtlsctl %v: %s", args, stderr)
		}
	}
	if err := checkConsistent(filepath.Join(work, "pki")); err != nil {
		t.Error(err)
	}
}

// straced runs mtlsctl where a system call fails for a file.
func straced(t *testing.T, strace, work, file, fails string, args []string) (stdout, stderr string, code int) {
	t.Helper()
	call, _, _ := strings.Cut(fails, ":")
	c := exec.Command(strace, "-f", "-qqq", "-P", file, "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+fails,
		"mtlsctl", "--pki", filepath.Join(work, "pki"))
	for _, a := range args {
		c.Args = append(c.Args, strings.ReplaceAll(a, "WORK", work))
	}
	c.Env = append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339))
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// TestTornDatabase damages the ledger and the keys: what needs them says so,
// once, and changes nothing.
func TestTornDatabase(t *testing.T) {
	t.Parallel()
	template := harmed(t)
	needKeys := [][]string{{"renew", "tls/etcd"}, {"apply", "-f", "WORK/changed.yaml"}, {"export", "pem", "tls/etcd", "--out", "WORK/out"}}
	for name, tt := range map[string]struct {
		file string
		harm func([]byte) []byte
		run  [][]string
		want string
	}{
		"the ledger, garbage":       {"ledger.db", garbage(0, 4096), slices.Concat(writers, readers), "ledger.db: the ledger is damaged"},
		"the ledger, its first bit": {"ledger.db", garbage(0, 1), slices.Concat(writers, readers), "ledger.db: the ledger is damaged"},
		"the ledger, cut short":     {"ledger.db", func(b []byte) []byte { return b[:len(b)/2+100] }, writers, "ledger.db: the ledger is damaged"},
		"the ledger, cut to a page": {"ledger.db", func(b []byte) []byte { return b[:4096] }, slices.Concat(writers, readers), "ledger.db: the ledger is damaged"},
		"the ledger, its pages":     {"ledger.db", garbage(4096, 1<<30), slices.Concat(writers, readers), "the ledger is damaged"},
		"the ledger, empty":         {"ledger.db", func([]byte) []byte { return nil }, slices.Concat(writers, readers), "ledger.db: the ledger"},
		"the keys, garbage":         {"keys.db", garbage(0, 4096), needKeys, "keys.db: the file of keys is damaged"},
		"the keys, their pages":     {"keys.db", garbage(4096, 1<<30), needKeys, "keys.db: the file of keys is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := filepath.Join(t.TempDir(), "work")
			if out, err := exec.Command("cp", "-a", template, work).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			file := filepath.Join(work, "pki", tt.file)
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, tt.harm(bytes.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			before, err := fingerprint(work)
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range tt.run {
				stdout, stderr, code := mtlsctl(t, work, args...)
				checkSaysNo(t, work, before, args, stdout, stderr, code, tt.want)
			}
			// As it was, everything is there again.
			if err := os.WriteFile(file, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, stderr, code := mtlsctl(t, work, "issue", "server", "c.example.com"); code != 0 {
				t.Error(stderr)
			}
			if err := checkConsistent(filepath.Join(work, "pki")); err != nil {
				t.Error(err)
			}
		})
	}
}

// garbage writes nonsense over n bytes of a file, as many as there are.
func garbage(from, n int) func([]byte) []byte {
	return func(b []byte) []byte {
		for i := from; i < min(len(b), from+n); i++ {
			b[i] ^= 0xa5
		}
		return b
	}
}

// TestHotJournal kills a process in the midst of writing to the ledger, with the
// old pages in the journal: the next one, also one that only reads, has the
// ledger as it was. One whose journal is torn has that, too: what is not whole
// in it was not yet done to the ledger.
func TestHotJournal(t *testing.T) {
	t.Parallel()
	template := killedInLedger(t, harmed(t))
	for _, torn := range []bool{false, true} {
		for _, next := range append(readers[:5:5], writers[:4]...) {
			t.Run(fmt.Sprintf("%v/%v", torn, next), func(t *testing.T) {
				t.Parallel()
				work := filepath.Join(t.TempDir(), "work")
				if out, err := exec.Command("cp", "-a", template, work).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				journal := filepath.Join(work, "pki", "ledger.db-journal")
				if torn { // behind its last page
					data, err := os.ReadFile(journal)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(journal, append(data, "torn"...), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if _, stderr, code := mtlsctl(t, work, next...); code != 0 {
					t.Errorf("mtlsctl %v: %s", next, stderr)
				}
				if _, stderr, code := mtlsctl(t, work, "issue", "server", "d.example.com"); code != 0 {
					t.Error(stderr)
				}
				if err := checkConsistent(filepath.Join(work, "pki")); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// killedInLedger returns a copy in which a process was killed right after it
// began to write to the ledger itself.
func killedInLedger(t *testing.T, template string) string {
	t.Helper()
	for n := 1; n < 200; n++ {
		work := filepath.Join(t.TempDir(), "work")
		if out, err := exec.Command("cp", "-a", template, work).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		call, killed, err := runAndKill(t, work, n, []string{"revoke", "a.example.com"})
		if errors.Is(err, errNoTrace) && os.Getenv("CI") != "true" {
			t.Skip(err)
		}
		if err != nil || !killed {
			t.Fatal("the ledger was never written to", err)
		}
		// The journal is on the disk when the ledger is synced.
		if strings.HasPrefix(call, "fsync ") && strings.HasSuffix(call, "/ledger.db") || strings.HasPrefix(call, "fdatasync ") && strings.HasSuffix(call, "/ledger.db") {
			return work
		}
	}
	t.Fatal("the ledger was never synced")
	return ""
}
