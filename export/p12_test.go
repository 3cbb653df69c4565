package export

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// testPassword protects the test files, those in testdata/p12 too.
const testPassword = "correct-horse-42"

// describe writes an info in lines, for comparing.
func describe(i *P12Info) (lines []string) {
	lines = append(lines, "MAC: "+i.MAC.String())
	for _, c := range i.Contents {
		lines = append(lines, "part: "+c.Protection.String())
		for _, b := range c.Bags {
			line := "  " + b.Kind
			if b.Kind == BagKey {
				line += ": " + b.Protection.String()
			}
			if b.Certificate != nil {
				line += " of " + b.Certificate.Subject.String()
			}
			if b.Name != "" {
				line += fmt.Sprintf(" %q", b.Name)
			}
			lines = append(lines, line)
		}
		if c.Problem != "" {
			lines = append(lines, "  problem: "+c.Problem)
		}
	}
	return lines
}

func TestP12(t *testing.T) {
	t.Parallel()
	issuing, root := pkitest.Issuing(t), pkitest.Root(t)
	ofRoot := client(t, root, profiles.ECP256)
	authority := &pki.Bundle{Chain: issuing.Chain(), Roots: ofRoot.Roots, Key: pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)}
	selfSigned := &pki.Bundle{Chain: root.Chain(), Roots: ofRoot.Roots, Key: pkitest.Key(t, profiles.ECP256, pkitest.RootKey)}
	otherRoot := *ofRoot
	otherRoot.Roots = alice(t).Roots
	openssl := target(t, "openssl")
	for name, tt := range map[string]struct {
		bundle *pki.Bundle
		format P12
		want   []string // common names, the leaf first
	}{
		"under an intermediate": {client(t, issuing, profiles.ECP256), P12{}, []string{"client", "Test issuing CA", "Test root CA"}},
		"without the root":      {client(t, issuing, profiles.ECP256), P12{NoRoot: true}, []string{"client", "Test issuing CA"}},
		"under a root":          {ofRoot, P12{}, []string{"client", "Test root CA"}},
		"leaf alone":            {ofRoot, P12{NoRoot: true}, []string{"client"}},
		"an unrelated root":     {&otherRoot, P12{}, []string{"client"}},
		"an authority":          {authority, P12{}, []string{"Test issuing CA", "Test root CA"}},
		"a root":                {selfSigned, P12{}, []string{"Test root CA"}},
		"RSA":                   {client(t, issuing, profiles.RSA2048), P12{}, []string{"client", "Test issuing CA", "Test root CA"}},
		"P-521":                 {client(t, issuing, profiles.ECP521), P12{}, []string{"client", "Test issuing CA", "Test root CA"}},
		"Ed25519":               {client(t, issuing, profiles.Ed25519), P12{For: []P12Target{openssl}}, []string{"client", "Test issuing CA", "Test root CA"}},
	} {
		for _, e := range P12Encodings() {
			t.Run(name+" "+string(e), func(t *testing.T) {
				t.Parallel()
				tt.format.Encoding, tt.format.Password = e, testPassword
				if len(tt.format.For) > 0 && e == Modern2026 {
					t.Skip("OpenSSL 1.1.1 does not read it")
				}
				f := file(t, tt.format, tt.bundle)
				if f.Name != "tls.p12" || !f.Private {
					t.Errorf("file %s, private %v", f.Name, f.Private)
				}
				key, leaf, issuers, err := pkcs12.DecodeChain(f.Data, testPassword)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, c := range append([]*x509.Certificate{leaf}, issuers...) {
					got = append(got, c.Subject.CommonName)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("certificates (-want +got)\n%s", diff)
				}
				if signer, ok := key.(crypto.Signer); !ok || !pki.SamePublicKey(signer.Public(), leaf.PublicKey) {
					t.Error("the key is not the first certificate's")
				}
				if _, _, _, err := pkcs12.DecodeChain(f.Data, testPassword+"x"); !errors.Is(err, pkcs12.ErrIncorrectPassword) {
					t.Errorf("with a wrong password: error %v", err)
				}

				info, err := OpenP12(f.Data, testPassword)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{tt.want[0]}, info.Names()); diff != "" {
					t.Errorf("friendly names (-want +got)\n%s", diff)
				}
				if info.Keys() != 1 || len(info.Certificates()) != len(tt.want) {
					t.Errorf("%d keys, %d certificates, want 1, %d", info.Keys(), len(info.Certificates()), len(tt.want))
				}
			})
		}
	}
}

