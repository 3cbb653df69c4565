package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A kubeAPI stands in for an API server: it demands certificates of clients, and
// remembers whom it let in.
type kubeAPI struct {
	url string
	mu  sync.Mutex
	who []string // "CN of O,O" of each request
	log lockedBuffer
}

// kubeAPI starts one with the certificate of a folder. It trusts the CA alone, as
// the API server does with --client-ca-file: intermediates have to be sent.
func (s *shell) kubeAPI(t *testing.T, server folder, clientCA string) *kubeAPI {
	t.Helper()
	config := s.tlsConfigAt(t, server)
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(s.read(t, clientCA)) {
		t.Fatalf("%s holds no certificate", clientCA)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := &kubeAPI{url: "https://" + l.Addr().String()}
	srv := &http.Server{Handler: api, TLSConfig: config, ReadHeaderTimeout: patience, ErrorLog: log.New(&api.log, "", 0)}
	done := make(chan struct{})
	go func() {
		_ = srv.ServeTLS(l, "", "") // it ends when the test does
		close(done)
	}()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return api
}

func (k *kubeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	subject := r.TLS.PeerCertificates[0].Subject
	k.mu.Lock()
	k.who = append(k.who, subject.CommonName+" of "+strings.Join(subject.Organization, ","))
	k.mu.Unlock()
	fmt.Fprint(w, "ok")
}

// mustKnow fails the test unless these were let in, one after the other, since it
// was last asked. Some builds of kubectl first ask for the version.
func (k *kubeAPI) mustKnow(t *testing.T, want ...string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(slices.Compact(k.who), want) {
		t.Errorf("let in were %q, want %q", k.who, want)
	}
	k.who = nil
}

const healthz = " get --raw /healthz --request-timeout 30s"

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"kubectl"},
		"issue server api 127.0.0.1",
		"issue client alice --org dev --org ops",
		"issue client bob --key rsa-2048 --encoding pkcs1",
		"issue client carol --key ec-p384 --encoding sec1",
		"--pki pki-other init-ca --org Other",
		"--pki pki-other issue client alice",
	)
	api := s.kubeAPI(t, issued("api"), ca)
	export := func(name, more string) string {
		return "mtlsctl export kubeconfig " + name + " --server " + api.url + more
	}
	with := func(file string) string { return "kubectl --kubeconfig " + file }

	t.Run("own file", func(t *testing.T) {
		for name, groups := range map[string]string{"alice": "dev,ops", "bob": "", "carol": ""} {
			s.ok(t, export(name, ""))
			s.ok(t, with(name+".kubeconfig")+healthz).mustSay(t, "ok")
			api.mustKnow(t, name+" of "+groups)
			s.ok(t, export(name, " --by-path --out by-path.conf --force"))
			s.ok(t, with("by-path.conf")+healthz).mustSay(t, "ok")
			api.mustKnow(t, name+" of "+groups)
		}
		s.write(t, "json.conf", []byte(s.ok(t, export("alice", " --namespace dev --out - --json")).stdout))
		s.ok(t, with("json.conf")+healthz).mustSay(t, "ok")
		api.mustKnow(t, "alice of dev,ops")

		var config struct {
			Kind     string
			Contexts []struct{ Context map[string]string }
			Current  string `json:"current-context"`
		}
		view := s.ok(t, with("json.conf")+" config view --raw -o json").stdout
		if err := json.Unmarshal([]byte(view), &config); err != nil || config.Current != "alice@kubernetes" || config.Kind != "Config" ||
			len(config.Contexts) != 1 || config.Contexts[0].Context["namespace"] != "dev" {
			t.Errorf("%v: %+v\n%s", err, config, view)
		}
	})

	t.Run("refused", func(t *testing.T) {
		s.ok(t, strings.Replace(export("alice", " --out other.conf --ca "+ca), "mtlsctl", "mtlsctl --pki pki-other", 1))
		// A client may learn of it by a connection that is closed; the server logs why.
		s.refused(t, "", with("other.conf")+healthz)
		for deadline := time.Now().Add(5 * time.Second); !strings.Contains(api.log.String(), "certificate signed by unknown authority"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the API server's log:\n%s", api.log.String())
			}
		}
		// The API server of another CA is not talked to.
		s.ok(t, export("alice", " --out other-ca.conf --ca pki-other/authorities/root/tls.crt"))
		s.refused(t, "x509: certificate signed by unknown authority", with("other-ca.conf")+healthz)
		api.mustKnow(t)
	})

	t.Run("merged", func(t *testing.T) {
		config := "--kubeconfig " + s.path("config")
		for _, line := range []string{
			"set-cluster one --server https://one.example.com", "set-credentials dave --token sesame",
			"set-context first --cluster one --user dave", "set-context second --cluster one --user dave --namespace x",
			"use-context first",
		} {
			s.ok(t, "kubectl config "+config+" "+line)
		}
		before := string(s.read(t, "config"))
		s.ok(t, export("alice", " --merge config --context third"))
		after := string(s.read(t, "config"))
		// All lines that were there are there.
		rest := after
		for line := range strings.Lines(before) {
			_, next, found := strings.Cut(rest, line)
			if !found {
				t.Fatalf("%q is lost:\n%s", line, after)
			}
			rest = next
		}
		if names := strings.Fields(s.ok(t, "kubectl config "+config+" get-contexts -o name").stdout); !slices.Equal(names, []string{"first", "second", "third"}) {
			t.Errorf("contexts %q", names)
		}
		s.ok(t, "kubectl config "+config+" current-context").mustSay(t, "first\n")
		s.ok(t, "kubectl "+config+" --context third"+healthz).mustSay(t, "ok")
		api.mustKnow(t, "alice of dev,ops")

		// kubectl and mtlsctl take turns.
		s.ok(t, "kubectl config "+config+" delete-context second")
		s.ok(t, "mtlsctl export kubeconfig bob --cluster kubernetes --merge config --set-current")
		s.ok(t, "kubectl "+config+healthz).mustSay(t, "ok")
		api.mustKnow(t, "bob of ")
		s.ok(t, "mtlsctl renew bob").mustSay(t, "--merge", "has the former bob")
		s.refused(t, `another user "bob"`, "mtlsctl export kubeconfig bob --cluster kubernetes --merge config")
		s.ok(t, "mtlsctl export kubeconfig bob --cluster kubernetes --merge config --force")
		s.ok(t, "kubectl "+config+healthz).mustSay(t, "ok")
		api.mustKnow(t, "bob of ")

		// While kubectl changes the file, nobody else does.
		s.write(t, "config.lock", nil)
		s.refused(t, "is being changed by another program", "mtlsctl export kubeconfig carol --cluster kubernetes --merge config")
	})
}

