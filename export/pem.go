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
}

// Export implements [Format].
func (f PEM) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case f.Combined && f.DER:
		return nil, errors.New("combined and DER exclude each other: a DER file holds one object")
	case f.Combined && b.Key == nil:
		return nil, fmt.Errorf("tls.pem holds certificate and key: %w", ErrNoKey)
	}
	var key []byte
	if b.Key != nil {
		var err error
		if key, err = b.KeyPEM(); err != nil {
			return nil, err
		}
	}
	if f.Combined {
		return []File{{"tls.pem", append(b.ChainPEM(), key...), true}}, nil
	}
	if f.DER {
		return derFiles(b, key), nil
	}
	files := []File{{"tls.crt", b.ChainPEM(), false}}
	if key != nil {
		files = append(files, File{"tls.key", key, true})
	}
	if len(b.Roots) > 0 {
		files = append(files, File{"ca.crt", b.RootsPEM(), false})
	}
	return files, nil
}

func derFiles(b *pki.Bundle, key []byte) []File {
	files := []File{{"tls.crt.der", b.Leaf().Raw, false}}
	for i, c := range b.Chain[1:] {
		files = append(files, File{fmt.Sprintf("chain-%d.crt.der", i+1), c.Raw, false})
	}
	if block, _ := pem.Decode(key); block != nil {
		files = append(files, File{"tls.key.der", block.Bytes, true})
	}
	for i, c := range b.Roots {
		name := "ca.crt.der"
		if i > 0 {
			name = fmt.Sprintf("ca-%d.crt.der", i+1)
		}
		files = append(files, File{name, c.Raw, false})
	}
	return files
}
