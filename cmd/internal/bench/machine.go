//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuOf is the user and system time of the process in seconds; 0 when it is gone.
func cpuOf(pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) //nolint:gosec // a number
	if err != nil {
		return 0
	}
	// The name in brackets may hold anything; fields are counted after it.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	return (number(fields[11]) + number(fields[12])) / 100
}

// memoryOf is the process's memory in MiB: VmRSS now, VmHWM at its most.
func memoryOf(pid int, key string) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) //nolint:gosec // a number
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == key+":" {
			return number(fields[1]) / 1024
		}
	}
	return 0
}

func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return x
}

// busy is how many seconds the machine's processors have worked, and how many
// others on the same host took from them.
func busy() (work, stolen float64) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	f := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal
	if len(f) < 9 {
		return 0, 0
	}
	return (number(f[1]) + number(f[2]) + number(f[3]) + number(f[6]) + number(f[7])) / 100, number(f[8]) / 100
}

// awaitQuiet returns when the machine has been idle for a second, or after the
// limit.
func awaitQuiet(ctx context.Context, limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		before, _ := busy()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		if after, _ := busy(); after-before < 0.05*float64(runtime.NumCPU()) {
			return
		}
	}
}

// noiseLimit is how much of the processors others may use during a run.
const noiseLimit = 0.08

// raiseFiles lets our children have as many open files as this process may, and
// returns how many that are.
func raiseFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if more := (syscall.Rlimit{Cur: wantFiles, Max: wantFiles}); l.Max < wantFiles && syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
		return wantFiles, nil
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	return int(min(l.Max, 1<<30)), nil
}

// wantFiles serves the largest fleet; ownFiles is what a server needs beside its
// connections.
const (
	wantFiles = 25_000
	ownFiles  = 600
)

// machine describes where the figures come from.
func machine(dir string) string {
	var u syscall.Utsname
	kernel := "?"
	if syscall.Uname(&u) == nil {
		var b []byte
		for _, c := range u.Release {
			if c == 0 {
				break
			}
			b = append(b, byte(c)) //nolint:gosec // ASCII
		}
		kernel = string(b)
	}
	memory := 0.0
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(raw)); len(f) > 1 {
			memory = number(f[1]) / (1 << 20)
		}
	}
	return fmt.Sprintf("%d × %s, %.0f GiB, Linux %s, %s, fsync of 64 KiB %s at the median",
		runtime.NumCPU(), processor(), memory, kernel, runtime.Version(), fsync(dir))
}

func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// fsync is how long the disk takes to keep 64 KiB, without which a rate of durable
// writes says little.
func fsync(dir string) string {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return "?"
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	var took []time.Duration
	for range 25 {
		begin := time.Now()
		if _, err := f.Write(make([]byte, 64<<10)); err != nil {
			return "?"
		}
		if err := f.Sync(); err != nil {
			return "?"
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)/2].Round(10 * time.Microsecond).String()
}

// profile writes the CPU profile of this process to the file until stop is called.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// heapProfile writes what is in use of the heap beside the CPU profile.
func heapProfile(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path + ".heap")
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}
