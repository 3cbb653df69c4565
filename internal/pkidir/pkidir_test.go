package pkidir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

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
