// Package cmd is the command line: flags in, one call below, the result out.
// There is one file for each verb. What is decided is decided below; what is
// said to a person is said here.
package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
)

// Env is what the outside gives to a command.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Now            func() time.Time
}

// System returns the environment of this process. Its clock stands still: one
// run has one reading of the time.
func System() Env {
	now := time.Now() //nolint:forbidigo // the one reading of the clock
	//nolint:forbidigo // the one place that hands out the process's own
	return Env{os.Stdin, os.Stdout, os.Stderr, os.Getenv, func() time.Time { return now }}
}

// app is what all commands share: the environment and the global flags.
type app struct {
	Env
	pkiPath string
	json    bool
	quiet   bool
	noColor bool

	args        []string        // what was typed
	command     string          // the command that runs, for the log
	flags       []string        // the flags of its own that were given
	interrupted <-chan struct{} // closed when the user wants it to end; may be nil
}

// Main runs the command that args name and returns the exit status: 0 done, 1
// failed, 2 used wrongly, 3 a check said no.
func Main(ctx context.Context, args []string, env Env) int {
	a := &app{Env: env, args: args, interrupted: ctx.Done()}
	root := newRootCmd(a, args)
	root.SetArgs(append([]string{}, args...)) // nil would be those of this process
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	return a.report(c, err)
}

const defaultPKI = "pki"

func newRootCmd(a *app, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "mtlsctl",
		Short: "A private certificate authority for mutual TLS",
		Long: `mtlsctl makes a private certificate authority, issues server and client
certificates from it, and writes them in the form that each program wants.

Everything is kept in one folder, the PKI directory: ./pki, unless --pki or
MTLSCTL_PKI names another.`,
		Example: `  mtlsctl init-ca --org Acme
  mtlsctl issue server api.example.com 10.0.0.7
  mtlsctl issue client alice@example.com
  mtlsctl export p12 alice@example.com --for macos`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		PersistentPreRun: func(c *cobra.Command, _ []string) {
			a.command = strings.TrimPrefix(c.CommandPath(), "mtlsctl ")
			a.flags = givenFlags(c)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
	}
	root.SuggestionsMinimumDistance = 2 // of letters that differ
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	def := defaultPKI
	if a.Getenv != nil && a.Getenv("MTLSCTL_PKI") != "" {
		def = a.Getenv("MTLSCTL_PKI")
	}
	f.StringVar(&a.pkiPath, "pki", def, "the PKI `directory`; also $MTLSCTL_PKI")
	f.Lookup("pki").DefValue = defaultPKI
	f.BoolVar(&a.json, "json", false, "write the result as JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors and what was asked for")
	f.BoolVar(&a.noColor, "no-color", false, "no colour; also $NO_COLOR")
	must(root.RegisterFlagCompletionFunc("pki", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}))
	root.AddGroup(
		&cobra.Group{ID: groupMake, Title: "Make:"},
		&cobra.Group{ID: groupUse, Title: "Use:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
	)
	root.SetHelpCommandGroupID("")
	addCommands(root, args, []maker{
		{"init-ca", func() *cobra.Command { return newInitCACmd(a, nil) }},
		{"import-ca", func() *cobra.Command { return newImportCACmd(a, nil) }},
		{"import", func() *cobra.Command { return newImportCmd(a, nil) }},
		{"issue", func() *cobra.Command { return newIssueCmd(a, args) }},
		{"apply", func() *cobra.Command { return newApplyCmd(a, nil) }},
		{"kubeadm", func() *cobra.Command { return newKubeadmCmd(a, nil) }},
		{"renew", func() *cobra.Command { return newRenewCmd(a, nil) }},
		{"revoke", func() *cobra.Command { return newRevokeCmd(a, nil) }},
		{"crl", func() *cobra.Command { return newCRLCmd(a, nil) }},
		{"passwd", func() *cobra.Command { return newPasswdCmd(a, nil) }},
		{"export", func() *cobra.Command { return newExportCmd(a) }},
		{"trust", func() *cobra.Command { return newTrustCmd(a) }},
		{"backup", func() *cobra.Command { return newBackupCmd(a, nil) }},
		{"restore", func() *cobra.Command { return newRestoreCmd(a, nil) }},
		{"list", func() *cobra.Command { return newListCmd(a, nil) }},
		{"log", func() *cobra.Command { return newLogCmd(a, nil) }},
		{"tree", func() *cobra.Command { return newTreeCmd(a, nil) }},
		{"show", func() *cobra.Command { return newShowCmd(a, nil) }},
		{"version", func() *cobra.Command { return newVersionCmd(a) }},
		{"completion", func() *cobra.Command { return newCompletionCmd(a) }},
		{"man", func() *cobra.Command { return newManCmd(a) }},
		{"exit-status", newExitStatusTopic},
	})
	return root
}

// A maker makes a command that has a name.
type maker struct {
	name string
	make func() *cobra.Command
}

// addCommands adds the command that the first of args names, or all if it names
// none. To make them all would take a tenth of the time of the quickest of them.
func addCommands(c *cobra.Command, args []string, all []maker) {
	for _, m := range all {
		if len(args) > 0 && m.name == args[0] {
			c.AddCommand(m.make())
			return
		}
	}
	for _, m := range all {
		c.AddCommand(m.make())
	}
}

const (
	groupMake = "make"
	groupUse  = "use"
	groupLook = "look"
)

// must is for errors that only a mistake in this package can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// open opens the PKI directory that the flags name.
func (a *app) open() (*pkidir.Dir, error) {
	d, err := pkidir.Open(a.pkiPath, a.Now)
	if err == nil {
		d.SetCommand(a.command)
	}
	return d, err
}

func (a *app) style(w io.Writer) term.Style {
	return term.NewStyle(!a.noColor && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb" && term.IsTerminal(w))
}

func (a *app) env(name string) string {
	if a.Getenv == nil {
		return ""
	}
	return a.Getenv(name)
}

// note says something to a person that is not the result.
func (a *app) note(format string, args ...any) {
	if !a.quiet && !a.json {
		_, _ = fmt.Fprintln(a.Stderr, a.pasted(fmt.Sprintf(format, args...))) // a note that cannot be written is no failure
	}
}

// warn says what a person should look at.
func (a *app) warn(format string, args ...any) {
	if !a.quiet {
		_, _ = fmt.Fprintf(a.Stderr, "%s %s\n", a.style(a.Stderr).Warn("warning:"), term.Safe(a.pasted(fmt.Sprintf(format, args...))))
	}
}

// patience covers work that may take over a second.
func (a *app) patience(what string) func() {
	return term.Patience(a.Stderr, !a.quiet && term.IsTerminal(a.Stderr), what)
}

// progress is [app.patience] for work that can be counted.
func (a *app) progress(what string, total int) (step func(int), done func()) {
	return term.Progress(a.Stderr, !a.quiet && term.IsTerminal(a.Stderr), what, total)
}

// writeJSON writes the result for a program.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
