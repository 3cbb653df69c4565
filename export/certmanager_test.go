package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/pki"
)

// keystorePassword is that of all keystores in testdata/certmanager.
const keystorePassword = "correct-horse"

// certManagerCase is a Secret in testdata/certmanager, which cert-manager made
// of the same bundle and Certificate.
type certManagerCase struct {
	bundle func(testing.TB) *pki.Bundle
	secret CertManagerSecret
}

// selfSigned is a bundle of testdata/certmanager.
func selfSigned(name string, encoding pki.KeyEncoding, ca bool) func(testing.TB) *pki.Bundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		b := &pki.Bundle{Encoding: encoding}
		var err error
		if b.Chain, err = pki.ParseCertificates(readFile(t, "certmanager", name+".crt")); err != nil {
			t.Fatal(err)
		}
		if b.Key, err = pki.ParseKey(readFile(t, "certmanager", name+".key"), nil); err != nil {
			t.Fatal(err)
		}
		if ca {
			b.Roots = b.Chain
		}
		return b
	}
}

func certManagerCases() map[string]certManagerCase {
	store := func(profile, alias string) *Keystore {
		return &Keystore{Profile: profile, Alias: alias, Password: []byte(keystorePassword)}
	}
	cases := map[string]certManagerCase{
		"alice":        {alice, CertManagerSecret{IssuerName: "ca"}},
		"alice-rc2":    {alice, CertManagerSecret{IssuerName: "ca", PKCS12: store("LegacyRC2", "")}},
		"alice-des":    {alice, CertManagerSecret{IssuerName: "ca", PKCS12: store("LegacyDES", "")}},
		"alice-2023":   {alice, CertManagerSecret{IssuerName: "ca", PKCS12: store("Modern2023", "")}},
		"alice-2026":   {alice, CertManagerSecret{IssuerName: "ca", PKCS12: store("Modern2026", "")}},
		"alice-jks":    {alice, CertManagerSecret{IssuerName: "ca", JKS: store("", "Web")}},
		"alice-jks-ca": {alice, CertManagerSecret{IssuerName: "ca", JKS: store("", "CA")}},
		"full": {selfSigned("full", pki.PKCS1, true), CertManagerSecret{
			IssuerName: "self", IssuerKind: "ClusterIssuer", IssuerGroup: "cert-manager.io",
			Labels: map[string]string{"app": "web", "controller.cert-manager.io/fao": "no"},
			Annotations: map[string]string{
				"note": "yes", "cert-manager.io/allow-direct-injection": "true", "cert-manager.io/common-name": "mine",
				"cert-manager.io/issuer-name": "mine", "cert-manager.io/certificate-name": "mine",
			},
			DER: true, CombinedPEM: true,
		}},
		"bare":    {selfSigned("bare", pki.SEC1, false), CertManagerSecret{IssuerName: "acme", IssuerKind: "Issuer", DER: true, CombinedPEM: true, PKCS12: store("", ""), JKS: store("", "")}},
		"ed25519": {selfSigned("ed25519", pki.PKCS8, true), CertManagerSecret{IssuerName: "self", DER: true, CombinedPEM: true, PKCS12: store("", "ignored"), JKS: store("ignored", "")}},
	}
	for name, c := range cases {
		c.secret.Name, c.secret.Namespace, c.secret.Certificate = "web-tls", "default", "web"
		cases[name] = c
	}
	return cases
}

