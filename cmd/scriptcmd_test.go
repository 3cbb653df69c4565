package cmd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
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
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
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

// cert FILE KEY=VALUE...
func cmdCert(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg, "cert FILE KEY=VALUE...")
	ts.Check(pkitest.CheckCertificate(reader(ts), args))
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

// ledger PKI
func cmdLedger(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 1, "ledger PKI")
	now, err := time.Parse(time.RFC3339, ts.Getenv(envNow))
	ts.Check(err)
	entries, err := readLedger(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		_, err := fmt.Fprintf(ts.Stdout(), "%s %s %s by %s %s %s\n", e.Name, e.Kind, e.Profile, e.Issuer, e.Status(now), e.Serial)
		ts.Check(err)
	}
}

// readLedger returns everything in the ledger of a PKI directory.
func readLedger(dir string) (all []*ledger.Entry, err error) {
	l, err := ledger.OpenReadOnly(context.Background(), filepath.Join(dir, "ledger.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	err = l.Each(context.Background(), ledger.Filter{All: true}, func(e *ledger.Entry) error {
		all = append(all, e)
		return nil
	})
	return all, err
}

// consistent PKI
func cmdConsistent(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 1, "consistent PKI")
	ts.Check(checkConsistent(ts.MkAbs(args[0])))
}

// checkConsistent holds a PKI directory to the promises: what is in a folder is
// in the ledger and the other way round, no serial is used twice, nothing is
// half-written, no key is loose.
func checkConsistent(dir string) error {
	entries, err := readLedger(dir)
	if err != nil {
		return err
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	expected, serials := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		if id := e.Issuer + " " + e.Serial; serials[id] {
			fail("the serial %s is in the ledger twice", id)
		} else {
			serials[id] = true
		}
		if !e.Current {
			continue
		}
		folder := map[string]string{ledger.KindAuthority: "authorities", ledger.KindCertificate: "certificates"}[e.Kind] + "/" + e.Name
		expected[folder] = true
		if err := checkFolder(filepath.Join(dir, folder), e); err != nil {
			fail("%s: %w", folder, err)
		}
	}
	for _, parent := range []string{"authorities", "certificates", ".staging"} {
		found, err := os.ReadDir(filepath.Join(dir, parent))
		if err != nil {
			return err
		}
		for _, f := range found {
			if name := parent + "/" + f.Name(); !expected[name] {
				fail("%s is there, and not by the ledger", name)
			}
		}
	}
	tree, err := fingerprint(dir)
	for path := range tree {
		if strings.HasPrefix(filepath.Base(path), ".mtlsctl-") {
			fail("%s was left behind", path)
		}
	}
	return errors.Join(append(errs, err)...)
}

// checkFolder checks the folder of a ledger entry.
func checkFolder(folder string, e *ledger.Entry) error {
	chain, err := os.ReadFile(filepath.Join(folder, "tls.crt"))
	if err != nil {
		return err
	}
	certs, err := pki.ParseCertificates(chain)
	if err != nil {
		return err
	}
	if !bytes.Equal(certs[0].Raw, e.DER) {
		return errors.New("tls.crt is not what the ledger has")
	}
	if _, err := os.Stat(filepath.Join(folder, "ca.crt")); err != nil {
		return err
	}
	file := filepath.Join(folder, "tls.key")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && pki.KeyIsEncrypted(data) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := pki.ParseKey(data, nil)
	if err != nil {
		return err
	}
	if !pki.SamePublicKey(key.Public(), certs[0].PublicKey) {
		return errors.New("tls.key is of another certificate")
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		return fmt.Errorf("tls.key has mode %v: %w", info.Mode(), err)
	}
	return nil
}

