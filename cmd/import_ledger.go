package cmd

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/internal/easyrsa"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// importedJSON is the result of import --ledger.
type importedJSON struct {
	Authority string            `json:"authority"`
	Imported  []certificateJSON `json:"imported"`
	Known     int               `json:"known"`
	Revoked   int               `json:"revocations"`
	Skipped   []skippedJSON     `json:"skipped,omitempty"`
}

// skippedJSON is an entry of a ledger that was left out.
type skippedJSON struct {
	Line    int    `json:"line"`
	Serial  string `json:"serial"`
	Subject string `json:"subject"`
	Problem string `json:"problem"`
}

func (a *app) runImportLedger(ctx context.Context, o *importOptions) (err error) {
	read, err := easyrsa.Read(os.DirFS(o.target))
	if err != nil {
		return easyRSAError(err, o.target)
	}
	d, err := a.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	in := pkidir.LedgerImport{Authority: o.ca}
	if o.ca == "" {
		if in.Authority, err = ledgerAuthority(d, read, o.target); err != nil {
			return err
		}
	}
	var skipped []skippedJSON
	var lines []*easyrsa.Issued // of in.Certificates
	for i := range read.Entries {
		e := &read.Entries[i]
		if !e.RevokedAt.IsZero() {
			in.Revoked = append(in.Revoked, pki.Revocation{Serial: e.Serial, At: e.RevokedAt, Reason: e.Reason})
		}
		if e.Certificate == nil {
			skipped = append(skipped, skippedEntry(e, e.Problem))
			continue
		}
		name, err := ledgerName(e.Certificate)
		if err != nil {
			return err
		}
		in.Certificates, lines = append(in.Certificates, pkidir.CertificateImport{Name: name, Cert: e.Certificate}), append(lines, e)
	}
	done, err := d.ImportLedger(ctx, in)
	if err != nil {
		return importError(err, o)
	}
	for _, r := range done.Refused {
		problem := "another authority signed it"
		if errors.Is(r.Err, pki.ErrNotCA) {
			problem = "it is an authority: take it over with 'mtlsctl import-ca'"
		}
		skipped = append(skipped, skippedEntry(lines[r.Place], problem))
	}
	return a.showLedger(in.Authority, &done, skipped)
}

func skippedEntry(e *easyrsa.Issued, problem string) skippedJSON {
	return skippedJSON{e.Line, serialText(e.Serial), e.Subject, problem}
}

// easyRSAError says which folder or file is meant, and what to do.
func easyRSAError(err error, dir string) error {
	var line *easyrsa.LineError
	switch {
	case errors.Is(err, easyrsa.ErrNoIndex):
		return withHint(fmt.Errorf("%s: %w", dir, err), "name the folder of easy-rsa that has index.txt in it, or pki/index.txt")
	case errors.As(err, &line):
		return withHint(fmt.Errorf("%s: %w", dir, err), "mend the line, or bring the file back: what is passed over could be a revocation")
	}
	return withHint(fmt.Errorf("%s: %w", dir, atomicfile.Reason(err)), "name a folder that is there and may be read")
}

// ledgerAuthority finds the authority whose ledger it is.
func ledgerAuthority(d *pkidir.Dir, read *easyrsa.Ledger, dir string) (string, error) {
	folder := filepath.Join(dir, read.Folder)
	if read.CA == nil {
		return "", usagef("name the authority that signed these certificates with --ca", "%s has no ca.crt", folder)
	}
	name, err := d.AuthorityOf(read.CA)
	if errors.Is(err, pkidir.ErrNoAuthority) {
		err = withHint(fmt.Errorf("the CA of %s is not here: %w", folder, err), "bring it first: mtlsctl import-ca NAME --cert %s --key %s",
			filepath.Join(folder, "ca.crt"), filepath.Join(folder, "private", "ca.key"))
	}
	return name, err
}

// ledgerName makes the name of a certificate out of its common name.
func ledgerName(c *x509.Certificate) (pki.Name, error) {
	cn := c.Subject.CommonName
	if n, err := pki.ParseName(cn); err == nil && n.Namespace() == "" {
		return n, nil
	}
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._@+-", r) {
			return r
		}
		return '-'
	}, cn)
	s = strings.Trim(strings.ReplaceAll(s, "..", "."), "._@+-")
	if n, err := pki.ParseName(s); err == nil {
		return n, nil
	}
	return pki.ParseName("serial-" + serialText(c.SerialNumber))
}

func (a *app) showLedger(authority string, done *pkidir.LedgerImported, skipped []skippedJSON) error {
	if a.json {
		return a.writeJSON(importedJSON{authority, issuedJSON(a, done.Issued), done.Known, done.Revoked, skipped})
	}
	if !a.quiet {
		counts := map[ledger.Status]int{}
		for _, i := range done.Issued {
			counts[i.Entry.Status(a.Now())]++
		}
		var parts []string
		for _, s := range []ledger.Status{ledger.Valid, ledger.Pending, ledger.Expired, ledger.Revoked, ledger.Superseded} {
			if counts[s] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
			}
		}
		if done.Known > 0 {
			parts = append(parts, fmt.Sprintf("%d on record before", done.Known))
		}
		style := a.style(a.Stdout)
		t := term.Table{Indent: "  "}
		t.Row(term.Cell{Text: authority, Style: style.Bold}, plural(len(done.Issued), "certificate")+" imported", strings.Join(parts, ", "))
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
	}
	for i, s := range skipped {
		if i == shown && !a.quiet {
			a.warn("and %d more were left out; --json names all", len(skipped)-shown)
			break
		}
		a.warn("left out, line %d, %s, serial %s: %s", s.Line, s.Subject, s.Serial, s.Problem)
	}
	if done.Revoked > 0 {
		a.note("Next: mtlsctl crl %s, which publishes the %s", authority, plural(done.Revoked, "revocation"))
	} else if len(done.Issued) > 0 {
		a.note("Next: mtlsctl list --ca %s --history", authority)
	}
	return nil
}
