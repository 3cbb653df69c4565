package export

import (
	"crypto/x509"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// A consumerBundle makes what is exported in a test of consumers.
type consumerBundle func(t testing.TB) *pki.Bundle

// issued is a bundle of one of the built-in profiles, by an intermediate.
func issued(p *profiles.Profile, name string, change ...func(*pki.Request)) consumerBundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		sans := pkitest.SANs(t, name)
		r := pki.Request{Key: profiles.ECP256, Subject: pki.Subject{CommonName: name}, SANs: sans}
		for _, c := range change {
			c(&r)
		}
		return pkitest.Issue(t, pkitest.Issuing(t), p, r)
	}
}

// authority is the bundle of a CA, with its key.
func authority(make func(testing.TB) *pki.Authority, kind profiles.KeyType, owner pkitest.Owner) consumerBundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		a := make(t)
		return &pki.Bundle{Chain: a.Chain(), Key: pkitest.Key(t, kind, owner), Roots: a.Roots()}
	}
}

func keyed(k profiles.KeyType) func(*pki.Request) { return func(r *pki.Request) { r.Key = k } }

func named(cn string) func(*pki.Request) { return func(r *pki.Request) { r.Subject.CommonName = cn } }

func organized(org string) func(*pki.Request) {
	return func(r *pki.Request) { r.Subject.Organizations = []string{org} }
}

// sans puts other names in the place of the common name's.
func sans(names ...string) func(*pki.Request) {
	return func(r *pki.Request) {
		var err error
		if r.SANs, err = pki.SANs(names...); err != nil {
			panic(err)
		}
	}
}

var (
	aServer = issued(profiles.Server(), "api.example.com")
	aClient = issued(profiles.Client(), "alice@example.com")
	aPeer   = issued(profiles.Peer(), "node1.example.com")

	aConsul       = issued(profiles.Peer(), "consul1", sans("server.eu.example.net", "localhost", "127.0.0.1"))
	aConsulClient = issued(profiles.Peer(), "agent7", sans("client.eu.example.net", "localhost", "127.0.0.1"))
	aMember       = issued(profiles.Peer(), "mongo1.example.com", organized("Acme"))
	anUmlaut      = issued(profiles.Client(), "j@example.com", named("Jürgen"))
	nameless      = issued(profiles.Client(), "spiffe://example.org/web", named(""))

	aRoot     = authority(pkitest.Root, profiles.ECP256, pkitest.RootKey)
	anEd25519 = issued(profiles.Client(), "bob@example.com", keyed(profiles.Ed25519))
	anIssuing = authority(pkitest.Issuing, profiles.ECP256, pkitest.IssuingKey)
	aMesh     = authority(constrained("spiffe://example.org", "istio-system.svc"), profiles.ECP256, pkitest.IssuingKey)
)

// constrained makes an intermediate that certifies only these names.
func constrained(permit ...string) func(testing.TB) *pki.Authority {
	return func(t testing.TB) *pki.Authority {
		t.Helper()
		r := pki.CARequest{Subject: pki.Subject{CommonName: "Mesh CA"}}
		for _, p := range permit {
			c, err := pki.ParseConstraint(p)
			if err != nil {
				t.Fatal(err)
			}
			r.Permit = append(r.Permit, c)
		}
		return pkitest.NewIntermediate(t, pkitest.Root(t), r)
	}
}

// rootOf makes a root with a key of a type.
func rootOf(kind profiles.KeyType) func(testing.TB) *pki.Authority {
	return func(t testing.TB) *pki.Authority {
		t.Helper()
		return pkitest.NewRoot(t, pki.CARequest{Key: kind, PathLen: pki.NoPathLen})
	}
}

// withOtherRoot is a bundle during the change from one root to another.
func withOtherRoot(of consumerBundle) consumerBundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		b := of(t)
		b.Roots = append(b.Roots, rootOf(profiles.RSA2048)(t).Root())
		return b
	}
}

// forServersAlone is a bundle whose authority has the extended key usage
// serverAuth, as some that are imported have.
func forServersAlone(of consumerBundle) consumerBundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		b := of(t)
		ca := *b.Chain[0]
		ca.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		b.Chain = []*x509.Certificate{&ca}
		return b
	}
}

// beside makes certificates that a consumer may meet, too.
func beside(others ...consumerBundle) func(testing.TB, *Fit) {
	return func(t testing.TB, f *Fit) {
		t.Helper()
		for _, b := range others {
			f.Others = append(f.Others, b(t).Leaf())
		}
	}
}
