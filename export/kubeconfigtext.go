package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A kubeconfigFile is a kubeconfig that was read to be changed.
type kubeconfigFile struct {
	text   []byte // as it came
	before []byte // a file without a document, whose comments stay
	json   bool
	doc    *yaml.Node
	root   *yaml.Node
	lists  map[string]*yaml.Node // of clusters, contexts, users, by the kind of their entries
}

// kubeKinds are the kinds of entries. Each has its list, named in the plural.
var kubeKinds = []string{"cluster", "context", "user"}

// newKubeconfig returns one without entries, as kubectl makes it.
func newKubeconfig(asJSON bool) *kubeconfigFile {
	root, lists := mapNode(), map[string]*yaml.Node{}
	setField(root, "apiVersion", textNode("v1"))
	for _, kind := range kubeKinds {
		lists[kind] = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if kind == "user" { // the keys are in order
			setField(root, "current-context", textNode(""))
			setField(root, "kind", textNode("Config"))
		}
		setField(root, kind+"s", lists[kind])
	}
	return &kubeconfigFile{json: asJSON, doc: &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}, root: root, lists: lists}
}

// readKubeconfig reads a kubeconfig of YAML or JSON. One without a document is
// nil. The error is a [KubeconfigError].
func readKubeconfig(data []byte) (*kubeconfigFile, error) {
	k := &kubeconfigFile{text: data}
	var err error
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(data) {
		k.json = true
		k.doc, err = jsonDocument(data)
	} else {
		k.doc, err = yamlDocument(data)
	}
	if err != nil || k.doc == nil {
		return nil, err
	}
	if k.root = k.doc.Content[0]; k.root.ShortTag() == "!!null" {
		return nil, nil
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	return k, nil
}

// yamlDocument reads the only document of a file; nil if there is none.
func yamlDocument(data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	doc, more := &yaml.Node{}, &yaml.Node{}
	switch err := d.Decode(doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, yamlError(err)
	}
	switch err := d.Decode(more); {
	case err == nil:
		return nil, &KubeconfigError{more.Line, "a second document begins, of which kubectl knows nothing"}
	case !errors.Is(err, io.EOF):
		return nil, yamlError(err)
	}
	return doc, nil
}

// yamlError takes the line out of an error of the YAML parser.
func yamlError(err error) error {
	e := &KubeconfigError{Problem: strings.TrimPrefix(err.Error(), "yaml: ")}
	if _, scanErr := fmt.Sscanf(e.Problem, "line %d:", &e.Line); scanErr == nil {
		_, e.Problem, _ = strings.Cut(e.Problem, ": ")
	}
	e.Problem = "it is no YAML: " + e.Problem
	return e
}

// check holds a document to the shape of a kubeconfig, and finds its lists.
func (k *kubeconfigFile) check() error {
	if k.root.Kind != yaml.MappingNode {
		return &KubeconfigError{k.root.Line, "it is no kubeconfig: a mapping is wanted"}
	}
	if err := checkKeys(k.root); err != nil {
		return err
	}
	own := []string{"kind", "apiVersion", "clusters", "contexts", "users", "current-context"}
	if len(k.root.Content) > 0 && !slices.ContainsFunc(own, func(key string) bool { return field(k.root, key) != nil }) {
		return &KubeconfigError{k.root.Line, "it is no kubeconfig: there is none of " + strings.Join(own, ", ")}
	}
	for _, want := range []struct{ key, value string }{{"kind", "Config"}, {"apiVersion", "v1"}} {
		if n := field(k.root, want.key); !isNothing(n) && n.Value != want.value {
			is := n.Value
			if n.Kind != yaml.ScalarNode {
				is = "no text"
			}
			return &KubeconfigError{n.Line, fmt.Sprintf("it is no kubeconfig: %s is %s, not %s", want.key, is, want.value)}
		}
	}
	if n := field(k.root, "current-context"); n != nil && n.Kind != yaml.ScalarNode {
		return &KubeconfigError{n.Line, "it is no kubeconfig: current-context is no text"}
	}
	k.lists = map[string]*yaml.Node{}
	for _, kind := range kubeKinds {
		if err := k.checkList(kind, kind+"s"); err != nil {
			return err
		}
	}
	return nil
}

// checkList finds a list, or makes one where there is none.
func (k *kubeconfigFile) checkList(kind, key string) error {
	list := field(k.root, key)
	if list == nil || list.ShortTag() == "!!null" {
		k.lists[kind] = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		return &KubeconfigError{list.Line, key + " is no list"}
	}
	if list.Anchor != "" {
		return &KubeconfigError{list.Line, key + " has an anchor, so that it cannot be changed in one place"}
	}
	k.lists[kind] = list
	seen := map[string]int{}
	for _, item := range list.Content {
		line := item.Line
		item = resolved(item)
		if item.Kind != yaml.MappingNode {
			return &KubeconfigError{line, fmt.Sprintf("an item of %s is no mapping", key)}
		}
		if err := checkKeys(item); err != nil {
			return err
		}
		if n := field(item, "name"); n != nil && n.Kind != yaml.ScalarNode {
			return &KubeconfigError{line, fmt.Sprintf("the name of an item of %s is no text", key)}
		}
		entry := field(item, kind)
		if !isNothing(entry) && entry.Kind != yaml.MappingNode {
			return &KubeconfigError{entry.Line, kind + " is no mapping"}
		}
		if entry != nil {
			if err := checkKeys(entry); err != nil {
				return err
			}
		}
		name := itemName(item)
		if first, twice := seen[name]; twice {
			return &KubeconfigError{line, fmt.Sprintf("%s %q is there twice, first on line %d", kind, name, first)}
		}
		seen[name] = line
	}
	return nil
}

// checkKeys refuses a mapping with a key that is there twice: readers differ on
// which one counts.
func checkKeys(n *yaml.Node) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return &KubeconfigError{key.Line, "a key is no text"}
		}
		if seen[key.Value] {
			return &KubeconfigError{key.Line, fmt.Sprintf("the key %q is there twice", key.Value)}
		}
		seen[key.Value] = true
	}
	return nil
}

