package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// A guarded is a program that demands client certificates, set up with what was
// exported for it.
type guarded struct {
	consumer string // as in `--for`
	// start starts it with the lines of configuration that were printed.
	start func(t *testing.T, config string) *process
	// client is who the clients' certificates are exported for; empty: they are
	// used as they were issued.
	client string
	noRoot bool // it takes no authority alone, for who has no certificate
	call   func(t *testing.T, c caller) output
	answer string // what a client says when it was let in
	// What is said of those who are refused, by the client or in the program's log.
	// A program that takes no CRLs says nothing of the revoked.
	nobody, stranger, revoked string
	// What a client that has CRLs says of the program when that is revoked; empty:
	// it takes none.
	itself string
}

// A caller is a client of a guarded program.
type caller struct {
	name  string // the common name of its certificate
	at    folder // its certificate; empty: it has none
	lines string // what was printed for it
}

// newGuarded makes a certificate for localhost, and the clients: alice and bob,
// under two intermediates, which is more than some programs allow for, and an alice
// of another CA.
func newGuarded(t *testing.T, profile string, programs ...string) *shell {
	t.Helper()
	s := newShell(t, programs...)
	for _, line := range []string{
		"init-ca --root-only --org Acme",
		"init-ca division --parent root --path-len 1",
		"init-ca team --parent division",
		"issue " + profile + " web localhost 127.0.0.1 --ca team",
		"issue client alice --ca team",
		"issue client bob --ca team",
		"crl root",
		"crl division",
		"crl team",
		"--pki pki-other init-ca --org Acme",
		"--pki pki-other issue client alice",
	} {
		s.ok(t, "mtlsctl "+line)
	}
	return s
}

// guard exports for a program, and looks whom it lets in: before bob is revoked,
// and after, with the CRLs in what is exported again to the same places.
func (s *shell) guard(t *testing.T, g *guarded) {
	t.Helper()
	alice, bob := caller{"alice", issued("alice"), ""}, caller{"bob", issued("bob"), ""}
	nobody, stranger := caller{"alice", "", ""}, caller{"alice", "pki-other/certificates/alice", ""}
	export := func(flags ...string) {
		t.Helper()
		if g.client != "" {
			alice.lines = s.exportFor(t, "alice", g.client, "for clients/alice", flags...)
			bob.lines = s.exportFor(t, "bob", g.client, "for clients/bob", flags...)
			if !g.noRoot {
				nobody.lines = s.exportFor(t, "team", g.client, "for clients/nobody", flags...)
			}
		}
	}
	look := func(p *process, c caller, who, why string) {
		t.Helper()
		mark := len(p.log())
		out := g.call(t, c)
		in := strings.Contains(out.all(), g.answer)
		switch {
		case why == "" && (!in || out.code != 0):
			t.Errorf("%s is not let in\n%v", who, out)
		case why != "" && in:
			t.Errorf("%s is let in\n%v", who, out)
		case why != "" && !strings.Contains(out.all(), why):
			p.mustLog(t, mark, why)
		}
	}
	export()
	if g.client != "" {
		stranger.lines = s.exportFor(t, "alice", g.client, "for clients/stranger", "--pki", "pki-other")
		s.trustOurs(t, "for clients/stranger", "for clients/alice")
	}
	p := g.start(t, s.exportFor(t, "web", g.consumer, "for it"))
	look(p, alice, "alice", "")
	look(p, bob, "bob", "")
	look(p, nobody, "who has no certificate", g.nobody)
	look(p, stranger, "alice of another CA", g.stranger)
	if g.revoked == "" {
		return
	}

	s.ok(t, "mtlsctl revoke bob --reason keyCompromise")
	p.stop()
	p = g.start(t, s.exportFor(t, "web", g.consumer, "for it", "--crl", "--force"))
	look(p, alice, "alice, after bob was revoked,", "")
	look(p, bob, "bob, who is revoked,", g.revoked)
	look(p, nobody, "who has no certificate", g.nobody)
	look(p, stranger, "alice of another CA", g.stranger)
	if g.itself == "" {
		return
	}

	export("--crl", "--force")
	look(p, alice, "alice, who has CRLs,", "")
	look(p, nobody, "who has CRLs and no certificate", g.nobody)
	s.ok(t, "mtlsctl revoke web --reason keyCompromise")
	export("--crl", "--force")
	look(p, alice, "alice, who knows that the server is revoked,", g.itself)
}

