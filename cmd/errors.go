package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// The exit statuses. Scripts branch on them; see `mtlsctl help exit-status`.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitNo     = 3
)

// A usageError says that the command was called wrongly.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), hint}
}

// A hintedError is an error with the next step.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func withHint(err error, format string, args ...any) error {
	return &hintedError{err, fmt.Sprintf(format, args...)}
}

// errCheckFailed is a check that said no. What it found was printed already.
var errCheckFailed = errors.New("the check said no")

// report writes an error and what to do about it, and returns the status.
func (a *app) report(c *cobra.Command, err error) int {
	if errors.Is(err, errCheckFailed) {
		return exitNo
	}
	style := a.style(a.Stderr)
	if errors.Is(err, term.ErrInterrupted) || errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintf(a.Stderr, "%s interrupted\n", style.Bad("mtlsctl:"))
		return exitFailed
	}
	if all := asProblems(err); len(all) > 0 {
		a.reportAll(all)
		return exitFailed
	}
	text := strings.ReplaceAll(err.Error(), "\n", "\n  ")
	// What also stopped the cleaning up is said once.
	lines := slices.CompactFunc(strings.Split(text, "\n"), func(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) })
	for i := range lines {
		lines[i] = term.Safe(lines[i])
	}
	_, _ = fmt.Fprintf(a.Stderr, "%s %s\n", style.Bad("mtlsctl:"), strings.Join(lines, "\n"))
	if h := a.hint(c, err); h != "" {
		_, _ = fmt.Fprintf(a.Stderr, "%s %s\n", style.Bold("hint:"), term.Safe(a.pasted(h)))
	}
	if isUsage(err) {
		return exitUsage
	}
	return exitFailed
}

// reportAll writes several errors, each with its hint, and those that many share
// once.
func (a *app) reportAll(all []problem) {
	style := a.style(a.Stderr)
	for i, p := range all {
		if i == shown {
			_, _ = fmt.Fprintf(a.Stderr, "%s and %d more\n", style.Bad("mtlsctl:"), len(all)-shown)
			break
		}
		_, _ = fmt.Fprintf(a.Stderr, "%s %s\n", style.Bad("mtlsctl:"), term.Safe(p.text))
		if p.hint != "" && (i == len(all)-1 || all[i+1].hint != p.hint) {
			_, _ = fmt.Fprintf(a.Stderr, "%s %s\n", style.Bold("hint:"), term.Safe(a.pasted(p.hint)))
		}
	}
}

// isUsage reports whether an error is about how the command was called, not
// about what it found.
func isUsage(err error) bool {
	var usage *usageError
	return errors.As(err, &usage) || errors.Is(err, pkidir.ErrNoAuthority) || errors.Is(err, pkidir.ErrNoBundle)
}

