package profiles_test

import (
	"crypto/x509"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// certManagerUsages is every constant of KeyUsage in cert-manager's API v1, with
// what its pkg/util/pki makes of it.
var certManagerUsages = []struct {
	word    string
	bit     x509.KeyUsage
	purpose x509.ExtKeyUsage // where bit is zero
}{
	{word: "signing", bit: x509.KeyUsageDigitalSignature},
	{word: "digital signature", bit: x509.KeyUsageDigitalSignature},
	{word: "content commitment", bit: x509.KeyUsageContentCommitment},
	{word: "key encipherment", bit: x509.KeyUsageKeyEncipherment},
	{word: "key agreement", bit: x509.KeyUsageKeyAgreement},
	{word: "data encipherment", bit: x509.KeyUsageDataEncipherment},
	{word: "cert sign", bit: x509.KeyUsageCertSign},
	{word: "crl sign", bit: x509.KeyUsageCRLSign},
	{word: "encipher only", bit: x509.KeyUsageEncipherOnly},
	{word: "decipher only", bit: x509.KeyUsageDecipherOnly},
	{word: "any", purpose: x509.ExtKeyUsageAny},
	{word: "server auth", purpose: x509.ExtKeyUsageServerAuth},
	{word: "client auth", purpose: x509.ExtKeyUsageClientAuth},
	{word: "code signing", purpose: x509.ExtKeyUsageCodeSigning},
	{word: "email protection", purpose: x509.ExtKeyUsageEmailProtection},
	{word: "s/mime", purpose: x509.ExtKeyUsageEmailProtection},
	{word: "ipsec end system", purpose: x509.ExtKeyUsageIPSECEndSystem},
	{word: "ipsec tunnel", purpose: x509.ExtKeyUsageIPSECTunnel},
	{word: "ipsec user", purpose: x509.ExtKeyUsageIPSECUser},
	{word: "timestamping", purpose: x509.ExtKeyUsageTimeStamping},
	{word: "ocsp signing", purpose: x509.ExtKeyUsageOCSPSigning},
	{word: "microsoft sgc", purpose: x509.ExtKeyUsageMicrosoftServerGatedCrypto},
	{word: "netscape sgc", purpose: x509.ExtKeyUsageNetscapeServerGatedCrypto},
}

func TestParseUsages(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, w := range profiles.UsageWords() {
		known[w] = true
	}
	for _, c := range certManagerUsages {
		var want []x509.ExtKeyUsage
		if c.bit == 0 {
			want = []x509.ExtKeyUsage{c.purpose}
		}
		bits, purposes, err := profiles.ParseUsages([]string{c.word, c.word})
		if err != nil || bits != c.bit || !cmp.Equal(purposes, want) {
			t.Errorf("%q: bits %b, purposes %v, %v; want %b, %v", c.word, bits, purposes, err, c.bit, want)
		}
		if !known[c.word] {
			t.Errorf("UsageWords lacks %q", c.word)
		}
		delete(known, c.word)
	}
	for w := range known {
		t.Errorf("%q is none of cert-manager's words", w)
	}

	// The order of the purposes is the extension's.
	_, purposes, err := profiles.ParseUsages([]string{"client auth", "server auth", "s/mime", "client auth", "email protection"})
	want := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection}
	if diff := cmp.Diff(want, purposes); err != nil || diff != "" {
		t.Errorf("order: %v\n%s", err, diff)
	}
}