// TestKubeadmUser makes a new user of a cluster whose CA kubeadm made.
func TestKubeadmUser(t *testing.T) {
	t.Parallel()
	s := newShell(t, "kubectl", "openssl", "curl")
	// The cluster's CA and the API server's certificate, as kubeadm makes them.
	s.ok(t, "openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=kubernetes -keyout ca.key -out ca.crt"+
		" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign"+
		" -addext subjectAltName=DNS:kubernetes -config", s.opensslConfig(t))
	s.ok(t, "mtlsctl import-ca k8s --cert ca.crt --key ca.key")
	s.ok(t, "mtlsctl issue server kube-apiserver 127.0.0.1 kubernetes.default --ca k8s --key rsa-2048")
	api := s.kubeAPI(t, issued("kube-apiserver"), "ca.crt")

	s.ok(t, "mtlsctl issue client k8s-new-client --org system:masters --key rsa-2048 --ca k8s")
	s.ok(t, "mtlsctl export kubeconfig k8s-new-client --server "+api.url).mustSay(t, "warning: the group system:masters", "k8s-new-client.kubeconfig")
	who := "k8s-new-client of system:masters"
	s.ok(t, "kubectl --kubeconfig k8s-new-client.kubeconfig"+healthz).mustSay(t, "ok")
	api.mustKnow(t, who)

	// The files themselves, with kubectl and with curl.
	at := issued("k8s-new-client")
	s.ok(t, "kubectl --kubeconfig /dev/null --server "+api.url+" --certificate-authority ca.crt --client-certificate "+at.crt()+" --client-key "+at.key()+healthz).mustSay(t, "ok")
	s.ok(t, "curl -sS --max-time 60 --cacert ca.crt --cert "+at.crt()+" --key "+at.key()+" "+api.url+"/api").mustSay(t, "ok")
	api.mustKnow(t, who)
	s.refused(t, "curl: (", "curl -sS --max-time 60 --cacert ca.crt "+api.url+"/api")

	// Into the administrator's kubeconfig, which has the cluster already.
	for _, line := range []string{
		"set-cluster kubernetes --embed-certs --certificate-authority ca.crt --server " + api.url,
		"set-credentials kubernetes-admin --token sesame",
		"set-context kubernetes-admin@kubernetes --cluster kubernetes --user kubernetes-admin",
		"use-context kubernetes-admin@kubernetes",
	} {
		s.ok(t, "kubectl config --kubeconfig admin.conf "+line)
	}
	s.ok(t, "mtlsctl export kubeconfig k8s-new-client --merge admin.conf")
	s.ok(t, "kubectl --kubeconfig admin.conf --context k8s-new-client@kubernetes"+healthz).mustSay(t, "ok")
	api.mustKnow(t, who)
	// The same server and CA are the same cluster, whoever wrote it.
	s.ok(t, "mtlsctl export kubeconfig k8s-new-client --merge admin.conf --server "+api.url).mustSay(t, "has all of it already")
}

// opensslConfig is one that adds nothing of its own.
func (s *shell) opensslConfig(t *testing.T) string {
	t.Helper()
	s.write(t, "openssl.cnf", []byte("[req]\ndistinguished_name=dn\n[dn]\n"))
	return s.path("openssl.cnf")
}
