package pkitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// sbin holds servers such as nginx, and is in no ordinary user's PATH.
var sbin = []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/homebrew/sbin"}

// Program returns the path of an outside program. Where it is missing the test
// is skipped, and with CI=true it fails, so that no judge is lost unnoticed;
// both name the program.
func Program(t testing.TB, name string) string {
	t.Helper()
	if path, ok := LookProgram(name); ok {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("the program %s is missing, and CI must have it: see .ci/run", name)
	}
	t.Skipf("the program %s is missing", name)
	return ""
}

// LookProgram is [Program] for those who can do without.
func LookProgram(name string) (path string, ok bool) {
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	if runtime.GOOS == "windows" || filepath.Base(name) != name {
		return "", false
	}
	for _, dir := range sbin {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, true
		}
	}
	return "", false
}
