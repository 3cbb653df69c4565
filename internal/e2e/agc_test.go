package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestAGC is Microsoft's guide to Application Gateway for Containers with client
// certificates, without Azure: nginx stands in for the gateway, with what is in
// the Secrets and nothing else.
func TestAGC(t *testing.T) {
	t.Parallel()
	s := newShell(t, "nginx", "curl", "openssl")
	subject := []string{"--country", "US", "--province", "North Dakota", "--locality", "Fargo", "--org", "Contoso"}
	s.ok(t, "mtlsctl init-ca --root-only --cn contoso-root --key rsa-2048 --validity 1024d", subject...)
	// The key of the one is made by openssl, of the other by mtlsctl.
	s.ok(t, "openssl req -new -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj", "/C=US/ST=North Dakota/L=Fargo/O=Contoso/CN=contoso-client")
	// Who signs says what the subject is, but for the common name.
	s.ok(t, "mtlsctl issue client contoso-client --csr client.csr --validity 1024d", subject...)
	s.ok(t, "mtlsctl issue client contoso-flags --key rsa-2048 --validity 1024d", subject...)
	s.ok(t, "mtlsctl issue server listener localhost 127.0.0.1")
	s.ok(t, "mtlsctl crl")
	// They are made after the root, and end with it.
	for _, name := range []string{"contoso-client", "contoso-flags"} {
		if root, client := s.notAfter(t, ca), s.notAfter(t, crt(name)); !client.Equal(root) {
			t.Errorf("%s ends at %v, the root at %v", name, client, root)
		}
	}

	const dn = "subject=C = US, ST = North Dakota, L = Fargo, O = Contoso, CN = "
	for _, c := range []struct{ file, cn string }{{ca, "contoso-root"}, {crt("contoso-client"), "contoso-client"}, {crt("contoso-flags"), "contoso-flags"}} {
		out := s.ok(t, "openssl x509 -noout -text -subject -nameopt oneline -in "+c.file)
		out.mustSay(t, dn+c.cn+"\n", "Public-Key: (2048 bit)", "Signature Algorithm: sha256WithRSAEncryption")
		s.ok(t, "openssl verify -x509_strict -CAfile "+ca+" "+c.file)
	}

	// Steps 3 and 4 of the guide.
	s.ok(t, "mtlsctl export secret root --for agc --namespace test-infra --out ca.bundle.yaml").
		mustSay(t, "kind: FrontendTLSPolicy", "name: ca.bundle", "namespace: test-infra")
	s.ok(t, "mtlsctl export secret listener --for agc --name listener-tls-secret --namespace test-infra --out listener.yaml").
		mustSay(t, "name: listener-tls-secret")
	bundle, listener := s.secretFile(t, "ca.bundle.yaml"), s.secretFile(t, "listener.yaml")
	if len(bundle.Data) != 1 || !bytes.Equal(bundle.Data["ca.crt"], s.read(t, ca)) || bundle.Type != corev1.SecretTypeOpaque ||
		bundle.Name != "ca.bundle" || bundle.Namespace != "test-infra" {
		t.Errorf("ca.bundle is\n%s", s.read(t, "ca.bundle.yaml"))
	}
	if listener.Type != corev1.SecretTypeTLS || listener.Name != "listener-tls-secret" || listener.Namespace != "test-infra" {
		t.Errorf("listener-tls-secret is %s %s/%s", listener.Type, listener.Namespace, listener.Name)
	}

	// The gateway.
	if err := os.Mkdir(s.path("gateway"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(t, "gateway/tls.crt", listener.Data[corev1.TLSCertKey])
	s.write(t, "gateway/tls.key", listener.Data[corev1.TLSPrivateKeyKey])
	s.write(t, "gateway/ca.crt", bundle.Data["ca.crt"])
	gateway := site{mount: "gateway", crl: "gateway/crl.pem", location: "return 200 \"the backend says $ssl_client_s_dn\\n\";"}
	client, flags := "--cert "+crt("contoso-client")+" --key client.key ", as("contoso-flags")
	check := func(p *process, address, identity, want string) {
		t.Helper()
		mark := len(p.log())
		out := s.ok(t, "curl -sS --max-time 60 --insecure -w status=%{http_code} "+identity+"https://"+address)
		if status := "status=" + want; !strings.Contains(out.stdout, status) || strings.Contains(out.stdout, "the backend says") != (want == "200") {
			t.Errorf("want %s\n%v", status, out)
		}
		if want == "400" && identity != "" {
			out.mustSay(t, badCertificate)
			p.mustLog(t, mark, revoked)
		}
	}

	s.ok(t, "mtlsctl export crl root --chain --out gateway/crl.pem")
	p, addresses := s.nginx(t, gateway)
	check(p, addresses[0], "", "400")
	check(p, addresses[0], client, "200")
	check(p, addresses[0], flags, "200")
	s.ok(t, "curl -sS --max-time 60 --cacert gateway/ca.crt "+client+"https://"+addresses[0]).mustSay(t, "CN=contoso-client")

	// Step 6.
	s.ok(t, "mtlsctl revoke contoso-client --reason keyCompromise")
	s.ok(t, "mtlsctl export crl root --chain --out gateway/crl.pem --force")
	p.stop()
	p, addresses = s.nginx(t, gateway)
	check(p, addresses[0], client, "400")
	check(p, addresses[0], flags, "200")
}

// notAfter is when a certificate ends.
func (s *shell) notAfter(t *testing.T, file string) time.Time {
	t.Helper()
	block, _ := pem.Decode(s.read(t, file))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c.NotAfter
}

// secretFile reads a Secret as a Kubernetes client does.
func (s *shell) secretFile(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := new(corev1.Secret)
	if err := yaml.UnmarshalStrict(s.read(t, name), secret); err != nil || secret.Kind != "Secret" {
		t.Fatalf("%s: %v", name, err)
	}
	return secret
}
