//go:build !linux

package broker

// openFiles would raise the limit of open files. 0: not known.
func openFiles(uint64) uint64 { return 0 }
