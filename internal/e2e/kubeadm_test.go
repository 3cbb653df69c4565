package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	zx509 "github.com/zmap/zcrypto/x509"
)

// kubeadmFacts are one node, with what its API server is reached by.
const kubeadmFacts = " --node cp1 --advertise-address 10.0.0.11 --control-plane-endpoint k8s.example.com --api-server-san localhost --api-server-san 127.0.0.1"

// kubeadmRow is one row of the table of kubeadm's certificates.
type kubeadmRow struct {
	file   string // of a certificate, or a kubeconfig
	cn, o  string
	eku    string
	signer string
	sans   string
	ku     string // with RSA keys; with EC keys nothing enciphers
}

const (
	kubeadmServing = "cp1 k8s.example.com kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local localhost 10.0.0.11 10.96.0.1 127.0.0.1"
	kubeadmEtcd    = "cp1 localhost 10.0.0.11 127.0.0.1 ::1"
)

// kubeadmTable is the tree of a release: the groups that depend on it are given.
func kubeadmTable(kubeletClient, etcdClients, admin string) []kubeadmRow {
	return []kubeadmRow{
		{"pki/ca.crt", "kubernetes", "", "", "pki/ca.crt", "", "sign"},
		{"pki/etcd/ca.crt", "etcd-ca", "", "", "pki/etcd/ca.crt", "", "sign"},
		{"pki/front-proxy-ca.crt", "front-proxy-ca", "", "", "pki/front-proxy-ca.crt", "", "sign"},
		{"pki/apiserver.crt", "kube-apiserver", "", "server", "pki/ca.crt", kubeadmServing, "digital encipher"},
		{"pki/apiserver-kubelet-client.crt", "kube-apiserver-kubelet-client", kubeletClient, "client", "pki/ca.crt", "", "digital"},
		{"pki/front-proxy-client.crt", "front-proxy-client", "", "client", "pki/front-proxy-ca.crt", "", "digital"},
		{"pki/etcd/server.crt", "cp1", "", "server client", "pki/etcd/ca.crt", kubeadmEtcd, "digital encipher"},
		{"pki/etcd/peer.crt", "cp1", "", "server client", "pki/etcd/ca.crt", kubeadmEtcd, "digital encipher"},
		{"pki/etcd/healthcheck-client.crt", "kube-etcd-healthcheck-client", etcdClients, "client", "pki/etcd/ca.crt", "", "digital"},
		{"pki/apiserver-etcd-client.crt", "kube-apiserver-etcd-client", etcdClients, "client", "pki/etcd/ca.crt", "", "digital"},
		{"admin.conf", "kubernetes-admin", admin, "client", "pki/ca.crt", "", "digital"},
		{"kubelet.conf", "system:node:cp1", "system:nodes", "client", "pki/ca.crt", "", "digital"},
		{"controller-manager.conf", "system:kube-controller-manager", "", "client", "pki/ca.crt", "", "digital"},
		{"scheduler.conf", "system:kube-scheduler", "", "client", "pki/ca.crt", "", "digital"},
	}
}

