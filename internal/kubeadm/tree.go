package kubeadm

import (
	"fmt"
	"net/netip"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// A CA is one of the authorities of a cluster.
type CA struct {
	Name string // as kubeadm calls it, and its common name if it is made
	Path string // of its files, without their suffix
}

// The authorities. The first signs what the API server serves and whom it knows,
// the second is for etcd alone, and the third for extension API servers to know
// the API server by.
var (
	ClusterCA    = CA{"kubernetes", "pki/ca"}
	EtcdCA       = CA{"etcd-ca", "pki/etcd/ca"}
	FrontProxyCA = CA{"front-proxy-ca", "pki/front-proxy-ca"}
)

// ServiceAccounts is the path of the key pair that signs the tokens of service
// accounts, without the suffixes .key and .pub. It is the same on all
// control-plane nodes.
const ServiceAccounts = "pki/sa"

// A Leaf is one certificate of the tree.
type Leaf struct {
	Name string // as `kubeadm certs renew` calls it
	// Path of its files, without the suffixes .crt and .key; of a kubeconfig, that
	// of the one file.
	Path       string
	CA         CA // who signs it
	Profile    *profiles.Profile
	Subject    pki.Subject
	SANs       []pki.SAN
	Kubeconfig *Kubeconfig // nil if the certificate has files of its own
}

// A Kubeconfig is what is in a kubeconfig beside the certificate.
type Kubeconfig struct{ Server, Cluster, User string }

// CAs returns the authorities that the cluster needs.
func (c *Cluster) CAs() []CA {
	if c.ExternalEtcd {
		return []CA{ClusterCA, FrontProxyCA}
	}
	return []CA{ClusterCA, EtcdCA, FrontProxyCA}
}

// Leaves returns the certificates of the tree in the order of kubeadm's list,
// then those in kubeconfigs. An error says which field of c is no name.
func (c *Cluster) Leaves() ([]Leaf, error) {
	serving, err := c.apiServerNames()
	if err != nil {
		return nil, err
	}
	server, client := profiles.Server(), profiles.Client()
	all := []Leaf{
		{Name: "apiserver", Path: "pki/apiserver", CA: ClusterCA, Profile: server, Subject: subject("kube-apiserver", ""), SANs: serving},
		{Name: "apiserver-kubelet-client", Path: "pki/apiserver-kubelet-client", CA: ClusterCA, Profile: client,
			Subject: subject("kube-apiserver-kubelet-client", c.Version.kubeletClientGroup())},
		{Name: "front-proxy-client", Path: "pki/front-proxy-client", CA: FrontProxyCA, Profile: client, Subject: subject("front-proxy-client", "")},
	}
	if !c.ExternalEtcd {
		etcd, err := c.etcdLeaves()
		if err != nil {
			return nil, err
		}
		all = append(all, etcd...)
	}
	return append(all, c.kubeconfigs()...), nil
}

// etcdLeaves returns those of an etcd that runs on the node. What serves is a
// client too, since etcd's gateway shows the same certificate to etcd itself.
func (c *Cluster) etcdLeaves() ([]Leaf, error) {
	sans, err := names([]string{c.Node, "localhost"}, []netip.Addr{c.Advertise, netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()})
	if err != nil {
		return nil, err
	}
	group := ""
	if c.Version.etcdClientsAreMasters() {
		group = Masters
	}
	peer, client := profiles.Peer(), profiles.Client()
	return []Leaf{
		{Name: "etcd-server", Path: "pki/etcd/server", CA: EtcdCA, Profile: peer, Subject: subject(c.Node, ""), SANs: sans},
		{Name: "etcd-peer", Path: "pki/etcd/peer", CA: EtcdCA, Profile: peer, Subject: subject(c.Node, ""), SANs: sans},
		{Name: "etcd-healthcheck-client", Path: "pki/etcd/healthcheck-client", CA: EtcdCA, Profile: client,
			Subject: subject("kube-etcd-healthcheck-client", group)},
		{Name: "apiserver-etcd-client", Path: "pki/apiserver-etcd-client", CA: EtcdCA, Profile: client,
			Subject: subject("kube-apiserver-etcd-client", group)},
	}, nil
}

// kubeconfigs returns the users of the API server. Whoever goes with one API
// server talks to the one beside it: its release is then the same.
func (c *Cluster) kubeconfigs() (all []Leaf) {
	add := func(file, server, user, group string) {
		all = append(all, Leaf{
			Name: file, Path: file, CA: ClusterCA, Profile: profiles.Client(), Subject: subject(user, group),
			Kubeconfig: &Kubeconfig{Server: server, Cluster: c.Name, User: user},
		})
	}
	admins := Masters
	if c.Version.HasSuperAdmin() {
		admins = ClusterAdmins
	}
	kubelet := c.shared()
	if c.Version.kubeletIsLocal() {
		kubelet = c.local()
	}
	add("admin.conf", c.shared(), "kubernetes-admin", admins)
	if c.Version.HasSuperAdmin() {
		add("super-admin.conf", c.shared(), "kubernetes-super-admin", Masters)
	}
	add("kubelet.conf", kubelet, "system:node:"+c.Node, Nodes)
	add("controller-manager.conf", c.local(), "system:kube-controller-manager", "")
	add("scheduler.conf", c.local(), "system:kube-scheduler", "")
	return all
}

// apiServerNames returns all by which the API server is reached.
func (c *Cluster) apiServerNames() ([]pki.SAN, error) {
	dns := []string{c.Node, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + c.DNSDomain}
	sans, err := names(dns, []netip.Addr{c.serviceIP(), c.Advertise})
	if err != nil {
		return nil, err
	}
	if c.Endpoint.Host != "" {
		host, err := hostSAN(c.Endpoint.Host)
		if err != nil {
			return nil, err
		}
		sans = append(sans, host)
	}
	return append(sans, c.SANs...), nil
}

func names(dns []string, ips []netip.Addr) (all []pki.SAN, err error) {
	for _, n := range dns {
		san, err := pki.NewSAN(profiles.KindDNS, n)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", n, err)
		}
		all = append(all, san)
	}
	for _, ip := range ips {
		san, err := pki.NewSAN(profiles.KindIP, ip.String())
		if err != nil {
			return nil, fmt.Errorf("%q: %w", ip, err)
		}
		all = append(all, san)
	}
	return all, nil
}

func subject(cn, group string) pki.Subject {
	s := pki.Subject{CommonName: cn}
	if group != "" {
		s.Organizations = []string{group}
	}
	return s
}
