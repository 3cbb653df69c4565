package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk is a file system with little room, in memory.
type disk struct {
	dir    string
	shared bool // and has room for many names
}

// sharedDisk is held by the test that has the one disk there is.
var sharedDisk sync.Mutex

// envNamespace is set in the process that has namespaces of its own, where
// everybody may mount.
const envNamespace = "MTLSCTL_TEST_NAMESPACE"

const diskOptions = "size=1m,nr_inodes=400,mode=700"

// mount makes a disk of its own for a test.
func mount(t *testing.T) (*disk, error) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, diskOptions); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return &disk{dir: dir}, nil
}

// smallDisk makes a disk: by mounting it, or else out of what a container has for
// shared memory.
func smallDisk(t *testing.T) *disk {
	t.Helper()
	d, mountErr := mount(t)
	if mountErr == nil {
		return d
	}
	var st unix.Statfs_t
	const small = 128 << 20 // more would take memory that others want
	if err := unix.Statfs(sharedMemory, &st); err == nil && st.Type == unix.TMPFS_MAGIC && int64(st.Blocks)*st.Bsize <= small {
		if dir, err := os.MkdirTemp(sharedMemory, "mtlsctl-test"); err == nil {
			sharedDisk.Lock()
			t.Cleanup(func() {
				defer sharedDisk.Unlock()
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			return &disk{dir, true}
		}
	}
	why := fmt.Sprintf("no small disk to be had: mounting one: %v; %s has over %d bytes, or is not there", mountErr, sharedMemory, small)
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
	return nil
}

const sharedMemory = "/dev/shm"

// inNamespace runs the test anew in namespaces of its own, and reports whether
// that was possible.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envNamespace) != "" {
		return false
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(test string) ([]byte, error) {
		c := exec.Command(exe, "-test.run=^"+test+"$", "-test.v")
		c.Env = append(os.Environ(), envNamespace+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		return c.CombinedOutput()
	}
	if out, err := run("TestMount"); err != nil || bytes.Contains(out, []byte("SKIP")) {
		return false
	}
	out, err := run(t.Name())
	t.Logf("in a namespace: %v\n%s", err, out)
	if err != nil {
		t.Fail()
	}
	return true
}

// TestMount says whether a disk can be mounted.
func TestMount(t *testing.T) {
	if _, err := mount(t); err != nil {
		t.Skip(err)
	}
}

// leave fills the disk up to some blocks and some files.
func (d *disk) leave(t *testing.T, blocks, files int) {
	t.Helper()
	ballast := filepath.Join(d.dir, "ballast")
	if err := os.RemoveAll(ballast); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(ballast, 0o700); err != nil {
		t.Fatal(err)
	}
	if files >= 0 {
		for i := 0; d.free(t).Ffree > uint64(files); i++ {
			if err := os.WriteFile(filepath.Join(ballast, fmt.Sprint(i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	name := filepath.Join(ballast, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	st := d.free(t)
	if n := int64(st.Bavail) - int64(blocks); n > 0 {
		err = unix.Fallocate(int(f.Fd()), 0, 0, n*st.Bsize)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if st := d.free(t); int(st.Bavail) != blocks {
		t.Fatalf("%d blocks are free, not %d", st.Bavail, blocks)
	}
}

func (d *disk) free(t *testing.T) (st unix.Statfs_t) {
	t.Helper()
	if err := unix.Statfs(d.dir, &st); err != nil {
		t.Fatal(err)
	}
	return st
}

// empty takes the ballast away.
func (d *disk) empty(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(d.dir, "ballast")); err != nil {
		t.Fatal(err)
	}
}

// withoutJournal is a tree without what SQLite left of a transaction that it
// undid.
func withoutJournal(tree map[string]string) map[string]string {
	tree = maps.Clone(tree)
	delete(tree, "pki/ledger.db-journal")
	return tree
}

// TestFullDisk fills a disk so far that a command fails at each of its writes in
// turn, first those of blocks, then those of names. Whatever failed, the PKI
// directory opens and holds together; what was not on record has left no trace;
// and the same command again, with room, gets what it wanted.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := mount(t); err != nil && inNamespace(t) {
		return
	}
	for name, tt := range map[string]struct {
		setup [][]string
		run   []string
		again []string // after an error that says it is on record
		steps bool     // what was made before the error stays, and run goes on from there
		made  string   // what there is in the end
	}{
		"issue": {
			setup: [][]string{{"init-ca"}},
			run:   []string{"issue", "server", "a.example.com"},
			again: []string{"issue", "server", "a.example.com", "--if-missing"},
			made:  "pki/certificates/a.example.com/tls.crt",
		},
		"issue, and the ledger grows": {
			setup: [][]string{{"init-ca"}},
			run:   append([]string{"issue", "server", "a.example.com"}, manyNames()...),
			again: append([]string{"issue", "server", "a.example.com", "--if-missing"}, manyNames()...),
			made:  "pki/certificates/a.example.com/tls.crt",
		},
		"replace": {
			setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}},
			run:   []string{"issue", "server", "a.example.com", "10.0.0.7", "--force"},
			again: []string{"issue", "server", "a.example.com", "10.0.0.7", "--if-missing"},
			made:  "pki/certificates/a.example.com/tls.crt",
		},
		"init-ca": {
			run:   []string{"init-ca", "--crl-url", "http://pki.example.com/{authority}.crl"},
			again: []string{"init-ca", "--crl-url", "http://pki.example.com/{authority}.crl", "--if-missing"},
			made:  "pki/authorities/issuing/tls.crt",
		},
		"init-ca, the key elsewhere": {
			run:   []string{"init-ca", "--root-key-out", "WORK/root.key"},
			again: []string{"init-ca", "--root-key-out", "WORK/root.key", "--if-missing"},
			made:  "root.key",
		},
		"init-ca name": {
			setup: [][]string{{"init-ca"}},
			run:   []string{"init-ca", "more", "--parent", "root", "--default", "--crl-url", "http://pki.example.com/{authority}.crl"},
			again: []string{"init-ca", "more", "--parent", "root", "--if-missing"},
			made:  "pki/authorities/more/tls.crt",
		},
		"export pem": {
			setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}},
			run:   []string{"export", "pem", "a.example.com", "--out", "WORK/etc/tls"},
			made:  "etc/tls/tls.key",
		},
		"export p12": {
			setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}},
			run:   []string{"export", "p12", "a.example.com", "--out", "WORK/p12/a.p12", "--password-out", "WORK/passwords/a"},
			made:  "p12/a.p12",
		},
		"export kubeconfig --merge": {
			setup: [][]string{{"init-ca", "--key", "rsa-2048"}, {"issue", "client", "b", "--key", "rsa-2048"}}, // of several blocks
			run:   []string{"export", "kubeconfig", "b", "--server", "https://10.0.0.1:6443", "--merge", "WORK/kube/config"},
			made:  "kube/config",
		},
		"kubeadm": {
			run:   kubeadmTree,
			steps: true,
			made:  "cp1/pki/etcd/peer.key",
		},
		"apply": {
			run:   []string{"apply", "-f", smallManifest, "--out", "WORK/secrets"},
			steps: true,
			made:  "secrets/tls.etcd-secret.yaml",
		},
		"apply, and one changes": {
			setup: [][]string{{"apply", "-f", smallManifest}, {"revoke", "tls/etcd"}},
			run:   []string{"apply", "-f", smallManifest, "--out", "WORK/secrets"},
			steps: true,
			made:  "secrets/tls.etcd-secret.yaml",
		},
	} {
		for _, of := range []string{"blocks", "files"} {
			t.Run(name+"/"+of, func(t *testing.T) {
				t.Parallel()
				d := smallDisk(t)
				if d.shared && of == "files" {
					t.Skip("the disk has room for more files than can be made here")
				}
				template := t.TempDir()
				for _, args := range tt.setup {
					if _, stderr, code := mtlsctl(t, template, args...); code != 0 {
						t.Fatalf("mtlsctl %v: %s", args, stderr)
					}
				}
				fails, stride := 0, 1
				if tt.run[0] == "kubeadm" && os.Getenv(envStress) == "" { // it writes so much
					stride = 5
				}
				for level := 0; ; level += stride {
					work := filepath.Join(d.dir, "work")
					if out, err := exec.Command("cp", "-a", template, work).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
					if of == "blocks" {
						d.leave(t, level, -1)
					} else {
						d.leave(t, -1, level)
					}
					done := failsWell(t, d, work, tt.run, tt.again, tt.steps, tt.made)
					d.empty(t)
					if err := os.RemoveAll(work); err != nil {
						t.Fatal(err)
					}
					if done {
						break
					}
					if fails++; fails > 200 {
						t.Fatal("it fails with room, too")
					}
				}
				if fails < 2 {
					t.Errorf("it failed at %d levels only: is the disk small?", fails)
				}
				t.Logf("failed at %d levels of free %s", fails, of)
			})
		}
	}
}

