package export

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const profilePassword = "correct horse battery staple"

// authorityBundle is what there is of a CA whose key stays where it is.
func keylessAuthority(a *pki.Authority) *pki.Bundle {
	return &pki.Bundle{Chain: a.Chain(), Roots: a.Roots()}
}

// profileOf writes a profile and reads it again.
func profileOf(t *testing.T, f MobileConfig, b *pki.Bundle) map[string]any {
	t.Helper()
	var profile map[string]any
	if format, err := plist.Unmarshal(file(t, f, b).Data, &profile); err != nil || format != plist.XMLFormat {
		t.Fatalf("format %d, %v", format, err)
	}
	return profile
}

// payloadsOf returns the payloads of a profile.
func payloadsOf(t *testing.T, profile map[string]any) (all []map[string]any) {
	t.Helper()
	content, _ := profile["PayloadContent"].([]any)
	for _, p := range content {
		dict, ok := p.(map[string]any)
		if !ok {
			t.Fatalf("a payload is a %T", p)
		}
		all = append(all, dict)
	}
	return all
}

func TestMobileConfig(t *testing.T) {
	t.Parallel()
	b := alice(t)
	const root, intermediate, identity = payloadRoot, payloadIntermediate, payloadIdentity
	for name, tt := range map[string]struct {
		format     MobileConfig
		bundle     *pki.Bundle
		private    bool
		identifier string
		display    string
		payloads   []string
		algorithm  string // of the p12
	}{
		"a client": {MobileConfig{}, b, true, "io.github.mtlsctl.Acme.alice-example-com-ff8d9819", "alice@example.com",
			[]string{root + " Acme root CA", intermediate + " Acme issuing CA", identity + " alice@example.com"}, "PBE-SHA1-3DES"},
		"for iOS 18": {MobileConfig{For: []P12Target{target(t, "ios18"), target(t, "macos15")}, Identifier: "com.example.vpn", DisplayName: "Alice's VPN"}, b,
			true, "com.example.vpn", "Alice's VPN",
			[]string{root + " Acme root CA", intermediate + " Acme issuing CA", identity + " alice@example.com"}, "PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256"},
		"right below the root": {MobileConfig{}, client(t, pkitest.Root(t), profiles.RSA2048), true, "io.github.mtlsctl.Test-root-CA-0b52d91d.client", "client",
			[]string{root + " Test root CA", identity + " client"}, "PBE-SHA1-3DES"},
		"an intermediate": {MobileConfig{}, keylessAuthority(pkitest.Issuing(t)), false, "io.github.mtlsctl.Test-root-CA-0b52d91d.Test-issuing-CA-ee6df4fb", "Test issuing CA",
			[]string{root + " Test root CA", intermediate + " Test issuing CA"}, ""},
		"a root": {MobileConfig{Organization: "Acme-Inc"}, keylessAuthority(pkitest.Root(t)), false, "io.github.mtlsctl.Acme-Inc.Test-root-CA-0b52d91d", "Test root CA",
			[]string{root + " Test root CA"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.private {
				tt.format.Password = profilePassword
			}
			if f := file(t, tt.format, tt.bundle); f.Name != "profile.mobileconfig" || f.Private != tt.private || bytes.Contains(f.Data, []byte(profilePassword)) {
				t.Errorf("file %s, private %v, with the password: %v", f.Name, f.Private, bytes.Contains(f.Data, []byte(profilePassword)))
			}
			profile := profileOf(t, tt.format, tt.bundle)
			if profile["PayloadIdentifier"] != tt.identifier || profile["PayloadDisplayName"] != tt.display {
				t.Errorf("it is %v, %v", profile["PayloadIdentifier"], profile["PayloadDisplayName"])
			}
			var got []string
			certs := append(slices.Clone(tt.bundle.Roots), without(tt.bundle.Chain[1:], tt.bundle.Roots)...)
			if !tt.private {
				certs = append(slices.Clone(tt.bundle.Roots), without(tt.bundle.Chain, tt.bundle.Roots)...)
			}
			for i, p := range payloadsOf(t, profile) {
				got = append(got, fmt.Sprintf("%s %s", p["PayloadType"], p["PayloadDisplayName"]))
				content, _ := p["PayloadContent"].([]byte)
				if p["PayloadType"] == identity {
					info, err := OpenP12(content, profilePassword)
					if err != nil {
						t.Fatal(err)
					}
					if info.Keys() != 1 || info.bags(BagKey)[0].Protection.Algorithm != tt.algorithm {
						t.Errorf("keys %v", info.bags(BagKey))
					}
					// Apple: "Only one certificate may be included."
					if c := info.Certificates(); len(c) != 1 || !c[0].Equal(tt.bundle.Leaf()) {
						t.Errorf("%d certificates beside the key, want its own", len(c))
					}
				} else if !bytes.Equal(content, certs[i].Raw) {
					t.Errorf("payload %d holds another certificate than %s", i, certs[i].Subject)
				}
			}
			if diff := cmp.Diff(tt.payloads, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A device replaces a profile with the same identifier, and updates the payloads
// with the same identifier and UUID.
func TestMobileConfigIdentifiers(t *testing.T) {
	t.Parallel()
	ids := func(b *pki.Bundle) (top [2]any, payloads map[any]any) {
		profile := profileOf(t, MobileConfig{Password: profilePassword}, b)
		payloads = map[any]any{}
		for _, p := range payloadsOf(t, profile) {
			payloads[p["PayloadIdentifier"]] = p["PayloadUUID"]
		}
		return [2]any{profile["PayloadIdentifier"], profile["PayloadUUID"]}, payloads
	}
	issuing := pkitest.Issuing(t)
	first := client(t, issuing, profiles.ECP256)
	next := client(t, issuing, profiles.ECP256)
	top, payloads := ids(first)
	if again, payloadsAgain := ids(first); cmp.Diff(top, again)+cmp.Diff(payloads, payloadsAgain) != "" {
		t.Error("the same certificate has other identifiers the second time")
	}
	renewed, payloadsRenewed := ids(next)
	if top[0] != renewed[0] || top[1] == renewed[1] {
		t.Errorf("%v became %v; want the same identifier and another UUID", top, renewed)
	}
	same := 0
	for id, uuid := range payloads {
		if payloadsRenewed[id] == uuid {
			same++
		}
	}
	if same != 2 {
		t.Errorf("%d payloads stay, want those of root and intermediate", same)
	}
}

func TestIdentifierWord(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, text := range []string{"Acme", "acme-1", "a.b", "a-b", "a@b", "a b", "ä", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 65)} {
		word := identifierWord(text)
		if other, ok := seen[word]; ok {
			t.Errorf("%q and %q are both %s", text, other, word)
		}
		seen[word] = text
		if len(word) > 63 || strings.Trim(word, "-") == "" || identifierWord(word) != word {
			t.Errorf("%q becomes %q", text, word)
		}
	}
}

func TestMobileConfigRefusals(t *testing.T) {
	t.Parallel()
	b := alice(t)
	for name, tt := range map[string]struct {
		format MobileConfig
		bundle *pki.Bundle
		option string
		words  []string
	}{
		"no password":    {MobileConfig{}, b, "password", []string{"empty"}},
		"a short one":    {MobileConfig{Password: "short"}, b, "password", []string{"5 characters are too few for compat"}},
		"Ed25519":        {MobileConfig{Password: profilePassword}, client(t, pkitest.Issuing(t), profiles.Ed25519), "for", []string{"Ed25519", "macOS and iOS", "a key of another type"}},
		"Windows":        {MobileConfig{Password: profilePassword, For: []P12Target{target(t, "windows")}}, b, "for", []string{"installs no profiles"}},
		"an identifier":  {MobileConfig{Password: profilePassword, Identifier: "com..vpn"}, b, "identifier", []string{"reverse DNS"}},
		"with a space":   {MobileConfig{Password: profilePassword, Identifier: "com.my vpn"}, b, "identifier", []string{"reverse DNS"}},
		"a display name": {MobileConfig{Password: profilePassword, DisplayName: "a\x00"}, b, "display-name", []string{"cannot be shown"}},
		"an org":         {MobileConfig{Password: profilePassword, Organization: "a\n"}, b, "org", []string{"cannot be shown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(tt.bundle)
			var option *OptionError
			if !errors.As(err, &option) || option.Option != tt.option {
				t.Fatalf("error %v, want one about %s", err, tt.option)
			}
			for _, w := range tt.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q, want %q in it", err, w)
				}
			}
		})
	}
	if _, err := (MobileConfig{}).Export(&pki.Bundle{Chain: b.Chain, Roots: b.Roots}); !errors.Is(err, ErrNoKey) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := (MobileConfig{}).Export(&pki.Bundle{Chain: b.Chain, Key: b.Key}); !errors.Is(err, ErrNoRoots) {
		t.Errorf("without roots: %v", err)
	}
}

// What Apple's device-management repository says of the keys of a profile and of
// payloads: their types, those that must be there, and the values that there are.
// A key that is not listed is not one.
func TestMobileConfigBySchema(t *testing.T) {
	t.Parallel()
	type key struct {
		kind     any // a value of the type
		required bool
		is       any // the only value; nil: any
	}
	common := map[string]key{ // CommonPayloadKeys.yaml
		"PayloadIdentifier":   {"", true, nil},
		"PayloadUUID":         {"", true, nil},
		"PayloadType":         {"", true, nil},
		"PayloadVersion":      {uint64(0), true, uint64(1)},
		"PayloadDescription":  {"", false, nil},
		"PayloadDisplayName":  {"", false, nil},
		"PayloadOrganization": {"", false, nil},
	}
	merge := func(more map[string]key) map[string]key {
		all := map[string]key{}
		for _, m := range []map[string]key{common, more} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	certificate := merge(map[string]key{ // com.apple.security.root.yaml, .pkcs1.yaml
		"PayloadCertificateFileName": {"", false, nil},
		"PayloadContent":             {[]byte{}, true, nil},
	})
	schemas := map[string]map[string]key{
		payloadProfile: merge(map[string]key{ // TopLevel.yaml
			"PayloadContent":           {[]any{}, true, nil},
			"PayloadRemovalDisallowed": {false, false, false},
		}),
		payloadRoot: certificate, payloadIntermediate: certificate,
		payloadIdentity: merge(map[string]key{ // com.apple.security.pkcs12.yaml
			"PayloadCertificateFileName": {"", false, nil},
			"PayloadContent":             {[]byte{}, true, nil},
			"Password":                   {"", false, profilePassword},
		}),
	}
	check := func(dict map[string]any) {
		kind, _ := dict["PayloadType"].(string)
		schema, ok := schemas[kind]
		if !ok {
			t.Fatalf("a payload of type %q", kind)
		}
		for name, k := range schema {
			value, ok := dict[name]
			switch {
			case !ok && k.required:
				t.Errorf("%s: %s is missing", kind, name)
			case ok && reflect.TypeOf(value) != reflect.TypeOf(k.kind):
				t.Errorf("%s: %s is a %T, want a %T", kind, name, value, k.kind)
			case ok && k.is != nil && value != k.is:
				t.Errorf("%s: %s is %v, want %v", kind, name, value, k.is)
			}
		}
		for name := range dict {
			if _, ok := schema[name]; !ok {
				t.Errorf("%s: there is no key %s", kind, name)
			}
		}
	}
	profile := profileOf(t, MobileConfig{Password: profilePassword, WithPassword: true}, alice(t))
	check(profile)
	identifiers := map[any]bool{profile["PayloadIdentifier"]: true}
	uuids := map[any]bool{profile["PayloadUUID"]: true}
	payloads := payloadsOf(t, profile)
	for _, p := range payloads {
		check(p)
		identifiers[p["PayloadIdentifier"]], uuids[p["PayloadUUID"]] = true, true
		if id, _ := p["PayloadIdentifier"].(string); !strings.HasPrefix(id, fmt.Sprint(profile["PayloadIdentifier"])+".") {
			t.Errorf("%s does not begin with the profile's", id)
		}
	}
	if len(payloads) != 3 || len(identifiers) != 4 || len(uuids) != 4 {
		t.Errorf("%d payloads, %d identifiers, %d UUIDs; each must be there once", len(payloads), len(identifiers), len(uuids))
	}
	if payloads[2]["Password"] != profilePassword {
		t.Error("the password was asked for, and is not there")
	}
}

// Python's plistlib is a reader of another make.
func TestPythonReadsMobileConfig(t *testing.T) {
	t.Parallel()
	b := alice(t)
	// Only the header and what is public are the same each time.
	path := filepath.Join(t.TempDir(), "a.mobileconfig")
	if err := os.WriteFile(path, file(t, MobileConfig{Password: profilePassword, DisplayName: `<&"ä">`}, b).Data, 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, "python3", "-c", `
import plistlib, sys
with open(sys.argv[1], "rb") as f:
    p = plistlib.load(f, fmt=plistlib.FMT_XML)
print(p["PayloadDisplayName"], p["PayloadRemovalDisallowed"], p["PayloadVersion"])
for q in p["PayloadContent"]:
    print(q["PayloadType"], type(q["PayloadContent"]).__name__, q["PayloadContent"].hex() if "pkcs12" not in q["PayloadType"] else "")
`, path)
	want := fmt.Sprintf("<&\"ä\"> False 1\n%s bytes %x\n%s bytes %x\n%s bytes \n", payloadRoot, b.Roots[0].Raw, payloadIntermediate, b.Chain[1].Raw, payloadIdentity)
	if out != want {
		t.Errorf("it reads\n%s\nwant\n%s", out, want)
	}
}

func TestAppleTargetNames(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"macos", "macos14", "macos15", "ios", "ios17", "ios18", "safari"}, AppleTargetNames()); diff != "" {
		t.Error(diff)
	}
}

// without returns the certificates that are not among others.
func without(certs, others []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(certs), func(c *x509.Certificate) bool { return slices.ContainsFunc(others, c.Equal) })
}
