package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// jsonNode reads one JSON value into the nodes that YAML would give. JSON is not
// left to the YAML parser, which knows no surrogate pairs in \u escapes.
// Line numbers count from 1 at the start of text; those of an error too.
func jsonNode(text []byte) (*yaml.Node, *fault) {
	d := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(text)), text: text, line: 1}
	d.UseNumber()
	n, err := d.value(0)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return n, nil
		}
		err = errors.New("there is more after the end of the value")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	// The decoder stands before what it could not take.
	d.seek()
	return nil, &fault{line: d.line, text: "not JSON: " + strings.TrimPrefix(err.Error(), "json: ")}
}

type jsonReader struct {
	*json.Decoder
	text []byte
	at   int // how far lines are counted
	line int
}

// seek counts the lines up to where the decoder stands, and the blanks after it.
func (d *jsonReader) seek() {
	to := int(d.InputOffset())
	for to < len(d.text) && bytes.IndexByte([]byte(" \t\r\n,:"), d.text[to]) >= 0 {
		to++
	}
	if to > d.at {
		d.line += bytes.Count(d.text[d.at:to], []byte{'\n'})
		d.at = to
	}
}

func (d *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, errors.New(tooDeep)
	}
	d.seek()
	line := d.line
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: line}
	switch t := token.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case json.Number:
		n.Tag, n.Value = "!!int", t.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case string:
		n.Tag, n.Value, n.Style = "!!str", t, yaml.DoubleQuotedStyle
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if t == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for d.More() {
			child, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err = d.Token()
	}
	return n, err
}
