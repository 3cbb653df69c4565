//go:build !linux

package cmd_test

import (
	"errors"
	"os"
)

// dropPrivileges is for root on Linux, as in containers.
func dropPrivileges(variable string) error {
	if os.Geteuid() == 0 {
		return errors.New("root cannot give up its privileges here; run the tests as another user")
	}
	return os.Unsetenv(variable)
}
