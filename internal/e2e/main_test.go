package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// mtlsctl is the binary under test.
var mtlsctl string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// buildAndRun builds the binary as it is released.
func buildAndRun(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "mtlsctl-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	mtlsctl = filepath.Join(dir, "mtlsctl")
	build := exec.Command("go", "build", "-trimpath", "-o", mtlsctl, "../../cmd/mtlsctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building mtlsctl: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
