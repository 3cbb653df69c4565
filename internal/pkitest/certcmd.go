package pkitest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// CheckCertificate is the `cert` command of the test scripts. The first of args
// names a file of one certificate or a chain, in PEM or DER; the others say what
// must be true of the certificate, each as key=value. The error says what is not,
// and what was found. testdata/script/README.md lists the keys.
func CheckCertificate(read func(file string) ([]byte, error), args []string) error {
	if len(args) < 2 {
		return errors.New("usage: cert FILE KEY=VALUE [KEY=VALUE]")
	}
	certs, err := readCertificates(read, args[0])
	if err != nil {
		return err
	}
	check := &certCheck{read: read, certs: certs, c: certs[0]}
	var errs []error
	for _, arg := range args[1:] {
		key, want, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not KEY=VALUE", arg)
		}
		if err := check.one(key, want); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", args[0], err))
		}
	}
	if len(errs) > 0 {
		errs = append(errs, fmt.Errorf("found:%s", describe(check.c)))
	}
	return errors.Join(errs...)
}

type certCheck struct {
	read  func(file string) ([]byte, error)
	certs []*x509.Certificate
	c     *x509.Certificate // the one that is meant, see "index"
}

// one checks one KEY=VALUE.
func (t *certCheck) one(key, want string) error {
	c := t.c
	switch key {
	case "index":
		i, err := strconv.Atoi(want)
		if err != nil || i < 0 || i >= len(t.certs) {
			return fmt.Errorf("index %s: there are %d certificates", want, len(t.certs))
		}
		t.c = t.certs[i]
		return nil
	case "issuer":
		return t.signedBy(want)
	case "keymatch":
		return t.hasKey(want)
	case "dns", "ip", "email", "uri", "spiffe":
		if name := key + ":" + want; !slices.Contains(sanWords(c), name) {
			return fmt.Errorf("%s is not among its names, %s", name, list(sanWords(c)))
		}
		return nil
	case "chain":
		if err := t.linked(); err != nil {
			return err
		}
		key = "count"
	}
	is, err := fact(t.certs, c, key)
	if err != nil {
		return err
	}
	if is != want {
		return fmt.Errorf("%s is %q, not %q", key, is, want)
	}
	return nil
}

// fact returns what a certificate says about key.
func fact(certs []*x509.Certificate, c *x509.Certificate, key string) (string, error) {
	switch key {
	case "count":
		return strconv.Itoa(len(certs)), nil
	case "sans":
		return list(sanWords(c)), nil
	case "san-critical":
		return criticality(c, "2.5.29.17"), nil
	case "constraints-critical":
		return criticality(c, "2.5.29.30"), nil
	case "ca-critical":
		return criticality(c, "2.5.29.19"), nil
	case "cn":
		return c.Subject.CommonName, nil
	case "subject":
		return c.Subject.String(), nil
	case "issuer-name":
		return c.Issuer.String(), nil
	case "eku":
		return list(ekuWords(c)), nil
	case "ku":
		return list(kuWords(c)), nil
	case "ca":
		return strconv.FormatBool(c.BasicConstraintsValid && c.IsCA), nil
	case "pathlen":
		if c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero {
			return strconv.Itoa(c.MaxPathLen), nil
		}
		return "none", nil
	case "key":
		kt, err := pki.KeyTypeOf(c.PublicKey)
		return string(kt), err
	case "sigalg":
		return c.SignatureAlgorithm.String(), nil
	case "serial-bytes":
		return strconv.Itoa(len(c.SerialNumber.Bytes())), nil
	case "days":
		return days(c.NotAfter.Sub(c.NotBefore)), nil
	case "notbefore":
		return c.NotBefore.UTC().Format(time.RFC3339), nil
	case "notafter":
		return c.NotAfter.UTC().Format(time.RFC3339), nil
	case "permitted", "excluded":
		permit, exclude := pki.ConstraintsOf(c)
		if key == "excluded" {
			permit = exclude
		}
		var words []string
		for _, p := range permit {
			words = append(words, p.String())
		}
		return list(words), nil
	case "crl":
		return list(c.CRLDistributionPoints), nil
	case "aia":
		return list(c.IssuingCertificateURL), nil
	case "ocsp":
		return list(c.OCSPServer), nil
	}
	return "", fmt.Errorf("cert knows no key %q", key)
}

