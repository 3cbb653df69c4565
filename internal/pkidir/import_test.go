package pkidir

import (
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

func TestImportAuthority(t *testing.T) {
	t.Parallel()
	foreignPath := newPath(t)
	foreign := open(t, foreignPath)
	root, err := foreign.Bundle("root", noPassphrase)
	must(t, err)
	mid, err := foreign.Bundle("issuing", noPassphrase)
	must(t, err)

	path := emptyPath(t)
	d := open(t, path)
	ca := name(t, "prod/ca")
	// First without its root, and without its key.
	got, err := d.ImportAuthority(t.Context(), ca, mid.Chain, nil, ImportOptions{})
	must(t, err)
	if e := got.Entry; e.Kind != ledger.KindAuthority || e.Profile != ProfileIntermediate || e.Issuer != "prod/ca" || got.Path != d.Path("authorities", "prod~ca") {
		t.Errorf("%+v", e)
	}
	if a, err := d.Authority("prod/ca", noPassphrase); err != nil || a.CanSign() {
		t.Errorf("Authority = %v", err)
	}
	// Then with its key, twice.
	for range 2 {
		again, err := d.ImportAuthority(t.Context(), ca, mid.Chain, mid.Key, ImportOptions{})
		if err != nil || again.Entry.Serial != got.Entry.Serial {
			t.Errorf("again: %v", err)
		}
	}
	mustIssueAll(t, d, exactOrder(t, "prod/web", "prod/ca"))
	check(t, path)
	if _, err := d.Revoke(t.Context(), []Revocation{{Entry: &got.Entry}}, CRLOptions{Passphrase: noPassphrase, Validity: day}); !errors.Is(err, ErrNoIssuer) {
		t.Errorf("what somebody else signed was revoked: %v", err)
	}

	// A root, encrypted; then what it signed finds it.
	rootName := name(t, "prod/root")
	got, err = d.ImportAuthority(t.Context(), rootName, root.Chain, root.Key, ImportOptions{Secret: []byte("a long secret"), Manifest: []byte(`{}`)})
	must(t, err)
	if got.Entry.Profile != ProfileRoot || got.Entry.Issuer != "prod/root" {
		t.Errorf("%+v", got.Entry)
	}
	key, err := os.ReadFile(d.AuthorityKeyPath("prod/root"))
	if err != nil || !pki.KeyIsEncrypted(key) {
		t.Errorf("the key is not encrypted: %v", err)
	}
	second, err := d.ImportAuthority(t.Context(), name(t, "prod/ca2"), mid.Chain, mid.Key, ImportOptions{})
	must(t, err)
	if second.Entry.Issuer != "prod/root" || !second.Bundle.Roots[0].Equal(root.Leaf()) || len(second.Bundle.Chain) != 1 {
		t.Errorf("its issuer is %q, its root %v", second.Entry.Issuer, second.Bundle.Roots[0].Subject)
	}
	// The same certificate under a third name: one issuer has a serial once.
	third, err := d.ImportAuthority(t.Context(), name(t, "prod/ca3"), mid.Chain, nil, ImportOptions{})
	if err != nil || third.Entry.Issuer != "prod/ca3" {
		t.Errorf("%+v, %v", third.Entry, err)
	}

	// Gone, and back.
	must(t, d.Remove(t.Context(), []pki.Name{rootName}))
	_, err = d.ImportAuthority(t.Context(), rootName, root.Chain, root.Key, ImportOptions{})
	must(t, err)
	if a, err := d.Authority("prod/root", noPassphrase); err != nil || !a.CanSign() {
		t.Errorf("it did not come back: %v", err)
	}

	for what, tt := range map[string]struct {
		chain []*x509.Certificate
		of    *pki.Bundle
		name  string
		want  error
	}{
		"another's key":  {mid.Chain, root, "x", pki.ErrKeyMismatch},
		"no authority":   {issue(t, foreign, false, serverOrder(t, "a.example.com"))[0].Bundle.Chain, nil, "x", pki.ErrNotCA},
		"a name taken":   {mid.Chain, nil, "prod/root", ledger.ErrExists},
		"by another one": {mid.Chain, nil, "prod/web", ledger.ErrExists},
	} {
		o := tt.of
		if o == nil {
			o = &pki.Bundle{}
		}
		if _, err := d.ImportAuthority(t.Context(), name(t, tt.name), tt.chain, o.Key, ImportOptions{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// An authority from elsewhere has its chain from nowhere else: it is finished
// with what was staged.
func TestRecoverImport(t *testing.T) {
	t.Parallel()
	foreign := open(t, newPath(t))
	mid, err := foreign.Bundle("issuing", noPassphrase)
	must(t, err)
	path := emptyPath(t)
	d := open(t, path)
	e := ledger.Entry{Name: "prod/ca", Kind: ledger.KindAuthority, Profile: ProfileIntermediate, Issuer: "prod/ca"}
	must(t, complete(&e, mid.Leaf(), record{}, pkitest.Clock()))
	it := item{entry: e, chain: mid.Chain, roots: mid.Roots, known: true}
	it.key, err = mid.KeyPEM()
	must(t, err)
	unlock, err := d.lock(t.Context())
	must(t, err)
	stageAndRecord(t, d, &it)
	must(t, unlock())
	must(t, d.Close())
	next := open(t, path)
	must(t, next.Finish(t.Context()))
	b, err := next.Bundle("prod/ca", noPassphrase)
	must(t, err)
	if diff := cmp.Diff(string(mid.ChainPEM())+string(mid.RootsPEM()), string(b.ChainPEM())+string(b.RootsPEM())); diff != "" || b.Key == nil {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Names that are too long for a file name have a folder all the same, and one of
// their own.
func TestLongNames(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	d := open(t, path)
	ns := strings.Repeat("n", 63)
	long, other := ns+"/"+strings.Repeat("a", 253), ns+"/"+strings.Repeat("a", 252)+"b"
	leaf := ns + "/" + strings.Repeat("c", 253)
	o := exactOrder(t, "x/leaf", other)
	o.Name = name(t, leaf)
	ca1, ca2 := exactCA(t, "x/a", ""), exactCA(t, "x/b", long)
	ca1.Name, ca2.Name = name(t, long), name(t, other)
	mustIssueAll(t, d, ca1, ca2, o)
	check(t, path)
	names, err := d.AuthorityNames()
	must(t, err)
	if len(names) != 2 || !d.IsAuthority(long) || !d.IsAuthority(other) || names[0]+names[1] != long+other && names[0]+names[1] != other+long {
		t.Errorf("%v", names)
	}
	// A stage of what such an authority signed, and its CRL, find it again.
	plain := exactOrder(t, "plain", other)
	it := signed(t, d, plain)
	unlock, err := d.lock(t.Context())
	must(t, err)
	stageAndRecord(t, d, &it)
	must(t, os.WriteFile(d.Path(stageOfCRL(other)), []byte("garbage"), 0o600))
	must(t, unlock())
	must(t, d.Close())
	next := open(t, path)
	must(t, next.Finish(t.Context()))
	check(t, path)
	if _, err := next.Bundle("plain", noPassphrase); err != nil {
		t.Error(err)
	}
}
