package export

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// run returns what a program says, on both streams.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pkitest.Program(t, program), args...)
	cmd.Dir = t.TempDir()
	// The programs speak English, and read no settings of whoever runs the tests.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// saveP12 writes a file with a password as users get it, and returns its path.
func saveP12(t *testing.T, f P12, b *pki.Bundle) (path, password string) {
	t.Helper()
	f.Password = NewPassword()
	path = filepath.Join(t.TempDir(), "alice.p12")
	if err := os.WriteFile(path, file(t, f, b).Data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, f.Password
}

// lines returns the trimmed lines of out that begin with prefix, without it.
func lines(out, prefix string) (all []string) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
			all = append(all, strings.TrimSpace(rest))
		}
	}
	return all
}

func wantLines(t *testing.T, out, prefix string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(out, prefix)); diff != "" {
		t.Errorf("lines %q (-want +got)\n%s\nin\n%s", prefix, diff, out)
	}
}

// older are the encodings that every program here reads.
func older() []P12Encoding { return []P12Encoding{Compat, Modern2023} }

func TestOpenSSLReadsP12(t *testing.T) {
	t.Parallel()
	pkitest.Program(t, "openssl")
	openssl, issuing := target(t, "openssl"), pkitest.Issuing(t)
	bundles := map[string]*pki.Bundle{
		"P-256":   alice(t),
		"RSA":     client(t, issuing, profiles.RSA2048),
		"Ed25519": client(t, issuing, profiles.Ed25519),
		"no CA":   client(t, pkitest.Root(t), profiles.ECP256),
	}
	encodings := older()
	if _, version, _ := strings.Cut(run(t, "openssl", "version"), " "); slices.Compare(versionOf(version), []int{3, 4}) >= 0 {
		encodings = P12Encodings()
	}
	for name, b := range bundles {
		for _, e := range encodings {
			t.Run(name+" "+string(e), func(t *testing.T) {
				t.Parallel()
				f := P12{Encoding: e, FriendlyName: "Alice of Acme", NoRoot: name == "no CA", For: []P12Target{openssl}}
				if e == Modern2026 {
					f.For = []P12Target{target(t, "openssl3.4")}
				}
				path, password := saveP12(t, f, b)
				out := run(t, "openssl", "pkcs12", "-in", path, "-nodes", "-passin", "pass:"+password)
				wantLines(t, out, "friendlyName:", "Alice of Acme", "Alice of Acme")

				certs, err := pki.ParseCertificates([]byte(out))
				if err != nil {
					t.Fatal(err)
				}
				want := withRoot(b)
				if f.NoRoot {
					want = nil
				}
				if want := append(b.Chain[:1:1], want...); !slices.EqualFunc(certs, want, func(a, b *x509.Certificate) bool { return a.Equal(b) }) {
					t.Errorf("%d certificates, want %d, the leaf first", len(certs), len(want))
				}
				_, keyPEM, _ := strings.Cut(out, "-----BEGIN PRIVATE KEY-----")
				key, err := pki.ParseKey([]byte("-----BEGIN PRIVATE KEY-----"+keyPEM), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !pki.SamePublicKey(key.Public(), b.Leaf().PublicKey) {
					t.Error("it is another key")
				}
			})
		}
	}
}

// versionOf reads the version that a program's answer begins with.
func versionOf(s string) []int {
	word, _, _ := strings.Cut(s, " ")
	v, _ := parseVersion("", word)
	return v
}

func TestKeytoolReadsP12(t *testing.T) {
	t.Parallel()
	pkitest.Program(t, "keytool")
	for _, e := range older() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			path, password := saveP12(t, P12{Encoding: e}, alice(t))
			out := run(t, "keytool", "-J-XX:TieredStopAtLevel=1", "-list", "-v", "-keystore", path, "-storepass", password)
			wantLines(t, out, "Alias name:", "alice@example.com")
			wantLines(t, out, "Entry type:", "PrivateKeyEntry")
			wantLines(t, out, "Certificate chain length:", "3")
			wantLines(t, out, "Owner:", "CN=alice@example.com", "CN=Acme issuing CA, O=Acme", "CN=Acme root CA, O=Acme")

			if e == Compat { // the key, too, opens: keytool signs with it
				out = run(t, "keytool", "-J-XX:TieredStopAtLevel=1", "-certreq", "-alias", "alice@example.com", "-keystore", path, "-storepass", password)
				csr, err := pki.ParseCSR([]byte(out))
				if err != nil {
					t.Fatal(err)
				}
				if !pki.SamePublicKey(csr.PublicKey, alice(t).Leaf().PublicKey) {
					t.Error("it is another key")
				}
			}
		})
	}
}

func TestNSSImportsP12(t *testing.T) {
	t.Parallel()
	pkitest.Program(t, "pk12util")
	pkitest.Program(t, "certutil")
	for _, e := range older() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			path, password := saveP12(t, P12{Encoding: e}, alice(t))
			out := run(t, "pk12util", "-l", path, "-W", password)
			wantLines(t, out, "Friendly Name:", "alice@example.com", "alice@example.com")

			db := "sql:" + t.TempDir()
			run(t, "certutil", "-N", "-d", db, "--empty-password")
			run(t, "pk12util", "-i", path, "-d", db, "-W", password)
			// Trust u,u,u: a user certificate, whose key is there. CAs come without trust.
			wantLines(t, run(t, "certutil", "-L", "-d", db), "alice@example.com", "u,u,u")
			wantLines(t, run(t, "certutil", "-L", "-d", db), "Acme issuing CA - Acme", ",,")
			if out := run(t, "certutil", "-K", "-d", db); !strings.Contains(out, "alice@example.com") {
				t.Errorf("no key is called alice@example.com in\n%s", out)
			}
			wantLines(t, run(t, "certutil", "-O", "-d", db, "-n", "alice@example.com"),
				`"Acme root CA - Acme" [CN=Acme root CA,O=Acme]`, "")
		})
	}
}

func TestGnuTLSReadsP12(t *testing.T) {
	t.Parallel()
	pkitest.Program(t, "certtool")
	for name, b := range map[string]*pki.Bundle{"P-256": alice(t), "Ed25519": client(t, pkitest.Issuing(t), profiles.Ed25519)} {
		for _, e := range older() {
			t.Run(name+" "+string(e), func(t *testing.T) {
				t.Parallel()
				path, password := saveP12(t, P12{Encoding: e, FriendlyName: "Alice", For: []P12Target{target(t, "gnutls")}}, b)
				out := run(t, "certtool", "--inder", "--p12-info", "--infile", path, "--password", password)
				wantLines(t, out, "Friendly name:", "Alice", "Alice")
				wantLines(t, out, "Type:", "PKCS #8 Encrypted key", "Certificate", "Encrypted", "Certificate", "Certificate")
			})
		}
	}
}
