package export

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mtlsctl/mtlsctl/pki"
)

// Kubeconfig writes a kubeconfig (apiVersion v1, kind Config) whose user is the
// bundle's certificate: a cluster, a user, and a context of both, which is the
// current one. The API server takes the certificate's common name for the user
// and its organizations for the user's groups (the page "Authenticating" of
// Kubernetes' documentation, "X.509 client certificates"). The chain goes in as
// leaf and intermediates, since the API server needs to have the root alone.
// The fields are those of gh/kubernetes/client-go tools/clientcmd/api/v1.
type Kubeconfig struct {
	Server    string // https URL of the API server
	Cluster   string // default "kubernetes", as kubeadm calls it
	User      string // default the certificate's common name
	Context   string // default USER@CLUSTER
	Namespace string // of the context; may be empty
	CA        []byte // PEM or DER of what the API server is verified against; empty: the bundle's roots
	// Paths, if not nil, are written in place of certificates and key, as
	// `kubectl config set-credentials --client-certificate` does.
	Paths *KubeconfigPaths
	JSON  bool // JSON in place of YAML
}

// KubeconfigPaths are files of PEM. Paths that are not absolute are taken from
// the folder of the kubeconfig.
type KubeconfigPaths struct {
	Certificate, Key string
	CA               string // empty: the CA is embedded
}

// Why a certificate is of no use in a kubeconfig.
var (
	ErrNotForClients = errors.New("the certificate is not for clients")
	ErrNoCommonName  = errors.New("the certificate has no common name, which Kubernetes takes for the user")
)

// Export implements [Format]. The file is private even if it holds no key. A
// certificate that is an authority's, or whose extended key usages lack
// clientAuth, is [ErrNotForClients]; one without a common name is
// [ErrNoCommonName]. There are [ErrNoKey], and without a CA [ErrNoRoots]; what
// is wrong with a field is an [OptionError].
func (f Kubeconfig) Export(b *pki.Bundle) ([]File, error) {
	c, err := f.entries(b)
	if err != nil {
		return nil, err
	}
	if f.Server == "" {
		return nil, &OptionError{"server", "", "the URL of the API server is missing", ""}
	}
	data, err := newKubeconfig(f.JSON).merge(c, KubeconfigMerge{})
	ending := ".kubeconfig"
	if f.JSON {
		ending += ".json"
	}
	return []File{{c.user.name + ending, data, true}}, err
}

// Named returns f with the names that it has for this bundle.
func (f Kubeconfig) Named(b *pki.Bundle) Kubeconfig {
	if f.Cluster == "" {
		f.Cluster = "kubernetes"
	}
	if f.User == "" && len(b.Chain) > 0 {
		f.User = b.Leaf().Subject.CommonName
	}
	if f.Context == "" {
		f.Context = f.User + "@" + f.Cluster
	}
	return f
}

// Warnings says what to know before the file is handed out.
func (f Kubeconfig) Warnings(b *pki.Bundle) (all []string) {
	if len(b.Chain) > 0 && slices.Contains(b.Leaf().Subject.Organization, "system:masters") {
		all = append(all, "the group system:masters may do everything in the cluster, past RBAC: "+
			"until the certificate ends, only a new CA of the cluster takes that back")
	}
	return all
}

// A kubeEntry is one item of the lists of a kubeconfig.
type kubeEntry struct {
	kind   string // its key in the item: cluster, user, context
	name   string
	fields []kubeField
}

// A kubeField is what a field of an entry has to be. An empty one must not be
// there.
type kubeField struct{ key, value string }

// kubeEntries are what one export puts into a kubeconfig. The cluster has no
// fields if the one that is there is meant.
type kubeEntries struct{ cluster, user, context kubeEntry }

