package export

import "strings"

// ShellWord writes s so that a POSIX shell takes it as one word, for command lines
// that are shown. A path that begins with a drive keeps its backslashes bare, for
// the sake of Windows' own shell.
func ShellWord(s string) string {
	drive := len(s) > 2 && s[1:3] == `:\`
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`-_./:=@,+%`, r) || drive && r == '\\'
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
