package export

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkPage holds docs/consumers.md to the golden files of the consumers.
func checkPage(t *testing.T) {
	t.Helper()
	var page strings.Builder
	page.WriteString(`# Consumers

What each program gets that ` + "`mtlsctl export NAME --for PROGRAM`" + ` knows, and the lines
of its configuration that go with it: of an example whose files are in /etc/x. HOST
and PASSWORD are for the reader to fill in. A certificate or key that a program could
not use is refused, with the flag that mends it.

| --for | program | formats, its own first |
|---|---|---|
`)
	for _, c := range Consumers() {
		fmt.Fprintf(&page, "| [`%s`](#%s) | %s | `%s` |\n", c.Name, c.Name, c.Title, strings.Join(c.Formats(), "` `"))
	}
	for _, c := range Consumers() {
		fmt.Fprintf(&page, "\n## %s\n", c.Name)
		seen := map[string]bool{}
		for _, part := range strings.Split("\n"+string(readFile(t, "golden", "consumers", c.Name+".txt")), "\n# export ")[1:] {
			head, text, _ := strings.Cut(part, "\n")
			format, role, _ := strings.Cut(head, ", a certificate for: ")
			if seen[head] { // a special case, which the table of the test has
				continue
			}
			seen[head] = true
			files, config, _ := strings.Cut(text, "\n\n")
			if strings.HasPrefix(text, "\n") {
				files, config = "", text
			}
			fmt.Fprintf(&page, "\n`%s`, %s:\n", format, roleWords[Role(role)])
			writeBlock(&page, files)
			writeBlock(&page, config)
		}
	}
	path := filepath.Join("..", "docs", "consumers.md")
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page.String(), string(have)); diff != "" {
		t.Errorf("docs/consumers.md is not what the consumers get; `make docs` writes it anew (-want +have):\n%s", diff)
	}
}

var roleWords = map[Role]string{
	Server: "of a server", Client: "of a client", Peer: "of both", Authority: "of an authority",
}

// writeBlock writes what is in files, or lines of a configuration. Which files
// there are is clear from what is in them, but for the name of a Secret's.
func writeBlock(page *strings.Builder, text string) {
	var lines []string
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		if !strings.HasPrefix(line, "-> ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	if len(lines) > 0 {
		page.WriteString("\n```text\n" + strings.Join(lines, "\n") + "\n```\n")
	}
}
