package export

import (
	"crypto/x509"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

var update = flag.Bool("update", false, "write the golden files anew")

// readFile reads a file of testdata.
func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares got with a golden file, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "golden", name), got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(readFile(t, "golden", name)), string(got)); diff != "" {
		t.Errorf("%s (-want +got), `go test -update` if that is right:\n%s", name, diff)
	}
}

// alice is the bundle in testdata/bundle, the same bytes every time.
func alice(t testing.TB) *pki.Bundle {
	t.Helper()
	b := &pki.Bundle{}
	var err error
	if b.Chain, err = pki.ParseCertificates(readFile(t, "bundle", "tls.crt")); err != nil {
		t.Fatal(err)
	}
	if b.Roots, err = pki.ParseCertificates(readFile(t, "bundle", "ca.crt")); err != nil {
		t.Fatal(err)
	}
	if b.Key, err = pki.ParseKey(readFile(t, "bundle", "tls.key"), nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// client is a bundle with a key of type kind, issued by a.
func client(t testing.TB, a *pki.Authority, kind profiles.KeyType) *pki.Bundle {
	t.Helper()
	return pkitest.Issue(t, a, profiles.Client(), pki.Request{Key: kind, Subject: pki.Subject{CommonName: "client"}})
}

// file returns the only file of an export.
func file(t testing.TB, f Format, b *pki.Bundle) File {
	t.Helper()
	files, err := f.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Fatalf("%d files, want one", len(files))
	}
	return files[0]
}

// names lists the files with their sizes left out: "tls.key (private)".
func names(files []File) (all []string) {
	for _, f := range files {
		if f.Private {
			f.Name += " (private)"
		}
		all = append(all, f.Name)
	}
	return all
}

// wantOption checks that err is an [OptionError] for an option, with a
// suggestion, whose message has all words in it.
func wantOption(t *testing.T, err error, option, suggestion string, words ...string) {
	t.Helper()
	var e *OptionError
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want one about %s", err, option)
	}
	if e.Option != option || e.Suggestion != suggestion {
		t.Errorf("about %q, suggesting %q; want %q, %q", e.Option, e.Suggestion, option, suggestion)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q, want %q in it", err, w)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, e := range Formats() {
		got, err := Find(e.Name)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Error(diff)
		}
		if e.Summary == "" || strings.HasSuffix(e.Summary, ".") {
			t.Errorf("%s: summary %q", e.Name, e.Summary)
		}
		// What a bundle lacks is said, whatever the options.
		if _, err := e.Format.Export(&pki.Bundle{}); !errors.Is(err, ErrNoCertificate) {
			t.Errorf("%s of an empty bundle: error %v, want ErrNoCertificate", e.Name, err)
		}
	}
	if _, err := Find("p13"); err == nil || !strings.HasPrefix(err.Error(), `unknown format "p13": there are pem, secret, `) {
		t.Errorf("error %v", err)
	}
}

func TestLeafName(t *testing.T) {
	t.Parallel()
	issue := func(cn string, sans ...string) *pki.Bundle {
		return pkitest.Issue(t, pkitest.Issuing(t), profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: cn}, SANs: pkitest.SANs(t, sans...)})
	}
	for want, b := range map[string]*pki.Bundle{
		"alice":       issue("alice", "alice.test"),
		"alice.test":  issue("", "alice.test", "10.0.0.1"),
		"10.0.0.1":    issue("", "10.0.0.1"),
		"certificate": {Chain: []*x509.Certificate{{}}},
	} {
		if got := leafName(b); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
