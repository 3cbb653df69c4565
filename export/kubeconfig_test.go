package export

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const clusterURL = "https://10.0.0.1:6443"

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	b := alice(t)
	path := &KubeconfigPaths{Certificate: "/pki/tls.crt", Key: "/pki/tls.key"}
	allPaths := &KubeconfigPaths{Certificate: `C:\pki\tls.crt`, Key: `C:\pki\tls.key`, CA: "/etc/kubernetes/pki/ca.crt"}
	for _, tt := range []struct {
		golden string
		format Kubeconfig
		want   string
	}{
		{"kubeconfig.yaml", Kubeconfig{Server: clusterURL}, "alice@example.com.kubeconfig (private)"},
		{"kubeconfig.json", Kubeconfig{Server: clusterURL, JSON: true}, "alice@example.com.kubeconfig.json (private)"},
		{"kubeconfig-paths.yaml", Kubeconfig{Server: "https://[2001:db8::1]/prefix", Paths: path, CA: readFile(t, "bundle", "tls.crt")},
			"alice@example.com.kubeconfig (private)"},
		{"kubeconfig-names.yaml", Kubeconfig{Server: clusterURL, Cluster: "no", User: "1:20", Context: "a: b # \"c\"", Namespace: "on", Paths: allPaths},
			"1:20.kubeconfig (private)"},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			t.Parallel()
			files, err := tt.format.Export(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.want}, names(files)); diff != "" {
				t.Error(diff)
			}
			golden(t, tt.golden, files[0].Data)
		})
	}
}

// What is embedded is the bundle: the chain without the root, the key, the root.
func TestKubeconfigData(t *testing.T) {
	t.Parallel()
	b := client(t, pkitest.Issuing(t), profiles.RSA2048)
	key, err := b.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, ca := range [][]byte{nil, readFile(t, "bundle", "ca.crt")} {
		f := Kubeconfig{Server: clusterURL, CA: ca}
		roots := b.RootsPEM()
		if ca != nil {
			roots = ca
		}
		text := string(file(t, f, b).Data)
		for field, data := range map[string][]byte{
			"client-certificate-data": b.ChainPEM(), "client-key-data": key, "certificate-authority-data": roots,
		} {
			if !strings.Contains(text, "    "+field+": "+base64.StdEncoding.EncodeToString(data)+"\n") {
				t.Errorf("%s is another:\n%s", field, text)
			}
		}
	}
	if len(b.Chain) != 2 {
		t.Errorf("%d certificates in the chain, want leaf and intermediate", len(b.Chain))
	}
}

