package manifest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// Request returns what cert-manager would have certified for c, with its
// issuer's URLs. An error names the field; a certificate that came through
// checking has none.
func (c *Certificate) Request(urls pki.URLs) (pki.ExactRequest, error) {
	s := &c.Spec
	subject, err := subject(s)
	if err != nil {
		return pki.ExactRequest{}, err
	}
	names := pki.ExactNames{DNS: s.DNSNames, Emails: s.EmailAddresses, IPs: s.IPAddresses, URIs: s.URIs}
	for i, n := range s.OtherNames {
		id, err := parseOID(n.OID)
		if err != nil {
			return pki.ExactRequest{}, fmt.Errorf("spec.otherNames[%d].oid: %w", i, err)
		}
		names.Others = append(names.Others, pki.OtherName{OID: id, Value: n.UTF8Value})
	}
	san, err := pki.MarshalSAN(names)
	if err != nil {
		return pki.ExactRequest{}, fmt.Errorf("spec: %w", err)
	}
	bits, purposes, err := usages(s.Usages, s.IsCA)
	if err != nil {
		return pki.ExactRequest{}, err
	}
	return pki.ExactRequest{
		Subject:     subject,
		SAN:         san,
		KeyUsage:    bits,
		ExtKeyUsage: purposes,
		CA:          s.IsCA,
		Constraints: constraints(s.NameConstraints),
		URLs:        urls,
		Duration:    duration(s),
		Key:         keyType(s.PrivateKey),
	}, nil
}

// Encoding returns the form in which the private key is written. cert-manager's
// PKCS1, its default, stands for the traditional form of whatever key it is,
// and Ed25519 has none.
func (c *Certificate) Encoding() pki.KeyEncoding {
	k := keyType(c.Spec.PrivateKey)
	switch {
	case c.Spec.PrivateKey != nil && c.Spec.PrivateKey.Encoding == cmapi.PKCS8:
		return pki.PKCS8
	case k.IsRSA():
		return pki.PKCS1
	case k.IsEC():
		return pki.SEC1
	}
	return pki.PKCS8
}

// RotateAlways reports whether every reissue makes a new key.
func (c *Certificate) RotateAlways() bool {
	return c.Spec.PrivateKey == nil || c.Spec.PrivateKey.RotationPolicy != cmapi.RotationPolicyNever
}

// IssuerKey returns the key of the issuer that c refers to, its kind filled in.
func (c *Certificate) IssuerKey() IssuerKey { return issuerKey(c.Namespace, c.Spec.IssuerRef) }

// External reports whether the issuer is of another group than cert-manager's.
func (c *Certificate) External() bool { return external(c.Spec.IssuerRef) }

// Request returns what cert-manager would have certified for r, with its
// issuer's URLs: key, names, name constraints and foreign purposes as in the
// signing request, the rest as in the resource. The error of a signing request
// that cannot be used has the cause [pki.ErrCSR].
func (r *Request) Request(urls pki.URLs) (pki.ExactRequest, error) {
	csr, err := parseCSR(r.Spec.Request)
	if err != nil {
		return pki.ExactRequest{}, fmt.Errorf("spec.request: %w", err)
	}
	e, err := pki.ExactFromCSR(csr)
	if err != nil {
		return pki.ExactRequest{}, fmt.Errorf("spec.request: %w", err)
	}
	e.KeyUsage, e.ExtKeyUsage, err = usages(r.Spec.Usages, r.Spec.IsCA)
	if err != nil {
		return pki.ExactRequest{}, err
	}
	e.CA = r.Spec.IsCA
	e.URLs = urls
	e.Duration = cmapi.DefaultCertificateDuration
	if r.Spec.Duration != nil {
		e.Duration = r.Spec.Duration.Duration
	}
	return e, nil
}

// IssuerKey returns the key of the issuer that r refers to, its kind filled in.
func (r *Request) IssuerKey() IssuerKey { return issuerKey(r.Namespace, r.Spec.IssuerRef) }

// External reports whether the issuer is of another group than cert-manager's.
func (r *Request) External() bool { return external(r.Spec.IssuerRef) }

func issuerKey(namespace string, ref cmmeta.IssuerReference) IssuerKey {
	switch ref.Kind {
	case "":
		return IssuerKey{cmapi.IssuerKind, Key{namespace, ref.Name}}
	case cmapi.ClusterIssuerKind:
		return IssuerKey{ref.Kind, Key{Name: ref.Name}}
	}
	return IssuerKey{ref.Kind, Key{namespace, ref.Name}}
}

