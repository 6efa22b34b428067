//go:build !linux

package influxd

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// Away from Linux a killed parent leaves its child behind, and two parents are
// not kept apart: fit for trying things out only.

var errLocked = errors.New("locked")

func childAttr() *syscall.SysProcAttr { return nil }

func terminate(p *os.Process) error { return p.Signal(os.Interrupt) }

func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

func stopOrphan(string, string, time.Duration) (int, error) { return 0, nil }
