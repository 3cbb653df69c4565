package manifest

import "strings"

// isSubdomain reports whether s may name an object: a DNS name in lower case (RFC
// 1123 section 2.1, as Kubernetes narrows it).
func isSubdomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		// Kubernetes limits the whole, and not each label.
		if !isLabel(label, 253) {
			return false
		}
	}
	return true
}

// isLabel reports whether s is one label of at most most bytes; a namespace is
// one of 63.
func isLabel(s string, most int) bool {
	if s == "" || len(s) > most || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
