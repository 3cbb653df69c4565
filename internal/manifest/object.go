package manifest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A result is what came of one object, or of a document that holds none.
type result struct {
	origin     Origin
	taken      bool   // of a kind that must not be there twice
	passed     string // otherwise: what it is counted as
	problems   Problems
	warnings   []Warning
	references []Reference

	certificates []*Certificate
	issuer       *Issuer
	request      *Request
	secret       *Secret
}

// A reader makes results of documents. Only one goroutine may use it.
type reader struct {
	*decoder
	options  Options
	template bool // the document looks like one that was not rendered
}

// document returns a result for each object of a document, in order.
func (r *reader) document(file string, doc document) []result {
	origin := Origin{File: file, Line: doc.line, Document: doc.index}
	root, f := parse(doc)
	r.template = bytes.Contains(doc.text, []byte("{{"))
	if f != nil {
		origin.Line = f.line
		return []result{{origin: origin, problems: Problems{{origin, "", f.line, f.text, f.hint}}}}
	}
	if root == nil {
		return nil
	}
	return r.objects(nil, origin, root, "", "", 0)
}

// objects appends what is in n: an object, or the objects of a list. The items of
// a typed list may leave out what the list says of them: apiVersion and kind.
func (r *reader) objects(results []result, origin Origin, n *yaml.Node, apiVersion, kindName string, depth int) []result {
	origin.Line = n.Line
	if n.Kind != yaml.MappingNode {
		hint := ""
		if n.Kind == yaml.SequenceNode {
			hint = "put a line --- before each object, or write them as the items of a List"
		} else if r.template {
			hint = templateHint
		}
		return append(results, refused(origin, n.Line, "not a Kubernetes object: want a mapping, found "+describe(n, true), hint))
	}
	if v := stringAt(n, "apiVersion"); v != "" {
		apiVersion = v
	}
	if k := stringAt(n, "kind"); k != "" {
		kindName = k
	}
	if text := untyped(apiVersion, kindName); text != "" {
		hint := "every object names its apiVersion and its kind"
		if r.template {
			hint = templateHint
		}
		return append(results, refused(origin, n.Line, text, hint))
	}
	if items, ok := itemsOf(n, kindName); ok {
		if depth > 8 {
			return append(results, refused(origin, n.Line, "Lists in Lists, "+tooDeep, ""))
		}
		itemKind, itemVersion := "", ""
		if kindName != "List" {
			itemKind, itemVersion = strings.TrimSuffix(kindName, "List"), apiVersion
		}
		for _, item := range items {
			if shapeOf(item) != shapeNull {
				results = r.objects(results, origin, item, itemVersion, itemKind, depth+1)
			}
		}
		return results
	}
	return append(results, r.object(origin, n, apiVersion, kindName))
}

func refused(origin Origin, line int, text, hint string) result {
	return result{origin: origin, problems: Problems{{origin, "", line, text, hint}}}
}

func untyped(apiVersion, kindName string) string {
	switch {
	case apiVersion == "" && kindName == "":
		return "not a Kubernetes object: apiVersion and kind are missing"
	case apiVersion == "":
		return "not a Kubernetes object: apiVersion is missing"
	case kindName == "":
		return "not a Kubernetes object: kind is missing"
	}
	return ""
}

// itemsOf returns the items of a List or of a typed list.
func itemsOf(n *yaml.Node, kindName string) ([]*yaml.Node, bool) {
	if !strings.HasSuffix(kindName, "List") {
		return nil, false
	}
	key, items := child(n, "items")
	switch {
	case items != nil && items.Kind == yaml.SequenceNode:
		return items.Content, true
	case kindName == "List" && (key == nil || shapeOf(items) == shapeNull):
		return nil, true
	}
	return nil, false
}

// stringAt returns the text under a key of n, if it is text.
func stringAt(n *yaml.Node, key string) string {
	if _, v := child(n, key); v != nil && shapeOf(v) == shapeText {
		return v.Value
	}
	return ""
}

func (r *reader) object(origin Origin, n *yaml.Node, apiVersion, kindName string) result {
	_, metadata := child(n, "metadata")
	origin.Kind = r.word(kindName)
	origin.Name = stringAt(metadata, "name")
	origin.Namespace = r.word(stringAt(metadata, "namespace"))
	if origin.Namespace == "" {
		origin.Namespace = r.options.Namespace
	}
	o := &object{Origin: origin, line: func(path string) int { return lineOf(n, path) }, clusterNamespace: r.options.ClusterNamespace}
	k, taken, wrong := kindOf(apiVersion, kindName, n)
	res := result{origin: origin, taken: taken}
	switch {
	case wrong != nil:
		o.problem(wrong.path, wrong.hint, "%s", wrong.text)
	case !taken:
		res.passed = kindName
		if group, _, ok := strings.Cut(apiVersion, "/"); ok {
			res.passed += "." + group
		}
		res.passed = r.word(res.passed)
	default:
		if k.cluster {
			o.Namespace = ""
			if _, v := child(metadata, "namespace"); v != nil {
				o.warn("metadata.namespace", "a %s has no namespace; this one is ignored", kindName)
			}
		}
		r.take(o, n, &res)
	}
	res.references = references(o, n)
	res.origin, res.problems, res.warnings = o.Origin, o.problems, o.warnings
	return res
}

