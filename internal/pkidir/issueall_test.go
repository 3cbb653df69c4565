package pkidir

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

const day = 24 * time.Hour

// exactOrder asks for a certificate as a manifest does.
func exactOrder(t testing.TB, called, by string) Order {
	t.Helper()
	_, dns, _ := strings.Cut(called, "/")
	san, err := pki.MarshalSAN(pki.ExactNames{DNS: []string{dns + ".example.com"}})
	must(t, err)
	return Order{Name: name(t, called), Authority: by, Manifest: json.RawMessage(`{"of":"` + called + `"}`), Exact: &pki.ExactRequest{
		SAN: san, KeyUsage: x509.KeyUsageDigitalSignature, Duration: 90 * day, Key: profiles.ECP256,
	}}
}

// exactCA asks for an authority; one that nobody is to sign signs itself.
func exactCA(t testing.TB, called, by string) Order {
	t.Helper()
	o := exactOrder(t, called, by)
	subject, err := asn1.Marshal(pkix.Name{CommonName: called}.ToRDNSequence())
	must(t, err)
	o.Exact.Subject, o.Exact.SAN, o.Exact.CA, o.SelfSigned = subject, nil, true, by == ""
	o.Exact.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return o
}

func replacing(orders ...Order) []Order {
	for i := range orders {
		orders[i].Replace = true
	}
	return orders
}

func issueAll(t testing.TB, d *Dir, orders ...Order) (all []Issued, err error) {
	t.Helper()
	err = d.IssueAll(t.Context(), slices.Values(orders), IssueAllOptions{Passphrase: noPassphrase}, func(i []Issued) error {
		all = append(all, i...)
		return nil
	})
	return all, err
}

func mustIssueAll(t testing.TB, d *Dir, orders ...Order) []Issued {
	t.Helper()
	all, err := issueAll(t, d, orders...)
	must(t, err)
	return all
}

// emptyPath makes a PKI directory without authorities.
func emptyPath(t testing.TB) string {
	t.Helper()
	path := t.TempDir() + "/sub/pki"
	for range 2 {
		must(t, Create(t.Context(), path, pkitest.Clock))
	}
	return path
}

