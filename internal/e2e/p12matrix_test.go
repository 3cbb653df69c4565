package e2e

import (
	"os"
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
	// What each reader calls the name, and how many certificates it says there are.
	names := map[string]string{
		"p12": "alice@example.com", "modern": "alice@example.com", "named": "Alice", "jks": "alice@example.com",
		"trust": "Acme root CA", "trust17": "Acme root CA", "trustjks": "acme root ca",
	}
	readers := []storeReader{
		{name: "OpenSSL", programs: []string{"openssl"}, reads: keyStores + " " + trustStores,
			list: "openssl pkcs12 -in FILE -passin file:PASSFILE -nokeys", // no -legacy
			says: map[string][]string{"": {"friendlyName: NAME"}, "trust": {"subject=O = Acme, CN = Acme root CA"}}},
		{name: "keytool", programs: []string{"keytool"}, reads: keyStores,
			list: keytool + "-list -v -keystore FILE -storetype PKCS12 -storepass:file PASSFILE",
			says: map[string][]string{"": {"Your keystore contains 1 entry", "Alias name: LOWER\n", "Entry type: PrivateKeyEntry", "Certificate chain length: 3\n"}}},
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
			says: map[string][]string{"": {"opened", "Acme root CA"}}},
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
				if out := s.run(t, line("wrong")); out.code == 0 {
					t.Errorf("%s opens with a wrong password\n%v", store, out)
				}
			}
		})
	}
}
