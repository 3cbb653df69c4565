package trust

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// certutil finds the program of NSS. That of Windows has the same name and
// nothing else in common.
func (m *Machine) certutil() string {
	if runtime.GOOS == "windows" {
		return ""
	}
	// Homebrew keeps it out of PATH.
	return m.lookPath("certutil", m.at("/opt/homebrew/opt/nss/bin"), m.at("/usr/local/opt/nss/bin"))
}

// nssPackage is what certutil comes with.
func nssPackage() string {
	if runtime.GOOS == "darwin" {
		return "nss (Homebrew)"
	}
	return "libnss3-tools (Debian, Ubuntu), nss-tools (Fedora, Alpine), mozilla-nss-tools (openSUSE) or nss (Arch)"
}

// firefoxFolders are where profiles.ini can be: that of a distribution's or
// Mozilla's own package, the one of Firefox 147 and later, Snap's and Flatpak's;
// and macOS's.
func (m *Machine) firefoxFolders() []string {
	config := m.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = m.home(".config")
	}
	return []string{
		m.home(".mozilla", "firefox"),
		filepath.Join(config, "mozilla", "firefox"),
		m.home("snap", "firefox", "common", ".mozilla", "firefox"),
		m.home(".var", "app", "org.mozilla.firefox", ".mozilla", "firefox"),
		m.home(".var", "app", "org.mozilla.firefox", "config", "mozilla", "firefox"),
		m.home("Library", "Application Support", "Firefox"),
	}
}

// firefoxStores are the profiles that Firefox has used. Where it runs on Windows,
// it takes what the system trusts.
func (m *Machine) firefoxStores() (stores []*Store) {
	if runtime.GOOS == "windows" || m.home() == "" {
		return nil
	}
	var dirs []string
	for _, folder := range m.firefoxFolders() {
		if data, err := os.ReadFile(filepath.Join(folder, "profiles.ini")); err == nil {
			dirs = append(dirs, parseProfiles(folder, string(data))...)
		}
		// Those that profiles.ini has forgotten, or never knew.
		for _, pattern := range []string{"*", filepath.Join("Profiles", "*")} {
			found, _ := filepath.Glob(filepath.Join(quoteGlob(folder), pattern, "cert9.db")) // the pattern is good
			for _, db := range found {
				dirs = append(dirs, filepath.Dir(db))
			}
		}
	}
	for _, dir := range distinct(dirs) {
		if exists(filepath.Join(dir, "cert9.db")) {
			stores = append(stores, m.nssStore(Firefox, dir))
		}
	}
	return stores
}

// parseProfiles returns the folders of the profiles that a profiles.ini in a
// folder names.
func parseProfiles(folder, ini string) (dirs []string) {
	path, relative, in := "", true, false
	end := func() {
		if in && path != "" {
			if relative {
				path = filepath.Join(folder, filepath.FromSlash(path))
			}
			if filepath.IsAbs(path) {
				dirs = append(dirs, filepath.Clean(path))
			}
		}
		path, relative = "", true
	}
	for line := range strings.Lines(ini) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			end()
			in = strings.HasPrefix(line, "[Profile")
			continue
		}
		switch key, value, _ := strings.Cut(line, "="); key {
		case "Path":
			path = value
		case "IsRelative":
			relative = value != "0"
		}
	}
	end()
	return dirs
}

// chromiumStores are the databases that Chromium, Chrome, Edge and others share,
// and those of the ones from Snap and Flatpak, which have homes of their own.
func (m *Machine) chromiumStores(all bool) (stores []*Store) {
	// Elsewhere Chromium takes what the system trusts.
	if runtime.GOOS != "linux" || m.home() == "" {
		return nil
	}
	data := m.Getenv("XDG_DATA_HOME")
	if data == "" {
		data = m.home(".local", "share")
	}
	shared := m.home(".pki", "nssdb")
	dirs := []string{shared, filepath.Join(data, "pki", "nssdb")}
	for _, pattern := range [][]string{{"snap", "*", "current"}, {".var", "app", "*"}, {".var", "app", "*", "data"}} {
		for _, nssdb := range []string{".pki", "pki"} {
			found, _ := filepath.Glob(filepath.Join(quoteGlob(m.home()), filepath.Join(pattern...), nssdb, "nssdb")) // the pattern is good
			dirs = append(dirs, found...)
		}
	}
	for _, dir := range distinct(dirs) {
		if exists(filepath.Join(dir, "cert9.db")) {
			stores = append(stores, m.nssStore(Chromium, dir))
		}
	}
	if len(stores) == 0 && (all || m.hasChromium()) {
		stores = append(stores, m.nssStore(Chromium, shared))
	}
	return stores
}

// hasChromium reports whether there is a browser that would use the database.
func (m *Machine) hasChromium() bool {
	return slices.ContainsFunc([]string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "brave-browser", "vivaldi",
	}, func(name string) bool { return m.lookPath(name) != "" })
}

// distinct leaves out the folders that are others, under another name.
func distinct(dirs []string) (all []string) {
	seen := map[string]bool{}
	for _, dir := range dirs {
		if real := resolved(dir); !seen[real] {
			seen[real] = true
			all = append(all, dir)
		}
	}
	return all
}

// quoteGlob makes a path one that matches itself.
func quoteGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}
