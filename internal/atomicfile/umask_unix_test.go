//go:build !windows

package atomicfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

const umaskEnv = "MTLSCTL_UMASK"

// Modes are what they are asked to be, whatever the umask. It is the whole
// process's, so each has one of its own.
func TestUmask(t *testing.T) {
	t.Parallel()
	if s := os.Getenv(umaskEnv); s != "" {
		mask, err := strconv.ParseInt(s, 8, 32)
		must(t, err)
		syscall.Umask(int(mask))
		root, dir := open(t)
		must(t, Create(root, "key", nil, Private))
		must(t, Create(root, "crt", nil, Public))
		must(t, Replace(root, "key2", nil, Private))
		must(t, root.Mkdir("d", PrivateDir))
		must(t, Fill(root, "d", File{"key", nil, Private}, File{"crt", nil, Public}))
		expect(t, dir, map[string]string{
			"key": "-rw------- ", "crt": "-rw-r--r-- ", "key2": "-rw------- ",
			"d": "drwx------", "d/key": "-rw------- ", "d/crt": "-rw-r--r-- ",
		})
		return
	}
	for _, mask := range []string{"000", "022", "027", "077"} {
		c := exec.Command(os.Args[0], "-test.run=^TestUmask$")
		c.Env = append(os.Environ(), umaskEnv+"="+mask)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("umask %s: %v\n%s", mask, err, out)
		}
	}
}

func TestCheckWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, CheckWritable(dir))
	if err := CheckWritable(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a folder that is not there")
	}
	if os.Geteuid() == 0 {
		return // the test scripts try this as root, too
	}
	must(t, os.Chmod(dir, 0o500))
	if err := CheckWritable(dir); !os.IsPermission(err) {
		t.Errorf("a folder that is locked: %v", err)
	}
	must(t, os.Chmod(dir, 0o700))
}
