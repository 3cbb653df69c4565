package export

import (
	"github.com/mtlsctl/mtlsctl/pki"
)

// ConfigMap writes a Kubernetes ConfigMap with the roots in ca.crt: what the
// Gateway API names in its caCertificateRefs, and what pods mount to verify
// others. There is never a key in it. The file is called after the ConfigMap,
// and the same bundle gives the same bytes.
//
// Names and labels are held to the rules of the API server; a breach is an
// [*OptionError]. A bundle without roots is [ErrNoRoots].
type ConfigMap struct {
	Name        string // a DNS subdomain (RFC 1123); [SecretName] makes one of any name
	Namespace   string // a DNS label (RFC 1123); empty: where it is applied
	Labels      map[string]string
	Annotations map[string]string
	// JSON writes JSON instead of YAML.
	JSON bool
	// Shape is the layout of a consumer, and CRLs (PEM) what is revoked. Without
	// a layout the CRLs are in ca.crl.
	Shape `json:"-"`
}

type configMapObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   secretMeta        `json:"metadata"`
	Data       map[string]string `json:"data"`
}

// Export implements [Format].
func (f ConfigMap) Export(b *pki.Bundle) ([]File, error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	o := configMapObject{"v1", "ConfigMap", secretMeta{f.Name, f.Namespace, f.Labels, f.Annotations}, map[string]string{}}
	if err := o.Metadata.check(leafName(b)); err != nil {
		return nil, err
	}
	l := f.layout(caSecret)
	items, err := l.fill(b, f.CRLs)
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		o.Data[i.Name] = string(i.Data)
	}
	if err := checkSize(o.Kind, o.Data); err != nil {
		return nil, err
	}
	data, err := marshalObject(o, f.JSON)
	return []File{{secretFile(f.Name, f.JSON), data, false}}, err
}

// WithShape implements [Shaped].
func (f ConfigMap) WithShape(s Shape) Format {
	f.Shape = s
	if f.Name == "" {
		f.Name = s.Object
	}
	return f
}