// hint is the one place that knows the next step for each error. c may be nil.
func (a *app) hint(c *cobra.Command, err error) string {
	var hinted *hintedError
	var usage *usageError
	var san *pki.SANError
	var life *pki.LifetimeError
	var exists *ledger.ExistsError
	var missing *pkidir.KeyMissingError
	var keyFile *pkidir.KeyFileError
	var constraint *pki.ConstraintError
	var path *pkidir.PathError
	var unfinished *pkidir.UnfinishedError
	switch {
	case errors.As(err, &hinted):
		return hinted.hint
	case errors.As(err, &usage) && usage.hint != "":
		return usage.hint
	case renewHint(err) != "":
		return renewHint(err)
	case errors.As(err, &unfinished):
		return "mend the cause; the next command that writes completes it, as does this one with --if-missing"
	case errors.As(err, &san) && san.Instead != "":
		return fmt.Sprintf("use --%s %s", string(san.Instead), san.InsteadValue)
	case errors.As(err, &san) && sanExample(san.Kind) != "":
		return "as in " + sanExample(san.Kind)
	case errors.As(err, &life) && !life.Latest.IsZero() && !life.Latest.After(a.Now()):
		return "sign by another authority with --ca; 'mtlsctl init-ca NAME' makes one"
	case errors.As(err, &life) && !life.Latest.IsZero():
		return fmt.Sprintf("the latest end possible is --not-after %s", life.Latest.UTC().Format(timeFormat))
	case errors.As(err, &life) && !life.Earliest.IsZero():
		return fmt.Sprintf("the earliest begin possible is --not-before %s", life.Earliest.UTC().Format(timeFormat))
	case errors.As(err, &life):
		return "give a later --not-after, or its length with --validity"
	case errors.As(err, &exists) && exists.Kind == ledger.KindAuthority:
		return "certificates and authorities share their names: give the certificate another"
	case errors.As(err, &exists):
		return fmt.Sprintf("see it with 'mtlsctl show %s'; to replace it add --force, to keep it --if-missing", exists.Name)
	case errors.As(err, &constraint):
		return "sign by another authority with --ca, or make one for such names with 'mtlsctl init-ca NAME'"
	case errors.As(err, &missing) && c != nil && c.Flags().Lookup("ca-key") == nil:
		return fmt.Sprintf("bring the key back to %s for as long as you sign with it", missing.Path)
	case errors.As(err, &missing):
		return fmt.Sprintf("name the file that holds it with --ca-key, or bring it back to %s for as long as you sign with it", missing.Path)
	case errors.As(err, &keyFile) && !errors.Is(err, pki.ErrPassphrase) && !errors.Is(err, pkidir.ErrLooseKeyMode):
		return fmt.Sprintf("name the file that holds the key of authority %q", keyFile.Authority)
	case errors.Is(err, pki.ErrNoName):
		return "give a common name with --cn, or a name with --dns, --ip, --email, --uri or --spiffe"
	case errors.Is(err, pki.ErrPathLength):
		return "sign below an authority further up, or make that one anew with a greater --path-len"
	case errors.Is(err, pki.ErrPassphrase):
		return "give the passphrase with --passphrase-file, --passphrase-env or --passphrase-stdin"
	case errors.Is(err, pkidir.ErrNoDir):
		return "make one with 'mtlsctl init-ca', or name another with --pki"
	case errors.Is(err, pkidir.ErrNotDir):
		return "name the PKI directory with --pki, or make one elsewhere with 'mtlsctl --pki DIR init-ca'"
	case errors.Is(err, pki.ErrKeyMismatch) && errors.As(err, &path):
		return "bring its own key back to " + filepath.Join(path.Path, pkidir.KeyFile)
	case errors.Is(err, pkidir.ErrBadKey) && errors.As(err, &path):
		return "bring the key back to " + path.Path
	case errors.Is(err, pkidir.ErrBackup) && !errors.Is(err, ledger.ErrNewer):
		return "nothing was made; take a file that 'mtlsctl backup' wrote, as it wrote it"
	case errors.Is(err, pkidir.ErrNotEmpty):
		return "move it away, or name another place with --pki"
	case errors.Is(err, pki.ErrPoint):
		return "mend 'idp:' of the authority in " + filepath.Join(a.pkiPath, "mtlsctl.yaml")
	case errors.Is(err, pkidir.ErrNoKeys):
		return "bring keys.db back from a copy, or issue the certificate again with 'mtlsctl apply' or 'mtlsctl renew'"
	case errors.Is(err, pkidir.ErrNoIssuer):
		return "whoever trusts it has to stop: take it out of the places that trust it"
	case errors.Is(err, ledger.ErrDamaged) && errors.As(err, &path) && filepath.Base(path.Path) == "keys.db":
		return "bring it back from a copy; what cannot be had again are the keys in it"
	case errors.Is(err, pkidir.ErrNoLedger), errors.Is(err, ledger.ErrDamaged):
		return "bring it back from a copy: without it nobody knows what was signed"
	case errors.Is(err, ledger.ErrNewer):
		return "use a newer mtlsctl; 'mtlsctl version' says which this one is"
	case errors.Is(err, pkidir.ErrSettings):
		return "mend it: 'version: 1', 'default:' with the name of an authority, and what init-ca wrote under 'authorities:'"
	case errors.Is(err, pkidir.ErrNoAuthority):
		return "'mtlsctl tree' shows the authorities there are; 'mtlsctl init-ca NAME' makes one"
	case errors.Is(err, pkidir.ErrRevokedAuthority):
		return "sign with another authority, named with --ca; 'mtlsctl init-ca NAME --parent AUTHORITY' makes one"
	case errors.Is(err, pkidir.ErrNoBundle):
		return "'mtlsctl list' shows the certificates there are"
	case errors.Is(err, pkidir.ErrLooseKeyMode) && errors.As(err, &path):
		return "close it with 'chmod 600 " + path.Path + "'"
	case errors.Is(err, pkidir.ErrLooseFolderMode) && errors.As(err, &path):
		return "close it with 'chmod 700 " + path.Path + "'"
	case errors.Is(err, pkidir.ErrKeyOutExists):
		return "name a file that is not there; a key that a killed command left belongs to nothing in the ledger"
	case errors.Is(err, pkidir.ErrKeyOutInside):
		return "name a file elsewhere: on a disk that can be taken away and locked up"
	case errors.Is(err, pkidir.ErrKeyChanged):
		return "run the same command again"
	case errors.Is(err, pkidir.ErrInTheWay) && errors.As(err, &path):
		return fmt.Sprintf("move %s away, or replace it with --force", path.Path)
	case pkidir.IsFull(err):
		return "nothing was made; make room and run the same command again"
	case errors.Is(err, pkidir.ErrNoLocks), errors.Is(err, ledger.ErrNoLocks):
		return "nothing was made; keep the PKI directory where files can be locked: on a disk of this machine, or on NFS 4"
	case errors.As(err, &path) && errors.Is(err, syscall.EROFS):
		return "nothing was made; mount it to be written to, or name another place"
	case errors.As(err, &path) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, ledger.ErrReadOnly) || errors.Is(err, ledger.ErrClosed)):
		return "check the owner and the mode of " + path.Path
	case errors.As(err, &usage) && c != nil:
		return fmt.Sprintf("'%s --help' shows how it is used", c.CommandPath())
	}
	return ""
}

