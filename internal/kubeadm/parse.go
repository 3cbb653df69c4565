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

// ParseAdvertise reads the address of a node's API server. As in kubeadm
// (gh/kubernetes/kubernetes cmd/kubeadm/app/util/config/common.go,
// VerifyAPIServerBindAddress) it is a global unicast one; a loopback address, in
// whose place kubeadm looks for another, is none either.
func ParseAdvertise(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, errors.New("write an IP address, as in 10.0.0.11 or fd00::11")
	}
	addr = addr.Unmap()
	if !addr.IsGlobalUnicast() {
		return netip.Addr{}, errors.New("other nodes cannot reach it there")
	}
	return addr, nil
}

// ParsePort reads a port.
func ParsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("write a number from 1 to 65535")
	}
	return int(n), nil
}

// ParseEndpoint reads HOST or HOST:PORT, where HOST is a DNS name or an address
// (gh/kubernetes/kubernetes cmd/kubeadm/app/util/endpoint.go, ParseHostPort). An
// IPv6 address with a port is in brackets.
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
		if e.Port, err = ParsePort(port); err != nil {
			return Endpoint{}, fmt.Errorf("%q is no port", port)
		}
	}
	return e, nil
}

// hostSAN makes a name of a host, which is not a wildcard.
func hostSAN(host string) (pki.SAN, error) {
	san, err := ParseSAN(host)
	if err == nil && strings.HasPrefix(san.Value(), "*") {
		err = errors.New("a wildcard is not a host")
	}
	return san, err
}

// ParseSAN reads a further name of the API server: an address, or a DNS name,
// which may be a wildcard (ValidateCertSANs; see [ParseServices]).
func ParseSAN(s string) (pki.SAN, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return san(profiles.KindIP, addr.String())
	}
	return dnsSAN(s)
}

// dnsSAN makes a DNS name as Kubernetes has them: of letters, digits, dashes and
// dots (gh/kubernetes/kubernetes staging/src/k8s.io/apimachinery/pkg/util/validation,
// IsDNS1123Subdomain). Capitals become small letters.
func dnsSAN(s string) (pki.SAN, error) {
	if strings.Contains(s, "_") {
		return pki.SAN{}, errors.New(`it contains "_", and Kubernetes has letters, digits, dashes and dots in names`)
	}
	return san(profiles.KindDNS, s)
}

// san keeps the problem alone of a name that cannot be: what else it could be is
// nothing that kubeadm takes.
func san(kind profiles.SANKind, value string) (pki.SAN, error) {
	n, err := pki.NewSAN(kind, value)
	var e *pki.SANError
	if errors.As(err, &e) {
		err = errors.New(e.Problem)
	}
	return n, err
}

// ParseNode reads the name of a node: a DNS name in lower case
// (gh/kubernetes/kubernetes pkg/apis/core/validation, ValidateNodeName; kubeadm's
// ValidateNodeRegistrationOptions is the same). One that is an address could be no
// DNS name of a certificate.
func ParseNode(s string) (string, error) {
	if s != strings.ToLower(s) {
		return "", errors.New("nodes have names in lower case")
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "", errors.New("that is an address; give the node a name")
	}
	n, err := dnsSAN(s)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(s, "*") || n.Value() != s {
		return "", errors.New("write letters, digits, dashes and dots")
	}
	return s, nil
}

// ParseDomain reads the domain of the services (ValidateNetworking; see
// [ParseServices]).
func ParseDomain(s string) (string, error) {
	n, err := dnsSAN(s)
	if err == nil && strings.HasPrefix(n.Value(), "*") {
		err = errors.New("a wildcard is not a domain")
	}
	return n.Value(), err
}

// How long the host part of a network of services is: it has ten addresses, since
// the tenth is that of DNS, and at most as many as etcd is to keep a map of
// (gh/kubernetes/kubernetes cmd/kubeadm/app/constants/constants.go,
// MinimumAddressesInServiceSubnet and MaximumBitsForServiceSubnet).
const (
	minServiceBits = 4
	maxServiceBits = 20
)

// ParseServices reads the network of the services, or two for a cluster of both
// families, with a comma between them. The rules are kubeadm's
// (gh/kubernetes/kubernetes cmd/kubeadm/app/apis/kubeadm/validation/validation.go,
// ValidateIPNetFromString and ValidateServiceSubnetSize), but that an address in a
// network is refused, where kubeadm takes the network without a word.
func ParseServices(s string) (all []netip.Prefix, err error) {
	for _, word := range strings.Split(s, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(word))
		if err != nil || p.Addr().Is4In6() {
			return nil, errors.New("write it as 10.96.0.0/12, or 10.96.0.0/12,fd00:10:96::/112 for both families")
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("%s is an address in a network, which is %s", p, p.Masked())
		}
		length := p.Addr().BitLen()
		switch host := length - p.Bits(); {
		case host < minServiceBits:
			return nil, fmt.Errorf("%s is too small: kubeadm takes a /%d or larger", p, length-minServiceBits)
		case host > maxServiceBits:
			return nil, fmt.Errorf("%s is too large: kubeadm takes a /%d or smaller", p, length-maxServiceBits)
		}
		all = append(all, p)
	}
	if len(all) > 2 || len(all) == 2 && all[0].Addr().Is4() == all[1].Addr().Is4() {
		return nil, errors.New("give one network, or one of each family")
	}
	return all, nil
}
