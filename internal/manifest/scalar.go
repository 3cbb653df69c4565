package manifest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A shape is what a node is to Kubernetes.
type shape int

const (
	shapeNull shape = iota
	shapeText
	shapeBool
	shapeInt
	shapeFloat
	shapeList
	shapeMapping
)

// shapeOf tells what n is, as kubectl reads it: by YAML 1.1, in which yes, no,
// on, off, y and n without quotes are booleans; but times are text.
func shapeOf(n *yaml.Node) shape {
	switch n.Kind {
	case yaml.MappingNode:
		return shapeMapping
	case yaml.SequenceNode:
		return shapeList
	}
	switch n.Tag {
	case "!!null":
		return shapeNull
	case "!!bool":
		return shapeBool
	case "!!int":
		return shapeInt
	case "!!float":
		return shapeFloat
	case "!!str":
		if n.Style == 0 && isOldBool(n.Value) {
			return shapeBool
		}
	}
	return shapeText
}

func isOldBool(s string) bool {
	if len(s) > 3 {
		return false
	}
	switch s {
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF":
		return true
	}
	return false
}

// boolOf returns the value of a node whose shape is boolean.
func boolOf(n *yaml.Node) (value, ok bool) {
	switch n.Value {
	case "true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}

// intOf returns the value of a number that is whole, however it is written.
func intOf(n *yaml.Node) (value int64, ok bool) {
	if i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64); err == nil {
		return i, true
	}
	// From -2^63 up to 2^63, which is one too many.
	f, ok := floatOf(n)
	if !ok || f != math.Trunc(f) || f < math.MinInt64 || f >= math.MaxInt64 {
		return 0, false
	}
	return int64(f), true
}

func floatOf(n *yaml.Node) (value float64, ok bool) {
	plain := strings.ReplaceAll(n.Value, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return float64(i), true
	}
	f, err := strconv.ParseFloat(plain, 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// valueOf returns n as encoding/json takes it.
func valueOf(n *yaml.Node) (any, error) {
	switch shapeOf(n) {
	case shapeNull:
		return nil, nil
	case shapeBool:
		if b, ok := boolOf(n); ok {
			return b, nil
		}
	case shapeInt, shapeFloat:
		if i, ok := intOf(n); ok {
			return i, nil
		}
		if f, ok := floatOf(n); ok {
			return f, nil
		}
	case shapeList:
		values := make([]any, len(n.Content))
		for i, c := range n.Content {
			v, err := valueOf(c)
			if err != nil {
				return nil, err
			}
			values[i] = v
		}
		return values, nil
	case shapeMapping:
		values := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, ok := keyOf(n.Content[i])
			if !ok {
				return nil, fmt.Errorf("a key must be text, found %s", describe(n.Content[i], false))
			}
			v, err := valueOf(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			values[key] = v
		}
		return values, nil
	default:
		return n.Value, nil
	}
	return nil, fmt.Errorf("found %s, which JSON cannot hold", describe(n, false))
}

// keyOf returns a key of a mapping as text: Kubernetes takes numbers and
// booleans for keys, in their plain spelling.
func keyOf(n *yaml.Node) (key string, ok bool) {
	switch shapeOf(n) {
	case shapeText:
		return n.Value, true
	case shapeBool:
		b, ok := boolOf(n)
		return strconv.FormatBool(b), ok
	case shapeInt:
		i, ok := intOf(n)
		return strconv.FormatInt(i, 10), ok
	case shapeFloat:
		f, ok := floatOf(n)
		return strconv.FormatFloat(f, 'g', -1, 32), ok
	default:
		return "", false
	}
}

// describe says what n is, for "want ..., found ...". With secret it does not
// show the value.
func describe(n *yaml.Node, secret bool) string {
	kinds := [...]string{
		shapeNull: "nothing", shapeText: "text", shapeBool: "a boolean", shapeInt: "a number",
		shapeFloat: "a number", shapeList: "a list", shapeMapping: "a mapping",
	}
	s := shapeOf(n)
	switch {
	case s == shapeNull || s == shapeList || s == shapeMapping || secret:
		return kinds[s]
	case s == shapeText:
		return "the text " + quote(n.Value)
	}
	return "the" + kinds[s][1:] + " " + cut(n.Value)
}

func quote(s string) string { return strconv.Quote(cut(s)) }

// cut shortens what a message shows of a value.
func cut(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
