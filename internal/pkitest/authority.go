package pkitest

import (
	"crypto"
	"crypto/x509"
	"embed"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// Clock is the time at which every test takes place. It lies in the past of
// whoever reads this, so what is made by it must be verified by it, too.
func Clock() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) }

//go:embed testdata/keys
var keys embed.FS

// An Owner is whose key a fixed key is.
type Owner string

// The owners of fixed keys.
const (
	RootKey    Owner = "root"
	IssuingKey Owner = "issuing"
	LeafKey    Owner = "leaf"
)

// Key returns the fixed key of a type and owner, the same in every run.
func Key(t testing.TB, kind profiles.KeyType, owner Owner) crypto.Signer {
	t.Helper()
	key, err := pki.ParseKey(KeyPEM(t, kind, owner), nil)
	if err != nil {
		t.Fatalf("fixed key %s of %s: %v", string(kind), owner, err)
	}
	return key
}

// KeyPEM returns the PKCS#8 of [Key].
func KeyPEM(t testing.TB, kind profiles.KeyType, owner Owner) []byte {
	t.Helper()
	data, err := keys.ReadFile("testdata/keys/" + string(kind) + "-" + string(owner) + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Root returns a root with a P-256 key, "Test root CA", that limits nothing.
func Root(t testing.TB) *pki.Authority {
	t.Helper()
	return NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen})
}

// Issuing returns an intermediate with a P-256 key, "Test issuing CA", below
// [Root], for end entities only.
func Issuing(t testing.TB) *pki.Authority {
	t.Helper()
	return NewIntermediate(t, Root(t), pki.CARequest{})
}

// NewRoot makes a root of r with the fixed root key of r's type and the fixed
// clock. Without a subject it is "Test root CA".
func NewRoot(t testing.TB, r pki.CARequest) *pki.Authority {
	t.Helper()
	if r.Subject.IsEmpty() {
		r.Subject.CommonName = "Test root CA"
	}
	d, err := pki.PrepareRoot(r, Clock())
	if err != nil {
		t.Fatalf("preparing a root: %v", err)
	}
	key := Key(t, d.KeyType(), RootKey)
	cert, err := pki.SignRoot(d, key)
	if err != nil {
		t.Fatalf("signing a root: %v", err)
	}
	return Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert}, Signer: key})
}

// NewIntermediate makes an authority of r below parent with the fixed issuing
// key of r's type. Without a subject it is "Test issuing CA".
func NewIntermediate(t testing.TB, parent *pki.Authority, r pki.CARequest) *pki.Authority {
	t.Helper()
	if r.Subject.IsEmpty() {
		r.Subject.CommonName = "Test issuing CA"
	}
	d, err := parent.PrepareCA(r)
	if err != nil {
		t.Fatalf("preparing an intermediate: %v", err)
	}
	key := Key(t, d.KeyType(), IssuingKey)
	cert, err := parent.Sign(d, key.Public())
	if err != nil {
		t.Fatalf("signing an intermediate: %v", err)
	}
	chain := append([]*x509.Certificate{cert}, parent.FullChain()...)
	return Authority(t, pki.AuthorityConfig{Chain: chain, Signer: key})
}

// Authority is [pki.NewAuthority] with the fixed clock.
func Authority(t testing.TB, c pki.AuthorityConfig) *pki.Authority {
	t.Helper()
	if c.Now == nil {
		c.Now = Clock
	}
	a, err := pki.NewAuthority(c)
	if err != nil {
		t.Fatalf("making an authority: %v", err)
	}
	return a
}

// SANs is [pki.SANs] for names that a test knows to be good.
func SANs(t testing.TB, names ...string) []pki.SAN {
	t.Helper()
	sans, err := pki.SANs(names...)
	if err != nil {
		t.Fatal(err)
	}
	return sans
}

// Issue issues a certificate for the fixed leaf key of the type that r or p
// asks for.
func Issue(t testing.TB, a *pki.Authority, p *profiles.Profile, r pki.Request) *pki.Bundle {
	t.Helper()
	d, err := a.Prepare(p, r)
	if err != nil {
		t.Fatalf("preparing a certificate: %v", err)
	}
	key := Key(t, d.KeyType(), LeafKey)
	cert, err := a.Sign(d, key.Public())
	if err != nil {
		t.Fatalf("signing a certificate: %v", err)
	}
	return &pki.Bundle{Chain: a.ChainFor(cert), Key: key, Roots: []*x509.Certificate{a.Root()}}
}
