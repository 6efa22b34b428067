package broker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"firewatch/ingest/broker"
	"firewatch/ingest/ingesttest"
)

// TestSessionsSurviveAKill kills the broker's process with SIGKILL.
func TestSessionsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	b := spawn(t, dir, "127.0.0.1:0")
	say := office(t, b.addr)
	c := dialTerminal(t, b.addr, "tr-1", "a", false)
	c.subscribe(orders)
	say(orders, "before", false)
	c.hears("before")
	c.leave()
	connected := dialTerminal(t, b.addr, "tr-2", "a", false)
	connected.subscribe("fw/v1/trackers/tr-2/orders")
	for _, s := range []string{"one", "two", "three"} {
		say(orders, s, false)
	}
	say("fw/v1/teams/T1/orders", "state", true)
	say("fw/v1/teams/T2/orders", "state", true)
	say("fw/v1/teams/T2/orders", "", true) // nothing is retained there any more
	say("fw/v1/teams/T1/orders", "newer state", true)
	ingesttest.Eventually(t, "the last message on disk", func() bool {
		file, _ := os.ReadFile(filepath.Join(dir, "sessions.log"))
		return bytes.Contains(file, []byte(base64.StdEncoding.EncodeToString([]byte("newer state"))))
	})
	b.kill()

	b = spawn(t, dir, b.addr)
	c = dialTerminal(t, b.addr, "tr-1", "a", false)
	if !c.present {
		t.Error("the session is not present")
	}
	c.hears("one", "two", "three")
	c.quiet()
	if c := dialTerminal(t, b.addr, "tr-2", "a", false); !c.present {
		t.Error("the session of the one that was connected is not present")
	}
	team := dialTerminal(t, b.addr, "team:T1", "a", true)
	team.subscribe("fw/v1/teams/T1/orders")
	m := team.next()
	if string(m.Payload) != "newer state" || !m.Retain {
		t.Errorf("retained: %q, flag %v", m.Payload, m.Retain)
	}
	team = dialTerminal(t, b.addr, "team:T2", "a", true)
	team.subscribe("fw/v1/teams/T2/orders")
	team.quiet()
}

type spawned struct {
	addr string
	cmd  *exec.Cmd
}

func spawn(t *testing.T, dir, addr string) spawned {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSpawnedBroker$")
	cmd.Env = append(os.Environ(), "FIREWATCH_BROKER="+addr+" "+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := spawned{cmd: cmd}
	t.Cleanup(s.kill)
	if _, err := fmt.Fscan(out, &s.addr); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s spawned) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// TestSpawnedBroker is the other process of spawn.
func TestSpawnedBroker(t *testing.T) {
	addr, dir, ok := strings.Cut(os.Getenv("FIREWATCH_BROKER"), " ")
	if !ok {
		t.Skip("only another test runs it")
	}
	b, err := broker.New(broker.Options{Addr: addr, Dir: dir, Credential: credentials{}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(b.Addr()) //nolint:forbidigo // to the test that started it
	_ = b.Run(context.Background(), make(taker, 1000))
}

// TestADamagedFileOfSessionsStopsNothing damages the file at its end, in its
// middle and at its head.
func TestADamagedFileOfSessionsStopsNothing(t *testing.T) {
	tests := []struct {
		name    string
		damage  func([]byte) []byte
		present bool
	}{
		{"torn tail", func(b []byte) []byte { return b[:len(b)-3] }, true},
		{"garbage after the end", func(b []byte) []byte { return append(b, "garbage"...) }, true},
		{"a bit of the first record", func(b []byte) []byte { b[40] ^= 1; return b }, false},
		{"no head", func([]byte) []byte { return []byte("something else") }, false},
		{"empty", func([]byte) []byte { return nil }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			run := func(log *zap.Logger) (addr string, stop func()) {
				b, err := broker.New(broker.Options{Addr: "127.0.0.1:0", Dir: dir, Credential: credentials{}, Log: log})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- b.Run(ctx, make(taker, 1)) }()
				return b.Addr(), func() {
					cancel()
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			}
			addr, stop := run(zap.NewNop())
			c := dialTerminal(t, addr, "tr-1", "a", false)
			c.subscribe(orders)
			c.leave()
			stop()
			path := filepath.Join(dir, "sessions.log")
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := tt.damage(file)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			core, logs := observer.New(zap.ErrorLevel)
			addr, stop = run(zap.New(core))
			defer stop()
			if logs.FilterMessageSnippet("damaged").Len() != 1 {
				t.Errorf("logged: %v", logs.All())
			}
			if kept, err := os.ReadFile(path + ".bad"); err != nil || !bytes.Equal(kept, bad) {
				t.Errorf("the damaged file is not kept: %v", err)
			}
			if c := dialTerminal(t, addr, "tr-1", "a", false); c.present != tt.present {
				t.Errorf("present: %v, want %v", c.present, tt.present)
			}
		})
	}
}
