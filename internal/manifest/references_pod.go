package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A trail is the way from an object's root to a field. It becomes text only when
// something is found, for most objects have nothing.
type trail struct {
	up    *trail
	name  string
	index int // of a list, if name is empty
}

func (t *trail) String() string {
	switch {
	case t == nil:
		return ""
	case t.name == "":
		return t.up.String() + "[" + strconv.Itoa(t.index) + "]"
	case t.up == nil:
		return t.name
	case strings.ContainsAny(t.name, "./"):
		return t.up.String() + "[" + t.name + "]"
	}
	return t.up.String() + "." + t.name
}

// pods looks for the parts of a pod's spec (k8s.io/api/core/v1, PodSpec)
// anywhere below n: operators have pod templates in places of their own.
func (w *refs) pods(n *yaml.Node, at *trail) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				w.pods(item, &trail{up: at, index: i})
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			if value.Kind == yaml.ScalarNode || at == nil && (key == "metadata" || key == "status") {
				continue
			}
			here := &trail{up: at, name: key}
			if value.Kind == yaml.SequenceNode {
				switch key {
				case "volumes":
					w.volumes(value, here)
					continue
				case "env":
					items(value, here, w.env)
					continue
				case "envFrom":
					items(value, here, w.envFrom)
					continue
				}
			}
			w.pods(value, here)
		}
	}
}

func items(list *yaml.Node, at *trail, visit func(n *yaml.Node, at *trail)) {
	for i, n := range list.Content {
		visit(n, &trail{up: at, index: i})
	}
}

func (w *refs) volumes(list *yaml.Node, at *trail) {
	for i, v := range list.Content {
		_, secret := child(v, "secret")
		_, projected := child(v, "projected")
		if secret == nil && projected == nil {
			continue
		}
		path := at.String() + "[" + strconv.Itoa(i) + "]"
		w.mount(secret, path+".secret", "secretName")
		_, sources := child(projected, "sources")
		if sources == nil || sources.Kind != yaml.SequenceNode {
			continue
		}
		for j, s := range sources.Content {
			_, secret := child(s, "secret")
			w.mount(secret, path+".projected.sources["+strconv.Itoa(j)+"].secret", "name")
		}
	}
}

// mount is a Secret as files: all of it, or the keys under items.
func (w *refs) mount(n *yaml.Node, path, field string) {
	_, name := child(n, field)
	if name == nil || optional(n) {
		return
	}
	secret := Key{Name: scalar(name)}
	_, items := child(n, "items")
	if items == nil || items.Kind != yaml.SequenceNode || len(items.Content) == 0 {
		w.add(name, path+"."+field, secret, "")
		return
	}
	for i, item := range items.Content {
		if _, key := child(item, "key"); key != nil {
			w.add(key, path+".items["+strconv.Itoa(i)+"].key", secret, scalar(key))
		}
	}
}

func (w *refs) env(n *yaml.Node, at *trail) {
	_, from := child(n, "valueFrom")
	_, ref := child(from, "secretKeyRef")
	_, name := child(ref, "name")
	_, key := child(ref, "key")
	if name != nil && !optional(ref) {
		w.add(name, at.String()+".valueFrom.secretKeyRef.name", Key{Name: scalar(name)}, scalar(key))
	}
}

func (w *refs) envFrom(n *yaml.Node, at *trail) {
	_, ref := child(n, "secretRef")
	_, name := child(ref, "name")
	if name != nil && !optional(ref) {
		w.add(name, at.String()+".secretRef.name", Key{Name: scalar(name)}, "")
	}
}

func optional(n *yaml.Node) bool {
	_, v := child(n, "optional")
	return scalar(v) == "true"
}
