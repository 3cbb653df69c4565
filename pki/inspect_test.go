package pki_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// readCSR reads a request that pki itself may refuse.
func readCSR(t testing.TB, name string) *x509.CertificateRequest {
	t.Helper()
	block, _ := pem.Decode(vector(t, "csr/"+name+".pem"))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func newCRL(t testing.TB, issuer *x509.Certificate, key crypto.Signer) *x509.RevocationList {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: pkitest.Clock(), NextUpdate: pkitest.Clock().Add(time.Hour),
	}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

func TestFormatName(t *testing.T) {
	t.Parallel()
	oid := func(n ...int) asn1.ObjectIdentifier { return n }
	cn, o := oid(2, 5, 4, 3), oid(2, 5, 4, 10)
	for want, seq := range map[string]pkix.RDNSequence{
		"":                 {},
		"CN=leaf,O=Acme":   {{{Type: o, Value: "Acme"}}, {{Type: cn, Value: "leaf"}}},
		"CN=leaf+O=Acme":   {{{Type: cn, Value: "leaf"}, {Type: o, Value: "Acme"}}},
		"CN=b,CN=a":        {{{Type: cn, Value: "a"}}, {{Type: cn, Value: "b"}}},
		`CN=Acme\, Inc.`:   {{{Type: cn, Value: "Acme, Inc."}}},
		`CN=\ a\+b\\\ `:    {{{Type: cn, Value: ` a+b\ `}}},
		`CN=\#1`:           {{{Type: cn, Value: "#1"}}},
		"1.2.3=x":          {{{Type: oid(1, 2, 3), Value: "x"}}},
		"1.2.3=#020105":    {{{Type: oid(1, 2, 3), Value: 5}}},
		"DC=corp":          {{{Type: oid(0, 9, 2342, 19200300, 100, 1, 25), Value: "corp"}}},
		"emailAddress=a@b": {{{Type: oid(1, 2, 840, 113549, 1, 9, 1), Value: "a@b"}}},
	} {
		der, err := asn1.Marshal(seq)
		if err != nil {
			t.Fatal(err)
		}
		if got := pki.FormatName(der); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for want, der := range map[string]string{"": "", "#616263": "abc", "#300000": "\x30\x00\x00"} {
		if got := pki.FormatName([]byte(der)); got != want {
			t.Errorf("%q is %s, want %s", der, got, want)
		}
	}
	// What mtlsctl writes reads the same in both ways.
	s := pki.Subject{CommonName: "leaf", Organizations: []string{"A", "B"}, OrganizationalUnits: []string{"U"}, Countries: []string{"DE"}, Provinces: []string{"BY"}, Localities: []string{"Ort"}}
	cert := pkitest.Issue(t, pkitest.Issuing(t), profiles.Client(), pki.Request{Subject: s}).Leaf()
	if got := pki.FormatName(cert.RawSubject); got != s.String() {
		t.Errorf("the certificate says %s, and the subject %s", got, s)
	}
}

func TestOtherNames(t *testing.T) {
	t.Parallel()
	got := pki.OtherNames(readCSR(t, "other-names").Extensions)
	if d := cmp.Diff([]string{"user principal name a@example.com", "registered ID 1.2.3"}, got); d != "" {
		t.Error(d)
	}
	if got := pki.OtherNames(readCSR(t, "everything").Extensions); got != nil {
		t.Errorf("names that crypto/x509 knows: %q", got)
	}
	name, err := asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 2, 42, 3, 0xa0, 3, 2, 1, 7}},
		{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{1}},
		{Class: asn1.ClassContextSpecific, Tag: 3, IsCompound: true},
		{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name},
		{Class: asn1.ClassContextSpecific, Tag: 5, IsCompound: true},
		{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{}},
		{Class: asn1.ClassUniversal, Tag: asn1.TagInteger, Bytes: []byte{1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	san := asn1.ObjectIdentifier{2, 5, 29, 17}
	got = pki.OtherNames([]pkix.Extension{{Id: san, Value: value}, {Id: san, Value: []byte("no")}})
	want := []string{"other name 1.2.3", "other name", "X.400 address", "directory name CN=x", "EDI party name"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestUsagesIn(t *testing.T) {
	t.Parallel()
	type facts struct {
		Words   []string
		Unknown []string
		CA      bool
	}
	of := func(exts []pkix.Extension) (f facts) {
		bits, purposes, unknown, ca := pki.UsagesIn(exts)
		f.Words, f.CA = profiles.FormatUsages(bits, purposes), ca
		for _, u := range unknown {
			f.Unknown = append(f.Unknown, u.String())
		}
		return f
	}
	for name, want := range map[string]facts{
		"everything":                {Words: []string{"digital signature", "code signing"}},
		"asks-ca-basic-constraints": {CA: true},
		"asks-ca-key-usage":         {Words: []string{"cert sign"}, CA: true},
		"empty":                     {},
	} {
		if d := cmp.Diff(want, of(readCSR(t, name).Extensions)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	// What a certificate says reads the same here and in crypto/x509.
	cert := pkitest.Issue(t, pkitest.Issuing(t), profiles.Peer(), pki.Request{SANs: pkitest.SANs(t, "a.example")}).Leaf()
	want := facts{Words: profiles.FormatUsages(cert.KeyUsage, cert.ExtKeyUsage)}
	if d := cmp.Diff(want, of(cert.Extensions)); d != "" {
		t.Errorf("a certificate (-want +got):\n%s", d)
	}
	ids, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}, {1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	eku, ku := asn1.ObjectIdentifier{2, 5, 29, 37}, asn1.ObjectIdentifier{2, 5, 29, 15}
	got := of([]pkix.Extension{{Id: eku, Value: ids}, {Id: eku, Value: []byte("no")}, {Id: ku, Value: []byte{3, 3, 7, 0, 0x80}}})
	if d := cmp.Diff(facts{Words: []string{"decipher only", "server auth"}, Unknown: []string{"1.2.3"}}, got); d != "" {
		t.Errorf("one that is not known (-want +got):\n%s", d)
	}
}

func TestDescribeKey(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][2]string{
		"everything":     {"EC P-256", ""},
		"p224":           {"EC P-224", "weaker than P-256, the least"},
		"rsa-1024":       {"RSA 1024", "too weak: RSA needs 2048 bits at least"},
		"rsa-2560":       {"RSA 2560", ""},
		"rsa-exponent-3": {"RSA 2048", "weak: its exponent is 3, and 65537 is the least"},
		"ed448":          {"Ed448", ""},
	} {
		text, weakness := pki.DescribeKey(readCSR(t, file).RawSubjectPublicKeyInfo)
		if got := [2]string{text, weakness}; got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	// The words of the key types that are made.
	for _, kt := range profiles.KeyTypes() {
		der, err := x509.MarshalPKIXPublicKey(pkitest.Key(t, kt, pkitest.LeafKey).Public())
		if err != nil {
			t.Fatal(err)
		}
		if text, weakness := pki.DescribeKey(der); text != kt.String() || weakness != "" {
			t.Errorf("%s is %q, %q", kt, text, weakness)
		}
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(x.Public())
	if err != nil {
		t.Fatal(err)
	}
	if text, weakness := pki.DescribeKey(der); text != "X25519" || weakness == "" {
		t.Errorf("X25519 is %q, %q", text, weakness)
	}
	for want, id := range map[string]asn1.ObjectIdentifier{
		"EC brainpoolP256r1":       {1, 3, 36, 3, 3, 2, 8, 1, 1, 7},
		"EC on the curve 1.2.3.4":  {1, 2, 3, 4},
		"EC on a curve of its own": nil,
	} {
		params := []byte{0x30, 0}
		if id != nil {
			if params, err = asn1.Marshal(id); err != nil {
				t.Fatal(err)
			}
		}
		alg := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: params}}
		der, err := asn1.Marshal(struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}{alg, asn1.BitString{Bytes: []byte{4}, BitLength: 8}})
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := pki.DescribeKey(der); text != want {
			t.Errorf("%q, want %q", text, want)
		}
	}
	if text, _ := pki.DescribeKey([]byte("no")); text != "unknown" {
		t.Errorf("what is no key is %q", text)
	}
}

func TestDescribeSignature(t *testing.T) {
	t.Parallel()
	csr := readCSR(t, "ed448")
	for _, tt := range []struct {
		alg  x509.SignatureAlgorithm
		der  []byte
		want string
		weak bool
	}{
		{x509.ECDSAWithSHA256, nil, "ECDSA-SHA256", false},
		{x509.SHA1WithRSA, nil, "SHA1-RSA", true},
		{csr.SignatureAlgorithm, csr.Raw, "Ed448", false},
		{0, []byte("no"), "unknown", false},
	} {
		if text, weakness := pki.DescribeSignature(tt.alg, tt.der); text != tt.want || weakness != "" != tt.weak {
			t.Errorf("%s: %q, %q", tt.alg, text, weakness)
		}
	}
}

func TestExtensionName(t *testing.T) {
	t.Parallel()
	for want, id := range map[string]asn1.ObjectIdentifier{
		"key usage":    {2, 5, 29, 15},
		"freshest CRL": {2, 5, 29, 46},
		"1.2.3":        {1, 2, 3},
	} {
		if got := pki.ExtensionName(id); got != want || strings.HasSuffix(got, " ") {
			t.Errorf("%v is %q, want %q", id, got, want)
		}
	}
}
