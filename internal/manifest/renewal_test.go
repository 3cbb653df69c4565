package manifest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func windows(w ...cmapi.CertificateRenewalWindows) *cmapi.CertificateRenewal {
	return &cmapi.CertificateRenewal{Policy: cmapi.CertificateRenewalPolicyRenewBefore, Windows: w}
}

func window(cron, length, zone string) cmapi.CertificateRenewalWindows {
	return cmapi.CertificateRenewalWindows{Cron: cron, WindowDuration: d(length), Timezone: zone}
}

func TestRenewalTime(t *testing.T) {
	t.Parallel()
	p := func(n int32) *int32 { return &n }
	const from, to = "2026-06-01T00:00:00Z", "2026-06-30T00:00:00Z" // 29 days
	for _, c := range []struct {
		name  string
		spec  cmapi.CertificateSpec
		want  string // empty: never
		wrong string // what the window's problem says
	}{
		{"a third", cmapi.CertificateSpec{}, "2026-06-20T08:00:00Z", ""},
		{"renewBefore", cmapi.CertificateSpec{RenewBefore: d("24h")}, "2026-06-29T00:00:00Z", ""},
		{"renewBefore, all of it", cmapi.CertificateSpec{RenewBefore: d("696h")}, "2026-06-20T08:00:00Z", ""},
		{"renewBefore, cut", cmapi.CertificateSpec{RenewBefore: d("24h0m0.5s")}, "2026-06-28T23:59:59Z", ""},
		{"percentage", cmapi.CertificateSpec{RenewBeforePercentage: p(50)}, "2026-06-15T12:00:00Z", ""},
		{"percentage 0", cmapi.CertificateSpec{RenewBeforePercentage: p(0)}, "2026-06-20T08:00:00Z", ""},
		{"percentage 100", cmapi.CertificateSpec{RenewBeforePercentage: p(100)}, "2026-06-20T08:00:00Z", ""},
		{"disabled", cmapi.CertificateSpec{Renewal: &cmapi.CertificateRenewal{Policy: "Disabled"}}, "", ""},
		{"no windows", cmapi.CertificateSpec{Renewal: windows()}, "2026-06-20T08:00:00Z", ""},
		{"no policy", cmapi.CertificateSpec{Renewal: &cmapi.CertificateRenewal{}}, "2026-06-20T08:00:00Z", "no renewal policy"},
		{"inside", cmapi.CertificateSpec{Renewal: windows(window("0 7 * * *", "2h", ""))}, "2026-06-20T08:00:00Z", ""},
		{"at its start", cmapi.CertificateSpec{Renewal: windows(window("0 8 * * *", "1m", ""))}, "2026-06-20T08:00:00Z", ""},
		{"at its end", cmapi.CertificateSpec{Renewal: windows(window("0 7 * * *", "1h", ""))}, "2026-06-20T08:00:00Z", ""},
		{"after its end", cmapi.CertificateSpec{Renewal: windows(window("0 7 * * *", "59m59s", ""))}, "2026-06-21T07:00:00Z", ""},
		{"in a zone", cmapi.CertificateSpec{Renewal: windows(window("0 7 * * *", "1h", "Europe/Berlin"))}, "2026-06-21T05:00:00Z", ""},
		{"Local is UTC", cmapi.CertificateSpec{Renewal: windows(window("0 9 * * *", "1h", "Local"))}, "2026-06-20T09:00:00Z", ""},
		{"the first of two", cmapi.CertificateSpec{Renewal: windows(window("0 7 * * 1", "1h", ""), window("0 7 * * 0", "1h", ""))}, "2026-06-21T07:00:00Z", ""},
		{"inside the second", cmapi.CertificateSpec{Renewal: windows(window("0 7 * * 1", "1h", ""), window("@daily", "10h", ""))}, "2026-06-20T08:00:00Z", ""},
		{"past the end", cmapi.CertificateSpec{Renewal: windows(window("0 12 30 6 *", "24h", ""))}, "2026-06-30T12:00:00Z", ""},
		{"too far past the end", cmapi.CertificateSpec{Renewal: windows(window("0 12 30 6 *", "11h", ""))}, "2026-06-20T08:00:00Z", "no renewal window opens between 2026-06-20T08:00:00Z and"},
		{"never opens", cmapi.CertificateSpec{Renewal: windows(window("0 0 30 2 *", "1h", ""))}, "2026-06-20T08:00:00Z", "no renewal window opens"},
		{"bad zone", cmapi.CertificateSpec{Renewal: windows(window("@daily", "1h", "Mars"))}, "2026-06-20T08:00:00Z", "renewal window 1: there is no time zone"},
		{"bad cron", cmapi.CertificateSpec{Renewal: windows(window("@daily", "1h", ""), window("x", "1h", ""))}, "2026-06-20T08:00:00Z", "renewal window 2:"},
		{"no length", cmapi.CertificateSpec{Renewal: windows(window("@daily", "0s", ""))}, "2026-06-20T08:00:00Z", "not positive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, never, problem := RenewalTime(at(from), at(to), &c.spec)
			switch {
			case never != (c.want == ""):
				t.Errorf("never: %t", never)
			case !never && !got.Equal(at(c.want)):
				t.Errorf("got %s, want %s", got.UTC().Format(time.RFC3339), c.want)
			case (problem == nil) != (c.wrong == ""), problem != nil && !strings.Contains(problem.Error(), c.wrong):
				t.Errorf("problem: %v", problem)
			}
			if strings.HasPrefix(c.name, "Local") || strings.HasPrefix(c.name, "bad") || c.name == "no length" || c.name == "no policy" {
				return // cert-manager has no time at all, or its machine's zone
			}
			compareRenewal(t, at(from), at(to), &c.spec)
		})
	}
}

