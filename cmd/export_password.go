package cmd

import (
	"bytes"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

// passwordFlags are the ways to the password of a file that is written.
type passwordFlags struct {
	secret secretFlags
	prompt bool
	out    string // the file for one that is made here
}

// add adds the flags for a password of the user's own.
func (p *passwordFlags) add(c *cobra.Command) {
	p.secret.add(c, "password", "password of the file")
	c.Flags().BoolVar(&p.prompt, "password-prompt", false, "ask for the password on the terminal")
	exclusive(c, "password-file", "password-env", "password-stdin", "password-prompt")
}

// addMade adds them for a file whose password is made here unless one is given.
func (p *passwordFlags) addMade(c *cobra.Command) {
	p.add(c)
	c.Flags().Var((*newFile)(&p.out), "password-out", "write the password that is made to this new `file`")
	exclusive(c, "password-file", "password-env", "password-stdin", "password-prompt", "password-out")
}

// given reports whether the user brings a password.
func (p *passwordFlags) given() bool { return p.secret.given() || p.prompt }

// A newFile is a flag that names a file; typed again elsewhere it has its whole
// path.
type newFile string

func (f *newFile) Type() string   { return "string" }
func (f *newFile) String() string { return string(*f) }

func (f *newFile) Set(s string) error {
	if s == "" || s == stdout {
		return errors.New("name a file")
	}
	*f = newFile(s)
	return nil
}

func (f *newFile) words() []string {
	path, err := filepath.Abs(string(*f))
	if err != nil {
		path = string(*f)
	}
	return []string{path}
}

// own returns the password that the user brings, or "" if there is none.
func (p *passwordFlags) own(a *app) (string, error) {
	switch {
	case p.secret.given():
		secret, err := p.secret.read(a)
		return string(secret), err
	case !p.prompt:
		return "", nil
	case !a.canAsk():
		return "", usagef("use --password-file, --password-env or --password-stdin", "--password-prompt: there is no terminal to ask on")
	}
	secret, err := a.ask("Password for the file: ")
	if err != nil {
		return "", err
	}
	again, err := a.ask("Once more: ")
	if err != nil {
		return "", err
	}
	switch {
	case !bytes.Equal(secret, again):
		return "", errors.New("the two passwords differ; nothing was written")
	case len(secret) == 0:
		return "", usagef("bring another", "--password-prompt: the password is empty")
	}
	return string(secret), nil
}

// A filePassword is the password of a file that is about to be written.
type filePassword struct {
	text string
	show bool    // it was made here, and nobody else has it
	file []place // where it goes; empty: nowhere
}

// password returns the user's own password, or one that is made here.
func (p *passwordFlags) password(a *app, force bool) (w filePassword, err error) {
	dir, name := filepath.Dir(p.out), filepath.Base(p.out)
	switch {
	case p.given():
		w.text, err = p.own(a)
		return w, err
	case p.out == "" && !term.IsTerminal(a.Stderr):
		return w, usagef("write it to a file with --password-out, or bring your own with --password-file, --password-env or --password-stdin",
			"there is no terminal on which a new password could be shown once")
	case p.out != "" && !force:
		if err := refuseExisting(dir, name); errors.Is(err, errOutExists) {
			return w, withHint(err, "name another file with --password-out, or replace it with --force")
		} else if err != nil {
			return w, err
		}
	}
	w.text, w.show = export.NewPassword(), p.out == ""
	if !w.show {
		w.file = []place{{dir, []export.File{{Name: name, Data: []byte(w.text + "\n"), Private: true}}}}
	}
	return w, nil
}

// tellPassword shows a password that was made here, even if --quiet is given.
func (a *app) tellPassword(w filePassword) {
	if w.show {
		a.say("Password, shown only now: %s", a.style(a.Stderr).Bold(w.text))
	}
}

// refuseTerminal refuses to write what is not text to a terminal, before anybody
// is asked for a password.
func (a *app) refuseTerminal(o *exportOptions, what string) error {
	if o.out == stdout && term.IsTerminal(a.Stdout) {
		return usagef("name a file with --out", "--out -: a %s is not written to a terminal", what)
	}
	return nil
}
