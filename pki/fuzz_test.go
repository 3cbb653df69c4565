package pki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// seed adds seeds and fails without any: a fuzzer that starts from nothing
// finds nothing, and says so by passing.
func seed[T string | []byte](f *testing.F, seeds []T) {
	f.Helper()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
}

func FuzzParseSAN(f *testing.F) {
	seeds := []string{
		"dns:a..b.example",              // NewSAN and ParseSAN asked each other without end
		"https://example.com:8443/id",   // lost its port
		"spiffe://a..b/x",               // was signed, and crypto/x509 could not read it
		"https://[fe80::1%25eth0]/",     // a zone got through
		"s://:::",                       // :: and an empty port
		"2001:db8::g", "[::1]", "a:b:c", // no kind, and no address
		"fd00::/8", "10.0.0.0/8", "::ffff:10.0.0.1", "alice@bücher.example", "urn:a", "uri:tag:a,2026:b", "*.例え.テスト", "xn--a", "_a.b.c",
	}
	for _, s := range randomSANs(f, 5) {
		seeds = append(seeds, string(s.Kind())+":"+s.Value())
	}
	seed(f, seeds)
	ca := pkitest.NewRoot(f, pki.CARequest{Key: profiles.Ed25519})
	key := pkitest.Key(f, profiles.Ed25519, pkitest.LeafKey).Public()
	rules := lints(f)
	f.Fuzz(func(t *testing.T, in string) {
		s, err := pki.ParseSAN(in)
		if err != nil {
			if _, ok := errors.AsType[*pki.SANError](err); !ok || s != (pki.SAN{}) {
				t.Fatalf("%q: %s beside %v", in, s, err)
			}
			return
		}
		if again, err := pki.NewSAN(s.Kind(), s.Value()); err != nil || again != s {
			t.Fatalf("%q is %s, and that is %s, %v", in, s, again, err)
		}
		d, err := ca.Prepare(profiles.Client(), pki.Request{Key: profiles.Ed25519, SANs: []pki.SAN{s}})
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		cert, err := ca.Sign(d, key)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if got := pki.SANsOf(cert); len(got) != 1 || got[0] != s {
			t.Fatalf("%s is certified as %v", s, got)
		}
		verify(t, ca, cert, x509.ExtKeyUsageClientAuth)
		for _, found := range findings(t, rules, cert.Raw) {
			t.Errorf("%s: zlint: %s", s, found)
		}
	})
}

func FuzzParseConstraint(f *testing.F) {
	seed(f, []string{
		"::ffff:10.0.0.0/104", // an IPv4 range in sixteen bytes, which matches nothing
		"uri:internal",        // no full domain name
		"example.com", "dns:a", "10.0.0.0/8", "fd00::/8", "192.0.2.1", "@example.com", "a@b.c", "email:.b.c", "uri:.b.c", "spiffe://b.c", "spiffe:b.c", ".a", "*.a", "",
	})
	f.Fuzz(func(t *testing.T, in string) {
		c, err := pki.ParseConstraint(in)
		if err != nil {
			if _, ok := errors.AsType[*pki.SANError](err); !ok || c != (pki.Constraint{}) {
				t.Fatalf("%q: %s beside %v", in, c, err)
			}
			return
		}
		if again, err := pki.ParseConstraint(c.String()); err != nil || again != c {
			t.Fatalf("%q is %s, and that is %s, %v", in, c, again, err)
		}
		root := pkitest.NewRoot(t, pki.CARequest{Key: profiles.Ed25519, Permit: []pki.Constraint{c}})
		if permit, exclude := pki.ConstraintsOf(root.Certificate()); len(exclude) > 0 || len(permit) != 1 || permit[0].String() != c.String() {
			t.Fatalf("%s is certified as %v, %v", c, permit, exclude)
		}
		// What only that constraint permits can be asked about.
		for _, s := range namesOfAllKinds {
			if _, err := root.Prepare(profiles.Client(), pki.Request{SANs: pkitest.SANs(t, s)}); err != nil {
				if _, ok := errors.AsType[*pki.ConstraintError](err); !ok {
					t.Fatalf("%s below %s: %v", s, c, err)
				}
			}
		}
	})
}

var namesOfAllKinds = []string{"a.example.com", "*.example.com", "10.0.0.1", "::1", "a@example.com", "https://example.com:8443/", "spiffe://b.c/x", "urn:a:b"}

func FuzzSubject(f *testing.F) {
	seed(f, []string{
		"\ufffd", // what is left of another encoding
		"\u202e", " a", "a\x00b", "", "DE", "Acme & Söhne", "CN=a,O=b+C=d", `\"#;<>`, "日本語", "\U0001F512",
	})
	ca := pkitest.NewRoot(f, pki.CARequest{Key: profiles.Ed25519})
	key := pkitest.Key(f, profiles.Ed25519, pkitest.LeafKey).Public()
	f.Fuzz(func(t *testing.T, v string) {
		one := []string{v}
		for _, s := range []pki.Subject{
			{CommonName: v}, {CommonName: "x", Organizations: one}, {CommonName: "x", OrganizationalUnits: one},
			{CommonName: "x", Countries: one}, {CommonName: "x", Provinces: one}, {CommonName: "x", Localities: one},
		} {
			_ = s.String()
			d, err := ca.Prepare(profiles.Client(), pki.Request{Key: profiles.Ed25519, Subject: s})
			if err != nil {
				_, ok := errors.AsType[*pki.SubjectError](err)
				if !ok && !errors.Is(err, pki.ErrNoName) {
					t.Fatalf("%q: %v", s, err)
				}
				continue
			}
			cert, err := ca.Sign(d, key)
			if err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			if diff := cmp.Diff(s, pki.SubjectOf(cert.Subject)); diff != "" {
				t.Fatalf("read back (-want +got):\n%s", diff)
			}
		}
	})
}

