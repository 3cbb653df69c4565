package kubeadm

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func cluster(t testing.TB, version string) *Cluster {
	t.Helper()
	c := &Cluster{
		Name: DefaultName, Node: "cp1", Advertise: netip.MustParseAddr("10.0.0.11"), Port: DefaultPort,
		Endpoint: Endpoint{Host: "k8s.example.com"}, DNSDomain: DefaultDNSDomain,
	}
	var err error
	if c.Version, err = ParseVersion(version); err != nil {
		t.Fatal(err)
	}
	if c.Services, err = ParseServices(DefaultServiceCIDR); err != nil {
		t.Fatal(err)
	}
	return c
}

// row writes a leaf as a row of the table of kubeadm's certificates.
func row(l *Leaf) string {
	var purposes []string
	for _, u := range l.Profile.ExtKeyUsage() {
		purposes = append(purposes, map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "server", x509.ExtKeyUsageClientAuth: "client"}[u])
	}
	var sans []string
	for _, s := range l.SANs {
		sans = append(sans, s.Value())
	}
	words := []string{
		l.Name, l.Path, l.Subject.CommonName, strings.Join(l.Subject.Organizations, "+"), strings.Join(purposes, "+"), l.CA.Name, strings.Join(sans, ","),
	}
	if k := l.Kubeconfig; k != nil {
		words = append(words, k.User+"@"+k.Cluster+" "+k.Server)
	}
	return strings.Join(words, " | ")
}

func rows(t testing.TB, c *Cluster) (all []string) {
	t.Helper()
	leaves, err := c.Leaves()
	if err != nil {
		t.Fatal(err)
	}
	for i := range leaves {
		all = append(all, row(&leaves[i]))
	}
	return all
}

// Rows that are the same in all releases have no O here but their own.
const (
	apiServer = "apiserver | pki/apiserver | kube-apiserver |  | server | kubernetes | cp1,kubernetes,kubernetes.default,kubernetes.default.svc," +
		"kubernetes.default.svc.cluster.local,10.96.0.1,10.0.0.11,k8s.example.com"
	frontProxy = "front-proxy-client | pki/front-proxy-client | front-proxy-client |  | client | front-proxy-ca | "
	etcdNames  = "cp1,localhost,10.0.0.11,127.0.0.1,::1"
	etcdServer = "etcd-server | pki/etcd/server | cp1 |  | server+client | etcd-ca | " + etcdNames
	etcdPeer   = "etcd-peer | pki/etcd/peer | cp1 |  | server+client | etcd-ca | " + etcdNames
	shared     = "https://k8s.example.com:6443"
	local      = "https://10.0.0.11:6443"
	manager    = "controller-manager.conf | controller-manager.conf | system:kube-controller-manager |  | client | kubernetes |  | system:kube-controller-manager@kubernetes " + local
	scheduler  = "scheduler.conf | scheduler.conf | system:kube-scheduler |  | client | kubernetes |  | system:kube-scheduler@kubernetes " + local
)

func kubeletClient(o string) string {
	return "apiserver-kubelet-client | pki/apiserver-kubelet-client | kube-apiserver-kubelet-client | " + o + " | client | kubernetes | "
}

func healthcheck(o string) string {
	return "etcd-healthcheck-client | pki/etcd/healthcheck-client | kube-etcd-healthcheck-client | " + o + " | client | etcd-ca | "
}

func etcdClient(o string) string {
	return "apiserver-etcd-client | pki/apiserver-etcd-client | kube-apiserver-etcd-client | " + o + " | client | etcd-ca | "
}

func admin(o string) string {
	return "admin.conf | admin.conf | kubernetes-admin | " + o + " | client | kubernetes |  | kubernetes-admin@kubernetes " + shared
}

func kubelet(server string) string {
	return "kubelet.conf | kubelet.conf | system:node:cp1 | system:nodes | client | kubernetes |  | system:node:cp1@kubernetes " + server
}

const superAdmin = "super-admin.conf | super-admin.conf | kubernetes-super-admin | system:masters | client | kubernetes |  | kubernetes-super-admin@kubernetes " + shared

