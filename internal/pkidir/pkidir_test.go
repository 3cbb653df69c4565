package pkidir

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func noPassphrase() ([]byte, error) { return nil, pki.ErrPassphrase }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func name(t testing.TB, s string) pki.Name {
	t.Helper()
	n, err := pki.ParseName(s)
	must(t, err)
	return n
}

func authorityOrder(t testing.TB, called, parent string) AuthorityOrder {
	t.Helper()
	r := pki.CARequest{Subject: pki.Subject{CommonName: called + " CA"}, PathLen: pki.NoPathLen}
	if parent != "" {
		r.PathLen = 0
	}
	return AuthorityOrder{Name: name(t, called), Parent: parent, Request: r}
}

func serverOrder(t testing.TB, called string) Order {
	t.Helper()
	return Order{
		Name: name(t, called), Profile: profiles.Server(),
		Request: pki.Request{Subject: pki.Subject{CommonName: called}, SANs: pkitest.SANs(t, called)},
	}
}

// newPath makes a PKI directory with a root and an authority "issuing".
func newPath(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pki")
	_, err := CreateAuthorities(t.Context(), path, pkitest.Clock, []AuthorityOrder{
		authorityOrder(t, "root", ""), authorityOrder(t, "issuing", "root"),
	}, AuthorityOptions{Passphrase: noPassphrase, Default: "issuing"})
	must(t, err)
	return path
}

func open(t testing.TB, path string) *Dir {
	t.Helper()
	d, err := Open(path, pkitest.Clock)
	must(t, err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func issue(t testing.TB, d *Dir, replace bool, orders ...Order) []Issued {
	t.Helper()
	issued, err := d.Issue(t.Context(), orders, IssueOptions{Passphrase: noPassphrase, Replace: replace})
	must(t, err)
	return issued
}

// check holds a PKI directory to having in its folders what the ledger says, and
// nothing else.
func check(t testing.TB, path string) {
	t.Helper()
	d := open(t, path)
	l, err := d.Ledger(t.Context())
	must(t, err)
	want := map[string]bool{}
	must(t, l.Each(t.Context(), ledger.Filter{}, func(e *ledger.Entry) error {
		want[targetOf(e)] = true
		if !d.holds(e) {
			t.Errorf("%s does not hold %s", targetOf(e), e.Serial)
		}
		b, err := d.Bundle(e.Name, noPassphrase)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			return nil
		}
		if e.Issuer != e.Name {
			a, err := d.Authority(e.Issuer, nil)
			must(t, err)
			if diff := cmp.Diff(pki.MarshalCertificates(a.ChainFor(b.Leaf())), b.ChainPEM()); diff != "" {
				t.Errorf("the chain of %s (-want +got):\n%s", e.Name, diff)
			}
			if !b.Roots[0].Equal(a.Root()) {
				t.Errorf("the root of %s is another", e.Name)
			}
		}
		return nil
	}))
	for _, parent := range []string{authoritiesDir, certificatesDir, stagingDir} {
		found, err := os.ReadDir(d.Path(parent))
		must(t, err)
		for _, f := range found {
			if n := parent + "/" + f.Name(); !want[n] {
				t.Errorf("%s is there, and not by the ledger", n)
			}
		}
	}
	must(t, filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && e.Name() == KeyFile && info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
		if strings.HasPrefix(e.Name(), ".mtlsctl-") {
			t.Errorf("%s was left", file)
		}
		return err
	}))
}

