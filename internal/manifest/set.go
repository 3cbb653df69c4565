// Package manifest reads Kubernetes YAML and JSON and makes of it what is wanted:
// the certificates, issuers and Secrets that cert-manager's resources describe.
// Whatever cert-manager's admission would refuse is a problem here, with file,
// line, document, object and field path; all problems are reported together.
package manifest

import (
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
)

// A Key names an object; of one without a namespace, such as a ClusterIssuer,
// Namespace is empty.
type Key struct{ Namespace, Name string }

// String returns NAMESPACE/NAME, or NAME.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// An Origin says where an object stands.
type Origin struct {
	File     string // as given; "standard input" for -
	Line     int    // of the object's first line, from 1
	Document int    // in the file, from 1
	Kind     string
	Key
}

// A Set is what the manifests ask for, with every object checked by itself. How
// they hang together is the plan's to find out.
type Set struct {
	Certificates []*Certificate // in the order read; those of Ingresses and Gateways too
	Requests     []*Request
	Issuers      map[IssuerKey]*Issuer
	Secrets      map[Key]*Secret
	References   []Reference
	Passed       map[string]int // how many objects of a kind were passed over, by "Kind" or "Kind.group"
	Warnings     []Warning
}

// A Certificate is one Certificate resource, or what stands for it in an
// Ingress or a Gateway (then Origin is theirs, but for the name).
type Certificate struct {
	Origin
	Annotations map[string]string // of a Certificate; those of an Ingress or a Gateway are in Spec
	Spec        cmapi.CertificateSpec
}

// A Request is one CertificateRequest.
type Request struct {
	Origin
	Labels, Annotations map[string]string
	Spec                cmapi.CertificateRequestSpec
	// Denied says that its status has the condition Denied, which is final.
	Denied bool
}

// An IssuerKey names an issuer. Kind is Issuer or ClusterIssuer, whose Namespace
// is empty.
type IssuerKey struct {
	Kind string
	Key
}

// An Issuer is an Issuer or a ClusterIssuer.
type Issuer struct {
	Origin
	Spec cmapi.IssuerSpec
}

// A Secret is one that the input brings along.
type Secret struct {
	Origin
	Type        string
	Labels      map[string]string
	Annotations map[string]string
	Data        map[string][]byte // data and stringData
}

// A Reference is a place in another object that mounts or names a Secret.
type Reference struct {
	Origin
	Path   string // field path, as in spec.volumes[0].secret.secretName
	Line   int
	Secret Key
	// Key is the key of the Secret that is used; empty if all of it is.
	DataKey string
}

// A Warning is about what cert-manager accepts and somebody will stumble over.
type Warning struct {
	Origin
	Path string // field path; empty if the whole object is meant
	Line int    // of the field; 0 if unknown
	Text string // a sentence without a full stop
}

// KeystorePassword returns the password of a keystore of c: the literal one, or
// else the bytes that a Secret of the input has for it; nil if there is none.
func (s *Set) KeystorePassword(c *Certificate, literal *string, ref cmmeta.SecretKeySelector) []byte {
	if literal != nil {
		return []byte(*literal)
	}
	if secret, ok := s.Secrets[Key{c.Namespace, ref.Name}]; ok {
		return secret.Data[ref.Key]
	}
	return nil
}
