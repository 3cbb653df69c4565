package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// enoughKills is how often TestKilledAtEachWrite kills, at the least.
const enoughKills = 500

// killStride is the distance of the writes that it kills at if it is not to kill
// at each.
const killStride = 23

// TestKilledAtEachWrite kills commands as they begin each call that changes
// something on the disk, in turn, and as they print. Whatever the call, the PKI
// directory opens, every file is whole, no certificate is anywhere that the ledger
// lacks, and no CRL went back; and the same command again comes to its end and
// leaves everything in order. `make stress` has it do so at each write, and any
// other run at some.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	first, stride := killStride/2, killStride
	if os.Getenv(envStress) != "" {
		first, stride = 1, 1
	}
	var kills atomic.Int64
	t.Run("kill", func(t *testing.T) {
		for name, tt := range killPoints {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// The ledger has the paths of what was exported: all is done in one.
				work := filepath.Join(t.TempDir(), "work")
				if err := os.Mkdir(work, 0o700); err != nil {
					t.Fatal(err)
				}
				for _, args := range tt.setup {
					if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
						t.Fatalf("mtlsctl %v: %s", args, stderr)
					}
				}
				changeManifest(t, work, 1)
				template := filepath.Join(t.TempDir(), "template")
				if err := os.Rename(work, template); err != nil {
					t.Fatal(err)
				}
				n, stride := first, stride
				if tt.run[0] == "kubeadm" && stride > 1 { // it writes so much
					stride *= 4
				}
				for ; killedAt(t, template, work, &tt, n); n += stride {
					if kills.Add(1); n > 2000 {
						t.Fatal("it writes without an end")
					}
				}
				if n <= killStride/2 {
					t.Errorf("it was done before its write %d: does it write nothing?", n)
				}
				t.Logf("it was done before its write %d", n)
			})
		}
	})
	n := kills.Load()
	t.Logf("%d kills", n)
	if n > 0 && n < enoughKills && stride == 1 && !t.Failed() {
		t.Errorf("%d kills, not %d", n, enoughKills)
	}
}

// A killPoint is a command to kill.
type killPoint struct {
	setup [][]string
	run   []string
	again []string // completes it; empty: run
	// done is the error of run if it was done when it was killed.
	done  string
	lock  string     // a file that a killed one leaves, and that its user removes
	check [][]string // holds in the end, with the exit status 0
}

// kubeadmTree is the command of a tree; the same again has nothing to do.
var kubeadmTree = []string{
	"kubeadm", "WORK/cp1", "--node", "cp1", "--advertise-address", "10.0.0.11", "--kubernetes-version", "1.36.1",
}