// trustOurs puts the root of one folder into the place of the other's, so that a
// client of another CA gets as far as being refused.
func (s *shell) trustOurs(t *testing.T, folder, ours string) {
	t.Helper()
	entries, err := os.ReadDir(s.path(ours))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		if data := s.read(t, ours, e.Name()); bytes.Equal(data, s.read(t, ca)) {
			s.write(t, folder+"/"+e.Name(), data)
			found = true
		}
	}
	if !found {
		t.Fatalf("no root in %s", ours)
	}
}

// typed runs lines that were printed for a shell, with the server's address in the
// place of HOST.
func (s *shell) typed(t *testing.T, lines, host, stdin string) output {
	t.Helper()
	if !strings.Contains(lines, "HOST") {
		t.Fatalf("no HOST in\n%s", lines)
	}
	return s.feed(t, stdin, "sh -c", strings.ReplaceAll(lines, "HOST", host))
}

// having is a shell with more variables.
func (s *shell) having(env ...string) *shell { return &shell{s.dir, slices.Concat(s.env, env)} }

// exportFor exports a certificate for a program, and returns the lines of its
// configuration as a person copies them: those under "For PROGRAM:", without what
// they are moved to the right by. With --json they are the same.
func (s *shell) exportFor(t *testing.T, name, consumer, at string, flags ...string) string {
	t.Helper()
	line := "mtlsctl export " + name + " --for " + consumer
	flags = append([]string{"--out", at}, flags...)
	out := s.ok(t, line, flags...)
	var config strings.Builder
	inside := false
	for line := range strings.Lines(out.stderr) {
		if rest, ok := strings.CutPrefix(line, "  "); inside && ok {
			config.WriteString(rest)
			continue
		}
		inside = strings.HasPrefix(line, "For ") && strings.HasSuffix(line, ":\n")
	}
	var j struct {
		Config string `json:"config"`
	}
	again := s.ok(t, line+" --json --force", flags...)
	if err := json.Unmarshal([]byte(again.stdout), &j); err != nil || j.Config == "" || j.Config != config.String() {
		t.Fatalf("with --json the lines are others, or there are none: %v\n%v\n%v", err, out, again)
	}
	return j.Config
}

// demoted begins the command line of a server that refuses to run as root: as root,
// it is run by a user who owns nothing but what [shell.give] gives.
func (s *shell) demoted(t *testing.T, program string) string {
	t.Helper()
	program = pkitest.Program(t, program)
	if os.Getuid() != 0 {
		return program + " "
	}
	// The folder of a test is its own user's.
	if err := os.Chmod(filepath.Dir(s.dir), 0o711); err != nil {
		t.Fatal(err)
	}
	s.give(t, "tmp")
	user := strconv.Itoa(demotedUser)
	return "setpriv --reuid=" + user + " --regid=" + user + " --clear-groups --pdeathsig keep -- " + program + " "
}

// demotedUser is nobody.
const demotedUser = 65534

// give gives a folder, and all in it, to the user of demoted servers.
func (s *shell) give(t *testing.T, elem ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := filepath.WalkDir(s.path(elem...), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, demotedUser, demotedUser)
	}); err != nil {
		t.Fatal(err)
	}
}

// with names the files of a client on a command line, each behind what the program
// calls it; the empty folder has none.
func (f folder) with(cert, key string) string {
	if f == "" {
		return ""
	}
	return cert + f.crt() + key + f.key() + " "
}

// greets reports whether a server at an address proves to be the one
// that the client trusts.
func greets(address string, client *tls.Config) bool {
	conn, err := tls.Dial("tcp4", address, client)
	return err == nil && conn.Close() == nil
}

// listening reports whether somebody listens at an address.
func listening(address string) bool {
	conn, err := net.Dial("tcp4", address)
	return err == nil && conn.Close() == nil
}

// hostPort splits an address.
func hostPort(t *testing.T, address string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// listenAt has a program listen at a free address or port in place of the one that is
// its own in the lines that were printed.
func listenAt(t *testing.T, config, from, to string) string {
	t.Helper()
	if strings.Count(config, from) != 1 {
		t.Fatalf("not once %q in\n%s", from, config)
	}
	return strings.Replace(config, from, to, 1)
}
