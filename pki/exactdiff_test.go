package pki_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// This file signs what specs ask for twice, by us and by cert-manager's own
// code, and compares.

// exactSpecs are what people and test suites ask cert-manager for.
func exactSpecs() map[string]cmapi.CertificateSpec {
	permit := func(i cmapi.NameConstraintItem, critical bool) *cmapi.NameConstraints {
		return &cmapi.NameConstraints{Critical: critical, Permitted: &i}
	}
	everything := cmapi.NameConstraintItem{
		DNSDomains: []string{"b.example", "a.example", "*.x.com", ""}, IPRanges: []string{"10.1.2.3/8", "fd00::1/8", "::ffff:10.0.0.0/104", "0.0.0.0/0"},
		EmailAddresses: []string{"a@b.example", ".b.example"}, URIDomains: []string{".b.example", "c.example"},
	}
	return map[string]cmapi.CertificateSpec{
		"one name":          {DNSNames: []string{"a.example"}},
		"common name alone": {CommonName: "Alice"},
		"no subject":        {URIs: []string{"spiffe://example.org/a"}, Usages: []cmapi.KeyUsage{cmapi.UsageServerAuth, cmapi.UsageClientAuth}},
		"names of all kinds": {
			CommonName: "x", DNSNames: []string{"b.example", "A.example", "b.example", "", "a..b", "10.0.0.1", "has space"},
			EmailAddresses: []string{"b@a.example", "a@a.example"}, IPAddresses: []string{"10.0.0.1", "::ffff:10.0.0.2", "fd00::1", "::"},
			URIs:       []string{"spiffe://example.org/a", "HTTPS://example.org/%7e", "urn:x", "https://[::1]:80/", "a b"},
			OtherNames: []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "alice@example.com"}, {OID: "2.999.4294967296", UTF8Value: "ü"}},
		},
		"other name alone": {OtherNames: []cmapi.OtherName{{OID: "1.2.3", UTF8Value: strings.Repeat("x", 300)}}},
		"subject": {CommonName: "cn", Subject: &cmapi.X509Subject{
			Organizations: []string{"Zeta 1", "Alpha"}, Countries: []string{"Finland", "DE"}, OrganizationalUnits: []string{"ü", "a@b", "*&"},
			Localities: []string{"L"}, Provinces: []string{"P"}, StreetAddresses: []string{"S 1"}, PostalCodes: []string{"123"}, SerialNumber: "7",
		}},
		"literal subject":              {LiteralSubject: `CN=foo\, bar+UID=u,OU=b, O = " a\+b ;DC=example,DC=com,1.2.840.113549.1.9.1=a@b.example,C=DE`},
		"literal subject, many":        {LiteralSubject: "SERIALNUMBER=1,L=l,ST=st,STREET=street,CN=a,CN=b,O=,CN=#0c024869", DNSNames: []string{"a"}},
		"literal subject, no CN":       {LiteralSubject: "O=x", DNSNames: []string{"a"}},
		"CA":                           {CommonName: "ca", IsCA: true},
		"CA, crl sign":                 {CommonName: "ca", IsCA: true, Usages: []cmapi.KeyUsage{cmapi.UsageCRLSign}},
		"CA with a name, no subject":   {DNSNames: []string{"a"}, IsCA: true},
		"CA named like the issuer":     {CommonName: "The CA", IsCA: true},
		"leaf named like the issuer":   {CommonName: "The CA"},
		"purposes alone":               {CommonName: "x", Usages: []cmapi.KeyUsage{cmapi.UsageServerAuth}},
		"purposes twice, out of order": {CommonName: "x", Usages: []cmapi.KeyUsage{cmapi.UsageSMIME, cmapi.UsageServerAuth, cmapi.UsageEmailProtection, cmapi.UsageSigning, cmapi.UsageAny}},
		"all key usages": {CommonName: "x", Usages: []cmapi.KeyUsage{
			cmapi.UsageDecipherOnly, cmapi.UsageEncipherOnly, cmapi.UsageCRLSign, cmapi.UsageCertSign, cmapi.UsageKeyAgreement,
			cmapi.UsageDataEncipherment, cmapi.UsageKeyEncipherment, cmapi.UsageContentCommitment, cmapi.UsageDigitalSignature,
		}},
		"all purposes": {CommonName: "x", Usages: []cmapi.KeyUsage{
			cmapi.UsageNetscapeSGC, cmapi.UsageMicrosoftSGC, cmapi.UsageOCSPSigning, cmapi.UsageTimestamping, cmapi.UsageIPsecUser,
			cmapi.UsageIPsecTunnel, cmapi.UsageIPsecEndSystem, cmapi.UsageCodeSigning, cmapi.UsageClientAuth,
		}},
		"usages not in the CSR": {CommonName: "x", Usages: []cmapi.KeyUsage{cmapi.UsageClientAuth}, EncodeUsagesInRequest: new(bool)},
		"constraints":           {CommonName: "x", IsCA: true, NameConstraints: permit(everything, false)},
		"constraints, critical": {CommonName: "x", IsCA: true, NameConstraints: &cmapi.NameConstraints{
			Critical: true, Permitted: &cmapi.NameConstraintItem{DNSDomains: []string{"a"}}, Excluded: &everything,
		}},
		"excluded alone":    {CommonName: "x", IsCA: true, NameConstraints: &cmapi.NameConstraints{Excluded: &cmapi.NameConstraintItem{URIDomains: []string{"a.b"}}}},
		"nothing permitted": {CommonName: "x", IsCA: true, NameConstraints: permit(cmapi.NameConstraintItem{}, true)},
		"lifetime":          {CommonName: "x", Duration: &metav1.Duration{Duration: 36*time.Hour + time.Second}},
		"RSA 2048":          {CommonName: "x", PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm}},
		"RSA 4096":          {CommonName: "x", IsCA: true, PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 4096}, SignatureAlgorithm: cmapi.SHA256WithRSA},
		"P-384":             {CommonName: "x", PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 384}},
		"P-521":             {CommonName: "x", IsCA: true, PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 521}},
		"Ed25519":           {CommonName: "x", PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm}},

		"bad, non-ASCII DNS":          {DNSNames: []string{"ü.example"}},
		"bad, non-ASCII URI":          {URIs: []string{"https://a.example/ü"}},
		"bad, non-ASCII email":        {EmailAddresses: []string{"ü@a.example"}},
		"bad, URI not to be parsed":   {URIs: []string{"https://a.example:x/"}},
		"bad, URI of a broken host":   {URIs: []string{"https://a..b/"}},
		"bad, OID of one number":      {OtherNames: []cmapi.OtherName{{OID: "1", UTF8Value: "x"}}},
		"bad, OID out of range":       {OtherNames: []cmapi.OtherName{{OID: "9.9", UTF8Value: "x"}}},
		"bad, empty other name":       {OtherNames: []cmapi.OtherName{{OID: "1.2.3"}}},
		"bad, CIDR":                   {CommonName: "x", IsCA: true, NameConstraints: permit(cmapi.NameConstraintItem{IPRanges: []string{"10.0.0.0"}}, true)},
		"bad, constraint with a dot":  {CommonName: "x", IsCA: true, NameConstraints: permit(cmapi.NameConstraintItem{DNSDomains: []string{"x.com."}}, true)},
		"bad, address as URI domain":  {CommonName: "x", IsCA: true, NameConstraints: permit(cmapi.NameConstraintItem{URIDomains: []string{"10.0.0.1"}}, true)},
		"bad, mailbox without a name": {CommonName: "x", IsCA: true, NameConstraints: permit(cmapi.NameConstraintItem{EmailAddresses: []string{"@x.com"}}, true)},
		"bad, non-ASCII constraint":   {CommonName: "x", IsCA: true, NameConstraints: permit(cmapi.NameConstraintItem{DNSDomains: []string{"ü"}}, true)},
		"bad, key in lower case":      {LiteralSubject: "cn=x", DNSNames: []string{"a"}},
		"bad, OID with a prefix":      {LiteralSubject: "OID.2.5.4.3=x", DNSNames: []string{"a"}},
		"bad, email by its word":      {LiteralSubject: "E=x", DNSNames: []string{"a"}},
		"bad, no literal subject":     {LiteralSubject: "x", DNSNames: []string{"a"}},
		"bad, attribute not UTF-8":    {LiteralSubject: `CN=\ff`, DNSNames: []string{"a"}},
	}
}