var killPoints = map[string]killPoint{
	"issue": {
		setup: [][]string{{"init-ca"}},
		run:   []string{"issue", "server", "a.example.com"},
		again: []string{"issue", "server", "a.example.com", "--if-missing"},
		check: [][]string{{"export", "pem", "a.example.com", "--out", "WORK/out"}},
	},
	"issue --force": {
		setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}},
		run:   []string{"issue", "server", "a.example.com", "10.0.0.7", "--force"},
		check: [][]string{{"issue", "server", "a.example.com", "10.0.0.7", "--if-missing"}},
	},
	"issue --out": {
		setup: [][]string{{"init-ca"}},
		run:   []string{"issue", "server", "a.example.com", "--out", "WORK/out"},
		again: []string{"issue", "server", "a.example.com", "--out", "WORK/out", "--if-missing"},
		check: [][]string{{"show", "WORK/out/tls.crt"}, {"show", "WORK/out/tls.key"}},
	},
	"init-ca": {
		run:   []string{"init-ca", "--crl-url", "http://pki.example.com/{authority}.crl"},
		again: []string{"init-ca", "--crl-url", "http://pki.example.com/{authority}.crl", "--if-missing"},
	},
	"init-ca, the key elsewhere": {
		run:   []string{"init-ca", "--root-key-out", "WORK/root.key"},
		again: []string{"init-ca", "--if-missing"},
		check: [][]string{{"crl", "root", "--ca-key", "WORK/root.key"}},
	},
	"passwd": { // the first line of any file is a passphrase
		setup: [][]string{{"init-ca"}},
		run:   []string{"passwd", "issuing", "--new-passphrase-file", smallManifest},
		again: []string{"passwd", "issuing", "--passphrase-file", smallManifest, "--new-passphrase-file", smallManifest},
		check: [][]string{{"crl", "issuing", "--passphrase-file", smallManifest}},
	},
	"init-ca NAME": {
		setup: [][]string{{"init-ca"}},
		run:   []string{"init-ca", "more", "--parent", "root", "--default", "--crl-url", "http://pki.example.com/more.crl"},
		again: []string{"init-ca", "more", "--parent", "root", "--default", "--crl-url", "http://pki.example.com/more.crl", "--if-missing"},
		check: [][]string{{"issue", "client", "below", "--ca", "more"}},
	},
	"renew": {
		setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}, {"issue", "client", "b"}},
		run:   []string{"renew", "--all"},
	},
	"renew --revoke-old": {
		setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}, {"revoke", "a.example.com", "--reason", "certificateHold"}, {"issue", "client", "b"}},
		run:   []string{"renew", "b", "--revoke-old"},
	},
	"revoke": {
		setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}, {"issue", "client", "b"}, {"revoke", "b"}},
		run:   []string{"revoke", "a.example.com", "--reason", "keyCompromise"},
		done:  "is revoked already",
		check: [][]string{{"crl", "issuing"}},
	},
	"revoke two authorities'": {
		setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}, {"issue", "client", "b", "--ca", "root"}},
		run:   []string{"revoke", "a.example.com", "b"},
		done:  "is revoked already",
		check: [][]string{{"crl", "issuing"}, {"crl", "root"}},
	},
	"crl": {
		setup: [][]string{{"init-ca"}, {"issue", "client", "b"}, {"revoke", "b"}},
		run:   []string{"crl"},
	},
	"apply": {
		run:   []string{"apply", "-f", smallManifest, "--out", "WORK/secrets"},
		check: [][]string{{"apply", "-f", smallManifest, "--out", "WORK/secrets", "--dry-run", "--check"}},
	},
	"apply, and everything changes": {
		setup: [][]string{{"apply", "-f", smallManifest, "--quiet"}},
		run:   []string{"apply", "-f", "WORK/changed.yaml", "--prune", "--revoke"},
		check: [][]string{{"apply", "-f", "WORK/changed.yaml", "--prune", "--dry-run", "--check"}},
	},
	"kubeadm": {
		run: kubeadmTree,
	},
	"kubeadm, and something is due": {
		setup: [][]string{kubeadmTree, {"revoke", "cp1/scheduler.conf", "cp1/etcd-peer"}, {"renew", "cp1/apiserver"}},
		run:   kubeadmTree,
	},
	"kubeadm, a further name": {
		setup: [][]string{kubeadmTree},
		run:   append(kubeadmTree[:len(kubeadmTree):len(kubeadmTree)], "--api-server-san", "api.example.com"),
	},
	"kubeadm --external-ca": {
		setup: [][]string{kubeadmTree},
		run:   append(kubeadmTree[:len(kubeadmTree):len(kubeadmTree)], "--external-ca"),
	},
	"export --for --out": {
		setup: [][]string{{"init-ca"}, {"issue", "server", "a.example.com"}},
		run:   []string{"export", "a.example.com", "--for", "postgres", "--out", "WORK/out"},
		again: []string{"export", "a.example.com", "--for", "postgres", "--out", "WORK/out", "--force"},
		check: [][]string{{"show", "WORK/out/server.crt"}, {"show", "WORK/out/root.crt"}},
	},
	"export kubeconfig --merge": {
		setup: [][]string{
			{"init-ca"}, {"issue", "client", "alice"}, {"issue", "client", "bob"},
			{"export", "kubeconfig", "alice", "--server", "https://10.0.0.1:6443", "--merge", "WORK/merged.kubeconfig"},
		},
		run:  []string{"export", "kubeconfig", "bob", "--cluster", "kubernetes", "--merge", "WORK/merged.kubeconfig"},
		lock: "WORK/merged.kubeconfig.lock",
	},
	"renew --export": {
		setup: [][]string{
			{"init-ca"}, {"issue", "server", "a.example.com"},
			{"export", "a.example.com", "--for", "haproxy", "--out", "WORK/out"},
		},
		run:   []string{"renew", "a.example.com", "--export"},
		check: [][]string{{"show", "WORK/out/a.example.com.pem"}},
	},
}

