package export

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// The kinds of cert-manager's issuers.
const (
	KindIssuer        = "Issuer"
	KindClusterIssuer = "ClusterIssuer"
)

// clusterNamespace is where cert-manager, as its chart installs it, looks for the
// Secret of a ClusterIssuer.
const clusterNamespace = "cert-manager"

// Issuer writes what lets cert-manager sign with an authority: a Secret with its
// certificate and key, and the Issuer that names it, as two YAML documents for
// `kubectl apply -f -`. The file is called after the Issuer.
//
// ca.crt of the Secret begins with the root above the authority, since
// cert-manager takes the first of it alone, and puts that into the ca.crt of what
// it signs (gh/cert-manager/cert-manager pkg/util/kube/pki.go). A bundle without
// it is refused.
//
// The bundle has to be an authority's ([ErrNoAuthority]), with its key
// ([ErrNoKey]). Names that Kubernetes does not allow, a kind that is none, and a
// URL that nobody can fetch are an [*OptionError].
type Issuer struct {
	Kind       string // [KindIssuer], which empty means too, or [KindClusterIssuer]
	Name       string // a DNS subdomain (RFC 1123)
	Namespace  string // a DNS label; empty: where it is applied, of a ClusterIssuer's Secret cert-manager
	SecretName string // empty: Name
	// URLs go into what cert-manager signs.
	URLs pki.URLs
}

// ErrNoAuthority says that a certificate cannot sign others.
var ErrNoAuthority = errors.New("that is no certificate of an authority")

// issuerObject is a v1 Issuer or ClusterIssuer of cert-manager.
type issuerObject struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   secretMeta `json:"metadata"`
	Spec       struct {
		CA issuerCA `json:"ca"`
	} `json:"spec"`
}

// issuerCA has the names of CAIssuer in cert-manager's pkg/apis/certmanager/v1.
type issuerCA struct {
	SecretName string   `json:"secretName"`
	CRL        []string `json:"crlDistributionPoints,omitempty"`
	OCSP       []string `json:"ocspServers,omitempty"`
	AIA        []string `json:"issuingCertificateURLs,omitempty"`
}

// Export implements [Format].
func (f Issuer) Export(b *pki.Bundle) ([]File, error) {
	switch {
	case len(b.Chain) == 0:
		return nil, ErrNoCertificate
	case !b.Leaf().IsCA:
		return nil, ErrNoAuthority
	case b.Key == nil:
		return nil, fmt.Errorf("an Issuer signs with the key of the authority: %w", ErrNoKey)
	}
	o := issuerObject{APIVersion: "cert-manager.io/v1", Kind: f.Kind, Metadata: secretMeta{Name: f.Name, Namespace: f.Namespace}}
	o.Spec.CA = issuerCA{f.SecretName, f.URLs.CRL, f.URLs.OCSP, f.URLs.AIA}
	if f.SecretName == "" {
		o.Spec.CA.SecretName = f.Name
	}
	s := secretObject{
		APIVersion: "v1", Kind: "Secret", Type: "kubernetes.io/tls",
		Metadata: secretMeta{Name: o.Spec.CA.SecretName, Namespace: f.Namespace},
	}
	switch f.Kind {
	case "", KindIssuer:
		o.Kind = KindIssuer
	case KindClusterIssuer:
		o.Metadata.Namespace = ""
		if s.Metadata.Namespace == "" {
			s.Metadata.Namespace = clusterNamespace
		}
	default:
		suggested := ""
		for _, k := range []string{KindIssuer, KindClusterIssuer} {
			if strings.EqualFold(k, f.Kind) {
				suggested = k
			}
		}
		return nil, &OptionError{"kind", f.Kind, "it is " + KindIssuer + " or " + KindClusterIssuer, suggested}
	}
	if err := f.check(o, s, leafName(b)); err != nil {
		return nil, err
	}
	roots, err := rootsOfChain(b)
	if err != nil {
		return nil, err
	}
	key, err := b.KeyPEM()
	if err != nil {
		return nil, err
	}
	s.Data = map[string][]byte{"tls.crt": b.ChainPEM(), "tls.key": key, "ca.crt": roots}
	if err := s.checkSize(); err != nil {
		return nil, err
	}
	out, err := s.marshal(false)
	if err != nil {
		return nil, err
	}
	issuer, err := marshalObject(o, false)
	if err != nil {
		return nil, err
	}
	out = append(append(out, "---\n"...), issuer...)
	return []File{{secretFile(f.Name, false), out, true}}, nil
}

// check holds names and URLs to their rules.
func (f Issuer) check(o issuerObject, s secretObject, authority string) error {
	if err := o.Metadata.check(authority); err != nil {
		return err
	}
	if err := s.Metadata.check(authority); err != nil {
		var e *OptionError
		if errors.As(err, &e) && e.Option == "name" {
			e.Option = "secret-name"
		}
		return err
	}
	var e *pki.URLError
	if err := f.URLs.Check(); errors.As(err, &e) {
		option := map[string]string{"CRL": "crl-url", "AIA": "aia-url", "OCSP": "ocsp-url"}[e.Field]
		return &OptionError{option, e.Value, e.Problem, ""}
	}
	return nil
}

// rootsOfChain returns the roots as PEM, the one above the chain first.
func rootsOfChain(b *pki.Bundle) ([]byte, error) {
	top := b.Chain[len(b.Chain)-1]
	for i, root := range b.Roots {
		if root.Equal(top) || pki.SignedBy(top, root) == pki.SignatureGood {
			sorted := *b
			sorted.Roots = append(append(b.Roots[i:i+1:i+1], b.Roots[:i]...), b.Roots[i+1:]...)
			return sorted.RootsPEM(), nil
		}
	}
	return nil, fmt.Errorf("cert-manager has to know what signed %s: %w", pki.FormatName(top.RawSubject), ErrNoRoots)
}
