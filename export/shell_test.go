package export

import "testing"

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a.p12":                     "a.p12",
		"--out":                     "--out",
		`C:\Users\a`:                `C:\Users\a`,
		`a\b`:                       `'a\b'`,
		`\`:                         `'\'`,
		"system:node:n1@kubernetes": "system:node:n1@kubernetes",
		"/tmp/a b":                  `'/tmp/a b'`,
		"it's":                      `'it'\''s'`,
		"$(reboot)":                 `'$(reboot)'`,
		"a\nb":                      "'a\nb'",
		"~":                         `'~'`,
		"":                          `''`,
	} {
		if got := ShellWord(in); got != want {
			t.Errorf("ShellWord(%q) = %s, want %s", in, got, want)
		}
	}
}