// killedAt runs a command in a copy of template, kills it at its nth write, and
// checks what it left. It returns false if the command was done before.
func killedAt(t *testing.T, template, work string, tt *killPoint, n int) bool {
	t.Helper()
	if out, err := exec.Command("cp", "-a", template, work).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer func() {
		if err := os.RemoveAll(work); err != nil {
			t.Error(err)
		}
	}()
	before := crlNumbers(t, work)
	call, killed, err := runAndKill(t, work, n, tt.run)
	if errors.Is(err, errNoTrace) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("mtlsctl %v: %v", tt.run, err)
	}
	where := fmt.Sprintf("killed at write %d, %s: ", n, call)
	dir := filepath.Join(work, "pki")
	if _, err := os.Stat(dir); err == nil {
		if _, stderr, code := mtlsctl(t, work, "list"); code != 0 {
			t.Fatalf("%slist: %s", where, stderr)
		}
		checkAllOnRecord(t, work)
	}
	if err := errors.Join(checkWhole(work), checkTrees(work, false)); err != nil {
		t.Errorf("%s%v", where, err)
	}
	after := crlNumbers(t, work)
	checkNotBack(t, where, before, after)
	if killed {
		if tt.lock != "" {
			if err := os.Remove(strings.ReplaceAll(tt.lock, "WORK", work)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		again := tt.again
		if again == nil {
			again = tt.run
		}
		_, stderr, code := mtlsctl(t, work, again...)
		if code != 0 && (tt.done == "" || code != 1 || !strings.Contains(stderr, tt.done)) {
			t.Errorf("%smtlsctl %v: %d %s", where, again, code, stderr)
		}
	}
	for _, args := range tt.check {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Errorf("%smtlsctl %v: %d %s", where, args, code, stderr)
		}
	}
	if err := errors.Join(checkConsistent(dir), checkWhole(work), checkTrees(work, true)); err != nil {
		t.Errorf("%s%v", where, err)
	}
	checkNotBack(t, where, after, crlNumbers(t, work))
	return killed
}

// checkNotBack compares the numbers of CRLs with those from before.
func checkNotBack(t *testing.T, where string, before, after map[string]int64) {
	t.Helper()
	for authority, n := range before {
		if after[authority] < n {
			t.Errorf("%sthe CRL of %s went back from %d to %d", where, authority, n, after[authority])
		}
	}
}

// errNoTrace says that this system lets nobody trace.
var errNoTrace = errors.New("no process may be traced here")

// writes are the calls that change something on the disk.
var writes = func() map[uint64]string {
	all := map[uint64]string{
		unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_WRITEV: "writev", unix.SYS_OPENAT: "openat",
		unix.SYS_MKDIRAT: "mkdirat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_LINKAT: "linkat", unix.SYS_SYMLINKAT: "symlinkat",
		unix.SYS_RENAMEAT2: "renameat2", unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_FALLOCATE: "fallocate",
		unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync",
	}
	// What newer systems have no more, and SQLite calls.
	if runtime.GOARCH == "amd64" {
		maps.Copy(all, map[uint64]string{76: "truncate", 82: "rename", 83: "mkdir", 84: "rmdir", 86: "link", 87: "unlink", 88: "symlink", 90: "chmod", 264: "renameat"})
	}
	return all
}()

// A syscallInfo is struct ptrace_syscall_info of Linux, at the entry of a call.
type syscallInfo struct {
	op   uint8 // 1 is an entry
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64
	args [6]uint64
}

const (
	ptraceGetSyscallInfo = 0x420e
	syscallEntry         = 1
	syscallStop          = unix.SIGTRAP | 0x80
)

