package cmd_test

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// dropPrivileges starts the process anew, if it is root's, without the rights
// that file modes do not bind, and without the variable that asked for it. They
// leave the bounding set first, since root gets all that is in it.
func dropPrivileges(variable string) error {
	if err := os.Unsetenv(variable); err != nil || os.Geteuid() != 0 {
		return err
	}
	runtime.LockOSThread() // the bounding set is a thread's
	for _, c := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return err
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, os.Environ())
}
