package manifest

import (
	"errors"
	"fmt"
	"sort"
	"time"
	_ "time/tzdata" // a zone's name means the same on every machine

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/robfig/cron/v3"
)

// RenewalTime returns when a certificate with these ends is to be renewed for
// its age, as cert-manager reckons: renewBefore, or renewBeforePercentage, or a
// third of the lifetime before its end, cut to the second, and, if the spec has
// windows, moved to the next moment in one of them, which may lie past the end.
// never is true if the spec forbids it; then at is zero. windowProblem says why
// the windows could not be kept to; at is then the time without them.
func RenewalTime(notBefore, notAfter time.Time, s *cmapi.CertificateSpec) (at time.Time, never bool, windowProblem error) {
	at = notAfter.Add(-beforeEnd(notAfter.Sub(notBefore), s)).Truncate(time.Second)
	switch {
	case s.Renewal == nil:
		return at, false, nil
	case s.Renewal.Policy == cmapi.CertificateRenewalPolicyDisabled:
		return time.Time{}, true, nil
	case s.Renewal.Policy != cmapi.CertificateRenewalPolicyRenewBefore:
		return at, false, fmt.Errorf("there is no renewal policy %q", s.Renewal.Policy)
	case len(s.Renewal.Windows) == 0:
		return at, false, nil
	}

	inside, next := false, time.Time{}
	for i, w := range s.Renewal.Windows {
		starts, err := parseWindow(w)
		if err != nil {
			return at, false, fmt.Errorf("renewal window %d: %w", i+1, err)
		}
		length := w.WindowDuration.Duration
		if last, ok := lastStart(starts, notBefore.Add(-length), at); ok && !at.After(last.Add(length)) {
			inside = true
		}
		// Next is later than what it is given, and a window may start now.
		first := starts.Next(at.Add(-time.Second))
		if !first.Before(at) && !first.After(notAfter.Add(length)) && (next.IsZero() || first.Before(next)) {
			next = first
		}
	}
	switch {
	case inside:
		return at, false, nil
	case next.IsZero():
		return at, false, fmt.Errorf("no renewal window opens between %s and the certificate's end, %s",
			at.UTC().Format(time.RFC3339), notAfter.UTC().Format(time.RFC3339))
	}
	return next, false, nil
}

// beforeEnd returns how long before its end a certificate of this lifetime is
// renewed.
func beforeEnd(lifetime time.Duration, s *cmapi.CertificateSpec) time.Duration {
	if b := s.RenewBefore; b != nil && b.Duration > 0 && b.Duration < lifetime {
		return b.Duration
	}
	if p := s.RenewBeforePercentage; p != nil && *p > 0 && *p < 100 {
		return percent(lifetime, *p)
	}
	return lifetime / 3
}

// percent is in floating point, as cert-manager's is: the last nanoseconds count
// when the result is cut to the second.
func percent(d time.Duration, p int32) time.Duration {
	return time.Duration(float64(d) * float64(p) / 100)
}

// parseWindow returns the schedule of a window's starts.
func parseWindow(w cmapi.CertificateRenewalWindows) (cron.Schedule, error) {
	if w.WindowDuration == nil || w.WindowDuration.Duration <= 0 {
		return nil, errors.New("its windowDuration is not positive")
	}
	zone, err := parseZone(w.Timezone)
	if err != nil {
		return nil, err
	}
	return parseCron(w.Cron, zone)
}

// parseZone reads an IANA time zone's name. Local is cert-manager's own zone,
// and its containers have UTC.
func parseZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %q", name)
	}
	return zone, nil
}

// parseCron reads five fields, or a word such as @daily.
func parseCron(s string, zone *time.Location) (cron.Schedule, error) {
	p := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	starts, err := p.Parse("CRON_TZ=" + zone.String() + " " + s)
	if err != nil {
		return nil, fmt.Errorf("%q is no cron expression: %w", s, err)
	}
	return starts, nil
}

// lastStart returns the last start in [from, to]. Schedules only look ahead, so
// it searches for the second after which none is left.
func lastStart(starts cron.Schedule, from, to time.Time) (time.Time, bool) {
	left := func(t time.Time) bool {
		next := starts.Next(t)
		return !next.IsZero() && !next.After(to)
	}
	from = from.Add(-time.Second)
	n := sort.Search(int(to.Sub(from)/time.Second)+1, func(i int) bool {
		return !left(from.Add(time.Duration(i) * time.Second))
	})
	if n == 0 {
		return time.Time{}, false
	}
	return starts.Next(from.Add(time.Duration(n-1) * time.Second)), true
}
