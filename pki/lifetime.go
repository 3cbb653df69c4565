package pki

import (
	"crypto/x509"
	"fmt"
	"time"
)

// A LifetimeError says why a lifetime is refused.
type LifetimeError struct {
	Problem string
	// Earliest and Latest bound what can be had; zero where that is not the
	// problem.
	Earliest, Latest time.Time
}

func (e *LifetimeError) Error() string { return "lifetime: " + e.Problem }

// anyTime is what a certificate can say (RFC 5280 section 4.1.2.5).
func anyTime() (first, last time.Time) {
	return time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
}

// FormatTime writes a moment as every message does: in UTC, to the second.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// setLifetime works out the lifetime. What was asked for is refused if the issuer
// does not cover it; a default is cut to what the issuer covers, and so is a number
// of days that misses it by less than one.
// An issuer without a certificate covers everything: that is a root's own.
func (d *Draft) setLifetime(issuer *Authority, t *x509.Certificate, l Lifetime, def time.Duration) error {
	now := issuer.now().UTC().Truncate(time.Second)
	first, last := anyTime()
	bound := "the time that certificates can say"
	if len(issuer.chain) > 0 {
		first, last, bound = issuer.chain[0].NotBefore, issuer.NotAfter(), "its issuer"
	}
	switch {
	case !now.Before(last):
		return &LifetimeError{Problem: fmt.Sprintf("the issuer expired on %s", FormatTime(last)), Latest: last}
	case l.Validity < 0:
		return &LifetimeError{Problem: fmt.Sprintf("%s is negative", l.Validity)}
	case l.Validity != 0 && !l.NotAfter.IsZero():
		return &LifetimeError{Problem: "it is given twice, by its length and by its end"}
	}

	t.NotBefore = l.NotBefore.UTC().Truncate(time.Second)
	switch {
	case l.NotBefore.IsZero():
		if t.NotBefore = now.Add(-backdate); t.NotBefore.Before(first) {
			t.NotBefore = first
		}
	case t.NotBefore.Before(first):
		return &LifetimeError{Problem: fmt.Sprintf("it begins on %s, before %s", FormatTime(t.NotBefore), bound), Earliest: first}
	}

	asked := true
	switch {
	case !l.NotAfter.IsZero():
		t.NotAfter = l.NotAfter
	case l.Validity != 0:
		t.NotAfter = t.NotBefore.Add(l.Validity)
	default:
		t.NotAfter, asked = t.NotBefore.Add(def), false
	}
	t.NotAfter = t.NotAfter.UTC().Truncate(time.Second)
	switch {
	case !t.NotBefore.Before(last):
		return &LifetimeError{Problem: fmt.Sprintf("it begins on %s, after %s ends", FormatTime(t.NotBefore), bound), Latest: last}
	case !t.NotAfter.After(t.NotBefore):
		return &LifetimeError{Problem: fmt.Sprintf("it ends on %s, before it begins", FormatTime(t.NotAfter))}
	case !t.NotAfter.After(now):
		return &LifetimeError{Problem: fmt.Sprintf("it ended on %s, in the past", FormatTime(t.NotAfter))}
	case t.NotAfter.After(last) && asked && l.wholeDays() && t.NotAfter.Sub(last) < day:
		// Made later the same day as its issuer, with the same number of days.
		t.NotAfter = last
		d.warn("it ends with its issuer, on %s, in the last of the %s asked for", FormatTime(last), humanDays(l.Validity))
	case t.NotAfter.After(last) && asked:
		return &LifetimeError{Problem: fmt.Sprintf("it ends on %s, after %s", FormatTime(t.NotAfter), bound), Latest: last}
	case t.NotAfter.After(last):
		t.NotAfter = last
		d.warn("it ends with its issuer, on %s, before the usual %s are over", FormatTime(last), humanDays(def))
	}
	return nil
}

const day = 24 * time.Hour

// wholeDays reports whether some days were asked for, and not a moment.
func (l Lifetime) wholeDays() bool { return l.Validity > day && l.Validity%day == 0 }

func humanDays(d time.Duration) string {
	if days := int64(d / (24 * time.Hour)); d%(24*time.Hour) == 0 && days != 1 {
		return fmt.Sprintf("%d days", days)
	}
	return d.String()
}