// TestLeaves holds each row of each release to kubeadm's source.
func TestLeaves(t *testing.T) {
	t.Parallel()
	tree := func(kubeletO, etcdO, adminO, kubeletServer string, super bool) []string {
		all := []string{apiServer, kubeletClient(kubeletO), frontProxy, etcdServer, etcdPeer, healthcheck(etcdO), etcdClient(etcdO), admin(adminO)}
		if super {
			all = append(all, superAdmin)
		}
		return append(all, kubelet(kubeletServer), manager, scheduler)
	}
	for version, want := range map[string][]string{
		"1.20.0":  tree(Masters, Masters, Masters, shared, false),
		"1.28.15": tree(Masters, Masters, Masters, shared, false),
		"1.29.0":  tree(ClusterAdmins, "", ClusterAdmins, shared, true),
		"1.31.4":  tree(ClusterAdmins, "", ClusterAdmins, shared, true),
		"1.32.99": tree(ClusterAdmins, "", ClusterAdmins, shared, true),
		"1.33.0":  tree(ClusterAdmins, "", ClusterAdmins, local, true),
		"1.33.11": tree(ClusterAdmins, "", ClusterAdmins, local, true),
		"1.33.12": tree("", "", ClusterAdmins, local, true),
		"1.34.7":  tree(ClusterAdmins, "", ClusterAdmins, local, true),
		"1.34.8":  tree("", "", ClusterAdmins, local, true),
		"1.35.4":  tree(ClusterAdmins, "", ClusterAdmins, local, true),
		"1.35.5":  tree("", "", ClusterAdmins, local, true),
		"1.36":    tree(ClusterAdmins, "", ClusterAdmins, local, true),
		"1.36.0":  tree(ClusterAdmins, "", ClusterAdmins, local, true),
		"v1.36.1": tree("", "", ClusterAdmins, local, true),
		"1.37.0":  tree("", "", ClusterAdmins, local, true),
	} {
		if diff := cmp.Diff(want, rows(t, cluster(t, version))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}

// TestLeavesFollowFacts changes one fact at a time.
func TestLeavesFollowFacts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*Cluster)
		old    string
		want   string // in the place of old; empty for a row that goes
	}{
		"domain":         {func(c *Cluster) { c.DNSDomain = "k8s.lan" }, "svc.cluster.local", "svc.k8s.lan"},
		"services":       {func(c *Cluster) { c.Services = []netip.Prefix{netip.MustParsePrefix("172.20.0.0/16")} }, "10.96.0.1", "172.20.0.1"},
		"services in v6": {func(c *Cluster) { c.Services = []netip.Prefix{netip.MustParsePrefix("fd00:10::/108")} }, "10.96.0.1", "fd00:10::1"},
		"both families": {func(c *Cluster) {
			c.Services = []netip.Prefix{netip.MustParsePrefix("fd00:10::/108"), netip.MustParsePrefix("10.96.0.0/12")}
		}, "10.96.0.1", "fd00:10::1"},
		"endpoint is an address": {func(c *Cluster) { c.Endpoint.Host = "10.0.0.5" }, "k8s.example.com", "10.0.0.5"},
		"port of the endpoint":   {func(c *Cluster) { c.Endpoint.Port = 443 }, "k8s.example.com:6443", "k8s.example.com:443"},
		"port of the node":       {func(c *Cluster) { c.Port = 8443 }, ":6443", ":8443"},
		"no endpoint":            {func(c *Cluster) { c.Endpoint = Endpoint{} }, "https://k8s.example.com", "https://10.0.0.11"},
		"cluster":                {func(c *Cluster) { c.Name = "lab" }, "@kubernetes", "@lab"},
	} {
		c := cluster(t, "1.31.4")
		tt.change(c)
		var want []string
		for _, r := range rows(t, cluster(t, "1.31.4")) {
			r = strings.ReplaceAll(r, tt.old, tt.want)
			if name == "no endpoint" {
				r = strings.TrimSuffix(r, ",k8s.example.com")
			}
			want = append(want, r)
		}
		got := rows(t, c)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if slices.Equal(got, rows(t, cluster(t, "1.31.4"))) {
			t.Errorf("%s: it changes nothing", name)
		}
	}
}

