package manifest

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
)

// A typeInfo is what decoding needs to know of a type.
type typeInfo struct {
	custom bool             // it reads its JSON by itself
	fields map[string][]int // of a struct: where a field stands, by its name in JSON
	repeat bool             // its texts are the same in many objects
}

// info returns what is known of t.
func (d *decoder) info(t reflect.Type) *typeInfo {
	if info, ok := d.types[t]; ok {
		return info
	}
	info := &typeInfo{}
	p := reflect.PointerTo(t)
	info.custom = p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	if t.Kind() == reflect.Struct && !info.custom {
		info.fields = map[string][]int{}
		addFields(info.fields, t, nil)
	}
	info.repeat = t == reflect.TypeFor[cmmeta.IssuerReference]() || t == reflect.TypeFor[cmapi.X509Subject]()
	d.types[t] = info
	return info
}

// addFields lists the fields of t by the names that encoding/json gives them.
func addFields(fields map[string][]int, t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(slices.Clone(index), i)
		switch {
		case name == "-":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			addFields(fields, f.Type, at)
		case !f.IsExported():
		case name == "":
			fields[f.Name] = at
		default:
			fields[name] = at
		}
	}
}

// suggest returns the one of the names that was probably meant by name.
func suggest[T any](names map[string]T, name string) string {
	best, least := "", len(name)/3+1
	for candidate := range names {
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		d := distance(strings.ToLower(candidate), strings.ToLower(name), least)
		if d < least || d == least && (best == "" || candidate < best) {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the letters to add, drop, replace or swap with their neighbour
// to make b of a; anything above most is most+1.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most || len(a)+len(b) > 200 {
		return most + 1
	}
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return min(old[len(b)], most+1)
}
