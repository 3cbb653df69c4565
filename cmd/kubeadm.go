package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/kubeadm"
	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

type kubeadmOptions struct {
	dir        string
	cluster    kubeadm.Cluster
	cas        [3]string // the authorities, in the order of kubeadmCAs; empty for the default
	key        profiles.KeyType
	validity   time.Duration
	saKey      string
	externalCA bool
	force      bool
	dryRun     bool
	passphrase secretFlags
}

// kubeadmCAs are the authorities of a cluster.
func kubeadmCAs() [3]kubeadm.CA {
	return [3]kubeadm.CA{kubeadm.ClusterCA, kubeadm.EtcdCA, kubeadm.FrontProxyCA}
}

func newKubeadmCmd(a *app, run func(context.Context, *kubeadmOptions) error) *cobra.Command {
	o := &kubeadmOptions{cluster: kubeadm.Cluster{Name: kubeadm.DefaultName, Port: kubeadm.DefaultPort, DNSDomain: kubeadm.DefaultDNSDomain}}
	if run == nil {
		run = a.runKubeadm
	}
	c := &cobra.Command{
		Use:     "kubeadm DIR",
		GroupID: groupMake,
		Short:   "Write all that kubeadm keeps in /etc/kubernetes, for one control-plane node",
		Long: `kubeadm writes what 'kubeadm init' would make, and takes if it is there: the
certificates, keys and authorities in DIR/pki, and the kubeconfigs in DIR. What
is in them follows the release of Kubernetes.

The three authorities are kept in the PKI directory, and made if they are not
there: kubernetes, etcd-ca and front-proxy-ca, or as --ca, --etcd-ca and
--front-proxy-ca name them. A further cluster is told apart by --cluster-name,
and has its own. Those of a cluster that exists are taken over with 'mtlsctl
import-ca', and the key of its service accounts with --sa-key. All nodes of a
cluster share the authorities and that key: run it once for each node.

Certificates are on record as NODE/apiserver, NODE/admin.conf and so on; 'list',
'revoke' and 'renew' know them. Run again, it renews what is due or is no longer
what the flags ask for, writes again what is missing, closes and names keys that
others may read, and leaves the rest alone.

The keys of the authorities go into the tree, as kubeadm has them; with
--external-ca they stay behind. Then kubeadm signs nothing by itself.`,
		Example: `  mtlsctl kubeadm cp1 --node cp1 --advertise-address 10.0.0.11 --kubernetes-version 1.36.1 --control-plane-endpoint k8s.example.com
  mtlsctl kubeadm cp2 --node cp2 --advertise-address 10.0.0.12 --kubernetes-version 1.36.1 --external-ca
  mtlsctl kubeadm lab --node n1 --advertise-address fd00::1 --service-cidr fd00:10:96::/112 --kubernetes-version 1.31.4 --cluster-name lab`,
		Args: exactArgs("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			o.dir = args[0]
			if err := o.check(); err != nil {
				return err
			}
			return run(c.Context(), o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	f := c.Flags()
	f.Var(parsed(&o.cluster.Node, "name", kubeadm.ParseNode), "node", "the node, by the name that its kubelet registers")
	f.Var(parsed(&o.cluster.Advertise, "address", kubeadm.ParseAdvertise), "advertise-address", "the IP address of the node's API server, and of its etcd")
	f.Var(parsed(&o.cluster.Version, "version", kubeadm.ParseVersion), "kubernetes-version", "the release of kubeadm, as in 1.36.1")
	f.Var(parsed(&o.cluster.Port, "port", kubeadm.ParsePort), "bind-port", "the API server's port (default "+strconv.Itoa(kubeadm.DefaultPort)+")")
	f.Var(parsed(&o.cluster.Endpoint, "host[:port]", kubeadm.ParseEndpoint), "control-plane-endpoint", "where all API servers are reached: a load balancer")
	f.Var(collected(&o.cluster.SANs, "name", kubeadm.ParseSAN), "api-server-san", "further DNS name or IP address of the API server; repeatable")
	f.Var(parsed(&o.cluster.Services, "CIDR", kubeadm.ParseServices), "service-cidr",
		"network of the services; two for both families (default "+kubeadm.DefaultServiceCIDR+")")
	f.Var(parsed(&o.cluster.DNSDomain, "domain", kubeadm.ParseDomain), "dns-domain", "domain of the services (default "+kubeadm.DefaultDNSDomain+")")
	f.Var(parsed(&o.cluster.Name, "name", parseClusterName), "cluster-name", "the cluster, in kubeconfigs and in the names on record (default "+kubeadm.DefaultName+")")
	for i, flag := range []string{"ca", "etcd-ca", "front-proxy-ca"} {
		f.StringVar(&o.cas[i], flag, "", "`authority` in the place of "+kubeadmCAs()[i].Name)
		must(c.RegisterFlagCompletionFunc(flag, a.completeAuthorities))
	}
	addKeyFlag(c, &o.key)
	f.Lookup("key").Usage = "type of new keys: EC or RSA (default that of the cluster's authority)"
	f.Var(parsed(&o.validity, "duration", profiles.ParseValidity), "validity", "how long certificates last: 90d, 1y (default 1y)")
	f.StringVar(&o.saKey, "sa-key", "", "`file` with the key of the service accounts of a cluster that exists")
	f.BoolVar(&o.externalCA, "external-ca", false, "keep the keys of the authorities out of the tree")
	f.BoolVar(&o.cluster.ExternalEtcd, "external-etcd", false, "leave out what is for an etcd on the node")
	f.BoolVar(&o.force, "force", false, "replace files that somebody else wrote or changed")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be made, and make nothing")
	o.passphrase.add(c, "passphrase", "passphrase of the authorities' keys")
	must(c.MarkFlagFilename("sa-key"))
	for _, flag := range []string{"node", "advertise-address", "kubernetes-version", "bind-port", "control-plane-endpoint",
		"api-server-san", "service-cidr", "dns-domain", "cluster-name", "validity"} {
		must(c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions))
	}
	return c
}

// parseClusterName takes what can be the name of an authority, too.
func parseClusterName(s string) (string, error) {
	n, err := pki.ParseName(s)
	var name *pki.NameError
	switch {
	case errors.As(err, &name):
		return "", errors.New(name.Problem)
	case n.Namespace() != "":
		return "", errors.New(`it contains "/"`)
	}
	return n.String(), err
}

// check finds out what is missing, and fills in the defaults.
func (o *kubeadmOptions) check() error {
	var missing []string
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--node", o.cluster.Node != ""},
		{"--advertise-address", o.cluster.Advertise.IsValid()},
		{"--kubernetes-version", o.cluster.Version != kubeadm.Version{}},
	} {
		if !f.given {
			missing = append(missing, f.flag)
		}
	}
	if len(missing) > 0 {
		is := "is"
		if len(missing) > 1 {
			is = "are"
		}
		return usagef("as in --node cp1 --advertise-address 10.0.0.11 --kubernetes-version 1.36.1; 'kubeadm version -o short' says which release it is",
			"%s %s missing", joinAnd(missing), is)
	}
	if filepath.Base(filepath.Clean(o.dir)) == "pki" {
		return usagef("name the folder above it: the certificates go to DIR/pki, and the kubeconfigs beside that",
			"DIR %q: it stands for /etc/kubernetes, not for its pki", o.dir)
	}
	if o.key == profiles.Ed25519 {
		return usagef("use --key ec-p256 or --key rsa-2048", "--key ed25519: kubeadm reads EC and RSA keys only")
	}
	if o.cluster.ExternalEtcd && o.cas[1] != "" {
		return usagef("leave out one of them", "--etcd-ca and --external-etcd exclude each other")
	}
	if o.cluster.Services == nil {
		var err error
		if o.cluster.Services, err = kubeadm.ParseServices(kubeadm.DefaultServiceCIDR); err != nil {
			return err
		}
	}
	if !o.cluster.SameFamily() {
		example := kubeadm.DefaultServiceCIDR
		if o.cluster.Advertise.Is6() {
			example = "fd00:10:96::/112"
		}
		return usagef("give a network of its family first, as in --service-cidr "+example,
			"--service-cidr %s: the API server refuses it beside --advertise-address %s, which is of another family", o.cluster.ServiceCIDR(), o.cluster.Advertise)
	}
	return o.checkNames()
}

// checkNames gives the authorities their names. Who could sign for another would
// pass for it: they are three.
func (o *kubeadmOptions) checkNames() error {
	seen := map[string]bool{}
	for i, ca := range kubeadmCAs() {
		if o.cas[i] == "" {
			o.cas[i] = o.defaultCA(ca)
		}
		n, err := parseName(o.cas[i])
		if err != nil {
			return err
		}
		o.cas[i] = n.String()
		if seen[strings.ToLower(o.cas[i])] {
			return usagef("name another: what one signs, the others must not accept", "authority %q is named twice", o.cas[i])
		}
		seen[strings.ToLower(o.cas[i])] = true
	}
	_, err := o.nameOf("apiserver-kubelet-client") // the longest
	return err
}

// defaultCA is kubeadm's name, unless the cluster has one of its own.
func (o *kubeadmOptions) defaultCA(ca kubeadm.CA) string {
	switch {
	case o.cluster.Name == kubeadm.DefaultName:
		return ca.Name
	case ca == kubeadm.ClusterCA:
		return o.cluster.Name
	}
	return o.cluster.Name + "-" + ca.Name
}

// authority returns the name of an authority.
func (o *kubeadmOptions) authority(ca kubeadm.CA) string {
	for i, other := range kubeadmCAs() {
		if ca == other {
			return o.cas[i]
		}
	}
	return ""
}

// nameOf returns what a certificate of the node is called: its namespace is the
// node, with the cluster before it unless that is the first.
func (o *kubeadmOptions) nameOf(leaf string) (pki.Name, error) {
	namespace := o.cluster.Node
	if o.cluster.Name != kubeadm.DefaultName {
		namespace = o.cluster.Name + "." + namespace
	}
	n, err := pki.ParseName(namespace + "/" + leaf)
	if err != nil {
		return n, &usageError{err, "its namespace is the cluster's name and the node's; give the cluster a shorter one"}
	}
	return n, nil
}

// checkPlace finds out before anything is made whether the tree may come to DIR.
func (o *kubeadmOptions) checkPlace(a *app) error {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	own, err := filepath.Abs(a.pkiPath)
	if err != nil {
		return err
	}
	if within := dir + string(filepath.Separator); strings.HasPrefix(within, own+string(filepath.Separator)) ||
		strings.HasPrefix(own+string(filepath.Separator), filepath.Join(dir, "pki")+string(filepath.Separator)) {
		return usagef("name a folder elsewhere, as in 'mtlsctl kubeadm "+o.cluster.Node+"'", "DIR %q: the PKI directory %s is in its place", o.dir, a.pkiPath)
	}
	for _, folder := range []string{"pki/etcd", "pki"} {
		path := filepath.Join(o.dir, filepath.FromSlash(folder))
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return withHint(&pkidir.PathError{Path: path, Err: errors.New("it is a link, and the tree is not written to elsewhere")},
				"name the folder that it leads to, or move it away")
		}
		if err := refusePlace(path); err != nil {
			var hinted *hintedError
			if errors.As(err, &hinted) {
				return withHint(hinted.err, "move it away, or name another DIR")
			}
			return err
		}
	}
	return nil
}

func joinAnd(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return fmt.Sprintf("%s and %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
}