func TestAddressesOfIPv6(t *testing.T) {
	t.Parallel()
	c := cluster(t, "1.36.1")
	c.Advertise, c.Endpoint = netip.MustParseAddr("fd00::11"), Endpoint{}
	for _, r := range rows(t, c) {
		if strings.HasSuffix(strings.SplitN(r, " ", 2)[0], ".conf") && !strings.HasSuffix(r, " https://[fd00::11]:6443") {
			t.Error(r)
		}
	}
	san, err := ParseSAN("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	c.SANs = []pki.SAN{san}
	if r := rows(t, c)[0]; !strings.HasSuffix(r, ",10.96.0.1,fd00::11,api.example.com") {
		t.Error(r)
	}
}

func TestExternalEtcd(t *testing.T) {
	t.Parallel()
	c := cluster(t, "1.36.1")
	c.ExternalEtcd = true
	for _, r := range rows(t, c) {
		if strings.Contains(r, "etcd") {
			t.Errorf("with external etcd there is %s", r)
		}
	}
	if n := len(rows(t, c)); n != 8 {
		t.Errorf("%d certificates, want 8", n)
	}
	if diff := cmp.Diff([]CA{ClusterCA, FrontProxyCA}, c.CAs()); diff != "" {
		t.Error(diff)
	}
	c.ExternalEtcd = false
	if diff := cmp.Diff([]CA{{"kubernetes", "pki/ca"}, {"etcd-ca", "pki/etcd/ca"}, {"front-proxy-ca", "pki/front-proxy-ca"}}, c.CAs()); diff != "" {
		t.Error(diff)
	}
}

// What is signed by these profiles enciphers only where RFC 5280 section 4.2.1.12
// has a use for it.
func TestUsages(t *testing.T) {
	t.Parallel()
	leaves, err := cluster(t, "1.36.1").Leaves()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves {
		want := x509.KeyUsageDigitalSignature
		if got := l.Profile.KeyUsageFor(profiles.ECP256); got != want {
			t.Errorf("%s: EC key usage %b", l.Name, got)
		}
		if slices.Contains(l.Profile.ExtKeyUsage(), x509.ExtKeyUsageServerAuth) {
			want |= x509.KeyUsageKeyEncipherment
		}
		if got := l.Profile.KeyUsageFor(profiles.RSA2048); got != want {
			t.Errorf("%s: RSA key usage %b, want %b", l.Name, got, want)
		}
	}
}

// The service "kubernetes" has an address of the first network, and leads to the
// advertised one.
func TestSameFamily(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version, advertise, services string
		want                         bool
	}{
		{"1.36.1", "10.0.0.11", "10.96.0.0/12", true},
		{"1.36.1", "10.0.0.11", "10.96.0.0/12,fd00::/112", true},
		{"1.36.1", "fd00::11", "fd00::/112,10.96.0.0/12", true},
		{"1.36.1", "fd00::11", "10.96.0.0/12", false},
		{"1.24.0", "10.0.0.11", "fd00::/112,10.96.0.0/12", false},
		{"1.23.17", "10.0.0.11", "fd00::/112,10.96.0.0/12", true},
	} {
		c := cluster(t, tt.version)
		var err error
		if c.Services, err = ParseServices(tt.services); err != nil {
			t.Fatal(err)
		}
		if c.Advertise, err = ParseAdvertise(tt.advertise); err != nil {
			t.Fatal(err)
		}
		if got := c.SameFamily(); got != tt.want {
			t.Errorf("%v: %t", tt, got)
		}
	}
}

func TestInitCommand(t *testing.T) {
	t.Parallel()
	c := cluster(t, "1.36.1")
	c.Endpoint = Endpoint{}
	const least = "kubeadm init --kubernetes-version v1.36.1 --node-name cp1 --apiserver-advertise-address 10.0.0.11"
	if got := strings.Join(c.InitCommand(), " "); got != least {
		t.Error(got)
	}
	san, err := ParseSAN("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	c.Port, c.Endpoint, c.SANs, c.DNSDomain = 8443, Endpoint{"lb.example.com", 443}, []pki.SAN{san, san}, "k8s.lan"
	c.Services = append(c.Services, netip.MustParsePrefix("fd00::/112"))
	const most = least + " --apiserver-bind-port 8443 --control-plane-endpoint lb.example.com:443 --apiserver-cert-extra-sans api.example.com,api.example.com" +
		" --service-cidr 10.96.0.0/12,fd00::/112 --service-dns-domain k8s.lan"
	if got := strings.Join(c.InitCommand(), " "); got != most {
		t.Error(got)
	}
}

// paths returns the files of a tree, with what is private about them.
func paths(place string, files []File) (all []string) {
	for _, f := range files {
		all = append(all, fmt.Sprintf("%s/%s %t %t", path.Dir(place), f.Name, f.Private, f.Key))
	}
	return all
}

func TestFiles(t *testing.T) {
	t.Parallel()
	leaves, err := cluster(t, "1.36.1").Leaves()
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Concat(paths(EtcdCA.Path, EtcdCA.Files()), paths(ServiceAccounts, ServiceAccountFiles()),
		paths(leaves[0].Path, leaves[0].Files()), paths(leaves[7].Path, leaves[7].Files()))
	want := []string{
		"pki/etcd/ca.crt false false", "pki/etcd/ca.key true true", "pki/sa.pub true false", "pki/sa.key true true",
		"pki/apiserver.crt false false", "pki/apiserver.key true true", "./admin.conf true true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	etcd := []string{"pki/etcd/ca", "pki/etcd/server", "pki/etcd/peer", "pki/etcd/healthcheck-client", "pki/apiserver-etcd-client"}
	for name, tt := range map[string]struct {
		version  string
		external bool
		want     []string
	}{
		"new":           {"1.36.1", false, nil},
		"old":           {"1.28.15", false, []string{"super-admin.conf"}},
		"external":      {"1.36.1", true, etcd},
		"old, external": {"1.28.15", true, append(slices.Clone(etcd), "super-admin.conf")},
	} {
		c := cluster(t, tt.version)
		c.ExternalEtcd = tt.external
		all, err := c.Leftovers()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range all {
			got = append(got, l.Path)
			if want := 2 - strings.Count(l.Path, ".conf"); len(l.Files) != want {
				t.Errorf("%s: %s has %d files", name, l.Path, len(l.Files))
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if c.ExternalEtcd != tt.external {
			t.Errorf("%s: the cluster was changed", name)
		}
	}
}