// marshal writes the file, and reads it back: what the YAML library would not
// write as it was meant is an error.
func (k *kubeconfigFile) marshal() ([]byte, error) {
	if k.json {
		return jsonText(k.text, k.root)
	}
	var out bytes.Buffer
	for line := range bytes.Lines(k.before) {
		if bytes.HasPrefix(line, []byte("#")) {
			out.Write(append(bytes.TrimRight(line, "\r\n"), '\n'))
		}
	}
	if bytes.HasPrefix(k.text, []byte("---\n")) || bytes.HasPrefix(k.text, []byte("---\r\n")) {
		out.WriteString("---\n")
	}
	indent, compact := yamlTaste(k.root)
	e := yaml.NewEncoder(&out)
	e.SetIndent(indent)
	if compact {
		e.CompactSeqIndent()
	}
	if err := errors.Join(e.Encode(k.doc), e.Close()); err != nil {
		return nil, &KubeconfigError{0, "it cannot be changed without harm, so change it by hand: " + err.Error()}
	}
	again, err := yamlDocument(out.Bytes())
	if err != nil || again == nil || !sameNodes(again, k.doc) {
		return nil, &KubeconfigError{0, "it cannot be changed without harm, so change it by hand"}
	}
	text := out.Bytes()
	if bytes.Contains(k.text, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	return text, nil
}

// yamlTaste is how far a file indents, and whether it begins the items of lists
// below their key's first letter, as kubectl does.
func yamlTaste(root *yaml.Node) (indent int, compact bool) {
	indent, compact = 2, true
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, v := root.Content[i], root.Content[i+1]
		if v.Kind != yaml.SequenceNode || v.Style&yaml.FlowStyle != 0 || v.Line <= key.Line || len(v.Content) == 0 {
			continue
		}
		compact = v.Column == key.Column
		if !compact {
			return v.Column - key.Column, false
		}
	}
	return indent, compact
}
