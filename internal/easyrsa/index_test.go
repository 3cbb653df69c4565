package easyrsa

import (
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/pki"
)

func bigs() cmp.Option {
	return cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })
}

func at(year int, month time.Month, day, hour, minute, second int) time.Time {
	return time.Date(year, month, day, hour, minute, second, 0, time.UTC)
}

func TestParseIndex(t *testing.T) {
	t.Parallel()
	end := at(2029, 2, 24, 7, 4, 42)
	when := at(2026, 11, 22, 7, 4, 43)
	revoked := func(reason pki.Reason) []Entry {
		return []Entry{{Line: 1, NotAfter: end, RevokedAt: when, Reason: reason, Serial: big.NewInt(2), Subject: "/CN=b"}}
	}
	line := func(revocation string) string { return "R\t290224070442Z\t" + revocation + "\t02\tunknown\t/CN=b\n" }
	for name, tt := range map[string]struct {
		index string
		want  []Entry
	}{
		"nothing": {"", nil},
		"valid":   {"V\t290224070442Z\t\t31260CF9\tunknown\t/CN=server\n", []Entry{{Line: 1, NotAfter: end, Serial: big.NewInt(0x31260cf9), Subject: "/CN=server"}}},
		"expired, after what is none, with the ends of Windows": {
			"# a comment\r\n\r\nE\t290224070442Z\t\t01\tunknown\t/CN=old\r\n",
			[]Entry{{Line: 3, NotAfter: end, Serial: big.NewInt(1), Subject: "/CN=old"}},
		},
		"the last century": {"E\t500101000000Z\t\t01\tunknown\t/CN=a", []Entry{{Line: 1, NotAfter: at(1950, 1, 1, 0, 0, 0), Serial: big.NewInt(1), Subject: "/CN=a"}}},
		"this one":         {"V\t491231235959Z\t\t01\tunknown\t/CN=a", []Entry{{Line: 1, NotAfter: at(2049, 12, 31, 23, 59, 59), Serial: big.NewInt(1), Subject: "/CN=a"}}},
		"GeneralizedTime":  {"V\t20500101000000Z\t\t01\tunknown\t/CN=a", []Entry{{Line: 1, NotAfter: at(2050, 1, 1, 0, 0, 0), Serial: big.NewInt(1), Subject: "/CN=a"}}},
		"a tab in a name":  {"V\t290224070442Z\t\t01\tunknown\t/CN=a\\\tb", []Entry{{Line: 1, NotAfter: end, Serial: big.NewInt(1), Subject: "/CN=a\tb"}}},
		"other backslashes": {
			"V\t290224070442Z\t\t01\tunknown\t/CN=a\\xC3\\xBC\\", []Entry{{Line: 1, NotAfter: end, Serial: big.NewInt(1), Subject: "/CN=a\\xC3\\xBC\\"}},
		},

		"revoked, and no reason": {line("261122070443Z"), revoked(pki.Unspecified)},
		"keyCompromise":          {line("261122070443Z,keyCompromise"), revoked(pki.KeyCompromise)},
		"CACompromise":           {line("261122070443Z,CACompromise"), revoked(pki.CACompromise)},
		"keyTime":                {line("261122070443Z,keyTime,20261101000000Z"), revoked(pki.KeyCompromise)},
		"CAkeyTime":              {line("261122070443Z,CAkeyTime,20261101000000Z"), revoked(pki.CACompromise)},
		"holdInstruction":        {line("261122070443Z,holdInstruction,1.2.840.10040.2.1"), revoked(pki.CertificateHold)},
		"removeFromCRL":          {line("20261122070443Z,removeFromCRL"), revoked(pki.Unspecified)},
	} {
		got, err := ParseIndex([]byte(tt.index))
		if diff := cmp.Diff(tt.want, got, bigs()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestParseIndexRefuses(t *testing.T) {
	t.Parallel()
	for index, want := range map[string]string{
		"V\t290224070442Z\t\t01\tunknown":                              "line 1: it has 5 fields with tabs between them, and not 6",
		"V 290224070442Z  01 unknown /CN=a":                            "line 1: it has 1 fields with tabs between them, and not 6",
		"\nX\t290224070442Z\t\t01\tunknown\t/CN=a":                     `line 2: unknown state "X": there are V, R and E`,
		"V\t290224070442\t\t01\tunknown\t/CN=a":                        `line 1: "290224070442" is no time as in 261231235959Z`,
		"R\t290224070442Z\t00010101000000Z\t01\tunknown\t/CN=a":        `line 1: its revocation: "00010101000000Z" is no time as in 261231235959Z`,
		"V\t290224070442Z\t\tXY\tunknown\t/CN=a":                       `line 1: "XY" is no serial number in hexadecimal`,
		"V\t290224070442Z\t\t-1\tunknown\t/CN=a":                       `line 1: "-1" is no serial number in hexadecimal`,
		"V\t290224070442Z\t\t\tunknown\t/CN=a":                         `line 1: "" is no serial number in hexadecimal`,
		"V\t290224070442Z\t261122070443Z\t01\tunknown\t/CN=a":          "line 1: its state is V, and it has a revocation",
		"R\t290224070442Z\t\t01\tunknown\t/CN=a":                       `line 1: its revocation: "" is no time as in 261231235959Z`,
		"R\t290224070442Z\t261122070443Z,annoyance\t01\tunknown\t/CN=": `line 1: its revocation: unknown reason "annoyance": there are unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, certificateHold, privilegeWithdrawn, aACompromise`,
	} {
		got, err := ParseIndex([]byte(index))
		var line *LineError
		if !errors.As(err, &line) || err.Error() != want || got != nil {
			t.Errorf("%q: %v, %v\nwant %s", index, got, err, want)
		}
	}
}

// What is read has what a revocation needs, and no line is passed over.
func FuzzParseIndex(f *testing.F) {
	f.Add([]byte("V\t290224070442Z\t\t01\tunknown\t/CN=a\nR\t290224070442Z\t261122070443Z,keyTime,20261101000000Z\t02\tunknown\t/CN=b\\\tc\n"))
	f.Add([]byte("# nothing\n\nE\t20500101000000Z\t\tFF\tunknown\t/CN=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ParseIndex(data)
		if err != nil && entries != nil {
			t.Error("an error, and entries beside it")
		}
		last := 0
		for _, e := range entries {
			if e.Serial == nil || e.Serial.Sign() < 0 || e.NotAfter.IsZero() || e.Line <= last {
				t.Errorf("%+v", e)
			}
			last = e.Line
		}
	})
}
