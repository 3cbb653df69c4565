package cmd

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// The kinds of input.
const (
	kindCertificate  = "certificate"
	kindChain        = "chain"        // certificates, each signed by another one of them
	kindCertificates = "certificates" // that are no one chain
	kindRequest      = "request"
	kindPrivateKey   = "privateKey"
	kindPublicKey    = "publicKey"
	kindCRL          = "crl"
	kindPKCS12       = "pkcs12"
	kindJKS          = "jks"
	kindBundle       = "bundle" // certificates and one private key
	kindMixed        = "mixed"
)

// describe puts what was read into s.
func (r *contentReader) describe(s *showJSON) {
	s.Kind, s.Unread, s.joined = r.kind(), r.unread, r.joined
	for _, c := range r.certificates {
		s.Certificates = append(s.Certificates, describeCertificate(c))
	}
	if r.p12 != nil {
		s.PKCS12 = describeP12(r.p12, r.p12Empty)
	}
	if r.jks != nil {
		s.JKS = describeJKS(r.jks)
	}
	if len(r.certificates) > 1 {
		s.Chain = describeChain(pki.ExamineChain(r.certificates))
	}
	if s.Kind == kindCertificates && len(s.Chain.Order) > 0 {
		s.Kind = kindChain
	}
	for _, csr := range r.requests {
		s.Requests = append(s.Requests, describeRequest(csr))
	}
	for _, k := range r.privateKeys {
		j := keyJSON{Key: k.Kind, Form: k.Form, Encrypted: k.Encrypted, Encryption: k.Encryption, Iterations: k.Iterations}
		if k.Public != nil {
			if spki, err := x509.MarshalPKIXPublicKey(k.Public); err == nil {
				j.describe(s, spki)
			}
		}
		s.PrivateKeys = append(s.PrivateKeys, j)
	}
	for _, spki := range r.publicKeys {
		var j keyJSON
		j.describe(s, spki)
		s.PublicKeys = append(s.PublicKeys, j)
	}
	for _, crl := range r.crls {
		s.CRLs = append(s.CRLs, describeCRL(crl, r.certificates))
	}
}

func (r *contentReader) kind() string {
	var kinds []string
	for _, k := range []struct {
		name string
		n    int
	}{
		{kindCertificates, len(r.certificates)}, {kindRequest, len(r.requests)}, {kindPrivateKey, len(r.privateKeys)},
		{kindPublicKey, len(r.publicKeys)}, {kindCRL, len(r.crls)},
	} {
		if k.n > 0 {
			kinds = append(kinds, k.name)
		}
	}
	switch {
	case r.p12 != nil:
		return kindPKCS12
	case r.jks != nil:
		return kindJKS
	case len(kinds) == 2 && len(r.certificates) > 0 && len(r.privateKeys) == 1:
		return kindBundle
	case len(kinds) != 1:
		return kindMixed
	case len(r.certificates) == 1:
		return kindCertificate
	}
	return kinds[0]
}

// title writes what follows in a line of its own.
func (a *app) title(what, more string) error {
	if more != "" {
		what += ": "
	}
	_, err := fmt.Fprintln(a.Stdout, a.style(a.Stdout).Bold(term.Safe(what))+term.Safe(more))
	return err
}

// writeShown writes the result.
func (a *app) writeShown(s *showJSON) error {
	if a.json {
		return a.writeJSON(s)
	}
	var parts []func() error
	if s.PKCS12 != nil {
		parts = append(parts, func() error { return a.writeP12(s) })
	}
	if s.JKS != nil {
		parts = append(parts, func() error { return a.writeJKS(s) })
	}
	if s.Chain != nil {
		parts = append(parts, func() error { return a.writeChain(s) })
	}
	if len(s.Certificates) <= shownCertificates {
		for i := range s.Certificates {
			if s.Chain != nil && s.Chain.Links[i].CopyOf != nil {
				continue
			}
			parts = append(parts, func() error {
				if err := a.title(certificateTitle(s, i), ""); err != nil {
					return err
				}
				return a.writeDescription(&s.Certificates[i])
			})
		}
	}
	for i := range s.Requests {
		parts = append(parts, func() error {
			return a.writeRequest(&s.Requests[i], countedTitle("Signing request", i, len(s.Requests)))
		})
	}
	for i := range s.PrivateKeys {
		parts = append(parts, func() error {
			return a.writeKey(s, &s.PrivateKeys[i], countedTitle("Private key", i, len(s.PrivateKeys)))
		})
	}
	for i := range s.PublicKeys {
		parts = append(parts, func() error {
			return a.writeKey(s, &s.PublicKeys[i], countedTitle("Public key", i, len(s.PublicKeys)))
		})
	}
	for i := range s.CRLs {
		parts = append(parts, func() error { return a.writeCRL(s, &s.CRLs[i], countedTitle("CRL", i, len(s.CRLs))) })
	}
	for i, write := range parts {
		if i > 0 {
			if _, err := fmt.Fprintln(a.Stdout); err != nil {
				return err
			}
		}
		if err := write(); err != nil {
			return err
		}
	}
	a.adviseShown(s)
	return nil
}

// shownCertificates is of how many certificates a person gets to see all; of
// more there is only the table.
const shownCertificates = 10

// adviseShown says what to mind, what was left out, and how to see it.
func (a *app) adviseShown(s *showJSON) {
	for _, w := range s.Warnings {
		a.warn("%s", w)
	}
	for i, u := range s.Unread {
		if i == 5 {
			a.warn("and %s more", plural(len(s.Unread)-i, "block"))
			break
		}
		a.warn("left out, block %d, %s: %s", u.Block+1, u.Type, u.Problem)
	}
	if len(s.Certificates) > shownCertificates {
		a.note("These are many, so only the table; --json shows everything.")
	}
	const how = "--password-prompt, --password-file, --password-env or --password-stdin"
	if s.PKCS12 != nil && !s.PKCS12.Opened {
		a.note("What is encrypted is shown with %s.", how)
	}
	if slices.ContainsFunc(s.PrivateKeys, func(k keyJSON) bool { return k.Encrypted && k.Key == "" }) {
		a.note("Which key it is shows with %s.", how)
	}
}

func countedTitle(what string, i, n int) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%s %d", what, i+1)
}

func certificateTitle(s *showJSON, i int) string {
	if len(s.Certificates) == 1 && s.Certificates[i].IsCA {
		return "Certificate of an authority"
	}
	return countedTitle("Certificate", i, len(s.Certificates))
}

// numbered is a certificate of several, with its number and name.
func numbered(s *showJSON, i int) string {
	return placeText(i, len(s.Certificates), shortName(&s.Certificates[i]))
}

func placeText(i, n int, name string) string {
	if n == 1 {
		return name
	}
	return strings.TrimSpace(fmt.Sprintf("%d, %s", i+1, name))
}

// shortName is what a person calls a certificate: the common name, or the first
// name that it has.
func shortName(c *certificateJSON) string {
	for _, rdn := range strings.Split(c.Subject, ",") {
		if cn, ok := strings.CutPrefix(rdn, "CN="); ok {
			return cn
		}
	}
	switch {
	case c.Subject != "":
		return c.Subject
	case len(c.SANs) > 0:
		return c.SANs[0].Value
	}
	return c.Serial
}
