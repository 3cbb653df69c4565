package pki_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

var request = pki.Request{Subject: pki.Subject{CommonName: "x"}}

func prepare(t testing.TB, a *pki.Authority) *pki.Draft {
	t.Helper()
	d, err := a.Prepare(profiles.Client(), request)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDraftIsSignedOnce(t *testing.T) {
	t.Parallel()
	ca, leaf := pkitest.Issuing(t), pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	d := prepare(t, ca)
	// Even by many at once.
	var signed, refused int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			cert, err := ca.Sign(d, leaf.Public())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				signed++
			case cert == nil && err.Error() == "the draft is signed already":
				refused++
			default:
				t.Errorf("%v, %v", cert, err)
			}
		})
	}
	wg.Wait()
	if signed != 1 || refused != 7 {
		t.Errorf("signed %d times, refused %d times", signed, refused)
	}
	// What was signed can still be told.
	if c := d.Template(); d.KeyType() != profiles.ECP256 || c.NotAfter.IsZero() || c.SerialNumber != nil {
		t.Errorf("after signing: %s, %v", d.KeyType(), c)
	}

	root, err := pki.PrepareRoot(pki.CARequest{Subject: pki.Subject{CommonName: "x"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	if _, err := pki.SignRoot(root, key); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.SignRoot(root, key); err == nil || err.Error() != "the draft is signed already" {
		t.Errorf("a root twice: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	ca, ec := pkitest.Issuing(t), pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public()
	other := pkitest.Issuing(t)
	offline := pkitest.Authority(t, pki.AuthorityConfig{Chain: ca.FullChain()})
	csr := request
	csr.PublicKey = ec
	draftOf := func(r pki.Request) *pki.Draft {
		d, err := ca.Prepare(profiles.Client(), r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	root, err := pki.PrepareRoot(pki.CARequest{Subject: pki.Subject{CommonName: "x"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		by    *pki.Authority
		draft *pki.Draft
		pub   crypto.PublicKey
		want  string
		cause error
	}{
		"another authority's": {other, prepare(t, ca), ec, "the draft was prepared by another authority", nil},
		"a root's":            {ca, root, ec, "the draft was prepared by another authority", nil},
		"no key to sign with": {offline, prepare(t, offline), ec, `"Test issuing CA": the private key is not here`, pki.ErrNoKey},
		"another type of key": {ca, prepare(t, ca), pkitest.Key(t, profiles.Ed25519, pkitest.LeafKey).Public(), "the draft is for a key of type EC P-256, not Ed25519", nil},
		"no key to certify":   {ca, prepare(t, ca), nil, "the draft has no key to certify", nil},
		"no key we know":      {ca, prepare(t, ca), "key", "key not accepted: it is neither EC, RSA nor Ed25519", pki.ErrKey},
		"not the CSR's key":   {ca, draftOf(csr), pkitest.Key(t, profiles.ECP256, pkitest.RootKey).Public(), "the draft is for another key", nil},
	} {
		cert, err := tt.by.Sign(tt.draft, tt.pub)
		if cert != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, tt.want)
		}
		if tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: the cause is not %v", name, tt.cause)
		}
	}
	if _, err := pki.SignRoot(prepare(t, ca), pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)); err == nil || err.Error() != "the draft is for an authority to sign, not for its own key" {
		t.Errorf("a leaf that signs itself: %v", err)
	}
	if _, err := pki.SignRoot(root, pkitest.Key(t, profiles.Ed25519, pkitest.RootKey)); err == nil || err.Error() != "the draft is for a key of type EC P-256, not Ed25519" {
		t.Errorf("a root with another key: %v", err)
	}
	// A refusal is no signature: the draft is still good.
	if cert, err := ca.Sign(draftOf(csr), nil); err != nil || !pki.SamePublicKey(cert.PublicKey, ec) {
		t.Errorf("the CSR's own key: %v", err)
	}
	if b, err := offline.Issue(profiles.Client(), request); b != nil || !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("Issue offline: %v, %v", b, err)
	}
	if offline.CanSign() || !ca.CanSign() {
		t.Error("CanSign")
	}
}

// brokenSigner signs something else, as an HSM with a fault would.
type brokenSigner struct{ crypto.Signer }

func (s brokenSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	digest = bytes.Clone(digest)
	digest[0] ^= 1
	return s.Signer.Sign(rand.Reader, digest, opts)
}

type failingSigner struct{ crypto.Signer }

var errHSM = errors.New("the HSM is on fire")

func (failingSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errHSM }

func TestBadSigner(t *testing.T) {
	t.Parallel()
	ca, key := pkitest.Issuing(t), pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)
	for name, signer := range map[string]crypto.Signer{"broken": brokenSigner{key}, "failing": failingSigner{key}} {
		a := pkitest.Authority(t, pki.AuthorityConfig{Chain: ca.FullChain(), Signer: signer})
		cert, err := a.Sign(prepare(t, a), pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public())
		if cert != nil || err == nil || errors.Is(err, errHSM) != (name == "failing") {
			t.Errorf("%s: %v, %v", name, cert, err)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	ca := pkitest.NewIntermediate(t, root, pki.CARequest{})
	leaf := pkitest.Issue(t, ca, profiles.Client(), request).Leaf()
	chain := append([]*x509.Certificate{leaf}, ca.FullChain()...)
	for i, c := range chain {
		// RFC 7093 section 2 method 1: the SHA-256 of the key's bits, cut to 160.
		var info struct {
			Algorithm pkix.AlgorithmIdentifier
			Bits      asn1.BitString
		}
		if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(info.Bits.Bytes)
		if !bytes.Equal(c.SubjectKeyId, sum[:20]) {
			t.Errorf("%s: SKI %x, want %x", c.Subject, c.SubjectKeyId, sum[:20])
		}
		issuer := chain[min(i+1, len(chain)-1)]
		if !bytes.Equal(c.AuthorityKeyId, issuer.SubjectKeyId) {
			t.Errorf("%s: AKI %x, and its issuer's SKI is %x", c.Subject, c.AuthorityKeyId, issuer.SubjectKeyId)
		}
		for oid, critical := range map[string]bool{"2.5.29.14": false, "2.5.29.35": false, "2.5.29.15": true, "2.5.29.19": true} {
			if e, ok := extension(c, oid); !ok || e.Critical != critical {
				t.Errorf("%s: extension %s: there %v, critical %v", c.Subject, oid, ok, e.Critical)
			}
		}
		if c.IsCA && c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
			t.Errorf("%s: key usage %b", c.Subject, c.KeyUsage)
		}
		if c.Version != 3 {
			t.Errorf("%s: version %d", c.Subject, c.Version)
		}
	}
}

// An imported CA may have no SKI, or one by another method; what is signed
// refers to it all the same.
func TestForeignKeyIdentifiers(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	for _, ski := range [][]byte{{1, 2, 3}, nil} {
		cert := foreign(t, nil, key, key.Public(), func(c *x509.Certificate) { c.SubjectKeyId = ski })
		if ski == nil {
			cert.SubjectKeyId = nil // crypto/x509 would not leave it out
		}
		a := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert}, Signer: key})
		leaf := pkitest.Issue(t, a, profiles.Client(), request).Leaf()
		want := ski
		if want == nil {
			want = pkitest.Root(t).Certificate().SubjectKeyId // the same key, by our method
		}
		if !bytes.Equal(leaf.AuthorityKeyId, want) {
			t.Errorf("SKI %x: AKI %x, want %x", ski, leaf.AuthorityKeyId, want)
		}
	}
}