// exactOf is the request that a spec comes to.
func exactOf(t testing.TB, s cmapi.CertificateSpec, urls pki.URLs) (pki.ExactRequest, error) {
	t.Helper()
	r := pki.ExactRequest{CA: s.IsCA, URLs: urls, Duration: cmapi.DefaultCertificateDuration}
	if s.Duration != nil {
		r.Duration = s.Duration.Duration
	}
	names := pki.ExactNames{DNS: s.DNSNames, Emails: s.EmailAddresses, IPs: s.IPAddresses, URIs: s.URIs}
	for _, o := range s.OtherNames {
		var id asn1.ObjectIdentifier
		for part := range strings.SplitSeq(o.OID, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				t.Fatal(err)
			}
			id = append(id, n)
		}
		names.Others = append(names.Others, pki.OtherName{OID: id, Value: o.UTF8Value})
	}
	var err error
	if r.SAN, err = pki.MarshalSAN(names); err != nil {
		return r, err
	}
	if s.LiteralSubject != "" {
		r.Subject, err = pki.LiteralSubject(s.LiteralSubject)
	} else {
		x := s.Subject
		if x == nil {
			x = &cmapi.X509Subject{}
		}
		r.Subject, err = pki.ExactSubject(pkix.Name{
			CommonName: s.CommonName, Organization: x.Organizations, OrganizationalUnit: x.OrganizationalUnits, Country: x.Countries, Province: x.Provinces,
			Locality: x.Localities, StreetAddress: x.StreetAddresses, PostalCode: x.PostalCodes, SerialNumber: x.SerialNumber,
		})
	}
	if err != nil {
		return r, err
	}
	if n := s.NameConstraints; n != nil {
		r.Constraints = &pki.ExactConstraints{Critical: n.Critical}
		if p := n.Permitted; p != nil {
			r.Constraints.PermittedDNS, r.Constraints.PermittedIPRanges, r.Constraints.PermittedEmails, r.Constraints.PermittedURIDomains = p.DNSDomains, p.IPRanges, p.EmailAddresses, p.URIDomains
		}
		if x := n.Excluded; x != nil {
			r.Constraints.ExcludedDNS, r.Constraints.ExcludedIPRanges, r.Constraints.ExcludedEmails, r.Constraints.ExcludedURIDomains = x.DNSDomains, x.IPRanges, x.EmailAddresses, x.URIDomains
		}
	}
	r.KeyUsage, r.ExtKeyUsage, err = cmpki.KeyUsagesForCertificateOrCertificateRequest(s.Usages, s.IsCA)
	return r, err
}

