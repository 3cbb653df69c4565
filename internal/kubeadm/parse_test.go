package kubeadm

import (
	"slices"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"1.31.4": "1.31.4", "v1.31.4": "1.31.4", "1.31": "1.31.0", "v1.36.1-rc.1": "1.36.1", "1.30.2+k3s1": "1.30.2", "1.20.0": "1.20.0", "1.100.12": "1.100.12",
	} {
		if v, err := ParseVersion(s); err != nil || v.String() != want {
			t.Errorf("%s: %v, %v", s, v, err)
		}
	}
	for s, want := range map[string]string{
		"": "write it as", "latest": "write it as", "1": "write it as", "1.2.3.4": "write it as", "1.-31.0": "write it as", "1.031.0": "write it as",
		"v": "write it as", "1.31.": "write it as", "1.70000.0": "write it as", "1.19.16": "begin with 1.20", "0.31.0": "begin with", "2.0.0": "begin with",
	} {
		if v, err := ParseVersion(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", s, v, err)
		}
	}
	for s, want := range map[string]bool{"1.32.0": false, "1.33.0": true, "1.36.0": true, "1.37.0": false} {
		if v, err := ParseVersion(s); err != nil || v.DependsOnPatch() != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"k8s.example.com": "k8s.example.com", "k8s.example.com:443": "k8s.example.com:443", "10.0.0.5": "10.0.0.5", "10.0.0.5:6443": "10.0.0.5:6443",
		"fd00::5": "fd00::5", "[fd00::5]": "fd00::5", "[fd00::5]:6443": "[fd00::5]:6443", "LB": "lb", "127.0.0.1:6443": "127.0.0.1:6443",
	} {
		e, err := ParseEndpoint(s)
		if err != nil || e.String() != want {
			t.Errorf("%s: %v, %v", s, e, err)
		}
		if again, err := ParseEndpoint(e.String()); err != nil || again != e {
			t.Errorf("%s is not read as it is written: %v, %v", e, again, err)
		}
	}
	for _, s := range []string{"", ":6443", "k8s.example.com:", "k8s.example.com:0", "k8s.example.com:65536", "https://k8s.example.com", "*.example.com", "a b", "a:b:c",
		"k8s_x", "k8s_x:6443", "-k8s", "k8s.-x", "10.0.0.256", "fd00::5%eth0", strings.Repeat("a", 64) + ".example.com"} {
		if e, err := ParseEndpoint(s); err == nil {
			t.Errorf("%q: %v", s, e)
		}
	}
}

func TestParseAdvertise(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"10.0.0.11": "10.0.0.11", "fd00::11": "fd00::11", "::ffff:10.0.0.11": "10.0.0.11", "203.0.113.7": "203.0.113.7"} {
		if a, err := ParseAdvertise(s); err != nil || a.String() != want {
			t.Errorf("%s: %v, %v", s, a, err)
		}
	}
	for s, want := range map[string]string{
		"": "write an IP", "cp1": "write an IP", "10.0.0.11:6443": "write an IP", "10.0.0.0/8": "write an IP", "fd00::11%eth0": "write an IP", "010.0.0.11": "write an IP",
		"127.0.0.1": "cannot reach", "::1": "cannot reach", "0.0.0.0": "cannot reach", "::": "cannot reach", "224.0.0.1": "cannot reach", "ff02::1": "cannot reach",
		"169.254.1.1": "cannot reach", "fe80::1": "cannot reach", "255.255.255.255": "cannot reach", "::ffff:127.0.0.1": "cannot reach",
	} {
		if a, err := ParseAdvertise(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", s, a, err)
		}
	}
}