// runAndKill runs mtlsctl and kills it where it begins its nth write; nothing of
// that write is done. It returns the call, and false if the command was done
// before.
func runAndKill(t *testing.T, work string, n int, args []string) (call string, killed bool, err error) {
	t.Helper()
	c := exec.Command("mtlsctl", "--pki", filepath.Join(work, "pki"))
	if c.Err != nil {
		return "", false, c.Err
	}
	for _, a := range args {
		c.Args = append(c.Args, strings.ReplaceAll(a, "WORK", work))
	}
	var output *os.File
	if output, err = os.CreateTemp(t.TempDir(), "output"); err != nil {
		return "", false, err
	}
	defer output.Close() //nolint:errcheck // it was read
	type result struct {
		call   string
		killed bool
		err    error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // a process is traced by a thread; this one ends with it
		call, killed, err := trace(c.Path, c.Args, output, n)
		done <- result{call, killed, err}
	}()
	r := <-done
	if r.err != nil && !errors.Is(r.err, errNoTrace) {
		text, _ := os.ReadFile(output.Name())
		r.err = fmt.Errorf("%w: %s", r.err, bytes.TrimSpace(text))
	}
	return r.call, r.killed, r.err
}

func trace(path string, args []string, output *os.File, n int) (call string, killed bool, err error) {
	p, err := os.StartProcess(path, args, &os.ProcAttr{
		Env:   append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339)),
		Files: []*os.File{nil, output, output},
		// A group of its own keeps the wait below from other tests' processes.
		Sys: &unix.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if errors.Is(err, unix.EPERM) {
		return "", false, errNoTrace
	}
	if err != nil {
		return "", false, err
	}
	defer p.Release() //nolint:errcheck // it is waited for here
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != nil {
		return "", false, err
	}
	if err := unix.PtraceSetOptions(p.Pid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		return "", false, fmt.Errorf("%w: %w", errNoTrace, err)
	}
	goOn := func(tid, signal int) error {
		if err := unix.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		return nil
	}
	if err := goOn(p.Pid, 0); err != nil {
		return "", false, err
	}
	threads := map[int]bool{p.Pid: true}
	for {
		tid, err := unix.Wait4(-p.Pid, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return "", false, err
		case status.Exited() && tid == p.Pid:
			if status.ExitStatus() != 0 {
				err = fmt.Errorf("exit status %d", status.ExitStatus())
			}
			return "", false, err
		case status.Signaled() && tid == p.Pid:
			return call, true, nil
		case !status.Stopped():
			continue
		}
		signal := 0
		switch status.StopSignal() {
		case syscallStop:
			if name := writeOf(tid); name != "" && !killed {
				if n--; n == 0 {
					call, killed = name, true
					if err := unix.Kill(p.Pid, unix.SIGKILL); err != nil {
						return "", false, err
					}
				}
			}
		case unix.SIGTRAP: // a thread was made
		case unix.SIGSTOP: // it begins so
			if threads[tid] {
				signal = int(unix.SIGSTOP)
			}
		default:
			signal = int(status.StopSignal())
		}
		threads[tid] = true
		if err := goOn(tid, signal); err != nil {
			return "", false, err
		}
	}
}

// writeOf returns the call that a thread begins, with its file, if it is one of
// writes.
func writeOf(tid int) string {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	name := writes[info.nr]
	if errno != 0 || info.op != syscallEntry || name == "" {
		return ""
	}
	switch name {
	case "openat":
		if info.args[2]&unix.O_CREAT == 0 {
			return ""
		}
	case "write", "pwrite64", "writev", "ftruncate", "fallocate", "fchmod", "fsync", "fdatasync":
		file, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, info.args[0]))
		if err != nil || strings.HasPrefix(file, "anon_inode:") { // Go wakes itself up so
			return ""
		}
		return name + " " + file
	}
	return name
}

// checkWhole finds files of a killed process that are not whole: each key and
// each CRL outside of the staging folder can be read, and each key is the one of
// the certificate beside it.
func checkWhole(work string) error {
	var errs []error
	walk := filepath.WalkDir(work, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if err == nil && e.Name() == ".staging" {
				return fs.SkipDir
			}
			return err
		}
		if e.Name() == "tls.key" {
			err = checkPair(path)
		}
		if e.Name() == "crl.pem" {
			_, err = crlNumber(path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is not whole: %w", path, err))
		}
		return nil
	})
	return errors.Join(append(errs, walk)...)
}
