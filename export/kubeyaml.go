package export

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// A general YAML library takes many times as long as all the rest of a Secret
// does, and what it leaves unquoted depends on whose rules it knows. What is
// written here reads the same by YAML 1.1 and 1.2: block mappings, each string
// plain if it is a plain word and double-quoted if not.

// appendYAML appends the object in YAML, its keys sorted.
func (o secretObject) appendYAML(dst []byte) []byte {
	dst = appendPair(dst, "", "apiVersion", o.APIVersion)
	dst = append(dst, "data:"...)
	if len(o.Data) == 0 {
		dst = append(dst, " {}"...)
	}
	dst = append(dst, '\n')
	for _, k := range sortedKeys(o.Data) {
		dst = append(dst, "  "...)
		dst = appendString(dst, k)
		dst = append(dst, ": "...)
		dst = appendBase64(dst, o.Data[k])
		dst = append(dst, '\n')
	}
	dst = appendPair(dst, "", "kind", o.Kind)
	dst = append(dst, "metadata:\n"...)
	dst = appendMap(dst, "annotations", o.Metadata.Annotations)
	dst = appendMap(dst, "labels", o.Metadata.Labels)
	dst = appendPair(dst, "  ", "name", o.Metadata.Name)
	if o.Metadata.Namespace != "" {
		dst = appendPair(dst, "  ", "namespace", o.Metadata.Namespace)
	}
	return appendPair(dst, "", "type", o.Type)
}

// appendMap appends a field of metadata; nothing if it is empty.
func appendMap(dst []byte, field string, m map[string]string) []byte {
	if len(m) == 0 {
		return dst
	}
	dst = append(dst, "  "...)
	dst = append(dst, field...)
	dst = append(dst, ":\n"...)
	for _, k := range sortedKeys(m) {
		dst = appendPair(dst, "    ", k, m[k])
	}
	return dst
}

// appendPair appends one line of a block mapping. A key must fit in the 1024
// characters that YAML allows an implicit one (YAML 1.2.2 section 7.4.2), which
// the keys of Kubernetes do.
func appendPair(dst []byte, indent, key, value string) []byte {
	dst = append(dst, indent...)
	dst = appendString(dst, key)
	dst = append(dst, ": "...)
	dst = appendString(dst, value)
	return append(dst, '\n')
}

// appendBase64 appends data in base64. That of a few bytes can be a word such as
// "true", and one that begins with a digit can be a number.
func appendBase64(dst, data []byte) []byte {
	const digits, slash = 52, 63 // in base64's alphabet
	if len(data) > 5 && (data[0]>>2 < digits || data[0]>>2 == slash) {
		return base64.StdEncoding.AppendEncode(dst, data)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}

func appendString(dst []byte, s string) []byte {
	if isPlain(s) {
		return append(dst, s...)
	}
	return appendQuoted(dst, s)
}

// isPlain reports whether every reader takes s for a string as it stands: a
// letter, then letters, digits and what is no indicator anywhere. That leaves
// numbers and dates out, and the words for true, false and nothing are known.
func isPlain(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case isLetter(c), '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '/', c == '@':
		default:
			return false
		}
	}
	if len(s) > len("false") {
		return true
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return false
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// appendQuoted appends s as a double-quoted scalar in one line (YAML 1.2.2
// section 7.3.1). What YAML 1.1 has no place for, what it takes for a line
// break, and what is beyond the basic plane is escaped; bytes that are no UTF-8
// become U+FFFD, as in JSON.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r < ' ' || 0x7F <= r && r < 0xA0:
			dst = appendHex(append(dst, `\x`...), r, 2)
		case r == 0x2028 || r == 0x2029 || r == 0xFEFF || r == 0xFFFE || r == 0xFFFF:
			dst = appendHex(append(dst, `\u`...), r, 4)
		case r > 0xFFFF:
			dst = appendHex(append(dst, `\U`...), r, 8)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// appendHex appends r in hexadecimal digits.
func appendHex(dst []byte, r rune, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789ABCDEF"[r>>shift&0xF])
	}
	return dst
}
