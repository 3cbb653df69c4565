package manifest

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

func TestCheckLifetime(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	life := func(duration, before string, percentage ...int32) func(s *cs) {
		return func(s *cs) {
			if duration != "" {
				s.Duration = d(duration)
			}
			if before != "" {
				s.RenewBefore = d(before)
			}
			for _, p := range percentage {
				s.RenewBeforePercentage = &p
			}
		}
	}
	const duration, before, percentage = "spec.duration", "spec.renewBefore", "spec.renewBeforePercentage"
	checkCases(t, spec, []certCase{
		{"an hour", life("1h", ""), nil},
		{"less", life("59m", ""), []string{duration + ": 59m0s is too short"}},
		{"negative", life("-1h", ""), []string{duration + ": too short"}},
		{"before", life("", "5m"), nil},
		{"before, late", life("", "4m59s"), []string{before + ": too late"}},
		{"before, early", life("1h", "1h"), []string{before + ": lasts only 1h"}},
		{"before, early by default", life("", "2160h"), []string{before + ": lasts only 2160h"}},
		{"both", life("", "6m", 30), []string{before + ": both", percentage + ": both"}},
		{"percentage", life("2160h", "", 33), nil},
		{"percentage alone", life("", "", 33), nil},
		{"percentage 0", life("2160h", "", 0), []string{percentage + ": 0 is not between"}},
		{"percentage 100", life("2160h", "", 100), []string{percentage + ": 100 is not between"}},
		{"percentage 0 alone", life("", "", 0), []string{"~" + percentage + ": ignored"}},
		{"percentage -1 alone", life("", "", -1), []string{"~" + percentage + ": ignored"}},
		{"percentage 100 alone", life("", "", 100), []string{"~" + percentage + ": ignored"}},
		{"percentage of time passed", life("2160h", "", 66), []string{"~" + percentage + ": 66 renews after 34% of it"}},
		{"percentage 95 of an hour", life("1h", "", 95), []string{percentage + ": the other 5% to be 5m"}},
		{"percentage 1 of an hour", life("1h", "", 1), []string{"~" + percentage + ": 1% of 1h0m0s leaves 36s"}},
	})
}

func TestCheckRenewal(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	type window = cmapi.CertificateRenewalWindows
	renewal := func(policy cmapi.CertificateRenewalPolicy, windows ...window) func(s *cs) {
		return func(s *cs) { s.Renewal = &cmapi.CertificateRenewal{Policy: policy, Windows: windows} }
	}
	one := func(cron, length, zone string) func(s *cs) {
		w := window{Cron: cron, Timezone: zone}
		if length != "" {
			w.WindowDuration = d(length)
		}
		return renewal("RenewBefore", w)
	}
	const w = "spec.renewal.windows[0]"
	checkCases(t, spec, []certCase{
		{"none", renewal(""), []string{"spec.renewal.policy: missing"}},
		{"unknown", renewal("Never"), []string{`spec.renewal.policy: "Never" is not one of`}},
		{"before", renewal("RenewBefore"), nil},
		{"disabled", renewal("Disabled"), nil},
		{"disabled with windows", renewal("Disabled", window{}), []string{"spec.renewal.windows: no windows"}},
		{"window", one("0 2 * * 6", "2h", "Europe/Berlin"), nil},
		{"daily", one("@daily", "2h", ""), nil},
		{"every", one("@every 24h", "2h", ""), nil},
		{"no length", one("@daily", "", ""), []string{w + ".windowDuration: missing"}},
		{"length 0", one("@daily", "0s", ""), []string{w + ".windowDuration: never opens"}},
		{"zone", one("@daily", "1h", "Mars/Olympus"), []string{w + `.timezone: no time zone "Mars/Olympus"`}},
		{"zone and cron", one("x", "1h", "Mars/Olympus"), []string{w + ".timezone: Mars", w + `.cron: "x" is no cron`}},
		{"cron of six fields", one("0 0 2 * * 6", "1h", ""), []string{w + ".cron: no cron expression"}},
		{"no cron", one("", "1h", ""), []string{w + ".cron: no cron expression"}},
		{"cron with a zone", one("TZ=UTC 0 2 * * *", "1h", ""), []string{w + ".cron: no cron expression"}},
	})
}
