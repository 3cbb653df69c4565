package cmd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

func stateOf(ts *testscript.TestScript) *state {
	s, ok := ts.Value(stateKey{}).(*state)
	if !ok {
		ts.Fatalf("the script was not set up")
	}
	return s
}

// wants ends the script if a command has the wrong number of arguments, or a
// negation that it cannot have.
func wants(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func reader(ts *testscript.TestScript) func(string) ([]byte, error) {
	return func(file string) ([]byte, error) {
		switch file {
		case "stdout", "stderr":
			return []byte(ts.ReadFile(file)), nil
		}
		return os.ReadFile(ts.MkAbs(file))
	}
}

// mode MODE FILE...
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 1, "mode MODE FILE...")
	if runtime.GOOS == "windows" {
		return
	}
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, file := range args[1:] {
		info, err := os.Lstat(ts.MkAbs(file))
		ts.Check(err)
		if got := info.Mode().Perm(); got != fs.FileMode(want) {
			ts.Fatalf("%s has mode %04o, not %04o", file, got, want)
		}
	}
}

// exitcode N
func cmdExitcode(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 1, "exitcode N")
	got, err := os.ReadFile(ts.Getenv(envExit))
	if errors.Is(err, fs.ErrNotExist) {
		ts.Fatalf("mtlsctl was not run, or did not end by itself: did it panic?")
	}
	ts.Check(err)
	if string(got) != args[0] {
		ts.Fatalf("the exit status is %s, not %s", got, args[0])
	}
}

// needs PROGRAM...
func cmdNeeds(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 0, "needs PROGRAM...")
	for _, program := range args {
		if _, ok := pkitest.LookProgram(program); ok {
			continue
		}
		if os.Getenv("CI") == "true" {
			ts.Fatalf("the program %s is missing, and CI must have it: see .ci/run", program)
		}
		stateOf(ts).t.Skip(fmt.Sprintf("the program %s is missing", program))
	}
}

// snapshot DIR NAME
func cmdSnapshot(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 2, "snapshot DIR NAME")
	tree, err := fingerprint(ts.MkAbs(args[0]))
	ts.Check(err)
	stateOf(ts).snapshots[args[1]] = tree
}

// [!] unchanged DIR NAME
func cmdUnchanged(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, len(args) == 2, "[!] unchanged DIR NAME")
	before, ok := stateOf(ts).snapshots[args[1]]
	if !ok {
		ts.Fatalf("there is no snapshot %s", args[1])
	}
	after, err := fingerprint(ts.MkAbs(args[0]))
	ts.Check(err)
	changes := difference(before, after)
	switch {
	case neg && len(changes) == 0:
		ts.Fatalf("%s is unchanged", args[0])
	case !neg && len(changes) > 0:
		ts.Fatalf("%s changed:\n  %s", args[0], strings.Join(changes, "\n  "))
	}
}

// fingerprint returns what stands at each path of a tree: type, mode, and the
// target or the hash of what it holds. A tree that is not there has nothing.
func fingerprint(dir string) (map[string]string, error) {
	tree := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Name() == ".tmp" { // testscript's own
			return fs.SkipDir
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		is := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			is += " -> " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is += fmt.Sprintf(" %d bytes %x", len(data), sha256.Sum256(data))
		}
		tree[rel] = is
		return nil
	})
	return tree, err
}

// difference says how a tree differs from what it was.
func difference(before, after map[string]string) (changes []string) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		was, had := before[path]
		is, has := after[path]
		switch {
		case !had:
			changes = append(changes, path+" is new")
		case !has:
			changes = append(changes, path+" is gone")
		case was != is:
			changes = append(changes, fmt.Sprintf("%s was %s and is %s", path, was, is))
		}
	}
	return changes
}

// json FILE [PATH=VALUE | PATH:KEY,KEY...]...
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 0, "json FILE [PATH=VALUE | PATH:KEY,KEY...]...")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	var doc any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	ts.Check(d.Decode(&doc))
	if d.More() {
		ts.Fatalf("%s holds more than one JSON value", args[0])
	}
	for _, arg := range args[1:] {
		i := strings.IndexAny(arg, "=:")
		if i < 0 {
			ts.Fatalf("%q is neither PATH=VALUE nor PATH:KEY,KEY", arg)
		}
		path, want := arg[:i], arg[i+1:]
		found, err := lookup(doc, path)
		ts.Check(err)
		var is string
		switch v := found.(type) {
		case map[string]any:
			is = strings.Join(slices.Sorted(maps.Keys(v)), ",")
		case []any:
			is = strconv.Itoa(len(v))
		case nil:
			is = "null"
		default:
			is = fmt.Sprint(v)
		}
		if _, object := found.(map[string]any); object != (arg[i] == ':') {
			ts.Fatalf("%s of %s: = is for a value, : for the fields of an object; it is %s", path, args[0], is)
		}
		if is != want {
			ts.Fatalf("%s of %s is %s, not %s", path, args[0], is, want)
		}
	}
}

// lookup follows a path such as "sans.0.kind"; the empty path is the whole.
// What is not there is nil.
func lookup(v any, path string) (any, error) {
	if path == "" {
		return v, nil
	}
	step, rest, _ := strings.Cut(path, ".")
	switch c := v.(type) {
	case map[string]any:
		return lookup(c[step], rest)
	case []any:
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(c) {
			return nil, fmt.Errorf("there is no %s in a list of %d", step, len(c))
		}
		return lookup(c[i], rest)
	}
	return nil, fmt.Errorf("there is no %s in %v", step, v)
}

// hasTTY reports whether this system gives a pseudo-terminal to ttyin.
func hasTTY() bool {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return false
	}
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}
