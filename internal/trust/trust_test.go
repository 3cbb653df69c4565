package trust

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// roots returns a root, and another one of the same name.
func roots(t *testing.T) (root, other *x509.Certificate) {
	t.Helper()
	key := pkitest.Key(t, "ec-p256", pkitest.RootKey)
	made := [2]*x509.Certificate{}
	for i := range made {
		serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: serial, Subject: pkix.Name{CommonName: "Acme root CA"},
			NotBefore: pkitest.Clock(), NotAfter: pkitest.Clock().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err == nil {
			made[i], err = x509.ParseCertificate(der)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return made[0], made[1]
}

func TestNameOf(t *testing.T) {
	t.Parallel()
	for cn, want := range map[string]string{
		"Acme root CA":           "mtlsctl-acme-root-ca-e3b0c44298fc1c14",
		"":                       "mtlsctl-e3b0c44298fc1c14",
		"../../etc/passwd":       "mtlsctl-etc-passwd-e3b0c44298fc1c14",
		"-n x; rm -rf /\n":       "mtlsctl-n-x-rm-rf-e3b0c44298fc1c14",
		"token:name":             "mtlsctl-token-name-e3b0c44298fc1c14",
		"\u00dc":                 "mtlsctl-e3b0c44298fc1c14",
		strings.Repeat("a", 100): "mtlsctl-" + strings.Repeat("a", 40) + "-e3b0c44298fc1c14",
	} {
		if got := nameOf(&x509.Certificate{Subject: pkix.Name{CommonName: cn}}); got != want {
			t.Errorf("%q: %s, want %s", cn, got, want)
		}
	}
	if root, other := roots(t); nameOf(root) == nameOf(other) {
		t.Errorf("two are called %s", nameOf(root))
	}
}

func TestContents(t *testing.T) {
	t.Parallel()
	root, other := roots(t)
	foreign := pkitest.Root(t).Certificate()
	for name, tt := range map[string]struct {
		entries     []entry
		has, trusts bool
		others      int
	}{
		"nothing":                 {},
		"another":                 {entries: []entry{{der: foreign.Raw, trusted: true}}},
		"trusted":                 {entries: []entry{{der: root.Raw, trusted: true}}, has: true, trusts: true},
		"there, and not trusted":  {entries: []entry{{der: root.Raw}}, has: true},
		"there in two ways":       {entries: []entry{{der: root.Raw}, {der: root.Raw, trusted: true}}, has: true, trusts: true},
		"one of the name":         {entries: []entry{{der: other.Raw, trusted: true}, {der: other.Raw, trusted: true}}, others: 1},
		"one that is not trusted": {entries: []entry{{der: other.Raw}}},
		"what is no certificate":  {entries: []entry{{der: append([]byte{1}, root.RawSubject...), trusted: true}}},
	} {
		c := Contents{tt.entries}
		if has, trusts, others := c.Has(root), c.Trusts(root), len(c.Others(root)); has != tt.has || trusts != tt.trusts || others != tt.others {
			t.Errorf("%s: has %t, trusts %t, others %d", name, has, trusts, others)
		}
	}
}

func TestParseNSSList(t *testing.T) {
	t.Parallel()
	const head = "\nCertificate Nickname                                         Trust Attributes\n" +
		"                                                             SSL,S/MIME,JAR/XPI\n\n"
	long := strings.Repeat("long name ", 8) + "end"
	got := parseNSSList(head +
		"one                                                          C,,  \n" +
		"two words                                                    CT,C,C\n" +
		"NSS Certificate DB:with a colon                              pC,,\n" +
		long + " u,u,u\n" +
		"                                                             ,,   \n" +
		"no attributes\n" +
		"name,with,commas                                             ,,   \n")
	want := []nssRow{
		{"one", "C,,"}, {"two words", "CT,C,C"}, {"NSS Certificate DB:with a colon", "pC,,"}, {long, "u,u,u"}, {"name,with,commas", ",,"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(nssRow{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for flags, want := range map[string]bool{"C,,": true, "CT,,": true, ",C,C": false, "T,,": false, "pC,,": false, "c,,": false, "u,u,u": false} {
		if got := (nssRow{"x", flags}).trusted(); got != want {
			t.Errorf("%s: trusted %t", flags, got)
		}
	}
}

func TestParseProfiles(t *testing.T) {
	t.Parallel()
	got := parseProfiles("/home/a/.mozilla/firefox", `[Install4F96D1932A9F858E]
Default=abc.default-release
Path=not-a-profile
Locked=1

[Profile1]
Name=default
IsRelative=1
Path=abc.default
Default=1

[Profile0]
Name=elsewhere
IsRelative=0
Path=/mnt/profile

[Profile2]
Name=without a path

[Profile3]
IsRelative=0
Path=relative/all/the/same

[General]
StartWithLastProfile=1
Version=2`+"\r\n[Profile4]\r\nPath=Profiles/windows.default\r\n")
	want := []string{"/home/a/.mozilla/firefox/abc.default", "/mnt/profile", "/home/a/.mozilla/firefox/Profiles/windows.default"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseKeytoolList(t *testing.T) {
	t.Parallel()
	root, other := roots(t)
	got := parseKeytoolList("Keystore type: JKS\nKeystore provider: SUN\n\nYour keystore contains 3 entries\n\n" +
		"Alias name: debian:a name.pem\nCreation date: Jun 24, 2025\nEntry type: trustedCertEntry\n\n" + string(toPEM(root)) +
		"\n\n*******************************************\n*******************************************\n\n\n" +
		"Alias name: key\r\nCreation date: Jun 24, 2025\r\nEntry type: PrivateKeyEntry\nCertificate chain length: 2\nCertificate[1]:\n" + string(toPEM(other)) +
		"Certificate[2]:\n" + string(toPEM(root)) + "\nAlias name: secret\nEntry type: SecretKeyEntry\n")
	want := []entry{
		{name: "debian:a name.pem", der: root.Raw, trusted: true, alone: true},
		{name: "key", der: other.Raw}, {name: "key", der: root.Raw},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The sample is in the form that security(1) of macOS prints.
func TestParseTrustSettings(t *testing.T) {
	t.Parallel()
	got := parseTrustSettings("Number of trusted certs = 2\nCert 0: Acme root CA\n   Number of trust settings : 2\n   Trust Setting 0:\n" +
		"      Policy OID            : SSL\n      Result Type           : kSecTrustSettingsResultTrustRoot\nCert 12: with: colon\n   Number of trust settings : 0\nCert x: no\n")
	if diff := cmp.Diff(map[string]bool{"Acme root CA": true, "with: colon": true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzParsers: what a program says never ends this one, and names nothing that
// is not there.
func FuzzParsers(f *testing.F) {
	f.Add("one                                                          C,,  \n")
	f.Add("[Profile0]\nIsRelative=0\nPath=/mnt/profile\n")
	f.Add("Alias name: a\nEntry type: trustedCertEntry\n\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range parseNSSList(text) {
			if r.name == "" || !strings.Contains(text, r.name) || !strings.Contains(text, r.trust) {
				t.Errorf("row %q", r)
			}
		}
		for _, dir := range parseProfiles("/folder", text) {
			if !strings.HasPrefix(dir, "/") {
				t.Errorf("profile %q", dir)
			}
		}
		for _, e := range parseKeytoolList(text) {
			if e.trusted != e.alone || len(e.der) > len(text) {
				t.Errorf("entry %+v", e)
			}
		}
		parseTrustSettings(text)
	})
}