// take decodes an object of a kind that is taken, and has it checked.
func (r *reader) take(o *object, n *yaml.Node, res *result) {
	var check func()
	var meta metav1.ObjectMeta
	switch o.Kind {
	case "Certificate":
		var in cmapi.Certificate
		r.decode(o, n, &in)
		c := &Certificate{o.Origin, kept(in.Annotations), in.Spec}
		meta, res.certificates, check = in.ObjectMeta, []*Certificate{c}, func() { checkCertificate(o, c) }
	case "Issuer", "ClusterIssuer":
		var in cmapi.Issuer
		r.decode(o, n, &in)
		i := &Issuer{o.Origin, in.Spec}
		meta, res.issuer, check = in.ObjectMeta, i, func() { checkIssuer(o, i) }
	case "CertificateRequest":
		var in cmapi.CertificateRequest
		r.decode(o, n, &in)
		q := &Request{Origin: o.Origin, Labels: in.Labels, Annotations: kept(in.Annotations), Spec: in.Spec, Denied: isDenied(n)}
		meta, res.request, check = in.ObjectMeta, q, func() { checkRequest(o, q) }
	case "Secret":
		var in corev1.Secret
		r.decode(o, n, &in)
		s := &Secret{Origin: o.Origin, Type: string(in.Type), Labels: in.Labels, Annotations: kept(in.Annotations), Data: in.Data}
		for key, value := range in.StringData {
			if s.Data == nil {
				s.Data = map[string][]byte{}
			}
			s.Data[key] = []byte(value)
		}
		meta, res.secret, check = in.ObjectMeta, s, func() { checkSecret(o, s) }
	case "Ingress":
		var in networkingv1.Ingress
		r.decode(o, n, &in)
		in.Namespace = o.Namespace
		meta, check = in.ObjectMeta, func() { res.certificates = fromIngress(o, &in) }
	case "Gateway":
		var in gatewayv1.Gateway
		r.decode(o, n, &in)
		in.Namespace = o.Namespace
		meta, check = in.ObjectMeta, func() { res.certificates = fromGateway(o, &in) }
	}
	checkMeta(o, &meta)
	undecoded := len(o.problems)
	check()
	o.problems = append(o.problems[:undecoded], slices.DeleteFunc(o.problems[undecoded:], func(p Problem) bool { return r.known(p.Path) })...)
	o.warnings = slices.DeleteFunc(o.warnings, func(w Warning) bool { return r.known(w.Path) })
	slices.SortStableFunc(o.problems, func(a, b Problem) int { return a.Line - b.Line })
}

// kept returns annotations without kubectl's copy of the whole object, which of a
// Secret would be one more copy of its keys.
func kept(annotations map[string]string) map[string]string {
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	return annotations
}

// isDenied reports whether a CertificateRequest carries the condition Denied.
func isDenied(n *yaml.Node) bool {
	_, status := child(n, "status")
	_, conditions := child(status, "conditions")
	return conditions != nil && slices.ContainsFunc(conditions.Content, func(c *yaml.Node) bool {
		return stringAt(c, "type") == string(cmapi.CertificateRequestConditionDenied) && stringAt(c, "status") == "True"
	})
}

// known reports whether what a check says of path comes from a field that did
// not decode: it is that field, it is below it, or its parent lacks it.
func (d *decoder) known(path string) bool {
	return slices.ContainsFunc(d.wrong, func(w wrong) bool {
		return within(path, w.path) || within(path, w.meant) || w.missing && path == parentOf(w.path) && path != ""
	})
}

// within reports whether path is at or below top.
func within(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && top != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func parentOf(path string) string {
	return path[:max(strings.LastIndexByte(path, '.'), 0)]
}

func checkMeta(o *object, m *metav1.ObjectMeta) {
	switch {
	case o.Name == "" && m.GenerateName != "":
		o.problem("metadata.generateName", "write a name", "only a cluster makes names up")
	case o.Name == "":
		if !slices.ContainsFunc(o.problems, func(p Problem) bool { return within(p.Path, "metadata") }) {
			o.problem("metadata", "write metadata.name", "there is no name")
		}
	case !isSubdomain(o.Name):
		o.problem("metadata.name", nameHint(o.Name), "%s cannot be a name", quote(o.Name))
	}
	if !kinds[o.Kind].cluster && !isLabel(o.Namespace, 63) {
		o.problem("metadata.namespace", "lower-case letters, digits and -, at most 63", "%s cannot be a namespace", quote(o.Namespace))
	}
}

func nameHint(name string) string {
	switch lower := strings.ToLower(name); {
	case strings.Contains(name, "{{"):
		return templateHint
	case isSubdomain(lower):
		return "in lower case: " + lower
	case strings.HasPrefix(name, "*."):
		return "only dnsNames take wildcards; name it " + strconv.Quote("wildcard"+name[1:])
	}
	return "lower-case letters, digits, - and ., at most 253"
}
