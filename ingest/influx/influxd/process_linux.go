package influxd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// childAttr ties the child's life to the thread that starts it, and puts it in
// a process group of its own, so that a Ctrl-C in the terminal reaches the
// parent alone, which then stops the child after its last writes. SIGKILL is
// safe: what was acknowledged is in the WAL.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked")

// lockFile takes the lock that lasts as long as this process or the returned
// file. The kernel lets go of it when the process is killed.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // our own folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, err
	}
	return f, nil
}

// stopOrphan ends the server that a killed parent left behind, if the pid file
// names one and that process really runs with our configuration file. It
// returns the pid that it ended, or 0.
func stopOrphan(pidPath, configPath string, patience time.Duration) (int, error) {
	text, err := os.ReadFile(pidPath) //nolint:gosec // our own folder
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0, nil // a torn pid file names nobody
	}
	p, err := os.FindProcess(pid) // holds the process itself, not the number
	if err != nil {
		return 0, nil // it is gone
	}
	defer p.Release() //nolint:errcheck // nothing to do about it
	if !runsWith(pid, configPath) {
		return 0, nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return 0, fmt.Errorf("signal process %d: %w", pid, err)
		}
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if !runsWith(pid, configPath) {
				return pid, nil
			}
		}
	}
	return 0, fmt.Errorf("process %d does not end", pid)
}

// runsWith reports whether the process is alive and was started with the
// configuration file. A zombie has no command line any more.
func runsWith(pid int, configPath string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := bytes.Split(bytes.TrimRight(b, "\x00"), []byte{0})
	i := slices.IndexFunc(args, func(a []byte) bool { return string(a) == "-config" })
	return i > 0 && i+1 < len(args) && string(args[i+1]) == configPath
}
