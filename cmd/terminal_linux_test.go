package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
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

// A terminal is a pseudo-terminal with a command on it.
type terminal struct {
	t       *testing.T
	control *os.File
	screen  *os.File
	cmd     *exec.Cmd
	seen    bytes.Buffer
}

// onTerminal starts mtlsctl on a terminal of its own.
func onTerminal(t *testing.T, work string, args ...string) *terminal {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { _ = control.Close() })
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	c := exec.Command("mtlsctl", append([]string{"--pki", filepath.Join(work, "pki")}, args...)...)
	c.Env = append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339), "NO_COLOR=1")
	c.Stdin, c.Stdout, c.Stderr = screen, screen, screen
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return &terminal{t: t, control: control, screen: screen, cmd: c}
}

// expect reads until text is on the screen.
func (w *terminal) expect(text string) {
	w.t.Helper()
	if err := w.control.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !strings.Contains(w.seen.String(), text) {
		n, err := w.control.Read(buf)
		w.seen.Write(buf[:n])
		if err != nil {
			w.t.Fatalf("waiting for %q: %v; on the screen is:\n%s", text, err, w.seen.String())
		}
	}
}

func (w *terminal) enter(line string) {
	w.t.Helper()
	if _, err := w.control.WriteString(line + "\n"); err != nil {
		w.t.Fatal(err)
	}
}

// end waits for the command and returns its status and everything it wrote.
func (w *terminal) end() (code int, screen string) {
	w.t.Helper()
	err := w.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	// A mark of our own shows when all has been read.
	const mark = "-- that was all --"
	if _, err := w.screen.WriteString(mark); err != nil {
		w.t.Fatal(err)
	}
	w.expect(mark)
	return w.cmd.ProcessState.ExitCode(), strings.ReplaceAll(strings.TrimSuffix(w.seen.String(), mark), "\r\n", "\n")
}

// TestSecretsOnTerminal types passwords, which must not be seen, and looks at
// what is.
func TestSecretsOnTerminal(t *testing.T) {
	const secret = "correct horse battery staple"
	work := t.TempDir()
	for _, args := range [][]string{{"init-ca"}, {"issue", "client", "alice"}} {
		if _, stderr, code := mtlsctl(t, work, args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	out := filepath.Join(work, "alice.p12")

	w := onTerminal(t, work, "export", "p12", "alice", "--out", out, "--password-prompt")
	w.expect("Password for the file: ")
	if echoes(t, w.screen) {
		t.Error("what is typed is shown")
	}
	w.enter(secret)
	w.expect("Once more: ")
	w.enter(secret)
	code, screen := w.end()
	if code != 0 || strings.Contains(screen, "horse") {
		t.Errorf("status %d; on the screen is:\n%s", code, screen)
	}
	if !echoes(t, w.screen) {
		t.Error("the terminal stays without echo")
	}

	// One that was made is shown, once.
	code, screen = onTerminal(t, work, "export", "p12", "alice", "--out", out, "--force").end()
	if code != 0 || strings.Count(screen, "Password, shown only now: ") != 1 {
		t.Errorf("status %d; on the screen is:\n%s", code, screen)
	}

	if _, stderr, code := mtlsctl(t, work, "export", "pem", "alice", "--out", filepath.Join(work, "tls")); code != 0 {
		t.Fatal(stderr)
	}
	passphrase := filepath.Join(work, "passphrase")
	if err := os.WriteFile(passphrase, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir()
	if _, stderr, code := mtlsctl(t, closed, "init-ca", "--root-only", "--passphrase-file", passphrase); code != 0 {
		t.Fatal(stderr)
	}
	w = onTerminal(t, closed, "issue", "server", "a.example.com")
	w.expect("Passphrase of the authority's key: ")
	w.enter(secret)
	if code, screen := w.end(); code != 0 || strings.Contains(screen, "horse") || !strings.Contains(screen, "a.example.com") {
		t.Errorf("status %d; on the screen is:\n%s", code, screen)
	}

	// An interrupt at the question ends the command, and leaves the terminal as it was.
	w = onTerminal(t, closed, "issue", "server", "b.example.com")
	w.expect("Passphrase of the authority's key: ")
	if _, err := w.control.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if code, screen := w.end(); code != 1 || !strings.Contains(screen, "mtlsctl: interrupted\n") {
		t.Errorf("status %d; on the screen is:\n%s", code, screen)
	}
	if !echoes(t, w.screen) {
		t.Error("the terminal stays without echo after an interrupt")
	}

	changePassphrase(t, closed, passphrase, secret)

	// So does one while standard input is read.
	t.Setenv(envMark, "reading")
	w = onTerminal(t, work, "issue", "client", "bob", "--csr", "-")
	w.expect("reading")
	if _, err := w.control.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if code, screen := w.end(); code != 1 || !strings.Contains(screen, "mtlsctl: interrupted\n") {
		t.Errorf("status %d; on the screen is:\n%s", code, screen)
	}
	if err := checkConsistent(filepath.Join(closed, "pki")); err != nil {
		t.Error(err)
	}
}

// changePassphrase asks for the old passphrase, and twice for the new one; when
// there is none yet, for the new one alone.
func changePassphrase(t *testing.T, work, file, secret string) {
	t.Helper()
	const next = "donkey battery"
	ask := func(code int, result string, dialogue ...string) {
		t.Helper()
		w := onTerminal(t, work, "passwd", "root")
		for i := 0; i < len(dialogue); i += 2 {
			w.expect(dialogue[i])
			if echoes(t, w.screen) {
				t.Error("what is typed is shown")
			}
			w.enter(dialogue[i+1])
		}
		got, screen := w.end()
		if got != code || !strings.Contains(screen, result) || strings.Contains(screen, "horse") || strings.Contains(screen, "donkey") {
			t.Errorf("status %d; on the screen is:\n%s", got, screen)
		}
		if !echoes(t, w.screen) {
			t.Error("the terminal stays without echo")
		}
	}
	const old, first, again = "Passphrase of the authority's key: ", "New passphrase: ", "Once more: "
	ask(1, "wrong passphrase", old, "horse")
	ask(1, "the two passphrases differ; nothing was changed", old, secret, first, next, again, "donkey")
	ask(1, "the new passphrase is empty; nothing was changed", old, secret, first, "")
	ask(0, "passphrase changed", old, secret, first, next, again, next)
	t.Setenv("OLD", next)
	if _, stderr, code := mtlsctl(t, work, "passwd", "root", "--passphrase-env", "OLD", "--remove"); code != 0 {
		t.Fatal(stderr)
	}
	ask(0, "passphrase added", first, secret, again, secret)
	if _, stderr, code := mtlsctl(t, work, "issue", "server", "after.example.com", "--passphrase-file", file); code != 0 {
		t.Error(stderr)
	}
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}