func TestKubeconfigErrors(t *testing.T) {
	t.Parallel()
	b := alice(t)
	for name, tt := range map[string]struct {
		format     Kubeconfig
		option     string
		suggestion string
		words      string
	}{
		"no server":             {Kubeconfig{}, "server", "", "missing"},
		"http":                  {Kubeconfig{Server: "http://a:6443"}, "server", "https://a:6443", "https alone"},
		"no scheme":             {Kubeconfig{Server: "10.0.0.1:6443"}, "server", "https://10.0.0.1:6443", "no URL"},
		"a host for a scheme":   {Kubeconfig{Server: "localhost:6443"}, "server", "https://localhost:6443", "https alone"},
		"no host":               {Kubeconfig{Server: "https://:6443"}, "server", "", "names no host"},
		"nothing but a scheme":  {Kubeconfig{Server: "https://"}, "server", "", "names no host"},
		"a path alone":          {Kubeconfig{Server: "https:///api"}, "server", "", "names no host"},
		"a password":            {Kubeconfig{Server: "https://u:p@a"}, "server", "", "more than host"},
		"a query":               {Kubeconfig{Server: "https://a?b"}, "server", "", "more than host"},
		"an empty query":        {Kubeconfig{Server: "https://a?"}, "server", "", "more than host"},
		"a fragment":            {Kubeconfig{Server: "https://a#b"}, "server", "", "more than host"},
		"a large port":          {Kubeconfig{Server: "https://a:65536"}, "server", "", "65535"},
		"port 0":                {Kubeconfig{Server: "https://a:0"}, "server", "", "65535"},
		"a port of letters":     {Kubeconfig{Server: "https://a:b"}, "server", "", `invalid port ":b"`},
		"a blank in the host":   {Kubeconfig{Server: "https://a b"}, "server", "", "invalid character"},
		"a CA that is none":     {Kubeconfig{Server: clusterURL, CA: []byte("x")}, "ca", "", "no certificate"},
		"a line's end":          {Kubeconfig{Server: clusterURL, Cluster: "a\nb"}, "cluster", "", "typed"},
		"no UTF-8":              {Kubeconfig{Server: clusterURL, User: "a\xff"}, "user", "", "typed"},
		"a blank":               {Kubeconfig{Server: clusterURL, Context: " "}, "context", "", "blanks"},
		"a namespace with dots": {Kubeconfig{Server: clusterURL, Namespace: "a.b"}, "namespace", "", "lower-case"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(b)
			wantOption(t, err, tt.option, tt.suggestion, tt.words)
			if tt.option != "server" || tt.format.Server != "" {
				_, err = tt.format.Merge(nil, b, KubeconfigMerge{Force: true})
				wantOption(t, err, tt.option, tt.suggestion, tt.words)
			}
		})
	}
}

func TestKubeconfigBundles(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	named := pki.Request{Subject: pki.Subject{CommonName: "web"}, SANs: pkitest.SANs(t, "web.example.com")}
	noKey, noRoots := alice(t), alice(t)
	noKey.Key, noRoots.Roots = nil, nil
	authority := alice(t)
	authority.Chain = authority.Roots
	anyUse := alice(t)
	leaf := *anyUse.Chain[0]
	leaf.ExtKeyUsage = nil
	anyUse.Chain[0] = &leaf
	for name, tt := range map[string]struct {
		bundle *pki.Bundle
		want   error
	}{
		"a client":       {alice(t), nil},
		"a peer":         {pkitest.Issue(t, root, profiles.Peer(), named), nil},
		"any use":        {anyUse, nil},
		"a server":       {pkitest.Issue(t, root, profiles.Server(), named), ErrNotForClients},
		"an authority":   {authority, ErrNotForClients},
		"no common name": {pkitest.Issue(t, root, profiles.Client(), pki.Request{SANs: pkitest.SANs(t, "a@example.com")}), ErrNoCommonName},
		"no key":         {noKey, ErrNoKey},
		"no roots":       {noRoots, ErrNoRoots},
		"nothing":        {&pki.Bundle{}, ErrNoCertificate},
	} {
		if _, err := (Kubeconfig{Server: clusterURL}).Export(tt.bundle); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := (Kubeconfig{Server: clusterURL, CA: alice(t).RootsPEM()}).Export(noRoots); err != nil {
		t.Errorf("no roots, but a CA: %v", err)
	}
}

func TestKubeconfigWarnings(t *testing.T) {
	t.Parallel()
	if all := (Kubeconfig{}).Warnings(alice(t)); all != nil {
		t.Errorf("%q", all)
	}
	masters := pkitest.Issue(t, pkitest.Root(t), profiles.Client(), pki.Request{
		Subject: pki.Subject{CommonName: "a", Organizations: []string{"dev", "system:masters"}},
	})
	if all := (Kubeconfig{}).Warnings(masters); len(all) != 1 || !strings.Contains(all[0], "system:masters") {
		t.Errorf("%q", all)
	}
}

// decodeKube reads a kubeconfig as kubectl does, into what JSON has.
func decodeKube(t testing.TB, data []byte) (v map[string]any) {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	if err := json.Unmarshal(asJSON, &v); err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	return v
}
