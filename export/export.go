package export

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// A File is one file of an export.
type File struct {
	Name    string // without a folder
	Data    []byte
	Private bool // it holds a private key: mode 0600
}

// A Format turns a bundle into files. The bundle is not changed. Which errors
// there are is said by each format; a bundle without a certificate is refused
// by all.
type Format interface {
	Export(b *pki.Bundle) ([]File, error)
}

// An Entry is a format as it is found by name.
type Entry struct {
	Name    string // as in `mtlsctl export NAME`
	Summary string // one line, without a full stop
	Format  Format // with its default options
	// Again: its options hold no secret and are all that it needs beside the bundle,
	// so that they can be kept, to write the same of the next certificate.
	Again bool
}

// Formats returns all formats, in the order in which help lists them.
func Formats() []Entry {
	return []Entry{
		{"pem", "PEM or DER files: tls.crt, tls.key, ca.crt, or all in one", PEM{}, true},
		{"secret", "a Kubernetes Secret for TLS, as YAML or JSON", Secret{}, true},
		{"configmap", "a Kubernetes ConfigMap with the root, as YAML or JSON", ConfigMap{}, true},
		{"p12", "a PKCS#12 file for browsers, operating systems and Java", P12{}, false},
		{"jks", "a Java KeyStore of the old kind, with the key", JKS{}, false},
		{"truststore", "a truststore for Java, with the root: PKCS#12 or JKS", Truststore{}, true},
		{"kubeconfig", "a kubeconfig with the certificate as user, new or merged", Kubeconfig{}, true},
		{"spiffe-bundle", "the roots as the bundle of a SPIFFE trust domain", SPIFFEBundle{}, true},
		{"crl", "the CRL of an authority, as it was published last", CRL{}, true},
		{"apisix", "the JSON for APISIX's Admin API", APISIX{}, true},
		{"issuer", "a cert-manager Issuer with the key of an authority", Issuer{}, true},
		{"mobileconfig", "a configuration profile for iPhone, iPad and Mac", MobileConfig{}, true},
		{"env", "variables for CI, in base64", Env{}, true},
	}
}

// Find returns the format called name, or an error that lists those there are.
func Find(name string) (Entry, error) {
	var names []string
	for _, e := range Formats() {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Entry{}, fmt.Errorf("unknown format %q: there are %s", name, strings.Join(names, ", "))
}

// Reasons why a bundle does not fit a format.
var (
	ErrNoCertificate = errors.New("the bundle has no certificate")
	ErrNoKey         = errors.New("the bundle has no private key")
	ErrNoRoots       = errors.New("the bundle has no root certificate")
	ErrNoCRL         = errors.New("there is no CRL")
	ErrDamagedCRL    = errors.New("the CRL is damaged: it is not PEM")
)

// An OptionError says which option of a format cannot be taken.
type OptionError struct {
	Option     string // the word for it, also its flag's: name, namespace, label, annotation, for, encoding, ...
	Value      string // as given; empty if it is missing or secret
	Problem    string // what is wrong with it
	Suggestion string // a value that would be taken; empty if there is no good one
}

func (e *OptionError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %s", e.Option, e.Problem)
	}
	return fmt.Sprintf("%s %q: %s", e.Option, e.Value, e.Problem)
}

// leafName is what a certificate is called when nobody says: its common name,
// else its first subject alternative name.
func leafName(b *pki.Bundle) string {
	leaf := b.Leaf()
	if leaf.Subject.CommonName != "" {
		return leaf.Subject.CommonName
	}
	if sans := pki.SANsOf(leaf); len(sans) > 0 {
		return sans[0].Value()
	}
	return "certificate"
}
