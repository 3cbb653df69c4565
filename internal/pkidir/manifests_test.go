package pkidir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

func manifests(t *testing.T, d *Dir) (all []string) {
	t.Helper()
	must(t, d.Manifests(t.Context(), func(e *ledger.Entry, manifest json.RawMessage, hasKey bool) error {
		all = append(all, fmt.Sprintf("%s %s %v", e.Name, manifest, hasKey))
		return nil
	}))
	return all
}

func TestManifests(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	d := open(t, path)
	d.SetCommand("apply")
	if got := manifests(t, d); got != nil {
		t.Errorf("there is %v", got)
	}
	mustIssueAll(t, d, exactCA(t, "a/ca", "root"), exactCA(t, "a/offline", "a/ca"), exactOrder(t, "a/web", "a/ca"), exactOrder(t, "b/web", "a/ca"), exactOrder(t, "plain", "a/ca"))
	must(t, os.Remove(d.AuthorityKeyPath("a/offline")))
	web, err := d.ledger.Current(t.Context(), "b/web")
	must(t, err)
	must(t, d.keys.Delete(t.Context(), nil))
	must(t, d.deleteKeys(t.Context(), nil))
	keys, err := d.openKeys(t.Context(), true)
	must(t, err)
	der, err := keys.Get(t.Context(), keyID(web))
	if err != nil || len(der) == 0 {
		t.Fatal(err)
	}
	want := []string{`a/ca {"of":"a/ca"} true`, `a/offline {"of":"a/offline"} false`, `a/web {"of":"a/web"} true`, `b/web {"of":"b/web"} true`}
	for range 2 {
		if diff := cmp.Diff(want, manifests(t, open(t, path))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	must(t, d.AmendManifest(t.Context(), "a/web", json.RawMessage(`{"new":1}`)))
	if err := d.AmendManifests(t.Context(), []ledger.ManifestOf{{Name: "a/ca", Manifest: json.RawMessage(`{}`)}, {Name: "nobody"}}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("amended what is not there: %v", err)
	}
	must(t, d.Remove(t.Context(), []pki.Name{name(t, "b/web"), name(t, "a/offline"), name(t, "plain")}))
	check(t, path)
	if diff := cmp.Diff([]string{want[0], `a/web {"new":1} true`}, manifests(t, d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e, err := d.ledger.BySerial(t.Context(), web.Issuer, web.Serial)
	must(t, err)
	if e.Status(pkitest.Clock()) != ledger.Removed || !e.RemovedAt.Equal(pkitest.Clock()) {
		t.Errorf("it is %s since %s", e.Status(pkitest.Clock()), e.RemovedAt)
	}
	if err := d.Remove(t.Context(), []pki.Name{name(t, "a/web"), name(t, "b/web")}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := d.Bundle("b/web", nil); !errors.Is(err, ErrNoBundle) {
		t.Errorf("Bundle = %v", err)
	}
	mustIssueAll(t, d, exactOrder(t, "b/web", "a/ca")) // the name is free
	check(t, path)

	var log []string
	must(t, d.ledger.EachLog(t.Context(), ledger.LogFilter{}, func(l *ledger.LogEntry) error {
		log = append(log, fmt.Sprintf("%s %s %s", l.Command, l.Action, l.Name))
		return nil
	}))
	if diff := cmp.Diff([]string{
		" issue root", " issue issuing", "apply issue a/ca", "apply issue a/offline", "apply issue a/web", "apply issue b/web", "apply issue plain",
		"apply amend a/web", "apply remove b/web", "apply remove a/offline", "apply remove plain", "apply issue b/web",
	}, log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What others may read is not used.
func TestLooseKeys(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	mustIssueAll(t, open(t, path), exactCA(t, "a/ca", ""), exactOrder(t, "a/web", "a/ca"))
	must(t, os.Chmod(path+"/"+keysFile, 0o640))
	if _, err := open(t, path).Bundle("a/web", noPassphrase); !errors.Is(err, ErrLooseKeyMode) {
		t.Errorf("Bundle = %v", err)
	}
	if b, err := open(t, path).Bundle("a/web", nil); err != nil || b.Key != nil {
		t.Errorf("without its key: %v", err)
	}
	must(t, os.Remove(path+"/"+keysFile))
	if b, err := open(t, path).Bundle("a/web", noPassphrase); err != nil || b.Key != nil {
		t.Errorf("with its key elsewhere: %v", err)
	}
}

func TestIssuersAndExports(t *testing.T) {
	t.Parallel()
	d := open(t, emptyPath(t))
	ca := ledger.StoredIssuer{IssuerKey: ledger.IssuerKey{Kind: "Issuer", Namespace: "a", Name: "ca"}, Spec: json.RawMessage(`{}`)}
	must(t, d.PutIssuers(t.Context(), []ledger.StoredIssuer{ca}))
	x := ledger.Export{Path: "/x", Name: "a/web", Format: "secret", Options: json.RawMessage(`{}`), SHA256: "00"}
	must(t, d.PutExports(t.Context(), []ledger.Export{x}))
	l, err := d.Ledger(t.Context())
	must(t, err)
	issuers, err := l.Issuers(t.Context())
	must(t, err)
	if diff := cmp.Diff([]ledger.StoredIssuer{ca}, issuers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := l.ExportAt(t.Context(), "/x"); err != nil || !cmp.Equal(got, x) {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, d.DeleteIssuers(t.Context(), []ledger.IssuerKey{ca.IssuerKey}))
	must(t, d.DeleteExports(t.Context(), []string{"/x"}))
	if _, err := l.ExportAt(t.Context(), "/x"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("it is there: %v", err)
	}
}
