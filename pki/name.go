package pki

import (
	"fmt"
	"strings"
)

// A Name is what a certificate or an authority is called, and the name of the
// folder it is kept in. It has a small alphabet, so that it is the same on
// every file system and can never lead out of its folder; only [ParseName]
// makes one.
type Name struct{ s string }

// maxName keeps a name with a suffix below the 255 bytes of a file name.
const maxName = 200

// A NameError says why a string is no [Name].
type NameError struct {
	Value   string // as given
	Problem string // what is wrong with it
}

func (e *NameError) Error() string { return fmt.Sprintf("name %q: %s", e.Value, e.Problem) }

// ParseName checks s and makes a Name of it: letters, digits and "._@+-",
// beginning with a letter, a digit or an underscore, at most 200 bytes. The
// wildcard of a DNS name is spelled out: "*.example.com" is
// "wildcard.example.com". Every error is a [*NameError].
func ParseName(s string) (Name, error) {
	fail := func(problem string) (Name, error) { return Name{}, &NameError{s, problem} }
	n := s
	if rest, ok := strings.CutPrefix(s, "*."); ok {
		n = "wildcard." + rest
	}
	switch {
	case n == "":
		return fail("it is empty")
	case len(n) > maxName:
		return fail(fmt.Sprintf("it is longer than %d bytes", maxName))
	case strings.Contains(n, ".."):
		return fail(`it contains ".."`)
	case strings.HasPrefix(n, "-"):
		return fail("it begins with a dash")
	case strings.HasPrefix(n, "."):
		return fail("it begins with a dot")
	case strings.HasSuffix(n, "."):
		return fail("it ends with a dot")
	}
	for i, r := range n {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
		case i > 0 && strings.ContainsRune(".@+-", r):
		case r == '/' || r == '\\':
			return fail(fmt.Sprintf("it contains %q, and a name is no path", r))
		case r > 127:
			return fail(fmt.Sprintf("it contains %q, and only ASCII is the same everywhere", r))
		case i == 0:
			return fail(fmt.Sprintf("it begins with %q, not with a letter or a digit", r))
		default:
			return fail(fmt.Sprintf("it contains %q; letters, digits and . _ @ + - are allowed", r))
		}
	}
	if reservedName(n) {
		return fail("Windows keeps that name for a device")
	}
	return Name{n}, nil
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

// String returns the name.
func (n Name) String() string { return n.s }

// IsZero reports whether n is no name.
func (n Name) IsZero() bool { return n.s == "" }
