package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/sqlite"
)

func logged(t *testing.T, l *Ledger) (all []string) {
	t.Helper()
	if err := l.EachLog(t.Context(), LogFilter{}, func(e *LogEntry) error {
		all = append(all, fmt.Sprintf("%d %s %s %s %s %s %s", e.At.Unix()-start.Unix(), e.Command, e.Action, e.Name, e.Issuer, e.Serial, e.Detail))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever changes is in the log, by whom and when; what failed is not.
func TestLog(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	l.SetActor(Actor{Command: "issue", Now: func() time.Time { return start.Add(time.Second) }})
	record(t, l, false, entry("a", "issuing", "01"), entry("b", "issuing", "02"))
	if err := l.Record(t.Context(), []Entry{entry("c", "issuing", "03"), entry("a", "issuing", "04")}, false); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	l.SetActor(Actor{Command: "apply", Now: func() time.Time { return start }})
	a, b := entry("a", "issuing", "01"), entry("b", "issuing", "02")
	for _, err := range []error{
		l.Amend(t.Context(), []ManifestOf{{Name: "A", Manifest: json.RawMessage(`{}`)}}),
		l.Publish(t.Context(), []Change{{Issuer: "issuing", Serial: "01", At: start, Reason: 6}}, []CRL{{Issuer: "issuing", Number: 1, ThisUpdate: start, NextUpdate: start}}),
		l.Publish(t.Context(), []Change{{Issuer: "issuing", Serial: "01"}}, nil),
		l.Remove(t.Context(), []Entry{a}),
		l.Restore(t.Context(), &a, false),
		l.Abandon(t.Context(), &b, ""),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{
		"1 issue issue a issuing 01 ", "1 issue issue b issuing 02 ",
		"0 apply amend A issuing 01 ", "0 apply revoke a issuing 01 6", "0 apply crl issuing   1", "0 apply unrevoke a issuing 01 ",
		"0 apply remove a issuing 01 ", "0 apply import a issuing 01 ", "0 apply abandon b issuing 02 ",
	}, logged(t, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, q := range []string{"DELETE FROM log", "UPDATE log SET name = 'x'"} {
		if _, err := l.db.ExecContext(t.Context(), q); err == nil {
			t.Errorf("%s went through", q)
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	record(t, l, false, entry("a", "issuing", "01"), entry("b", "issuing", "02"))
	a, b := entry("a", "issuing", "01"), entry("b", "issuing", "02")
	if err := l.Remove(t.Context(), []Entry{a, entry("nobody", "issuing", "09")}); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed what is not there: %v", err)
	}
	if diff := cmp.Diff([]string{"a 01", "b 02"}, names(all(t, l, Filter{}))); diff != "" {
		t.Errorf("removed in part (-want +got):\n%s", diff)
	}
	l.SetActor(Actor{Now: func() time.Time { return start }})
	if err := l.Remove(t.Context(), []Entry{a, b}); err != nil {
		t.Fatal(err)
	}
	e, err := l.BySerial(t.Context(), "issuing", "01")
	if err != nil || e.Current || !e.RemovedAt.Equal(start) || e.Status(start) != Removed {
		t.Errorf("%+v, %v", e, err)
	}
	record(t, l, false, entry("a", "issuing", "03")) // the name is free
	if err := l.Restore(t.Context(), &a, false); !errors.Is(err, ErrExists) {
		t.Errorf("restored over another: %v", err)
	}
	a.Manifest = json.RawMessage(`{"x":1}`)
	if err := l.Restore(t.Context(), &a, true); err != nil {
		t.Fatal(err)
	}
	if e, err := l.Current(t.Context(), "a"); err != nil || e.Serial != "01" || !e.RemovedAt.IsZero() || string(e.Manifest) != `{"x":1}` {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestManifestsAndNames(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	ca, web, plain := entry("prod/ca", "prod/ca", "01"), entry("prod/web", "prod/ca", "02"), entry("web", "prod/ca", "03")
	ca.Kind, web.Manifest = KindAuthority, json.RawMessage(`{"spec":{}}`)
	record(t, l, false, ca, web, plain)
	got := all(t, l, Filter{Namespaced: true})
	if diff := cmp.Diff([]Entry{ca, web}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for kind, want := range map[string][]string{KindAuthority: {"prod/ca"}, KindCertificate: {"prod/web", "web"}} {
		var names []string
		if err := l.Names(t.Context(), kind, func(n string) error { names = append(names, n); return nil }); err != nil {
			t.Fatal(err)
		}
		var filtered []string
		for _, e := range all(t, l, Filter{Kind: kind}) {
			filtered = append(filtered, e.Name)
		}
		if !cmp.Equal(want, names) || !cmp.Equal(want, filtered) {
			t.Errorf("%s: %v, %v, not %v", kind, names, filtered, want)
		}
	}
	holders, err := l.Holders(t.Context(), []string{"PROD/web", "nobody", "web"})
	if diff := cmp.Diff([]Holder{{"prod/web", KindCertificate, "prod/ca", "02"}, {}, {"web", KindCertificate, "prod/ca", "03"}}, holders); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	l, _ := create(t)
	ctx := t.Context()
	issuer := func(kind, ns, name, spec string) StoredIssuer {
		return StoredIssuer{IssuerKey{kind, ns, name}, json.RawMessage(spec)}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.PutIssuers(ctx, []StoredIssuer{issuer("Issuer", "b", "ca", `{"a":1}`), issuer("Issuer", "a", "ca", `{}`), issuer("ClusterIssuer", "", "ca", `{}`)}))
	must(l.PutIssuers(ctx, []StoredIssuer{issuer("Issuer", "b", "ca", `{"a":2}`)}))
	must(l.DeleteIssuers(ctx, []IssuerKey{{"Issuer", "a", "ca"}, {"Issuer", "c", "ca"}}))
	issuers, err := l.Issuers(ctx)
	must(err)
	if diff := cmp.Diff([]StoredIssuer{issuer("ClusterIssuer", "", "ca", `{}`), issuer("Issuer", "b", "ca", `{"a":2}`)}, issuers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	x := Export{Path: "/x", Name: "a", Format: "secret", Options: json.RawMessage(`{"o":1}`), SHA256: "aa"}
	y := Export{Path: "/y", Name: "b", Format: "pem", SHA256: "bb"}
	must(l.PutExports(ctx, []Export{y, x}))
	x.SHA256, y.Options = "cc", json.RawMessage(`{}`)
	must(l.PutExports(ctx, []Export{x}))
	for name, want := range map[string][]Export{"": {x, y}, "A": {x}, "c": nil} {
		got, err := l.Exports(ctx, name)
		must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
	if e, err := l.ExportAt(ctx, "/y"); err != nil || e.Name != "b" {
		t.Errorf("ExportAt = %+v, %v", e, err)
	}
	must(l.DeleteExports(ctx, []string{"/y"}))
	if _, err := l.ExportAt(ctx, "/y"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ExportAt = %v", err)
	}
}

// What a ledger of the first version holds is there after it was brought up to
// date.
func TestFirstVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, _, err := schema().OpenAsIs(t.Context(), path, sqlite.MakeIt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), migrations[0]+`; PRAGMA user_version = 1;
		INSERT INTO certificates (name, kind, profile, issuer, serial, subject, sans, not_before, not_after, issued_at, request, der, current)
		VALUES ('a', 'certificate', 'server', 'issuing', '01', 'CN=a', '["DNS a"]', 1, 2, 3, '{}', x'30', 1)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want := Entry{
		Name: "a", Kind: KindCertificate, Profile: "server", Issuer: "issuing", Serial: "01", Subject: "CN=a", SANs: []string{"DNS a"},
		NotBefore: fromUnix(1), NotAfter: fromUnix(2), IssuedAt: fromUnix(3), Request: json.RawMessage(`{}`), DER: []byte{0x30}, Current: true,
	}
	if diff := cmp.Diff([]Entry{want}, all(t, l, Filter{All: true})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	record(t, l, true, entry("a", "issuing", "02"))
	if got := logged(t, l); len(got) != 1 {
		t.Errorf("the log is %v", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