// compareRenewal holds RenewalTime against cert-manager's own. That forgets the
// start it has found when a later window has none in reach (v1.21.2), so it is
// asked for the windows in both orders; ours does not depend on theirs.
func compareRenewal(t *testing.T, from, to time.Time, s *cmapi.CertificateSpec) {
	t.Helper()
	got, never, problem := RenewalTime(from, to, s)
	want, err := cmpki.RenewalTime(from, to, s.RenewBefore, s.RenewBeforePercentage, s.Renewal)
	if err != nil && s.Renewal != nil {
		turned := *s.Renewal
		turned.Windows = slices.Clone(turned.Windows)
		slices.Reverse(turned.Windows)
		want, err = cmpki.RenewalTime(from, to, s.RenewBefore, s.RenewBeforePercentage, &turned)
	}
	switch {
	case never != (want == nil):
		t.Errorf("%s to %s, %+v: never %t, cert-manager says %v", from, to, s.Renewal, never, want)
	case (problem == nil) != (err == nil):
		t.Errorf("%s to %s, %+v: problem %v, cert-manager says %v", from, to, s.Renewal, problem, err)
	case want != nil && !got.Equal(want.Time):
		t.Errorf("%s to %s, %+v %v %v: got %s, cert-manager says %s", from, to, s.Renewal, s.RenewBefore, s.RenewBeforePercentage, got, want)
	}
}

func TestRenewalTimeAsCertManager(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	for range 3000 {
		from := at("2020-01-01T00:00:00Z").Add(time.Duration(r.Int64N(int64(10 * 365 * 24 * time.Hour))).Truncate(time.Second))
		length := time.Hour + time.Duration(r.Int64N(int64(100*24*time.Hour)))
		if r.IntN(2) == 0 {
			length = length.Truncate(time.Second)
		}
		var s cmapi.CertificateSpec
		switch r.IntN(3) {
		case 0:
			s.RenewBefore = &metav1.Duration{Duration: time.Duration(r.Int64N(int64(length) * 5 / 4))}
		case 1:
			p := int32(r.IntN(120) - 10)
			s.RenewBeforePercentage = &p
		}
		if r.IntN(4) > 0 {
			s.Renewal = windows()
			for range r.IntN(3) {
				s.Renewal.Windows = append(s.Renewal.Windows, window(
					pick("0 2 * * 6", "*/15 8-17 * * 1-5", "30 3 1 * *", "@daily", "@monthly", "@hourly", "0 0 29 2 *", "0 0 31 4 *", "30 2 * 3,10 0", "@every 36h", "@every 90m"),
					pick("1m", "30m", "1h", "2h30m", "24h", "100h"),
					pick("", "UTC", "Europe/Berlin", "America/Denver", "Asia/Kathmandu")))
			}
		}
		compareRenewal(t, from, from.Add(length), &s)
		if t.Failed() {
			return
		}
	}
}
