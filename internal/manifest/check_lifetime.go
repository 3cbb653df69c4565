package manifest

import (
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

func checkLifetime(o *object, s *cmapi.CertificateSpec) {
	d, least := duration(s), cmapi.MinimumRenewBefore
	checked := s.Duration != nil || s.RenewBefore != nil
	if checked && d < cmapi.MinimumCertificateDuration {
		o.problem("spec.duration", "write at least 1h; 2160h, 90 days, is the default", "%s is too short: cert-manager wants an hour or more", d)
	}
	if b := s.RenewBefore; b != nil {
		switch {
		case b.Duration < least:
			o.problem("spec.renewBefore", "leave it out to renew when a third of the lifetime remains", "%s before the end is too late: cert-manager wants %s or more", b.Duration, least)
		case b.Duration >= d:
			o.problem("spec.renewBefore", "leave it out to renew when a third of the lifetime remains", "is %s, but the certificate lasts only %s: it would always be due", b.Duration, d)
		}
	}
	if s.RenewBeforePercentage == nil {
		return
	}
	p, path := *s.RenewBeforePercentage, "spec.renewBeforePercentage"
	if s.RenewBefore != nil {
		for _, f := range []string{"spec.renewBefore", path} {
			o.problem(f, "leave one of them out", "renewBefore and renewBeforePercentage cannot both be set")
		}
	}
	remains := percent(d, p)
	switch {
	case checked && (p <= 0 || p >= 100):
		o.problem(path, "write the part of the lifetime that remains, as in 33", "%d is not between 1 and 99", p)
	case checked && percent(d, 100-p) < least:
		// Admission takes the percentage for the part that has passed.
		o.problem(path, "write less, or a longer duration", "%d leaves too little of %s: cert-manager's check wants the other %d%% to be %s or more", p, d, 100-p, least)
	case p <= 0 || p >= 100:
		o.warn(path, "%d is not between 1 and 99 and is ignored: renewal comes when a third of the lifetime remains", p)
	case p > 50:
		o.warn(path, "is the part of the lifetime that remains, not the part that has passed: %d renews after %d%% of it", p, 100-p)
	case remains < least:
		o.warn(path, "%d%% of %s leaves %s for the renewal", p, d, remains.Round(time.Second))
	}
}

func checkRenewal(o *object, r *cmapi.CertificateRenewal) {
	if r == nil {
		return
	}
	if r.Policy == cmapi.CertificateRenewalPolicyDisabled {
		if len(r.Windows) > 0 {
			o.problem("spec.renewal.windows", "leave them out, or set the policy to RenewBefore", "what is never renewed has no windows for it")
		}
		return
	}
	if r.Policy == "" {
		o.problem("spec.renewal.policy", "write RenewBefore for windows, or Disabled", "is missing")
	} else {
		oneOf(o, "spec.renewal.policy", r.Policy, cmapi.CertificateRenewalPolicyRenewBefore, cmapi.CertificateRenewalPolicyDisabled)
	}
	for i, w := range r.Windows {
		path := fmt.Sprintf("spec.renewal.windows[%d]", i)
		switch {
		case w.WindowDuration == nil:
			o.problem(path+".windowDuration", "write how long the window stays open, as in 2h", "is missing")
		case w.WindowDuration.Duration <= 0:
			o.problem(path+".windowDuration", "write how long the window stays open, as in 2h", "%s never opens, and cert-manager finds no renewal time at all", w.WindowDuration.Duration)
		}
		zone, err := parseZone(w.Timezone)
		if err != nil {
			o.problem(path+".timezone", "write an IANA name, as in Europe/Berlin, or leave it out for UTC", "%v", err)
			zone = time.UTC
		}
		if _, err := parseCron(w.Cron, zone); err != nil {
			o.problem(path+".cron", "write minute, hour, day of month, month and day of week, as in 0 2 * * 6, or a word as @daily; the zone goes to timezone", "%v", err)
		}
	}
}
