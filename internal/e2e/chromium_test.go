package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chromium loads a page in a new profile and returns what it shows. The home
// directory holds the NSS database in which Chromium looks for keys and roots.
func (s *shell) chromium(t *testing.T, home, url string) output {
	t.Helper()
	profile := s.path(home, "profile")
	if err := os.MkdirAll(filepath.Join(profile, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	// There is nobody to choose a certificate. As the AutoSelectCertificateForUrls
	// policy would, this lets Chromium choose any that fits, in this profile alone.
	choose := map[string]any{url + ",*": map[string]any{"setting": map[string]any{"filters": []any{map[string]any{}}}}}
	preferences, err := json.Marshal(map[string]any{"profile": map[string]any{"content_settings": map[string]any{
		"exceptions": map[string]any{"auto_select_certificate": choose},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, home+"/profile/Default/Preferences", preferences)

	// A socket's path must be short.
	temp, err := os.MkdirTemp("", "mtlsctl-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(temp); err != nil {
			t.Error(err)
		}
	})
	browser := *s
	browser.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.path(home), "TMPDIR=" + temp, "LC_ALL=C.UTF-8"}
	return browser.ok(t, "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"+
		" --disable-component-update --disable-sync --disable-breakpad --no-proxy-server --dump-dom --user-data-dir="+profile,
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost", url+"/")
}

// importLine exports a p12 for a program, and returns the command that is printed for
// importing it somewhere.
func (s *shell) importLine(t *testing.T, where, name, program, password string) string {
	t.Helper()
	out := s.ok(t, "mtlsctl export p12 "+name+" --for "+program+" --password-out "+password+" --out", "for "+program+"'s users.p12")
	for line := range strings.Lines(out.stderr) {
		if command, ok := strings.CutPrefix(line, where+": "); ok {
			return strings.TrimSpace(command)
		}
	}
	t.Fatalf("it does not say how %s takes it\n%v", where, out)
	return ""
}

func TestChromium(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"chromium", "nginx", "certutil", "pk12util"},
		"issue server web localhost",
		"issue client alice@example.com",
		"issue client rsa --key rsa-2048",
		"--pki pki-other init-ca --org Other",
		"--pki pki-other issue client mallory@example.com",
		"export p12 rsa --for firefox --out rsa.p12 --password-out rsa.password",
		"--pki pki-other export p12 mallory@example.com --out mallory.p12 --password-out mallory.password",
	)
	alice := s.importLine(t, "Linux (NSS)", "alice@example.com", "chrome", "alice.password")
	_, addresses := s.nginx(t, site{name: "web"})
	_, port, _ := strings.Cut(addresses[0], ":")
	for _, c := range []struct{ name, p12, root, page string }{
		{"with the p12", "alice", ca, "SUCCESS TLSv1.3 CN=alice@example.com\n"},
		{"with an RSA key and AES", "rsa", ca, "SUCCESS TLSv1.3 CN=rsa\n"},
		{"without a p12", "", ca, noCertificate},
		// Which the browser does not offer to a server that asks for other CAs.
		{"with a p12 of another CA", "mallory", ca, noCertificate},
		{"without the root", "alice", "", "ERR_CERT_AUTHORITY_INVALID"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			home := "home-" + strings.ReplaceAll(c.name, " ", "-")
			db := s.nssDB(t, home+"/.pki/nssdb", c.root)
			switch c.p12 {
			case "":
			case "alice":
				s.having("HOME="+s.path(home)).ok(t, "sh -c", alice+" -w alice.password -K ''")
			default:
				s.ok(t, "pk12util -i "+c.p12+".p12 -w "+c.p12+".password"+db+"-K", "")
			}
			s.chromium(t, home, "https://localhost:"+port).mustSay(t, c.page)
		})
	}
}