func specKey(t testing.TB, s *cmapi.CertificateSpec) crypto.Signer {
	t.Helper()
	if s.PrivateKey == nil {
		s.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm}
	}
	kind := profiles.Ed25519
	switch size := s.PrivateKey.Size; s.PrivateKey.Algorithm {
	case cmapi.ECDSAKeyAlgorithm:
		kind = profiles.KeyType(fmt.Sprintf("ec-p%d", max(size, 256)))
	case cmapi.RSAKeyAlgorithm:
		kind = profiles.RSA(max(size, 2048))
	}
	return pkitest.Key(t, kind, pkitest.LeafKey)
}

// theirTemplate goes cert-manager's way: a spec, a CSR, a template.
func theirTemplate(s cmapi.CertificateSpec, key crypto.Signer) (*x509.Certificate, *x509.CertificateRequest, error) {
	request, err := cmpki.GenerateCSR(&cmapi.Certificate{Spec: s}, cmpki.WithNameConstraints(true), cmpki.WithOtherNames(true), cmpki.WithUseLiteralSubject(true))
	if err != nil {
		return nil, nil, err
	}
	der, err := cmpki.EncodeCSR(request, key)
	if err != nil {
		return nil, nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, err
	}
	template, err := cmpki.CertificateTemplateFromCertificateRequest(&cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
		Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), Duration: s.Duration, IsCA: s.IsCA, Usages: s.Usages,
	}})
	return template, csr, err
}

