package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxKubeconfigDepth is how deep JSON may be nested.
const maxKubeconfigDepth = 500

// jsonDocument reads one valid JSON value into the nodes that YAML would give.
// The YAML parser knows no surrogate pairs in \u escapes.
func jsonDocument(data []byte) (*yaml.Node, error) {
	r := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(data)), text: data, line: 1}
	r.UseNumber()
	root, err := r.value(0)
	if err != nil {
		return nil, &KubeconfigError{r.line, "it is no JSON: " + err.Error()}
	}
	return &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}, nil
}

type jsonReader struct {
	*json.Decoder
	text []byte
	at   int // how far lines are counted
	line int
}

// seek counts the lines up to the next token.
func (r *jsonReader) seek() {
	to := int(r.InputOffset())
	for to < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[to]) >= 0 {
		to++
	}
	r.line += bytes.Count(r.text[r.at:to], []byte{'\n'})
	r.at = to
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	r.seek()
	if depth > maxKubeconfigDepth {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxKubeconfigDepth)
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line}
	token, err := r.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if t == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for r.More() {
			child, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err = r.Token()
	}
	return n, err
}

// jsonText writes nodes as JSON, indented as the former text is.
func jsonText(former []byte, root *yaml.Node) ([]byte, error) {
	var dense, out bytes.Buffer
	if err := appendJSON(&dense, root); err != nil {
		return nil, err
	}
	indent, lines := "    ", true
	if open := bytes.IndexByte(former, '{'); open >= 0 {
		rest := former[open+1:]
		after := rest[:len(rest)-len(bytes.TrimLeft(rest, " \t\r\n"))]
		last := bytes.LastIndexByte(after, '\n')
		lines = last >= 0
		indent = string(after[last+1:])
	}
	if !lines {
		out.Write(dense.Bytes())
	} else if err := json.Indent(&out, dense.Bytes(), "", indent); err != nil {
		return nil, err
	}
	if former == nil || bytes.HasSuffix(former, []byte("\n")) {
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

func appendJSON(out *bytes.Buffer, n *yaml.Node) error {
	list := func(open, end byte, between func(i int) string) error {
		out.WriteByte(open)
		for i, child := range n.Content {
			if i > 0 {
				out.WriteString(between(i))
			}
			if err := appendJSON(out, child); err != nil {
				return err
			}
		}
		out.WriteByte(end)
		return nil
	}
	switch {
	case n.Kind == yaml.SequenceNode:
		return list('[', ']', func(int) string { return "," })
	case n.Kind == yaml.MappingNode:
		return list('{', '}', func(i int) string { return ",:"[i%2 : i%2+1] })
	case n.Tag != "!!str":
		out.WriteString(n.Value)
		return nil
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(n.Value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // its line's end
	return nil
}
