package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// vector reads a file of testdata/vectors.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for _, k := range profiles.KeyTypes() {
		if k == profiles.RSA3072 || k == profiles.RSA4096 {
			continue // they differ from 2048 in a number, and take seconds
		}
		key, err := pki.GenerateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := pki.KeyTypeOf(key.Public()); got != k || err != nil {
			t.Errorf("%s: made %s, %v", k, got, err)
		}
	}
	first, err := pki.GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	second, err := pki.GenerateKey(profiles.ECP256)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := pki.KeyTypeOf(first.Public()); k != profiles.ECP256 || err != nil {
		t.Errorf("the default is %s, %v", k, err)
	}
	if pki.SamePublicKey(first.Public(), second.Public()) {
		t.Error("two new keys are one")
	}
	odd, err := pki.GenerateKey("rsa-2050")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := pki.KeyTypeOf(odd.Public()); k != "rsa-2050" || err != nil {
		t.Errorf("rsa-2050 made %q, %v", string(k), err)
	}
	if key, err := pki.GenerateKey("rsa-1024"); key != nil || err == nil {
		t.Errorf("rsa-1024: %v, %v", key, err)
	}
}

func TestKeyTypeOf(t *testing.T) {
	t.Parallel()
	for _, k := range profiles.KeyTypes() {
		if got, err := pki.KeyTypeOf(pkitest.Key(t, k, pkitest.LeafKey).Public()); got != k || err != nil {
			t.Errorf("%s is %s, %v", k, got, err)
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus := func(bits uint) *big.Int { return new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1) }
	for _, tt := range []struct {
		key  crypto.PublicKey
		want string
	}{
		{p224.Public(), "key not accepted: EC on P-224 is weaker than P-256"},
		{&rsa.PublicKey{N: modulus(1024), E: 65537}, "key not accepted: RSA of 1024 bits is too weak, 2048 is the least"},
		{&rsa.PublicKey{N: modulus(2047), E: 65537}, "key not accepted: RSA of 2047 bits is too weak, 2048 is the least"},
		{&rsa.PublicKey{N: modulus(2048), E: 3}, "key not accepted: RSA with the exponent 3 is too weak, 65537 is the least"},
		{&rsa.PublicKey{N: modulus(8193), E: 65537}, "key not accepted: RSA of 8193 bits is too large, 8192 is the most"},
		{nil, "key not accepted: it is neither EC, RSA nor Ed25519"},
		{"key", "key not accepted: it is neither EC, RSA nor Ed25519"},
	} {
		got, err := pki.KeyTypeOf(tt.key)
		if got != "" || err == nil || err.Error() != tt.want || !errors.Is(err, pki.ErrKey) {
			t.Errorf("%T: %q\ngot  %v\nwant %s", tt.key, string(got), err, tt.want)
		}
	}
	for bits, want := range map[uint]profiles.KeyType{2048: profiles.RSA2048, 2049: "rsa-2049", 2500: "rsa-2500", 3072: profiles.RSA3072, 4096: profiles.RSA4096, 8192: "rsa-8192"} {
		if got, err := pki.KeyTypeOf(&rsa.PublicKey{N: modulus(bits), E: 65537}); got != want || err != nil {
			t.Errorf("RSA of %d bits is %q, %v", bits, string(got), err)
		}
	}
}

func TestKeyEncodings(t *testing.T) {
	t.Parallel()
	header := map[pki.KeyEncoding]string{"": "PRIVATE KEY", pki.PKCS8: "PRIVATE KEY", pki.PKCS1: "RSA PRIVATE KEY", pki.SEC1: "EC PRIVATE KEY"}
	refused := map[string]string{}
	for _, k := range profiles.KeyTypes() {
		key := pkitest.Key(t, k, pkitest.LeafKey)
		for e, want := range header {
			data, err := pki.MarshalKey(key, e, nil)
			if err != nil {
				refused[string(e)+" "+string(k)] = err.Error()
				if fit := e.Fits(k); fit == nil || fit.Error() != err.Error() || data != nil {
					t.Errorf("%s as %s: %v, but Fits says %v", k, e, err, fit)
				}
				continue
			}
			block, rest := pem.Decode(data)
			if block == nil || block.Type != want || len(rest) > 0 || len(block.Headers) > 0 {
				t.Errorf("%s as %q:\n%s", k, e, data)
			}
			back, err := pki.ParseKey(data, nil)
			if err != nil || !pki.SamePublicKey(back.Public(), key.Public()) {
				t.Errorf("%s as %q comes back as %v, %v", k, e, back, err)
			}
			if pki.KeyIsEncrypted(data) {
				t.Errorf("%s as %q counts as encrypted", k, e)
			}
		}
	}
	for what, want := range map[string]string{
		"pkcs1 ec-p256": "pkcs1 is for RSA keys, and this one is EC P-256",
		"pkcs1 ed25519": "pkcs1 is for RSA keys, and this one is Ed25519",
		"sec1 rsa-2048": "sec1 is for EC keys, and this one is RSA 2048",
		"sec1 ed25519":  "sec1 is for EC keys, and this one is Ed25519",
	} {
		if refused[what] != want {
			t.Errorf("%s: got %q, want %q", what, refused[what], want)
		}
	}
	if len(refused) != 4+4 {
		t.Errorf("refused: %v", refused)
	}
}

func TestParseKeyEncoding(t *testing.T) {
	t.Parallel()
	for _, e := range pki.KeyEncodings() {
		if got, err := pki.ParseKeyEncoding(string(e)); got != e || err != nil {
			t.Errorf("%s: %s, %v", e, got, err)
		}
	}
	const want = `unknown key encoding "der": there are pkcs8, pkcs1, sec1`
	if got, err := pki.ParseKeyEncoding("der"); got != "" || err == nil || err.Error() != want {
		t.Errorf("der: %s, %v; want %s", got, err, want)
	}
}

func TestEncryptedKey(t *testing.T) {
	t.Parallel()
	passphrase := []byte("correct horse")
	for k, e := range map[profiles.KeyType]pki.KeyEncoding{
		profiles.ECP256: pki.SEC1, profiles.RSA2048: pki.PKCS1, profiles.Ed25519: pki.PKCS8,
	} {
		key := pkitest.Key(t, k, pkitest.LeafKey)
		data, err := pki.MarshalKey(key, e, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		// RFC 1421's encryption of the older forms is a single MD5.
		if !bytes.HasPrefix(data, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")) || !pki.KeyIsEncrypted(data) {
			t.Errorf("%s:\n%s", k, data)
		}
		back, err := pki.ParseKey(data, passphrase)
		if err != nil || !pki.SamePublicKey(back.Public(), key.Public()) {
			t.Errorf("%s: comes back as %v, %v", k, back, err)
		}
		for pass, want := range map[string]string{"": "the key is encrypted: wrong passphrase", "wrong": "wrong passphrase"} {
			back, err := pki.ParseKey(data, []byte(pass))
			if back != nil || !errors.Is(err, pki.ErrPassphrase) || err.Error() != want {
				t.Errorf("%s with %q: %v, %v; want %s", k, pass, back, err, want)
			}
		}
	}
}

func TestParseKeyOfOtherPrograms(t *testing.T) {
	t.Parallel()
	combined := append(pki.MarshalCertificates(pkitest.Root(t).Chain()), pkitest.KeyPEM(t, profiles.ECP256, pkitest.RootKey)...)
	for name, tt := range map[string]struct {
		data       []byte
		passphrase string
		want       profiles.KeyType
		err        string // how it begins
	}{
		"ec-sec1":                         {data: vector(t, "key/ec-sec1.pem"), want: profiles.ECP256},
		"ec-with-parameters":              {data: vector(t, "key/ec-with-parameters.pem"), want: profiles.ECP256},
		"ec-pkcs8-encrypted":              {data: vector(t, "key/ec-pkcs8-encrypted.pem"), passphrase: "secret", want: profiles.ECP256},
		"rsa-pkcs1":                       {data: vector(t, "key/rsa-pkcs1.pem"), want: profiles.RSA2048},
		"rsa-pkcs1-encrypted":             {data: vector(t, "key/rsa-pkcs1-encrypted.pem"), passphrase: "secret", want: profiles.RSA2048},
		"rsa-pkcs8":                       {data: vector(t, "key/rsa-pkcs8.pem"), want: profiles.RSA2048},
		"ed25519-pkcs8":                   {data: vector(t, "key/ed25519-pkcs8.pem"), want: profiles.Ed25519},
		"a passphrase that is not needed": {data: vector(t, "key/rsa-pkcs8.pem"), passphrase: "secret", want: profiles.RSA2048},
		"behind a certificate":            {data: combined, want: profiles.ECP256},
		"wrong passphrase":                {data: vector(t, "key/rsa-pkcs1-encrypted.pem"), passphrase: "wrong", err: "wrong passphrase"},
		"no passphrase":                   {data: vector(t, "key/rsa-pkcs1-encrypted.pem"), err: "the key is encrypted: wrong passphrase"},
		"public":                          {data: vector(t, "key/public.pem"), err: "no private key in PEM in it"},
		"x25519":                          {data: vector(t, "key/x25519.pem"), err: "reading PRIVATE KEY: "},
		"ed448":                           {data: vector(t, "key/ed448.pem"), err: "reading PRIVATE KEY: "},
		"certificate":                     {data: vector(t, "cert/with-text.pem"), err: "no private key in PEM in it"},
		"nothing":                         {err: "no private key in PEM in it"},
		"text":                            {data: []byte("secret"), err: "no private key in PEM in it"},
		"damaged":                         {data: []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), err: "reading PRIVATE KEY: "},
	} {
		key, err := pki.ParseKey(tt.data, []byte(tt.passphrase))
		if tt.err != "" {
			if key != nil || err == nil || !strings.HasPrefix(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v\ngot  %v\nwant %s", name, key, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := pki.KeyTypeOf(key.Public()); got != tt.want || err != nil {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
}

func TestMarshalKeyRefusesWeak(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := pki.MarshalKey(key, pki.PKCS8, nil); data != nil || !errors.Is(err, pki.ErrKey) {
		t.Errorf("P-224: %q, %v", data, err)
	}
}

// bytesOf returns another value of the same key.
func bytesOf(t *testing.T, key crypto.PublicKey) ed25519.PublicKey {
	t.Helper()
	k, ok := key.(ed25519.PublicKey)
	if !ok {
		t.Fatalf("a %T", key)
	}
	return bytes.Clone(k)
}

func TestSamePublicKey(t *testing.T) {
	t.Parallel()
	ec := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public()
	ed := pkitest.Key(t, profiles.Ed25519, pkitest.LeafKey).Public()
	for _, tt := range []struct {
		a, b crypto.PublicKey
		want bool
	}{
		{ec, ec, true},
		{ec, pkitest.Key(t, profiles.ECP256, pkitest.RootKey).Public(), false},
		{ec, ed, false},
		{ed, ed, true},
		{ed, bytesOf(t, ed), true},
		{nil, nil, false},
		{ec, nil, false},
		{"a", "a", false},
	} {
		if got := pki.SamePublicKey(tt.a, tt.b); got != tt.want {
			t.Errorf("SamePublicKey(%T, %T) = %v", tt.a, tt.b, got)
		}
	}
}
