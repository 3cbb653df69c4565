package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/ledger"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

const day = 24 * time.Hour

// newLedger has a certificate of two authorities for each day: 01 to 09 of
// issuing end after that many days, and 0a is of another.
func newLedger(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Create(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	entry := func(issuer string, n int) ledger.Entry {
		return ledger.Entry{
			Name: fmt.Sprintf("n%d", n), Kind: ledger.KindCertificate, Profile: "server", Issuer: issuer,
			Serial: fmt.Sprintf("%02x", n), SANs: []string{}, Request: json.RawMessage("{}"), DER: []byte{1},
			NotBefore: pkitest.Clock(), NotAfter: pkitest.Clock().Add(time.Duration(n) * day), IssuedAt: pkitest.Clock(), Current: true,
		}
	}
	var entries []ledger.Entry
	for n := 1; n < 10; n++ {
		entries = append(entries, entry("issuing", n))
	}
	if err := l.Record(t.Context(), append(entries, entry("other", 10)), false); err != nil {
		t.Fatal(err)
	}
	return l
}

func revoke(issuer, serial string) ledger.Change {
	return ledger.Change{Issuer: issuer, Serial: serial, At: pkitest.Clock(), Reason: 4}
}

func numbered(issuer string, n int64) ledger.CRL {
	return ledger.CRL{Issuer: issuer, Number: n, ThisUpdate: pkitest.Clock(), NextUpdate: pkitest.Clock().Add(7 * day), Entries: 3}
}

// revocations is what a CRL of an authority would list.
func revocations(t *testing.T, l *ledger.Ledger, issuer string, since time.Time) (all []string) {
	t.Helper()
	if err := l.Revocations(t.Context(), issuer, since, func(serial string, at time.Time, reason int) error {
		all = append(all, fmt.Sprintf("%s %s %d", serial, at.Format(time.DateOnly), reason))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func publish(t *testing.T, l *ledger.Ledger, changes []ledger.Change, crls ...ledger.CRL) {
	t.Helper()
	if err := l.Publish(t.Context(), changes, crls); err != nil {
		t.Fatal(err)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	if c, err := l.LastCRL(t.Context(), "issuing"); err != nil || c != (ledger.CRL{Issuer: "issuing"}) {
		t.Errorf("before the first: %+v, %v", c, err)
	}
	publish(t, l, []ledger.Change{revoke("issuing", "03"), revoke("other", "0a")}, numbered("issuing", 1), numbered("other", 5))
	for issuer, number := range map[string]int64{"issuing": 1, "ISSUING": 1, "other": 5} {
		c, err := l.LastCRL(t.Context(), issuer)
		if want := numbered(issuer, number); err != nil || c != want {
			t.Errorf("%+v, %v; want %+v", c, err, want)
		}
	}
	e, err := l.BySerial(t.Context(), "issuing", "03")
	if err != nil || !e.RevokedAt.Equal(pkitest.Clock()) || e.Reason != 4 || e.Status(pkitest.Clock()) != ledger.Revoked {
		t.Errorf("revoked at %v, reason %d, %v", e.RevokedAt, e.Reason, err)
	}
	// Taken back, there is nothing left of it.
	publish(t, l, []ledger.Change{{Issuer: "issuing", Serial: "03"}}, numbered("issuing", 2))
	e, err = l.BySerial(t.Context(), "issuing", "03")
	if err != nil || !e.RevokedAt.IsZero() || e.Reason != 0 || e.Status(pkitest.Clock()) != ledger.Valid {
		t.Errorf("revoked at %v, reason %d, %v", e.RevokedAt, e.Reason, err)
	}
	if got := revocations(t, l, "issuing", time.Time{}); got != nil {
		t.Errorf("still revoked: %q", got)
	}
	publish(t, l, nil, numbered("issuing", 10), numbered("issuing", 11))
	if c, err := l.LastCRL(t.Context(), "issuing"); err != nil || c.Number != 11 {
		t.Errorf("%+v, %v; want number 11", c, err)
	}
}

func TestPublishAllOrNothing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	publish(t, l, []ledger.Change{revoke("issuing", "01")}, numbered("issuing", 3), numbered("other", 3))
	want := revocations(t, l, "issuing", time.Time{})
	for name, c := range map[string]struct {
		changes []ledger.Change
		crls    []ledger.CRL
		cause   error
		text    string
	}{
		"unknown certificate": {[]ledger.Change{revoke("issuing", "02"), revoke("issuing", "ff")}, []ledger.CRL{numbered("issuing", 4)}, ledger.ErrNotFound, "ff"},
		"of another":          {[]ledger.Change{revoke("issuing", "02"), revoke("other", "02")}, []ledger.CRL{numbered("issuing", 4)}, ledger.ErrNotFound, "02"},
		"same number":         {[]ledger.Change{revoke("issuing", "02")}, []ledger.CRL{numbered("issuing", 3)}, nil, "number 3 of \"issuing\" is not above 3"},
		"smaller number":      {[]ledger.Change{revoke("issuing", "02")}, []ledger.CRL{numbered("issuing", 2)}, nil, "is not above 3"},
		"of the second":       {[]ledger.Change{revoke("issuing", "02")}, []ledger.CRL{numbered("issuing", 4), numbered("other", 3)}, nil, "\"other\" is not above 3"},
		"twice in one":        {[]ledger.Change{revoke("issuing", "02")}, []ledger.CRL{numbered("issuing", 4), numbered("ISSUING", 4)}, nil, "is not above 4"},
		"zero":                {nil, []ledger.CRL{numbered("new", 0)}, nil, "is not above 0"},
	} {
		err := l.Publish(t.Context(), c.changes, c.crls)
		if err == nil || c.cause != nil && !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v; want %v, %q", name, err, c.cause, c.text)
		}
		if diff := cmp.Diff(want, revocations(t, l, "issuing", time.Time{})); diff != "" {
			t.Errorf("%s: revocations changed (-want +got):\n%s", name, diff)
		}
		for _, issuer := range []string{"issuing", "other"} {
			if last, err := l.LastCRL(t.Context(), issuer); err != nil || last.Number != 3 {
				t.Errorf("%s: the last CRL of %s is %+v, %v", name, issuer, last, err)
			}
		}
	}
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	publish(t, l, []ledger.Change{revoke("issuing", "07"), revoke("issuing", "02"), revoke("other", "0a"), revoke("issuing", "04")})
	after := func(d time.Duration) time.Time { return pkitest.Clock().Add(d) }
	all := []string{"02 2026-06-15 4", "04 2026-06-15 4", "07 2026-06-15 4"}
	for _, c := range []struct {
		since time.Time
		want  []string
	}{
		{time.Time{}, all},
		{after(0), all},
		{after(2 * day), all}, // it is valid for this second, too
		{after(2*day + time.Second), all[1:]},
		{after(4*day + time.Second), all[2:]},
		{after(8 * day), nil},
	} {
		if got := revocations(t, l, "Issuing", c.since); !slices.Equal(got, c.want) {
			t.Errorf("since %v: %q; want %q", c.since, got, c.want)
		}
	}
	stop := errors.New("stop")
	calls := 0
	if err := l.Revocations(t.Context(), "issuing", time.Time{}, func(string, time.Time, int) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
