package profiles_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// seed adds seeds and fails without any: a fuzzer that starts from nothing
// finds nothing, and says so by passing.
func seed[T string | []byte](f *testing.F, seeds []T) {
	f.Helper()
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
}

func FuzzParseValidity(f *testing.F) {
	seed(f, []string{
		"1y", "90d", "36h30m", "1y6w2d", "0", "-1h", "", "1.5h", "292y", "293y", "9223372036854775807y", "1d1ns", "µs",
		"1d-5h", // was read as 19 hours
	})
	f.Fuzz(func(t *testing.T, s string) {
		d, err := profiles.ParseValidity(s)
		if err != nil {
			if d != 0 {
				t.Fatalf("%q: %v beside %v", s, d, err)
			}
			return
		}
		if d <= 0 {
			t.Fatalf("%q is %v", s, d)
		}
		again, err := profiles.ParseValidity(profiles.FormatValidity(d))
		if err != nil || again != d {
			t.Fatalf("%q is %v, written %q, which is %v, %v", s, d, profiles.FormatValidity(d), again, err)
		}
	})
}

func FuzzParseProfile(f *testing.F) {
	seed(f, []string{
		"usages: [client auth]", everyField, namesProfile, "usages: &a [any]\nkeys: *a", "{}", "- 1", "usages: [client auth]\n---\n", "\t", "a: b: c", "!!binary x",
		"usages: [key agreement, encipher only]\nkeys: [ec-p256]", "? [a]\n: b", "<<: {usages: [any]}",
	})
	f.Fuzz(func(t *testing.T, s string) {
		p, err := profiles.Parse("fuzz", []byte(s))
		if err != nil {
			if p != nil {
				t.Fatalf("a profile beside %v", err)
			}
			return
		}
		if p.Validity() <= 0 || p.MaxValidity() != 0 && p.Validity() > p.MaxValidity() {
			t.Errorf("validity %v of at most %v", p.Validity(), p.MaxValidity())
		}
		for _, k := range p.Keys() {
			if p.KeyUsageFor(k) == 0 && len(p.ExtKeyUsage()) == 0 {
				t.Errorf("a certificate for %s is good for nothing", k)
			}
		}
		for _, k := range p.Required() {
			if !p.Allows(k) {
				t.Errorf("%s is required and not allowed", k)
			}
		}
		again, err := profiles.Parse("fuzz", []byte(s))
		if diff := cmp.Diff(factsOf(p), factsOf(again)); err != nil || diff != "" {
			t.Errorf("read twice: %v\n%s", err, diff)
		}
	})
}
