package manifest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A decoder fills Kubernetes' Go types from nodes as the API server does with
// strict field validation: unknown and repeated fields are problems, and text
// is not a number. It goes on after a problem. Only one goroutine may use it.
type decoder struct {
	types map[reflect.Type]*typeInfo
	words map[string]string // texts that many objects share
	share bool              // the texts being decoded are such

	o     *object
	wrong []wrong // what does not decode of o
}

// A wrong is a field that did not decode. What the checks say about it, or about
// what was meant by it, is no news.
type wrong struct {
	path    string
	meant   string // the field that was probably meant
	missing bool   // nothing of it arrived, so its parent lacks it
}

func newDecoder() *decoder {
	return &decoder{types: map[reflect.Type]*typeInfo{}, words: map[string]string{}}
}

// A place is where in an object the decoder is.
type place struct {
	up     *place
	name   string
	index  int  // of a list; name is empty then
	key    bool // name is a key of a map, and no field
	secret bool // values are not shown
}

func (p *place) String() string {
	if p == nil {
		return ""
	}
	up := p.up.String()
	switch {
	case p.key:
		return up + "[" + p.name + "]"
	case p.name == "":
		return up + "[" + strconv.Itoa(p.index) + "]"
	case up == "":
		return p.name
	}
	return up + "." + p.name
}

// decode fills v, a pointer to one of Kubernetes' types, from n. What the server
// writes, status and metadata.managedFields, is left out.
func (d *decoder) decode(o *object, n *yaml.Node, v any) {
	d.o, d.wrong, d.share = o, nil, false
	d.value(n, reflect.ValueOf(v).Elem(), nil)
}

func serverWrites(at *place) bool {
	return at.up == nil && at.name == "status" ||
		at.name == "managedFields" && at.up != nil && at.up.up == nil && at.up.name == "metadata"
}

func (d *decoder) problem(n *yaml.Node, at *place, w wrong, hint, format string, args ...any) {
	w.path = at.String()
	d.wrong = append(d.wrong, w)
	d.o.problems = append(d.o.problems, Problem{d.o.Origin, w.path, n.Line, fmt.Sprintf(format, args...), hint})
}

// unwanted says that n is not of the sort that is wanted.
func (d *decoder) unwanted(n *yaml.Node, at *place, want string) {
	secret := at != nil && at.secret
	hint := ""
	switch s := shapeOf(n); {
	case isTemplate(n):
		hint = templateHint
	case strings.HasPrefix(want, "a duration"):
		hint = durationHint(n.Value)
	case want == "text" && (s == shapeBool || s == shapeInt || s == shapeFloat):
		hint = "quote it"
		if !secret {
			hint = "quote it: " + strconv.Quote(n.Value)
		}
	case s == shapeText && (want == "a number" || want == "a whole number" || want == "true or false"):
		plain := &yaml.Node{}
		if err := yaml.Unmarshal([]byte(n.Value), plain); err == nil && len(plain.Content) == 1 &&
			shapeOf(plain.Content[0]) != shapeText && n.Style != 0 {
			hint = "leave out the quotes"
		}
	}
	found := describe(n, secret)
	if n.Tag == "!!binary" && n.Kind == yaml.ScalarNode {
		found, hint = "the tag !!binary", "leave out the tag"
	}
	d.problem(n, at, wrong{missing: true}, hint, "want %s, found %s", want, found)
}

const templateHint = "this looks like a template: render it first, as with 'helm template'"

