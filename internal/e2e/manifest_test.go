package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// secrets are those of a manifest, by namespace and name.
type secrets map[string]*corev1.Secret

func manifestPath(name string) string {
	return filepath.Join("..", "..", "testdata", "manifests", name)
}

func readManifest(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(manifestPath(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// apply applies a manifest of the project's, as it stands, and returns the
// Secrets that it streams.
func (s *shell) apply(t *testing.T, manifest, flags string) secrets {
	t.Helper()
	path, err := filepath.Abs(manifestPath(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return parseSecrets(t, s.ok(t, "mtlsctl apply --out - "+flags+" -f", path))
}

// parseSecrets reads what is streamed as a Kubernetes client does.
func parseSecrets(t *testing.T, out output) secrets {
	t.Helper()
	all := secrets{}
	for _, document := range strings.Split("\n"+out.stdout, "\n---\n")[1:] {
		secret := new(corev1.Secret)
		if err := yaml.UnmarshalStrict([]byte(document), secret); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if secret.APIVersion != "v1" || secret.Kind != "Secret" {
			t.Fatalf("apply streams a %s %s", secret.APIVersion, secret.Kind)
		}
		name := secret.Namespace + "/" + secret.Name
		if all[name] != nil {
			t.Errorf("apply streams %s twice", name)
		}
		all[name] = secret
	}
	return all
}

// mount writes a Secret into a folder as a kubelet does: the files are links, and
// what they lead to is exchanged at once.
func (s *shell) mount(t *testing.T, all secrets, name, at string) folder {
	t.Helper()
	secret := all[name]
	if secret == nil {
		t.Fatalf("no Secret %s", name)
	}
	const version = "..2026_11_22_00_00_00.1"
	if err := os.MkdirAll(s.path(at, version), 0o700); err != nil {
		t.Fatal(err)
	}
	link := func(target, name string) {
		if err := os.Symlink(target, s.path(at, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(version, "..data")
	for key, data := range secret.Data {
		s.write(t, at+"/"+version+"/"+key, data)
		link("..data/"+key, key)
	}
	return folder(at)
}

// leaf returns the certificate of a Secret.
func (all secrets) leaf(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(all[name].Data[corev1.TLSCertKey])
	if block == nil {
		t.Fatalf("no certificate in the Secret %s", name)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serial is as nginx writes it.
func serial(c *x509.Certificate) string { return fmt.Sprintf("%X", c.SerialNumber.Bytes()) }

// curlTo is curl that looks at an address for the server of a name, and trusts
// what a Secret says.
func curlTo(name, address string, trusted folder) (line, url string) {
	_, port, _ := strings.Cut(address, ":")
	return "curl -sS --max-time 60 --cacert " + trusted.ca() + " --resolve " + name + ":" + port + ":127.0.0.1 ",
		"https://" + name + ":" + port
}
