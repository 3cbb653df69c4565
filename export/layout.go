package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A Part is a piece of what is exported, in PEM.
type Part int

// The parts. A layout puts them together.
const (
	Leaf      Part = iota + 1 // the certificate alone
	Chain                     // the certificate, then the intermediates above it
	FullChain                 // the certificate, the intermediates, the root
	Key                       // the private key, in the bundle's encoding
	Roots                     // the roots to trust
	CAs                       // the intermediates above the certificate, then the roots
	CRLs                      // the CRLs of all CAs above the certificate
)

// An Item is one file of an export, or one key of a Secret or a ConfigMap.
type Item struct {
	Name  string // "*" in it stands for the name of the certificate
	Parts []Part // one after the other
	// Optional items are left out if a part of them is not there. CRLs always are.
	Optional bool
}

// A Layout says which items there are, in their order.
type Layout []Item

// item makes an [Item] that has to be there.
func item(name string, parts ...Part) Item { return Item{Name: name, Parts: parts} }

// maybe makes an [Item] that is left out if there is nothing for it.
func maybe(name string, parts ...Part) Item { return Item{name, parts, true} }

// Has reports whether a part is in one of the items.
func (l Layout) Has(p Part) bool {
	return slices.ContainsFunc(l, func(i Item) bool { return slices.Contains(i.Parts, p) })
}

// named puts the name of the certificate in its place.
func (l Layout) named(name string) Layout {
	l = slices.Clone(l)
	for i := range l {
		l[i].Name = strings.ReplaceAll(l[i].Name, "*", name)
	}
	return l
}

// fill makes the items. A part that is missing is [ErrNoKey] or [ErrNoRoots].
func (l Layout) fill(b *pki.Bundle, crls []byte) (files []File, err error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	for _, i := range l {
		f := File{Name: i.Name, Private: slices.Contains(i.Parts, Key)}
		missing := i.missing(b, crls)
		switch {
		case missing == nil:
		case i.Optional || slices.Contains(i.Parts, CRLs):
			continue
		default:
			return nil, fmt.Errorf("%s holds %s: %w", i.Name, i.holds(), missing)
		}
		for _, p := range i.Parts {
			data, err := p.pem(b, crls)
			if err != nil {
				return nil, err
			}
			f.Data = append(f.Data, data...)
		}
		files = append(files, f)
	}
	return files, nil
}

// missing says what of the item there is not.
func (i Item) missing(b *pki.Bundle, crls []byte) error {
	for _, p := range i.Parts {
		switch {
		case p == Key && b.Key == nil:
			return ErrNoKey
		case (p == Roots || p == CAs || p == FullChain) && len(b.Roots) == 0:
			return ErrNoRoots
		case p == CRLs && len(crls) == 0:
			return ErrNoCRL
		}
	}
	return nil
}

// holds says what is in the item.
func (i Item) holds() string {
	words := map[Part]string{
		Leaf: "certificate", Chain: "certificate", FullChain: "certificate", Key: "key",
		Roots: "root", CAs: "root", CRLs: "CRL",
	}
	var all []string
	for _, p := range i.Parts {
		all = append(all, words[p])
	}
	return strings.Join(all, " and ")
}

func (p Part) pem(b *pki.Bundle, crls []byte) ([]byte, error) {
	switch p {
	case Leaf:
		return pki.MarshalCertificates(b.Chain[:1]), nil
	case Chain:
		return b.ChainPEM(), nil
	case FullChain:
		all := slices.Clone(b.Chain)
		for _, root := range b.Roots {
			if !slices.ContainsFunc(b.Chain, root.Equal) { // a root is its own chain
				all = append(all, root)
			}
		}
		return pki.MarshalCertificates(all), nil
	case Key:
		return b.KeyPEM()
	case Roots:
		return b.RootsPEM(), nil
	case CAs:
		return append(pki.MarshalCertificates(b.Chain[1:]), b.RootsPEM()...), nil
	case CRLs:
		return crls, nil
	}
	return nil, fmt.Errorf("unknown part %d", p)
}
