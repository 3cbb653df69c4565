package export

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/mtlsctl/mtlsctl/pki"
)

// SPIFFEBundle writes the roots as the bundle of a SPIFFE trust domain: a JWK set
// with an entry of use x509-svid for each root (SPIFFE Trust Domain and Bundle,
// section 4; X509-SVID, section 6.1). The file is called after the trust domain,
// which the document itself does not name.
//
// It needs no key, but a root ([ErrNoRoots]). A trust domain that is missing, is
// none, or is not that of the SPIFFE ID in the certificate or one of the CAs above
// it, is an [*OptionError]. A root that is no CA's certificate is refused, and one
// whose key go-spiffe cannot write.
type SPIFFEBundle struct {
	TrustDomain string        // empty: that of the SPIFFE ID
	Sequence    uint64        // spiffe_sequence, which grows with each change; 0 leaves it out
	RefreshHint time.Duration // spiffe_refresh_hint, in whole seconds; 0 leaves it out
}

// Export implements [Format].
func (f SPIFFEBundle) Export(b *pki.Bundle) ([]File, error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	if len(b.Roots) == 0 {
		return nil, fmt.Errorf("a SPIFFE bundle holds roots: %w", ErrNoRoots)
	}
	domain, err := f.trustDomain(b)
	if err != nil {
		return nil, err
	}
	if f.RefreshHint < 0 || f.RefreshHint%time.Second != 0 {
		return nil, &OptionError{"refresh-hint", f.RefreshHint.String(), "it is a number of whole seconds", "5m"}
	}
	bundle := spiffebundle.New(domain)
	for _, root := range b.Roots {
		if !root.IsCA {
			return nil, fmt.Errorf("%s: a SPIFFE bundle holds the certificates of CAs, and this is none", pki.FormatName(root.RawSubject))
		}
		bundle.AddX509Authority(root)
	}
	if f.Sequence > 0 {
		bundle.SetSequenceNumber(f.Sequence)
	}
	if f.RefreshHint > 0 {
		bundle.SetRefreshHint(f.RefreshHint)
	}
	doc, err := bundle.Marshal()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, doc, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return []File{{Name: domain.Name() + ".json", Data: out.Bytes()}}, nil
}

// trustDomain returns the one that is asked for, or that of the first SPIFFE ID
// from the certificate up.
func (f SPIFFEBundle) trustDomain(b *pki.Bundle) (asked spiffeid.TrustDomain, err error) {
	const option = "trust-domain"
	if f.TrustDomain != "" {
		if asked, err = spiffeid.TrustDomainFromString(f.TrustDomain); err != nil {
			lower := strings.ToLower(f.TrustDomain)
			if _, err := spiffeid.TrustDomainFromString(lower); err != nil {
				lower = ""
			}
			return asked, &OptionError{option, f.TrustDomain, "a trust domain is of lower-case letters, digits, '.', '-' and '_', as in example.org", lower}
		}
	}
	for _, certs := range [][]*x509.Certificate{b.Chain, b.Roots} {
		for _, c := range certs {
			for _, u := range c.URIs {
				id, err := spiffeid.FromURI(u)
				switch {
				case err != nil: // a URI of another kind
				case f.TrustDomain == "":
					return id.TrustDomain(), nil
				case id.TrustDomain() != asked:
					return asked, &OptionError{option, f.TrustDomain, "the certificates are of " + id.TrustDomain().Name() + ", by " + id.String(), id.TrustDomain().Name()}
				}
			}
		}
	}
	if f.TrustDomain == "" {
		return asked, &OptionError{option, "", "say whose bundle it is: no SPIFFE ID is in the certificate or in the CAs above it", "example.org"}
	}
	return asked, nil
}