func TestParsePort(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"1": 1, "6443": 6443, "65535": 65535} {
		if n, err := ParsePort(s); err != nil || n != want {
			t.Errorf("%s: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "0", "65536", "-1", "https", "+1"} {
		if n, err := ParsePort(s); err == nil {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestParseDomain(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"cluster.local": "cluster.local", "k8s.lan": "k8s.lan", "lan": "lan", "K8s.Lan": "k8s.lan"} {
		if d, err := ParseDomain(s); err != nil || d != want {
			t.Errorf("%s: %q, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "*.lan", "k8s_x.lan", "10.0.0.1", "-lan", "a..b", "a b", "lan."} {
		if d, err := ParseDomain(s); err == nil {
			t.Errorf("%q: %q", s, d)
		}
	}
}

func TestParseSAN(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"api.example.com": "api.example.com", "*.example.com": "*.example.com", "API": "api", "10.0.0.5": "10.0.0.5", "fd00::0005": "fd00::5"} {
		if n, err := ParseSAN(s); err != nil || n.Value() != want {
			t.Errorf("%s: %v, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "api_x", "*", "a.*.example.com", "a@example.com", "https://api.example.com", "api:6443"} {
		if n, err := ParseSAN(s); err == nil {
			t.Errorf("%q: %v", s, n)
		}
	}
}

func TestParseNode(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"cp1", "cp-1.example.com", "ip-10-0-0-11"} {
		if n, err := ParseNode(s); err != nil || n != s {
			t.Errorf("%s: %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "CP1", "cp_1", "*.example.com", "a/b", "10.0.0.11", "bücher", "-a", "a b"} {
		if n, err := ParseNode(s); err == nil {
			t.Errorf("%q: %q", s, n)
		}
	}
}

func TestParseServices(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"10.96.0.0/12": "10.96.0.1", "fd00::/112": "fd00::1", "10.0.0.0/16, fd00::/112": "10.0.0.1", "fd00::/112,10.0.0.0/16": "fd00::1",
		"10.0.0.16/28": "10.0.0.17", "fd00::/124": "fd00::1", "fd00::/108": "fd00::1"} {
		all, err := ParseServices(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if ip := (&Cluster{Services: all}).serviceIP(); ip.String() != want {
			t.Errorf("%s: %s, want %s", s, ip, want)
		}
	}
	for s, want := range map[string]string{
		"": "write it as", "10.96.0.0": "write it as", "10.96.0.1/12": "which is 10.96.0.0/12", "10.0.0.1/32": "too small",
		"10.0.0.0/30": "10.0.0.0/30 is too small: kubeadm takes a /28 or larger", "10.0.0.0/29": "too small",
		"fd00::/125": "fd00::/125 is too small: kubeadm takes a /124 or larger", "10.0.0.0/8": "10.0.0.0/8 is too large: kubeadm takes a /12 or smaller",
		"10.96.0.0/11": "too large", "fd00::/107": "fd00::/107 is too large: kubeadm takes a /108 or smaller", "fd00::/64": "too large",
		"10.96.0.0/12,fd00::/64": "fd00::/64 is too large", "::ffff:10.96.0.0/112": "write it as", "fd00::/112,fd01::/112": "one of each family",
		"10.96.0.0/12,": "write it as", "fd00::1/112": "which is fd00::/112",
		"10.0.0.0/16,10.1.0.0/16": "one of each family", "10.0.0.0/16,fd00::/112,fd01::/112": "one of each family",
	} {
		if all, err := ParseServices(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", s, all, err)
		}
	}
}

// FuzzParse holds what is read to being written and read again as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"k8s.example.com:443", "[fd00::5]:6443", "10.0.0.5", "v1.31.4", "10.96.0.0/12,fd00::/112", "cp1", "::ffff:10.0.0.1", "a%b:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := ParseEndpoint(s); err == nil {
			if again, err := ParseEndpoint(e.String()); err != nil || again != e {
				t.Errorf("endpoint %q: %v, then %v, %v", s, e, again, err)
			}
		}
		if v, err := ParseVersion(s); err == nil {
			if again, err := ParseVersion(v.String()); err != nil || again != v {
				t.Errorf("version %q: %v, then %v, %v", s, v, again, err)
			}
		}
		if all, err := ParseServices(s); err == nil && len(all) == 0 {
			t.Errorf("services %q: none", s)
		}
		if n, err := ParseNode(s); err == nil && n != s {
			t.Errorf("node %q: %q", s, n)
		}
		if all, err := ParseServices(s); err == nil {
			written := (&Cluster{Services: all}).ServiceCIDR()
			if again, err := ParseServices(written); err != nil || !slices.Equal(again, all) {
				t.Errorf("services %q: %s, then %v, %v", s, written, again, err)
			}
		}
		if n, err := ParseSAN(s); err == nil {
			if again, err := ParseSAN(n.Value()); err != nil || again.Value() != n.Value() {
				t.Errorf("name %q: %v, then %v, %v", s, n, again, err)
			}
		}
		if d, err := ParseDomain(s); err == nil {
			if again, err := ParseDomain(d); err != nil || again != d {
				t.Errorf("domain %q: %s, then %s, %v", s, d, again, err)
			}
		}
		if a, err := ParseAdvertise(s); err == nil && !a.IsGlobalUnicast() {
			t.Errorf("address %q: %v", s, a)
		}
	})
}
