package export

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// What kubectl itself reads of what is written is what was meant.
func TestKubeconfigJudged(t *testing.T) {
	t.Parallel()
	b := alice(t)
	key, err := b.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	embedded := &api.Config{
		Clusters: map[string]*api.Cluster{"no": {Server: clusterURL, CertificateAuthorityData: b.RootsPEM()}},
		AuthInfos: map[string]*api.AuthInfo{
			"alice@example.com": {ClientCertificateData: b.ChainPEM(), ClientKeyData: key},
		},
		Contexts:       map[string]*api.Context{"1.5": {Cluster: "no", AuthInfo: "alice@example.com", Namespace: "123"}},
		CurrentContext: "1.5",
	}
	byPath := &api.Config{
		Clusters:       map[string]*api.Cluster{"kubernetes": {Server: clusterURL, CertificateAuthority: "/p/ca.crt"}},
		AuthInfos:      map[string]*api.AuthInfo{"alice@example.com": {ClientCertificate: "/p/tls.crt", ClientKey: "/p/tls.key"}},
		Contexts:       map[string]*api.Context{"alice@example.com@kubernetes": {Cluster: "kubernetes", AuthInfo: "alice@example.com"}},
		CurrentContext: "alice@example.com@kubernetes",
	}
	for _, asJSON := range []bool{false, true} {
		f := Kubeconfig{Server: clusterURL, Cluster: "no", Context: "1.5", Namespace: "123", JSON: asJSON}
		judgeKubeconfig(t, embedded, file(t, f, b).Data)
		f = paths()
		f.JSON = asJSON
		judgeKubeconfig(t, byPath, file(t, f, b).Data)
	}
}

func judgeKubeconfig(t *testing.T, want *api.Config, data []byte) {
	t.Helper()
	got, err := clientcmd.Load(data)
	if err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	dropExtensions(want)
	dropExtensions(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// dropExtensions takes out the empty extensions that reading makes.
func dropExtensions(c *api.Config) {
	c.Extensions, c.Preferences.Extensions = nil, nil
	for _, e := range c.Clusters {
		e.Extensions = nil
	}
	for _, e := range c.AuthInfos {
		e.Extensions, e.ImpersonateUserExtra = nil, nil
	}
	for _, e := range c.Contexts {
		e.Extensions = nil
	}
}

// What kubectl wrote is changed as kubectl itself changes it, to the letter.
func TestMergeJudged(t *testing.T) {
	t.Parallel()
	c, err := clientcmd.Load([]byte(kubectlConfig))
	if err != nil {
		t.Fatal(err)
	}
	c.Clusters["two"] = &api.Cluster{Server: clusterURL, CertificateAuthority: "/p/ca.crt"}
	c.AuthInfos["carol"] = &api.AuthInfo{ClientCertificate: "/p/tls.crt", ClientKey: "/p/tls.key"}
	c.Contexts["carol@two"] = &api.Context{Cluster: "two", AuthInfo: "carol", Namespace: "dev"}
	c.CurrentContext = "carol@two"
	want, err := clientcmd.Write(*c)
	if err != nil {
		t.Fatal(err)
	}
	f := paths()
	f.Cluster, f.User, f.Namespace = "two", "carol", "dev"
	from, err := clientcmd.Load([]byte(kubectlConfig))
	if err != nil {
		t.Fatal(err)
	}
	written, err := clientcmd.Write(*from)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), merge(t, f, string(written), KubeconfigMerge{SetCurrent: true})); diff != "" {
		t.Errorf("(-kubectl +got)\n%s", diff)
	}
}

// What kubectl reads before, it reads after, with all that it knew.
func FuzzMergeJudged(f *testing.F) {
	for _, text := range []string{kubectlConfig, handConfig, `{"users":[{"name":"a","user":{"token":"\ud83d\ude00"}}]}`, "users:\n- name: a\n  user: {as-groups: [\"x\"]}\n"} {
		f.Add([]byte(text))
	}
	b := alice(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := clientcmd.Load(data)
		if err != nil {
			return
		}
		out, err := paths().Merge(data, b, KubeconfigMerge{})
		if err != nil || bytes.Equal(out, data) {
			return
		}
		after, err := clientcmd.Load(out)
		if err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		own := func(name string) bool { return name == "kubernetes" || strings.HasPrefix(name, "alice@example.com") }
		for name, e := range before.Clusters {
			if diff := cmp.Diff(e, after.Clusters[name]); diff != "" && !own(name) {
				t.Errorf("cluster %q: %s", name, diff)
			}
		}
		for name, e := range before.AuthInfos {
			if diff := cmp.Diff(e, after.AuthInfos[name]); diff != "" && !own(name) {
				t.Errorf("user %q: %s", name, diff)
			}
		}
		for name, e := range before.Contexts {
			if diff := cmp.Diff(e, after.Contexts[name]); diff != "" && !own(name) {
				t.Errorf("context %q: %s", name, diff)
			}
		}
	})
}
