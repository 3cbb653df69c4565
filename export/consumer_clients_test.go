package export

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// TestMobileByRule holds what goes to phones to the table of who reads which
// PKCS#12 files, and to what Android's settings open as a CA.
func TestMobileByRule(t *testing.T) {
	t.Parallel()
	for _, c := range Consumers() {
		if c.FormatFor(Client) != "p12" {
			continue
		}
		target, err := ParseP12Target(c.Name)
		if err != nil {
			t.Errorf("export p12 --for %s: %v", c.Name, err)
			continue
		}
		files, err := P12{For: []P12Target{target}, Password: NewPassword()}.Export(aClient(t))
		if err != nil {
			t.Fatal(err)
		}
		info, err := InspectP12(files[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		able, _ := info.ReadBy()
		for _, r := range target.Readers() {
			if !slices.ContainsFunc(able, func(a P12Reader) bool { return a.Name == r.Name }) {
				t.Errorf("%s: %s does not read it", c.Name, r.Title)
			}
		}
	}
	android, err := FindConsumer("android")
	if err != nil {
		t.Fatal(err)
	}
	shape, err := android.Fit(&Fit{Format: "pem", Name: "root", Bundle: aRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	files, err := PEM{}.WithShape(shape).Export(aRoot(t))
	if err != nil || len(files) != 1 || files[0].Name != "root.crt" || len(certificates(t, files[0].Data)) != 1 {
		t.Errorf("%v, %v", names(files), err)
	}
}

// What importers decrypt, and the MACs that they verify.
var (
	oldP12 = []string{"PBE-SHA1-3DES", "HMAC-SHA1"}
	newP12 = []string{"PBE-SHA1-3DES", "HMAC-SHA1", "PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256", "HMAC-SHA256"}
)

// importers are those of a system, the oldest among them, by the name of `--for`.
type importers map[string][]string

// importByRule holds what is exported for a system to what its importers read: all of
// them, if no version is named.
func importByRule(t *testing.T, all importers, consumers ...string) {
	t.Helper()
	for name, reads := range all {
		for _, k := range []profiles.KeyType{profiles.ECP256, profiles.RSA2048} {
			b := issued(profiles.Client(), "alice@example.com", keyed(k))(t)
			f := P12{For: []P12Target{target(t, name)}, Password: NewPassword()}
			made := file(t, f, b)
			// Keychain goes by the ending of the name.
			if !strings.HasSuffix(made.Name, ".p12") {
				t.Errorf("%s: %s", name, made.Name)
			}
			info, err := OpenP12(made.Data, f.Password)
			if err != nil {
				t.Fatal(err)
			}
			used := []string{info.MAC.Algorithm}
			for _, c := range info.Contents {
				if c.Protection.Algorithm != "" {
					used = append(used, c.Protection.Algorithm)
				}
				for _, b := range c.Bags {
					if b.Kind == BagKey {
						used = append(used, b.Protection.Algorithm) // a plain key is passed over
					}
				}
			}
			for _, algorithm := range used {
				if !slices.Contains(reads, algorithm) {
					t.Errorf("%s, %s: %q is not among what it reads, %q", name, k, algorithm, reads)
				}
			}
			// Of two encodings that it reads, the stronger one.
			if strong := "HMAC-SHA256"; slices.Contains(reads, strong) != slices.Contains(used, strong) {
				t.Errorf("%s, %s: uses %q of %q", name, k, used, reads)
			}
			identityByRule(t, name, made.Data, f.Password, hex.EncodeToString(sha1Of(b.Leaf().Raw)))
		}
	}
	for _, name := range consumers {
		b := issued(profiles.Client(), "bob@example.com", keyed(profiles.Ed25519))(t)
		if _, err := must(FindConsumer(name)).Fit(&Fit{Format: "p12", Name: "bob", Bundle: b}); err == nil {
			t.Errorf("%s takes RSA and EC keys alone, and an Ed25519 key is exported", name)
		}
	}
}

func sha1Of(data []byte) []byte {
	sum := sha1.Sum(data)
	return sum[:]
}

// identityByRule puts key and certificate together as Apple and Windows do: by
// localKeyID, or without one by the friendly name. What an authority has in common
// with the certificate, it takes its place by.
func identityByRule(t *testing.T, name string, data []byte, password, id string) {
	t.Helper()
	blocks, err := pkcs12.ToPEM(data, password) //nolint:staticcheck // nothing else has the attributes
	if err != nil {
		t.Fatal(err)
	}
	key := blocks[slices.IndexFunc(blocks, func(b *pem.Block) bool { return b.Type == "PRIVATE KEY" })]
	blocks = slices.DeleteFunc(blocks, func(b *pem.Block) bool { return b == key })
	if key.Headers["localKeyId"] != id || key.Headers["friendlyName"] != "alice@example.com" {
		t.Errorf("%s: the key has %v", name, key.Headers)
	}
	for i, b := range blocks {
		switch {
		case b.Type != "CERTIFICATE":
			t.Errorf("%s: more than one key, or a %s", name, b.Type)
		case i == 0 && (b.Headers["localKeyId"] != id || b.Headers["friendlyName"] != key.Headers["friendlyName"]):
			t.Errorf("%s: the first certificate is not the key's: %v", name, b.Headers)
		case i > 0 && (b.Headers["localKeyId"] == id || b.Headers["friendlyName"] == key.Headers["friendlyName"]):
			t.Errorf("%s: an authority is taken for the certificate: %v", name, b.Headers)
		}
	}
	if len(blocks) != 3 {
		t.Errorf("%s: %d certificates; want the chain with its root", name, len(blocks))
	}
}

// TestAppleByRule: gh/apple-oss-distributions/Security, OSX/sec/Security/p12import.c,
// up to tag 61123.140.15 and since 61439.1.1, the one of macOS 15 and iOS 18.
func TestAppleByRule(t *testing.T) {
	t.Parallel()
	importByRule(t, importers{
		"macos": oldP12, "macos14": oldP12, "macos15": newP12, "macos26": newP12,
		"ios": oldP12, "ios17": oldP12, "ios18": newP12,
	}, "macos", "ios")
	// Without -f, security takes a way that knows no AES (gh/tauri-apps/tauri pull
	// request 15844).
	for _, s := range target(t, "macos15").Import("alice.p12") {
		if !strings.Contains(s.Command, "security import alice.p12 ") || !strings.HasSuffix(s.Command, " -f pkcs12") {
			t.Errorf("%s: %s", s.Where, s.Command)
		}
	}
	// What is in a profile is read by all versions, too, and is without CAs, which have
	// payloads of their own.
	f := MobileConfig{Password: NewPassword()}
	identities := 0
	for _, p := range payloadsOf(t, profileOf(t, f, aClient(t))) {
		if p["PayloadType"] != payloadIdentity {
			continue
		}
		identities++
		data, _ := p["PayloadContent"].([]byte)
		info, err := OpenP12(data, f.Password)
		if err != nil || info.MAC.Algorithm != "HMAC-SHA1" || len(info.Contents) != 1 || info.Keys() != 1 || len(info.Certificates()) != 1 {
			t.Errorf("%+v, %v", info, err)
		}
	}
	if identities != 1 {
		t.Errorf("%d identities in the profile", identities)
	}
}

// TestWindowsByRule: AES since Windows 10 1709 and Server 2019 (Microsoft,
// CRYPT_PKCS12_PBES2_EXPORT_PARAMS; gh/ansible-collections/ansible.windows pull request
// 582).
func TestWindowsByRule(t *testing.T) {
	t.Parallel()
	importByRule(t, importers{
		"windows": oldP12, "windows8": oldP12, "windows10": newP12, "windows11": newP12,
		"windows2012": oldP12, "windows2016": oldP12, "windows2019": newP12, "windows2022": newP12, "windows2025": newP12,
	}, "windows")
	const odd = `C:\it's here\alice.p12`
	steps := target(t, "windows").Import(odd)
	if len(steps) != 2 || steps[0].Command != `certutil -user -importPFX "`+odd+`"` || !strings.Contains(steps[1].Command, ` -FilePath 'C:\it''s here\alice.p12' `) {
		t.Errorf("%v", steps)
	}
}
