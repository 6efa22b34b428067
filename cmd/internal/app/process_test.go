package app

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// mainVariable makes the test binary be the program firewatch.
const mainVariable = "TEST_IS_FIREWATCH"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		os.Exit(Main()) //nolint:forbidigo // the test binary is the program then
	}
	m.Run()
}

// process is firewatch in a process of its own, which can be killed.
type process struct {
	Addresses
	cmd *exec.Cmd
	out *lockedBuffer
}

// spawn starts firewatch up with the arguments and waits until it serves.
func spawn(tb testing.TB, args ...string) *process {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{out: &lockedBuffer{}}
	p.cmd = exec.Command(self, append([]string{"up", "--influx-binary", influxBinary(tb), "--log-level", "warn"}, args...)...) // killed by kill
	p.cmd.Env = append(os.Environ(), mainVariable+"=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = p.out
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("firewatch said:\n%s", p.out)
		}
	})
	serving := make(chan struct{})
	go func() {
		var once sync.Once
		lines := bufio.NewScanner(io.TeeReader(stdout, p.out))
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			switch {
			case len(fields) == 3 && fields[1] == "console":
				p.HTTP = fields[2]
			case len(fields) == 2 && fields[0] == "MQTT":
				p.MQTT = fields[1]
			case strings.Contains(lines.Text(), "Ctrl-C"):
				once.Do(func() { close(serving) })
			}
		}
	}()
	select {
	case <-serving:
	case <-time.After(patience):
		tb.Fatalf("firewatch does not serve: %s", p.out)
	}
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
