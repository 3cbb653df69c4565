package cmd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
)

type showOptions struct {
	target         string
	password       secretFlags
	passwordPrompt bool
}

func newShowCmd(a *app, run func(context.Context, *showOptions) error) *cobra.Command {
	o := &showOptions{}
	if run == nil {
		run = a.runShow
	}
	c := &cobra.Command{
		Use:     "show NAME|FILE|-",
		GroupID: groupLook,
		Short:   "Explain a certificate, chain, signing request, key, CRL or key store",
		Long: `show says what is in a certificate of the PKI directory, named by its NAME or
serial number, or in a FILE, or in standard input with -. Files need no PKI
directory. They hold, in PEM or DER, one or many of:

    certificates       also whether they are a chain, in order, with its root
    signing requests   also whether the signature is good
    keys               private and public; never the private part, but the
                       SHA-256 by which a key is matched with a certificate
    CRLs               what is revoked, and when the next one is due
    a PKCS#12 file     its algorithms, and who can import it
    a Java KeyStore    its entries; with the password, whether it is whole

PEM may also stand inside of YAML or JSON: a Kubernetes Secret, a kubeconfig.

A NAME of the PKI directory goes before a file that is called the same; ./FILE
is always the file. What show finds, an expired certificate or a bad signature,
does not change the exit status.`,
		Example: `  mtlsctl show api.example.com
  mtlsctl show 6cef92456f63e7208dbd6a032ea7e1cc --json
  mtlsctl show ./fullchain.pem
  mtlsctl show alice.p12 --password-prompt
  kubectl get secret web-tls -o yaml | mtlsctl show -`,
		Args: exactArgs("NAME or FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.target = args[0]
			return run(c.Context(), o)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			names, _ := a.completeBundles(c, args, word)
			return names, cobra.ShellCompDirectiveDefault // and files
		},
	}
	o.password.add(c, "password", "password of a key store or key")
	c.Flags().BoolVar(&o.passwordPrompt, "password-prompt", false, "ask for the password on the terminal")
	exclusive(c, "password-file", "password-env", "password-stdin", "password-prompt")
	return c
}

// showJSON is the result of show: docs/json.md explains the fields. The lists
// are in the order of the input.
type showJSON struct {
	Kind         string            `json:"kind"`
	Source       string            `json:"source"` // pki, file, stdin
	File         string            `json:"file,omitempty"`
	Certificates []certificateJSON `json:"certificates,omitempty"`
	Chain        *chainJSON        `json:"chain,omitempty"`
	Requests     []requestJSON     `json:"requests,omitempty"`
	PrivateKeys  []keyJSON         `json:"privateKeys,omitempty"`
	PublicKeys   []keyJSON         `json:"publicKeys,omitempty"`
	CRLs         []crlJSON         `json:"crls,omitempty"`
	PKCS12       *p12JSON          `json:"pkcs12,omitempty"`
	JKS          *jksJSON          `json:"jks,omitempty"`
	Unread       []unreadJSON      `json:"unread,omitempty"`
	Warnings     []string          `json:"warnings,omitempty"`

	joined bool // see contentReader
}

// Where what is shown comes from.
const (
	sourcePKI   = "pki"
	sourceFile  = "file"
	sourceStdin = "stdin"
)

func (a *app) runShow(ctx context.Context, o *showOptions) error {
	if o.password.stdin && o.target == "-" {
		return usagef("use --password-file or --password-env", "--password-stdin: standard input is what is to be shown")
	}
	if o.target == "-" || isPath(o.target) {
		return a.showFile(o, nil)
	}
	var warnings []string
	found, pkiErr := a.findInPKI(ctx, o.target)
	_, fileErr := os.Stat(o.target)
	switch {
	case len(found) > 0:
		if fileErr == nil {
			warnings = append(warnings, fmt.Sprintf("this is %q of %s; for the file of that name say .%c%s", o.target, a.pkiPath, filepath.Separator, o.target))
		}
		return a.showEntries(found, warnings)
	case fileErr == nil:
		if pkiErr != nil && !errors.Is(pkiErr, pkidir.ErrNoDir) {
			warnings = append(warnings, fmt.Sprintf("this is the file; the PKI directory could not be asked: %v", pkiErr))
		}
		return a.showFile(o, warnings)
	case errors.Is(pkiErr, pkidir.ErrNoDir):
		return withHint(fmt.Errorf("%q: there is no such file, and no PKI directory %s to look the name up in", o.target, a.pkiPath),
			"name a file, or the PKI directory with --pki")
	case pkiErr != nil:
		return pkiErr
	}
	return withHint(fmt.Errorf("%q: in %s there is no certificate or authority of that name or serial, and there is no such file", o.target, a.pkiPath),
		"'mtlsctl list' shows the certificates there are")
}

