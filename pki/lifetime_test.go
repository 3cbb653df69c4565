package pki_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var (
	now   = pkitest.Clock()
	start = now.Add(-time.Minute) // where certificates begin by default, and authorities did
)

func TestLifetime(t *testing.T) {
	t.Parallel()
	root := pkitest.NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen, Lifetime: pki.Lifetime{Validity: 200 * day}})
	short := pkitest.NewIntermediate(t, root, pki.CARequest{Lifetime: pki.Lifetime{Validity: 100 * day}})
	long := pkitest.Issuing(t)
	for name, tt := range map[string]struct {
		ca         *pki.Authority
		ask        pki.Lifetime
		begin, end time.Time
		warning    string
	}{
		"default":              {ca: long, begin: start, end: start.Add(year)},
		"length":               {ca: long, ask: pki.Lifetime{Validity: 90 * day}, begin: start, end: start.Add(90 * day)},
		"end":                  {ca: long, ask: pki.Lifetime{NotAfter: now.Add(time.Hour)}, begin: start, end: now.Add(time.Hour)},
		"beginning":            {ca: long, ask: pki.Lifetime{NotBefore: now.Add(time.Hour)}, begin: now.Add(time.Hour), end: now.Add(time.Hour + year)},
		"beginning and length": {ca: long, ask: pki.Lifetime{NotBefore: now.Add(time.Hour), Validity: day}, begin: now.Add(time.Hour), end: now.Add(time.Hour + day)},
		"beginning and end":    {ca: long, ask: pki.Lifetime{NotBefore: now, NotAfter: now.Add(time.Second)}, begin: now, end: now.Add(time.Second)},
		"to the second":        {ca: long, ask: pki.Lifetime{NotBefore: now.Add(999 * time.Millisecond), Validity: 1999 * time.Millisecond}, begin: now, end: now.Add(time.Second)},
		"other time zone":      {ca: long, ask: pki.Lifetime{NotAfter: now.Add(time.Hour).In(time.FixedZone("", 3600))}, begin: start, end: now.Add(time.Hour)},
		"exactly the issuer's": {ca: short, ask: pki.Lifetime{Validity: 100 * day}, begin: start, end: start.Add(100 * day)},
		"days cut to issuer's": {ca: short, ask: pki.Lifetime{NotBefore: start.Add(time.Hour), Validity: 100 * day}, begin: start.Add(time.Hour), end: start.Add(100 * day),
			warning: "it ends with its issuer, on 2026-09-23 11:59:00 UTC, in the last of the 100 days asked for"},
		"default cut to issuer's": {ca: short, begin: start, end: start.Add(100 * day),
			warning: "it ends with its issuer, on 2026-09-23 11:59:00 UTC, before the usual 365 days are over"},
		"begins with its issuer": {ca: short, ask: pki.Lifetime{NotBefore: start, Validity: day}, begin: start, end: start.Add(day)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := tt.ca.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}, Lifetime: tt.ask})
			if err != nil {
				t.Fatal(err)
			}
			cert, err := tt.ca.Sign(d, pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public())
			if err != nil {
				t.Fatal(err)
			}
			if !cert.NotBefore.Equal(tt.begin) || !cert.NotAfter.Equal(tt.end) {
				t.Errorf("from %v to %v; want %v to %v", cert.NotBefore, cert.NotAfter, tt.begin, tt.end)
			}
			var want []string
			if tt.warning != "" {
				want = []string{tt.warning}
			}
			if diff := cmp.Diff(want, d.Warnings()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLifetimeRefuses(t *testing.T) {
	t.Parallel()
	ca := pkitest.NewIntermediate(t, pkitest.Root(t), pki.CARequest{Lifetime: pki.Lifetime{Validity: 100 * day}})
	last := start.Add(100 * day)
	for name, tt := range map[string]struct {
		ask  pki.Lifetime
		want pki.LifetimeError
	}{
		"longer than the issuer": {pki.Lifetime{Validity: 100*day + time.Second}, pki.LifetimeError{Problem: "it ends on 2026-09-23 11:59:01 UTC, after its issuer", Latest: last}},
		"a day too long":         {pki.Lifetime{Validity: 101 * day}, pki.LifetimeError{Problem: "it ends on 2026-09-24 11:59:00 UTC, after its issuer", Latest: last}},
		"past the issuer's end":  {pki.Lifetime{NotAfter: last.Add(time.Second)}, pki.LifetimeError{Problem: "it ends on 2026-09-23 11:59:01 UTC, after its issuer", Latest: last}},
		"far past any end":       {pki.Lifetime{NotAfter: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, pki.LifetimeError{Problem: "it ends on 10000-01-01 00:00:00 UTC, after its issuer", Latest: last}},
		"before the issuer":      {pki.Lifetime{NotBefore: start.Add(-time.Second)}, pki.LifetimeError{Problem: "it begins on 2026-06-15 11:58:59 UTC, before its issuer", Earliest: start}},
		"after the issuer":       {pki.Lifetime{NotBefore: last.Add(day)}, pki.LifetimeError{Problem: "it begins on 2026-09-24 11:59:00 UTC, after its issuer ends", Latest: last}},
		"at the issuer's end":    {pki.Lifetime{NotBefore: last}, pki.LifetimeError{Problem: "it begins on 2026-09-23 11:59:00 UTC, after its issuer ends", Latest: last}},
		"no time at all":         {pki.Lifetime{NotBefore: now, NotAfter: now}, pki.LifetimeError{Problem: "it ends on 2026-06-15 12:00:00 UTC, before it begins"}},
		"less than a second":     {pki.Lifetime{NotBefore: now, Validity: time.Millisecond}, pki.LifetimeError{Problem: "it ends on 2026-06-15 12:00:00 UTC, before it begins"}},
		"backwards":              {pki.Lifetime{NotBefore: now.Add(day), NotAfter: now.Add(time.Hour)}, pki.LifetimeError{Problem: "it ends on 2026-06-15 13:00:00 UTC, before it begins"}},
		"over already":           {pki.Lifetime{NotAfter: now}, pki.LifetimeError{Problem: "it ended on 2026-06-15 12:00:00 UTC, in the past"}},
		"over by its length":     {pki.Lifetime{Validity: time.Minute}, pki.LifetimeError{Problem: "it ended on 2026-06-15 12:00:00 UTC, in the past"}},
		"negative":               {pki.Lifetime{Validity: -time.Hour}, pki.LifetimeError{Problem: "-1h0m0s is negative"}},
		"given twice":            {pki.Lifetime{Validity: time.Hour, NotAfter: now.Add(time.Hour)}, pki.LifetimeError{Problem: "it is given twice, by its length and by its end"}},
	} {
		d, err := ca.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}, Lifetime: tt.ask})
		e, ok := errors.AsType[*pki.LifetimeError](err)
		if d != nil || !ok {
			t.Errorf("%s: %v, %v", name, d, err)
			continue
		}
		if diff := cmp.Diff(tt.want, *e); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got, want := err.Error(), "lifetime: "+tt.want.Problem; got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
}

