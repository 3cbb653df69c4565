package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth is how deep a document may be nested; Kubernetes' own types need
	// some twenty levels.
	maxDepth = 1000
	tooDeep  = "nested too deep"
)

// A fault is what is wrong with a whole document.
type fault struct {
	line       int
	text, hint string
}

// parse reads a document into nodes whose lines are those of the file, with
// aliases and merge keys put in place. The root is nil if nothing is in it.
func parse(doc document) (*yaml.Node, *fault) {
	if doc.long {
		return nil, &fault{doc.line, fmt.Sprintf("a document of more than %d MiB", maxDocument>>20),
			"put its objects into documents of their own, with a line --- between them"}
	}
	if encoding := foreign(doc.text); encoding != "" {
		return nil, &fault{doc.line, encoding, "save it as UTF-8 text"}
	}
	var n *yaml.Node
	var f *fault
	if body, lines := afterMarker(doc.text); looksJSON(body) {
		if n, f = jsonNode(bytes.TrimPrefix(body, bom)); f != nil {
			f.line += lines
		} else if _, _, f = shift(n, lines, 0); f != nil {
			n = nil
		}
	}
	if n == nil {
		// What begins like JSON may be YAML with its own freedoms.
		notJSON := f
		if n, f = yamlNode(doc.text); f != nil && notJSON != nil {
			f = notJSON
		}
	}
	if f != nil {
		f.line += doc.line - 1
		if f.hint == "" && bytes.Contains(doc.text, []byte("{{")) {
			f.hint = "this looks like a template: render it first, as with 'helm template'"
		}
		return nil, f
	}
	if n == nil {
		return nil, nil
	}
	return settle(n, doc.line-1)
}

// afterMarker returns what comes after the blanks and comments at the start of a
// document and the line --- there, and how many lines these are.
func afterMarker(text []byte) (rest []byte, lines int) {
	for line := range bytes.Lines(text) {
		body := bytes.TrimPrefix(line, bom)
		if markerOf(line) == '-' {
			body = body[3:]
		}
		if blank, _ := isBlank(body); !blank {
			break
		}
		text = text[len(line):]
		lines++
	}
	return text, lines
}

// foreign names what a text is that is not UTF-8, as far as its first bytes say.
func foreign(text []byte) string {
	switch head := text[:min(len(text), 4)]; {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return "UTF-16 text"
	case bytes.IndexByte(head, 0) >= 0:
		return "UTF-16 text, or no text at all"
	case bytes.HasPrefix(head, []byte{0x1F, 0x8B}):
		return "compressed by gzip"
	}
	return ""
}

// yamlNode reads one YAML document. Line numbers count from 1 at the start of
// text.
func yamlNode(text []byte) (n *yaml.Node, f *fault) {
	// The parser keeps some panics for input that its authors held impossible.
	defer func() {
		if r := recover(); r != nil {
			n, f = nil, &fault{line: 1, text: fmt.Sprintf("not YAML: %v", r)}
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	var root, more yaml.Node
	if err := d.Decode(&root); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, yamlFault(text, err)
	}
	if err := d.Decode(&more); err == nil {
		return nil, &fault{line: more.Line, text: "another document begins here", hint: "put a line --- between them; lines end in LF or CRLF"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlFault(text, err)
	}
	n = root.Content[0]
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" {
		return nil, nil
	}
	return n, nil
}

// yamlFault takes the line out of an error of the YAML parser.
func yamlFault(text []byte, err error) *fault {
	f := &fault{line: 1, text: strings.TrimPrefix(err.Error(), "yaml: ")}
	if after, ok := strings.CutPrefix(f.text, "line "); ok {
		number, rest, _ := strings.Cut(after, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			f.line, f.text = n, rest
			// Its second stage counts lines from 0, and names the one where the
			// mapping began that goes wrong.
			switch {
			case strings.HasPrefix(rest, "did not find expected key"), strings.HasPrefix(rest, "did not find expected '-'"):
				f.line = linesRead(text)
			case strings.HasPrefix(rest, "did not find expected ',' or"), strings.HasPrefix(rest, "did not find expected node content"),
				strings.HasPrefix(rest, "did not find expected <document start>"):
				f.line++
			}
		}
	} else if bad := badByte(text); bad >= 0 {
		f.line += bytes.Count(text[:bad], []byte{'\n'})
	}
	f.line = min(f.line, 1+bytes.Count(text, []byte{'\n'}))
	f.text = "not YAML: " + f.text
	if tab := bytes.Index(text, []byte("\n\t")); tab >= 0 && strings.Contains(f.text, "cannot start any token") {
		f.hint = "YAML is indented by spaces, not by tabs"
	}
	return f
}

// linesRead returns how many lines the parser asks for until it finds text wrong,
// which is the line of the mistake, or the next.
func linesRead(text []byte) int {
	r := &lineReader{rest: text}
	var n yaml.Node
	// The error is known.
	_ = yaml.NewDecoder(r).Decode(&n)
	return r.lines
}

// A lineReader gives one line at a time.
type lineReader struct {
	rest  []byte
	lines int
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := len(r.rest)
	if end := bytes.IndexByte(r.rest, '\n'); end >= 0 {
		n = end + 1
	}
	n = copy(p, r.rest[:n])
	if r.rest[n-1] == '\n' || n == len(r.rest) {
		r.lines++
	}
	r.rest = r.rest[n:]
	return n, nil
}

// badByte returns where text stops being the UTF-8 that YAML takes, or -1.
func badByte(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7F {
			return i
		}
		i += size
	}
	return -1
}
