package pkidir

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/keystore"
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

// checkKept holds what has no folder to having its chain and its key.
func checkKept(t testing.TB, d *Dir, e *ledger.Entry, kept map[keystore.ID]bool) {
	t.Helper()
	b, err := d.Bundle(e.Name, noPassphrase)
	if err != nil {
		t.Errorf("%s: %v", e.Name, err)
		return
	}
	if e.Issuer != e.Name && !isSignedBy(append(slices.Clone(b.Chain), b.Roots...)[1], b.Leaf()) {
		t.Errorf("the chain of %s does not go on with its issuer", e.Name)
	}
	if serialOf(b.Leaf()) != e.Serial {
		t.Errorf("the bundle of %s is of another", e.Name)
	}
	if b.Key == nil {
		t.Errorf("%s has no key", e.Name)
	}
	kept[keystore.ID{Issuer: fold(e.Issuer), Serial: e.Serial}] = true
}

// check holds a PKI directory to having in its folders what the ledger says, and
// nothing else.
func check(t testing.TB, path string) {
	t.Helper()
	d := open(t, path)
	l, err := d.Ledger(t.Context())
	must(t, err)
	want, kept := map[string]bool{}, map[keystore.ID]bool{}
	var entries []*ledger.Entry
	must(t, l.Each(t.Context(), ledger.Filter{}, func(e *ledger.Entry) error { entries = append(entries, e); return nil }))
	for _, e := range entries {
		if isKept(e) {
			checkKept(t, d, e, kept)
			continue
		}
		want[targetOf(e)] = true
		if !d.holds(e) {
			t.Errorf("%s does not hold %s", targetOf(e), e.Serial)
		}
		b, err := d.Bundle(e.Name, noPassphrase)
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
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
	}
	for _, parent := range []string{authoritiesDir, certificatesDir, stagingDir} {
		found, err := os.ReadDir(d.Path(parent))
		must(t, err)
		for _, f := range found {
			if n := parent + "/" + f.Name(); !want[n] {
				t.Errorf("%s is there, and not by the ledger", n)
			}
		}
	}
	ids, err := d.keptIDs(t.Context())
	must(t, err)
	for id := range ids {
		if !kept[id] {
			t.Errorf("the key of %s by %s is there, and not by the ledger", id.Serial, id.Issuer)
		}
	}
	must(t, filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && (e.Name() == KeyFile || strings.HasPrefix(e.Name(), keysFile)) && info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
		if strings.HasPrefix(e.Name(), ".mtlsctl-") {
			t.Errorf("%s was left", file)
		}
		return err
	}))
}
