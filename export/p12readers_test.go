package export

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func target(t testing.TB, name string) P12Target {
	t.Helper()
	target, err := ParseP12Target(name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// readerNames lists the names of a target's readers, or of a list of them.
func readerNames(readers []P12Reader) (all []string) {
	for _, r := range readers {
		all = append(all, r.Name)
	}
	return all
}

func TestP12ReadersTable(t *testing.T) {
	t.Parallel()
	previous := P12Reader{}
	for _, r := range p12Readers {
		if len(r.reads) != needOther || strings.Trim(r.reads, "yn?") != "" {
			t.Errorf("%s answers %q, want one letter for each of %d columns", r.Name, r.reads, needOther)
		}
		if r.family == previous.family {
			older, _ := parseVersion(r.family, previous.since)
			if newer, ok := parseVersion(r.family, r.since); !ok || slices.Compare(older, newer) >= 0 {
				t.Errorf("%s comes after %s", r.Name, previous.Name)
			}
		}
		if got := readerNames(target(t, r.Name).Readers()); r.Name != r.family && !slices.Equal(got, []string{r.Name}) {
			t.Errorf("%s names %v", r.Name, got)
		}
		previous = r
	}
}

func TestParseP12Target(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"macos":        "macos14 macos15",
		"macOS":        "macos14 macos15",
		"macos13":      "macos14",
		"macos14.7":    "macos14",
		"macos15":      "macos15",
		"macos26":      "macos15",
		"ios16":        "ios17",
		"ios18.1":      "ios18",
		"windows7":     "windows8",
		"windows8.1":   "windows8",
		"windows11":    "windows10",
		"windows2012":  "windows2016",
		"windows2016":  "windows2016",
		"windows2022":  "windows2019",
		"android":      "android",
		"android16":    "android",
		"firefox140":   "firefox",
		"java1.8":      "java8",
		"java11":       "java8",
		"java17":       "java15",
		"java26":       "java26",
		"openssl1.1.1": "openssl1",
		"openssl111":   "openssl1",
		"openssl3":     "openssl3",
		"openssl3.0.2": "openssl3",
		"openssl34":    "openssl3.4",
		"openssl3.10":  "openssl3.4",
		"openssl4":     "openssl3.4",
		"openssl-fips": "openssl-fips",
		"nss3.87":      "nss",
		"chrome":       "macos14 macos15 windows8 windows10 windows2016 windows2019 android nss",
		"safari":       "macos14 macos15 ios17 ios18",
		"curl":         "openssl1 openssl3 openssl3.4",
	} {
		if got := strings.Join(readerNames(target(t, name).Readers()), " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, name := range []string{"", "15", "mac", "macos-15", "macos.", "macos15.", "openssl3..4", "chrome120", "macos15x", "java 8"} {
		_, err := ParseP12Target(name)
		wantOption(t, err, "for", "", "there are macos, macos14, macos15, ios")
	}
	for _, name := range P12TargetNames() {
		if got := target(t, name).String(); got != name {
			t.Errorf("%s calls itself %s", name, got)
		}
	}
}

func TestBestP12Encoding(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]P12Encoding{
		"":                           Compat,
		"macos":                      Compat,
		"ios":                        Compat,
		"windows":                    Compat,
		"android":                    Compat,
		"java":                       Compat,
		"chrome":                     Compat,
		"macos14 firefox":            Compat,
		"macos15 firefox":            Modern2023,
		"macos26 ios18":              Modern2023,
		"windows11 windows2022":      Modern2023,
		"java17 openssl nss curl":    Modern2023,
		"openssl3.4":                 Modern2026,
		"java26 openssl34":           Modern2026,
		"openssl-fips java26":        Modern2026,
		"java26 openssl3.4 firefox":  Modern2023,
		"java26 openssl3.4 gnutls":   Modern2023,
		"openssl3.4 openssl1 java26": Modern2023,
	} {
		var targets []P12Target
		for _, n := range strings.Fields(names) {
			targets = append(targets, target(t, n))
		}
		if got, err := BestP12Encoding(targets); err != nil || got != want {
			t.Errorf("for %q: %s, %v; want %s", names, got, err, want)
		}
	}
	_, err := BestP12Encoding([]P12Target{target(t, "openssl-fips"), target(t, "nss")})
	wantOption(t, err, "for", "", "openssl-fips reads modern-2026; nss reads compat, modern-2023")

	// What is written by default is read by all that work without FIPS.
	for _, r := range p12Readers {
		if r.answer(needDES) != 'y' && r.Name != "openssl-fips" {
			t.Errorf("%s does not read the default", r.Name)
		}
	}
}

func TestP12Encodings(t *testing.T) {
	t.Parallel()
	for _, e := range P12Encodings() {
		if got, err := ParseP12Encoding(string(e)); err != nil || got != e || e.Summary() == "" {
			t.Errorf("%s: %s, %v, summary %q", e, got, err, e.Summary())
		}
	}
	_, err := ParseP12Encoding("RC2")
	wantOption(t, err, "encoding", "", `"RC2"`, "compat, modern-2023, modern-2026")
}

func TestImport(t *testing.T) {
	t.Parallel()
	for _, name := range P12TargetNames() {
		steps := target(t, name).Import("alice@example.com.p12")
		if len(steps) == 0 {
			t.Errorf("%s: no import step", name)
		}
		for _, s := range steps {
			if s.Where == "" || s.Command+s.Text == "" {
				t.Errorf("%s: %+v", name, s)
			}
			if s.Command != "" && !strings.Contains(s.Command, "alice@example.com.p12") {
				t.Errorf("%s: no file in %q", name, s.Command)
			}
		}
	}
	want := []ImportStep{{Where: "macOS", Command: "security import alice.p12 -k ~/Library/Keychains/login.keychain-db -f pkcs12"}}
	if diff := cmp.Diff(want, target(t, "macos15").Import("alice.p12")); diff != "" {
		t.Error(diff)
	}
}
