package export

import (
	"encoding/pem"

	"github.com/mtlsctl/mtlsctl/pki"
)

// CRL writes the CRLs of an authority, the bundle's, in one file: crl.pem, or in
// DER crl.crl. The bundle has none, so the lists are part of the format; without
// them there is [ErrNoCRL].
type CRL struct {
	// Lists are the CRLs in PEM, in their order.
	Lists []byte `json:"-"`
	// Chain says that those of the authorities above are among them.
	Chain bool
	// DER writes the first in DER: a DER file holds one object.
	DER bool
}

// Export implements [Format].
func (f CRL) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case len(f.Lists) == 0:
		return nil, ErrNoCRL
	case !f.DER:
		return []File{{Name: "crl.pem", Data: f.Lists}}, nil
	}
	block, _ := pem.Decode(f.Lists)
	if block == nil || block.Type != "X509 CRL" {
		return nil, ErrDamagedCRL
	}
	return []File{{Name: "crl.crl", Data: block.Bytes}}, nil
}
