package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
)

// exportedAt says what became of an export after a renewal, or a new CRL.
type exportedAt struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Format string `json:"format"`
	State  string `json:"state"`
	Next   string `json:"next,omitempty"` // the command that writes it again

	byHand bool // renew cannot
	crl    bool // what is former is a CRL in it
}

// former is what an export still has.
func (e *exportedAt) former() string {
	if e.crl {
		return "a former CRL"
	}
	return "the former " + e.Name
}

// The states of exports.
const (
	exportStale   = "stale"   // it has the former certificate
	exportWritten = "written" // it was written again
	exportChanged = "changed" // somebody has changed it, so it was left alone
)

// followExports finds what was exported of certificates that were renewed, and
// with --export writes it again. What is not there any more is passed over. The
// error says what could not be written.
func (a *app) followExports(ctx context.Context, d *pkidir.Dir, renewed []pkidir.RenewedAuthority, o *renewOptions) (all []exportedAt, err error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	isNew := map[string]bool{}
	for _, r := range renewed {
		isNew[r.Entry.Name] = true
	}
	var errs []error
	for _, name := range affected(renewed) {
		exports, err := l.Exports(ctx, name)
		if err != nil {
			return all, err
		}
		for i := range exports {
			// As in a cluster, a Secret keeps its chain as long as its certificate.
			if exports[i].Format == formatApplied && !isNew[name] {
				continue
			}
			at, err := a.followExport(ctx, d, &exports[i], o)
			at.Next = a.withPKI(at.Next)
			if err != nil {
				errs = append(errs, fmt.Errorf("everything is renewed, but %s was not written again: %w", exports[i].Path, err))
			}
			if at.State != "" {
				all = append(all, at)
			}
		}
	}
	return all, errors.Join(errs...)
}

