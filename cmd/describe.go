package cmd

import (
	"crypto/sha1" // fingerprints that other programs show
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// certificateJSON is a certificate in every JSON result: docs/json.md explains
// the fields. A field that does not apply is left out.
type certificateJSON struct {
	Name       string     `json:"name,omitempty"`
	Kind       string     `json:"kind,omitempty"` // authority, certificate
	Profile    string     `json:"profile,omitempty"`
	Status     string     `json:"status,omitempty"`
	Authority  string     `json:"authority,omitempty"` // the name of the one that signed
	Path       string     `json:"path,omitempty"`
	Version    int        `json:"version,omitempty"`
	Subject    string     `json:"subject"` // RFC 4514
	Issuer     string     `json:"issuer"`  // RFC 4514
	SelfSigned bool       `json:"selfSigned"`
	SANs       []sanJSON  `json:"sans"`
	OtherNames []string   `json:"otherNames,omitempty"`
	SPIFFEID   string     `json:"spiffeID,omitempty"`
	Serial     string     `json:"serial,omitempty"`
	NotBefore  time.Time  `json:"notBefore"`
	NotAfter   time.Time  `json:"notAfter"`
	InTime     *bool      `json:"inTime,omitempty"`
	RevokedAt  *time.Time `json:"revokedAt,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Key        string     `json:"key"`
	KeyProblem string     `json:"keyProblem,omitempty"`
	KeySHA256  string     `json:"publicKeySHA256,omitempty"` // of the SubjectPublicKeyInfo
	Signature  string     `json:"signatureAlgorithm,omitempty"`
	SigProblem string     `json:"signatureProblem,omitempty"`
	Usages     []string   `json:"usages"`
	IsCA       bool       `json:"isCA"`
	PathLen    *int       `json:"pathLen,omitempty"`
	Permitted  []string   `json:"permitted,omitempty"`
	Excluded   []string   `json:"excluded,omitempty"`
	CRL        []string   `json:"crlURLs,omitempty"`
	AIA        []string   `json:"aiaURLs,omitempty"`
	OCSP       []string   `json:"ocspURLs,omitempty"`
	SubjectKey string     `json:"subjectKeyID,omitempty"`
	IssuerKey  string     `json:"authorityKeyID,omitempty"`
	SHA256     string     `json:"sha256,omitempty"`
	SHA1       string     `json:"sha1,omitempty"`
	Extensions []extJSON  `json:"extensions,omitempty"`
	Warnings   []string   `json:"warnings,omitempty"`
}

type sanJSON struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// extJSON is an extension of a certificate, signing request or CRL.
type extJSON struct {
	OID      string `json:"oid"`
	Name     string `json:"name,omitempty"` // if it has one
	Critical bool   `json:"critical"`
}

// describeCertificate says everything about a certificate.
func describeCertificate(c *x509.Certificate) certificateJSON {
	d := certificateJSON{
		Version: c.Version, Subject: nameText(c.RawSubject, c.Subject), Issuer: nameText(c.RawIssuer, c.Issuer),
		OtherNames: pki.OtherNames(c.Extensions), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Usages: usageWords(c.KeyUsage, c.ExtKeyUsage, c.UnknownExtKeyUsage), IsCA: c.IsCA,
		CRL: c.CRLDistributionPoints, AIA: c.IssuingCertificateURL, OCSP: c.OCSPServer,
		SubjectKey: hex.EncodeToString(c.SubjectKeyId), IssuerKey: hex.EncodeToString(c.AuthorityKeyId),
		Extensions: extensions(c.Extensions),
	}
	d.SANs, d.SPIFFEID = sansJSON(c)
	if c.IsCA && (c.MaxPathLen > 0 || c.MaxPathLenZero) {
		d.PathLen = &c.MaxPathLen
	}
	permit, exclude := pki.ConstraintsOf(c)
	for _, p := range permit {
		d.Permitted = append(d.Permitted, p.String())
	}
	for _, e := range exclude {
		d.Excluded = append(d.Excluded, e.String())
	}
	if len(c.Raw) > 0 {
		d.SelfSigned = pki.SelfSigned(c) == pki.SignatureGood
		d.Serial = serialText(c.SerialNumber)
		d.Key, d.KeyProblem = pki.DescribeKey(c.RawSubjectPublicKeyInfo)
		d.KeySHA256 = sha256Hex(c.RawSubjectPublicKeyInfo)
		d.Signature, d.SigProblem = pki.DescribeSignature(c.SignatureAlgorithm, c.Raw)
		d.SHA256, d.SHA1 = sha256Hex(c.Raw), sha1Hex(c.Raw)
	}
	return d
}

// nameText writes a distinguished name; a template has it only parsed.
func nameText(raw []byte, n pkix.Name) string {
	if len(raw) == 0 {
		return n.String()
	}
	return pki.FormatName(raw)
}

func sansJSON(c *x509.Certificate) (all []sanJSON, spiffeID string) {
	all = []sanJSON{}
	for _, s := range pki.SANsOf(c) {
		all = append(all, sanJSON{string(s.Kind()), s.Value()})
		if s.Kind() == profiles.KindSPIFFE {
			spiffeID = s.Value()
		}
	}
	return all, spiffeID
}

func extensions(exts []pkix.Extension) (all []extJSON) {
	for _, e := range exts {
		j := extJSON{OID: e.Id.String(), Critical: e.Critical}
		if name := pki.ExtensionName(e.Id); name != j.OID {
			j.Name = name
		}
		all = append(all, j)
	}
	return all
}

// serialText writes a serial number as the ledger does.
func serialText(n *big.Int) string {
	if n == nil || n.Sign() == 0 {
		return "00"
	}
	return hex.EncodeToString(n.Bytes())
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func sha1Hex(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// describeDraft says what is known of a certificate before it is signed.
func describeDraft(t *x509.Certificate, key profiles.KeyType, parent *x509.Certificate) (certificateJSON, error) {
	name, err := pki.ParseRawName(t.RawSubject)
	if err != nil {
		return certificateJSON{}, err
	}
	t.Subject = name
	d := describeCertificate(t)
	d.Issuer, d.Key = pki.FormatName(parent.RawSubject), key.String()
	d.IssuerKey = hex.EncodeToString(parent.SubjectKeyId)
	return d, nil
}

// entryJSON says everything about a certificate of the ledger.
func entryJSON(a *app, e *ledger.Entry) (certificateJSON, error) {
	c, err := x509.ParseCertificate(e.DER)
	if err != nil {
		return certificateJSON{}, fmt.Errorf("certificate %q of the ledger: %w", e.Name, err)
	}
	d := describeCertificate(c)
	d.Name, d.Kind, d.Profile, d.Authority = e.Name, e.Kind, e.Profile, e.Issuer
	d.Status = string(e.Status(a.Now()))
	if !e.RevokedAt.IsZero() {
		d.RevokedAt, d.Reason = &e.RevokedAt, pki.Reason(e.Reason).String()
	}
	return d, nil
}

// issuedJSON says everything about certificates that were just made.
func issuedJSON(a *app, issued []pkidir.Issued) []certificateJSON {
	all := make([]certificateJSON, 0, len(issued))
	for _, i := range issued {
		d := describeCertificate(i.Bundle.Leaf())
		d.Name, d.Kind, d.Profile, d.Authority = i.Entry.Name, i.Entry.Kind, i.Entry.Profile, i.Entry.Issuer
		d.Status, d.Path, d.Warnings = string(i.Entry.Status(a.Now())), i.Path, i.Warnings
		all = append(all, d)
	}
	return all
}

// writeDescription writes d for a person.
func (a *app) writeDescription(d *certificateJSON) error {
	style := a.style(a.Stdout)
	t := newDetails(style)
	t.line("Name", strings.TrimSpace(d.Name+described(d.Kind, d.Profile, d.Authority)))
	if d.Status != "" {
		t.cell("Status", statusCell(d, style))
	}
	t.line("Kept in", d.Path)
	if d.Version != 0 && d.Version != 3 {
		t.line("Version", fmt.Sprintf("%d, without extensions", d.Version))
	}
	t.line("Subject", orNone(nonEmpty(d.Subject)))
	t.line("Issuer", orNone(nonEmpty(d.Issuer)))
	switch {
	case d.SelfSigned:
		t.line("", "self-signed")
	case d.Subject == d.Issuer && d.SHA256 != "":
		t.line("", "itself, which its signature does not show")
	}
	t.names(d.SANs, d.OtherNames)
	t.line("Usages", strings.Join(d.Usages, ", "))
	if d.IsCA {
		limit := "signs certificates; no limit on authorities below"
		if d.PathLen != nil {
			limit = "signs certificates; " + authoritiesBelow(*d.PathLen)
		}
		t.line("Authority", limit)
	}
	t.line("Permitted", d.Permitted...)
	t.line("Excluded", d.Excluded...)
	t.line("Begins", pki.FormatTime(d.NotBefore))
	left, leftStyle := a.left(d, style)
	t.cell("Ends", remark(pki.FormatTime(d.NotAfter), left, leftStyle))
	t.cell("Key", remark(d.Key, d.KeyProblem, style.Bad))
	t.cell("Signature", remark(d.Signature, d.SigProblem, style.Bad))
	t.line("Serial", d.Serial)
	t.line("CRL", d.CRL...)
	t.line("AIA", d.AIA...)
	t.line("OCSP", d.OCSP...)
	explained := []string{oidSubjectKeyID, oidKeyUsage, oidSAN, oidBasicConstraints, oidCRLPoints, oidAuthorityKeyID, oidExtKeyUsage, oidAIA}
	if len(d.Permitted)+len(d.Excluded) > 0 {
		explained = append(explained, oidNameConstraints)
	}
	t.extensions(d.Extensions, explained...)
	t.line("Key ID", d.SubjectKey)
	t.line("Issuer key", d.IssuerKey)
	t.line("Key SHA-256", d.KeySHA256)
	t.line("SHA-256", d.SHA256)
	t.line("SHA-1", d.SHA1)
	return t.Write(a.Stdout)
}

func described(kind, profile, authority string) string {
	switch {
	case profile == "" && kind == "":
		return ""
	case authority == "":
		return fmt.Sprintf("   %s", profile)
	}
	return fmt.Sprintf("   %s, signed by %s", profile, authority)
}

func authoritiesBelow(n int) string {
	switch n {
	case 0:
		return "no authority below"
	case 1:
		return "one authority below"
	}
	return fmt.Sprintf("%d authorities below, one under the other", n)
}

// statusCell is what the ledger says of a certificate.
func statusCell(d *certificateJSON, style term.Style) term.Cell {
	if d.RevokedAt != nil {
		return term.Cell{Text: "revoked on " + day(*d.RevokedAt) + ", " + d.Reason, Style: style.Bad}
	}
	paint := style.Bad
	switch ledger.Status(d.Status) {
	case ledger.Valid:
		paint = style.Good
	case ledger.Pending, ledger.Superseded:
		paint = style.Warn
	case ledger.Expired, ledger.Revoked:
	}
	return term.Cell{Text: d.Status, Style: paint}
}

// left says how much of a lifetime is left.
func (a *app) left(d *certificateJSON, style term.Style) (text string, paint func(string) string) {
	now := a.Now()
	switch left := d.NotAfter.Sub(now); {
	case left <= 0:
		return "expired " + span(-left) + " ago", style.Bad
	case now.Before(d.NotBefore):
		return "begins in " + span(d.NotBefore.Sub(now)), style.Warn
	case left < d.NotAfter.Sub(d.NotBefore)/3:
		return span(left) + " left", style.Warn
	default:
		return span(left) + " left", style.Good
	}
}

// span writes a length of time in its largest unit, rounded down.
func span(d time.Duration) string {
	const year = 365 * 24 * time.Hour
	switch {
	case d >= 2*year:
		return plural(int(d/year), "year")
	case d >= 48*time.Hour:
		return plural(int(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return plural(int(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return plural(int(d/time.Minute), "minute")
	}
	return plural(int(d/time.Second), "second")
}

// day writes the date of a moment, in UTC.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func usageWords(bits x509.KeyUsage, purposes []x509.ExtKeyUsage, unknown []asn1.ObjectIdentifier) []string {
	all := append([]string{}, profiles.FormatUsages(bits, nil)...)
	for _, p := range purposes {
		words := profiles.FormatUsages(0, []x509.ExtKeyUsage{p})
		if len(words) == 0 { // one that cert-manager has no word for
			words = []string{p.OID().String()}
		}
		all = append(all, words...)
	}
	for _, u := range unknown {
		all = append(all, u.String())
	}
	return all
}

func keyText(c *x509.Certificate) string {
	text, _ := pki.DescribeKey(c.RawSubjectPublicKeyInfo)
	return text
}

// displayName is the common name, or else the whole subject.
func displayName(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	return c.Subject.String()
}

// orNone joins values, and says so if there are none.
func orNone(values []string) string {
	if len(values) == 0 {
		return "(none)"
	}
	return strings.Join(values, ", ")
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
