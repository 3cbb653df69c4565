package kubeadm

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
)

// What kubeadm takes where nothing is said (its package
// apis/kubeadm/v1beta4, defaults.go).
const (
	DefaultName        = "kubernetes"
	DefaultServiceCIDR = "10.96.0.0/12"
	DefaultDNSDomain   = "cluster.local"
	DefaultPort        = 6443
)

// The groups of users in the certificates.
const (
	Masters       = "system:masters"         // may do everything, past RBAC
	ClusterAdmins = "kubeadm:cluster-admins" // what kubeadm binds to cluster-admin
	Nodes         = "system:nodes"
)

// A Cluster is what the tree of one control-plane node follows from.
type Cluster struct {
	Name         string // as kubeconfigs call it
	Version      Version
	Node         string // the node's name, as the kubelet registers it
	Advertise    netip.Addr
	Port         int      // of the API server on the node
	Endpoint     Endpoint // by which all nodes reach an API server; zero: Advertise
	Services     []netip.Prefix
	DNSDomain    string
	SANs         []pki.SAN // further names of the API server
	ExternalEtcd bool      // etcd and its certificates are somebody else's
}

// An Endpoint is where API servers are reached: a load balancer, or a name.
type Endpoint struct {
	Host string // a DNS name or an IP address
	Port int    // zero: that of the API server
}

// SameFamily reports whether the API server takes its address beside the networks
// of the services: since 1.24 it must be of the family of the first, which has the
// service "kubernetes" (gh/kubernetes/kubernetes/pull/106721, and
// validatePublicIPServiceClusterIPRangeIPFamilies in
// cmd/kube-apiserver/app/options/validation.go).
func (c *Cluster) SameFamily() bool {
	return c.Version.Minor < 24 || c.Advertise.Is4() == c.Services[0].Addr().Is4()
}

// ServiceCIDR returns the networks of the services as [ParseServices] reads them.
func (c *Cluster) ServiceCIDR() string {
	var all []string
	for _, p := range c.Services {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

// InitCommand returns the words of the command by which the cluster's first node
// takes the tree: what kubeadm takes by itself is left out.
func (c *Cluster) InitCommand() []string {
	words := []string{"kubeadm", "init", "--kubernetes-version", "v" + c.Version.String(), "--node-name", c.Node,
		"--apiserver-advertise-address", c.Advertise.String()}
	flag := func(on bool, flag, value string) {
		if on {
			words = append(words, flag, value)
		}
	}
	flag(c.Port != DefaultPort, "--apiserver-bind-port", strconv.Itoa(c.Port))
	flag(c.Endpoint.Host != "", "--control-plane-endpoint", c.Endpoint.String())
	var names []string
	for _, s := range c.SANs {
		names = append(names, s.Value())
	}
	flag(len(names) > 0, "--apiserver-cert-extra-sans", strings.Join(names, ","))
	flag(c.ServiceCIDR() != DefaultServiceCIDR, "--service-cidr", c.ServiceCIDR())
	flag(c.DNSDomain != DefaultDNSDomain, "--service-dns-domain", c.DNSDomain)
	return words
}

// serviceIP is the address of the service "kubernetes": the first of the first
// network (its package constants, GetAPIServerVirtualIP).
func (c *Cluster) serviceIP() netip.Addr { return c.Services[0].Addr().Next() }

// local is the URL of the API server on the node.
func (c *Cluster) local() string { return serverURL(c.Advertise.String(), c.Port) }

// shared is the URL by which all nodes reach an API server.
func (c *Cluster) shared() string {
	if c.Endpoint.Host == "" {
		return c.local()
	}
	port := c.Endpoint.Port
	if port == 0 {
		port = c.Port
	}
	return serverURL(c.Endpoint.Host, port)
}

func serverURL(host string, port int) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// String returns the endpoint as [ParseEndpoint] reads it.
func (e Endpoint) String() string {
	if e.Port == 0 {
		return e.Host
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}
