package ingesttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Mosquitto is a real mosquitto broker on loopback, without limits that lose
// messages, that keeps its sessions over a restart.
type Mosquitto struct {
	Addr string // host:port
	conf string
	log  *bytes.Buffer
	cmd  *exec.Cmd
}

// StartMosquitto starts a broker that is stopped with the test. It fails the
// test when mosquitto is not installed. Lines are added to its configuration,
// and win over what is there.
func StartMosquitto(tb testing.TB, lines ...string) *Mosquitto {
	tb.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		tb.Fatalf("mosquitto is missing: apt-get install mosquitto mosquitto-clients: %v", err)
	}
	dir := tb.TempDir()
	m := &Mosquitto{Addr: freeAddr(tb), conf: filepath.Join(dir, "mosquitto.conf")}
	host, port, _ := net.SplitHostPort(m.Addr)
	conf := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 0\nuser root\n",
		port, host, dir)
	conf += strings.Join(append(lines, ""), "\n")
	if err := os.WriteFile(m.conf, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	m.Start(tb)
	tb.Cleanup(func() { m.Stop(tb) })
	return m
}

// URL is the broker's address for a client.
func (m *Mosquitto) URL() string { return "tcp://" + m.Addr }

// Start starts the stopped broker again, on the same port.
func (m *Mosquitto) Start(tb testing.TB) {
	tb.Helper()
	m.log = &bytes.Buffer{}
	m.cmd = exec.Command("mosquitto", "-c", m.conf) //nolint:gosec,noctx // our own configuration; lives as long as the test wants
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(m.cmd.SysProcAttr)
	if err := m.cmd.Start(); err != nil {
		tb.Fatalf("starting mosquitto: %v", err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", m.Addr) //nolint:noctx // loopback
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("mosquitto does not listen on %s: %v", m.Addr, err)
		}
	}
}

// Stop stops the broker in order; it writes its sessions down.
func (m *Mosquitto) Stop(tb testing.TB) { m.signal(tb, syscall.SIGTERM) }

// Kill ends the broker at once.
func (m *Mosquitto) Kill(tb testing.TB) { m.signal(tb, syscall.SIGKILL) }

func (m *Mosquitto) signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Signal(s)
	_ = m.cmd.Wait()
	m.cmd = nil
}

func freeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		tb.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	return addr
}

// PID is the process of the broker that runs now.
func (m *Mosquitto) PID() int { return m.cmd.Process.Pid }
