package cmd

import "io/fs"

// ownerOf: the owner of a file is left to the system.
func ownerOf(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
