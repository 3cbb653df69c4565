package pki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
)

// A Chain says how certificates that stand together hang together. Places
// count from 0.
type Chain struct {
	// Links has one entry for each certificate, in the order given.
	Links []Link
	// Order is the way from the lowest certificate up, each signed by the next;
	// nil if the certificates are not one chain. Copies are left out.
	Order []int
}

// A Link says who signed a certificate.
type Link struct {
	// Issuer is the place of the certificate that signed this one: its own if it
	// signed itself, [NoPlace] if the signer is not there.
	Issuer int
	// Unchecked says that Issuer goes by the names alone: the signature is of a
	// kind that is not checked.
	Unchecked bool
	// Namesake is the place of a certificate that has the issuer's name and
	// another key, if Issuer is not there; else [NoPlace].
	Namesake int
	// CopyOf is the place of an earlier certificate that is the same one, or
	// [NoPlace].
	CopyOf int
}

// NoPlace is the place of what is not there.
const NoPlace = -1

// maxChainChecks bounds the signatures that ExamineChain checks, since its
// input may come from anybody. What comes after goes by names.
const maxChainChecks = 5000

// ExamineChain finds out who signed whom. It judges neither times nor usages:
// it says how a file is put together, not whether to trust it.
func ExamineChain(certs []*x509.Certificate) Chain {
	c := Chain{Links: make([]Link, len(certs))}
	first := map[string]int{}       // the place of each certificate
	bySubject := map[string][]int{} // the places of all with a subject, without copies
	for i, cert := range certs {
		c.Links[i] = Link{Issuer: NoPlace, Namesake: NoPlace, CopyOf: NoPlace}
		if at, ok := first[string(cert.Raw)]; ok {
			c.Links[i].CopyOf = at
			continue
		}
		first[string(cert.Raw)] = i
		bySubject[string(cert.RawSubject)] = append(bySubject[string(cert.RawSubject)], i)
	}
	checks := 0
	for i, cert := range certs {
		l := &c.Links[i]
		if l.CopyOf != NoPlace {
			continue
		}
		for _, at := range candidates(i, bySubject[string(cert.RawIssuer)]) {
			if checks++; checks > maxChainChecks {
				l.Issuer, l.Unchecked, l.Namesake = at, true, NoPlace
				break
			}
			switch SignedBy(cert, certs[at]) {
			case SignatureGood:
				l.Issuer, l.Unchecked = at, false
			case SignatureUnchecked:
				if l.Issuer == NoPlace {
					l.Issuer, l.Unchecked = at, true
				}
				continue
			default:
				if l.Namesake == NoPlace && at != i {
					l.Namesake = at
				}
				continue
			}
			break
		}
		if l.Issuer != NoPlace {
			l.Namesake = NoPlace
		}
	}
	for i := range c.Links {
		if at := c.Links[i].CopyOf; at != NoPlace {
			c.Links[i] = c.Links[at]
			c.Links[i].CopyOf = at
		}
	}
	c.Order = c.order()
	return c
}

// candidates puts the certificate itself first, so that of two roots with one
// key each is its own; then the place after it, where a well-ordered file has
// the issuer.
func candidates(i int, places []int) []int {
	all := make([]int, 0, len(places))
	for _, first := range []int{i, i + 1} {
		if slices.Contains(places, first) {
			all = append(all, first)
		}
	}
	for _, at := range places {
		if at != i && at != i+1 {
			all = append(all, at)
		}
	}
	return all
}

// order returns the one way through all certificates, or nil.
func (c Chain) order() []int {
	signs := make([]bool, len(c.Links)) // another one
	n := 0
	for i, l := range c.Links {
		if l.CopyOf != NoPlace {
			continue
		}
		n++
		if l.Issuer != NoPlace && l.Issuer != i {
			signs[l.Issuer] = true
		}
	}
	at := NoPlace
	for i, l := range c.Links {
		if l.CopyOf == NoPlace && !signs[i] {
			if at != NoPlace {
				return nil // two that nobody is below
			}
			at = i
		}
	}
	if at == NoPlace {
		return nil // a circle, or nothing at all
	}
	order := []int{at}
	for next := c.Links[at].Issuer; next != NoPlace && next != at; next = c.Links[at].Issuer {
		if len(order) == n {
			return nil // a circle at the top
		}
		order = append(order, next)
		at = next
	}
	if len(order) < n {
		return nil
	}
	return order
}

// InOrder reports whether the certificates are one chain and stand in its
// order, without copies.
func (c Chain) InOrder() bool {
	for i, at := range c.Order {
		if i != at {
			return false
		}
	}
	return len(c.Order) == len(c.Links) && len(c.Links) > 0
}

// EndsInRoot reports whether the certificates are one chain whose highest
// signed itself.
func (c Chain) EndsInRoot() bool {
	if len(c.Order) == 0 {
		return false
	}
	top := c.Order[len(c.Order)-1]
	return c.Links[top].Issuer == top
}

// A SignatureState says what came of checking a signature.
type SignatureState string

// The states of a signature.
const (
	SignatureGood SignatureState = "good"
	SignatureBad  SignatureState = "bad"
	// SignatureUnchecked is one whose algorithm or key is unknown, so weak that it
	// proves nothing, or larger than anybody's.
	SignatureUnchecked SignatureState = "unchecked"
)

// SignedBy says whether parent's key signed child; a parent of another name
// than child's issuer did not.
func SignedBy(child, parent *x509.Certificate) SignatureState {
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return SignatureBad
	}
	return checkSignature(parent.PublicKey, func() error {
		return parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	})
}

// SelfSigned says whether a certificate signed itself.
func SelfSigned(c *x509.Certificate) SignatureState { return SignedBy(c, c) }

// CSRSignature says whether a signing request is signed by its own key.
func CSRSignature(csr *x509.CertificateRequest) SignatureState {
	return checkSignature(csr.PublicKey, csr.CheckSignature)
}

// CRLSignedBy says whether parent's key signed a CRL; a parent of another name
// than the CRL's issuer did not.
func CRLSignedBy(crl *x509.RevocationList, parent *x509.Certificate) SignatureState {
	if !bytes.Equal(crl.RawIssuer, parent.RawSubject) {
		return SignatureBad
	}
	return checkSignature(parent.PublicKey, func() error {
		return parent.CheckSignature(crl.SignatureAlgorithm, crl.RawTBSRevocationList, crl.Signature)
	})
}

// RSA keys of sizes beyond these are not used: crypto/rsa refuses smaller ones,
// and OpenSSL larger ones, since their use takes ever longer.
const (
	leastRSABits = 1024
	mostRSABits  = 16384
)

func checkSignature(pub crypto.PublicKey, check func() error) SignatureState {
	if k, ok := pub.(*rsa.PublicKey); ok && (k.N.BitLen() < leastRSABits || k.N.BitLen() > mostRSABits) || pub == nil {
		return SignatureUnchecked
	}
	err := check()
	var insecure x509.InsecureAlgorithmError
	switch {
	case err == nil:
		return SignatureGood
	case errors.As(err, &insecure), errors.Is(err, x509.ErrUnsupportedAlgorithm):
		return SignatureUnchecked
	}
	return SignatureBad
}
