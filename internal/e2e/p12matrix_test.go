package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// A storeReader is a program that lists what is in a key store.
type storeReader struct {
	name     string
	programs []string
	list     string // a command line; FILE is the store, PASSWORD its password, PASSFILE the file with it
	reads    string // the rows of the matrix that it reads
	says     map[string][]string
	refusal  string // what is said of a wrong password; it differs between versions of most
}

// TestKeyStoreMatrix gives each store that is written by default, or by name, to
// every program that reads its kind: it opens with the password, has the friendly
// name and all certificates, and with another password stays closed.
func TestKeyStoreMatrix(t *testing.T) {
	t.Parallel()
	s := newAcme(t, nil,
		"issue client alice@example.com",
		"export p12 alice@example.com --out p12 --password-out p12.password",
		"export p12 alice@example.com --out modern --encoding modern-2023 --password-out modern.password",
		"export p12 alice@example.com --out named --friendly-name Alice --for java8 --password-out named.password",
		"export jks alice@example.com --out jks --password-out jks.password",
		"export truststore root --out trust",
		"export truststore root --out trust17 --for java17",
		"export truststore root --out trustjks --type jks",
	)
	for _, trust := range []string{"trust", "trust17", "trustjks"} {
		s.write(t, trust+".password", []byte("changeit\n"))
	}
	s.write(t, "wrong", []byte("not the password\n"))
	const keyStores, trustStores = "p12 modern named", "trust trust17"
	alike := []string{"named", "trust", "trust17"} // of the same encodings as the others
	key := []string{"BEGIN PRIVATE KEY"}
	// What each reader calls the name, and how many certificates it says there are.
	names := map[string]string{
		"p12": "alice@example.com", "modern": "alice@example.com", "named": "Alice", "jks": "alice@example.com",
		"trust": "Acme root CA", "trust17": "Acme root CA", "trustjks": "acme root ca",
	}
	readers := []storeReader{
		{name: "OpenSSL", programs: []string{"openssl"}, reads: keyStores + " " + trustStores,
			list: "openssl pkcs12 -in FILE -passin file:PASSFILE -noenc", // no -legacy
			says: map[string][]string{"": {"friendlyName: NAME", "subject=O = Acme, CN = Acme root CA"}, "p12": key, "modern": key, "named": key}},
		{name: "keytool", programs: []string{"keytool"}, reads: keyStores,
			list: keytool + "-list -v -keystore FILE -storetype PKCS12 -storepass:file PASSFILE",
			says: map[string][]string{"": {"Your keystore contains 1 entry", "Alias name: LOWER\n", "Entry type: PrivateKeyEntry", "Certificate chain length: 3\n",
				"Owner: CN=alice@example.com\nIssuer: CN=Acme issuing CA, O=Acme"}}},
		{name: "keytool, JKS", programs: []string{"keytool"}, reads: "jks",
			list: keytool + "-list -v -keystore FILE -storetype JKS -storepass:file PASSFILE",
			says: map[string][]string{"": {"Your keystore contains 1 entry", "Alias name: LOWER\n", "Entry type: PrivateKeyEntry", "Certificate chain length: 3\n"}}},
		{name: "keytool, trust", programs: []string{"keytool"}, reads: trustStores,
			list: keytool + "-list -v -keystore FILE -storetype PKCS12 -storepass:file PASSFILE",
			says: map[string][]string{"": {"Your keystore contains 1 entry", "Alias name: LOWER\n", "Entry type: trustedCertEntry", "Owner: CN=Acme root CA, O=Acme"}}},
		{name: "keytool, trust in JKS", programs: []string{"keytool"}, reads: "trustjks",
			list: keytool + "-list -v -keystore FILE -storetype JKS -storepass:file PASSFILE",
			says: map[string][]string{"": {"Your keystore contains 1 entry", "Alias name: LOWER\n", "Entry type: trustedCertEntry", "Owner: CN=Acme root CA, O=Acme"}}},
		{name: "NSS", programs: []string{"pk12util", "certutil"}, reads: keyStores,
			list: "pk12util -l FILE -w PASSFILE -d sql:nss",
			says: map[string][]string{"": {"Friendly Name: NAME", "CN=Acme root CA", "CN=Acme issuing CA"}}},
		{name: "GnuTLS", programs: []string{"certtool"}, reads: keyStores + " " + trustStores,
			list: "certtool --p12-info --inder --infile FILE --password=PASSWORD",
			says: map[string][]string{"": {"Friendly name: NAME", "BEGIN CERTIFICATE"}}},
		{name: "mtlsctl", reads: keyStores + " jks " + trustStores + " trustjks",
			list: "mtlsctl show ./FILE --password-file PASSFILE",
			says: map[string][]string{"": {"opened", "Acme root CA"}}, refusal: "wrong password"},
	}
	if _, ok := pkitest.LookProgram("certutil"); ok {
		if err := os.Mkdir(s.path("nss"), 0o700); err != nil {
			t.Fatal(err)
		}
		s.ok(t, "certutil -N --empty-password -d sql:nss")
	}
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range r.programs {
				pkitest.Program(t, p)
			}
			for _, store := range strings.Fields(r.reads) {
				line := func(passwordFile string) string {
					return strings.NewReplacer("FILE", store, "PASSFILE", passwordFile, "PASSWORD",
						strings.ReplaceAll(strings.TrimSpace(string(s.read(t, passwordFile))), " ", "")).Replace(r.list)
				}
				want := r.says[""]
				if more, ok := r.says[store]; ok {
					want = append(want[:len(want):len(want)], more...)
				}
				out := s.ok(t, line(store+".password"))
				for _, w := range want {
					out.mustSay(t, strings.NewReplacer("NAME", names[store], "LOWER", strings.ToLower(names[store])).Replace(w))
				}
				if !slices.Contains(alike, store) {
					s.refused(t, r.refusal, line("wrong"))
				}
			}
		})
	}
}