// shape is what of a certificate is the same whoever signs it.
type shape struct {
	Version            int
	Subject, Issuer    string
	Extensions         []string
	SignatureAlgorithm string
	Lifetime           time.Duration
}

func shapeOf(c *x509.Certificate) shape {
	s := shape{c.Version, hex.EncodeToString(c.RawSubject), hex.EncodeToString(c.RawIssuer), nil, c.SignatureAlgorithm.String(), c.NotAfter.Sub(c.NotBefore)}
	for _, e := range c.Extensions {
		s.Extensions = append(s.Extensions, fmt.Sprintf("%s %t %x", e.Id, e.Critical, e.Value))
	}
	return s
}

// exactIssuers are CAs with keys of all sorts, by the name "The CA"; one has no
// key identifier, and one no subject.
func exactIssuers(t testing.TB) map[string]*pki.Authority {
	t.Helper()
	all := map[string]*pki.Authority{}
	ca := pki.ExactRequest{KeyUsage: x509.KeyUsageCertSign, CA: true, Duration: 10 * year}
	var err error
	if ca.Subject, err = pki.ExactSubject(pkix.Name{CommonName: "The CA"}); err != nil {
		t.Fatal(err)
	}
	for _, k := range profiles.KeyTypes() {
		all[string(k)] = selfSignedCA(t, ca, pkitest.Key(t, k, pkitest.RootKey))
	}
	ca.Subject = nil
	all["no subject"] = selfSignedCA(t, ca, pkitest.Key(t, profiles.ECP256, pkitest.RootKey))

	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	template := &x509.Certificate{ // crypto/x509 gives an identifier to what it knows for a CA
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "The CA"}, NotBefore: start, NotAfter: start.Add(10 * year),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	all["no key identifier"] = pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert}, Signer: key})
	return all
}

func selfSignedCA(t testing.TB, r pki.ExactRequest, key crypto.Signer) *pki.Authority {
	t.Helper()
	r.PublicKey = key.Public()
	d, err := pki.PrepareSelfSigned(r, now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pki.SignRoot(d, key)
	if err != nil {
		t.Fatal(err)
	}
	return pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert}, Signer: key})
}

func TestExactIsCertManagers(t *testing.T) {
	t.Parallel()
	issuers := exactIssuers(t)
	urls := pki.URLs{CRL: []string{"http://a/crl", "http://b/crl"}, AIA: []string{"http://a/ca", "no URL"}, OCSP: []string{"http://a/ocsp"}}
	for name, spec := range exactSpecs() {
		for _, by := range slices.Sorted(maps.Keys(issuers)) {
			if by != string(profiles.ECP256) && by != "no key identifier" && name != "names of all kinds" && name != "CA named like the issuer" {
				continue // the issuer's key matters to little
			}
			ca, spec := issuers[by], spec
			key := specKey(t, &spec)
			signer := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
			if k, err := pki.KeyTypeOf(ca.Certificate().PublicKey); err == nil {
				signer = pkitest.Key(t, k, pkitest.RootKey)
			}
			template, csr, theirErr := theirTemplate(spec, key)
			var want *x509.Certificate
			if theirErr == nil {
				template.CRLDistributionPoints, template.OCSPServer, template.IssuingCertificateURL = urls.CRL, urls.OCSP, urls.AIA
				_, want, theirErr = cmpki.SignCertificate(template, ca.Certificate(), template.PublicKey, signer)
			}
			if bad := strings.HasPrefix(name, "bad"); bad != (theirErr != nil) {
				t.Fatalf("%s by %s: cert-manager: %v", name, by, theirErr)
			}
			r, err := exactOf(t, spec, urls)
			compareExact(t, name+" by "+by, want, r, err, func(r pki.ExactRequest) (*x509.Certificate, error) {
				d, err := ca.PrepareExact(r)
				if err != nil {
					return nil, err
				}
				return ca.Sign(d, nil)
			}, key)
			if csr == nil {
				continue
			}
			// By the CSR, as a CertificateRequest goes.
			fromCSR, err := pki.ExactFromCSR(csr)
			fromCSR.CA, fromCSR.URLs, fromCSR.Duration = r.CA, urls, r.Duration
			fromCSR.KeyUsage, fromCSR.ExtKeyUsage = r.KeyUsage, r.ExtKeyUsage
			compareExact(t, name+" by "+by+" from the CSR", want, fromCSR, err, func(r pki.ExactRequest) (*x509.Certificate, error) {
				d, err := ca.PrepareExact(r)
				if err != nil {
					return nil, err
				}
				return ca.Sign(d, nil)
			}, key)
			if err := pki.CheckExactCSR(csr, r.KeyUsage, r.ExtKeyUsage, r.CA); theirErr == nil && err != nil {
				t.Errorf("%s: CheckExactCSR: %v", name, err)
			}
		}
	}
}

