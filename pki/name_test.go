package pki_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/pki"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"web":                    "web",
		"api.example.com":        "api.example.com",
		"alice@example.com":      "alice@example.com",
		"Alice":                  "Alice",
		"a+b_c-d.e":              "a+b_c-d.e",
		"_dmarc":                 "_dmarc",
		"7":                      "7",
		"10.0.0.7":               "10.0.0.7",
		"*.example.com":          "wildcard.example.com",
		"a-":                     "a-",
		"console":                "console", // only begins like a device
		"com":                    "com",
		"com0":                   "com0",
		"lpt10":                  "lpt10",
		strings.Repeat("a", 200): strings.Repeat("a", 200),
		"prod/web":               "prod/web",
		"a@b/c+d":                "a@b/c+d",
		"con/aux":                "con/aux", // no folder is called like that
		"prod/*.example.com":     "prod/wildcard.example.com",
		strings.Repeat("n", 63) + "/" + strings.Repeat("a", 253): strings.Repeat("n", 63) + "/" + strings.Repeat("a", 253),
	} {
		got, err := pki.ParseName(in)
		if err != nil || got.String() != want || got.IsZero() {
			t.Errorf("ParseName(%q) = %q, %v; want %q", in, got, err, want)
			continue
		}
		if again, err := pki.ParseName(got.String()); err != nil || again != got {
			t.Errorf("%q made again is %q, %v", got, again, err)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                              `name "": it is empty`,
		"a/b/c":                         `name "a/b/c": it contains '/', and a name is no path`,
		"a/":                            `name "a/": it is empty`,
		"./a":                           `name "./a": it begins with a dot`,
		"*.a/b":                         `name "*.a/b": it begins with '*', not with a letter or a digit`,
		"a~b":                           `name "a~b": it contains '~'; letters, digits and . _ @ + - are allowed`,
		"nul.a/b":                       `name "nul.a/b": Windows keeps that name for a device`,
		"/etc/passwd":                   `name "/etc/passwd": it contains '/', and a name is no path`,
		`a\b`:                           `name "a\\b": it contains '\\', and a name is no path`,
		"..":                            `name "..": it contains ".."`,
		"../up":                         `name "../up": it contains ".."`,
		"a..b":                          `name "a..b": it contains ".."`,
		"*..b":                          `name "*..b": it contains ".."`,
		".":                             `name ".": it begins with a dot`,
		".hidden":                       `name ".hidden": it begins with a dot`,
		"a.":                            `name "a.": it ends with a dot`,
		"*.":                            `name "*.": it ends with a dot`,
		"-rf":                           `name "-rf": it begins with a dash`,
		"@alice":                        `name "@alice": it begins with '@', not with a letter or a digit`,
		"+1":                            `name "+1": it begins with '+', not with a letter or a digit`,
		"*":                             `name "*": it begins with '*', not with a letter or a digit`,
		"a*b":                           `name "a*b": it contains '*'; letters, digits and . _ @ + - are allowed`,
		"*.*.example.com":               `name "*.*.example.com": it contains '*'; letters, digits and . _ @ + - are allowed`,
		"a b":                           `name "a b": it contains ' '; letters, digits and . _ @ + - are allowed`,
		" a":                            `name " a": it begins with ' ', not with a letter or a digit`,
		"a\nb":                          `name "a\nb": it contains '\n'; letters, digits and . _ @ + - are allowed`,
		"a\x00":                         `name "a\x00": it contains '\x00'; letters, digits and . _ @ + - are allowed`,
		"a:b":                           `name "a:b": it contains ':'; letters, digits and . _ @ + - are allowed`,
		"bücher":                        `name "bücher": it contains 'ü', and only ASCII is the same everywhere`,
		"a\xff":                         `name "a\xff": it contains '�', and only ASCII is the same everywhere`,
		"con":                           `name "con": Windows keeps that name for a device`,
		"NUL.txt":                       `name "NUL.txt": Windows keeps that name for a device`,
		"com1":                          `name "com1": Windows keeps that name for a device`,
		"LPT9.example.com":              `name "LPT9.example.com": Windows keeps that name for a device`,
		strings.Repeat("a", 201):        `name "` + strings.Repeat("a", 201) + `": it is longer than 200 bytes`,
		strings.Repeat("n", 64) + "/a":  `name "` + strings.Repeat("n", 64) + `/a": its namespace is longer than 63 bytes`,
		"n/" + strings.Repeat("a", 254): `name "n/` + strings.Repeat("a", 254) + `": it is longer than 253 bytes`,
	} {
		got, err := pki.ParseName(in)
		if !got.IsZero() || err == nil || err.Error() != want {
			t.Errorf("ParseName(%q) = %q\ngot  %v\nwant %s", in, got, err, want)
		}
		if _, ok := errors.AsType[*pki.NameError](err); !ok {
			t.Errorf("ParseName(%q): %T is no *NameError", in, err)
		}
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"web": "", "prod/web": "prod", "prod/*.example.com": "prod"} {
		if n, err := pki.ParseName(in); err != nil || n.Namespace() != want {
			t.Errorf("the namespace of %q is %q, %v; want %q", in, n.Namespace(), err, want)
		}
	}
}