// sanExample is how a name of a kind is given.
func sanExample(k profiles.SANKind) string {
	switch k {
	case profiles.KindDNS:
		return "--dns api.example.com or --dns '*.example.com'"
	case profiles.KindIP:
		return "--ip 10.0.0.7 or --ip 2001:db8::7"
	case profiles.KindEmail:
		return "--email alice@example.com"
	case profiles.KindURI:
		return "--uri https://example.com/id"
	case profiles.KindSPIFFE:
		return "--spiffe spiffe://example.org/ns/prod/sa/web"
	}
	return ""
}

// flagError gives the errors of pflag the shape of all others.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return &usageError{err: err}
	}
	hint, name := "", invalid.GetFlag().Name
	if name == "permit" || name == "exclude" {
		hint = fmt.Sprintf("as in --%[1]s example.com, --%[1]s 10.0.0.0/8, --%[1]s @example.com or --%[1]s spiffe://example.org", name)
	}
	return &usageError{flagValueError("--"+name, invalid.GetValue(), invalid.Unwrap()), hint}
}

// flagValueError names the flag in place of what its value was read as.
func flagValueError(flag, value string, err error) error {
	problem := err.Error()
	var san *pki.SANError
	var subject *pki.SubjectError
	var option *export.OptionError
	var number *strconv.NumError
	switch {
	case errors.As(err, &san):
		problem = san.Problem
	case errors.As(err, &subject):
		problem = subject.Problem
	case errors.As(err, &option):
		problem = option.Problem
	case errors.As(err, &number):
		problem = "write a whole number"
	default:
		// Many errors quote the value, which is said already.
		problem = strings.TrimPrefix(problem, fmt.Sprintf("%q is ", value))
		problem = strings.Replace(problem, fmt.Sprintf(" %q: ", value), ": ", 1)
	}
	return &flagValue{fmt.Sprintf("%s %q: %s", flag, value, problem), err}
}

// A flagValue is an error in a flag's value: the text for a person, the cause
// for the hint.
type flagValue struct {
	text  string
	cause error
}

func (e *flagValue) Error() string { return e.text }
func (e *flagValue) Unwrap() error { return e.cause }

func unknownCommand(c *cobra.Command, name string) error {
	err := usagef(fmt.Sprintf("'%s --help' lists the commands", c.CommandPath()), "unknown command %q", name)
	if similar := c.SuggestionsFor(name); len(similar) > 0 {
		return usagef("did you mean "+strings.Join(similar, " or ")+"?", "unknown command %q", name)
	}
	return err
}

// newExitStatusTopic is a help page of its own.
func newExitStatusTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-status",
		Short: "What the exit status says",
		Long: `The exit status of every command:

  0  done
  1  failed: the error is on standard error, and nothing was changed
  2  used wrongly: a flag, a value or an argument is not what it should be
  3  a check said no: 'list --expiring --check', 'apply --dry-run --check',
     'trust status --check'

A failure while files are written, such as a disk that is full, can leave a
certificate in the ledger that has no folder yet. The error says so, and the
next command that writes completes it.`,
	}
}
