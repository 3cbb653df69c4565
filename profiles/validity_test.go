package profiles_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/profiles"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

func TestParseValidity(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"1y":        year,
		"90d":       90 * day,
		"2w":        14 * day,
		"1y6w":      year + 42*day,
		"1y2w3d":    year + 17*day,
		"36h":       36 * time.Hour,
		"36h30m":    36*time.Hour + 30*time.Minute,
		"1d12h":     36 * time.Hour,
		"1d0.5h":    day + 30*time.Minute,
		"1.5h":      90 * time.Minute,
		"1s":        time.Second,
		"1000ms":    time.Second,
		"0d1s":      time.Second,
		"007d":      7 * day,
		"292y":      292 * year,
		"0y0w0d10s": 10 * time.Second,
	} {
		got, err := profiles.ParseValidity(in)
		if err != nil || got != want {
			t.Errorf("ParseValidity(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestParseValidityRefuses(t *testing.T) {
	t.Parallel()
	const (
		form  = `%q is not a lifetime: write it as 90d, 1y or 36h`
		zero  = `%q is not a lifetime: it must be longer than nothing`
		long  = `%q is not a lifetime: it is too long`
		whole = `%q is not a lifetime: certificates count whole seconds`
	)
	for in, want := range map[string]string{
		"":                       form,
		" ":                      form,
		"90":                     form,
		"1.5d":                   form,
		"d":                      form,
		"1":                      form,
		"1x":                     form,
		"1D":                     form,
		"1 d":                    form,
		"-1d":                    form,
		"1d-5h":                  form, // once read as 19 hours
		"1d+5h":                  form,
		"12h1d":                  form,
		"1d 12h":                 form,
		"forever":                form,
		"٣d":                     form, // digits, but not ASCII's
		"0":                      zero,
		"0d":                     zero,
		"0s":                     zero,
		"-36h":                   zero,
		"-1s":                    zero,
		"293y":                   long,
		"106752d":                long,
		"292y200d":               long,
		"99999999999999999999d":  long,
		"9223372036854775807y":   long,
		"292y2000000h":           long,
		"1ms":                    whole,
		"1d1ns":                  whole,
		"1500ms":                 whole,
		"106751d23h47m16.854775": form,
	} {
		got, err := profiles.ParseValidity(in)
		want = strings.ReplaceAll(want, "%q", `"`+in+`"`)
		if got != 0 || err == nil || err.Error() != want {
			t.Errorf("ParseValidity(%q) = %v, %v; want %s", in, got, err, want)
		}
		if !errors.Is(err, profiles.ErrValidity) {
			t.Errorf("ParseValidity(%q): the cause of %v is not ErrValidity", in, err)
		}
	}
}

func TestFormatValidity(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"1y":       year,
		"10y":      10 * year,
		"90d":      90 * day,
		"366d":     366 * day,
		"36h0m0s":  36 * time.Hour,
		"1h30m0s":  90 * time.Minute,
		"1s":       time.Second,
		"0s":       0,
		"-24h0m0s": -day,
	} {
		if got := profiles.FormatValidity(d); got != want {
			t.Errorf("FormatValidity(%v) = %q, want %q", d, got, want)
		}
	}
	for _, d := range []time.Duration{time.Second, day, year, 366 * day, time.Duration(math.MaxInt64).Truncate(time.Second)} {
		got, err := profiles.ParseValidity(profiles.FormatValidity(d))
		if err != nil || got != d {
			t.Errorf("%v comes back as %v, %v", d, got, err)
		}
	}
}
