package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An Authority is a CA: its certificate and chain, and, unless it is offline,
// the key to sign with. It does not change and is safe for concurrent use.
type Authority struct {
	chain  []*x509.Certificate // its own certificate, then its parents, the top last
	sent   int                 // how many of them peers are sent: all but a root
	also   []*x509.Certificate // roots beside its own
	signer crypto.Signer
	urls   URLs
	now    func() time.Time
}

// AuthorityConfig is what an [Authority] is made of.
type AuthorityConfig struct {
	// Chain begins with the authority's own certificate, each followed by its
	// issuer, and ends with the root. If the root is not there, the chain ends
	// with the highest certificate that is, and that one is trusted.
	Chain []*x509.Certificate
	// Trusted are roots that go into bundles beside that of the chain: those of
	// peers that are still, or already, under another root.
	Trusted []*x509.Certificate
	// Signer holds the authority's key; nil for one that only verifies.
	Signer crypto.Signer
	// URLs go into every certificate it signs.
	URLs URLs
	// Now is the clock; nil means the system's.
	Now func() time.Time
}

// Reasons why an authority cannot be made or cannot sign.
var (
	ErrNotCA       = errors.New("not a CA certificate")
	ErrKeyMismatch = errors.New("the key belongs to another certificate")
	ErrNoKey       = errors.New("the private key is not here")
)

// NewAuthority checks c and makes an authority of it. The certificate must be a
// CA's that may sign certificates ([ErrNotCA]), each certificate of the chain
// must be issued by the next, the signer must hold the certificate's key
// ([ErrKeyMismatch]), and the URLs must be such ([*URLError]). That the chain
// keeps within its path lengths is asked when something is prepared.
func NewAuthority(c AuthorityConfig) (*Authority, error) {
	if len(c.Chain) == 0 {
		return nil, errors.New("an authority without a certificate")
	}
	cert := c.Chain[0]
	if !cert.BasicConstraintsValid || !cert.IsCA {
		return nil, fmt.Errorf("%q is %w: its basic constraints say so", displayName(cert), ErrNotCA)
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("%q is %w: its key usage lacks cert sign", displayName(cert), ErrNotCA)
	}
	for i, child := range c.Chain[:len(c.Chain)-1] {
		parent := c.Chain[i+1]
		if err := child.CheckSignatureFrom(parent); err != nil {
			return nil, fmt.Errorf("%q is not signed by %q, which follows it in the chain: %w", displayName(child), displayName(parent), err)
		}
		// The signature says nothing of the names, by which verifiers build chains.
		if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
			return nil, fmt.Errorf("%q names %q as its issuer, not %q, which follows it in the chain", displayName(child), child.Issuer, parent.Subject)
		}
	}
	if err := c.URLs.Check(); err != nil {
		return nil, fmt.Errorf("%q: %w", displayName(cert), err)
	}
	if c.Signer != nil && !SamePublicKey(c.Signer.Public(), cert.PublicKey) {
		return nil, fmt.Errorf("%q: %w", displayName(cert), ErrKeyMismatch)
	}
	a := &Authority{chain: append([]*x509.Certificate(nil), c.Chain...), signer: c.Signer, urls: c.URLs.clone(), now: c.Now}
	if a.sent = len(a.chain); a.Root().CheckSignatureFrom(a.Root()) == nil {
		a.sent--
	}
	for _, c := range c.Trusted {
		if !slices.ContainsFunc(a.Roots(), c.Equal) {
			a.also = append(a.also, c)
		}
	}
	if a.now == nil {
		a.now = time.Now //nolint:forbidigo // for those who bring no clock
	}
	return a, nil
}

// Certificate returns the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.chain[0] }

// Chain returns the authority's certificate and its parents, without the root;
// for a root, the root itself. A highest certificate that did not sign itself is
// no root, and is there.
func (a *Authority) Chain() []*x509.Certificate {
	return append([]*x509.Certificate(nil), a.chain[:max(a.sent, 1)]...)
}

// FullChain returns the authority's certificate and its parents up to the top.
func (a *Authority) FullChain() []*x509.Certificate {
	return append([]*x509.Certificate(nil), a.chain...)
}

// Root returns the certificate at the top of the authority's chain, which is
// what others trust: a root, or the highest that there is.
func (a *Authority) Root() *x509.Certificate { return a.chain[len(a.chain)-1] }

// Roots returns what goes into the bundles of those it signs: [Authority.Root],
// then the other roots that it was made with.
func (a *Authority) Roots() []*x509.Certificate {
	return append([]*x509.Certificate{a.Root()}, a.also...)
}

// CanSign reports whether the authority's key is here.
func (a *Authority) CanSign() bool { return a.signer != nil }

// NotAfter returns the end of the authority: the earliest in its chain.
func (a *Authority) NotAfter() time.Time {
	end := a.chain[0].NotAfter
	for _, c := range a.chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// PathLen returns how many authorities may follow below this one, or
// [NoPathLen]. A limit anywhere in the chain counts.
func (a *Authority) PathLen() int {
	left := NoPathLen
	for above, c := range a.chain {
		if n := pathLenOf(c); n != NoPathLen && (left == NoPathLen || n-above < left) {
			left = max(n-above, 0)
		}
	}
	return left
}

// checkPathLength returns an error of cause [ErrPathLength] if the authority
// itself stands further below another than that one's path length allows.
// Manifests make such authorities; nothing they sign is ever verified.
func (a *Authority) checkPathLength() error {
	for above, ca := range a.chain {
		if n := pathLenOf(ca); n != NoPathLen && n < above {
			return fmt.Errorf("%q stands too far below %q: %w", displayName(a.Certificate()), displayName(ca), ErrPathLength)
		}
	}
	return nil
}

func pathLenOf(c *x509.Certificate) int {
	if c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero {
		return c.MaxPathLen
	}
	return NoPathLen
}

// displayName is how errors call a certificate.
func displayName(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	return c.Subject.String()
}
