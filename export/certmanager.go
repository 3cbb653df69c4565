package export

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A CertManagerSecret is the Secret that cert-manager writes for a Certificate:
// the same data, type, labels and annotations (cert-manager v1.21). cert-manager
// that finds it takes it for its own.
//
//   - tls.key, in the bundle's encoding; tls.crt, the chain
//   - ca.crt, the first of the bundle's roots and no other; absent without one
//   - key.der, tls-combined.pem, and the keystores, if they are asked for
type CertManagerSecret struct {
	Name, Namespace string // by the rules of the API server
	Certificate     string // the Certificate's name; empty: no annotation
	// The issuer as written in issuerRef: what was left out there is empty here.
	// All empty: no annotations.
	IssuerName, IssuerKind, IssuerGroup string
	// Labels and Annotations are those of secretTemplate. cert-manager's own win
	// over them.
	Labels, Annotations map[string]string
	// DER adds key.der, the DER of tls.key; CombinedPEM adds tls-combined.pem:
	// tls.key, an empty line, tls.crt.
	DER, CombinedPEM bool
	// PKCS12 and JKS add keystore and truststore; nil: none.
	PKCS12, JKS *Keystore
}

// Export returns the Secret as one file, called after it: name.yaml or
// name.json.
//
// Errors: [ErrNoCertificate], [ErrNoKey], a key that does not fit the bundle's
// encoding, an [*OptionError] for a name, label or annotation that the API
// server refuses and for a keystore that cannot be made, and a Secret of more
// than 1 MiB. Whatever fails, nothing is written: cert-manager, too, holds back
// the whole Secret for one keystore.
func (s *CertManagerSecret) Export(b *pki.Bundle, asJSON bool) (File, error) {
	o, err := s.object(b)
	if err != nil {
		return File{}, err
	}
	var data []byte
	if asJSON {
		data, err = o.marshal(true)
	} else {
		data = o.appendYAML(make([]byte, 0, o.sizeHint()))
	}
	return File{secretFile(s.Name, asJSON), data, true}, err
}

// Append appends the Secret to a stream of them: a YAML document that begins
// with the line "---", or a JSON object in one line. The errors are those of
// [CertManagerSecret.Export]; with one, dst is returned as it was.
func (s *CertManagerSecret) Append(dst []byte, b *pki.Bundle, asJSON bool) ([]byte, error) {
	o, err := s.object(b)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, o.sizeHint())
	if asJSON {
		return o.appendJSON(dst)
	}
	return o.appendYAML(append(dst, "---\n"...)), nil
}

// object makes the Secret, which is then known to be one.
func (s *CertManagerSecret) object(b *pki.Bundle) (secretObject, error) {
	o := secretObject{APIVersion: "v1", Kind: "Secret", Type: "kubernetes.io/tls"}
	if len(b.Chain) == 0 {
		return o, ErrNoCertificate
	}
	// Of what is added to the template nothing can be wrong but the size.
	if err := (secretMeta{s.Name, s.Namespace, s.Labels, s.Annotations}).check(s.Certificate); err != nil {
		return o, err
	}
	o.Metadata = secretMeta{s.Name, s.Namespace, s.labels(), s.annotations(b.Leaf())}
	if err := checkAnnotations(o.Metadata.Annotations); err != nil {
		return o, err
	}
	var err error
	if o.Data, err = s.data(b); err != nil {
		return o, err
	}
	return o, o.checkSize()
}

func (s *CertManagerSecret) data(b *pki.Bundle) (map[string][]byte, error) {
	if b.Key == nil {
		return nil, fmt.Errorf("cert-manager's Secret holds certificate and key: %w", ErrNoKey)
	}
	key, err := b.KeyPEM()
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{"tls.key": key, "tls.crt": certificatesPEM(b.Chain)}
	var ca *x509.Certificate
	if len(b.Roots) > 0 {
		ca = b.Roots[0]
		data["ca.crt"] = certificatesPEM(b.Roots[:1])
	}
	if s.DER {
		block, _ := pem.Decode(key)
		data["key.der"] = block.Bytes
	}
	if s.CombinedPEM {
		data["tls-combined.pem"] = bytes.Join([][]byte{key, data["tls.crt"]}, []byte("\n"))
	}
	if s.PKCS12 != nil {
		if err := s.PKCS12.addP12(data, b, ca); err != nil {
			return nil, fmt.Errorf("keystore pkcs12: %w", err)
		}
	}
	if s.JKS != nil {
		if err := s.JKS.addJKS(data, b, ca); err != nil {
			return nil, fmt.Errorf("keystore jks: %w", err)
		}
	}
	return data, nil
}

// sizeHint is about how long the object is when it is written.
func (o secretObject) sizeHint() int {
	n := 512
	for _, v := range o.Data {
		n += 32 + base64.StdEncoding.EncodedLen(len(v))
	}
	for k, v := range o.Metadata.Annotations {
		n += 8 + len(k) + len(v)
	}
	return n
}

// certificatesPEM writes what [pki.MarshalCertificates] does, and takes a
// quarter of the time: it is written for each of 100,000 Secrets.
func certificatesPEM(certs []*x509.Certificate) []byte {
	const (
		begin = "-----BEGIN CERTIFICATE-----\n"
		end   = "-----END CERTIFICATE-----\n"
		line  = 48 // bytes, which make 64 characters (RFC 7468 section 2)
	)
	n := 0
	for _, c := range certs {
		n += len(begin) + base64.StdEncoding.EncodedLen(len(c.Raw)) + len(c.Raw)/line + 1 + len(end)
	}
	out := make([]byte, 0, n)
	for _, c := range certs {
		out = append(out, begin...)
		for chunk := range slices.Chunk(c.Raw, line) {
			out = append(base64.StdEncoding.AppendEncode(out, chunk), '\n')
		}
		out = append(out, end...)
	}
	return out
}
