package broker

import "syscall"

// openFiles raises the limit of open files to want, as far as that is allowed,
// and returns what it is then. 0: not known.
func openFiles(want uint64) uint64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	have := r.Cur
	if have >= want {
		return have
	}
	hard := r.Max
	for _, try := range []uint64{want, hard} {
		next := r
		next.Cur, next.Max = try, max(try, hard)
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &next) == nil {
			return try
		}
	}
	return have
}