// foreign makes a CA certificate as another program might.
func foreign(t testing.TB, parent *pki.Authority, signer crypto.Signer, pub crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Foreign CA"},
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(year),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1,
		KeyUsage: x509.KeyUsageCertSign,
	}
	change(c)
	above := c
	if parent != nil {
		above = parent.Certificate()
	}
	der, err := x509.CreateCertificate(rand.Reader, c, above, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestSerials(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	seen, top := map[string]bool{}, 0
	for range 200 {
		n := pkitest.Issue(t, ca, profiles.Client(), request).Leaf().SerialNumber
		// RFC 5280 section 4.1.2.2: positive, at most 20 octets.
		if n.Sign() <= 0 || n.BitLen() > 128 || seen[n.String()] {
			t.Fatalf("serial %x", n)
		}
		seen[n.String()] = true
		if n.BitLen() == 128 {
			top++
		}
	}
	// All 128 bits are random, the first one too.
	if top < 50 || top > 150 {
		t.Errorf("%d of 200 serials have the top bit set", top)
	}
}

func TestNewAuthorityInMemory(t *testing.T) {
	t.Parallel()
	root, err := pki.NewRoot(pki.CARequest{Subject: pki.Subject{CommonName: "root"}, PathLen: 1}, pkitest.Clock)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := root.NewIntermediate(pki.CARequest{Subject: pki.Subject{CommonName: "issuing"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ca.Issue(profiles.Client(), request)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, ca, b.Leaf(), x509.ExtKeyUsageClientAuth)
	if !pki.SamePublicKey(b.Key.Public(), b.Leaf().PublicKey) {
		t.Error("the key is not the certificate's")
	}
	if _, err := ca.NewIntermediate(pki.CARequest{Subject: pki.Subject{CommonName: "x"}}); !errors.Is(err, pki.ErrPathLength) {
		t.Errorf("below path length 0: %v", err)
	}
	if _, err := pki.NewRoot(pki.CARequest{}, nil); err == nil {
		t.Error("a root without a name")
	}
	if _, err := ca.Issue(profiles.Client(), pki.Request{}); !errors.Is(err, pki.ErrNoName) {
		t.Errorf("Issue: %v", err)
	}
}
