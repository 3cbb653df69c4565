package export

import (
	"fmt"
	"slices"
	"strings"
)

// The rules for names are those of Kubernetes' pages "Object Names and IDs",
// "Labels and Selectors" and "Annotations".

// A nameRule is one of the alphabets of Kubernetes' names.
type nameRule struct {
	longest int
	upper   bool   // upper case, too
	middle  string // what may stand between letters and digits
	parts   bool   // dots split it into parts that each follow the rule
	words   string
}

var (
	subdomainRule = nameRule{253, false, "-", true, "lower-case letters, digits, '-' and '.', a letter or digit at both ends of each part"}
	labelRule     = nameRule{63, false, "-", false, "lower-case letters, digits and '-', a letter or digit at both ends"}
	qualifiedRule = nameRule{63, true, "-_.", false, "letters, digits, '-', '_' and '.', a letter or digit at both ends"}
)

// problem says in words how s breaks the rule, or returns "".
func (r nameRule) problem(s string) string {
	switch {
	case s == "":
		return "it is empty"
	case len(s) > r.longest:
		return fmt.Sprintf("%d characters, and %d are allowed", len(s), r.longest)
	}
	fits := r.parts || r.fits(s)
	if r.parts {
		for part := range strings.SplitSeq(s, ".") {
			fits = fits && r.fits(part)
		}
	}
	if !fits {
		return "allowed are " + r.words
	}
	return ""
}

func (r nameRule) fits(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', r.upper && 'A' <= c && c <= 'Z':
		case i == 0, i == len(s)-1, strings.IndexByte(r.middle, c) < 0:
			return false
		}
	}
	return s != ""
}

// SecretName makes a Secret's name of a certificate's: what Kubernetes does not
// allow becomes '-', as in "alice-example-com" for "alice@example.com", except
// that the dots of a name that is a host name already are kept. A name that
// fits is returned as it is, and of one with nothing to keep "certificate" is
// made. Two certificates can get the same name.
func SecretName(certificate string) string {
	name := strings.ToLower(certificate)
	if strings.HasPrefix(name, "*.") {
		name = "wildcard" + name[1:]
	}
	if subdomainRule.problem(name) == "" {
		return name
	}
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
	if name == "" {
		return "certificate"
	}
	return cut(name, subdomainRule.longest)
}

// cut shortens a name of letters, digits and dashes.
func cut(name string, longest int) string {
	return strings.TrimRight(name[:min(len(name), longest)], "-")
}

// check holds names, labels and annotations to the rules; where there is no
// name, one is made of the certificate's and offered.
func (m secretMeta) check(certificate string) error {
	if m.Name == "" {
		return &OptionError{"name", "", "a Secret needs a name", SecretName(certificate)}
	}
	if problem := subdomainRule.problem(m.Name); problem != "" {
		return &OptionError{"name", m.Name, problem, SecretName(m.Name)}
	}
	if m.Namespace != "" {
		if problem := labelRule.problem(m.Namespace); problem != "" {
			suggested := cut(strings.ReplaceAll(SecretName(m.Namespace), ".", "-"), labelRule.longest)
			return &OptionError{"namespace", m.Namespace, problem, suggested}
		}
	}
	for _, k := range sortedKeys(m.Labels) {
		if problem := qualifiedKey(k); problem != "" {
			return &OptionError{"label", k, problem, ""}
		}
		v := m.Labels[k]
		if problem := qualifiedRule.problem(v); v != "" && problem != "" {
			return &OptionError{"label", k + "=" + v, "its value: " + problem, ""}
		}
	}
	for _, k := range sortedKeys(m.Annotations) {
		// Upper case is allowed in an annotation's prefix, though not in a label's.
		if problem := qualifiedKey(strings.ToLower(k)); problem != "" {
			return &OptionError{"annotation", k, problem, ""}
		}
	}
	return checkAnnotations(m.Annotations)
}

// checkAnnotations holds annotations to the limit for all of them together.
func checkAnnotations(all map[string]string) error {
	size := 0
	for k, v := range all {
		size += len(k) + len(v)
	}
	if size > maxAnnotations {
		return &OptionError{"annotation", "", fmt.Sprintf("%d bytes in all, and %d are allowed", size, maxAnnotations), ""}
	}
	return nil
}

// qualifiedKey says what is wrong with the key of a label or annotation: an
// optional prefix, which is a DNS subdomain, and a slash, then a name.
func qualifiedKey(k string) string {
	prefix, name, found := strings.Cut(k, "/")
	if !found {
		prefix, name = "", k
	}
	if found {
		if problem := subdomainRule.problem(prefix); problem != "" {
			return "its prefix: " + problem
		}
	}
	if problem := qualifiedRule.problem(name); problem != "" {
		return "its name: " + problem
	}
	return ""
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
