package ingesttest

import "syscall"

// dieWithParent ends the broker when the test is killed before its cleanup.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
