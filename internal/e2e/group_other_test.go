//go:build !linux

package e2e

import "os/exec"

func group(*exec.Cmd) {}

// killGroup kills a program. Elsewhere than on Linux it must see to its children.
func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
