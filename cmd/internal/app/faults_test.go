package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"firewatch/alerts"
)

func writeDemoRules(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, alerts.DemoRules(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var fires int

// publishFire publishes four readings of a fire, the last one measured now.
func publishFire(t testing.TB, mqtt, sensor string, now time.Time) {
	t.Helper()
	for i := range 4 {
		fires++
		mosquittoPub(t, mqtt, sensor, "fw/v1/sensors/"+sensor+"/readings", reading(now.Add(time.Duration(i-3)*30*time.Second), fires, smoke))
	}
}

// childInflux is the process of the embedded influxd.
func childInflux(t testing.TB, data string) int {
	t.Helper()
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(cmdline), "influxd") && strings.Contains(string(cmdline), data) {
			return pid
		}
	}
	t.Fatal("no influxd with this data folder")
	return 0
}

func suspend(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

func resume(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
