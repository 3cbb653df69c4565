package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/export"
)

// A key store that is cut off anywhere is refused, with and without a password,
// and so is one that is larger than any.
func TestShowBrokenStores(t *testing.T) {
	t.Parallel()
	const password = "correct-horse"
	for name, tt := range map[string]struct {
		file  string
		cause error
	}{
		"p12":            {filepath.Join(p12Dir, "openssl3-aes.p12"), export.ErrP12},
		"p12 truststore": {filepath.Join(p12Dir, "keytool17-trust.p12"), export.ErrP12},
		"jks":            {filepath.Join(p12Dir, "..", "jks", "keytool17.jks"), export.ErrJKS},
	} {
		data := readAll(t, tt.file)
		for _, n := range []int{20, 40, 100, 300, len(data) / 2, len(data) - 21, len(data) - 20, len(data) - 1} {
			for _, args := range [][]string{{"show", "-"}, {"show", "-", "--password-env", "PW"}, {"show", "-", "--json"}} {
				stdout, stderr, code := runIn(t, data[:n], password, args...)
				if want := "mtlsctl: standard input: " + tt.cause.Error() + ": "; stdout != "" || code != exitFailed || !strings.HasPrefix(stderr, want) {
					t.Errorf("%s, %d of %d bytes, %v: status %d, %s%s\nwant %s", name, n, len(data), args, code, stdout, stderr, want)
				}
			}
		}

		// A hole in the file costs no disk.
		path := filepath.Join(t.TempDir(), "large")
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Truncate(path, export.MaxP12Size+1)); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := runIn(t, nil, "", "show", path)
		if want := fmt.Sprintf("mtlsctl: %s is larger than %d bytes\n", path, maxShow); stdout != "" || code != exitFailed || stderr != want {
			t.Errorf("%s, large: status %d, %s%s\nwant %s", name, code, stdout, stderr, want)
		}
	}
}

// What is in a keystore by Java itself, and what is said of it without and with
// its password.
func TestShowJKS(t *testing.T) {
	t.Parallel()
	data := readAll(t, filepath.Join(p12Dir, "..", "jks", "keytool17.jks"))
	const entries = `  "acme root"      certificate that Java trusts, of 2026-11-22
                   certificate 1, Acme root CA
  "alice at acme"  key, encrypted, of 2026-11-22
                   certificate 2, alice@example.com
                   certificate 3, Acme issuing CA
                   certificate 4, Acme root CA
`
	for password, title := range map[string]string{
		"":              "Java keystore (JKS): not opened: without the password, nothing shows whether it was changed\n",
		"correct-horse": "Java keystore (JKS): opened, and whole\n",
	} {
		args := []string{"show", "-"}
		if password != "" {
			args = append(args, "--password-env", "PW")
		}
		if stdout, stderr, code := runIn(t, data, password, args...); code != exitDone || stderr != "" || !strings.HasPrefix(stdout, title+entries) {
			t.Errorf("status %d, %s%s\nwant %s", code, stdout, stderr, title+entries)
		}
	}
	stdout, stderr, code := runIn(t, data, "wrong", "show", "-", "--password-env", "PW")
	if stdout != "" || code != exitFailed || !strings.Contains(stderr, "wrong password, or the keystore was changed\nhint: without a password, ") {
		t.Errorf("a wrong password: status %d, %s%s", code, stdout, stderr)
	}
}
