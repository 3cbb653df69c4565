package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// A disk is a file system with little room, in memory.
type disk struct{ dir string }

// smallDisk makes a disk of its own for a test: as root by mounting it, else in
// a namespace of a process that keeps it, else out of what a container has for
// shared memory.
func smallDisk(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	mountErr := unix.Mount("tmpfs", dir, "tmpfs", 0, diskOptions)
	if mountErr == nil {
		t.Cleanup(func() {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return &disk{dir}
	}
	inside, namespaceErr := namespaceDisk(t, dir)
	if namespaceErr == nil {
		return &disk{inside}
	}
	var st unix.Statfs_t
	const small = 128 << 20 // more would take memory that others want
	if err := unix.Statfs("/dev/shm", &st); err == nil && st.Type == unix.TMPFS_MAGIC && int64(st.Blocks)*st.Bsize <= small {
		if dir, err := os.MkdirTemp("/dev/shm", "mtlsctl-test"); err == nil {
			t.Cleanup(func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			return &disk{dir}
		}
	}
	why := fmt.Sprintf("no small disk to be had: mounting one: %v; in a namespace: %v; /dev/shm has over %d bytes, or is not there", mountErr, namespaceErr, small)
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
	return nil
}

const diskOptions = "size=1m,nr_inodes=400,mode=700"

// keepDisk is the process that keeps a disk: the test binary again, in
// namespaces of its own. It ends when nobody holds its standard input any more.
func keepDisk() {
	must(unix.Mount("tmpfs", os.Args[1], "tmpfs", 0, diskOptions))
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	must(err)
	os.Exit(0)
}

// namespaceDisk returns the path by which this process sees the disk.
func namespaceDisk(t *testing.T, dir string) (string, error) {
	keeper := exec.Command("keep-disk", dir)
	keeper.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	in, err := keeper.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := keeper.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := keeper.Start(); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = keeper.Wait() // it has nothing to say any more
	})
	if line, err := io.ReadAll(io.LimitReader(out, int64(len("ready\n")))); err != nil || string(line) != "ready\n" {
		return "", errors.New("it cannot be mounted there either")
	}
	inside := filepath.Join("/proc", fmt.Sprint(keeper.Process.Pid), "root", dir)
	_, err = os.Stat(inside)
	return inside, err
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
		_, err = f.Write(make([]byte, n*st.Bsize))
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

// mtlsctl runs it as a process of its own. Its PKI directory is pki in the
// folder work, which stands for WORK in args, too: nobody can work in a folder
// of another namespace.
func mtlsctl(t *testing.T, work string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := exec.Command("mtlsctl", "--pki", filepath.Join(work, "pki"))
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
	for name, tt := range map[string]struct {
		setup [][]string
		run   []string
		again []string // after an error that says it is on record
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
	} {
		for _, of := range []string{"blocks", "files"} {
			t.Run(name+"/"+of, func(t *testing.T) {
				t.Parallel()
				d := smallDisk(t)
				fails := 0
				for level := 0; ; level++ {
					work := filepath.Join(d.dir, "work")
					if err := os.Mkdir(work, 0o700); err != nil {
						t.Fatal(err)
					}
					for _, args := range tt.setup {
						if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
							t.Fatalf("mtlsctl %v: %s", args, stderr)
						}
					}
					if of == "blocks" {
						d.leave(t, level, -1)
					} else {
						d.leave(t, -1, level)
					}
					done := failsWell(t, d, work, tt.run, tt.again, tt.made)
					d.empty(t)
					if err := os.RemoveAll(work); err != nil {
						t.Fatal(err)
					}
					if done {
						break
					}
					fails++
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
func failsWell(t *testing.T, d *disk, work string, run, again []string, made string) (done bool) {
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
	if !unfinished && !strings.Contains(stderr, "hint: nothing was made; make room and run the same command again\n") {
		t.Errorf("the hint is another:\n%s", stderr)
	}
	if !unfinished {
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
	if unfinished {
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