// The earliest end in the chain counts: an imported intermediate may outlive
// its root, and nothing below it verifies after the root's end.
func TestLifetimeOfChain(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) func() time.Time { return func() time.Time { return now.Add(d) } }
	root := pkitest.NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen, Lifetime: pki.Lifetime{Validity: 10 * day}})
	key := pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)
	cert := foreign(t, root, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), key.Public(), func(c *x509.Certificate) { c.NotBefore = start })
	below := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert, root.Certificate()}, Signer: key})
	if got := below.NotAfter(); !got.Equal(start.Add(10 * day)) {
		t.Errorf("NotAfter = %v", got)
	}
	late := pkitest.Authority(t, pki.AuthorityConfig{Chain: below.FullChain(), Signer: key, Now: at(10 * day)})
	_, err := late.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}})
	if want := "lifetime: the issuer expired on 2026-06-25 11:59:00 UTC"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	// A clock that is behind the issuer's: the certificate waits with its issuer.
	early := pkitest.Authority(t, pki.AuthorityConfig{Chain: below.FullChain(), Signer: key, Now: at(-time.Hour)})
	d, err := early.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}, Lifetime: pki.Lifetime{Validity: day}})
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Template(); !c.NotBefore.Equal(start) || !c.NotAfter.Equal(start.Add(day)) {
		t.Errorf("from %v to %v; the issuer begins on %v", c.NotBefore, c.NotAfter, start)
	}
}

