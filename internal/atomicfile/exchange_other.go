//go:build !linux

package atomicfile

import "errors"

// exchange needs Linux.
func exchange(_, _ string) error { return errors.ErrUnsupported }
