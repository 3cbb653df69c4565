//go:build !windows

package atomicfile

import "golang.org/x/sys/unix"

// CheckWritable returns why this process may not make names in a folder: its
// mode, or that of the file system. It makes nothing.
func CheckWritable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
