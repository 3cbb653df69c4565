package manifest

import (
	"fmt"
	"strings"
)

// A Problem is something that the API server or cert-manager's admission would
// refuse, or that could not be read at all.
type Problem struct {
	Origin
	Path string // field path, as in spec.dnsNames[0]; empty if the whole object is meant
	Line int    // of the field; 0 if unknown
	Text string // without a full stop
	Hint string // the next step; may be empty
}

// String returns the problem in one line: file and line, document, object, field
// path, text.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.at(p.Line))
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Text)
	return b.String()
}

// at says where an object, or a line of it, stands.
func (o Origin) at(line int) string {
	if line == 0 {
		line = o.Line
	}
	s := o.File
	if line > 0 {
		s += fmt.Sprintf(":%d", line)
	}
	if o.Document > 0 {
		s += fmt.Sprintf(": document %d", o.Document)
	}
	if o.Kind != "" {
		s += ": " + o.Kind
	}
	if o.Name != "" {
		s += " " + o.Key.String()
	}
	return s
}

// String says where an object stands and what it is.
func (o Origin) String() string { return o.at(0) }

// String returns the warning in one line, as a problem's.
func (w Warning) String() string {
	return Problem{Origin: w.Origin, Path: w.Path, Line: w.Line, Text: w.Text}.String()
}

// Problems are all that is wrong with the input, in the order in which it was
// read. As an error it has a line for each.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// An object is one that is being checked.
type object struct {
	Origin
	line             func(path string) int // the line of a field, or of what comes nearest above it
	clusterNamespace string                // in which a ClusterIssuer's Secrets are
	problems         Problems
	warnings         []Warning
}

func (o *object) problem(path, hint, format string, args ...any) {
	o.problems = append(o.problems, Problem{o.Origin, path, o.line(path), fmt.Sprintf(format, args...), hint})
}

func (o *object) warn(path, format string, args ...any) {
	o.warnings = append(o.warnings, Warning{o.Origin, path, o.line(path), fmt.Sprintf(format, args...)})
}