func FuzzParseName(f *testing.F) {
	seed(f, []string{"a", "*.a", "..", "a/b", "-a", "nul.txt", "COM1", "a@b.c", "ü", "\x00", "a.", "wildcard.a", "a/b/c", "a/*.b", "a/"})
	f.Fuzz(func(t *testing.T, in string) {
		n, err := pki.ParseName(in)
		if err != nil {
			if _, ok := errors.AsType[*pki.NameError](err); !ok || !n.IsZero() {
				t.Fatalf("%q: %q beside %v", in, n, err)
			}
			return
		}
		if again, err := pki.ParseName(n.String()); err != nil || again != n {
			t.Fatalf("%q is %q, and that is %q, %v", in, n, again, err)
		}
		for i, c := range []byte(n.String()) {
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
			case i > 0 && bytes.IndexByte([]byte(".@+-"), c) >= 0:
			case c == '/' && i > 0 && n.Namespace() == n.String()[:i]:
			default:
				t.Fatalf("%q is %q", in, n)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	seeds := [][]byte{{}, []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), []byte("-----BEGIN A PRIVATE KEY-----\nx: y\n\nAAAA\n-----END A PRIVATE KEY-----\n")}
	for _, name := range []string{
		"ec-with-parameters", // the block in front was an error
		"ec-sec1", "rsa-pkcs1", "rsa-pkcs1-encrypted", "rsa-pkcs8", "ed25519-pkcs8", "x25519", "ed448", "public",
	} {
		seeds = append(seeds, vector(f, "key/"+name+".pem"))
	}
	seed(f, seeds)
	f.Fuzz(func(t *testing.T, data []byte) {
		// PBES2 is as slow as its iterations say: a guess a run would be all there is.
		if bytes.Contains(data, []byte("ENCRYPTED PRIVATE KEY")) {
			t.Skip()
		}
		key, err := pki.ParseKey(data, []byte("secret"))
		if err != nil {
			if key != nil {
				t.Fatalf("%v beside %v", key, err)
			}
			return
		}
		again, err := pki.MarshalKey(key, pki.PKCS8, nil)
		if err != nil {
			if !errors.Is(err, pki.ErrKey) {
				t.Fatal(err)
			}
			return
		}
		back, err := pki.ParseKey(again, nil)
		if err != nil || !pki.SamePublicKey(key.Public(), back.Public()) {
			t.Fatalf("comes back as %v, %v", back, err)
		}
	})
}

func FuzzParseCertificates(f *testing.F) {
	root := pkitest.Root(f).Certificate()
	one := pki.MarshalCertificates([]*x509.Certificate{root})
	limited := pkitest.NewRoot(f, pki.CARequest{Permit: constraints(f, "a.b", "10.0.0.0/8", "@a.b", "spiffe://a.b")})
	leaf := pkitest.Issue(f, limited, profiles.Client(), pki.Request{SANs: pkitest.SANs(f, "c.a.b", "10.0.0.1", "x@a.b", "spiffe://a.b/c")}).Leaf()
	seed(f, [][]byte{
		{}, one, root.Raw, leaf.Raw, limited.Certificate().Raw, append(bytes.Clone(one), one...),
		vector(f, "cert/with-text.pem"), vector(f, "cert/trusted.pem"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := pki.ParseCertificates(data)
		if err != nil || len(certs) == 0 {
			if err == nil || certs != nil {
				t.Fatalf("%d certificates beside %v", len(certs), err)
			}
			return
		}
		again, err := pki.ParseCertificates(pki.MarshalCertificates(certs))
		if err != nil || len(again) != len(certs) {
			t.Fatalf("%d certificates come back as %d, %v", len(certs), len(again), err)
		}
		// What strangers write can be looked at, and tried as an authority.
		for i, c := range certs {
			if !c.Equal(again[i]) {
				t.Fatalf("certificate %d changed", i)
			}
			_, _ = pki.ConstraintsOf(c)
			_ = pki.SANsOf(c)
			_ = pki.SubjectOf(c.Subject).Check()
			a, err := pki.NewAuthority(pki.AuthorityConfig{Chain: certs[i : i+1], Now: pkitest.Clock})
			if err != nil {
				continue
			}
			_ = a.PathLen()
			if _, err := a.Prepare(profiles.Client(), pki.Request{SANs: pkitest.SANs(t, namesOfAllKinds[:6]...)}); err != nil {
				_, constraint := errors.AsType[*pki.ConstraintError](err)
				_, lifetime := errors.AsType[*pki.LifetimeError](err)
				if !constraint && !lifetime {
					t.Fatal(err)
				}
			}
		}
	})
}

// The block that a fuzzer would have to hit by its base64.
func FuzzParseKeyDER(f *testing.F) {
	var seeds [][]byte
	for _, name := range []string{"ec-sec1", "rsa-pkcs1", "rsa-pkcs8", "ed25519-pkcs8", "x25519", "ed448"} {
		block, _ := pem.Decode(vector(f, "key/"+name+".pem"))
		seeds = append(seeds, block.Bytes)
	}
	seed(f, seeds)
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, kind := range []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"} {
			key, err := pki.ParseKey(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil)
			if (key == nil) == (err == nil) {
				t.Fatalf("%s: %v beside %v", kind, key, err)
			}
			if err == nil {
				_, _ = pki.KeyTypeOf(key.Public())
			}
		}
	})
}