// isPath reports whether an argument cannot be a name. What comes of manifests
// has a slash in its name.
func isPath(s string) bool {
	_, err := pki.ParseName(s)
	return err != nil && (strings.ContainsRune(s, '/') || strings.ContainsRune(s, filepath.Separator))
}

// findInPKI looks up a certificate or authority by its name, or else by its
// serial. No key is read.
func (a *app) findInPKI(ctx context.Context, target string) (found []certificateJSON, err error) {
	d, err := a.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	entries, err := findEntries(ctx, d, target)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		j, err := entryJSON(a, e)
		if err != nil {
			return nil, err
		}
		if folder, ok := d.FolderOf(e); ok && e.Current {
			j.Path = folder
		}
		found = append(found, j)
	}
	return found, nil
}

func findEntries(ctx context.Context, d *pkidir.Dir, target string) (found []*ledger.Entry, err error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	if name, err := pki.ParseName(target); err == nil {
		e, err := l.Current(ctx, name.String())
		if err == nil {
			return []*ledger.Entry{e}, nil
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return nil, err
		}
	}
	serial, ok := parseSerial(target)
	if !ok {
		return nil, nil
	}
	// A serial is unique to an authority.
	authorities, err := d.AuthorityNames()
	if err != nil {
		return nil, err
	}
	for _, issuer := range authorities {
		e, err := l.BySerial(ctx, issuer, serial)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}

// parseSerial reads a serial number as any program writes it in hexadecimal.
func parseSerial(s string) (string, bool) {
	s = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
	s = strings.TrimPrefix(s, "0x")
	if len(s)%2 == 1 {
		s = "0" + s
	}
	for len(s) > 2 && strings.HasPrefix(s, "00") {
		s = s[2:]
	}
	_, err := hex.DecodeString(s)
	return s, err == nil && s != ""
}

// showEntries shows certificates of the PKI directory.
func (a *app) showEntries(found []certificateJSON, warnings []string) error {
	s := &showJSON{Kind: kindCertificate, Source: sourcePKI, Certificates: found, Warnings: warnings}
	if len(found) > 1 {
		s.Kind = kindCertificates
	}
	a.setInTime(s)
	return a.writeShown(s)
}

// maxShow is the largest input that is read.
const maxShow = 16 << 20

// showFile shows a file or standard input.
func (a *app) showFile(o *showOptions, warnings []string) error {
	s := &showJSON{Source: sourceFile, File: o.target, Warnings: warnings}
	what := o.target
	if o.target == "-" {
		s.Source, s.File, what = sourceStdin, "", "standard input"
	} else if err := checkFile(o.target); err != nil {
		return err
	}
	data, err := a.readInput(o.target, maxShow)
	if err != nil {
		return err
	}
	asked := false
	r := contentReader{secret: func() ([]byte, error) {
		asked = true
		return a.showPassword(o)
	}}
	if err := r.read(data); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !asked && (o.password.given() || o.passwordPrompt) {
		s.Warnings = append(s.Warnings, fmt.Sprintf("nothing in %s takes a password", what))
	}
	r.describe(s)
	a.setInTime(s)
	return a.writeShown(s)
}

// checkFile finds what is no file before it is read.
func checkFile(file string) error {
	info, err := os.Stat(file)
	var p *fs.PathError
	switch {
	case errors.As(err, &p):
		return withHint(fmt.Errorf("%s: %w", file, p.Err), "name a file, a certificate of the PKI directory, or - for standard input")
	case err != nil:
		return err
	case !info.IsDir():
		return nil
	}
	err = fmt.Errorf("%s is a folder", file)
	inside := filepath.Join(file, pkidir.ChainFile)
	if _, statErr := os.Stat(inside); statErr == nil {
		return withHint(err, "'mtlsctl show %s' shows the certificate in it", inside)
	}
	return withHint(err, "name one of the files in it")
}

// showPassword returns the password that the flags give, or nil if there is
// none.
func (a *app) showPassword(o *showOptions) ([]byte, error) {
	switch {
	case o.password.given():
		return o.password.read(a)
	case !o.passwordPrompt:
		return nil, nil
	case !a.canAsk():
		return nil, usagef("use --password-file, --password-env or --password-stdin", "--password-prompt: there is no terminal to ask on")
	}
	secret, err := a.ask("Password: ")
	if secret == nil {
		secret = []byte{} // the empty password is one
	}
	return secret, err
}

// setInTime says of each certificate whether its time is now.
func (a *app) setInTime(s *showJSON) {
	now := a.Now()
	for i := range s.Certificates {
		c := &s.Certificates[i]
		in := !now.Before(c.NotBefore) && !now.After(c.NotAfter)
		c.InTime = &in
	}
}
