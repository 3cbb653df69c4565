package cmd

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestJSONFieldsAreDocumented holds docs/json.md to naming every field of every
// result.
func TestJSONFieldsAreDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{reflect.TypeFor[time.Time](): true}
	fields := 0
	var look func(reflect.Type)
	look = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				fields++
				if !strings.Contains(string(data), "`"+name+"`") {
					t.Errorf("docs/json.md does not name %s, a field of %s", name, typ)
				}
			}
			if f.Tag.Get("json") != "" || f.Anonymous {
				look(f.Type)
			}
		}
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[showJSON](), reflect.TypeFor[nodeJSON](), reflect.TypeFor[exportJSON](), reflect.TypeFor[formatsJSON](), reflect.TypeFor[versionJSON](),
		reflect.TypeFor[revokedJSON](), reflect.TypeFor[logJSON](), reflect.TypeFor[backupJSON](), reflect.TypeFor[restoreJSON](), reflect.TypeFor[applyResult](), reflect.TypeFor[renewedJSON](), reflect.TypeFor[passwdJSON](), reflect.TypeFor[importedJSON](), reflect.TypeFor[trustJSON](), reflect.TypeFor[kubeadmJSON](),
	} {
		look(typ)
	}
	if fields < 80 {
		t.Errorf("only %d fields were looked at", fields)
	}
}
