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

func writeDemoRules(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, alerts.DemoRules(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

var fires int

// publishFire publishes four readings of a fire, the last one measured now.
func publishFire(tb testing.TB, mqtt, sensor string, now time.Time) {
	tb.Helper()
	for i := range 4 {
		fires++
		mosquittoPub(tb, mqtt, sensor, "fw/v1/sensors/"+sensor+"/readings", reading(now.Add(time.Duration(i-3)*30*time.Second), fires, smoke))
	}
}

// childInflux is the process of the embedded influxd.
func childInflux(tb testing.TB, data string) int {
	tb.Helper()
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		tb.Fatal(err)
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
	tb.Fatal("no influxd with this data folder")
	return 0
}

func suspend(tb testing.TB, pid int) {
	tb.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

func resume(tb testing.TB, pid int) {
	tb.Helper()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		tb.Fatal(err)
	}
}
