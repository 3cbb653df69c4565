package pki_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func csrWith(t testing.TB, exts ...pkix.Extension) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "x"}, ExtraExtensions: exts}, pkitest.Key(t, profiles.ECP256, pkitest.LeafKey))
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.ParseCSR(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func ext(id int, critical bool, value string) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Critical: critical, Value: []byte(value)}
}

// Extensions as CSRs have them, in DER.
const (
	isCA        = "\x30\x03\x01\x01\xff"
	isLeaf      = "\x30\x00"
	pathLen1    = "\x30\x06\x01\x01\xff\x02\x01\x01"
	signs       = "\x03\x02\x07\x80"
	certSigns   = "\x03\x02\x02\x84"
	serverAuth  = "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
	clientAuth  = "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"
	unknownAuth = "\x06\x02\x2a\x03"
)

// From a signing request come key, subject, names byte for byte, constraints and
// usages, and nothing else.
func TestExactFromCSR(t *testing.T) {
	t.Parallel()
	const san = "\x30\x09\x88\x02\x2a\x03\x82\x01b\x82\x00" // a registered ID first
	csr := csrWith(t,
		ext(17, true, san), ext(15, true, signs), ext(37, false, "\x30\x0e"+serverAuth+unknownAuth), ext(19, true, pathLen1),
		ext(14, false, "\x04\x01\x01"), pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte("\x30\x03\x02\x01\x05")},
		ext(30, true, "\x30\x26\xa0\x24\x30\x22\x87\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00"),
	)
	r, err := pki.ExactFromCSR(csr)
	if err != nil {
		t.Fatal(err)
	}
	want := pki.ExactRequest{
		Subject: csr.RawSubject, SAN: []byte(san), Key: profiles.ECP256, PublicKey: csr.PublicKey,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 2, 3}},
		Constraints: &pki.ExactConstraints{Critical: true, PermittedIPRanges: []string{"::ffff:10.0.0.0/104"}},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// And so cert-manager signs it.
	r.CA, r.Duration, r.KeyUsage = true, 90*day, x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign
	ca := pkitest.Root(t)
	d, err := ca.PrepareExact(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ca.Sign(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	template, err := cmpki.CertificateTemplateFromCSR(csr, cmpki.CertificateTemplateOverrideDuration(90*day), func(_ *x509.CertificateRequest, c *x509.Certificate) error {
		c.BasicConstraintsValid, c.IsCA, c.MaxPathLen, c.KeyUsage = true, true, 0, r.KeyUsage
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, theirs, err := cmpki.SignCertificate(template, ca.Certificate(), template.PublicKey, pkitest.Key(t, profiles.ECP256, pkitest.RootKey))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shapeOf(theirs), shapeOf(got)); diff != "" {
		t.Errorf("(-cert-manager +ours):\n%s", diff)
	}
}

func TestExactFromCSRRefuses(t *testing.T) {
	t.Parallel()
	for name, csr := range map[string]*x509.CertificateRequest{
		"key usage":                              csrWith(t, ext(15, true, "\xff")),
		"purposes":                               csrWith(t, ext(37, false, "\xff")),
		"basic constraints":                      csrWith(t, ext(19, false, "\xff")),
		"constraints":                            csrWith(t, ext(30, true, "\x30\x00")),
		"constraint of a kind unknown, critical": csrWith(t, ext(30, true, "\x30\x07\xa0\x05\x30\x03\x88\x01\x2a")),
		"constraint of a kind unknown":           csrWith(t, ext(30, false, "\x30\x07\xa0\x05\x30\x03\x88\x01\x2a")),
	} {
		r, err := pki.ExactFromCSR(csr)
		if !errors.Is(err, pki.ErrCSR) || r.PublicKey != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := pki.CheckExactCSR(csr, 0, nil, false); !errors.Is(err, pki.ErrCSR) {
			t.Errorf("%s: CheckExactCSR: %v", name, err)
		}
		if _, err := cmpki.CertificateTemplateFromCSR(csr); err == nil {
			t.Errorf("%s: cert-manager takes it", name)
		}
	}
	weak := *csrWith(t)
	weak.PublicKey = "key"
	if _, err := pki.ExactFromCSR(&weak); !errors.Is(err, pki.ErrCSR) || !errors.Is(err, pki.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if r, err := pki.ExactFromCSR(parseCSR(t, "rsa-2560")); err != nil || r.Key != "rsa-2560" {
		t.Errorf("RSA of 2560 bits: %q, %v", string(r.Key), err)
	}
}

// The rule of admission, and cert-manager's answer to the same question.
func TestCheckExactCSR(t *testing.T) {
	t.Parallel()
	const refused = "signing request refused: "
	both := []cmapi.KeyUsage{cmapi.UsageServerAuth, cmapi.UsageClientAuth, cmapi.UsageDigitalSignature}
	for name, tt := range map[string]struct {
		exts   []pkix.Extension
		usages []cmapi.KeyUsage
		ca     bool
		want   string
	}{
		"nothing said":       {nil, both, true, ""},
		"CA":                 {[]pkix.Extension{ext(19, true, isCA)}, nil, true, ""},
		"CA with pathLen":    {[]pkix.Extension{ext(19, true, pathLen1)}, nil, true, ""},
		"CA, not wanted":     {[]pkix.Extension{ext(19, true, isCA)}, nil, false, refused + "its basic constraints ask for an authority"},
		"CA, wanted":         {[]pkix.Extension{ext(19, true, isLeaf)}, nil, true, refused + "its basic constraints ask for no authority"},
		"leaf":               {[]pkix.Extension{ext(19, true, isLeaf)}, nil, false, ""},
		"key usage":          {[]pkix.Extension{ext(15, true, signs)}, []cmapi.KeyUsage{cmapi.UsageSigning}, false, ""},
		"key usage of a CA":  {[]pkix.Extension{ext(15, true, certSigns)}, []cmapi.KeyUsage{cmapi.UsageSigning}, true, ""},
		"key usage differs":  {[]pkix.Extension{ext(15, true, signs)}, nil, false, refused + "it asks for the key usages digital signature, and not for digital signature, key encipherment"},
		"key usage, no EKU":  {[]pkix.Extension{ext(15, true, signs)}, both, false, refused + "it asks for the extended key usages none, and not for server auth, client auth, in this order"},
		"EKU, no key usage":  {[]pkix.Extension{ext(37, false, "\x30\x0a"+serverAuth)}, nil, false, refused + "it asks for the key usages none, and not for digital signature, key encipherment"},
		"EKU alone":          {[]pkix.Extension{ext(37, false, "\x30\x0a"+serverAuth)}, []cmapi.KeyUsage{cmapi.UsageServerAuth}, false, ""},
		"both":               {[]pkix.Extension{ext(15, true, signs), ext(37, false, "\x30\x14"+serverAuth+clientAuth)}, both, false, ""},
		"in another order":   {[]pkix.Extension{ext(15, true, signs), ext(37, false, "\x30\x14"+clientAuth+serverAuth)}, both, false, refused + "it asks for the extended key usages client auth, server auth, and not for server auth, client auth, in this order"},
		"one of them twice":  {[]pkix.Extension{ext(15, true, signs), ext(37, false, "\x30\x1e"+serverAuth+clientAuth+clientAuth)}, both, false, refused + "it asks for the extended key usages server auth, client auth, client auth, and not for server auth, client auth, in this order"},
		"one unknown beside": {[]pkix.Extension{ext(15, true, signs), ext(37, false, "\x30\x18"+serverAuth+unknownAuth+clientAuth)}, both, false, ""},
	} {
		csr := csrWith(t, tt.exts...)
		ku, eku, err := cmpki.KeyUsagesForCertificateOrCertificateRequest(tt.usages, tt.ca)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := pki.CheckExactCSR(csr, ku, eku, tt.ca); err != nil {
			if got = err.Error(); !errors.Is(err, pki.ErrCSR) {
				t.Errorf("%s: the cause is not ErrCSR", name)
			}
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
		_, theirs := cmpki.CertificateTemplateFromCertificateRequest(&cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr.Raw}), Usages: tt.usages, IsCA: tt.ca,
		}})
		if (theirs == nil) != (got == "") {
			t.Errorf("%s: cert-manager says %v", name, theirs)
		}
	}
}