// affected returns the names of what has other files than before.
func affected(renewed []pkidir.RenewedAuthority) (names []string) {
	seen := map[string]bool{}
	for _, r := range renewed {
		for _, n := range append([]string{r.Entry.Name}, r.Refreshed...) {
			if !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	return names
}

func (a *app) followExport(ctx context.Context, d *pkidir.Dir, e *ledger.Export, o *renewOptions) (exportedAt, error) {
	// Several users of one kubeconfig each have an entry.
	at := exportedAt{Name: e.Name, Path: strings.TrimSuffix(e.Path, "#"+e.Name), Format: e.Format, State: exportStale}
	if e.Format == formatKubeadm {
		return followKubeadm(e, at)
	}
	if e.Format == formatApplied {
		if _, err := os.Lstat(e.Path); errors.Is(err, fs.ErrNotExist) {
			return exportedAt{}, nil
		}
		at.Next = fmt.Sprintf("mtlsctl apply -f FILE --out %s", export.ShellWord(filepath.Dir(e.Path)))
		return at, nil
	}
	var r exportRecord
	if err := json.Unmarshal(e.Options, &r); err != nil {
		return at, err
	}
	at.Next = r.command(e)
	digest, err := readExport(e, &r)
	if errors.Is(err, fs.ErrNotExist) {
		return exportedAt{}, nil
	}
	if err != nil {
		return at, err
	}
	var files []export.File
	again := len(r.Options) > 0
	if again && (o.export || !r.WithCAKey) {
		if files, err = a.exportFiles(ctx, d, e, &r, o); err != nil {
			return at, err
		}
		if digestOf(files) == digest { // such as a root alone
			return exportedAt{}, nil
		}
	}
	// A kubeconfig has other users, who are exported and change, too.
	merged := slices.Contains(r.Flags, mergeFlag)
	if digest != e.SHA256 && digest != r.Before && !o.force && !merged {
		at.State = exportChanged
		return at, nil
	}
	if !o.export || !again {
		at.byHand = !again
		return at, nil
	}
	if err := exportAgain(ctx, d, e, r, digest, files); err != nil {
		return at, err
	}
	at.State, at.Next = exportWritten, ""
	return at, nil
}

// exportFiles makes the files of an export as it was asked for.
func (a *app) exportFiles(ctx context.Context, d *pkidir.Dir, e *ledger.Export, r *exportRecord, o *renewOptions) ([]export.File, error) {
	passphrase := a.passphrase(&o.passphrase)
	if d.IsAuthority(e.Name) && !r.WithCAKey {
		passphrase = nil
	}
	b, err := d.Bundle(e.Name, passphrase)
	if err != nil {
		return nil, err
	}
	f, err := r.format(e.Format)
	if err != nil {
		return nil, err
	}
	asked := &exportOptions{name: e.Name, withCAKey: r.WithCAKey, crl: r.CRL}
	if r.For != "" {
		c, err := export.FindConsumer(r.For)
		if err != nil {
			return nil, err
		}
		asked.consumers = []*export.Consumer{c}
	}
	made, err := a.makeFiles(ctx, asked, e.Format, f, b)
	if err == nil && !r.Folder {
		made.files[0].Name = filepath.Base(e.Path)
	}
	return made.files, err
}

// exportAgain writes the files of an export in place of others.
func exportAgain(ctx context.Context, d *pkidir.Dir, e *ledger.Export, r exportRecord, before string, files []export.File) error {
	dir, former := r.place(e.Path), r.Files
	r.Before = before
	entry, err := r.entry(e.Name, e.Format, dir, files)
	if err != nil {
		return err
	}
	if err := d.PutExports(ctx, []ledger.Export{entry}); err != nil {
		return err
	}
	if err := writeFiles(dir, files, true); err != nil {
		return err
	}
	for _, name := range former { // such as a second root in DER
		if !slices.ContainsFunc(files, func(f export.File) bool { return f.Name == name }) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// command is what writes an export again.
func (r *exportRecord) command(e *ledger.Export) string {
	words := []string{"mtlsctl", "export", e.Format, e.Name}
	if !slices.Contains(r.Flags, mergeFlag) { // which names the place
		words = append(words, "--out", e.Path)
	}
	words = append(words, r.Flags...)
	if e.Format == formatTruststore && len(r.Options) == 0 {
		words = append(words, "--password-prompt") // without it, the password would be the usual one
	}
	for i := range words {
		words[i] = export.ShellWord(words[i])
	}
	return strings.Join(append(words, "--force"), " ")
}

// mergeFlag is the flag of exports that are one part of a file.
const mergeFlag = "--merge"

// withPKI returns a command that works in any folder, if --pki says where the PKI
// directory is.
func (a *app) withPKI(command string) string {
	dir, err := filepath.Abs(a.pkiPath)
	if a.otherPKI() == "" || err != nil {
		return command
	}
	return namingPKI(command, dir)
}

// showExports says what became of exports.
func (a *app) showExports(exports []exportedAt, exporting bool) error {
	told, again := 0, false
	trees := map[string]int{} // parts that one command of kubeadm writes again
	for _, e := range exports {
		if e.Format == formatKubeadm {
			trees[e.Next]++
		}
	}
	for _, e := range exports {
		parts := trees[e.Next]
		if delete(trees, e.Next); e.Format == formatKubeadm && parts == 0 {
			continue
		}
		if e.State == exportWritten {
			if a.quiet {
				continue
			}
			if _, err := fmt.Fprintf(a.Stdout, "  %s: %s of %s, written again\n", e.Path, e.Format, e.Name); err != nil {
				return err
			}
			continue
		}
		if told++; told > shown {
			continue
		}
		switch {
		case parts > 1:
			a.note("%s and %s of its tree have former certificates: %s", e.Path, plural(parts-1, "other part"), e.Next)
		case e.State == exportChanged && exporting:
			a.warn("%s has %s, and was changed by somebody since, so it stays; --force replaces it: %s", e.Path, e.former(), e.Next)
		case e.State == exportChanged:
			a.note("%s has %s, and was changed by somebody since: %s", e.Path, e.former(), e.Next)
		case e.byHand:
			a.note("%s has %s, and %s cannot write it again: %s", e.Path, e.former(), a.command, e.Next)
		default:
			a.note("%s has %s: %s", e.Path, e.former(), e.Next)
			again = again || e.Format != formatApplied && e.Format != formatKubeadm && !exporting
		}
	}
	if again {
		a.note("With --export, %s writes such files again itself.", a.command)
	}
	if told > shown {
		a.note("So have %d more files.", told-shown)
	}
	return nil
}
