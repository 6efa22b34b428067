//go:build !linux

package ingesttest

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
