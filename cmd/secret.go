package cmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// secretFlags are the ways to give a password or passphrase: never as a flag's
// value, which every process on the machine can read.
type secretFlags struct {
	word  string // as in --WORD-file
	file  string
	env   string
	stdin bool

	line []byte // what standard input had, which can be read once
}

func (s *secretFlags) add(c *cobra.Command, word, purpose string) {
	s.word = word
	f := c.Flags()
	f.StringVar(&s.file, word+"-file", "", "`file` whose first line is the "+purpose)
	f.StringVar(&s.env, word+"-env", "", "environment `variable` that holds the "+purpose)
	f.BoolVar(&s.stdin, word+"-stdin", false, "read the "+purpose+" from standard input")
	exclusive(c, word+"-file", word+"-env", word+"-stdin")
}

// addCAKeyFlag adds the way to a key that is not in the authority's folder.
func addCAKeyFlag(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "ca-key", "", "`file` with the authority's key, if that is not in its folder")
}

// given reports whether a flag says where the secret is.
func (s *secretFlags) given() bool { return s.file != "" || s.env != "" || s.stdin }

// maxSecret bounds what is read; nobody has a longer one.
const maxSecret = 1 << 16

// read returns the secret that the flags point to. It is not empty.
func (s *secretFlags) read(a *app) ([]byte, error) {
	var secret []byte
	var from string
	switch {
	case s.file != "":
		from = fmt.Sprintf("--%s-file %q", s.word, s.file)
		f, err := os.Open(s.file)
		if err != nil {
			return nil, withHint(fmt.Errorf("%s: %w", from, atomicfile.Reason(err)), "name a file that is there and may be read, with the %s in its first line", s.word)
		}
		secret, err = firstLine(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
	case s.env != "":
		from = fmt.Sprintf("--%s-env %q", s.word, s.env)
		secret = []byte(a.env(s.env))
	case s.stdin:
		from = "standard input"
		if s.line == nil {
			var err error
			if s.line, err = firstLine(a.stdin()); err != nil {
				return nil, fmt.Errorf("%s: %w", from, err)
			}
		}
		secret = s.line
	}
	if len(secret) == 0 {
		return nil, &usageError{err: fmt.Errorf("%s: there is no %s in it", from, strings.ReplaceAll(s.word, "-", " "))}
	}
	return secret, nil
}

func firstLine(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// stdin is the standard input, until the user wants the command to end: nobody
// knows how long the other side takes.
func (a *app) stdin() io.Reader { return &interruptible{a.Stdin, a.interrupted} }

type interruptible struct {
	in   io.Reader
	stop <-chan struct{}
}

func (r *interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	buf, done := make([]byte, len(p)), make(chan result, 1)
	go func() {
		n, err := r.in.Read(buf)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		return copy(p, buf[:got.n]), got.err
	case <-r.stop:
		return 0, term.ErrInterrupted
	}
}

// canAsk reports whether there is a person to answer a question.
func (a *app) canAsk() bool { return term.IsTerminal(a.Stdin) && term.IsTerminal(a.Stderr) }

// ask asks a person for a secret.
func (a *app) ask(question string) ([]byte, error) {
	in, ok := a.Stdin.(*os.File)
	if !ok {
		return nil, errors.New("standard input is not a terminal")
	}
	return term.ReadSecret(in, a.Stderr, question, a.interrupted)
}

// passphrase is where the passphrase of an authority's key comes from: the
// flags, or a person.
func (a *app) passphrase(s *secretFlags) pkidir.Passphrase {
	return func() ([]byte, error) {
		switch {
		case s.given():
			return s.read(a)
		case a.canAsk():
			return a.ask("Passphrase of the authority's key: ")
		}
		return nil, &flagValue{"the key is encrypted, and no passphrase is given", pki.ErrPassphrase}
	}
}
