package export

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// host stands in lines of configuration for what only their reader knows: the
// name of the server.
const host = "HOST"

// fill puts paths in the place of the names of files, as in <tls.crt>, in a form
// that quote gives them, and words in the place of others: they come in pairs, as
// for [strings.NewReplacer], without the brackets. A line that names a CRL is left
// out if there is none.
func (p *Placement) fill(quote func(string) string, text string, words ...string) string {
	var out strings.Builder
lines:
	for rest := range strings.Lines(text) {
		line := ""
		for {
			before, after, _ := strings.Cut(rest, "<")
			name, end, found := strings.Cut(after, ">")
			if !found {
				break
			}
			if (name == "crl.pem" || name == "root.crl") && !p.CRL {
				continue lines
			}
			line += before + p.filled(quote, name, words)
			rest = end
		}
		out.WriteString(line + rest)
	}
	return out.String()
}

func (p *Placement) filled(quote func(string) string, name string, words []string) string {
	for i := 0; i+1 < len(words); i += 2 {
		if words[i] == name {
			return words[i+1]
		}
	}
	return quote(p.Path(name))
}

// file is the path of a format that writes one.
func (p *Placement) file() string {
	if len(p.Files) > 0 {
		return p.Files[0]
	}
	return path.Base(p.Name) + "." + p.Format
}

// user is the common name, by which many servers know a client.
func (p *Placement) user() string { return printable(p.Bundle.Leaf().Subject.CommonName) }

// printable keeps names from beginning a line of their own in a configuration.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// isUnspeakable reports whether a path has characters that end a line, or that
// nobody sees.
func isUnspeakable(path string) bool {
	return !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) })
}

// asIs is for configurations in which nothing needs quotes, or the text has them.
func asIs(path string) string { return path }

// escaped is for paths between the double quotes of HCL, NATS and java @FILE, in
// which a backslash begins an escape.
func escaped(path string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) }

// inQuotes puts double quotes around what is not plain, for those who read \\ and
// \" in them.
func inQuotes(path string) string {
	if isPlainPath(path) {
		return path
	}
	return `"` + escaped(path) + `"`
}

// isPlainPath reports whether no reader of configurations takes a character of a
// path for anything but itself.
func isPlainPath(path string) bool {
	return path != "" && !strings.ContainsAny(path, " #;'\"\\$`{}()[]<>&|*?!~")
}