// kubeadmCertificate reads the certificate of a row from the disk.
func (s *shell) kubeadmCertificate(t *testing.T, tree, file string) *x509.Certificate {
	t.Helper()
	data := s.read(t, tree, file)
	if strings.HasSuffix(file, ".conf") {
		data = kubeconfigData(t, data, "client-certificate-data")
	}
	block, rest := pem.Decode(data)
	if block == nil || len(rest) > 0 {
		t.Fatalf("%s: one certificate is wanted in it:\n%s", file, data)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kubeconfigData returns what a field of a kubeconfig has in base64.
func kubeconfigData(t *testing.T, conf []byte, field string) []byte {
	t.Helper()
	_, text, found := strings.Cut(string(conf), field+": ")
	text, _, _ = strings.Cut(text, "\n")
	data, err := base64.StdEncoding.DecodeString(strings.Trim(text, `" `))
	if !found || err != nil {
		t.Fatalf("%s is not in base64: %v", field, err)
	}
	return data
}

// rowOf describes a certificate as the table does.
func rowOf(c *x509.Certificate, file, signer string) kubeadmRow {
	var eku, ku, sans []string
	for _, u := range c.ExtKeyUsage {
		eku = append(eku, map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "server", x509.ExtKeyUsageClientAuth: "client"}[u])
	}
	for _, u := range []struct {
		bit  x509.KeyUsage
		word string
	}{
		{x509.KeyUsageDigitalSignature, "digital"}, {x509.KeyUsageKeyEncipherment, "encipher"}, {x509.KeyUsageCertSign, "sign"},
	} {
		if c.KeyUsage&u.bit != 0 {
			ku = append(ku, u.word)
		}
	}
	sans = slices.Sorted(slices.Values(c.DNSNames))
	ips := []string{}
	for _, ip := range c.IPAddresses {
		ips = append(ips, ip.String())
	}
	sans = append(sans, slices.Sorted(slices.Values(ips))...)
	return kubeadmRow{
		file, c.Subject.CommonName, strings.Join(c.Subject.Organization, " "), strings.Join(eku, " "), signer, strings.Join(sans, " "), strings.Join(ku, " "),
	}
}

// TestKubeadmTree holds what is on the disk to the table, row by row, for the
// releases that differ, and to the lints of RFC 5280.
func TestKubeadmTree(t *testing.T) {
	t.Parallel()
	super := kubeadmRow{"super-admin.conf", "kubernetes-super-admin", "system:masters", "client", "pki/ca.crt", "", "digital"}
	const admins = "kubeadm:cluster-admins"
	for version, want := range map[string][]kubeadmRow{
		"1.28.15": kubeadmTable("system:masters", "system:masters", "system:masters"),
		"1.29.0":  append(kubeadmTable(admins, "", admins), super),
		"1.31.4":  append(kubeadmTable(admins, "", admins), super),
		"1.36.0":  append(kubeadmTable(admins, "", admins), super),
		"1.36.1":  append(kubeadmTable("", "", admins), super),
	} {
		for _, key := range []string{"ec-p256", "rsa-2048"} {
			if key == "rsa-2048" && version != "1.28.15" && version != "1.36.1" {
				continue // what differs between them has nothing to do with keys
			}
			t.Run(version+" "+key, func(t *testing.T) {
				t.Parallel()
				s := newShell(t)
				s.ok(t, "mtlsctl kubeadm cp1 --kubernetes-version "+version+" --key "+key+kubeadmFacts)
				for _, row := range want {
					c, by := s.kubeadmCertificate(t, "cp1", row.file), s.kubeadmCertificate(t, "cp1", row.signer)
					if err := c.CheckSignatureFrom(by); err != nil {
						t.Errorf("%s: %v", row.file, err)
					}
					if key != "rsa-2048" {
						row.ku = strings.TrimSuffix(row.ku, " encipher")
					}
					if diff := cmp.Diff(row, rowOf(c, row.file, row.signer), cmp.AllowUnexported(kubeadmRow{})); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					if years := c.NotAfter.Sub(c.NotBefore).Hours() / 24 / 365; c.IsCA != (row.eku == "") || c.IsCA && years != 10 || !c.IsCA && years != 1 {
						t.Errorf("%s: CA %t, for %v years", row.file, c.IsCA, years)
					}
					mustLint(t, row.file, c)
					s.mustHaveKey(t, row.file, c, key)
				}
				s.mustHaveServiceAccountKey(t, key)
			})
		}
	}
}

// mustLint holds a certificate to the lints of RFC 5280 and its kin.
func mustLint(t *testing.T, file string, c *x509.Certificate) {
	t.Helper()
	r, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Names()); n < 80 {
		t.Fatalf("%d lints are left", n)
	}
	parsed, err := zx509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, result := range zlint.LintCertificateEx(parsed, r).Results {
		if result.Status >= lint.Error {
			t.Errorf("%s: %s: %s %s", file, name, result.Status, result.Details)
		}
	}
}

