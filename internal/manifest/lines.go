package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// child returns the value under a key, and the key; nil if it is not there.
func child(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k, ok := keyOf(n.Content[i]); ok && k == key {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// lineOf returns the line of the field at path, as in spec.dnsNames[2] or
// metadata.annotations[cert-manager.io/issuer]. Of a path that is not there it
// returns the line of what comes nearest above it.
func lineOf(root *yaml.Node, path string) int {
	n, line := root, root.Line
	for path != "" && n != nil {
		var name string
		bracket := path[0] == '['
		if bracket {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return line
			}
			name, path = path[1:end], path[end+1:]
		} else {
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			name, path = path[:end], path[end:]
		}
		path = strings.TrimPrefix(path, ".")
		if bracket && n.Kind == yaml.SequenceNode {
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(n.Content) {
				return line
			}
			n = n.Content[i]
			line = n.Line
			continue
		}
		key, value := child(n, name)
		if key == nil {
			return line
		}
		n, line = value, key.Line
	}
	return line
}