func TestIssueBatch(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	var orders []Order
	for i := range 40 {
		orders = append(orders, serverOrder(t, fmt.Sprintf("a%d.example.com", i)))
	}
	issued := issue(t, d, false, orders...)
	serials := map[string]bool{}
	for i, c := range issued {
		serials[c.Entry.Serial] = true
		if c.Entry.Name != orders[i].Name.String() || c.Bundle.Leaf().Subject.CommonName != c.Entry.Name || !c.Entry.IssuedAt.Equal(pkitest.Clock()) {
			t.Errorf("%d is %s for %s", i, c.Entry.Name, c.Bundle.Leaf().Subject)
		}
	}
	if len(serials) != len(orders) {
		t.Errorf("%d serials for %d certificates", len(serials), len(orders))
	}
	check(t, path)

	// One that is wrong, whatever is wrong with it: none is issued.
	for what, bad := range map[string]Order{
		"a name that is taken": orders[7],
		"a policy":             {Name: name(t, "bad"), Profile: profiles.Server(), Request: pki.Request{Subject: pki.Subject{CommonName: "bad"}}},
		"an encoding":          {Name: name(t, "bad"), Profile: profiles.Client(), Encoding: pki.PKCS1, Request: pki.Request{Subject: pki.Subject{CommonName: "bad"}}},
	} {
		batch := []Order{serverOrder(t, "new1.example.com"), bad, serverOrder(t, "new2.example.com")}
		if got, err := d.Issue(t.Context(), batch, IssueOptions{Passphrase: noPassphrase}); got != nil || err == nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
		if names, err := d.BundleNames(); err != nil || len(names) != len(orders) {
			t.Errorf("%s: %d certificates, %v", what, len(names), err)
		}
	}
	// The same name twice in a batch.
	if _, err := d.Issue(t.Context(), []Order{serverOrder(t, "twice.example.com"), serverOrder(t, "TWICE.example.com")}, IssueOptions{Passphrase: noPassphrase}); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("one name twice: %v", err)
	}
	check(t, path)
}

func TestIssueAtOnce(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			d, err := Open(path, pkitest.Clock)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}()
			if _, err := d.Issue(context.Background(), []Order{serverOrder(t, fmt.Sprintf("own%d.example.com", i))}, IssueOptions{Passphrase: noPassphrase}); err != nil {
				t.Error(err)
			}
			_, err = d.Issue(context.Background(), []Order{serverOrder(t, "shared.example.com")}, IssueOptions{Passphrase: noPassphrase})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, ledger.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
	check(t, path)
}

func TestReplace(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	first := issue(t, d, false, serverOrder(t, "a.example.com"))[0]
	if _, err := d.Issue(t.Context(), []Order{serverOrder(t, "a.example.com")}, IssueOptions{Passphrase: noPassphrase}); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("a second one: %v", err)
	}
	second := issue(t, d, true, serverOrder(t, "a.example.com"))[0]
	if second.Entry.Serial == first.Entry.Serial {
		t.Error("one serial for two")
	}
	b, err := d.Bundle("a.example.com", noPassphrase)
	must(t, err)
	if serialOf(b.Leaf()) != second.Entry.Serial {
		t.Error("the folder holds the old one")
	}
	// Authorities are never replaced by a certificate.
	order := serverOrder(t, "issuing")
	_, err = d.Issue(t.Context(), []Order{order}, IssueOptions{Passphrase: noPassphrase, Replace: true})
	if e, ok := errors.AsType[*ledger.ExistsError](err); !ok || e.Kind != ledger.KindAuthority {
		t.Errorf("in place of an authority: %v", err)
	}
	// What mtlsctl did not write is in the way until it may be replaced.
	must(t, os.MkdirAll(d.Path(certificatesDir, "stray.example.com", "sub"), 0o700))
	if _, err := d.Issue(t.Context(), []Order{serverOrder(t, "stray.example.com")}, IssueOptions{Passphrase: noPassphrase}); !errors.Is(err, ErrInTheWay) {
		t.Errorf("over a stray folder: %v", err)
	}
	issue(t, d, true, serverOrder(t, "stray.example.com"))
	check(t, path)
}

