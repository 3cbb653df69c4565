package cmd

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write the generated files anew")

// testEnv is an environment without a PKI directory, whose clock stands still.
func testEnv(stdout, stderr io.Writer) Env {
	return Env{
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr,
		Getenv: func(string) string { return "" },
		Now:    func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) },
	}
}

func testRoot(t *testing.T) *cobra.Command {
	t.Helper()
	root := newRootCmd(&app{Env: testEnv(io.Discard, io.Discard)}, []string{"--pki", t.TempDir()})
	root.DisableAutoGenTag = true
	return root
}

func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && !sub.Hidden {
			walk(sub, f)
		}
	}
}

// TestHelp holds every command to having what a newcomer reads.
func TestHelp(t *testing.T) {
	t.Parallel()
	walk(testRoot(t), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short %q should be there, without a full stop", c.CommandPath(), c.Short)
		}
		if c.Long == "" {
			t.Errorf("%s has no Long", c.CommandPath())
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len(line) > 80 {
				t.Errorf("%s: a line of its Long is %d wide: %s", c.CommandPath(), len(line), line)
			}
		}
		if c.Runnable() && c.Example == "" {
			t.Errorf("%s has no Example", c.CommandPath())
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if line != "" && !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: an example is not indented: %s", c.CommandPath(), line)
			}
		}
	})
}

// TestExamplesParse runs the flags and arguments of every example through the
// command they are about, so that no help text shows what cannot be typed.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	walk(testRoot(t), func(c *cobra.Command) {
		for _, line := range strings.Split(c.Example, "\n") {
			line = strings.TrimSpace(line)
			rest, ok := strings.CutPrefix(line, "mtlsctl ")
			if !ok {
				continue
			}
			rest, _, _ = strings.Cut(rest, " > ")
			rest, _, _ = strings.Cut(rest, " | ")
			args := shellWords(rest)
			root := testRoot(t)
			found, left, err := root.Find(args)
			if err == nil {
				err = found.ParseFlags(left)
			}
			if err == nil && found.Args != nil {
				err = found.Args(found, found.Flags().Args())
			}
			if err == nil {
				err = found.ValidateFlagGroups()
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// shellWords splits as a shell does, as far as the examples go: on spaces
// outside of quotes, with a folder for ~.
func shellWords(s string) []string {
	words := regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`).FindAllString(s, -1)
	for i, w := range words {
		words[i] = strings.NewReplacer(`'`, "", `"`, "").Replace(w)
		if rest, ok := strings.CutPrefix(words[i], "~/"); ok {
			words[i] = "/home/alice/" + rest
		}
	}
	return words
}

// TestGeneratedPages compares the command reference and the manual pages with
// what the commands say now; -update writes them.
func TestGeneratedPages(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	root := testRoot(t)
	date := time.Unix(0, 0).UTC()
	walk(root, func(c *cobra.Command) {
		c.DisableAutoGenTag = true
		base := strings.ReplaceAll(c.CommandPath(), " ", "-")
		var md, man bytes.Buffer
		link := func(name string) string { return strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "_", "-") + ".md" }
		if err := doc.GenMarkdownCustom(c, &md, link); err != nil {
			t.Fatal(err)
		}
		header := &doc.GenManHeader{Title: strings.ToUpper(base), Section: "1", Date: &date, Source: "mtlsctl", Manual: "mtlsctl manual"}
		if err := doc.GenMan(c, header, &man); err != nil {
			t.Fatal(err)
		}
		want[filepath.Join("..", "docs", "reference", base+".md")] = strings.TrimRight(md.String(), "\n") + "\n"
		want[filepath.Join("man", base+".1")] = strings.Replace(strings.TrimRight(man.String(), "\n"), `"Jan 1970"`, `""`, 1) + "\n"
	})
	have := map[string]string{}
	for _, glob := range []string{"man/*.1", "../docs/reference/*.md"} {
		files, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			have[f] = string(data)
		}
	}
	if *update {
		writePages(t, want, have)
		return
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("the generated pages are not what the commands say; `make docs` writes them anew (-want +have):\n%s", d)
	}
}

func writePages(t *testing.T, want, have map[string]string) {
	t.Helper()
	for f := range have {
		if _, ok := want[f]; !ok {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for f, text := range want {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a command in this process.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(context.Background(), args, testEnv(&out, &errs))
	return out.String(), errs.String(), code
}

// TestCommandAlone holds the command that is made alone to being the same that
// is made among all.
func TestCommandAlone(t *testing.T) {
	t.Parallel()
	all := testRoot(t)
	for _, c := range all.Commands() {
		args := []string{c.Name()}
		alone := newRootCmd(&app{Env: testEnv(io.Discard, io.Discard)}, args)
		if len(alone.Commands()) != 1 || alone.Commands()[0].Name() != c.Name() {
			t.Errorf("%v: not made alone, but %d commands", args, len(alone.Commands()))
			continue
		}
		for _, sub := range c.Commands() {
			if c.Name() != "issue" {
				break
			}
			args := []string{c.Name(), sub.Name()}
			alone := newRootCmd(&app{Env: testEnv(io.Discard, io.Discard)}, args).Commands()[0]
			if len(alone.Commands()) != 1 || alone.Commands()[0].UsageString() != sub.UsageString() {
				t.Errorf("%v: not made alone, or not the same", args)
			}
		}
	}
}
