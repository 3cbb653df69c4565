package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuides follows the guides as a reader does, in a folder of their own: the
// blocks that begin with a comment that names a file are that file, and what
// stands after "$ " is typed. What a guide shows as the answer must be the
// answer, but for dates. A program that is no part of the guide's machine, such
// as kubectl, gets nothing to do: the line ends before its pipe.
func TestGuides(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"manifests.md"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
			if err != nil {
				t.Fatal(err)
			}
			s := newShell(t)
			lines := 0
			for _, block := range fences(string(text)) {
				if block.lang != "console" {
					if file, ok := strings.CutPrefix(block.text, "# "); ok {
						file, _, _ = strings.Cut(file, "\n")
						s.write(t, file, []byte(block.text))
					}
					continue
				}
				for _, step := range strings.Split("\n"+block.text, "\n$ ")[1:] {
					command, want, _ := strings.Cut(step, "\n")
					command, _, _ = strings.Cut(command, " | ")
					if !strings.HasPrefix(command, "mtlsctl ") {
						t.Fatalf("a guide types %q, which this test cannot", command)
					}
					lines++
					out := s.ok(t, command)
					if want := strings.TrimRight(want, "\n"); want != "" && undated(out.stdout+out.stderr) != undated(want) {
						t.Errorf("the guide shows\n%s\n\nbut it is\n%v", want, out)
					}
				}
			}
			if lines == 0 {
				t.Error("the guide types nothing")
			}
		})
	}
}

type fence struct{ lang, text string }

// fences returns the fenced blocks of a page in Markdown.
func fences(page string) (all []fence) {
	parts := strings.Split("\n"+page, "\n```")
	for i := 1; i < len(parts); i += 2 {
		lang, text, _ := strings.Cut(parts[i], "\n")
		all = append(all, fence{lang, text})
	}
	return all
}

var date = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

// undated takes out what is another every day.
func undated(s string) string {
	return strings.TrimRight(date.ReplaceAllString(s, "DATE"), "\n")
}
