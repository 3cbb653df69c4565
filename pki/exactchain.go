package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrBrokenChain says that certificates do not join into one chain.
var ErrBrokenChain = errors.New("broken chain")

// ChainOf makes the chain of an authority, for an [AuthorityConfig], out of what
// its Secret holds: all certificates of tls.crt, the authority's own first, and
// of ca.crt the first alone. In whatever order they stand, they must join into
// one chain with the authority's at its bottom, or the error's cause is
// [ErrBrokenChain]; copies are left out. The chain need not reach a root. A
// tls.crt without a certificate is [ErrNoCertificate].
func ChainOf(tlsCrt, caCrt []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(tlsCrt) == 0 {
		return nil, fmt.Errorf("tls.crt: %w", ErrNoCertificate)
	}
	pool := append([]*x509.Certificate(nil), tlsCrt...)
	pool = append(pool, caCrt[:min(1, len(caCrt))]...)
	c := ExamineChain(pool)
	var tops []int // each is as high as its part of the chain reaches
	for i, l := range c.Links {
		if l.CopyOf == NoPlace && (l.Issuer == NoPlace || l.Issuer == i) {
			tops = append(tops, i)
		}
	}
	switch {
	case len(tops) > 1:
		return nil, fmt.Errorf("%w: no certificate here joins %q to %q", ErrBrokenChain, displayName(pool[tops[0]]), displayName(pool[tops[1]]))
	case c.Order == nil:
		return nil, fmt.Errorf("%w: they do not stand one below the other", ErrBrokenChain)
	case c.Order[0] != 0:
		return nil, fmt.Errorf("%w: %q, the first of tls.crt, has signed another one in it", ErrBrokenChain, displayName(pool[0]))
	}
	chain := make([]*x509.Certificate, len(c.Order))
	for i, at := range c.Order {
		chain[i] = pool[at]
	}
	return chain, nil
}
