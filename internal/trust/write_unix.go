//go:build !windows

package trust

import "golang.org/x/sys/unix"

// canWrite returns why this process may not write to a file or folder.
func canWrite(path string) error { return unix.Access(path, unix.W_OK) }
