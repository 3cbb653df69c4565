//go:build !windows

package cmd

import (
	"io/fs"
	"os"
	"syscall"
)

// ownerOf returns the owner and group of a file that this process can give it
// back to.
func ownerOf(info fs.FileInfo) (uid, gid int, ok bool) {
	if info == nil || os.Geteuid() != 0 {
		return 0, 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}
