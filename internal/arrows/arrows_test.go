// Package arrows holds the project to its layout: which room may import which,
// and which room alone may sign, read keys and write files.
//
// It reads the syntax of every Go file of the module, for every system and
// architecture, and compiles nothing, so it also holds what a build on one
// machine never sees.
package arrows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mtlsctl/mtlsctl"

// A room is what one package of the module may import of the others.
type room struct {
	imports string // rooms, separated by spaces
	pure    bool   // works in memory: imports none of the packages in impure
}

// rooms is the one place that holds the arrows. A package without a row fails
// the test, so a new room starts with a decision here. Test files may import
// internal/pkitest besides.
var rooms = map[string]room{
	"cmd/mtlsctl": {imports: "cmd"},
	"cmd": {imports: "export internal/plan internal/manifest internal/pkidir internal/ledger internal/easyrsa " +
		"internal/kubeadm internal/probe internal/trust internal/term internal/atomicfile pki profiles"},

	"export":   {imports: "pki profiles", pure: true},
	"pki":      {imports: "profiles", pure: true},
	"profiles": {pure: true},

	"internal/plan":     {imports: "internal/manifest pki profiles", pure: true},
	"internal/manifest": {imports: "pki profiles"},
	"internal/pkidir":   {imports: "internal/ledger internal/keystore internal/atomicfile pki profiles"},
	"internal/easyrsa":  {imports: "pki profiles", pure: true},
	"internal/kubeadm":  {imports: "pki profiles", pure: true},
	"internal/ledger":   {imports: "internal/sqlite pki profiles"},
	"internal/keystore": {imports: "internal/sqlite"},

	"internal/atomicfile": {},
	"internal/probe":      {},
	"internal/sqlite":     {},
	"internal/term":       {},
	"internal/trust":      {imports: "internal/atomicfile"},

	// For tests and make targets. No other room has these in its row.
	"internal/arrows":  {},
	"internal/bench":   {imports: "internal/ledger"},
	"internal/demo":    {},
	"internal/e2e":     {},
	"internal/pkitest": {imports: "pki profiles"},
}

// impure are the packages that a pure room does without.
const impure = "database/sql flag log log/slog net/http os os/exec path/filepath syscall"

// A guard keeps a package, or some functions of it, to the rooms that are named.
// Test files are free of guards.
type guard struct {
	pkg   string // import path; the packages below it are meant too
	funcs string // the functions that are guarded; empty: importing pkg at all
	rooms string // who may; empty: tests only
	why   string
}

var guards = []guard{
	// One signer.
	{"crypto/x509", "CreateCertificate CreateCertificateRequest CreateRevocationList", "pki", "only pki signs"},
	{"golang.org/x/crypto/ocsp", "CreateResponse", "pki", "only pki signs"},
	{"go.step.sm/crypto/x509util", "", "pki", "only pki signs"},

	// One key reader: pki parses, internal/pkidir opens. The demo stands in for a
	// program that is handed the files.
	{"crypto/x509", "ParseECPrivateKey ParsePKCS1PrivateKey ParsePKCS8PrivateKey", "pki internal/pkidir", "only internal/pkidir reads keys"},
	{"crypto/tls", "LoadX509KeyPair X509KeyPair", "pki internal/pkidir internal/demo", "only internal/pkidir reads keys"},
	{"go.step.sm/crypto/keyutil", "", "pki internal/pkidir", "only internal/pkidir reads keys"},
	{"go.step.sm/crypto/kms", "", "pki internal/pkidir", "only internal/pkidir reads keys"},
	{"go.step.sm/crypto/pemutil", "", "pki internal/pkidir", "only internal/pkidir reads keys"},

	// One writer. The bench makes files for other tools.
	{"os", "Create CreateTemp Link OpenFile Rename Symlink Truncate WriteFile", "internal/atomicfile internal/bench", "files are written through internal/atomicfile"},

	// One room for each dependency that could otherwise spread.
	{"database/sql", "", "internal/ledger internal/keystore internal/sqlite", "SQL stays in the ledger and the keys"},
	{"modernc.org/sqlite", "", "internal/sqlite", "databases are opened by internal/sqlite"},
	{"github.com/spf13/cobra", "", "cmd", "commands and flags stay in cmd"},
	{"github.com/spf13/pflag", "", "cmd", "commands and flags stay in cmd"},
	{"github.com/fatih/color", "", "internal/term", "colour stays in internal/term"},
	{"golang.org/x/term", "", "internal/term", "the terminal stays in internal/term"},
	{"software.sslmate.com/src/go-pkcs12", "", "export", "formats stay in export"},
	{"os/exec", "", "cmd internal/trust internal/pkitest internal/bench internal/demo", "programs are run where a person has asked for it"},
	{"github.com/smallstep/truststore", "", "internal/trust", "trust stores are changed by internal/trust"},
	{"github.com/zmap/zlint", "", "", "its init takes 8 ms of every start"},
	{"testing", "", "internal/pkitest", "it belongs in tests"},
}