func (f Kubeconfig) entries(b *pki.Bundle) (c kubeEntries, err error) {
	if err := fitsKubernetes(b); err != nil {
		return c, err
	}
	key, err := b.KeyPEM()
	if err != nil {
		return c, ErrNoKey
	}
	f = f.Named(b)
	for _, n := range []kubeField{{"cluster", f.Cluster}, {"user", f.User}, {"context", f.Context}} {
		if problem := kubeNameProblem(n.value); problem != "" {
			return c, &OptionError{n.key, n.value, problem, ""}
		}
	}
	if f.Namespace != "" {
		if problem := labelRule.problem(f.Namespace); problem != "" {
			return c, &OptionError{"namespace", f.Namespace, problem, ""}
		}
	}
	c.cluster = kubeEntry{"cluster", f.Cluster, nil}
	if f.Server != "" {
		if c.cluster.fields, err = f.clusterFields(b); err != nil {
			return c, err
		}
	}
	c.user = kubeEntry{"user", f.User, f.userFields(b, key)}
	c.context = kubeEntry{"context", f.Context, []kubeField{{"cluster", f.Cluster}}}
	if f.Namespace != "" {
		c.context.fields = append(c.context.fields, kubeField{"namespace", f.Namespace})
	}
	c.context.fields = append(c.context.fields, kubeField{"user", f.User})
	return c, nil
}

// fitsKubernetes refuses a certificate that the API server would not take.
func fitsKubernetes(b *pki.Bundle) error {
	if len(b.Chain) == 0 {
		return ErrNoCertificate
	}
	leaf := b.Leaf()
	forClients := len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)
	switch {
	case leaf.IsCA:
		return fmt.Errorf("%w: it is an authority's", ErrNotForClients)
	case !forClients:
		return fmt.Errorf("%w: its extended key usages lack clientAuth", ErrNotForClients)
	case leaf.Subject.CommonName == "":
		return ErrNoCommonName
	case b.Key == nil:
		return ErrNoKey
	}
	return nil
}

// kubeNameProblem says what is wrong with the name of an entry: kubectl takes
// any text, but nobody can type this one.
func kubeNameProblem(name string) string {
	switch {
	case strings.ToValidUTF8(name, "") != name || strings.ContainsFunc(name, unicode.IsControl):
		return "it has characters that cannot be typed"
	case strings.TrimSpace(name) != name:
		return "it has blanks at an end"
	}
	return ""
}

func (f Kubeconfig) clusterFields(b *pki.Bundle) ([]kubeField, error) {
	if problem := serverProblem(f.Server); problem != "" {
		return nil, &OptionError{"server", f.Server, problem, serverSuggestion(f.Server)}
	}
	roots := b.Roots
	if len(f.CA) > 0 {
		var err error
		if roots, err = pki.ParseCertificates(f.CA); err != nil {
			return nil, &OptionError{"ca", "", err.Error(), ""}
		}
	}
	path, data := "", base64.StdEncoding.EncodeToString(pki.MarshalCertificates(roots))
	if f.Paths != nil && f.Paths.CA != "" {
		path, data = f.Paths.CA, ""
	} else if len(roots) == 0 {
		return nil, ErrNoRoots
	}
	return []kubeField{
		{"certificate-authority", path}, {"certificate-authority-data", data},
		{"insecure-skip-tls-verify", ""}, {"server", f.Server},
	}, nil
}

// userFields are those of the certificate, and none of what else a user could
// be known by.
func (f Kubeconfig) userFields(b *pki.Bundle, key []byte) []kubeField {
	crtData, keyData := base64.StdEncoding.EncodeToString(b.ChainPEM()), base64.StdEncoding.EncodeToString(key)
	crtPath, keyPath := "", ""
	if f.Paths != nil {
		crtPath, keyPath, crtData, keyData = f.Paths.Certificate, f.Paths.Key, "", ""
	}
	fields := []kubeField{
		{"client-certificate", crtPath}, {"client-certificate-data", crtData},
		{"client-key", keyPath}, {"client-key-data", keyData},
	}
	for _, other := range []string{
		"token", "tokenFile", "username", "password", "auth-provider", "exec",
		"as", "as-uid", "as-groups", "as-user-extra",
	} {
		fields = append(fields, kubeField{other, ""})
	}
	return fields
}

// serverProblem says what is wrong with the URL of an API server. A certificate
// is sent over TLS only.
func serverProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil && !strings.Contains(s, "://"):
		return "it is no URL"
	case err != nil:
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return err.Error()
	case u.Scheme != "https":
		return "a client certificate is sent over https alone"
	case u.Hostname() == "":
		return "it names no host"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "it has more than host, port and path"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "its port is not within 1 to 65535"
		}
	}
	return ""
}

// serverSuggestion is the URL that was meant, or nothing.
func serverSuggestion(s string) string {
	_, rest, found := strings.Cut(s, "://")
	if !found {
		rest = s
	}
	if s = "https://" + rest; serverProblem(s) != "" {
		return ""
	}
	return s
}
