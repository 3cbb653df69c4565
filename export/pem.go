package export

import (
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/mtlsctl/mtlsctl/pki"
)

// PEM writes tls.crt (the certificate and its chain), tls.key and ca.crt. A
// bundle without a key, or without roots, goes without their file. The key has
// the bundle's encoding.
type PEM struct {
	// Combined writes one file instead, tls.pem: certificate, chain, key, in the
	// order that HAProxy and MongoDB read. It needs a key ([ErrNoKey]).
	Combined bool
	// DER writes the same in DER. A DER file holds one object, so that each
	// certificate has its own: tls.crt.der is the leaf, chain-1.crt.der its
	// issuer, and so on up; ca.crt.der the root, ca-2.crt.der a second one. The
	// key is in tls.key.der. It cannot be had together with Combined.
	DER bool
	// Encoding is how the key is written; empty is the bundle's own.
	Encoding pki.KeyEncoding
	// Shape is the layout of a consumer, and CRLs (PEM) what is revoked. Without
	// a layout the CRLs are in crl.pem.
	Shape `json:"-"`
}

// Export implements [Format].
func (f PEM) Export(b *pki.Bundle) ([]File, error) {
	if f.Encoding != "" && b.Key != nil {
		again := *b
		again.Encoding = f.Encoding
		b = &again
	}
	switch {
	case f.Combined && f.DER:
		return nil, errors.New("combined and DER exclude each other: a DER file holds one object")
	case f.DER:
		return derFiles(b)
	case f.Combined:
		return Layout{item("tls.pem", Chain, Key)}.fill(b, nil)
	}
	l := Layout{item("tls.crt", Chain), maybe("tls.key", Key), maybe("ca.crt", Roots), maybe("crl.pem", CRLs)}
	return f.layout(l).fill(b, f.CRLs)
}

// WithShape implements [Shaped].
func (f PEM) WithShape(s Shape) Format {
	f.Shape = s
	return f
}

func derFiles(b *pki.Bundle) ([]File, error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	files := []File{{"tls.crt.der", b.Leaf().Raw, false}}
	for i, c := range b.Chain[1:] {
		files = append(files, File{fmt.Sprintf("chain-%d.crt.der", i+1), c.Raw, false})
	}
	if b.Key != nil {
		key, err := b.KeyPEM()
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(key)
		files = append(files, File{"tls.key.der", block.Bytes, true})
	}
	for i, c := range b.Roots {
		name := "ca.crt.der"
		if i > 0 {
			name = fmt.Sprintf("ca-%d.crt.der", i+1)
		}
		files = append(files, File{name, c.Raw, false})
	}
	return files, nil
}