// signedBy checks the signature, the names and the key identifiers.
func (t *certCheck) signedBy(file string) error {
	issuers, err := readCertificates(t.read, file)
	if err != nil {
		return err
	}
	p := issuers[0]
	switch err := t.c.CheckSignatureFrom(p); {
	case err != nil:
		return fmt.Errorf("not signed by %s (%s): %w", file, p.Subject, err)
	case !bytes.Equal(t.c.RawIssuer, p.RawSubject):
		return fmt.Errorf("its issuer is %s, and %s is %s", t.c.Issuer, file, p.Subject)
	case !bytes.Equal(t.c.AuthorityKeyId, p.SubjectKeyId):
		return fmt.Errorf("its authority key identifier is %x, and the key of %s is %x", t.c.AuthorityKeyId, file, p.SubjectKeyId)
	}
	return nil
}

// linked checks that each certificate is signed by the next.
func (t *certCheck) linked() error {
	for i, c := range t.certs[:len(t.certs)-1] {
		if err := c.CheckSignatureFrom(t.certs[i+1]); err != nil {
			return fmt.Errorf("certificate %d, %s, is not signed by the next, %s: %w", i, c.Subject, t.certs[i+1].Subject, err)
		}
	}
	return nil
}

// hasKey checks that a file holds the certificate's private key.
func (t *certCheck) hasKey(file string) error {
	data, err := t.read(file)
	if err != nil {
		return err
	}
	key, err := pki.ParseKey(data, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !pki.SamePublicKey(key.Public(), t.c.PublicKey) {
		return fmt.Errorf("%s holds another key", file)
	}
	return nil
}

func readCertificates(read func(string) ([]byte, error), file string) ([]*x509.Certificate, error) {
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block == nil {
		c, err := x509.ParseCertificate(data)
		if err != nil {
			return nil, fmt.Errorf("%s: neither PEM nor a certificate in DER: %w", file, err)
		}
		return []*x509.Certificate{c}, nil
	}
	certs, err := pki.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return certs, nil
}

// describe says what a certificate is, for an error.
func describe(c *x509.Certificate) string {
	var b strings.Builder
	for _, key := range []string{"subject", "issuer-name", "sans", "eku", "ku", "ca", "pathlen", "key", "notbefore", "notafter", "days", "permitted", "excluded", "crl", "aia", "ocsp"} {
		is, err := fact(nil, c, key)
		if err != nil {
			is = err.Error()
		}
		if is != "" {
			fmt.Fprintf(&b, "\n  %s=%s", key, is)
		}
	}
	return b.String()
}

// sanWords returns the names in the order of the certificate's kinds. It reads
// the certificate itself, so that pki is not its own judge.
func sanWords(c *x509.Certificate) (words []string) {
	for _, n := range c.DNSNames {
		words = append(words, "dns:"+n)
	}
	for _, n := range c.EmailAddresses {
		words = append(words, "email:"+n)
	}
	for _, n := range c.IPAddresses {
		words = append(words, "ip:"+n.String())
	}
	for _, n := range c.URIs {
		words = append(words, uriKind(n)+":"+n.String())
	}
	return words
}

func uriKind(u *url.URL) string {
	if u.Scheme == "spiffe" {
		return string(profiles.KindSPIFFE)
	}
	return string(profiles.KindURI)
}

// kuWords returns the bits of the key usage by their names in RFC 5280 section
// 4.2.1.3.
func kuWords(c *x509.Certificate) (words []string) {
	for i, name := range []string{
		"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement",
		"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	} {
		if c.KeyUsage&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return words
}

// ekuWords returns the purposes by their names in RFC 5280 section 4.2.1.12.
func ekuWords(c *x509.Certificate) (words []string) {
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageServerAuth:
			words = append(words, "serverAuth")
		case x509.ExtKeyUsageClientAuth:
			words = append(words, "clientAuth")
		case x509.ExtKeyUsageCodeSigning:
			words = append(words, "codeSigning")
		case x509.ExtKeyUsageEmailProtection:
			words = append(words, "emailProtection")
		default:
			words = append(words, fmt.Sprintf("purpose-%d", u))
		}
	}
	for _, u := range c.UnknownExtKeyUsage {
		words = append(words, u.String())
	}
	return words
}

// criticality says whether an extension is critical: true, false, or absent.
func criticality(c *x509.Certificate, oid string) string {
	for _, e := range c.Extensions {
		if e.Id.String() == oid {
			return strconv.FormatBool(e.Critical)
		}
	}
	return "absent"
}

// days writes a lifetime in days, and what is left over as Go does.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return strconv.Itoa(int(d / day))
	}
	return fmt.Sprintf("%d+%s", d/day, d%day)
}

func list(words []string) string { return strings.Join(words, ",") }