func TestSelfSignedIsCertManagers(t *testing.T) {
	t.Parallel()
	urls := pki.URLs{CRL: []string{"http://a/crl"}}
	for name, spec := range exactSpecs() {
		key := specKey(t, &spec)
		template, _, theirErr := theirTemplate(spec, key)
		var want *x509.Certificate
		if theirErr == nil {
			template.CRLDistributionPoints = urls.CRL
			_, want, theirErr = cmpki.SignCertificate(template, template, template.PublicKey, key)
		}
		if bad := strings.HasPrefix(name, "bad"); bad != (theirErr != nil) {
			t.Fatalf("%s: cert-manager: %v", name, theirErr)
		}
		r, err := exactOf(t, spec, urls)
		compareExact(t, name, want, r, err, func(r pki.ExactRequest) (*x509.Certificate, error) {
			d, err := pki.PrepareSelfSigned(r, now)
			if err != nil {
				return nil, err
			}
			return pki.SignRoot(d, key)
		}, key)
	}
}

// compareExact signs r, unless it could not be made, and compares with what
// cert-manager signed; nil if it could not.
func compareExact(t testing.TB, name string, want *x509.Certificate, r pki.ExactRequest, err error, sign func(pki.ExactRequest) (*x509.Certificate, error), key crypto.Signer) {
	t.Helper()
	var got *x509.Certificate
	if err == nil {
		r.PublicKey = key.Public()
		got, err = sign(r)
	}
	switch {
	case want == nil && err == nil:
		t.Errorf("%s: cert-manager does not sign it, and we do", name)
	case want == nil:
	case err != nil:
		t.Errorf("%s: %v", name, err)
	default:
		if diff := cmp.Diff(shapeOf(want), shapeOf(got)); diff != "" {
			t.Errorf("%s (-cert-manager +ours):\n%s", name, diff)
		}
		if got.SerialNumber.Sign() <= 0 || got.NotBefore != start.UTC() {
			t.Errorf("%s: serial %x, from %s", name, got.SerialNumber, got.NotBefore)
		}
	}
}

// Keys of every size that a spec may ask for are made as cert-manager makes
// them.
func TestExactKeySizes(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 2055} {
		theirs, err := cmpki.GenerateRSAPrivateKey(bits)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := pki.GenerateKey(profiles.RSA(bits))
		if err != nil {
			t.Fatal(err)
		}
		their, err := pki.KeyTypeOf(theirs.Public())
		if err != nil {
			t.Fatal(err)
		}
		if our, err := pki.KeyTypeOf(ours.Public()); err != nil || our != their || our.RSABits() != bits {
			t.Errorf("RSA of %d bits: %s, and cert-manager's is %s, %v", bits, our, their, err)
		}
	}
	for _, bits := range []int{2047, 8193} {
		_, theirs := cmpki.GenerateRSAPrivateKey(bits)
		if _, ours := pki.GenerateKey(profiles.KeyType(fmt.Sprintf("rsa-%d", bits))); theirs == nil || ours == nil {
			t.Errorf("RSA of %d bits: %v, and cert-manager says %v", bits, ours, theirs)
		}
	}
}