func TestLifetimeOfAuthorities(t *testing.T) {
	t.Parallel()
	prepare := func(l pki.Lifetime) (*pki.Draft, error) {
		return pki.PrepareRoot(pki.CARequest{Subject: pki.Subject{CommonName: "x"}, Lifetime: l}, now)
	}
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for name, tt := range map[string]struct {
		ask  pki.Lifetime
		end  time.Time
		want string
	}{
		"default":      {end: start.Add(10 * year)},
		"for ever":     {ask: pki.Lifetime{NotAfter: end}, end: end}, // RFC 5280 section 4.1.2.5's "no well-defined expiration"
		"past 9999":    {ask: pki.Lifetime{NotAfter: end.Add(time.Second)}, want: "lifetime: it ends on 10000-01-01 00:00:00 UTC, after the time that certificates can say"},
		"before 1950":  {ask: pki.Lifetime{NotBefore: time.Date(1949, 12, 31, 23, 59, 59, 0, time.UTC)}, want: "lifetime: it begins on 1949-12-31 23:59:59 UTC, before the time that certificates can say"},
		"in the past":  {ask: pki.Lifetime{NotBefore: now.Add(-year), Validity: day}, want: "lifetime: it ended on 2025-06-16 12:00:00 UTC, in the past"},
		"past 9999, 2": {ask: pki.Lifetime{NotBefore: end}, want: "lifetime: it begins on 9999-12-31 23:59:59 UTC, after the time that certificates can say ends"},
	} {
		d, err := prepare(tt.ask)
		if tt.want != "" {
			if err == nil || err.Error() != tt.want {
				t.Errorf("%s:\ngot  %v\nwant %s", name, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		cert, err := pki.SignRoot(d, pkitest.Key(t, profiles.ECP256, pkitest.RootKey))
		if err != nil || !cert.NotAfter.Equal(tt.end) {
			t.Errorf("%s: until %v, %v; want %v", name, cert.NotAfter, err, tt.end)
		}
	}
	if got := pkitest.Issuing(t).Certificate().NotAfter; !got.Equal(start.Add(5 * year)) {
		t.Errorf("an intermediate lasts until %v", got)
	}
}

// A profile's own bound holds for what is asked for, whatever the issuer's.
func TestMaxValidity(t *testing.T) {
	t.Parallel()
	p, err := profiles.New("short", profiles.Config{Usages: []string{"client auth"}, Validity: "1d", MaxValidity: "2d"})
	if err != nil {
		t.Fatal(err)
	}
	ca := pkitest.Issuing(t)
	for name, tt := range map[string]struct {
		ask  pki.Lifetime
		want string
	}{
		"default":    {},
		"the most":   {ask: pki.Lifetime{Validity: 2 * day}},
		"too long":   {ask: pki.Lifetime{Validity: 2*day + time.Second}, want: `profile "short": it certifies for 2d at most`},
		"too late":   {ask: pki.Lifetime{NotAfter: now.Add(2 * day)}, want: `profile "short": it certifies for 2d at most`},
		"late start": {ask: pki.Lifetime{NotBefore: now.Add(day), NotAfter: now.Add(3 * day)}},
	} {
		_, err := ca.Prepare(p, pki.Request{Subject: pki.Subject{CommonName: "x"}, Lifetime: tt.ask})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
}