// nokey FILE KEYFILE...
func cmdNoKey(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 0, "nokey FILE KEYFILE...")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		ts.Fatalf("%s holds a private key in PEM", args[0])
	}
	for _, file := range args[1:] {
		keyPEM, err := reader(ts)(file)
		ts.Check(err)
		secrets, err := secretsOf(keyPEM)
		ts.Check(err)
		for _, s := range secrets {
			for what, form := range map[string]string{
				"raw": string(s), "hexadecimal": hex.EncodeToString(s),
				"base64": strings.TrimRight(base64.StdEncoding.EncodeToString(s), "="),
			} {
				if bytes.Contains(data, []byte(form)) {
					ts.Fatalf("%s holds the secret of %s, %s", args[0], file, what)
				}
			}
		}
	}
}

// secretsOf returns the bytes that give a private key away.
func secretsOf(keyPEM []byte) ([][]byte, error) {
	block, _ := pem.Decode(keyPEM)
	key, err := pki.ParseKey(keyPEM, nil)
	if err != nil {
		return nil, err
	}
	secrets := [][]byte{block.Bytes}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, d)
	case *rsa.PrivateKey:
		secrets = append(secrets, key.D.Bytes())
		for _, p := range key.Primes {
			secrets = append(secrets, p.Bytes())
		}
	case ed25519.PrivateKey:
		secrets = append(secrets, key.Seed())
	default:
		return nil, fmt.Errorf("a key of type %T", key)
	}
	return secrets, nil
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

// p12 FILE PASSWORDFILE [KEY=VALUE]...
func cmdP12(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) > 1, "p12 FILE PASSWORDFILE [KEY=VALUE]...")
	data, err := reader(ts)(args[0])
	ts.Check(err)
	password, err := reader(ts)(args[1])
	ts.Check(err)
	key, leaf, above, err := pkcs12.DecodeChain(data, strings.TrimRight(string(password), "\r\n"))
	ts.Check(err)
	info, err := export.InspectP12(data)
	ts.Check(err)
	for _, arg := range args[2:] {
		name, want, _ := strings.Cut(arg, "=")
		var is string
		switch name {
		case "count":
			is = strconv.Itoa(1 + len(above))
		case "cn":
			is = leaf.Subject.CommonName
		case "name":
			names := info.Names()
			slices.Sort(names)
			is = strings.Join(slices.Compact(names), ",")
		case "mac":
			is = info.MAC.String()
		case "keymatch":
			keyPEM, err := reader(ts)(want)
			ts.Check(err)
			other, err := pki.ParseKey(keyPEM, nil)
			ts.Check(err)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			ts.Check(err)
			otherDER, err := x509.MarshalPKCS8PrivateKey(other)
			ts.Check(err)
			if !bytes.Equal(der, otherDER) {
				ts.Fatalf("%s holds another key than %s", args[0], want)
			}
			continue
		default:
			ts.Fatalf("p12 knows no key %q", name)
		}
		if is != want {
			ts.Fatalf("%s of %s is %q, not %q", name, args[0], is, want)
		}
	}
}

// unfinish PKI NAME puts a certificate back to where a process that was killed
// right after the ledger had it would have left it.
func cmdUnfinish(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 2, "unfinish PKI NAME")
	dir := ts.MkAbs(args[0])
	entries, err := readLedger(dir)
	ts.Check(err)
	for _, e := range entries {
		if e.Name != args[1] || !e.Current {
			continue
		}
		parent := "certificates"
		if e.Kind == ledger.KindAuthority {
			parent = "authorities"
		}
		stage := filepath.Join(dir, ".staging", e.Serial+"."+e.Issuer)
		ts.Check(os.Rename(filepath.Join(dir, parent, e.Name), stage))
		ts.Check(os.Remove(filepath.Join(stage, "tls.crt")))
		ts.Check(os.Remove(filepath.Join(stage, "ca.crt")))
		return
	}
	ts.Fatalf("there is no %s in the ledger", args[1])
}

// userversion LEDGER N makes the ledger one of another format.
func cmdUserVersion(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, !neg && len(args) == 2, "userversion LEDGER N")
	n, err := strconv.ParseUint(args[1], 10, 32)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	// The user version is at offset 60 of an SQLite database, four bytes.
	_, err = f.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(n)), 60)
	ts.Check(errors.Join(err, f.Close()))
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
