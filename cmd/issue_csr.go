package cmd

import (
	"errors"
	"fmt"

	"github.com/mtlsctl/mtlsctl/internal/atomicfile"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const maxCSR = 1 << 20

func (a *app) readCSR(file string, p *profiles.Profile) (pki.Request, []string, error) {
	data, err := a.readInput(file, maxCSR)
	if err != nil {
		return pki.Request{}, nil, withHint(fmt.Errorf("--csr %s: %w", file, atomicfile.Reason(err)), "name a file that is there, or - for standard input")
	}
	csr, err := pki.ParseCSR(data)
	if err != nil {
		return pki.Request{}, nil, csrError(file, err, "have it made anew, as in 'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout KEY -out CSR'")
	}
	r, left, err := pki.RequestFromCSR(p, csr)
	if err != nil {
		return pki.Request{}, nil, csrError(file, err, "have it made anew without CA:TRUE and without the key usage cert sign")
	}
	return r, left, nil
}

// csrError says what whoever made a signing request has to make otherwise.
func csrError(file string, err error, hint string) error {
	var san *pki.SANError
	switch {
	case errors.Is(err, pki.ErrKey):
		hint = "have it made anew with a key on P-256, P-384 or P-521, of RSA 2048, 3072 or 4096, or Ed25519"
	case errors.As(err, &san) && san.Instead != "":
		hint = fmt.Sprintf("have it made anew with %s %s in its place", san.Instead, san.InsteadValue)
	case errors.As(err, &san):
		hint = "have it made anew without that name"
	}
	return withHint(fmt.Errorf("--csr %s: %w", file, err), "%s", hint)
}

// mergeSubject lets flags win over what a signing request says.
func mergeSubject(to *pki.Subject, flags pki.Subject, cnSet bool) {
	if cnSet {
		to.CommonName = flags.CommonName
	}
	for _, f := range []struct{ to, from *[]string }{
		{&to.Organizations, &flags.Organizations},
		{&to.OrganizationalUnits, &flags.OrganizationalUnits},
		{&to.Countries, &flags.Countries},
		{&to.Provinces, &flags.Provinces},
		{&to.Localities, &flags.Localities},
	} {
		if len(*f.from) > 0 {
			*f.to = *f.from
		}
	}
}
