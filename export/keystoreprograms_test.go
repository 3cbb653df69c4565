package export

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// saveStores writes the keystores of a case of [certManagerCases], and returns
// their folder.
func saveStores(t *testing.T, name string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for k, data := range exported(t, certManagerCases()[name]).Data {
		if err := os.WriteFile(filepath.Join(dir, k), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sameCertificates compares the certificates in PEM that a program shows.
func sameCertificates(t *testing.T, out string, want ...*x509.Certificate) {
	t.Helper()
	certs, err := pki.ParseCertificates([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(pki.MarshalCertificates(want)), string(pki.MarshalCertificates(certs))); diff != "" {
		t.Errorf("certificates (-want +got)\n%s", diff)
	}
}

func TestOpenSSLReadsKeystores(t *testing.T) {
	t.Parallel()
	pkitest.Program(t, "openssl")
	_, version, _ := strings.Cut(run(t, "openssl", "version"), " ")
	const (
		rc2    = "pbeWithSHA1And40BitRC2-CBC, Iteration 2048"
		des    = "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048"
		modern = "PBES2, PBKDF2, AES-256-CBC, Iteration 2048, PRF hmacWithSHA256"
	)
	for name, tt := range map[string]struct{ mac, certs, key string }{
		"alice-rc2":  {"sha1, Iteration 1", rc2, des},
		"alice-des":  {"sha1, Iteration 1", des, des},
		"alice-2023": {"sha256, Iteration 2048", modern, modern},
		"alice-2026": {"PBMAC1 using PBKDF2, Iteration 2048", modern, modern},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "alice-2026" && slices.Compare(versionOf(version), []int{3, 4}) < 0 {
				t.Skip("PBMAC1 is read by OpenSSL 3.4")
			}
			dir := saveStores(t, name)
			info := func(file string) string {
				args := []string{"pkcs12", "-in", filepath.Join(dir, file), "-info", "-nodes", "-passin", "pass:" + keystorePassword}
				if slices.Compare(versionOf(version), []int{3}) >= 0 {
					args = append(args, "-legacy")
				}
				return run(t, "openssl", args...)
			}
			out := info("keystore.p12")
			wantLines(t, out, "MAC: "+tt.mac, "")
			wantLines(t, out, "PKCS7 Encrypted data: ", tt.certs)
			wantLines(t, out, "Shrouded Keybag: ", tt.key)
			wantLines(t, out, "friendlyName:")
			b := alice(t)
			sameCertificates(t, out, append(b.Chain, b.Roots...)...)
			if ids := lines(out, "localKeyID:"); len(ids) != 2 || ids[0] != ids[1] {
				t.Errorf("localKeyID %q, want the same on leaf and key", ids)
			}

			out = info("truststore.p12")
			wantLines(t, out, "PKCS7 Encrypted data: ", tt.certs)
			wantLines(t, out, "friendlyName:", "CN=Acme root CA,O=Acme")
			sameCertificates(t, out, b.Roots...)
			if len(lines(out, "2.16.840.1.113894.746875.1.1:")) != 1 {
				t.Errorf("Oracle's attribute is not there:\n%s", out)
			}
		})
	}
}

func TestKeytoolReadsKeystores(t *testing.T) {
	t.Parallel()
	pkitest.Program(t, "keytool")
	const root, trusted = "CN=Acme root CA, O=Acme", "trustedCertEntry"
	chain := []string{"CN=alice@example.com", "CN=Acme issuing CA, O=Acme"}
	for _, tt := range []struct {
		secret, file          string
		aliases, types, chain []string
		owners                []string
	}{
		{"alice-rc2", "keystore.p12", []string{"1"}, []string{"PrivateKeyEntry"}, []string{"3"}, append(chain[:2:2], root)},
		{"alice-2023", "keystore.p12", []string{"1"}, []string{"PrivateKeyEntry"}, []string{"3"}, append(chain[:2:2], root)},
		{"alice-2023", "truststore.p12", []string{"cn=acme root ca,o=acme"}, []string{trusted}, nil, []string{root}},
		{"alice-jks", "keystore.jks", []string{"ca", "web"}, []string{trusted, "PrivateKeyEntry"}, []string{"2"}, append([]string{root}, chain...)},
		{"alice-jks", "truststore.jks", []string{"ca"}, []string{trusted}, nil, []string{root}},
		{"alice-jks-ca", "keystore.jks", []string{"ca"}, []string{trusted}, nil, []string{root}},
	} {
		t.Run(tt.secret+" "+tt.file, func(t *testing.T) {
			t.Parallel()
			out := run(t, "keytool", "-J-XX:TieredStopAtLevel=1", "-list", "-v", "-keystore", filepath.Join(saveStores(t, tt.secret), tt.file), "-storepass", keystorePassword)
			aliases, types := lines(out, "Alias name:"), lines(out, "Entry type:")
			slices.Sort(aliases) // Java's order is that of a hash table
			slices.Sort(types)
			owners := lines(out, "Owner:")
			slices.Sort(owners)
			for _, s := range [][]string{tt.types, tt.owners} {
				slices.Sort(s)
			}
			if !slices.Equal(aliases, tt.aliases) || !slices.Equal(types, tt.types) || !slices.Equal(owners, tt.owners) {
				t.Errorf("entries %q of types %q, owners %q; want %q, %q, %q", aliases, types, owners, tt.aliases, tt.types, tt.owners)
			}
			wantLines(t, out, "Certificate chain length:", tt.chain...)
		})
	}

	// The key opens, too: keytool signs with it.
	jksFile := filepath.Join(saveStores(t, "alice-jks"), "keystore.jks")
	out := run(t, "keytool", "-J-XX:TieredStopAtLevel=1", "-certreq", "-alias", "web", "-keystore", jksFile, "-storepass", keystorePassword)
	if !strings.Contains(out, "BEGIN NEW CERTIFICATE REQUEST") {
		t.Errorf("no request:\n%s", out)
	}
}
