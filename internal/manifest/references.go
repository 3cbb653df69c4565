package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// references returns where an object mounts or names Secrets: what its kind is
// known to have, or any pod template in it. What is marked optional is left out,
// and so are imagePullSecrets, which hold no certificates.
func references(o *object, root *yaml.Node) []Reference {
	w := &refs{o: o}
	_, version := child(root, "apiVersion")
	group := ""
	if version != nil {
		if g, _, ok := strings.Cut(version.Value, "/"); ok {
			group = g
		}
	}
	_, spec := child(root, "spec")
	switch group {
	case "cert-manager.io", "acme.cert-manager.io", "apiextensions.k8s.io":
		return nil
	case "networking.k8s.io":
		if o.Kind == "Ingress" {
			w.ingress(root, spec)
		}
	case "gateway.networking.k8s.io":
		if o.Kind == "Gateway" || o.Kind == "ListenerSet" {
			w.gateway(spec)
		}
	case "networking.istio.io":
		w.istio(spec)
	case "apisix.apache.org":
		if o.Kind == "ApisixTls" {
			w.each(spec, "spec.secret", w.object)
			w.each(spec, "spec.client.caSecret", w.object)
		}
	case "traefik.io", "traefik.containo.us":
		for _, path := range traefik[o.Kind] {
			w.each(spec, path, w.name)
		}
	case "alb.networking.azure.io":
		w.each(spec, "spec.default.verify.caCertificateRef", w.secretRef)
	case "":
		switch o.Kind {
		case "Secret", "ConfigMap":
			return nil
		}
		w.pods(root, nil)
	default:
		w.pods(root, nil)
	}
	return w.found
}

// traefik has the fields of Traefik's kinds that name a Secret.
var traefik = map[string][]string{
	"IngressRoute":        {"spec.tls.secretName"},
	"IngressRouteTCP":     {"spec.tls.secretName"},
	"TLSOption":           {"spec.clientAuth.secretNames[]"},
	"TLSStore":            {"spec.defaultCertificate.secretName", "spec.certificates[].secretName"},
	"ServersTransport":    {"spec.rootCAsSecrets[]", "spec.certificatesSecrets[]"},
	"ServersTransportTCP": {"spec.tls.rootCAsSecrets[]", "spec.tls.certificatesSecrets[]"},
}

type refs struct {
	o     *object
	found []Reference
}

// add records that the Secret is named by node at path.
func (w *refs) add(node *yaml.Node, path string, secret Key, dataKey string) {
	if secret.Name == "" {
		return
	}
	if secret.Namespace == "" {
		secret.Namespace = w.o.Namespace
	}
	w.found = append(w.found, Reference{w.o.Origin, path, node.Line, secret, dataKey})
}

// each calls visit for every field at path, which begins with the field that n
// is the value of; name[] stands for all of a list.
func (w *refs) each(n *yaml.Node, path string, visit func(n *yaml.Node, path string)) {
	at, rest, _ := strings.Cut(path, ".")
	w.walk(n, strings.TrimSuffix(at, "[]"), rest, strings.HasSuffix(at, "[]"), visit)
}

func (w *refs) walk(n *yaml.Node, at, rest string, list bool, visit func(n *yaml.Node, path string)) {
	switch {
	case n == nil:
	case list:
		if n.Kind != yaml.SequenceNode {
			return
		}
		for i, item := range n.Content {
			w.walk(item, at+"["+strconv.Itoa(i)+"]", rest, false, visit)
		}
	case rest == "":
		visit(n, at)
	default:
		name, rest, _ := strings.Cut(rest, ".")
		name, list := strings.CutSuffix(name, "[]")
		_, v := child(n, name)
		w.walk(v, at+"."+name, rest, list, visit)
	}
}

// name is a field that holds the Secret's name.
func (w *refs) name(n *yaml.Node, path string) {
	w.add(n, path, Key{Name: scalar(n)}, "")
}

// object is a field that holds name and namespace.
func (w *refs) object(n *yaml.Node, path string) {
	_, name := child(n, "name")
	_, namespace := child(n, "namespace")
	if name != nil {
		w.add(name, path+".name", Key{scalar(namespace), scalar(name)}, "")
	}
}

// secretRef is the same with group and kind, which may mean something else.
func (w *refs) secretRef(n *yaml.Node, path string) {
	_, group := child(n, "group")
	_, kind := child(n, "kind")
	if g, k := scalar(group), scalar(kind); (g == "" || g == "core") && (k == "" || k == "Secret") {
		w.object(n, path)
	}
}

func (w *refs) ingress(root, spec *yaml.Node) {
	w.each(spec, "spec.tls[].secretName", w.name)
	_, metadata := child(root, "metadata")
	_, annotations := child(metadata, "annotations")
	for _, key := range []string{"auth-tls-secret", "proxy-ssl-secret"} {
		key = "nginx.ingress.kubernetes.io/" + key
		if _, v := child(annotations, key); v != nil {
			namespace, name, ok := strings.Cut(scalar(v), "/")
			if !ok {
				namespace, name = "", namespace
			}
			w.add(v, annotation(key), Key{namespace, name}, "")
		}
	}
}

func (w *refs) gateway(spec *yaml.Node) {
	w.each(spec, "spec.listeners[].tls.certificateRefs[]", w.secretRef)
	w.each(spec, "spec.tls.backend.clientCertificateRef", w.secretRef)
}

// istio: the Secret is in the namespace of the gateway's pods, which only its
// selector tells; mostly that is the object's.
func (w *refs) istio(spec *yaml.Node) {
	switch w.o.Kind {
	case "Gateway":
		w.each(spec, "spec.servers[].tls.credentialName", w.name)
		w.each(spec, "spec.servers[].tls.credentialNames[]", w.name)
	case "DestinationRule":
		w.each(spec, "spec.trafficPolicy.tls.credentialName", w.name)
	}
}

// scalar returns the text of a node, or nothing.
func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
