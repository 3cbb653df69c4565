package export

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mtlsctl/mtlsctl/pki"
)

// KubeconfigMerge is how a kubeconfig gets entries.
type KubeconfigMerge struct {
	Force      bool // change entries of the same names
	SetCurrent bool // make the context the current one even if another is
}

// Merge puts cluster, user and context into a kubeconfig of YAML or JSON, and
// returns it as it came if it has them. All else in it stays: other entries,
// their order, fields that nobody knows, and comments; what YAML leaves to
// taste, such as blank lines, need not. The context becomes the current one if
// none is. Data without a document becomes a new kubeconfig.
//
// An entry that is there with another content is a [KubeconfigConflict], unless
// o.Force is true: then it gets the fields of this one, and loses those that
// would count beside them, such as a user's token. Without a Server, the
// kubeconfig has to have the cluster, which stays as it is. What is no
// kubeconfig, or cannot be changed without harm, is a [KubeconfigError]; the
// other errors are those of [Kubeconfig.Export].
func (f Kubeconfig) Merge(data []byte, b *pki.Bundle, o KubeconfigMerge) ([]byte, error) {
	c, err := f.entries(b)
	if err != nil {
		return nil, err
	}
	k, err := readKubeconfig(data)
	if err != nil {
		return nil, err
	}
	if k == nil {
		k = newKubeconfig(f.JSON)
		k.before = data
	}
	return k.merge(c, o)
}

// A KubeconfigError says why nothing can be merged into a kubeconfig.
type KubeconfigError struct {
	Line    int // 0 if it is about the whole
	Problem string
}

func (e *KubeconfigError) Error() string {
	if e.Line == 0 {
		return e.Problem
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
}

// A KubeconfigConflict says which entries are there with another content.
type KubeconfigConflict struct{ Entries []KubeconfigEntry }

// A KubeconfigEntry is an entry of a kubeconfig.
type KubeconfigEntry struct {
	Kind string // cluster, context or user
	Name string
	Line int
}

func (e *KubeconfigConflict) Error() string {
	var all []string
	for _, c := range e.Entries {
		all = append(all, fmt.Sprintf("another %s %q (line %d)", c.Kind, c.Name, c.Line))
	}
	return "it has " + strings.Join(all, ", ")
}

// merge puts entries into a kubeconfig and returns its text.
func (k *kubeconfigFile) merge(c kubeEntries, o KubeconfigMerge) ([]byte, error) {
	changed := false
	conflict := &KubeconfigConflict{}
	for _, e := range []kubeEntry{c.cluster, c.context, c.user} {
		item := k.find(e)
		switch {
		case item == nil && e.fields == nil:
			return nil, k.noCluster(e.name)
		case item == nil:
			k.add(e)
		case hasFields(field(item, e.kind), e.fields):
			continue
		case !o.Force:
			conflict.Entries = append(conflict.Entries, KubeconfigEntry{e.kind, e.name, item.Line})
		default:
			if err := change(item, e); err != nil {
				return nil, err
			}
		}
		changed = true
	}
	if len(conflict.Entries) > 0 {
		return nil, conflict
	}
	if current := field(k.root, "current-context"); isNothing(current) || o.SetCurrent && current.Value != c.context.name {
		setField(k.root, "current-context", textNode(c.context.name))
		changed = true
	}
	if !changed {
		return k.text, nil
	}
	return k.marshal()
}

// add puts an entry at the end of its list.
func (k *kubeconfigFile) add(e kubeEntry) {
	list := k.lists[e.kind]
	if len(list.Content) == 0 {
		list.Style &^= yaml.FlowStyle
	}
	list.Content = append(list.Content, newItem(e))
	if key := e.kind + "s"; field(k.root, key) != list {
		setField(k.root, key, list)
	}
}

// find returns the item of an entry's name, or nil.
func (k *kubeconfigFile) find(e kubeEntry) *yaml.Node {
	for _, item := range k.lists[e.kind].Content {
		if item = resolved(item); itemName(item) == e.name {
			return item
		}
	}
	return nil
}

// itemName is the name of an item; that of one without a name is empty.
func itemName(item *yaml.Node) string {
	if n := field(item, "name"); !isNothing(n) {
		return n.Value
	}
	return ""
}

func (k *kubeconfigFile) noCluster(name string) error {
	var all []string
	for _, item := range k.lists["cluster"].Content {
		all = append(all, itemName(resolved(item)))
	}
	e := &OptionError{"cluster", name, "the kubeconfig has no such cluster, and there is no --server to make it with", ""}
	switch len(all) {
	case 0:
	case 1:
		e.Suggestion = all[0]
	default:
		e.Problem += "; it has " + strings.Join(all, ", ")
	}
	return e
}

// newItem makes an item of a list. Its keys are in order, as in what kubectl
// writes.
func newItem(e kubeEntry) *yaml.Node {
	entry := mapNode()
	for _, f := range e.fields {
		if f.value != "" {
			setField(entry, f.key, textNode(f.value))
		}
	}
	keys := []string{e.kind, "name"}
	slices.Sort(keys)
	item := mapNode()
	for _, k := range keys {
		if k == "name" {
			setField(item, k, textNode(e.name))
		} else {
			setField(item, k, entry)
		}
	}
	return item
}

// hasFields reports whether an entry is what it should be. One that takes its
// fields from elsewhere is not.
func hasFields(entry *yaml.Node, fields []kubeField) bool {
	if len(fields) == 0 {
		return true
	}
	if entry == nil || field(entry, "<<") != nil {
		return false
	}
	return !slices.ContainsFunc(fields, func(f kubeField) bool { return !hasField(entry, f) })
}

func hasField(entry *yaml.Node, f kubeField) bool {
	v := field(entry, f.key)
	if f.value == "" || isNothing(v) {
		return f.value == "" && isNothing(v)
	}
	have := v.Value
	if strings.HasSuffix(f.key, "-data") {
		have = strings.Join(strings.Fields(have), "") // base64, perhaps in many lines
	}
	return v.Kind == yaml.ScalarNode && have == f.value
}

// change gives an entry its fields. The others that it has stay.
func change(item *yaml.Node, e kubeEntry) error {
	entry := field(item, e.kind)
	if isNothing(entry) {
		entry = mapNode()
		setField(item, e.kind, entry)
	}
	own := entry
	for i := 0; i+1 < len(item.Content); i += 2 {
		if item.Content[i].Value == e.kind {
			own = item.Content[i+1]
		}
	}
	if item.Anchor != "" || own.Kind == yaml.AliasNode || entry.Anchor != "" || field(entry, "<<") != nil {
		return &KubeconfigError{item.Line, fmt.Sprintf("%s %q shares what it holds with others: change it by hand", e.kind, e.name)}
	}
	for _, f := range e.fields {
		switch {
		case f.value == "":
			removeField(entry, f.key)
		case !hasField(entry, f):
			setField(entry, f.key, textNode(f.value))
		}
	}
	return nil
}
