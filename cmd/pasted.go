package cmd

import (
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/export"
)

// pkiVerbs are the commands that read or write the PKI directory.
func pkiVerbs() []string {
	return []string{
		"init-ca", "import-ca", "import", "issue", "apply", "kubeadm", "renew", "revoke", "crl", "passwd", "export", "trust",
		"backup", "restore", "list", "log", "tree", "show",
	}
}

// pasted makes the commands in what is said to a person work as they are: they name
// the PKI directory if this one had to.
func (a *app) pasted(text string) string { return namingPKI(text, a.otherPKI()) }

// otherPKI is what --pki says; empty if that is what a command finds without it.
func (a *app) otherPKI() string {
	usual := a.env("MTLSCTL_PKI")
	if usual == "" {
		usual = defaultPKI
	}
	if a.pkiPath == usual {
		return ""
	}
	return a.pkiPath
}

// namingPKI puts --pki into the commands in a text that could need it.
func namingPKI(text, path string) string {
	if path == "" {
		return text
	}
	const program = "mtlsctl "
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, program)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString(program)
		verb := after
		if end := strings.IndexFunc(after, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }); end >= 0 {
			verb = after[:end]
		}
		command := after
		if end := strings.IndexAny(after, "'\n"); end >= 0 {
			command = after[:end]
		}
		if slices.Contains(pkiVerbs(), verb) && !strings.HasSuffix(command, " --help") {
			out.WriteString("--pki " + export.ShellWord(path) + " ")
		}
		text = after
	}
}