// TestShowDamagedStores gives show what is left of a store, and what pretends to be
// one.
func TestShowDamagedStores(t *testing.T) {
	t.Parallel()
	s := newAcme(t, nil,
		"issue client alice@example.com",
		"export p12 alice@example.com --out compat --password-out password",
		"export p12 alice@example.com --out modern --encoding modern-2023 --password-file password",
		"export p12 alice@example.com --out modern26 --encoding modern-2026 --password-file password",
		"export jks alice@example.com --out jks --password-file password",
		"export truststore root --out trust --password-file password",
	)
	show := func(data []byte, why string) {
		t.Helper()
		s.write(t, "damaged", data)
		for _, line := range []string{"mtlsctl show ./damaged --password-file password", "mtlsctl show ./damaged"} {
			out := s.refused(t, why, line)
			if out.code != 1 || out.stdout != "" || strings.Count(out.stderr, "\n") > 2 || strings.Contains(out.stderr, "goroutine") {
				t.Errorf("exit status %d, and more than an error with its hint\n%v", out.code, out)
			}
		}
	}
	const most = 16 << 20 // bytes; export.MaxP12Size
	for _, store := range []string{"compat", "modern", "modern26", "jks", "trust"} {
		whole := s.read(t, store)
		s.ok(t, "mtlsctl show ./"+store+" --password-file password").mustSay(t, "opened")
		for _, n := range []int{0, 30, len(whole) / 2, len(whole) - 1} {
			show(whole[:n], "mtlsctl: ./damaged: ")
		}
		show(append(whole[:len(whole):len(whole)], 0), "after its end")
	}
	show(append(s.read(t, "compat"), make([]byte, most)...), "larger than")
	// A store whose length is said to be what it is not, and one of the largest size.
	show([]byte("\x30\x84\x7f\xff\xff\xff\x02\x01\x03"), "mtlsctl: ./damaged: ")
	show(append([]byte("\x30\x84\x00\xff\xff\xfa\x02\x01\x03"), make([]byte, most-9)...), "mtlsctl: ./damaged: ")
}
