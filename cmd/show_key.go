package cmd

import (
	"crypto/x509"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/term"
	"github.com/mtlsctl/mtlsctl/pki"
)

// requestJSON is a signing request.
type requestJSON struct {
	Subject    string    `json:"subject"` // RFC 4514
	SANs       []sanJSON `json:"sans"`
	OtherNames []string  `json:"otherNames,omitempty"`
	SPIFFEID   string    `json:"spiffeID,omitempty"`
	Usages     []string  `json:"usages"`
	IsCA       bool      `json:"isCA"` // it asks to become an authority
	Key        string    `json:"key"`
	KeyProblem string    `json:"keyProblem,omitempty"`
	KeySHA256  string    `json:"publicKeySHA256"`
	Signature  string    `json:"signatureAlgorithm"`
	SigProblem string    `json:"signatureProblem,omitempty"`
	State      string    `json:"signature"` // good, bad, unchecked
	Extensions []extJSON `json:"extensions,omitempty"`
}

// keyJSON is a private or public key, without what is private.
type keyJSON struct {
	Key          string `json:"key,omitempty"` // left out if it cannot be seen
	KeyProblem   string `json:"keyProblem,omitempty"`
	KeySHA256    string `json:"publicKeySHA256,omitempty"`
	Form         string `json:"form,omitempty"` // PKCS#8, PKCS#1, SEC 1
	Encrypted    bool   `json:"encrypted"`
	Encryption   string `json:"encryption,omitempty"`
	Iterations   int    `json:"iterations,omitempty"`
	Certificates []int  `json:"certificates,omitempty"` // the places of those it belongs to
	Requests     []int  `json:"requests,omitempty"`
}

// describe says what a key is, and to which certificates and requests it
// belongs.
func (j *keyJSON) describe(s *showJSON, spki []byte) {
	j.Key, j.KeyProblem = pki.DescribeKey(spki)
	j.KeySHA256 = sha256Hex(spki)
	for i, c := range s.Certificates {
		if c.KeySHA256 == j.KeySHA256 {
			j.Certificates = append(j.Certificates, i)
		}
	}
	for i, csr := range s.Requests {
		if csr.KeySHA256 == j.KeySHA256 {
			j.Requests = append(j.Requests, i)
		}
	}
}

func describeRequest(csr *x509.CertificateRequest) requestJSON {
	bits, purposes, unknown, ca := pki.UsagesIn(csr.Extensions)
	j := requestJSON{
		Subject: nameText(csr.RawSubject, csr.Subject), OtherNames: pki.OtherNames(csr.Extensions),
		Usages: usageWords(bits, purposes, unknown), IsCA: ca, KeySHA256: sha256Hex(csr.RawSubjectPublicKeyInfo),
		State: string(pki.CSRSignature(csr)), Extensions: extensions(csr.Extensions),
	}
	j.SANs, j.SPIFFEID = sansJSON(&x509.Certificate{
		DNSNames: csr.DNSNames, EmailAddresses: csr.EmailAddresses, IPAddresses: csr.IPAddresses, URIs: csr.URIs,
	})
	j.Key, j.KeyProblem = pki.DescribeKey(csr.RawSubjectPublicKeyInfo)
	j.Signature, j.SigProblem = pki.DescribeSignature(csr.SignatureAlgorithm, csr.Raw)
	return j
}

func (a *app) writeRequest(j *requestJSON, title string) error {
	style := a.style(a.Stdout)
	if err := a.title(title, ""); err != nil {
		return err
	}
	t := newDetails(style)
	t.line("Subject", orNone(nonEmpty(j.Subject)))
	t.names(j.SANs, j.OtherNames)
	t.list("Usages", j.Usages)
	if j.IsCA {
		t.cell("Authority", term.Cell{Text: "asks to become an authority", Style: style.Warn})
	}
	t.extensions(j.Extensions, oidKeyUsage, oidExtKeyUsage, oidSAN, oidBasicConstraints)
	t.cell("Key", remark(j.Key, j.KeyProblem, style.Bad))
	switch pki.SignatureState(j.State) {
	case pki.SignatureGood:
		t.cell("Signature", remark(j.Signature, "good: whoever asks holds the key", style.Good))
	case pki.SignatureBad:
		t.cell("Signature", remark(j.Signature, "bad: it does not show that whoever asks holds the key", style.Bad))
	case pki.SignatureUnchecked:
		problem := j.SigProblem
		if problem == "" {
			problem = "not checked: no algorithm or key that is known"
		}
		t.cell("Signature", remark(j.Signature, problem, style.Warn))
	}
	t.line("Key SHA-256", j.KeySHA256)
	return t.Write(a.Stdout)
}

func (a *app) writeKey(s *showJSON, j *keyJSON, title string) error {
	style := a.style(a.Stdout)
	if err := a.title(title, ""); err != nil {
		return err
	}
	t := newDetails(style)
	if j.Key == "" {
		t.line("Key", "not visible: it takes the password")
	} else {
		t.cell("Key", remark(j.Key, j.KeyProblem, style.Bad))
	}
	switch {
	case j.Form == "":
	case !j.Encrypted:
		t.line("Form", j.Form+", not encrypted")
	default:
		text := j.Form + ", encrypted: " + j.Encryption
		if j.Iterations > 1 {
			text += fmt.Sprintf(", %d iterations", j.Iterations)
		}
		t.line("Form", text)
	}
	t.line("Key SHA-256", j.KeySHA256)
	var fits []string
	for _, i := range j.Certificates {
		fits = append(fits, "certificate "+numbered(s, i))
	}
	for _, i := range j.Requests {
		fits = append(fits, "signing request "+placeText(i, len(s.Requests), s.Requests[i].Subject))
	}
	switch {
	case len(fits) > 0:
		t.line("Belongs to", fits...)
	case j.KeySHA256 != "" && len(s.Certificates)+len(s.Requests) > 0:
		t.cell("Belongs to", term.Cell{Text: "another certificate: those here have other keys", Style: style.Bad})
	}
	return t.Write(a.Stdout)
}
