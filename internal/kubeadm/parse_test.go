package kubeadm

import (
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
		"fd00::5": "fd00::5", "[fd00::5]": "fd00::5", "[fd00::5]:6443": "[fd00::5]:6443", "LB": "lb",
	} {
		e, err := ParseEndpoint(s)
		if err != nil || e.String() != want {
			t.Errorf("%s: %v, %v", s, e, err)
		}
		if again, err := ParseEndpoint(e.String()); err != nil || again != e {
			t.Errorf("%s is not read as it is written: %v, %v", e, again, err)
		}
	}
	for _, s := range []string{"", ":6443", "k8s.example.com:", "k8s.example.com:0", "k8s.example.com:65536", "https://k8s.example.com", "*.example.com", "a b", "a:b:c"} {
		if e, err := ParseEndpoint(s); err == nil {
			t.Errorf("%q: %v", s, e)
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
	for s, want := range map[string]string{"10.96.0.0/12": "10.96.0.1", "fd00::/112": "fd00::1", "10.0.0.0/16, fd00::/112": "10.0.0.1", "fd00::/112,10.0.0.0/16": "fd00::1"} {
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
		"": "write it as", "10.96.0.0": "write it as", "10.96.0.1/12": "which is 10.96.0.0/12", "10.0.0.1/32": "no room",
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
		_, _ = ParseSAN(s)
	})
}
