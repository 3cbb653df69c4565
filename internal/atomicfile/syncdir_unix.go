//go:build !windows

package atomicfile

import (
	"errors"
	"os"
)

// SyncDir makes the names in a folder durable.
func SyncDir(root *os.Root, name string) (err error) {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
