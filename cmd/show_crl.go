package cmd

import (
	"crypto/x509"
	"encoding/hex"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// crlJSON is a certificate revocation list.
type crlJSON struct {
	Issuer     string         `json:"issuer"` // RFC 4514
	Number     string         `json:"number,omitempty"`
	ThisUpdate time.Time      `json:"thisUpdate"`
	NextUpdate *time.Time     `json:"nextUpdate,omitempty"`
	Signature  string         `json:"signatureAlgorithm"`
	SigProblem string         `json:"signatureProblem,omitempty"`
	SignedBy   *int           `json:"signedBy,omitempty"` // the place of a certificate
	IssuerKey  string         `json:"authorityKeyID,omitempty"`
	Extensions []extJSON      `json:"extensions,omitempty"`
	Entries    []crlEntryJSON `json:"entries"`
}

type crlEntryJSON struct {
	Serial    string    `json:"serial"`
	RevokedAt time.Time `json:"revokedAt"`
	Reason    string    `json:"reason,omitempty"`
}

func describeCRL(crl *x509.RevocationList, certs []*x509.Certificate) crlJSON {
	j := crlJSON{
		Issuer: nameText(crl.RawIssuer, crl.Issuer), ThisUpdate: crl.ThisUpdate.UTC(),
		IssuerKey: hex.EncodeToString(crl.AuthorityKeyId), Extensions: extensions(crl.Extensions), Entries: []crlEntryJSON{},
	}
	if crl.Number != nil {
		j.Number = crl.Number.String()
	}
	if !crl.NextUpdate.IsZero() {
		next := crl.NextUpdate.UTC()
		j.NextUpdate = &next
	}
	j.Signature, j.SigProblem = pki.DescribeSignature(crl.SignatureAlgorithm, crl.Raw)
	for i, c := range certs {
		if pki.CRLSignedBy(crl, c) == pki.SignatureGood {
			j.SignedBy = &i
			break
		}
	}
	for _, e := range crl.RevokedCertificateEntries {
		entry := crlEntryJSON{Serial: serialText(e.SerialNumber), RevokedAt: e.RevocationTime.UTC()}
		if e.ReasonCode != 0 {
			entry.Reason = pki.Reason(e.ReasonCode).String()
		}
		j.Entries = append(j.Entries, entry)
	}
	return j
}

// shownEntries is how many entries of a CRL a person gets to see.
const shownEntries = 10

func (a *app) writeCRL(s *showJSON, j *crlJSON, title string) error {
	style := a.style(a.Stdout)
	if err := a.title(title, ""); err != nil {
		return err
	}
	t := newDetails(style)
	t.line("Issuer", orNone(nonEmpty(j.Issuer)))
	t.line("Number", j.Number)
	t.line("This update", pki.FormatTime(j.ThisUpdate))
	now := a.Now()
	switch {
	case j.NextUpdate == nil:
		t.cell("Next update", term.Cell{Text: "not said: nobody can know whether it is current", Style: style.Warn})
	case now.After(*j.NextUpdate):
		t.cell("Next update", remark(pki.FormatTime(*j.NextUpdate), "overdue by "+span(now.Sub(*j.NextUpdate)), style.Bad))
	default:
		t.cell("Next update", remark(pki.FormatTime(*j.NextUpdate), "in "+span(j.NextUpdate.Sub(now)), style.Good))
	}
	t.cell("Signature", remark(j.Signature, j.SigProblem, style.Bad))
	if j.SignedBy != nil {
		t.line("Signed by", "certificate "+numbered(s, *j.SignedBy))
	}
	t.extensions(j.Extensions, oidCRLNumber, oidAuthorityKeyID)
	t.line("Issuer key", j.IssuerKey)
	t.line("Revoked", plural(len(j.Entries), "certificate"))
	if err := t.Write(a.Stdout); err != nil {
		return err
	}
	entries := term.Table{Indent: "    "}
	for _, e := range j.Entries[:min(shownEntries, len(j.Entries))] {
		entries.Row(e.Serial, pki.FormatTime(e.RevokedAt), e.Reason)
	}
	if err := entries.Write(a.Stdout); err != nil {
		return err
	}
	if more := len(j.Entries) - shownEntries; more > 0 {
		a.note("And %d more revoked: --json shows all.", more)
	}
	return nil
}
