package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxAliased is how many nodes aliases and merge keys may add to a document. A
// few lines of aliases to aliases stand for more nodes than any memory holds.
const maxAliased = 100_000

// settle adds offset to all lines, and puts what aliases and merge keys (<<)
// stand for in their places, so that whoever walks the tree meets neither and
// comes to an end. Nodes that several aliases share stay shared.
func settle(root *yaml.Node, offset int) (*yaml.Node, *fault) {
	nodes, aliased, f := shift(root, offset, 0)
	if f != nil || !aliased {
		return root, f
	}
	s := &settler{limit: nodes + maxAliased, done: map[*yaml.Node]extent{}}
	if _, f := s.settle(root); f != nil {
		return nil, f
	}
	return root, nil
}

// shift corrects the lines below n. It counts the nodes and reports whether any
// is an alias or a merge key.
func shift(n *yaml.Node, offset, depth int) (nodes int, aliased bool, f *fault) {
	n.Line += offset
	if depth > maxDepth {
		return 0, false, &fault{line: n.Line, text: tooDeep}
	}
	nodes, aliased = 1, n.Kind == yaml.AliasNode || n.Tag == "!!merge"
	for _, c := range n.Content {
		below, a, f := shift(c, offset, depth+1)
		if f != nil {
			return 0, false, f
		}
		nodes, aliased = nodes+below, aliased || a
	}
	return nodes, aliased, nil
}

// An extent is what it takes to walk a node with all that is below it.
type extent struct{ nodes, depth int }

type settler struct {
	limit  int
	copied int // nodes that merge keys brought
	done   map[*yaml.Node]extent
}

func (s *settler) settle(n *yaml.Node) (extent, *fault) {
	if e, ok := s.done[n]; ok {
		if e.nodes == 0 {
			return e, &fault{line: n.Line, text: fmt.Sprintf("the anchor &%s contains itself", n.Anchor)}
		}
		return e, nil
	}
	s.done[n] = extent{}
	for i, c := range n.Content {
		if c.Kind == yaml.AliasNode {
			n.Content[i] = c.Alias
		}
		if _, f := s.settle(n.Content[i]); f != nil {
			return extent{}, f
		}
	}
	if n.Kind == yaml.MappingNode {
		if f := s.merge(n); f != nil {
			return extent{}, f
		}
	}
	e := extent{nodes: 1}
	for _, c := range n.Content {
		below := s.done[c]
		e.nodes += below.nodes
		e.depth = max(e.depth, below.depth+1)
		if e.nodes > s.limit || s.copied > s.limit {
			return e, &fault{line: n.Line, text: "aliases make it too large", hint: "write out what the aliases stand for"}
		}
		if e.depth > maxDepth {
			return e, &fault{line: n.Line, text: tooDeep}
		}
	}
	s.done[n] = e
	return e, nil
}

// merge replaces the keys << of a mapping by the keys of the mappings that they
// name. A key of the mapping itself comes before one that is merged, and among
// these the first (YAML's merge key type, yaml.org/type/merge.html).
func (s *settler) merge(n *yaml.Node) *fault {
	var own, sources []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Tag != "!!merge":
			own = append(own, key, value)
		case value.Kind == yaml.MappingNode:
			sources = append(sources, value)
		case value.Kind == yaml.SequenceNode:
			sources = append(sources, value.Content...)
		default:
			sources = append(sources, value)
		}
	}
	if len(own) == len(n.Content) {
		return nil
	}
	have := map[string]bool{}
	for i := 0; i < len(own); i += 2 {
		have[own[i].Value] = true
	}
	for _, source := range sources {
		if source.Kind != yaml.MappingNode {
			return &fault{line: source.Line, text: "<< takes a mapping, or a list of mappings, found " + describe(source, false)}
		}
		for i := 0; i+1 < len(source.Content); i += 2 {
			if s.copied++; s.copied > s.limit {
				return nil // settle says so
			}
			if key := source.Content[i]; !have[key.Value] {
				have[key.Value] = true
				own = append(own, key, source.Content[i+1])
			}
		}
	}
	n.Content = own
	return nil
}
