package cmd

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

type importCAOptions struct {
	name        string
	cert        string
	key         string // empty: it is not here
	chain       string
	crl         string
	crlNumber   int64
	urls        pki.URLs
	makeDefault bool
	secret      secretFlags
	keySecret   secretFlags
}

func newImportCACmd(a *app, run func(context.Context, *importCAOptions) error) *cobra.Command {
	o := &importCAOptions{}
	if run == nil {
		run = a.runImportCA
	}
	c := &cobra.Command{
		Use:     "import-ca NAME --cert FILE [--key FILE]",
		GroupID: groupMake,
		Short:   "Take over a CA that another program made",
		Long: `import-ca makes an authority called NAME of a CA that exists: of kubeadm, cfssl,
easy-rsa, mkcert, minica, step or openssl. The files stay where they are. The
PKI directory is made if there is none.

The key may be PKCS#8, PKCS#1 or SEC 1, in PEM or DER. One that is encrypted
stays so, with its passphrase, unless --passphrase-* gives another. Without
--key it is an offline authority: it lists, exports and verifies, and signs as
soon as the same command with --key has brought its key.

Certificates above an intermediate come from --chain, from the rest of --cert,
or from the authorities that are here: import the root first, and 'mtlsctl tree'
shows the one below the other. The first authority whose key is here signs when
--ca names no other.

If the CA has published CRLs, give its last one with --crl: numbers go on from
there, and what it revoked stays revoked, also what is not on record. 'mtlsctl
import' brings the certificates that it signed.`,
		Example: `  mtlsctl import-ca kubernetes --cert ca.crt --key ca.key
  mtlsctl import-ca issuing --cert intermediate.pem --key intermediate.key --chain root.pem
  mtlsctl import-ca office --cert pki/ca.crt --key pki/private/ca.key --crl pki/crl.pem
  mtlsctl import-ca partner --cert partner-ca.pem`,
		Args:              exactArgs("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			if o.cert == "" {
				return usagef("name the file with the CA's certificate", "--cert is missing")
			}
			if o.key == "" && (o.secret.given() || o.keySecret.given()) {
				return usagef("name the file with the CA's key with --key, or leave the passphrase out", "a passphrase is given, and no --key")
			}
			return run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.cert, "cert", "", "`file` with the CA's certificate, PEM or DER")
	f.StringVar(&o.key, "key", "", "`file` with the CA's key; without it the authority is offline")
	f.StringVar(&o.chain, "chain", "", "`file` with the certificates above it")
	f.StringVar(&o.crl, "crl", "", "`file` with the last CRL that it published")
	f.Var(parsed(&o.crlNumber, "number", parseCRLNumber), "crl-number", "number of the last CRL that it published")
	addURLFlags(c, &o.urls)
	f.BoolVar(&o.makeDefault, "default", false, "let it sign when --ca names no other")
	o.secret.add(c, "passphrase", "passphrase that encrypts the key in the PKI directory")
	o.keySecret.add(c, "key-passphrase", "passphrase of the key in --key")
	exclusive(c, "crl", "crl-number")
	exclusive(c, "passphrase-stdin", "key-passphrase-stdin")
	return c
}

// addURLFlags adds where an authority publishes.
func addURLFlags(c *cobra.Command, urls *pki.URLs) {
	f := c.Flags()
	f.Var(collected(&urls.CRL, "url", parsePublishURL), "crl-url", "where the authority's CRL will be; repeatable")
	f.Var(collected(&urls.AIA, "url", parsePublishURL), "aia-url", "where the authority's certificate will be, in DER; repeatable")
	f.Var(collected(&urls.OCSP, "url", parsePublishURL), "ocsp-url", "where the authority's OCSP responder will be; repeatable")
}

func parseCRLNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, errors.New("it is a number from 1, in decimal")
	}
	return n, nil
}

