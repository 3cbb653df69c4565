//go:build !windows

package trust

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lay makes files, and folders where a path ends in a slash.
func lay(t *testing.T, dir string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		file := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if strings.HasSuffix(p, "/") {
			err = os.MkdirAll(file, 0o700)
		} else {
			err = os.WriteFile(file, []byte("#!/bin/sh\nexit 0\n"), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// machine is one in a folder: nothing of the real one is seen.
func machine(dir string, env ...string) *Machine {
	all := map[string]string{"HOME": filepath.Join(dir, "home"), "PATH": filepath.Join(dir, "bin") + string(filepath.ListSeparator) + "relative"}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		all[name] = value
	}
	return &Machine{Root: dir, Getenv: func(name string) string { return all[name] }}
}

// found lists stores as "kind path", with what is to be known of them.
func found(dir string, stores []*Store) (all []string) {
	for _, s := range stores {
		text := string(s.Kind) + " " + strings.TrimPrefix(s.Path, dir)
		if s.New {
			text += " new"
		}
		if s.Missing != "" {
			text += " without " + s.Missing
		}
		all = append(all, text)
	}
	return all
}

func TestFindFirefox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, "bin/certutil",
		"home/.mozilla/firefox/abc.default/cert9.db",
		"home/.mozilla/firefox/never-started/",
		"home/.mozilla/firefox/ancient/cert8.db",
		"home/.config/mozilla/firefox/xdg.default/cert9.db",
		"home/snap/firefox/common/.mozilla/firefox/snap.default/cert9.db",
		"home/.var/app/org.mozilla.firefox/.mozilla/firefox/flatpak.default/cert9.db",
		"home/Library/Application Support/Firefox/Profiles/mac.default/cert9.db",
		"elsewhere/cert9.db",
	)
	ini := "[Profile0]\nIsRelative=0\nPath=" + filepath.Join(dir, "elsewhere") + "\n[Profile1]\nIsRelative=1\nPath=abc.default\n[Profile2]\nPath=gone\n"
	if err := os.WriteFile(filepath.Join(dir, "home/.mozilla/firefox/profiles.ini"), []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"firefox /elsewhere",
		"firefox /home/.mozilla/firefox/abc.default",
		"firefox /home/.config/mozilla/firefox/xdg.default",
		"firefox /home/snap/firefox/common/.mozilla/firefox/snap.default",
		"firefox /home/.var/app/org.mozilla.firefox/.mozilla/firefox/flatpak.default",
		"firefox /home/Library/Application Support/Firefox/Profiles/mac.default",
	}
	if diff := cmp.Diff(want, found(dir, machine(dir).Stores(false, Firefox))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := machine(dir, "HOME=").Stores(true, Firefox, Chromium); len(got) != 0 {
		t.Errorf("without a home there are %v", found(dir, got))
	}
	if err := os.Remove(filepath.Join(dir, "bin/certutil")); err != nil {
		t.Fatal(err)
	}
	if got := found(dir, machine(dir).Stores(false, Firefox)); len(got) != 6 || got[0] != "firefox /elsewhere without certutil" {
		t.Errorf("without certutil there are %v", got)
	}
}

func TestFindChromium(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere it takes what the system trusts")
	}
	for name, tt := range map[string]struct {
		files []string
		all   bool
		want  []string
	}{
		"none":                {nil, false, nil},
		"none, and asked for": {nil, true, []string{"chromium /home/.pki/nssdb new"}},
		"never started":       {[]string{"bin/google-chrome"}, false, []string{"chromium /home/.pki/nssdb new"}},
		"one":                 {[]string{"home/.pki/nssdb/cert9.db"}, false, []string{"chromium /home/.pki/nssdb"}},
		"several": {
			[]string{"home/.pki/nssdb/cert9.db", "home/.local/share/pki/nssdb/cert9.db", "home/snap/chromium/current/.pki/nssdb/cert9.db", "home/.var/app/com.google.Chrome/.pki/nssdb/cert9.db"}, true,
			[]string{
				"chromium /home/.pki/nssdb", "chromium /home/.local/share/pki/nssdb", "chromium /home/snap/chromium/current/.pki/nssdb",
				"chromium /home/.var/app/com.google.Chrome/.pki/nssdb",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lay(t, dir, append(tt.files, "bin/certutil")...)
			if diff := cmp.Diff(tt.want, found(dir, machine(dir).Stores(tt.all, Chromium))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindJava(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, "usr/lib/jvm/a/lib/security/cacerts", "usr/lib/jvm/a/bin/keytool", "usr/lib/jvm/b/lib/security/",
		"opt/jdk8/jre/lib/security/cacerts", "opt/jdk8/bin/java", "home/.sdkman/candidates/java/21/lib/security/cacerts", "bin/")
	for from, to := range map[string]string{
		"usr/lib/jvm/b/lib/security/cacerts": "usr/lib/jvm/a/lib/security/cacerts", "bin/java": "opt/jdk8/bin/java",
	} {
		if err := os.Symlink(filepath.Join(dir, to), filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	dir = resolved(dir)
	want := []string{
		"java /opt/jdk8/jre/lib/security/cacerts without keytool", "java /usr/lib/jvm/a/lib/security/cacerts",
		"java /home/.sdkman/candidates/java/21/lib/security/cacerts without keytool",
	}
	if diff := cmp.Diff(want, found(dir, machine(dir).Stores(false, Java))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// JAVA_HOME names one, and no other is looked at.
	if diff := cmp.Diff(want[1:2], found(dir, machine(dir, "JAVA_HOME="+filepath.Join(dir, "usr/lib/jvm/a")).Stores(false, Java))); diff != "" {
		t.Errorf("JAVA_HOME (-want +got):\n%s", diff)
	}
	if got := machine(dir, "JAVA_HOME="+dir).Stores(true, Java); len(got) != 0 {
		t.Errorf("where there is no Java there are %v", found(dir, got))
	}
}
