package cmd

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestKubeadmOptions(t *testing.T) {
	t.Parallel()
	args := func(more ...string) []string {
		return append([]string{"cp1", "--node", "cp1", "--advertise-address", "10.0.0.11", "--kubernetes-version", "1.36.1"}, more...)
	}
	want := func(change func(*kubeadmOptions)) kubeadmOptions {
		o := kubeadmOptions{
			dir: "cp1", cas: [3]string{"kubernetes", "etcd-ca", "front-proxy-ca"}, passphrase: secretFlags{word: "passphrase"},
			cluster: kubeadm.Cluster{
				Name: "kubernetes", Version: kubeadm.Version{Major: 1, Minor: 36, Patch: 1}, Node: "cp1", Advertise: netip.MustParseAddr("10.0.0.11"),
				Port: 6443, Services: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}, DNSDomain: "cluster.local",
			},
		}
		change(&o)
		return o
	}
	sans, err := pki.SANs("api.example.com", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	checkOptions(t, func(run func(context.Context, *kubeadmOptions) error) *cobra.Command {
		return newKubeadmCmd(&app{}, run)
	}, map[string]optionsTest[kubeadmOptions]{
		"the least": {args: args(), want: want(func(*kubeadmOptions) {})},
		"all": {
			args: args("--advertise-address", "fd00::11", "--bind-port", "8443", "--control-plane-endpoint", "lb.example.com:443", "--api-server-san", "api.example.com", "--api-server-san", "192.0.2.1",
				"--service-cidr", "fd00::/112", "--dns-domain", "k8s.lan", "--key", "rsa-2048", "--validity", "90d", "--sa-key", "sa.key", "--force", "--dry-run",
				"--ca", "a", "--etcd-ca", "b", "--front-proxy-ca", "c", "--passphrase-env", "P", "--external-ca"),
			want: want(func(o *kubeadmOptions) {
				o.cluster.Advertise = netip.MustParseAddr("fd00::11")
				o.cluster.Port, o.cluster.Endpoint, o.cluster.SANs = 8443, kubeadm.Endpoint{Host: "lb.example.com", Port: 443}, sans
				o.cluster.Services, o.cluster.DNSDomain = []netip.Prefix{netip.MustParsePrefix("fd00::/112")}, "k8s.lan"
				o.key, o.validity, o.saKey, o.force, o.dryRun = profiles.RSA2048, 90*oneDay, "sa.key", true, true
				o.cas, o.passphrase.env, o.externalCA = [3]string{"a", "b", "c"}, "P", true
			}),
		},
		"another cluster": {args: args("--cluster-name", "lab", "--etcd-ca", "e"), want: want(func(o *kubeadmOptions) {
			o.cluster.Name, o.cas = "lab", [3]string{"lab", "e", "lab-front-proxy-ca"}
		})},
		"external etcd": {args: args("--external-etcd"), want: want(func(o *kubeadmOptions) { o.cluster.ExternalEtcd = true })},

		"no DIR":           {err: "DIR is missing"},
		"two":              {args: args("cp2"), err: `"cp2" is one argument too many`},
		"no facts":         {args: []string{"cp1"}, err: "--node, --advertise-address and --kubernetes-version are missing"},
		"pki":              {args: append([]string{"x/pki/"}, args()[1:]...), err: `DIR "x/pki/": it stands for /etc/kubernetes, not for its pki`},
		"node":             {args: args("--node", "CP1"), err: `--node "CP1": nodes have names in lower case`},
		"name for address": {args: args("--advertise-address", "cp1"), err: `--advertise-address "cp1": write an IP address, as in 10.0.0.11 or fd00::11`},
		"loopback":         {args: args("--advertise-address", "127.0.0.1"), err: `--advertise-address "127.0.0.1": other nodes cannot reach it there`},
		"version":          {args: args("--kubernetes-version", "stable"), err: `--kubernetes-version "stable": write it as 1.31.4`},
		"old":              {args: args("--kubernetes-version", "1.19.3"), err: `--kubernetes-version "1.19.3": the releases that are known begin with 1.20`},
		"port":             {args: args("--bind-port", "0"), err: `--bind-port "0": write a number from 1 to 65535`},
		"endpoint":         {args: args("--control-plane-endpoint", "lb:"), err: `--control-plane-endpoint "lb:": its port is missing`},
		"services":         {args: args("--service-cidr", "10.96.0.1/12"), err: `--service-cidr "10.96.0.1/12": 10.96.0.1/12 is an address in a network, which is 10.96.0.0/12`},
		"large services":   {args: args("--service-cidr", "10.0.0.0/8"), err: `--service-cidr "10.0.0.0/8": 10.0.0.0/8 is too large: kubeadm takes a /12 or smaller`},
		"other family": {args: args("--advertise-address", "fd00::11"),
			err: `--service-cidr 10.96.0.0/12: the API server refuses it beside --advertise-address fd00::11, which is of another family`},
		"other family, old": {args: args("--service-cidr", "fd00::/112", "--kubernetes-version", "1.23.17"), want: want(func(o *kubeadmOptions) {
			o.cluster.Services, o.cluster.Version = []netip.Prefix{netip.MustParsePrefix("fd00::/112")}, kubeadm.Version{Major: 1, Minor: 23, Patch: 17}
		})},
		"underscore":        {args: args("--control-plane-endpoint", "k8s_x"), err: `--control-plane-endpoint "k8s_x": it contains "_", and Kubernetes has letters, digits, dashes and dots in names`},
		"domain":            {args: args("--dns-domain", "*.lan"), err: `--dns-domain "*.lan": a wildcard is not a domain`},
		"cluster":           {args: args("--cluster-name", "a/b"), err: `--cluster-name "a/b": it contains "/"`},
		"mail":              {args: args("--api-server-san", "a@b"), err: `--api-server-san "a@b": ` + sanProblem(t, "a@b")},
		"key":               {args: args("--key", "ed25519"), err: "--key ed25519: kubeadm reads EC and RSA keys only"},
		"one CA twice":      {args: args("--etcd-ca", "Kubernetes"), err: `authority "Kubernetes" is named twice`},
		"etcd and none":     {args: args("--etcd-ca", "e", "--external-etcd"), err: "--etcd-ca and --external-etcd exclude each other"},
		"CA in a namespace": {args: args("--ca", "a/b"), err: `name "a/b": names with a namespace are those of manifests`},
		"long names": {
			args: args("--cluster-name", strings.Repeat("c", 60)),
			err:  `name "` + strings.Repeat("c", 60) + `.cp1/apiserver-kubelet-client": its namespace is longer than 63 bytes`,
		},
	})
}