func (a *app) runImportCA(ctx context.Context, o *importCAOptions) error {
	name, err := parseName(o.name)
	if err != nil {
		return err
	}
	certs, err := a.readCertificates("--cert", o.cert)
	if err != nil {
		return err
	}
	key, opened, err := a.readImportedKey(o.key, &o.keySecret)
	if err != nil {
		return err
	}
	certs, err = ofKey(certs, key)
	if err != nil {
		return withHint(fmt.Errorf("--key %s: %w", o.key, err), "give the key of the certificate in %s, or leave --key out for an offline authority", o.cert)
	}
	if o.chain != "" {
		above, err := a.readCertificates("--chain", o.chain)
		if err != nil {
			return err
		}
		certs = append(certs, above...)
	}
	chain, err := pki.ChainOf(certs, nil)
	if err != nil {
		return withHint(err, "give the certificates between the CA and its root with --chain, and no others")
	}
	in := pkidir.ImportOptions{
		URLs: fillURLs(o.urls, name.String()), Default: o.makeDefault, DefaultIfNone: key != nil, Alone: true, Secret: opened, CRLNumber: o.crlNumber,
	}
	if o.secret.given() {
		if in.Secret, err = o.secret.read(a); err != nil {
			return err
		}
	}
	if o.crl != "" {
		if in.CRL, err = a.readCRL(o.crl); err != nil {
			return err
		}
	}
	issued, err := pkidir.CreateImported(ctx, a.pkiPath, a.Now, a.command, name, chain, key, in)
	if err != nil {
		return importCAError(err)
	}
	return a.showImportedCA(&issued, opened != nil && !o.secret.given())
}

// ofKey puts the certificate that a key belongs to first. Without a key the first
// stays.
func ofKey(certs []*x509.Certificate, key crypto.Signer) ([]*x509.Certificate, error) {
	if key == nil {
		return certs, nil
	}
	for i, c := range certs {
		if pki.SamePublicKey(key.Public(), c.PublicKey) {
			rest := append(append([]*x509.Certificate(nil), certs[:i]...), certs[i+1:]...)
			return append([]*x509.Certificate{c}, rest...), nil
		}
	}
	return nil, pki.ErrKeyMismatch
}

// importCAError adds the next step that is import-ca's own.
func importCAError(err error) error {
	var exists *ledger.ExistsError
	var same *pkidir.SameAuthorityError
	var unfinished *pkidir.UnfinishedError
	switch {
	case errors.As(err, &unfinished):
		return withHint(err, "mend the cause, and run the same command again")
	case errors.As(err, &exists):
		return withHint(err, "certificates and authorities share their names: give the authority another; 'mtlsctl list' shows what there is")
	case errors.As(err, &same):
		return withHint(err, "use it by that name, as in --ca %s; 'mtlsctl tree' shows it", same.Has)
	case errors.Is(err, pki.ErrNotCA):
		return withHint(err, "name the certificate of the CA itself; 'mtlsctl import NAME --cert FILE' records one that a CA signed")
	case errors.Is(err, pki.ErrKey):
		return withHint(err, "make a new CA with 'mtlsctl init-ca NAME': nobody should trust one with such a key")
	case errors.Is(err, pkidir.ErrCRL):
		return withHint(err, "name the last complete CRL of this CA with --crl, or its number alone with --crl-number")
	}
	return err
}

func (a *app) showImportedCA(i *pkidir.Issued, kept bool) error {
	if a.json {
		return a.writeJSON(issuedJSON(a, []pkidir.Issued{*i})[0])
	}
	leaf := i.Bundle.Leaf()
	_, err := os.Lstat(a.pathIn(*i, pkidir.KeyFile)) // it may be here from before
	offline := errors.Is(err, fs.ErrNotExist)
	if !a.quiet {
		style := a.style(a.Stdout)
		state := ""
		switch {
		case offline:
			state = "without its key"
		case i.Default:
			state = "signs by default"
		}
		t := term.Table{Indent: "  "}
		t.Row(term.Cell{Text: i.Entry.Name, Style: style.Bold}, displayName(leaf), keyText(leaf), "until "+day(i.Entry.NotAfter), i.Path, state)
		if err := t.Write(a.Stdout); err != nil {
			return err
		}
	}
	for _, w := range i.Warnings {
		a.warn("%s: %s", i.Entry.Name, w)
	}
	if kept {
		a.note("The key stays encrypted with the passphrase that it had.")
	}
	switch {
	case offline:
		a.note("Next: mtlsctl import NAME --cert FILE, for what it signed")
	case i.Default:
		a.note("Next: mtlsctl issue server api.example.com")
	default:
		a.note("Next: mtlsctl issue server api.example.com --ca %s", i.Entry.Name)
	}
	return nil
}