// Without the empty folders, which git does not keep, everything goes on.
func TestWithoutEmptyFolders(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for _, sub := range []string{certificatesDir, profilesDir, stagingDir} {
		must(t, os.Remove(filepath.Join(path, sub)))
	}
	d := open(t, path)
	if names, err := d.BundleNames(); err != nil || len(names) != 0 {
		t.Errorf("BundleNames = %v, %v", names, err)
	}
	must(t, d.Finish(t.Context()))
	issue(t, d, false, serverOrder(t, "a.example.com"))
	check(t, path)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	issue(t, d, false, serverOrder(t, "a.example.com"))
	key := d.AuthorityKeyPath("issuing")
	good, err := os.ReadFile(key)
	must(t, err)
	sign := func() error {
		_, err := d.Issue(context.Background(), []Order{serverOrder(t, "b.example.com")}, IssueOptions{Passphrase: noPassphrase})
		return err
	}

	for _, mode := range []fs.FileMode{0o640, 0o604, 0o660, 0o644, 0o777} {
		must(t, os.Chmod(key, mode))
		if err := sign(); !errors.Is(err, ErrLooseKeyMode) && runtime.GOOS != "windows" {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	must(t, os.Chmod(key, 0o600))

	write := func(data []byte) { t.Helper(); must(t, os.WriteFile(key, data, 0o600)) }
	write([]byte("no key"))
	if err := sign(); !errors.Is(err, ErrBadKey) {
		t.Errorf("no key: %v", err)
	}
	other, err := os.ReadFile(d.AuthorityKeyPath("root"))
	must(t, err)
	write(other)
	if err := sign(); !errors.Is(err, pki.ErrKeyMismatch) {
		t.Errorf("another's key: %v", err)
	}
	must(t, os.Remove(key))
	err = sign()
	if e, ok := errors.AsType[*KeyMissingError](err); !ok || e.Authority != "issuing" || e.Path != key || !errors.Is(err, pki.ErrNoKey) {
		t.Errorf("no key there: %v", err)
	}

	// What needs no key does without.
	if a, err := d.Authority("issuing", noPassphrase); err != nil || a.CanSign() {
		t.Errorf("an authority without its key: %v", err)
	}
	if b, err := d.Bundle("issuing", noPassphrase); err != nil || b.Key != nil {
		t.Errorf("a bundle without its key: %v", err)
	}
	if drafts, err := d.Prepare("", []Order{serverOrder(t, "b.example.com")}); err != nil || len(drafts) != 1 {
		t.Errorf("a draft: %v", err)
	}

	// A passphrase whose file is not there is not a key that is not there.
	signer, err := pki.ParseKey(good, nil)
	must(t, err)
	encrypted, err := pki.MarshalKey(signer, pki.PKCS8, []byte("secret"))
	must(t, err)
	write(encrypted)
	for what, tt := range map[string]struct {
		passphrase Passphrase
		want       error
	}{
		"none":    {noPassphrase, pki.ErrPassphrase},
		"wrong":   {func() ([]byte, error) { return []byte("wrong"), nil }, pki.ErrPassphrase},
		"missing": {func() ([]byte, error) { return nil, fs.ErrNotExist }, fs.ErrNotExist},
		"right":   {func() ([]byte, error) { return []byte("secret"), nil }, nil},
	} {
		_, err := d.Issue(t.Context(), []Order{serverOrder(t, "c.example.com")}, IssueOptions{Passphrase: tt.passphrase})
		if !errors.Is(err, tt.want) || errors.Is(err, pki.ErrNoKey) {
			t.Errorf("passphrase %s: %v, want %v", what, err, tt.want)
		}
	}

	// A certificate's own key is the user's to share; another's is refused.
	own := d.Path(certificatesDir, "a.example.com", KeyFile)
	must(t, os.Chmod(own, 0o644))
	if b, err := d.Bundle("a.example.com", noPassphrase); err != nil || b.Key == nil {
		t.Errorf("a shared key: %v", err)
	}
	must(t, os.WriteFile(own, other, 0o600))
	if _, err := d.Bundle("a.example.com", noPassphrase); !errors.Is(err, pki.ErrKeyMismatch) {
		t.Errorf("another's key in a bundle: %v", err)
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	d := open(t, newPath(t))
	for _, n := range []string{"nobody", "../authorities/root", "a/b", "..", "-x", strings.Repeat("a", 300)} {
		if a, err := d.Authority(n, nil); a != nil || !errors.Is(err, ErrNoAuthority) {
			t.Errorf("Authority(%q) = %v, %v", n, a, err)
		}
		if b, err := d.Bundle(n, nil); b != nil || !errors.Is(err, ErrNoBundle) {
			t.Errorf("Bundle(%q) = %v, %v", n, b, err)
		}
		if d.IsAuthority(n) {
			t.Errorf("IsAuthority(%q)", n)
		}
	}
	if a, err := d.Authority("", nil); err != nil || a.Certificate().Subject.CommonName != "issuing CA" {
		t.Errorf("the default authority: %v", err)
	}
}

// A folder that a link leads to outside is not read.
func TestLinksOut(t *testing.T) {
	t.Parallel()
	path, other := newPath(t), newPath(t)
	if err := os.Symlink(filepath.Join(other, authoritiesDir, "root"), filepath.Join(path, authoritiesDir, "linked")); err != nil {
		t.Skip(err)
	}
	d := open(t, path)
	if a, err := d.Authority("linked", noPassphrase); err == nil {
		t.Errorf("Authority followed a link to %v", a.Certificate().Subject)
	}
	if _, err := d.Bundle("linked", noPassphrase); err == nil {
		t.Error("Bundle followed a link")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	file := filepath.Join(path, settingsFile)
	mine := "# mine\nversion: 1\ndefault:   issuing # for now\n\nauthorities:\n    Issuing: {crl: [http://a.example/i.crl]}   # there\n"
	must(t, os.WriteFile(file, []byte(mine), 0o644))
	add := func(o AuthorityOptions, orders ...AuthorityOrder) error {
		o.Passphrase = noPassphrase
		_, err := CreateAuthorities(context.Background(), path, pkitest.Clock, orders, o)
		return err
	}

	// What nobody changes keeps its layout.
	must(t, add(AuthorityOptions{}, authorityOrder(t, "plain", "")))
	if got, err := os.ReadFile(file); err != nil || string(got) != mine {
		t.Errorf("the settings changed to\n%s", got)
	}

	// What is changed keeps its comments.
	urls := authorityOrder(t, "mesh", "root")
	urls.URLs = pki.URLs{CRL: []string{"http://a.example/m.crl"}, OCSP: []string{"http://ocsp.example"}}
	must(t, add(AuthorityOptions{Default: "mesh"}, urls))
	got, err := os.ReadFile(file)
	must(t, err)
	for _, want := range []string{"# mine\n", "default: mesh # for now\n", "Issuing:", "# there\n", "mesh:\n", "- http://a.example/m.crl\n", "- http://ocsp.example\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	d := open(t, path)
	if diff := cmp.Diff(urls.URLs, d.urls("MESH")); diff != "" || d.DefaultAuthority() != "mesh" {
		t.Errorf("default %s (-want +got):\n%s", d.DefaultAuthority(), diff)
	}
	if diff := cmp.Diff([]string{"http://a.example/i.crl"}, d.urls("issuing").CRL); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// An authority that does not come to be leaves no trace in them.
	loser := authorityOrder(t, "mesh", "")
	loser.URLs = pki.URLs{CRL: []string{"http://b.example/other.crl"}}
	if err := add(AuthorityOptions{Default: "mesh"}, loser); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("a second mesh: %v", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, got) {
		t.Errorf("the settings changed to\n%s", after)
	}
	check(t, path)
}

func TestSettingsErrors(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for text, want := range map[string]struct {
		cause error
		text  string
	}{
		"version: 2\nanything: else\n": {ledger.ErrNewer, "mtlsctl.yaml has version 2, and this program knows 1: made by a newer version of mtlsctl"},
		"version: 1\nlogo: cat\n":      {ErrSettings, "the settings cannot be used: mtlsctl.yaml: line 2: field logo is unknown"},
		"version: 1\nauthorities: {a: {cdp: [x]}}\n": {
			ErrSettings, "the settings cannot be used: mtlsctl.yaml: line 2: field cdp is unknown below an authority",
		},
		"default: issuing\n": {ErrSettings, "the settings cannot be used: mtlsctl.yaml: it has no version; this program writes 1"},
		"version: [\n":       {ErrSettings, "the settings cannot be used: mtlsctl.yaml: line 1: did not find expected node content"},
		"":                   {ErrSettings, "the settings cannot be used: mtlsctl.yaml: it has no version; this program writes 1"},
	} {
		must(t, os.WriteFile(filepath.Join(path, settingsFile), []byte(text), 0o644))
		d, err := Open(path, pkitest.Clock)
		if d != nil || !errors.Is(err, want.cause) || err.Error() != path+": "+want.text {
			t.Errorf("%q: %v\ngot  %v\nwant %s: %s", text, d != nil, err, path, want.text)
		}
	}
}

// Of several processes that make one directory, one wins, and the others find
// what it made.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	for _, prepare := range map[string]func(path string) error{
		"nothing": func(string) error { return nil },
		"empty":   func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(t.TempDir(), "pki")
		must(t, prepare(path))
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 6 {
			wg.Go(func() {
				_, err := CreateAuthorities(context.Background(), path, pkitest.Clock, []AuthorityOrder{
					authorityOrder(t, "root", ""), authorityOrder(t, "issuing", "root"),
				}, AuthorityOptions{Passphrase: noPassphrase})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case !errors.Is(err, ledger.ErrExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d won", won)
		}
		d := open(t, path)
		if d.DefaultAuthority() != "issuing" {
			t.Errorf("the default is %q", d.DefaultAuthority())
		}
		check(t, path)
		left, err := os.ReadDir(filepath.Dir(path))
		must(t, err)
		if len(left) != 1 {
			t.Errorf("beside it is %v", left)
		}
	}
}

// A call that fails before anything is on record leaves nothing.
func TestCreateFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for what, ctx := range map[string]context.Context{"canceled": canceled, "no parent": t.Context()} {
		orders := []AuthorityOrder{authorityOrder(t, "root", "")}
		if what == "no parent" {
			orders = []AuthorityOrder{authorityOrder(t, "sub", "nobody")}
		}
		if _, err := CreateAuthorities(ctx, filepath.Join(dir, "a", "b", "pki"), pkitest.Clock, orders, AuthorityOptions{Passphrase: noPassphrase}); err == nil {
			t.Errorf("%s: no error", what)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left is %v, %v", what, left, err)
		}
	}
}

// Who waits for the lock can be told to stop.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	first, second := open(t, path), open(t, path)
	unlock, err := first.lock(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() {
		_, err := second.Issue(ctx, []Order{serverOrder(t, "a.example.com")}, IssueOptions{Passphrase: noPassphrase})
		waited <- err
	}()
	select {
	case err := <-waited:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("it was told to stop: %v", err)
	}
	must(t, unlock())
	issue(t, open(t, path), false, serverOrder(t, "a.example.com"))
	check(t, path)
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for _, file := range []string{"robot.yaml", "b.yaml", "notes.txt", "not a name.yaml", ".hidden.yaml", "robot.yml"} {
		must(t, os.WriteFile(filepath.Join(path, profilesDir, file), []byte(file), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(path, profilesDir, "folder.yaml"), 0o700))
	if diff := cmp.Diff([]string{"b", "robot"}, Profiles(path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	data, file, err := ReadProfile(path, "robot")
	if err != nil || string(data) != "robot.yaml" || file != filepath.Join(path, profilesDir, "robot.yaml") {
		t.Errorf("ReadProfile = %q, %q, %v", data, file, err)
	}
	if Profiles(filepath.Join(path, "nowhere")) != nil {
		t.Error("a directory that is not there has profiles")
	}
}

// Somebody else's key is not there, and is not missed.
func TestPublicKeyOnly(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	pub, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	order := serverOrder(t, "a.example.com")
	order.Request.PublicKey = pub
	issued := issue(t, d, false, order)[0]
	if issued.Bundle.Key != nil {
		t.Error("there is a key")
	}
	b, err := d.Bundle("a.example.com", noPassphrase)
	if err != nil || b.Key != nil {
		t.Errorf("Bundle = %v", err)
	}
	if _, err := os.Stat(d.Path(certificatesDir, "a.example.com", KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file: %v", err)
	}
	check(t, path)
}
