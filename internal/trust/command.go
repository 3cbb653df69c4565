package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// lookPath finds a program in PATH, and in the further folders: those for
// administration are in PATH only where an administrator logs in.
func (m *Machine) lookPath(name string, further ...string) string {
	return findIn(name, append(filepath.SplitList(m.Getenv("PATH")), further...)...)
}

// findIn finds a program in one of the folders; empty if it is in none.
func findIn(name string, dirs ...string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) { // what is in the current folder is not meant
			continue
		}
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
			return file
		}
	}
	return ""
}

// A command is a program that is to be run.
type command struct {
	args  []string
	stdin []byte
	sudo  string // the program that gives it root's rights; empty: it has enough
	env   string // the name of a variable that it reads, which sudo must let pass
}

// run runs a command and returns its standard output. The error has what the
// program said.
func (c command) run(ctx context.Context) ([]byte, error) {
	args := c.args
	if c.sudo != "" {
		args = []string{c.sudo}
		if c.env != "" {
			args = append(args, "--preserve-env="+c.env)
		}
		args = append(append(args, "--"), c.args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return stdout.Bytes(), &commandError{filepath.Base(c.args[0]), said(stderr.String(), stdout.String()), err}
	}
	return stdout.Bytes(), nil
}

// A commandError is a program that failed.
type commandError struct {
	program string
	said    string
	err     error
}

func (e *commandError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("%s: %v", e.program, e.err)
	}
	return fmt.Sprintf("%s: %s", e.program, e.said)
}

func (e *commandError) Unwrap() error { return e.err }

// said is what a program that failed said, in one line: certutil and sudo say it
// on standard error, keytool on standard output.
func said(outs ...string) string {
	for _, out := range outs {
		out = strings.Join(strings.Fields(out), " ")
		if len(out) > maxSaid {
			out = out[:maxSaid] + " ..."
		}
		if out != "" {
			return out
		}
	}
	return ""
}

const maxSaid = 400

// elevate finds sudo; empty where it is not needed, or not there.
func (s *Store) elevate(m *Machine) string {
	if !s.NeedsRoot {
		return ""
	}
	sudo := m.lookPath("sudo")
	s.Sudo = sudo != ""
	return sudo
}

// exists reports whether there is something at a path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// resolved is a path without links; itself if it cannot be followed.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// programSaid reports whether an error is that of a program which said this.
func programSaid(err error, text string) bool {
	var failed *commandError
	return errors.As(err, &failed) && strings.Contains(failed.said, text)
}
