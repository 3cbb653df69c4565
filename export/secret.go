package export

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/pki"
)

// Limits that the API server sets.
const (
	maxSecret      = 1 << 20   // bytes of data in a Secret
	maxAnnotations = 256 << 10 // bytes of annotations, keys and values together
)

// Secret writes a Kubernetes Secret of type kubernetes.io/tls, with tls.crt
// (the certificate and its chain), tls.key and ca.crt: what cert-manager
// writes. The file is called after the Secret, and the same bundle gives the
// same bytes.
//
// Names and labels are held to the rules of the API server; a breach is an
// [*OptionError]. Such a Secret cannot be without a key ([ErrNoKey]).
type Secret struct {
	Name        string // a DNS subdomain (RFC 1123); [SecretName] makes one of any name
	Namespace   string // a DNS label (RFC 1123); empty: where it is applied
	Labels      map[string]string
	Annotations map[string]string
	// JSON writes JSON instead of YAML.
	JSON bool
	// CAOnly writes an Opaque Secret with just ca.crt, for whoever only verifies.
	CAOnly bool
	// Shape is the layout of a consumer in place of those, and CRLs (PEM) what is
	// revoked. Without a layout the CRLs are in ca.crl.
	Shape `json:"-"`
}

// secretObject is the part of a v1 Secret that is written. The API's own type
// costs more start-up time than all the rest of an export.
type secretObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   secretMeta        `json:"metadata"`
	Type       string            `json:"type"`
	Data       map[string][]byte `json:"data"`
}

type secretMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// The layouts of Secrets that no consumer has a word in.
var (
	tlsSecret = Layout{item("tls.crt", Chain), item("tls.key", Key), maybe("ca.crt", Roots), maybe("ca.crl", CRLs)}
	caSecret  = Layout{item("ca.crt", Roots), maybe("ca.crl", CRLs)}
)

// Export implements [Format].
func (f Secret) Export(b *pki.Bundle) ([]File, error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	l := tlsSecret
	if f.CAOnly {
		l = caSecret
	}
	l = f.layout(l)
	o := secretObject{
		APIVersion: "v1",
		Kind:       "Secret",
		Metadata:   secretMeta{f.Name, f.Namespace, f.Labels, f.Annotations},
		Type:       "Opaque",
		Data:       map[string][]byte{},
	}
	if err := o.Metadata.check(leafName(b)); err != nil {
		return nil, err
	}
	if b.Key == nil && l.Has(Key) && len(f.Layout) == 0 {
		return nil, fmt.Errorf("a Secret of type kubernetes.io/tls holds certificate and key: %w", ErrNoKey)
	}
	items, err := l.fill(b, f.CRLs)
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		o.Data[i.Name] = i.Data
	}
	if o.Data["tls.crt"] != nil && o.Data["tls.key"] != nil {
		o.Type = "kubernetes.io/tls"
	}
	if err := o.checkSize(); err != nil {
		return nil, err
	}
	data, err := o.marshal(f.JSON)
	if err != nil {
		return nil, err
	}
	return []File{{secretFile(f.Name, f.JSON), data, l.Has(Key)}}, nil
}

// WithShape implements [Shaped].
func (f Secret) WithShape(s Shape) Format {
	f.Shape = s
	if f.Name == "" {
		f.Name = s.Object
	}
	return f
}

// secretFile returns the file's name of a Secret's.
func secretFile(name string, asJSON bool) string {
	if asJSON {
		return name + ".json"
	}
	return name + ".yaml"
}

// checkSize holds the data of an object to the API server's limit.
func checkSize[T ~string | ~[]byte](kind string, data map[string]T) error {
	size := 0
	for _, v := range data {
		size += len(v)
	}
	if size > maxSecret {
		return fmt.Errorf("a %s holds %d bytes at most, and this one would have %d", kind, maxSecret, size)
	}
	return nil
}

func (o secretObject) checkSize() error { return checkSize(o.Kind, o.Data) }

func (o secretObject) marshal(asJSON bool) ([]byte, error) { return marshalObject(o, asJSON) }

// marshalObject writes a Kubernetes object as YAML or as indented JSON.
func marshalObject(o any, asJSON bool) ([]byte, error) {
	if !asJSON {
		return yaml.Marshal(o)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(o)
	return out.Bytes(), err
}

// appendJSON appends the object in one line.
func (o secretObject) appendJSON(dst []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}
