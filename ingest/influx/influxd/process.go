package influxd

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A child is one run of the server.
type child struct {
	proc    *os.Process
	started time.Time
	exited  chan struct{}
	err     error // valid once exited is closed; nil for exit status 0
}

// spawn starts the server on an operating-system thread of its own and keeps
// that thread until the child has ended: Linux sends the parent-death signal
// when the starting thread ends, which for an ordinary goroutine may be any
// time.
func spawn(binary, configPath string, out io.Writer) (*child, error) {
	cmd := exec.Command(binary, "-config", configPath) //nolint:gosec,noctx // the configured server; it outlives the call that starts it
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = cleanEnv(os.Environ())
	cmd.SysProcAttr = childAttr()
	cmd.WaitDelay = 5 * time.Second
	c := &child{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := cmd.Start()
		c.proc, c.started = cmd.Process, time.Now()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// cleanEnv takes out the variables by which influxd lets the environment win
// over its configuration file.
func cleanEnv(env []string) []string {
	out := make([]string, 0, len(env))
	for _, e := range env {
		if !strings.HasPrefix(e, "INFLUXDB_") && !strings.HasPrefix(e, "INFLUX_") {
			out = append(out, e)
		}
	}
	return out
}

// ended reports whether the run is over.
func (c *child) ended() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}
