package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel checks that every test and every script that the threat model
// names is there, and that no claim is without one.
func TestThreatModel(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOfModule(t)
	name := regexp.MustCompile("`(Test[A-Za-z0-9]+|[a-z0-9_]+\\.txtar)`")
	claims, wanted := 0, false
	for _, line := range strings.Split(string(page), "\n") {
		if !strings.HasPrefix(line, "|") {
			wanted = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		last := cells[len(cells)-1]
		if strings.TrimSpace(last) == "broken by" {
			wanted = true
			continue
		}
		names := name.FindAllStringSubmatch(last, -1)
		if !wanted || strings.HasPrefix(line, "|---") {
			continue
		}
		if claims++; len(names) == 0 {
			t.Errorf("nothing tries to break this: %s", line)
		}
		for _, n := range names {
			if strings.HasSuffix(n[1], ".txtar") {
				if _, err := os.Stat(filepath.Join("..", "testdata", "script", n[1])); err != nil {
					t.Error(err)
				}
			} else if !tests[n[1]] {
				t.Errorf("there is no %s", n[1])
			}
		}
	}
	if claims < 20 {
		t.Errorf("%d claims were found", claims)
	}
}

// testsOfModule returns the names of all tests.
func testsOfModule(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				tests[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