func external(ref cmmeta.IssuerReference) bool {
	return ref.Group != "" && ref.Group != certManager
}

func subject(s *cmapi.CertificateSpec) ([]byte, error) {
	if s.LiteralSubject != "" {
		der, err := pki.LiteralSubject(s.LiteralSubject)
		if err != nil {
			return nil, fmt.Errorf("spec.literalSubject: %w", err)
		}
		return der, nil
	}
	n := pkix.Name{CommonName: s.CommonName}
	if x := s.Subject; x != nil {
		n.Country, n.Organization, n.OrganizationalUnit = x.Countries, x.Organizations, x.OrganizationalUnits
		n.Locality, n.Province = x.Localities, x.Provinces
		n.StreetAddress, n.PostalCode, n.SerialNumber = x.StreetAddresses, x.PostalCodes, x.SerialNumber
	}
	der, err := pki.ExactSubject(n)
	if err != nil {
		return nil, fmt.Errorf("spec.subject: %w", err)
	}
	return der, nil
}

// usages returns what the words ask for. None ask for cert-manager's default,
// and some replace it wholly. Purposes stay in their order, repeated ones too.
func usages(words []cmapi.KeyUsage, ca bool) (bits x509.KeyUsage, purposes []x509.ExtKeyUsage, err error) {
	if len(words) == 0 {
		words = cmapi.DefaultKeyUsages()
	}
	if ca {
		bits = x509.KeyUsageCertSign
	}
	for i, w := range words {
		bit, purpose, err := profiles.ParseUsage(string(w))
		switch {
		case err != nil:
			return 0, nil, fmt.Errorf("spec.usages[%d]: %w", i, err)
		case bit != 0:
			bits |= bit
		default:
			purposes = append(purposes, purpose)
		}
	}
	return bits, purposes, nil
}

func duration(s *cmapi.CertificateSpec) time.Duration {
	if s.Duration != nil {
		return s.Duration.Duration
	}
	return cmapi.DefaultCertificateDuration
}

// keyType returns the type of key that is made: RSA of 2048 bits if nothing is
// said. Ed25519 has one size, whatever is said.
func keyType(k *cmapi.CertificatePrivateKey) profiles.KeyType {
	if k == nil {
		return profiles.RSA2048
	}
	size := k.Size
	switch k.Algorithm {
	case cmapi.Ed25519KeyAlgorithm:
		return profiles.Ed25519
	case cmapi.ECDSAKeyAlgorithm:
		if size == 0 {
			size = 256
		}
		return profiles.KeyType("ec-p" + strconv.Itoa(size))
	}
	if size == 0 {
		size = 2048
	}
	return profiles.KeyType("rsa-" + strconv.Itoa(size))
}

// constraints returns nil if nothing is permitted or excluded: an empty
// extension is not written.
func constraints(n *cmapi.NameConstraints) *pki.ExactConstraints {
	if n == nil {
		return nil
	}
	e := pki.ExactConstraints{Critical: n.Critical}
	count := 0
	if p := n.Permitted; p != nil {
		e.PermittedDNS, e.PermittedIPRanges = p.DNSDomains, p.IPRanges
		e.PermittedEmails, e.PermittedURIDomains = p.EmailAddresses, p.URIDomains
		count += len(slices.Concat(p.DNSDomains, p.IPRanges, p.EmailAddresses, p.URIDomains))
	}
	if x := n.Excluded; x != nil {
		e.ExcludedDNS, e.ExcludedIPRanges = x.DNSDomains, x.IPRanges
		e.ExcludedEmails, e.ExcludedURIDomains = x.EmailAddresses, x.URIDomains
		count += len(slices.Concat(x.DNSDomains, x.IPRanges, x.EmailAddresses, x.URIDomains))
	}
	if count == 0 {
		return nil
	}
	return &e
}

// parseCSR reads spec.request, which has to be PEM.
func parseCSR(data []byte) (*x509.CertificateRequest, error) {
	if block, _ := pem.Decode(data); block == nil {
		return nil, fmt.Errorf("%w: it is no PEM", pki.ErrCSR)
	}
	return pki.ParseCSR(data)
}

var errOID = errors.New("is no object identifier, such as 1.3.6.1.4.1.311.20.2.3")

// parseOID reads dotted integers that DER can hold (X.660 section 7.6).
func parseOID(s string) (asn1.ObjectIdentifier, error) {
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q %w", s, errOID)
		}
		id = append(id, n)
	}
	if len(id) < 2 || id[0] > 2 || id[0] < 2 && id[1] >= 40 {
		return nil, fmt.Errorf("%q %w", s, errOID)
	}
	return id, nil
}