func sanProblem(t *testing.T, s string) string {
	t.Helper()
	_, err := kubeadm.ParseSAN(s)
	return strings.TrimPrefix(flagValueError("", "", err).Error(), ` "": `)
}

// The command that the ledger keeps is read as what it was made of.
func TestKubeadmCommandIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"/x --node cp1 --advertise-address 10.0.0.11 --kubernetes-version 1.36.1",
		"/x --node cp1 --advertise-address fd00::11 --kubernetes-version 1.28.0 --bind-port 8443 --control-plane-endpoint lb.example.com:443 " +
			"--api-server-san api.example.com --api-server-san 192.0.2.1 --service-cidr fd00::/112,10.0.0.0/16 --dns-domain k8s.lan " +
			"--cluster-name lab --ca a --etcd-ca b --front-proxy-ca c --key rsa-2048 --validity 90d --external-ca",
		"/x --node cp1 --advertise-address 10.0.0.11 --kubernetes-version 1.36.1 --external-etcd",
	} {
		var got string
		c := newKubeadmCmd(&app{}, func(_ context.Context, o *kubeadmOptions) error { got = o.command(); return nil })
		if err := parseOptions(c, strings.Fields(line)...); err != nil {
			t.Fatal(err)
		}
		if got != "mtlsctl kubeadm "+line {
			t.Errorf("got  %s\nwant mtlsctl kubeadm %s", got, line)
		}
	}
}