// A hierarchy from nothing: each signs what comes after it, and what they sign is
// what was asked for.
func TestIssueAll(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	d := open(t, path)
	alone := exactOrder(t, "prod/alone", "")
	alone.SelfSigned = true
	orders := []Order{
		exactCA(t, "prod/root", ""), exactCA(t, "prod/ca", "prod/root"), exactOrder(t, "prod/web", "prod/ca"), alone,
		exactOrder(t, "prod/top", "prod/root"), exactOrder(t, "test/web", "prod/ca"),
	}
	all := mustIssueAll(t, d, orders...)
	check(t, path)
	for i, c := range all {
		e, err := d.ledger.Current(t.Context(), orders[i].Name.String())
		must(t, err)
		if diff := cmp.Diff(*e, c.Entry); diff != "" {
			t.Errorf("the ledger has (-it +handed over):\n%s", diff)
		}
		b, err := d.Bundle(e.Name, noPassphrase)
		must(t, err)
		if diff := cmp.Diff(string(c.Bundle.ChainPEM())+string(c.Bundle.RootsPEM()), string(b.ChainPEM())+string(b.RootsPEM())); diff != "" {
			t.Errorf("the bundle of %s (-handed over +kept):\n%s", e.Name, diff)
		}
		if !pki.SamePublicKey(b.Key.Public(), c.Bundle.Key.Public()) {
			t.Errorf("the key of %s is another", e.Name)
		}
	}
	var got []string
	must(t, d.ledger.Each(t.Context(), ledger.Filter{}, func(e *ledger.Entry) error {
		got = append(got, fmt.Sprintf("%s %s %s by %s", e.Kind, e.Name, e.Profile, e.Issuer))
		return nil
	}))
	if diff := cmp.Diff([]string{
		"authority prod/root root by prod/root", "authority prod/ca intermediate by prod/root", "certificate prod/web manifest by prod/ca",
		"certificate prod/alone manifest by prod/alone", "certificate prod/top manifest by prod/root", "certificate test/web manifest by prod/ca",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	names, err := d.AuthorityNames()
	must(t, err)
	if diff := cmp.Diff([]string{"prod/ca", "prod/root"}, names); diff != "" || d.DefaultAuthority() != "" {
		t.Errorf("default %q (-want +got):\n%s", d.DefaultAuthority(), diff)
	}
	bundles, err := d.BundleNames()
	must(t, err)
	if diff := cmp.Diff([]string{"prod/alone", "prod/top", "prod/web", "test/web"}, bundles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if folder, there := d.FolderOf(&all[2].Entry); there || folder != d.Path(keysFile) || all[2].Path != "" {
		t.Errorf("FolderOf = %s, %v", folder, there)
	}
	if folder, there := d.FolderOf(&all[1].Entry); !there || folder != d.Path("authorities", "prod~ca") || all[1].Path != folder {
		t.Errorf("FolderOf = %s, %v", folder, there)
	}
	// They are as any other.
	l, err := d.Ledger(t.Context())
	must(t, err)
	web, err := l.Current(t.Context(), "prod/web")
	must(t, err)
	_, err = d.Revoke(t.Context(), []Revocation{{Entry: web, Reason: pki.KeyCompromise}}, CRLOptions{Passphrase: noPassphrase, Validity: day})
	must(t, err)
	if _, err := d.CRLs(t.Context(), "prod/ca", false); err != nil {
		t.Error(err)
	}
	_, err = d.Revoke(t.Context(), []Revocation{{Entry: &all[3].Entry}}, CRLOptions{Passphrase: noPassphrase, Validity: day})
	if !errors.Is(err, ErrNoIssuer) {
		t.Errorf("what signed itself was revoked: %v", err)
	}
}

// What is wrong with one order is its own, and that of those that it was to sign.
func TestIssueAllErrors(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	d := open(t, path)
	mustIssueAll(t, d, exactCA(t, "a/ca", ""), exactOrder(t, "a/taken", "a/ca"), exactCA(t, "a/revoked", "a/ca"))
	e, err := d.ledger.Current(t.Context(), "a/revoked")
	must(t, err)
	_, err = d.Revoke(t.Context(), []Revocation{{Entry: e}}, CRLOptions{Passphrase: noPassphrase, Validity: day})
	must(t, err)
	expired := exactCA(t, "a/bad", "a/ca")
	expired.Exact.Duration = -day
	all, err := issueAll(t, d,
		exactOrder(t, "a/one", "a/ca"), exactOrder(t, "a/taken", "a/ca"), expired, exactOrder(t, "a/under", "a/bad"),
		exactCA(t, "a/taken", "a/ca"), exactOrder(t, "a/below", "a/taken"), exactOrder(t, "a/lost", "a/nobody"),
		exactOrder(t, "a/by-revoked", "a/revoked"), exactOrder(t, "a/two", "a/ca"), exactOrder(t, "A/TWO", "a/ca"),
	)
	lifetime := errors.New("a lifetime")
	want := map[string]error{
		"a/taken": ledger.ErrExists, "a/bad": lifetime, "a/under": lifetime, "a/below": ledger.ErrExists,
		"a/lost": ErrNoAuthority, "a/by-revoked": ErrRevokedAuthority, "A/TWO": ledger.ErrExists,
	}
	for _, i := range all {
		got := i.Err
		if _, ok := errors.AsType[*pki.LifetimeError](i.Err); ok {
			got = lifetime
		}
		if cause := want[i.Entry.Name]; !errors.Is(got, cause) {
			t.Errorf("%s: %v, want %v", i.Entry.Name, i.Err, cause)
		}
	}
	o, ok := errors.AsType[*OrdersError](err)
	if !ok || o.Failed != 8 || o.Issued != 2 || o.Name != "a/taken" || !errors.Is(err, ledger.ErrExists) || len(all) != 10 {
		t.Errorf("%d came, IssueAll = %v", len(all), err)
	}
	check(t, path)

	// What stops everything says what stays.
	stop := errors.New("stop")
	err = d.IssueAll(t.Context(), slices.Values([]Order{exactOrder(t, "b/one", "a/ca")}), IssueAllOptions{Passphrase: noPassphrase}, func([]Issued) error { return stop })
	if s, ok := errors.AsType[*StoppedError](err); !ok || s.Issued != 1 || !errors.Is(err, stop) {
		t.Errorf("IssueAll = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err = d.IssueAll(ctx, func(yield func(Order) bool) {
		for i := 0; yield(exactOrder(t, fmt.Sprintf("c/%d", i), "a/ca")); i++ {
		}
	}, IssueAllOptions{Passphrase: noPassphrase}, func(i []Issued) error { n += len(i); cancel(); return nil })
	if s, ok := errors.AsType[*StoppedError](err); !ok || s.Issued != n || n != batchSize || !errors.Is(err, context.Canceled) {
		t.Errorf("%d came, IssueAll = %v", n, err)
	}
	check(t, path)
}

// More than one batch, and others who want their turn; everything is replaced,
// and no key is left of what was.
func TestIssueAllBatches(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	mustIssueAll(t, open(t, path), exactCA(t, "a/ca", ""))
	sizes := map[string]int{"one": 2000, "two": 300}
	var wg sync.WaitGroup
	for ns, each := range sizes {
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
			var orders []Order
			for i := range each {
				orders = append(orders, exactOrder(t, fmt.Sprintf("%s/%d", ns, i), "a/ca"))
			}
			orders = append(orders, exactOrder(t, "shared/x", "a/ca"))
			n := 0
			err = d.IssueAll(context.Background(), slices.Values(orders), IssueAllOptions{Passphrase: noPassphrase}, func(issued []Issued) error {
				for _, i := range issued {
					if want := orders[n].Name.String(); i.Entry.Name != want {
						t.Errorf("%s: %d is %s, not %s", ns, n, i.Entry.Name, want)
					}
					n++
				}
				return nil
			})
			if err != nil && !errors.Is(err, ledger.ErrExists) || n != each+1 {
				t.Errorf("%d came, %v", n, err)
			}
		})
	}
	wg.Wait()
	d := open(t, path)
	l, err := d.Ledger(t.Context())
	must(t, err)
	n := 0
	must(t, l.Each(t.Context(), ledger.Filter{Namespaced: true}, func(*ledger.Entry) error { n++; return nil }))
	if n != 2000+300+2 {
		t.Errorf("%d are on record", n)
	}
	var again []Order
	for i := range 20 {
		again = append(again, exactOrder(t, fmt.Sprintf("one/%d", i), "a/ca"))
	}
	mustIssueAll(t, d, replacing(again...)...)
	check(t, path)
}

// An authority whose key changed leaves the chains of what it had signed as they
// are; certificates and authorities may take each other's names.
func TestIssueAllReplace(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	d := open(t, path)
	old := mustIssueAll(t, d, exactCA(t, "a/root", ""), exactCA(t, "a/ca", "a/root"), exactOrder(t, "a/web", "a/ca"), exactOrder(t, "a/turns", "a/ca"), exactCA(t, "a/back", "a/ca"))
	mustIssueAll(t, d, replacing(exactCA(t, "a/root", ""), exactCA(t, "a/ca", "a/root"))...)
	b, err := d.Bundle("a/web", noPassphrase)
	must(t, err)
	if diff := cmp.Diff(old[2].Bundle.ChainPEM(), b.ChainPEM()); diff != "" || !b.Roots[0].Equal(old[0].Bundle.Leaf()) {
		t.Errorf("the chain of what the former authority had signed:\n%s", diff)
	}
	mustIssueAll(t, d, replacing(exactCA(t, "a/turns", "a/ca"), exactOrder(t, "a/back", "a/ca"), exactOrder(t, "a/new", "a/turns"))...)
	check(t, path)
	if !d.IsAuthority("a/turns") || d.IsAuthority("a/back") {
		t.Error("the names did not turn")
	}
	// A name without a namespace is never taken by the other kind.
	mustIssueAll(t, d, exactCA(t, "plain", ""))
	if _, err := issueAll(t, d, replacing(exactOrder(t, "plain", "a/ca"))...); !errors.Is(err, ledger.ErrExists) {
		t.Errorf("a certificate took the name of an authority: %v", err)
	}
}

func TestKeepKey(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	d := open(t, path)
	keep := func(o Order, key profiles.KeyType) Order {
		o.KeepKey, o.Replace, o.Exact.Key = true, true, key
		return o
	}
	mustIssueAll(t, d, exactCA(t, "a/ca", ""))
	for _, o := range []Order{exactOrder(t, "a/web", "a/ca"), exactCA(t, "a/sub", "a/ca"), exactOrder(t, "folder", "a/ca")} {
		first := mustIssueAll(t, d, keep(o, profiles.ECP256))[0]
		o.Exact = &pki.ExactRequest{SAN: o.Exact.SAN, Subject: o.Exact.Subject, CA: o.Exact.CA, KeyUsage: o.Exact.KeyUsage, Duration: 30 * day}
		second := mustIssueAll(t, d, keep(o, profiles.ECP256))[0]
		if first.Entry.Serial == second.Entry.Serial || !pki.SamePublicKey(first.Bundle.Key.Public(), second.Bundle.Key.Public()) {
			t.Errorf("%s has another key", o.Name)
		}
		check(t, path)
		_, err := issueAll(t, d, keep(o, profiles.ECP384))
		if e, ok := errors.AsType[*KeyTypeError](err); !ok || e.Has != profiles.ECP256 || e.Asks != profiles.ECP384 {
			t.Errorf("a key of another type: %v", err)
		}
	}
}

// What was asked for can be asked for again; a key that somebody else holds is
// certified again.
func TestRenewExact(t *testing.T) {
	t.Parallel()
	path := emptyPath(t)
	d := open(t, path)
	mine, theirs, alone := exactOrder(t, "a/mine", "a/ca"), exactOrder(t, "a/theirs", "a/ca"), exactOrder(t, "a/alone", "")
	alone.SelfSigned, mine.Encoding = true, pki.SEC1
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	theirs.Exact.PublicKey, theirs.Exact.Key = rsaKey.Public(), ""
	mustIssueAll(t, d, exactCA(t, "a/ca", ""), mine, theirs, alone)
	for _, reuse := range []bool{false, true} {
		for _, n := range []string{"a/mine", "a/theirs", "a/alone"} {
			e, err := d.ledger.Current(t.Context(), n)
			must(t, err)
			before, err := x509.ParseCertificate(e.DER)
			must(t, err)
			o, err := d.Renewal(e, nil, reuse)
			must(t, err)
			got := issue(t, d, true, o)[0]
			after := got.Bundle.Leaf()
			if got.Entry.Serial == e.Serial || got.Entry.Issuer != e.Issuer || string(got.Entry.Manifest) != string(e.Manifest) ||
				pki.SamePublicKey(before.PublicKey, after.PublicKey) != (reuse || n == "a/theirs") || !slices.Equal(before.DNSNames, after.DNSNames) {
				t.Errorf("%s with reuse %v became %+v", n, reuse, got.Entry)
			}
			if b, err := d.Bundle(n, noPassphrase); err != nil || (b.Key == nil) != (n == "a/theirs") || n == "a/mine" && b.Encoding != pki.SEC1 {
				t.Errorf("%s: %v", n, err)
			}
		}
	}
}
