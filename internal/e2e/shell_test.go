package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// patience is how long a single program may take on a machine that is busy with
// other things.
const patience = 90 * time.Second

// A shell is a person in a folder of their own, with an environment in which
// nothing of this machine's user is left: no proxy, no configuration, no PKI.
// A command line is split at spaces; what must not be split follows after it.
type shell struct {
	dir string
	env []string
}

// newShell makes the folder, and skips the test if one of the programs that it
// needs is missing.
func newShell(t *testing.T, programs ...string) *shell {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("these programs are driven as on Unix")
	}
	for _, p := range programs {
		pkitest.Program(t, p)
	}
	s := &shell{dir: t.TempDir()}
	for _, sub := range []string{"home", "tmp"} {
		if err := os.Mkdir(s.path(sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.path("home"), "TMPDIR=" + s.path("tmp"), "LC_ALL=C"}
	return s
}

// newAcme is [newShell] where a CA has been made, and then what lines say, each
// an mtlsctl command line.
func newAcme(t *testing.T, programs []string, lines ...string) *shell {
	t.Helper()
	s := newShell(t, programs...)
	s.ok(t, "mtlsctl init-ca --org Acme")
	for _, line := range lines {
		s.ok(t, "mtlsctl "+line)
	}
	return s
}

func (s *shell) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *shell) read(t *testing.T, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(s.path(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *shell) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// command resolves the program of a command line.
func (s *shell) command(ctx context.Context, t *testing.T, line string, more []string) *exec.Cmd {
	t.Helper()
	args := append(strings.Fields(line), more...)
	program := mtlsctl
	if args[0] != "mtlsctl" {
		program = pkitest.Program(t, args[0])
	}
	cmd := exec.CommandContext(ctx, program, args[1:]...)
	cmd.Dir, cmd.Env = s.dir, s.env
	group(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// An output is what a program said.
type output struct {
	line   string // the command line
	stdout string
	stderr string
	code   int // exit status
}

func (o output) String() string {
	var b strings.Builder
	b.WriteString("$ " + o.line + "\n")
	b.WriteString(o.stdout)
	if o.stderr != "" {
		b.WriteString("\nstandard error:\n" + o.stderr)
	}
	return b.String()
}

// all returns both streams.
func (o output) all() string { return o.stdout + o.stderr }

// run runs a command line to its end.
func (s *shell) run(t *testing.T, line string, more ...string) output {
	t.Helper()
	return s.feed(t, "", line, more...)
}

// feed is [shell.run] with something to read on the standard input.
func (s *shell) feed(t *testing.T, stdin, line string, more ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := s.command(ctx, t, line, more)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	out := output{strings.Join(append([]string{line}, more...), " "), stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%v", err, ctx.Err(), out)
	}
	_ = killGroup(cmd) // what it may have left running
	return out
}

// ok runs a command line that must succeed.
func (s *shell) ok(t *testing.T, line string, more ...string) output {
	t.Helper()
	out := s.run(t, line, more...)
	if out.code != 0 {
		t.Fatalf("exit status %d\n%v", out.code, out)
	}
	return out
}

// refused runs a command line that must fail, and say why.
func (s *shell) refused(t *testing.T, why, line string, more ...string) output {
	t.Helper()
	out := s.run(t, line, more...)
	if out.code == 0 {
		t.Fatalf("it was not refused\n%v", out)
	}
	out.mustSay(t, why)
	return out
}

// mustSay fails the test unless each of these is in what the program said.
func (o output) mustSay(t *testing.T, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(o.all(), want) {
			t.Errorf("it does not say %q\n%v", want, o)
		}
	}
}

// A folder of a shell holds tls.crt, tls.key and ca.crt: those of a certificate in
// the PKI directory, or of a Secret that is mounted.
type folder string

// issued is where the PKI directory has a certificate.
func issued(name string) folder { return folder("pki/certificates/" + name) }

func (f folder) crt() string { return string(f) + "/tls.crt" }
func (f folder) key() string { return string(f) + "/tls.key" }
func (f folder) ca() string  { return string(f) + "/ca.crt" }

// The files of a certificate in the PKI directory of a shell.
func crt(name string) string { return issued(name).crt() }
func key(name string) string { return issued(name).key() }

// ca is what everybody trusts.
const ca = "pki/authorities/root/tls.crt"
