package export

import (
	"bytes"
	"crypto"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A shownStore is a keystore as far as it is not random.
type shownStore struct {
	Lines []string // what a PKCS#12 file shows, without and with the password
	Size  int
	Key   []byte // as PKCS#8 PEM
	Certs []byte
	// Entries of a JKS store, by alias: the chain of a key, or one certificate.
	Keys, Trusted map[string][]byte
}

func certsPEM(t *testing.T, raw ...jks.Certificate) (out []byte) {
	t.Helper()
	for _, c := range raw {
		if c.Type != "X509" {
			t.Errorf("a certificate is of type %q", c.Type)
		}
		certs, err := pki.ParseCertificates(c.Content)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pki.MarshalCertificates(certs)...)
	}
	return out
}

// showStore opens a keystore; begin is when the entries of JKS are dated, if it
// is not zero.
func showStore(t *testing.T, name string, data []byte, begin time.Time) shownStore {
	t.Helper()
	s := shownStore{Size: len(data)}
	if strings.HasSuffix(name, ".jks") {
		showJKS(t, &s, data, begin)
		return s
	}
	for _, open := range []func() (*P12Info, error){
		func() (*P12Info, error) { return InspectP12(data) },
		func() (*P12Info, error) { return OpenP12(data, keystorePassword) },
	} {
		info, err := open()
		if err != nil {
			t.Fatal(err)
		}
		s.Lines = append(s.Lines, describe(info)...)
	}
	if name == "truststore.p12" {
		certs, err := pkcs12.DecodeTrustStore(data, keystorePassword)
		if err != nil {
			t.Fatal(err)
		}
		s.Certs = pki.MarshalCertificates(certs)
		return s
	}
	key, leaf, others, err := pkcs12.DecodeChain(data, keystorePassword)
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := key.(crypto.Signer)
	if s.Key, err = pki.MarshalKey(signer, pki.PKCS8, nil); err != nil {
		t.Fatal(err)
	}
	s.Certs = append(certificatesPEM(append(others[:0:0], leaf)), pki.MarshalCertificates(others)...)
	return s
}

func showJKS(t *testing.T, s *shownStore, data []byte, begin time.Time) {
	t.Helper()
	store := jks.New(jks.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), []byte(keystorePassword)); err != nil {
		t.Fatal(err)
	}
	s.Keys, s.Trusted = map[string][]byte{}, map[string][]byte{}
	for _, alias := range store.Aliases() {
		created := time.Time{}
		if store.IsTrustedCertificateEntry(alias) {
			e, err := store.GetTrustedCertificateEntry(alias)
			if err != nil {
				t.Fatal(err)
			}
			created, s.Trusted[alias] = e.CreationTime, certsPEM(t, e.Certificate)
		} else {
			e, err := store.GetPrivateKeyEntry(alias, []byte(keystorePassword))
			if err != nil {
				t.Fatal(err)
			}
			created, s.Key, s.Keys[alias] = e.CreationTime, e.PrivateKey, certsPEM(t, e.CertificateChain...)
		}
		if !begin.IsZero() && !created.Equal(begin) {
			t.Errorf("%s is dated %s, want %s", alias, created, begin)
		}
	}
}

// Keystores are made anew each time, with other salts. Opened they are those of
// cert-manager, and they have the same length, salts and all; PBES2, though,
// names its PRF with the NULL that RFC 8018 appendix B.1.2 asks for and that
// go-pkcs12 had left out before 0.7.4.
func TestKeystores(t *testing.T) {
	t.Parallel()
	stores := 0
	for name, c := range certManagerCases() {
		var theirs secretObject
		if err := json.Unmarshal(readFile(t, "certmanager", name+".json"), &theirs); err != nil {
			t.Fatal(err)
		}
		ours := exported(t, c)
		for _, store := range []string{"keystore.p12", "truststore.p12", "keystore.jks", "truststore.jks"} {
			if len(theirs.Data[store]) == 0 {
				continue
			}
			stores++
			t.Run(name+" "+store, func(t *testing.T) {
				t.Parallel()
				want := showStore(t, store, theirs.Data[store], time.Time{})
				got := showStore(t, store, ours.Data[store], c.bundle(t).Leaf().NotBefore)
				want.Size += 2 * strings.Count(strings.Join(got.Lines[:len(got.Lines)/2], "\n"), "PBES2")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-cert-manager +got)\n%s", diff)
				}
			})
		}
	}
	if stores != 18 {
		t.Errorf("compared %d stores, want 18", stores)
	}
}

// The contents in plain words, for whoever reads no Secret of cert-manager's.
func TestKeystoreContents(t *testing.T) {
	t.Parallel()
	b := alice(t)
	chain, ca := string(b.ChainPEM()), string(b.RootsPEM())
	show := func(name, store string) shownStore {
		return showStore(t, store, exported(t, certManagerCases()[name]).Data[store], b.Leaf().NotBefore)
	}
	if s := show("alice-2023", "keystore.p12"); string(s.Certs) != chain+ca {
		t.Errorf("keystore.p12 holds\n%s", s.Certs)
	}
	if s := show("alice-2023", "truststore.p12"); string(s.Certs) != ca {
		t.Errorf("truststore.p12 holds\n%s", s.Certs)
	}
	s := show("alice-jks", "keystore.jks")
	if len(s.Keys) != 1 || string(s.Keys["web"]) != chain || len(s.Trusted) != 1 || string(s.Trusted["ca"]) != ca {
		t.Errorf("keystore.jks holds %v", s)
	}
	if s := show("alice-jks-ca", "keystore.jks"); len(s.Keys) != 0 || string(s.Trusted["ca"]) != ca {
		t.Errorf("with the alias CA keystore.jks holds %v", s)
	}
}
