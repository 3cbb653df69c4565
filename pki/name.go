package pki

import (
	"fmt"
	"strings"
)

// A Name is what a certificate or an authority is called. It has a small
// alphabet, so that what is made of it is the same on every file system and can
// never lead out of its folder; only [ParseName] makes one.
type Name struct{ s string }

// How long names are. One without a namespace is, with a suffix, a file name of
// at most 255 bytes; Kubernetes sets the other two.
const (
	maxName           = 200
	maxNamespace      = 63
	maxNamespacedName = 253
)

// A NameError says why a string is no [Name].
type NameError struct {
	Value   string // as given
	Problem string // what is wrong with it
}

func (e *NameError) Error() string { return fmt.Sprintf("name %q: %s", e.Value, e.Problem) }

// ParseName checks s and makes a Name of it: letters, digits and "._@+-",
// beginning with a letter, a digit or an underscore, at most 200 bytes. The
// wildcard of a DNS name is spelled out: "*.example.com" is
// "wildcard.example.com". With a namespace before it, as in "prod/web", each
// part is such a name, the first of at most 63 bytes, the second of at most 253.
// Every error is a [*NameError].
func ParseName(s string) (Name, error) {
	fail := func(problem string) (Name, error) { return Name{}, &NameError{s, problem} }
	before, n, longest := "", s, maxName
	if namespace, rest, ok := strings.Cut(s, "/"); ok && namespace != "" {
		switch problem := nameProblem(namespace, maxNamespace); {
		case len(namespace) > maxNamespace:
			return fail(fmt.Sprintf("its namespace is longer than %d bytes", maxNamespace))
		case problem != "":
			return fail(problem)
		}
		before, n, longest = namespace+"/", rest, maxNamespacedName
	}
	if rest, ok := strings.CutPrefix(n, "*."); ok {
		n = "wildcard." + rest
	}
	if problem := nameProblem(n, longest); problem != "" {
		return fail(problem)
	}
	// What becomes of the slash in a file name is no dot.
	if reservedName(before + n) {
		return fail("Windows keeps that name for a device")
	}
	return Name{before + n}, nil
}

// nameProblem returns what is wrong with a name, or with a part of one, or "".
func nameProblem(n string, longest int) string {
	switch {
	case n == "":
		return "it is empty"
	case len(n) > longest:
		return fmt.Sprintf("it is longer than %d bytes", longest)
	case strings.Contains(n, ".."):
		return `it contains ".."`
	case strings.HasPrefix(n, "-"):
		return "it begins with a dash"
	case strings.HasPrefix(n, "."):
		return "it begins with a dot"
	case strings.HasSuffix(n, "."):
		return "it ends with a dot"
	}
	for i, r := range n {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
		case i > 0 && strings.ContainsRune(".@+-", r):
		case r == '/' || r == '\\':
			return fmt.Sprintf("it contains %q, and a name is no path", r)
		case r > 127:
			return fmt.Sprintf("it contains %q, and only ASCII is the same everywhere", r)
		case i == 0:
			return fmt.Sprintf("it begins with %q, not with a letter or a digit", r)
		default:
			return fmt.Sprintf("it contains %q; letters, digits and . _ @ + - are allowed", r)
		}
	}
	return ""
}

// reservedName reports whether n is a device on Windows, whatever follows the
// first dot.
func reservedName(n string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(n), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '1' && stem[3] <= '9'
}

// String returns the name, with its namespace and a slash before it if it has
// one.
func (n Name) String() string { return n.s }

// Namespace returns the namespace, or "".
func (n Name) Namespace() string {
	if namespace, _, ok := strings.Cut(n.s, "/"); ok {
		return namespace
	}
	return ""
}

// IsZero reports whether n is no name.
func (n Name) IsZero() bool { return n.s == "" }
