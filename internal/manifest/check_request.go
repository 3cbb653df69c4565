package manifest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// checkRequest finds what admission refuses in a CertificateRequest, and what
// could not be issued although it passes.
func checkRequest(o *object, r *Request) {
	checkIssuerRef(o, r.Spec.IssuerRef)
	if d := r.Spec.Duration; d != nil && d.Duration <= 0 {
		o.problem("spec.duration", "leave it out for 2160h, 90 days", "%s is no lifetime", d.Duration)
	}
	if r.Denied {
		o.problem("status.conditions", "make a new request, under another name", "it has been denied, which is final")
	}
	known := checkUsages(o, r.Spec.Usages)
	if len(r.Spec.Request) == 0 {
		o.problem("spec.request", "write the base64 of a signing request in PEM", "is missing")
		return
	}
	csr, err := parseCSR(r.Spec.Request)
	if err != nil {
		hint := ""
		if errors.Is(err, pki.ErrKey) {
			hint = "make a new key, as with 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256'"
		}
		o.problem("spec.request", hint, "%s", csrReason(err))
		return
	}
	if !known {
		return
	}
	bits, purposes, err := usages(r.Spec.Usages, r.Spec.IsCA)
	if err == nil {
		err = pki.CheckExactCSR(csr, bits, purposes, r.Spec.IsCA)
	}
	if err == nil {
		_, err = pki.ExactFromCSR(csr)
	}
	if err != nil {
		o.problem("spec.request", "", "%s", csrReason(err))
	}
}

// csrReason leaves out what the path says.
func csrReason(err error) string {
	return strings.TrimPrefix(err.Error(), fmt.Sprint(pki.ErrCSR)+": ")
}