// isTemplate reports whether n is what YAML makes of {{ ... }}.
func isTemplate(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode ||
		n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "{{")
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, at *place) {
	s := shapeOf(n)
	if s == shapeNull {
		return
	}
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		v.Set(reflect.New(t.Elem()))
		d.value(n, v.Elem(), at)
		return
	}
	info := d.info(t)
	if info.custom {
		d.custom(n, v, at)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		if s != shapeMapping {
			d.unwanted(n, at, "a mapping")
			return
		}
		before := d.share
		d.share = before || info.repeat
		d.fields(n, v, info, at)
		d.share = before
	case reflect.Map:
		d.mapValue(n, v, at)
	case reflect.Slice:
		d.sliceValue(n, v, at)
	case reflect.String:
		if s != shapeText || n.Tag == "!!binary" {
			d.unwanted(n, at, "text")
			return
		}
		// A type of its own is an enumeration.
		if d.share || t != reflect.TypeFor[string]() {
			v.SetString(d.word(n.Value))
		} else {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		b, ok := boolOf(n)
		if s != shapeBool || !ok {
			d.unwanted(n, at, "true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, ok := intOf(n)
		switch {
		case s != shapeInt && s != shapeFloat || !ok:
			d.unwanted(n, at, "a whole number")
		case v.OverflowInt(i):
			d.problem(n, at, wrong{missing: true}, "", "the number %d is too large", i)
		default:
			v.SetInt(i)
		}
	case reflect.Float32, reflect.Float64:
		f, ok := floatOf(n)
		if s != shapeInt && s != shapeFloat || !ok {
			d.unwanted(n, at, "a number")
			return
		}
		v.SetFloat(f)
	default:
		d.problem(n, at, wrong{missing: true}, "", "a field of type %s cannot be read", t)
	}
}

// word returns a text that is equal to s and that earlier objects have as well.
func (d *decoder) word(s string) string {
	if w, ok := d.words[s]; ok {
		return w
	}
	if len(d.words) >= 4096 {
		clear(d.words)
	}
	d.words[s] = s
	return s
}

func (d *decoder) fields(n *yaml.Node, v reflect.Value, info *typeInfo, at *place) {
	var seen map[string]int
	if len(n.Content) > 100 {
		seen = map[string]int{}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name, ok := keyOf(key)
		if !ok {
			d.badKey(key, at)
			continue
		}
		here := place{up: at, name: name}
		here.secret = name == "password" || at == nil && (name == "data" || name == "stringData")
		if serverWrites(&here) {
			continue
		}
		index, ok := info.fields[name]
		if !ok {
			d.unknown(key, v, info, &here)
			continue
		}
		if line := firstOf(n, i, seen); line > 0 {
			d.problem(key, &here, wrong{}, "keep one of them", "is there twice; first in line %d", line)
			continue
		}
		field := v.Field(index[0])
		for _, i := range index[1:] {
			field = field.Field(i)
		}
		d.value(value, field, &here)
	}
}

func (d *decoder) badKey(key *yaml.Node, at *place) {
	hint := ""
	if key.Kind == yaml.MappingNode {
		hint = templateHint
	}
	d.problem(key, at, wrong{missing: true}, hint, "a key must be text, found %s", describe(key, false))
}

func (d *decoder) unknown(key *yaml.Node, v reflect.Value, info *typeInfo, at *place) {
	w := wrong{missing: true}
	hint := ""
	if meant := suggest(info.fields, at.name); meant != "" {
		hint = "did you mean " + meant + "?"
		w.meant = (&place{up: at.up, name: meant}).String()
	} else if spec := v.FieldByName("Spec"); at.up == nil && spec.IsValid() && d.info(spec.Type()).fields[at.name] != nil {
		hint = at.name + " belongs under spec"
	}
	d.problem(key, at, w, hint, "unknown field")
}

// firstOf returns the line of the key before n.Content[i] that is the same, or 0.
// In a large mapping, seen remembers them.
func firstOf(n *yaml.Node, i int, seen map[string]int) int {
	key := n.Content[i]
	if seen != nil {
		line := seen[key.Value]
		if line == 0 {
			seen[key.Value] = key.Line
		}
		return line
	}
	for j := 0; j < i; j += 2 {
		if first := n.Content[j]; first.Value == key.Value && first.Kind == key.Kind {
			return first.Line
		}
	}
	return 0
}

func (d *decoder) mapValue(n *yaml.Node, v reflect.Value, at *place) {
	if shapeOf(n) != shapeMapping {
		d.unwanted(n, at, "a mapping")
		return
	}
	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, len(n.Content)/2))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name, ok := keyOf(key)
		if !ok {
			d.badKey(key, at)
			continue
		}
		here := place{up: at, name: name, key: true, secret: at != nil && at.secret}
		k := reflect.ValueOf(name).Convert(t.Key())
		if v.MapIndex(k).IsValid() {
			d.problem(key, &here, wrong{}, "keep one of them", "is there twice")
			continue
		}
		e := reflect.New(t.Elem()).Elem()
		d.value(value, e, &here)
		v.SetMapIndex(k, e)
	}
}

