package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mtlsctl/mtlsctl/cmd"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// What a script may set for the mtlsctl that it runs. Nothing of this is in the
// product: the command below reads it, in place of main.
const (
	// The time, RFC 3339. Scripts begin with pkitest.Clock.
	envNow = "MTLSCTL_TEST_NOW"
	// "stdout", "stderr" or both: what is the terminal that ttyin opens, beside
	// what `ttyin -stdin` connects.
	envTTY = "MTLSCTL_TEST_TTY"
	// Not empty: root loses the right to read and write what its owner may not,
	// so that file modes mean something.
	envUnprivileged = "MTLSCTL_TEST_UNPRIVILEGED"
	// Written to standard error when standard input is first read.
	envMark = "MTLSCTL_TEST_MARK"
	// The file that the exit status is written to, for the command exitcode.
	envExit = "MTLSCTL_TEST_EXIT"
)

// TestMain lets the test binary be mtlsctl, too: scripts run it as a process of
// its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mtlsctl": scriptMain})
}

// scriptMain is main of cmd/mtlsctl, with the clock and the streams that the
// script wants.
func scriptMain() {
	if os.Getenv(envUnprivileged) != "" {
		must(dropPrivileges(envUnprivileged))
	}
	exit := os.Getenv(envExit)
	if exit != "" {
		_ = os.Remove(exit) // so that a crash leaves none
	}
	env := cmd.System()
	if s := os.Getenv(envNow); s != "" {
		now, err := time.Parse(time.RFC3339, s)
		must(err)
		env.Now = func() time.Time { return now }
	}
	if streams := os.Getenv(envTTY); streams != "" {
		tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
		must(err)
		if strings.Contains(streams, "stdout") {
			env.Stdout = tty
		}
		if strings.Contains(streams, "stderr") {
			env.Stderr = tty
		}
	}
	if mark := os.Getenv(envMark); mark != "" {
		env.Stdin = &marked{os.Stdin, mark}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := cmd.Main(ctx, os.Args[1:], env)
	stop()
	if os.Getenv(envTTY) != "" {
		// When this process ends, testscript closes the terminal, whether it has read
		// all of it or not, and a terminal does not tell its writer.
		time.Sleep(50 * time.Millisecond)
	}
	if exit != "" {
		must(os.WriteFile(exit, []byte(strconv.Itoa(code)), 0o600))
	}
	os.Exit(code)
}

// marked says when it is read.
type marked struct {
	io.Reader
	mark string
}

func (m *marked) Read(p []byte) (int, error) {
	if m.mark != "" {
		fmt.Fprint(os.Stderr, m.mark)
		m.mark = ""
	}
	return m.Reader.Read(p)
}

// TestScripts runs testdata/script. Its README says what a script can do beside
// what testscript itself offers.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "testdata", "script"),
		Setup:               setupScript,
		Condition:           scriptCondition,
		Cmds:                scriptCommands(),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       updating(),
	})
}

// updating reports whether the tests run with -update: then what scripts compare
// with cmp is written anew.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// state is what the commands of one script remember.
type state struct {
	t         testscript.T
	snapshots map[string]map[string]string
}

type stateKey struct{}

// must is for what cannot fail where the tests run.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func setupScript(e *testscript.Env) error {
	e.Values[stateKey{}] = &state{e.T(), map[string]map[string]string{}}
	e.Setenv(envNow, pkitest.Clock().Format(time.RFC3339))
	e.Setenv(envExit, filepath.Join(e.WorkDir, ".tmp", "exit-status"))
	testdata, err := filepath.Abs(filepath.Join("..", "testdata"))
	e.Setenv("VECTORS", filepath.Join(testdata, "vectors"))
	e.Setenv("MANIFESTS", filepath.Join(testdata, "manifests"))
	return err
}

func scriptCondition(cond string) (bool, error) {
	switch cond {
	case "root": // who is not held by file modes
		return os.Geteuid() == 0, nil
	case "tty": // whether ttyin works
		return hasTTY(), nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"absent":      cmdAbsent,
		"answers":     cmdAnswers,
		"cert":        cmdCert,
		"consistent":  cmdConsistent,
		"exitcode":    cmdExitcode,
		"jks":         cmdJKS,
		"json":        cmdJSON,
		"ledger":      cmdLedger,
		"mode":        cmdMode,
		"needs":       cmdNeeds,
		"nokey":       cmdNoKey,
		"p12":         cmdP12,
		"snapshot":    cmdSnapshot,
		"unchanged":   cmdUnchanged,
		"unfinish":    cmdUnfinish,
		"unpack":      cmdUnpack,
		"userversion": cmdUserVersion,
	}
}

// mtlsctl runs it as a process of its own. Its PKI directory is pki in the
// folder work, which stands for WORK in args, too.
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
