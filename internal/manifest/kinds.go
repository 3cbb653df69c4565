package manifest

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const certManager = "cert-manager.io"

// A kind is one that is taken.
type kind struct {
	group    string
	versions []string // the first is the one to write
	retired  []string // groups that it was once in
	marked   bool     // taken only with annotations of cert-manager
	cluster  bool     // has no namespace
}

func (k kind) apiVersion() string {
	if k.group == "" {
		return k.versions[0]
	}
	return k.group + "/" + k.versions[0]
}

var kinds = map[string]kind{
	"Issuer":             {group: certManager, versions: []string{"v1"}, retired: retired},
	"ClusterIssuer":      {group: certManager, versions: []string{"v1"}, retired: retired, cluster: true},
	"Certificate":        {group: certManager, versions: []string{"v1"}, retired: retired},
	"CertificateRequest": {group: certManager, versions: []string{"v1"}, retired: retired},
	"Secret":             {versions: []string{"v1"}},
	"Ingress":            {group: "networking.k8s.io", versions: []string{"v1"}, retired: []string{"extensions", ""}, marked: true},
	"Gateway":            {group: "gateway.networking.k8s.io", versions: []string{"v1", "v1beta1"}, retired: []string{"networking.x-k8s.io", ""}, marked: true},
}

// The group was certmanager.k8s.io before cert-manager 0.11; the others are slips.
var retired = []string{"certmanager.k8s.io", "cert-manager.k8s.io", ""}

// A wrongKind is what is wrong with apiVersion or kind.
type wrongKind struct{ path, text, hint string }

// kindOf reports whether an object is of a kind that is taken. If it would be, but
// for its version, its group or its spelling, it says what is wrong.
func kindOf(apiVersion, name string, n *yaml.Node) (k kind, taken bool, wrong *wrongKind) {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	k, ok = kinds[name]
	switch {
	case !ok:
		return kind{}, false, misspelt(group, name)
	case k.marked && !marked(n):
	case group == k.group && slices.Contains(k.versions, version):
		return k, true, nil
	case group == k.group, slices.Contains(k.retired, group), k.group != "" && distance(group, k.group, 2) <= 2:
		return kind{}, false, &wrongKind{"apiVersion", fmt.Sprintf("%s is not of apiVersion %s", name, cut(apiVersion)), "write apiVersion: " + k.apiVersion()}
	}
	return kind{}, false, nil
}

// misspelt says what is wrong with a kind that cert-manager's group does not have,
// and with one that is written in the wrong case.
func misspelt(group, name string) *wrongKind {
	for known, k := range kinds {
		if k.group == group && strings.EqualFold(known, name) {
			return &wrongKind{"kind", "there is no kind " + cut(name), "write kind: " + known}
		}
	}
	if group != certManager {
		return nil
	}
	hint := ""
	if meant := suggest(kinds, name); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	return &wrongKind{"kind", certManager + " has no kind " + cut(name), hint}
}

// marked reports whether cert-manager looks at an Ingress or Gateway at all.
func marked(n *yaml.Node) bool {
	_, metadata := child(n, "metadata")
	_, annotations := child(metadata, "annotations")
	for _, name := range []string{"cert-manager.io/issuer", "cert-manager.io/cluster-issuer", "kubernetes.io/tls-acme",
		"certmanager.k8s.io/issuer", "certmanager.k8s.io/cluster-issuer"} {
		if k, _ := child(annotations, name); k != nil {
			return true
		}
	}
	return false
}