func TestArrows(t *testing.T) {
	problems, files, err := check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	// A walk that finds nothing must not pass: this file and main are always there.
	if files < 2 {
		t.Fatalf("read %d Go files; is ../.. still the top of the module?", files)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

func TestTable(t *testing.T) {
	for name, r := range rooms {
		for _, to := range strings.Fields(r.imports) {
			if _, ok := rooms[to]; !ok {
				t.Errorf("the row of %s names %s, which has no row", name, to)
			}
			if reaches(to, name) {
				t.Errorf("%s and %s point at each other", name, to)
			}
		}
	}
	for _, g := range guards {
		for _, name := range strings.Fields(g.rooms) {
			if _, ok := rooms[name]; !ok {
				t.Errorf("the guard of %s names %s, which has no row", g.pkg, name)
			}
		}
	}
}

// reaches reports whether a path of arrows leads from one room to another.
func reaches(from, to string) bool {
	seen := map[string]bool{}
	var walk func(string) bool
	walk = func(name string) bool {
		if name == to {
			return true
		}
		if seen[name] {
			return false
		}
		seen[name] = true
		return slices.ContainsFunc(strings.Fields(rooms[name].imports), walk)
	}
	return walk(from)
}

// check reads every Go file below fsys and returns what breaks the tables
// above, with the number of files it read.
func check(fsys fs.FS) (problems []string, files int, err error) {
	fset := token.NewFileSet()
	found := map[string]bool{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// What the go command passes over, too.
			if base := d.Name(); name != "." && (base == "testdata" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		for _, p := range checkFile(fset, path.Dir(name), file) {
			found[p] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(found)), files, err
}

// checkFile returns what one file of a room does that its row or a guard forbids.
func checkFile(fset *token.FileSet, name string, file *ast.File) (problems []string) {
	report := func(at ast.Node, format string, args ...any) {
		problems = append(problems, fset.Position(at.Pos()).String()+": "+fmt.Sprintf(format, args...))
	}
	row, ok := rooms[name]
	if !ok {
		report(file.Name, "package %s has no row in internal/arrows: decide what it may import", name)
		return problems
	}
	isTest := strings.HasSuffix(fset.Position(file.Pos()).Filename, "_test.go")

	packages := map[string]string{} // name in this file -> import path
	for _, spec := range file.Imports {
		pkg, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			report(spec, "import path %s: %v", spec.Path.Value, err)
			continue
		}
		if to, ours := strings.CutPrefix(pkg, module+"/"); ours {
			if to != name && !contains(row.imports, to) && !(isTest && to == "internal/pkitest") {
				report(spec, "%s may not import %s", name, to)
			}
			continue
		}
		if isTest {
			continue
		}
		if row.pure && contains(impure, pkg) {
			report(spec, "%s works in memory and may not import %s", name, pkg)
		}
		for _, g := range guards {
			if g.funcs == "" && within(pkg, g.pkg) && !contains(g.rooms, name) {
				report(spec, "%s may not import %s: %s", name, pkg, g.why)
			}
		}
		local := path.Base(pkg)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "." {
			report(spec, "%s is imported with a dot, which hides what is called", pkg)
		}
		packages[local] = pkg
	}

	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, g := range guards {
			if packages[id.Name] == g.pkg && contains(g.funcs, sel.Sel.Name) && !contains(g.rooms, name) {
				report(sel, "%s may not use %s.%s: %s", name, g.pkg, sel.Sel.Name, g.why)
			}
		}
		return true
	})
	return problems
}

func contains(list, word string) bool {
	return slices.Contains(strings.Fields(list), word)
}

// within reports whether pkg is parent or a package below it.
func within(pkg, parent string) bool {
	return pkg == parent || strings.HasPrefix(pkg, parent+"/")
}
