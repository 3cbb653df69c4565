package export

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestPEM(t *testing.T) {
	t.Parallel()
	b := alice(t)
	crt, key, ca := string(readFile(t, "bundle", "tls.crt")), string(readFile(t, "bundle", "tls.key")), string(readFile(t, "bundle", "ca.crt"))
	keyDER, err := x509.MarshalPKCS8PrivateKey(b.Key)
	if err != nil {
		t.Fatal(err)
	}
	keyless, rootless := *b, *b
	keyless.Key, rootless.Roots = nil, nil
	twoRoots := *b
	twoRoots.Roots = append(twoRoots.Roots, pkitest.Root(t).Certificate())

	for name, tt := range map[string]struct {
		format PEM
		bundle *pki.Bundle
		want   []File
	}{
		"three files":   {PEM{}, b, []File{{"tls.crt", []byte(crt), false}, {"tls.key", []byte(key), true}, {"ca.crt", []byte(ca), false}}},
		"without a key": {PEM{}, &keyless, []File{{"tls.crt", []byte(crt), false}, {"ca.crt", []byte(ca), false}}},
		"without roots": {PEM{}, &rootless, []File{{"tls.crt", []byte(crt), false}, {"tls.key", []byte(key), true}}},
		"combined":      {PEM{Combined: true}, b, []File{{"tls.pem", []byte(crt + key), true}}},
		"DER": {PEM{DER: true}, &twoRoots, []File{
			{"tls.crt.der", b.Chain[0].Raw, false},
			{"chain-1.crt.der", b.Chain[1].Raw, false},
			{"tls.key.der", keyDER, true},
			{"ca.crt.der", b.Roots[0].Raw, false},
			{"ca-2.crt.der", twoRoots.Roots[1].Raw, false},
		}},
		"DER without a key": {PEM{DER: true}, &keyless, []File{
			{"tls.crt.der", b.Chain[0].Raw, false},
			{"chain-1.crt.der", b.Chain[1].Raw, false},
			{"ca.crt.der", b.Roots[0].Raw, false},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.format.Export(tt.bundle)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPEMKeyEncoding(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind     profiles.KeyType
		encoding pki.KeyEncoding
		header   string
	}{
		{profiles.ECP256, pki.PKCS8, "-----BEGIN PRIVATE KEY-----"},
		{profiles.ECP256, pki.SEC1, "-----BEGIN EC PRIVATE KEY-----"},
		{profiles.RSA2048, pki.PKCS1, "-----BEGIN RSA PRIVATE KEY-----"},
	} {
		b := client(t, pkitest.Issuing(t), tt.kind)
		b.Encoding = tt.encoding
		files, err := PEM{}.Export(b)
		if err != nil {
			t.Fatal(err)
		}
		if key := string(files[1].Data); !strings.HasPrefix(key, tt.header) {
			t.Errorf("%s as %s begins with %.40q, want %q", tt.kind, tt.encoding, key, tt.header)
		}
	}
}

func TestPEMErrors(t *testing.T) {
	t.Parallel()
	b := alice(t)
	if _, err := (PEM{Combined: true, DER: true}).Export(b); err == nil || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("combined DER: error %v", err)
	}
	b.Encoding = pki.PKCS1
	if _, err := (PEM{}).Export(b); err == nil || !strings.Contains(err.Error(), "pkcs1 is for RSA keys") {
		t.Errorf("an EC key as PKCS#1: error %v", err)
	}
	b.Key = nil
	if _, err := (PEM{Combined: true}).Export(b); !errors.Is(err, ErrNoKey) {
		t.Errorf("combined without a key: error %v, want ErrNoKey", err)
	}
}