func TestParseUsagesRefuses(t *testing.T) {
	t.Parallel()
	for _, w := range []string{"", "Server Auth", "serverAuth", " server auth", "server  auth"} {
		bits, purposes, err := profiles.ParseUsages([]string{"client auth", w})
		if err == nil || bits != 0 || purposes != nil {
			t.Errorf("%q: %v, %v, %v; want an error and nothing else", w, bits, purposes, err)
		}
	}
	_, _, err := profiles.ParseUsages([]string{"web server"})
	const want = `unknown usage "web server": there are digital signature, signing, content commitment, key encipherment, data encipherment, ` +
		`key agreement, cert sign, crl sign, encipher only, decipher only, any, server auth, client auth, code signing, email protection, s/mime, ` +
		`ipsec end system, ipsec tunnel, ipsec user, timestamping, ocsp signing, microsoft sgc, netscape sgc`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestFormatUsages(t *testing.T) {
	t.Parallel()
	got := profiles.FormatUsages(
		x509.KeyUsageDigitalSignature|x509.KeyUsageCRLSign|x509.KeyUsageDecipherOnly,
		[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageMicrosoftKernelCodeSigning, x509.ExtKeyUsageAny},
	)
	want := []string{"digital signature", "crl sign", "decipher only", "client auth", "email protection", "any"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FormatUsages (-want +got):\n%s", diff)
	}
	if got := profiles.FormatUsages(0, nil); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}

func TestKeyTypes(t *testing.T) {
	t.Parallel()
	type facts struct {
		Text    string
		RSA, EC bool
	}
	got := map[string]facts{}
	for _, k := range profiles.KeyTypes() {
		parsed, err := profiles.ParseKeyType(string(k))
		if err != nil || parsed != k {
			t.Errorf("ParseKeyType(%q) = %q, %v", string(k), string(parsed), err)
		}
		got[string(k)] = facts{k.String(), k.IsRSA(), k.IsEC()}
	}
	want := map[string]facts{
		"ec-p256":  {"EC P-256", false, true},
		"ec-p384":  {"EC P-384", false, true},
		"ec-p521":  {"EC P-521", false, true},
		"rsa-2048": {"RSA 2048", true, false},
		"rsa-3072": {"RSA 3072", true, false},
		"rsa-4096": {"RSA 4096", true, false},
		"ed25519":  {"Ed25519", false, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("key types (-want +got):\n%s", diff)
	}
	if first := profiles.KeyTypes()[0]; first != profiles.ECP256 {
		t.Errorf("the default is %s", first)
	}
	const refusal = `unknown key type "rsa": there are ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096, ed25519`
	if k, err := profiles.ParseKeyType("rsa"); k != "" || err == nil || err.Error() != refusal {
		t.Errorf("rsa: %q, %v; want %s", string(k), err, refusal)
	}
}

// Manifests may ask for RSA keys of any size; the list for flags and profiles
// stays as short as it is.
func TestRSA(t *testing.T) {
	t.Parallel()
	for bits, want := range map[int]profiles.KeyType{
		2048: profiles.RSA2048, 3072: profiles.RSA3072, 4096: profiles.RSA4096, 2049: "rsa-2049", 2500: "rsa-2500", 8192: "rsa-8192",
		2047: "", 8193: "", 0: "", -2048: "",
	} {
		k := profiles.RSA(bits)
		if k != want || k != "" && (k.RSABits() != bits || !k.IsRSA()) {
			t.Errorf("RSA(%d) = %q of %d bits, want %q", bits, string(k), k.RSABits(), string(want))
		}
	}
	for _, k := range []profiles.KeyType{"", "rsa-", "rsa-1024", "rsa-02048", "rsa-+2048", "2048", "ec-p256", "rsa-9999"} {
		if got := k.RSABits(); got != 0 {
			t.Errorf("%q has %d bits", string(k), got)
		}
	}
	if got := profiles.KeyType("rsa-2500").String(); got != "RSA 2500" {
		t.Errorf("rsa-2500 reads %q", got)
	}
	if _, err := profiles.ParseKeyType("rsa-2500"); err == nil {
		t.Error("rsa-2500 for a profile")
	}
}

func TestSANKinds(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, k := range profiles.SANKinds() {
		got[string(k)] = k.String()
	}
	want := map[string]string{"dns": "DNS", "ip": "IP", "email": "email", "uri": "URI", "spiffe": "SPIFFE"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	for in, want := range map[string]profiles.SANKind{"DNS": "dns", "Ip": "ip", "email": "email", "URI": "uri", "SPIFFE": "spiffe"} {
		if k, err := profiles.ParseSANKind(in); err != nil || k != want {
			t.Errorf("ParseSANKind(%q) = %q, %v", in, string(k), err)
		}
	}
	const refusal = `unknown SAN kind "x400": there are dns, ip, email, uri, spiffe`
	if k, err := profiles.ParseSANKind("x400"); k != "" || err == nil || err.Error() != refusal {
		t.Errorf("x400: %q, %v; want %s", string(k), err, refusal)
	}
}