func (d *decoder) sliceValue(n *yaml.Node, v reflect.Value, at *place) {
	t := v.Type()
	if t.Elem().Kind() == reflect.Uint8 {
		d.bytes(n, v, at)
		return
	}
	if n.Kind != yaml.SequenceNode {
		what := "a list"
		switch t.Elem().Kind() {
		case reflect.String:
			what = "a list of texts"
		case reflect.Struct:
			what = "a list of mappings"
		default:
		}
		d.unwanted(n, at, what)
		return
	}
	v.Set(reflect.MakeSlice(t, len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		here := place{up: at, index: i, secret: at != nil && at.secret}
		if shapeOf(c) == shapeNull && t.Elem().Kind() == reflect.String {
			d.unwanted(c, &here, "text")
			continue
		}
		d.value(c, v.Index(i), &here)
	}
}

// bytes reads base64, as JSON carries bytes. The value is never shown.
func (d *decoder) bytes(n *yaml.Node, v reflect.Value, at *place) {
	if shapeOf(n) != shapeText || n.Tag == "!!binary" {
		hidden := place{secret: true}
		if at != nil {
			hidden = *at
			hidden.secret = true
		}
		d.unwanted(n, &hidden, "text")
		return
	}
	data, err := base64.StdEncoding.DecodeString(n.Value)
	if err == nil {
		v.SetBytes(data)
		return
	}
	hint := ""
	switch {
	case strings.Contains(n.Value, "{{"):
		hint = templateHint
	case at.key && at.up.name == "data":
		hint = "a value that is not in base64 goes under stringData"
	case strings.Contains(n.Value, "-----BEGIN"):
		hint = "the PEM itself is encoded in base64 here: base64 -w0 FILE"
	}
	d.problem(n, at, wrong{missing: true}, hint, "not base64: %v", err)
}

// custom hands n to a type that reads its own JSON.
func (d *decoder) custom(n *yaml.Node, v reflect.Value, at *place) {
	if v.Type() == reflect.TypeFor[metav1.Duration]() {
		if shapeOf(n) != shapeText {
			d.unwanted(n, at, "a duration such as 2160h")
			return
		}
		length, err := time.ParseDuration(n.Value)
		if err != nil {
			d.problem(n, at, wrong{missing: true}, durationHint(n.Value), "want a duration such as 2160h, found %s", quote(n.Value))
			return
		}
		v.Field(0).SetInt(int64(length))
		return
	}
	value, err := valueOf(n)
	var data []byte
	if err == nil {
		data, err = json.Marshal(value)
	}
	if err == nil {
		err = json.Unmarshal(data, v.Addr().Interface())
	}
	if err == nil {
		return
	}
	var kind *json.UnmarshalTypeError
	if parse := (*time.ParseError)(nil); errors.As(err, &parse) {
		d.problem(n, at, wrong{missing: true}, "", "want a time such as 2006-01-02T15:04:05Z, found %s", describe(n, at.secret))
	} else if errors.As(err, &kind) {
		d.problem(n, at, wrong{missing: true}, "", "cannot be %s", describe(n, at.secret))
	} else {
		d.problem(n, at, wrong{missing: true}, "", "%s", err)
	}
}