// exported returns the Secret read back from YAML.
func exported(t testing.TB, c certManagerCase) secretObject {
	t.Helper()
	f, err := c.secret.Export(c.bundle(t), false)
	if err != nil {
		t.Fatal(err)
	}
	var o secretObject
	if err := yaml.UnmarshalStrict(f.Data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// Everything is as cert-manager has it, except the bytes of keystores, which
// are random: [TestKeystores] is about those.
func TestCertManagerSecret(t *testing.T) {
	t.Parallel()
	cases := certManagerCases()
	paths, err := filepath.Glob(filepath.Join("testdata", "certmanager", "*.json"))
	if err != nil || len(paths) != len(cases) {
		t.Fatalf("%d Secrets in testdata/certmanager, %v, and %d cases", len(paths), err, len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := maps.Clone(c.secret.Annotations)
			var want secretObject
			if err := json.Unmarshal(readFile(t, "certmanager", name+".json"), &want); err != nil {
				t.Fatal(err)
			}
			for _, asJSON := range []bool{false, true} {
				f, err := c.secret.Export(c.bundle(t), asJSON)
				if err != nil {
					t.Fatal(err)
				}
				line, err := c.secret.Append(nil, c.bundle(t), asJSON)
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range [][]byte{f.Data, line} {
					var got secretObject
					if err := yaml.UnmarshalStrict(text, &got); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(slices.Sorted(maps.Keys(want.Data)), slices.Sorted(maps.Keys(got.Data))); diff != "" {
						t.Errorf("data (-cert-manager +got)\n%s", diff)
					}
					for k := range got.Data {
						if strings.Contains(k, "store.") {
							got.Data[k] = want.Data[k]
						}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("(-cert-manager +got)\n%s", diff)
					}
				}
			}
			if diff := cmp.Diff(template, c.secret.Annotations); diff != "" {
				t.Errorf("the template has changed:\n%s", diff)
			}
		})
	}
}

func TestCertManagerSecretFiles(t *testing.T) {
	t.Parallel()
	c := certManagerCases()["alice"]
	c.secret.Annotations = map[string]string{"note": "a: b # c\n<d> & \"e\""}
	for name, asJSON := range map[string]bool{"certmanager.yaml": false, "certmanager.json": true} {
		f, err := c.secret.Export(alice(t), asJSON)
		if err != nil {
			t.Fatal(err)
		}
		if want := "web-tls" + filepath.Ext(name); f.Name != want || !f.Private {
			t.Errorf("file %s, private %t; want %s, private", f.Name, f.Private, want)
		}
		golden(t, name, f.Data)
	}
	for name, asJSON := range map[string]bool{"certmanager-stream.yaml": false, "certmanager-stream.json": true} {
		var stream []byte
		for _, secret := range []string{"web-tls", "other-tls"} {
			var err error
			c.secret.Name = secret
			if stream, err = c.secret.Append(stream, alice(t), asJSON); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, name, stream)
	}
}

func TestCertManagerSecretMetadata(t *testing.T) {
	t.Parallel()
	b := alice(t)
	s := CertManagerSecret{Name: "a"}
	if s.annotations(b.Leaf())["cert-manager.io/certificate-name"] != "" {
		t.Error("without a Certificate it has one's name")
	}
	for _, k := range []string{"issuer-name", "issuer-kind", "issuer-group", "certificate-name"} {
		if v, ok := s.annotations(b.Leaf())["cert-manager.io/"+k]; ok {
			t.Errorf("%s is %q without a Certificate and its issuer", k, v)
		}
	}
	// All three are written if one is known.
	s.IssuerGroup = "x.io"
	for k, want := range map[string]string{"issuer-name": "", "issuer-kind": "", "issuer-group": "x.io"} {
		if v, ok := s.annotations(b.Leaf())["cert-manager.io/"+k]; !ok || v != want {
			t.Errorf("%s is %q, %t; want %q", k, v, ok, want)
		}
	}
}

// ca.crt is one certificate, whatever else is trusted.
func TestCertManagerSecretFirstRoot(t *testing.T) {
	t.Parallel()
	c := certManagerCases()["alice-jks"]
	c.bundle = func(t testing.TB) *pki.Bundle {
		b := alice(t)
		b.Roots = append(b.Roots, b.Chain[1], b.Chain[0])
		return b
	}
	if got := exported(t, c).Data["ca.crt"]; !bytes.Equal(got, readFile(t, "bundle", "ca.crt")) {
		t.Errorf("ca.crt is\n%s", got)
	}
}

func TestCertManagerSecretErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256<<10)
	for name, tt := range map[string]struct {
		secret     CertManagerSecret
		option     string
		suggestion string
		words      string
	}{
		"no name":           {CertManagerSecret{Certificate: "Web 1"}, "name", "web-1", "needs a name"},
		"a name":            {CertManagerSecret{Name: "Web"}, "name", "web", "lower-case"},
		"a namespace":       {CertManagerSecret{Name: "a", Namespace: "a.b"}, "namespace", "a-b", "lower-case"},
		"a label":           {CertManagerSecret{Name: "a", Labels: map[string]string{"a": "b c"}}, "label", "", "its value"},
		"an annotation":     {CertManagerSecret{Name: "a", Annotations: map[string]string{"a b": ""}}, "annotation", "", "its name"},
		"large annotations": {CertManagerSecret{Name: "a", Annotations: map[string]string{"a": long[:256<<10-100]}}, "annotation", "", "262144 are allowed"},
		"a profile":         {CertManagerSecret{Name: "a", PKCS12: &Keystore{Profile: "Modern", Password: []byte("x")}}, "profile", "", "LegacyRC2, LegacyDES, Modern2023, Modern2026"},
	} {
		_, err := tt.secret.Export(alice(t), false)
		t.Run(name, func(t *testing.T) { wantOption(t, err, tt.option, tt.suggestion, tt.words) })
	}

	s := CertManagerSecret{Name: "a"}
	fails := func(name string, b *pki.Bundle, cause error, words string) {
		t.Helper()
		for _, asJSON := range []bool{false, true} {
			f, err := s.Export(b, asJSON)
			if err == nil || f.Data != nil || cause != nil && !errors.Is(err, cause) || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %d bytes, error %v", name, len(f.Data), err)
			}
			dst, err := s.Append([]byte("before"), b, asJSON)
			if err == nil || string(dst) != "before" {
				t.Errorf("%s: %q, error %v", name, dst, err)
			}
		}
	}
	fails("no certificate", &pki.Bundle{}, ErrNoCertificate, "")
	b := alice(t)
	b.Key = nil
	fails("no key", b, ErrNoKey, "")
	b = alice(t)
	b.Encoding = pki.PKCS1
	fails("an EC key as PKCS#1", b, nil, "pkcs1 is for RSA keys")
	b = alice(t)
	for len(b.ChainPEM()) <= maxSecret {
		b.Chain = slices.Concat(b.Chain, b.Chain)
	}
	fails("a large chain", b, nil, "1048576 bytes at most")
	s.PKCS12 = &Keystore{}
	fails("no password for PKCS#12", alice(t), nil, "keystore pkcs12: its password is empty")
	s.PKCS12 = &Keystore{Password: []byte("\U0001F600")}
	fails("a password that PKCS#12 has no place for", alice(t), nil, "keystore pkcs12: ")
	s.PKCS12, s.JKS = nil, &Keystore{}
	fails("no password for JKS", alice(t), nil, "keystore jks: its password is empty")
	s.JKS = &Keystore{Password: []byte("x"), Alias: strings.Repeat("x", 1<<16)}
	fails("an alias that JKS has no place for", alice(t), nil, "keystore jks: ")
}

func TestCertificatesPEM(t *testing.T) {
	t.Parallel()
	b := alice(t)
	leaf := *b.Leaf()
	for n := range 49 { // every length of the last line
		c := leaf
		c.Raw = leaf.Raw[:len(leaf.Raw)-n]
		b.Chain[0] = &c
		if diff := cmp.Diff(string(b.ChainPEM()), string(certificatesPEM(b.Chain))); diff != "" {
			t.Errorf("%d bytes:\n%s", len(c.Raw), diff)
		}
	}
	if got := certificatesPEM(nil); len(got) > 0 {
		t.Errorf("of nothing: %q", got)
	}
}

func BenchmarkCertManagerSecret(b *testing.B) {
	bundle, secret := alice(b), certManagerCases()["alice"].secret
	for name, asJSON := range map[string]bool{"yaml": false, "json": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				var err error
				if dst, err = secret.Append(dst[:0], bundle, asJSON); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
