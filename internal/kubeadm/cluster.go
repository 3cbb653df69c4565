package kubeadm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
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

// ParseEndpoint reads HOST or HOST:PORT. An IPv6 address with a port is in
// brackets.
func ParseEndpoint(s string) (Endpoint, error) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return endpoint(addr.String(), "")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, ""
		if strings.Contains(s, ":") {
			return Endpoint{}, errors.New("write it as k8s.example.com:6443 or 10.0.0.1")
		}
	} else if port == "" {
		return Endpoint{}, errors.New("its port is missing")
	}
	return endpoint(host, port)
}

func endpoint(host, port string) (Endpoint, error) {
	san, err := hostSAN(host)
	if err != nil {
		return Endpoint{}, err
	}
	e := Endpoint{Host: san.Value()}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Endpoint{}, fmt.Errorf("%q is no port", port)
		}
		e.Port = int(n)
	}
	return e, nil
}

// hostSAN makes a name of a host, which is not a wildcard.
func hostSAN(host string) (pki.SAN, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return pki.NewSAN(profiles.KindIP, addr.String())
	}
	if strings.HasPrefix(host, "*") {
		return pki.SAN{}, errors.New("a wildcard is not a host")
	}
	return pki.NewSAN(profiles.KindDNS, host)
}

// ParseSAN reads a further name of the API server: a DNS name or an IP address.
func ParseSAN(s string) (pki.SAN, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return pki.NewSAN(profiles.KindIP, addr.String())
	}
	return pki.NewSAN(profiles.KindDNS, s)
}

// ParseNode reads the name of a node: the rules are those of DNS, in lower case
// (gh/kubernetes/kubernetes pkg/apis/core/validation, ValidateNodeName).
func ParseNode(s string) (string, error) {
	if s != strings.ToLower(s) {
		return "", errors.New("nodes have names in lower case")
	}
	if _, err := pki.NewSAN(profiles.KindDNS, s); err != nil {
		return "", err
	}
	if strings.HasPrefix(s, "*") || strings.ContainsFunc(s, func(r rune) bool { return r == '_' || r > 127 }) {
		return "", errors.New("write letters, digits, dashes and dots")
	}
	return s, nil
}

// ParseServices reads the network of the services, or two for a cluster of both
// families, with a comma between them.
func ParseServices(s string) (all []netip.Prefix, err error) {
	for _, word := range strings.Split(s, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(word))
		if err != nil {
			return nil, errors.New("write it as 10.96.0.0/12, or 10.96.0.0/12,fd00:10:96::/112 for both families")
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("%s is an address in a network, which is %s", word, p.Masked())
		}
		if !p.Contains(p.Addr().Next()) {
			return nil, fmt.Errorf("%s has no room for services", p)
		}
		all = append(all, p)
	}
	if len(all) > 2 || len(all) == 2 && all[0].Addr().Is4() == all[1].Addr().Is4() {
		return nil, errors.New("give one network, or one of each family")
	}
	return all, nil
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