// manyNames make a certificate of several blocks.
func manyNames() (names []string) {
	for i := range 600 {
		names = append(names, fmt.Sprintf("service-%d.example.com", i))
	}
	return names
}

// failsWell runs a command on a disk that is nearly full, and returns whether
// that was enough for it.
func failsWell(t *testing.T, d *disk, work string, run, again []string, steps bool, made string) (done bool) {
	t.Helper()
	before, err := fingerprint(work)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := mtlsctl(t, work, run...)
	if code == 0 {
		if err := checkConsistent(filepath.Join(work, "pki")); err != nil {
			t.Error(err)
		}
		return true
	}
	if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "mtlsctl: ") || strings.Count(stderr, "\n") != 2 ||
		!strings.Contains(stderr, "no space left on device") && !strings.Contains(stderr, "the disk is full") {
		t.Errorf("status %d, stdout %q, stderr:\n%s", code, stdout, stderr)
	}
	unfinished := strings.Contains(stderr, "signed and in the ledger")
	if steps && !strings.Contains(stderr, "run the same command again") && !strings.Contains(stderr, "the same command writes what is missing") {
		t.Errorf("the hint is another:\n%s", stderr)
	}
	if !steps && !unfinished && !strings.Contains(stderr, "hint: nothing was made; make room and run the same command again\n") {
		t.Errorf("the hint is another:\n%s", stderr)
	}
	if !steps && !unfinished {
		after, err := fingerprint(work)
		if err != nil {
			t.Fatal(err)
		}
		if changes := difference(withoutJournal(before), withoutJournal(after)); len(changes) > 0 {
			t.Errorf("after\n%sthis changed:\n  %s", stderr, strings.Join(changes, "\n  "))
		}
	}
	if _, err := os.Stat(filepath.Join(work, "pki")); err == nil {
		if _, stderr, code := mtlsctl(t, work, "list"); code != 0 {
			t.Errorf("list, while the disk is full: %s", stderr)
		}
	}
	d.empty(t)
	if unfinished && !steps {
		run = again
	}
	if _, stderr, code := mtlsctl(t, work, run...); code != 0 {
		t.Errorf("with room, mtlsctl %v: %s", run, stderr)
	}
	if err := checkConsistent(filepath.Join(work, "pki")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(work, made)); err != nil {
		t.Error(err)
	}
	return false
}