// The layout, as whoever has no password sees it.
func TestP12Layout(t *testing.T) {
	t.Parallel()
	for e, want := range map[P12Encoding][]string{
		Compat: {
			"MAC: HMAC-SHA1, 2048 iterations",
			"part: none",
			`  key: PBE-SHA1-3DES, 2048 iterations "Alice Å"`,
			`  certificate of CN=alice@example.com "Alice Å"`,
			"part: PBE-SHA1-3DES, 2048 iterations",
		},
		Modern2023: {
			"MAC: HMAC-SHA256, 2048 iterations",
			"part: none",
			`  key: PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256, 2048 iterations "Alice Å"`,
			`  certificate of CN=alice@example.com "Alice Å"`,
			"part: PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256, 2048 iterations",
		},
		Modern2026: {
			"MAC: PBMAC1 HMAC-SHA256 with PBKDF2-HMAC-SHA256, 2048 iterations",
			"part: none",
			`  key: PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256, 2048 iterations "Alice Å"`,
			`  certificate of CN=alice@example.com "Alice Å"`,
			"part: PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256, 2048 iterations",
		},
	} {
		f := file(t, P12{Name: "alice", FriendlyName: "Alice Å", Encoding: e, Password: testPassword}, alice(t))
		if f.Name != "alice.p12" {
			t.Errorf("file %s", f.Name)
		}
		info, err := InspectP12(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, describe(info)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", e, diff)
		}
		// Key and leaf are held together by the leaf's SHA-1.
		if id := sha1.Sum(alice(t).Leaf().Raw); bytes.Count(f.Data, id[:]) != 2 {
			t.Errorf("%s: the leaf's SHA-1 is there %d times, want 2", e, bytes.Count(f.Data, id[:]))
		}
		if info.Opened {
			t.Errorf("%s: opened without a password", e)
		}
	}
}

func TestP12Errors(t *testing.T) {
	t.Parallel()
	b, ed := alice(t), client(t, pkitest.Issuing(t), profiles.Ed25519)
	targets := func(names ...string) (all []P12Target) {
		for _, n := range names {
			all = append(all, target(t, n))
		}
		return all
	}
	for name, tt := range map[string]struct {
		bundle     *pki.Bundle
		format     P12
		option     string
		suggestion string
		words      []string
	}{
		"unknown encoding":            {b, P12{Encoding: "legacy", Password: testPassword}, "encoding", "", []string{`"legacy"`, "compat, modern-2023, modern-2026"}},
		"an encoding they cannot":     {b, P12{Encoding: Modern2023, For: targets("macos14", "firefox"), Password: testPassword}, "encoding", "compat", []string{"macos14"}},
		"nothing in common":           {b, P12{For: targets("macos15", "openssl-fips"), Password: testPassword}, "for", "", []string{"macos15 reads compat, modern-2023", "openssl-fips reads modern-2026"}},
		"nothing in common, explicit": {b, P12{Encoding: Compat, For: targets("macos15", "openssl-fips"), Password: testPassword}, "for", "", []string{"no encoding"}},
		"no password":                 {b, P12{}, "password", "", []string{"empty"}},
		"a short one":                 {b, P12{Password: "elevenchars"}, "password", "", []string{"11 characters", "compat", "12"}},
		"a control character":         {b, P12{Password: "correct-horse\n"}, "password", "", []string{"control"}},
		"an emoji":                    {b, P12{Password: "correct-horse-😀"}, "password", "", []string{"emoji"}},
		"not UTF-8":                   {b, P12{Password: "correct-horse-\xff"}, "password", "", []string{"UTF-8"}},
		"not ASCII":                   {b, P12{Password: "größer-als-zwölf"}, "password", "", []string{"which Java cannot take"}},
		"a name with a line break":    {b, P12{Password: testPassword, FriendlyName: "a\nb"}, "friendly-name", "", []string{"cannot be shown"}},
		"a name with an emoji":        {b, P12{Password: testPassword, FriendlyName: "😀"}, "friendly-name", "", []string{"basic plane"}},
		"Ed25519 for all": {ed, P12{Password: testPassword}, "for", "java15,java26,openssl,gnutls",
			[]string{"Ed25519", "macOS, iOS and iPadOS, Windows, Windows Server, Android, Firefox and Thunderbird, NSS (Chrome on Linux), Java 11 and earlier and Java 12 to 14"}},
		"Ed25519 for a browser": {ed, P12{Password: testPassword, For: targets("openssl3", "firefox")}, "for", "java15,java26,openssl,gnutls",
			[]string{`"openssl3,firefox"`, "not imported by Firefox and Thunderbird"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(tt.bundle)
			wantOption(t, err, tt.option, tt.suggestion, tt.words...)
			if p := tt.format.Password; p != "" && strings.Contains(err.Error(), p) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}

	keyless := *b
	keyless.Key = nil
	if _, err := (P12{Password: testPassword}).Export(&keyless); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: error %v, want ErrNoKey", err)
	}
	// What is refused by default is taken for those who can.
	for name, f := range map[string]P12{
		"not ASCII for NSS":    {Password: "größer-als-zwölf", For: targets("firefox", "openssl")},
		"short for modern":     {Password: "changeit", Encoding: Modern2023},
		"Ed25519 for OpenSSL":  {Password: testPassword, For: targets("openssl3", "java21", "gnutls")},
		"FIPS reads the newer": {Password: testPassword, For: targets("openssl-fips", "java26", "openssl3.4")},
	} {
		bundle := b
		if strings.HasPrefix(name, "Ed25519") {
			bundle = ed
		}
		data := file(t, f, bundle).Data
		if info, err := OpenP12(data, f.Password); err != nil || len(info.Certificates()) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewPassword(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		p := NewPassword()
		if seen[p] {
			t.Fatalf("%s twice", p)
		}
		seen[p] = true
		groups := strings.Split(p, "-")
		// Five bits each: 26 characters are 130 bits.
		if len(groups) != 5 || len(p) != 30 || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz234567-") != "" {
			t.Fatalf("password %q", p)
		}
		if err := checkPassword(p, Compat, P12{}.readers()); err != nil {
			t.Fatal(err)
		}
	}
}