// mustHaveKey holds the key of a row to being that of its certificate, in the
// form in which kubeadm writes it.
func (s *shell) mustHaveKey(t *testing.T, file string, c *x509.Certificate, kind string) {
	t.Helper()
	var data []byte
	if strings.HasSuffix(file, ".conf") {
		data = kubeconfigData(t, s.read(t, "cp1", file), "client-key-data")
	} else {
		data = s.read(t, "cp1", strings.TrimSuffix(file, ".crt")+".key")
	}
	want := map[string]string{"ec-p256": "EC PRIVATE KEY", "rsa-2048": "RSA PRIVATE KEY"}[kind]
	if block, _ := pem.Decode(data); block == nil || block.Type != want {
		t.Errorf("%s: its key is no %s", file, want)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	if _, err := tls.X509KeyPair(certificate, data); err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

func (s *shell) mustHaveServiceAccountKey(t *testing.T, kind string) {
	t.Helper()
	private, _ := pem.Decode(s.read(t, "cp1", "pki/sa.key"))
	public, _ := pem.Decode(s.read(t, "cp1", "pki/sa.pub"))
	if private == nil || public == nil || public.Type != "PUBLIC KEY" {
		t.Fatal("sa.key or sa.pub has no key")
	}
	var of any
	if kind == "rsa-2048" {
		key, err := x509.ParsePKCS1PrivateKey(private.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		of = &key.PublicKey
	} else {
		key, err := x509.ParseECPrivateKey(private.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		of = &key.PublicKey
	}
	if der, err := x509.MarshalPKIXPublicKey(of); err != nil || string(der) != string(public.Bytes) {
		t.Errorf("sa.pub is not of sa.key: %v", err)
	}
}

// TestKubeadmEtcd runs etcd as kubeadm's static pod does, on the files of the
// tree, with the clients that it has.
func TestKubeadmEtcd(t *testing.T) {
	t.Parallel()
	s := newShell(t, "etcd", "etcdctl")
	s.ok(t, "mtlsctl kubeadm cp1 --kubernetes-version 1.36.1"+kubeadmFacts)
	s.ok(t, "mtlsctl --pki pki-other kubeadm other --kubernetes-version 1.36.1"+kubeadmFacts)
	var etcd *process
	var client string
	etcdctlWithin := func(limit, identity string) string {
		line := "etcdctl --dial-timeout " + limit + " --command-timeout " + limit + " --cacert cp1/pki/etcd/ca.crt --endpoints https://" + client
		if identity != "" {
			line += " --cert " + identity + ".crt --key " + identity + ".key"
		}
		return line + " endpoint health"
	}
	etcdctl := func(identity string) string { return etcdctlWithin("5s", identity) }
	onFreePorts(t, 2, func(addresses []string) error {
		client = addresses[0]
		etcd = s.start(t, "etcd --logger zap --log-outputs stderr --name cp1 --data-dir data"+
			" --listen-client-urls https://"+client+" --advertise-client-urls https://"+client+
			" --listen-peer-urls https://"+addresses[1]+" --initial-advertise-peer-urls https://"+addresses[1]+" --initial-cluster cp1=https://"+addresses[1]+
			" --cert-file cp1/pki/etcd/server.crt --key-file cp1/pki/etcd/server.key --client-cert-auth --trusted-ca-file cp1/pki/etcd/ca.crt"+
			" --peer-cert-file cp1/pki/etcd/peer.crt --peer-key-file cp1/pki/etcd/peer.key --peer-client-cert-auth --peer-trusted-ca-file cp1/pki/etcd/ca.crt")
		return etcd.await("etcd", func() bool { return s.run(t, etcdctl("cp1/pki/etcd/healthcheck-client")).code == 0 })
	})
	for _, identity := range []string{"cp1/pki/etcd/healthcheck-client", "cp1/pki/apiserver-etcd-client"} {
		s.ok(t, etcdctl(identity)).mustSay(t, "is healthy")
	}
	for _, c := range []struct{ name, identity, log string }{
		{"nobody", "", "tls: client didn't provide a certificate"},
		{"the CA of the API server", "cp1/pki/apiserver-kubelet-client", "certificate signed by unknown authority"},
		{"the CA of the front proxy", "cp1/pki/front-proxy-client", "certificate signed by unknown authority"},
		{"another cluster", "other/pki/apiserver-etcd-client", "certificate signed by unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark := len(etcd.log())
			s.refused(t, "unhealthy", etcdctlWithin("2s", c.identity)) // it waits that long
			etcd.mustLog(t, mark, c.log)
		})
	}
}

// A visitor is whom an API server takes a client certificate for.
type visitor struct{ user, groups string }

// TestKubeadmKubectl has kubectl talk to a server in the API server's place, that
// serves with the tree's certificate and knows whom its authority signed.
func TestKubeadmKubectl(t *testing.T) {
	t.Parallel()
	s := newShell(t, "kubectl")
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	facts := " --kubernetes-version 1.36.1 --node cp1 --advertise-address 10.0.0.11 --control-plane-endpoint " + address
	s.ok(t, "mtlsctl kubeadm cp1"+facts)
	s.ok(t, "mtlsctl --pki pki-other kubeadm other"+facts)

	pair, err := tls.LoadX509KeyPair(s.path("cp1/pki/apiserver.crt"), s.path("cp1/pki/apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	if !known.AppendCertsFromPEM(s.read(t, "cp1/pki/ca.crt")) {
		t.Fatal("ca.crt has no certificate")
	}
	var mu sync.Mutex
	var seen []visitor
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			subject := r.TLS.PeerCertificates[0].Subject
			mu.Lock()
			seen = append(seen, visitor{subject.CommonName, strings.Join(subject.Organization, " ")})
			mu.Unlock()
			fmt.Fprint(w, "ok "+r.URL.Path)
		}),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known,
		},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(&lockedBuffer{}, "", 0),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	defer server.Close() //nolint:errcheck // nothing is left to lose

	for _, c := range []struct {
		conf string
		want visitor
		more string
	}{
		{"admin.conf", visitor{"kubernetes-admin", "kubeadm:cluster-admins"}, ""},
		{"super-admin.conf", visitor{"kubernetes-super-admin", "system:masters"}, ""},
		// These talk to the node itself, which is not this machine.
		{"kubelet.conf", visitor{"system:node:cp1", "system:nodes"}, " --server https://" + address},
		{"controller-manager.conf", visitor{"system:kube-controller-manager", ""}, " --server https://" + address},
		{"scheduler.conf", visitor{"system:kube-scheduler", ""}, " --server https://" + address},
	} {
		mu.Lock()
		seen = nil
		mu.Unlock()
		s.ok(t, "kubectl --kubeconfig cp1/"+c.conf+c.more+" get --raw /healthz").mustSay(t, "ok /healthz")
		mu.Lock()
		if len(seen) == 0 || seen[len(seen)-1] != c.want {
			t.Errorf("%s: the API server saw %q, want %q", c.conf, seen, c.want)
		}
		mu.Unlock()
	}
	s.ok(t, "kubectl --kubeconfig cp1/admin.conf config current-context").mustSay(t, "kubernetes-admin@kubernetes\n")
	s.ok(t, "kubectl --kubeconfig cp1/kubelet.conf config view").mustSay(t, "server: https://10.0.0.11:6443", "name: system:node:cp1")

	byFiles := func(identity string) string {
		return "kubectl --server https://" + address + " --certificate-authority cp1/pki/ca.crt" +
			" --client-certificate " + identity + ".crt --client-key " + identity + ".key get --raw /healthz"
	}
	s.ok(t, byFiles("cp1/pki/apiserver-kubelet-client")).mustSay(t, "ok /healthz")

	mu.Lock()
	seen = nil
	mu.Unlock()
	s.refused(t, "certificate signed by unknown authority", "kubectl --kubeconfig other/admin.conf get --raw /healthz")
	// Whoever trusts the server is not known to it by that.
	for _, identity := range []string{"other/pki/apiserver-kubelet-client", "cp1/pki/front-proxy-client", "cp1/pki/etcd/healthcheck-client"} {
		s.refused(t, "Unable to connect to the server", byFiles(identity))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) > 0 {
		t.Errorf("the API server let in %q", seen)
	}
}
