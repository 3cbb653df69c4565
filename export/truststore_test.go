package export

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// twoRoots are two of one name, as after a rollover, and a third.
func twoRoots(t *testing.T) *pki.Bundle {
	t.Helper()
	old := pkitest.NewRoot(t, pki.CARequest{Subject: pki.Subject{CommonName: "ACME root CA"}})
	b := alice(t)
	return &pki.Bundle{Chain: b.Chain, Roots: append(b.Roots[:1:1], old.Root(), pkitest.Root(t).Root())}
}

func TestTruststore(t *testing.T) {
	t.Parallel()
	noKey := &pki.Bundle{Chain: alice(t).Chain, Roots: alice(t).Roots}
	for name, tt := range map[string]struct {
		format    Truststore
		bundle    *pki.Bundle
		password  string
		file      string
		algorithm string // of a p12
	}{
		"default":          {Truststore{}, noKey, "changeit", "truststore.p12", "PBE-SHA1-3DES, 2048 iterations"},
		"with a key":       {Truststore{}, alice(t), "changeit", "truststore.p12", "PBE-SHA1-3DES, 2048 iterations"},
		"two roots":        {Truststore{}, twoRoots(t), "changeit", "truststore.p12", "PBE-SHA1-3DES, 2048 iterations"},
		"for Java 17":      {Truststore{For: []P12Target{target(t, "java17")}}, noKey, "changeit", "truststore.p12", "PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256, 2048 iterations"},
		"for Java 8":       {Truststore{For: []P12Target{target(t, "java8")}}, noKey, "changeit", "truststore.p12", "PBE-SHA1-3DES, 2048 iterations"},
		"by encoding":      {Truststore{Encoding: Modern2026, Name: "ca", Password: "secret"}, noKey, "secret", "ca.p12", "PBES2 AES-256-CBC with PBKDF2-HMAC-SHA256, 2048 iterations"},
		"JKS":              {Truststore{Type: StoreJKS}, noKey, "changeit", "truststore.jks", ""},
		"JKS of two roots": {Truststore{Type: StoreJKS, For: []P12Target{target(t, "java8")}, Password: "secret"}, twoRoots(t), "secret", "truststore.jks", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := file(t, tt.format, tt.bundle)
			if f.Name != tt.file || f.Private {
				t.Errorf("file %s, private %v", f.Name, f.Private)
			}
			if again := file(t, tt.format, tt.bundle); !bytes.Equal(f.Data, again.Data) {
				t.Error("a second time it has other bytes")
			}
			var got []*x509.Certificate
			if strings.HasSuffix(tt.file, ".jks") {
				info, err := OpenJKS(f.Data, tt.password)
				if err != nil {
					t.Fatal(err)
				}
				got = info.Certificates()
				if len(info.Entries) != len(got) || info.Entries[0].Key {
					t.Errorf("entries %v", shownJKS(info))
				}
			} else {
				certs, err := pkcs12.DecodeTrustStore(f.Data, tt.password)
				if err != nil {
					t.Fatal(err)
				}
				got = certs
				info, err := OpenP12(f.Data, tt.password)
				if err != nil {
					t.Fatal(err)
				}
				if len(info.Contents) != 1 || info.Contents[0].Protection.String() != tt.algorithm || len(info.Contents[0].Bags) != len(got) {
					t.Errorf("contents %v", info.Contents)
				}
				for _, bag := range info.Contents[0].Bags {
					if !bag.Trusted {
						t.Error("a certificate is not shown as trusted")
					}
				}
			}
			if diff := cmp.Diff(sortedPEM(tt.bundle.Roots), sortedPEM(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// sortedPEM is certificates in an order that does not depend on theirs.
func sortedPEM(certs []*x509.Certificate) map[string]int {
	all := map[string]int{}
	for _, c := range certs {
		all[string(pki.MarshalCertificates([]*x509.Certificate{c}))]++
	}
	return all
}

func TestRootAliases(t *testing.T) {
	t.Parallel()
	named := func(n pkix.Name) *x509.Certificate { return &x509.Certificate{Subject: n} }
	got := rootAliases([]*x509.Certificate{
		named(pkix.Name{CommonName: "Acme"}), named(pkix.Name{CommonName: "ACME"}), named(pkix.Name{CommonName: "acme 2"}),
		named(pkix.Name{Organization: []string{"Acme"}}), named(pkix.Name{}), named(pkix.Name{CommonName: "a\nb😀"}),
	})
	if diff := cmp.Diff([]string{"Acme", "ACME 2", "acme 2 2", "O=Acme", "root", "a?b?"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTruststoreRefusals(t *testing.T) {
	t.Parallel()
	b := alice(t)
	for name, tt := range map[string]struct {
		format             Truststore
		option, suggestion string
		words              string
	}{
		"a short password":  {Truststore{Password: "12345"}, "password", "changeit", "5 characters are too few for keytool; 6"},
		"of JKS":            {Truststore{Password: "12345", Type: StoreJKS}, "password", "changeit", "5 characters are too few for JKS"},
		"one Java lacks":    {Truststore{Password: "Schlüssel"}, "password", "changeit", "not ASCII, which Java cannot take"},
		"of JKS, not ASCII": {Truststore{Password: "Schlüssel", Type: StoreJKS}, "password", "changeit", "not ASCII, which Java cannot take"},
		"a type":            {Truststore{Type: "bks"}, "type", "", "there are p12, jks"},
		"an encoding":       {Truststore{Encoding: "rc2"}, "encoding", "", "there are compat"},
		"too much for it":   {Truststore{Encoding: Modern2026, For: []P12Target{target(t, "java17")}}, "encoding", "modern-2023", "java17 is not known to read it"},
		"JKS is encoded":    {Truststore{Encoding: Compat, Type: StoreJKS}, "encoding", "", "JKS has no encodings"},
		"JKS for a browser": {Truststore{For: []P12Target{target(t, "firefox")}, Type: StoreJKS}, "for", "", "does not read JKS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(b)
			wantOption(t, err, tt.option, tt.suggestion, tt.words)
		})
	}
	if _, err := (Truststore{}).Export(&pki.Bundle{Chain: b.Chain}); !errors.Is(err, ErrNoRoots) {
		t.Errorf("without roots: %v", err)
	}
	// Who takes other characters may have them.
	if _, err := (Truststore{Password: "Schlüssel", For: []P12Target{target(t, "openssl")}}).Export(b); err != nil {
		t.Error(err)
	}
}

// Of certificates that no key belongs to, Java trusts only those that are marked.
func TestP12Trusted(t *testing.T) {
	t.Parallel()
	trusted := func(data []byte, password string) (all []bool) {
		info, err := OpenP12(data, password)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range info.bags(BagCertificate) {
			all = append(all, b.Trusted)
		}
		return all
	}
	if got := trusted(file(t, P12{Password: testPassword}, alice(t)).Data, testPassword); cmp.Diff([]bool{false, false, false}, got) != "" {
		t.Errorf("with a key: %v", got)
	}
	bare := edit(t, file(t, P12{Password: testPassword}, alice(t)).Data, func(p *pfx) {
		var contents []contentInfo
		if err := unmarshalWrapped(p.AuthSafe.Content.Bytes, &contents); err != nil {
			t.Fatal(err)
		}
		p.AuthSafe, p.MACData = dataContent(marshal(contents[1:])), macData{}
	})
	if got := trusted(bare, testPassword); cmp.Diff([]bool{false, false}, got) != "" {
		t.Errorf("bare certificates: %v", got)
	}
	if got := trusted(readFile(t, "p12", "keytool17-trust.p12"), testPassword); cmp.Diff([]bool{true}, got) != "" {
		t.Errorf("Java's: %v", got)
	}
	plain, err := pkcs12.Passwordless.EncodeTrustStore(alice(t).Roots, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := trusted(plain, ""); cmp.Diff([]bool{true}, got) != "" {
		t.Errorf("a truststore that is not encrypted: %v", got)
	}
}
