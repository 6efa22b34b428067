//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/cmd/internal/app"
)

// TestMain lets the test binary be what the bench starts: its publisher, and
// firewatch.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case loadCommand:
			os.Exit(runLoad(os.Stdin, os.Stdout)) //nolint:forbidigo // the test binary is the program then
		case judgeCommand:
			os.Exit(runJudge(os.Args[2], os.Stdout)) //nolint:forbidigo // the same
		case "firewatch":
			os.Exit(app.Run(context.Background(), app.Env{Args: os.Args[2:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})) //nolint:forbidigo // the same
		}
	}
	m.Run()
}

// small is settings for experiments that take a second each.
func small(t *testing.T, args ...string) settings {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(append(args, "-runs", "1", "-quiet", "0", "-timeout", "60s", "-dir", t.TempDir(),
		"-configs", filepath.Join(root, "deploy/bench"), "-influxd", filepath.Join(root, "bin/influxd"), "-telegraf", filepath.Join(root, "bin/telegraf")), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.influxd); err != nil {
		t.Fatal("bin/influxd is missing: run make bin/influxd")
	}
	if _, err := mosquittoProgram(""); err != nil {
		t.Fatal(err)
	}
	s.firewatch = []string{self, "firewatch"}
	s.prometheus = filepath.Join(root, "bin/prometheus")
	return s
}

// TestEveryExperiment runs each with few messages: the figures mean nothing, but
// nothing is lost and nothing is left behind.
func TestEveryExperiment(t *testing.T) {
	t.Parallel() // after TestStopsWhenInterrupted, which looks for children
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"drain", []string{"drain", "-n", "2000", "-devices", "50", "-sides", "paho"}},
		{"drain by Telegraf", []string{"drain", "-n", "2000", "-devices", "50", "-sides", "telegraf"}},
		{"live", []string{"live", "-n", "2000", "-devices", "7", "-sides", "paho,embedded"}},
		{"all roles", []string{"burst", "-n", "100", "-devices", "200", "-sides", "all"}},
		{"latency", []string{"latency", "-rate", "100", "-devices", "20", "-duration", "1s", "-sides", "embedded"}},
		{"fleet", []string{"fleet", "-devices", "60", "-every", "400ms", "-duration", "1s", "-sides", "embedded"}},
		{"judge", []string{"judge", "-devices", "400", "-judged", "2000", "-warm", "2m", "-sides", "engine"}},
		{"alert-latency", []string{"alert-latency", "-rate", "100", "-devices", "20", "-duration", "2s", "-alerts", "5", "-sides", "all"}},
		{"storm", []string{"storm", "-devices", "30", "-storm", "kill", "-sides", "embedded"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := small(t, tt.args...)
			if _, err := os.Stat(s.telegraf); err != nil && strings.Contains(tt.name, "Telegraf") {
				t.Skip("bin/telegraf is missing: run make bin/telegraf")
			}
			s.samples = filepath.Join(t.TempDir(), "samples")
			var out, progress bytes.Buffer
			if err := s.bench(t.Context(), tt.args, &out, &progress); err != nil {
				t.Fatalf("%v\n%s%s", err, &progress, &out)
			}
			raw, err := os.ReadFile(s.samples)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Count(string(raw), `"lost":0,`), len(s.sides); got != want {
				t.Errorf("%d of %d runs lost nothing: %s", got, want, raw)
			}
			if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
				t.Errorf("files left: %v %v", left, err)
			}
		})
	}
}

// TestStopsWhenInterrupted ends the bench in the middle of a flood.
func TestStopsWhenInterrupted(t *testing.T) {
	s := small(t, "live", "-n", "50000000", "-devices", "4", "-sides", "paho")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.bench(ctx, nil, &bytes.Buffer{}, &bytes.Buffer{}) }()
	for len(children(t)) < 4 { // InfluxDB, mosquitto, firewatch, the publisher
		select {
		case err := <-done:
			t.Fatalf("ended by itself: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("does not stop")
	}
	if left := children(t); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("files left: %v %v", left, err)
	}
}

// children are the ids of this process's children.
func children(t *testing.T) (ids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil { // a thread may have ended
			ids = append(ids, strings.Fields(string(raw))...)
		}
	}
	return ids
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "name an experiment"},
		{"drian", `no experiment "drian"`},
		{"drain -sides telgraf", "-sides"},
		{"drain -n 0", "-n: 0"},
		{"fleet -storm rain", "-storm"},
		{"fleet -devices 100000", "-devices"},
		{"live -every 0", "-every"},
		{"judge -judged 0", "-judged: 0"},
		{"alert-latency -alerts 0", "-alerts: 0"},
	} {
		if _, err := parse(strings.Fields(tt.args), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.args, err, tt.want)
		}
	}
	s, err := parse([]string{"all", "-runs", "5"}, &bytes.Buffer{})
	if err != nil || s.runs != 5 {
		t.Fatalf("%d runs, %v", s.runs, err)
	}
	var names []string
	for _, e := range s.experiments {
		names = append(names, e.name)
	}
	if got := strings.Join(names, " "); got != "drain live burst latency fleet judge alert-latency" {
		t.Errorf("all is %s", got)
	}
}
