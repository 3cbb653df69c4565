package export

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
)

// Vectors for the key derivation of RFC 7292 appendix B with ID 3, which has
// none of its own. See testdata/README.md for where they come from.
func TestMACKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hash       func() hash.Hash
		password   string
		salt       string
		iterations int
		want       string
	}{
		{sha1.New, "smeg", "3d83c0e4546ac140", 1, "8d967d88f6caa9d714800ab3d48051d63f73a312"},
		{sha1.New, "queeg", "263216fcc2fab31c", 1000, "5ec4c7a80df652294c3925b6489a7ab857c83476"},
		{sha256.New, "ge@äheim", "0102030405060708", 100, "136355ed9434516682534f46d63956db5ff06b844702c2c1f3b46321e2524a4d"},
		{sha256.New, "123456", "e241f01650dbeae4", 2048, "721259f14aad70b58839f71566b433da1b8ad08f650f4d02faaa0b9b095bb51d"},
	} {
		salt, err := hex.DecodeString(tt.salt)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(macKey(tt.hash, bmpPassword(tt.password), salt, tt.iterations)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.password, got, tt.want)
		}
	}
}

func TestBMPPassword(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "ge@äheim", "Ā", "пароль"} {
		if got := utf8Password(bmpPassword(s)); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	}
	// RFC 7292 appendix B.1.
	if got := hex.EncodeToString(bmpPassword("Beavis")); got != "0042006500610076006900730000" {
		t.Error(got)
	}
}

// The files of RFC 9579 appendix A: A.1 to A.3 are good, the others must not
// be believed.
func TestPBMAC1Vectors(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct {
		mac   string
		fault string
	}{
		{"PBMAC1 HMAC-SHA256 with PBKDF2-HMAC-SHA256", ""},
		{"PBMAC1 HMAC-SHA256 with PBKDF2-HMAC-SHA512", ""},
		{"PBMAC1 HMAC-SHA512 with PBKDF2-HMAC-SHA512", ""},
		{"PBMAC1 HMAC-SHA256 with PBKDF2-HMAC-SHA256", "wrong password"},
		{"PBMAC1 HMAC-SHA256 with PBKDF2-HMAC-SHA256", "wrong password"},
		{"1.2.840.113549.1.5.14", "PBMAC1 with a key of 0 octets"},
	} {
		name := fmt.Sprintf("rfc9579-a%d.p12", i+1)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := readFile(t, "p12", name)
			info, err := InspectP12(data)
			if err != nil {
				t.Fatal(err)
			}
			if info.MAC.Algorithm != tt.mac {
				t.Errorf("MAC %s, want %s", info.MAC.Algorithm, tt.mac)
			}
			info, err = OpenP12(data, "1234")
			switch {
			case tt.fault != "":
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Errorf("error %v, want %q", err, tt.fault)
				}
			case err != nil:
				t.Error(err)
			case len(info.Certificates()) != 1 || info.Keys() != 1:
				t.Errorf("%d certificates, %d keys, want one of each", len(info.Certificates()), info.Keys())
			}
		})
	}
	// A.6 without its password check must not count as a wrong password.
	if _, err := OpenP12(readFile(t, "p12", "rfc9579-a6.p12"), "1234"); errors.Is(err, ErrPassword) || !errors.Is(err, ErrP12) {
		t.Errorf("a MAC that cannot be checked: error %v, want ErrP12", err)
	}
}
