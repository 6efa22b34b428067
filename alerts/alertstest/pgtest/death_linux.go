package pgtest

import "syscall"

// dieWithParent ends the server when the test is killed before its cleanup.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
