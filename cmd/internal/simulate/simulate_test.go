package simulate_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"firewatch/cmd/internal/simulate"
	contract "firewatch/firmware-contracts"
)

func itoa(n int) string { return strconv.Itoa(n) }

// ledger is a writer that may be read while it is written.
type ledger struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *ledger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *ledger) readings(t *testing.T) []reading {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []reading
	for line := range strings.Lines(l.b.String()) {
		f := strings.Split(strings.TrimSpace(line), ",")
		ms, err1 := strconv.ParseInt(f[1], 10, 64)
		seq, err2 := strconv.ParseUint(f[2], 10, 64)
		if len(f) != 3 || err1 != nil || err2 != nil {
			t.Fatalf("ledger line %q", line)
		}
		out = append(out, reading{contract.DeviceID(f[0]), ms, seq})
	}
	return out
}

// sameAsServer checks that the ledger and the server know the same readings.
func sameAsServer(t *testing.T, s *server, l *ledger, sum simulate.Summary) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error(f)
	}
	seen := map[reading]bool{}
	for _, r := range l.readings(t) {
		if seen[r] {
			t.Errorf("%v is twice in the ledger", r)
		}
		seen[r] = true
		if s.readings[r] == 0 {
			t.Errorf("%v was acknowledged but never came", r)
		}
	}
	if uint64(len(seen)) != sum.Acknowledged || sum.Acknowledged != sum.Published || len(s.readings) != len(seen) {
		t.Errorf("ledger %d, server %d, published %d, acknowledged %d", len(seen), len(s.readings), sum.Published, sum.Acknowledged)
	}
	if sum.Measured != sum.Published+sum.Dropped {
		t.Errorf("measured %d, published %d, dropped %d", sum.Measured, sum.Published, sum.Dropped)
	}
}

func TestEveryReadingIsAcknowledgedAndInTheLedger(t *testing.T) {
	fleet := someFleet(40)
	s := newServer(fleet, nil)
	s.listen(t)
	var l ledger
	sum, err := simulate.Run(t.Context(), simulate.Options{MQTT: s.addr, Fleet: fleet, Rate: 400, Duration: 2 * time.Second, Seed: 7, Ledger: &l})
	if err != nil {
		t.Fatal(err)
	}
	sameAsServer(t, s, &l, sum)
	if want := 400.0 * 2; float64(sum.Acknowledged) < 0.9*want || float64(sum.Acknowledged) > 1.2*want {
		t.Errorf("%d readings in 2 s at 400/s", sum.Acknowledged)
	}
	if sum.Connected != 40 || sum.Refused != 0 || sum.Classes["status"].Acknowledged != 40 {
		t.Errorf("%+v", sum)
	}
}

func TestGoesOnAfterTheBrokerWasAway(t *testing.T) {
	fleet := someFleet(20)
	s := newServer(fleet, nil)
	s.listen(t)
	var l ledger
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type result struct {
		sum simulate.Summary
		err error
	}
	done := make(chan result, 1)
	go func() {
		sum, err := simulate.Run(ctx, simulate.Options{MQTT: "tcp://" + s.addr, Fleet: fleet, Rate: 200, Duration: 6 * time.Second, Seed: 1, Ledger: &l})
		done <- result{sum, err}
	}()
	s.until(t, "readings before the stop", func() bool { return len(s.readings) > 100 })
	s.mu.Lock()
	s.quiet = true // what comes now is taken but not acknowledged, as when the process is killed
	before := len(s.readings)
	s.mu.Unlock()
	s.until(t, "unacknowledged readings", func() bool { return len(s.readings) > before+20 })
	s.stop()
	s.mu.Lock()
	s.quiet = false
	s.mu.Unlock()
	s.listen(t)
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	sameAsServer(t, s, &l, r.sum)
	if r.sum.Reconnects < 20 || r.sum.Resent == 0 {
		t.Errorf("%d reconnects, %d sent again", r.sum.Reconnects, r.sum.Resent)
	}
}

func TestRefusedDevicesAreNamed(t *testing.T) {
	fleet := someFleet(8)
	s := newServer(fleet, nil)
	s.listen(t)
	fleet[2].Secret = "wrong"
	sum, err := simulate.Run(t.Context(), simulate.Options{MQTT: s.addr, Fleet: fleet, Rate: 80, Duration: time.Second})
	if err == nil || !strings.Contains(err.Error(), string(fleet[2].ID)) || !strings.Contains(err.Error(), "credential") {
		t.Errorf("error is %v", err)
	}
	if sum.Refused != 1 || sum.Connected != 7 || sum.Acknowledged == 0 {
		t.Errorf("%+v", sum)
	}
	for i := range fleet {
		fleet[i].Secret = "wrong"
	}
	began := time.Now()
	sum, err = simulate.Run(t.Context(), simulate.Options{MQTT: s.addr, Fleet: fleet, Rate: 80}) // without an end
	if err == nil || sum.Refused != 8 || time.Since(began) > 30*time.Second {
		t.Errorf("all are refused: %v, %+v", err, sum)
	}
}

func TestStopsSoonWhenAsked(t *testing.T) {
	fleet := someFleet(4)
	s := newServer(fleet, nil)
	s.quiet = true
	s.listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := simulate.Run(ctx, simulate.Options{MQTT: s.addr, Fleet: fleet, Rate: 40})
		done <- err
	}()
	s.until(t, "readings", func() bool { return len(s.readings) > 4 })
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("does not stop")
	}
}

func TestNoBroker(t *testing.T) {
	sum, err := simulate.Run(t.Context(), simulate.Options{MQTT: "127.0.0.1:1", Fleet: someFleet(2), Rate: 10, Duration: 300 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error is %v, %+v", err, sum)
	}
}

func TestFleetFiles(t *testing.T) {
	fleet := someFleet(9)
	fleet[3].Expect = 0
	var b bytes.Buffer
	if err := simulate.WriteFleet(&b, fleet); err != nil {
		t.Fatal(err)
	}
	again, err := simulate.ReadFleet(strings.NewReader("\ufeff" + b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(fleet, again); d != "" {
		t.Error(d)
	}
	terminals := []simulate.Terminal{{Team: "T1", Secret: "a"}, {Team: "T2", Secret: "b,c"}}
	b.Reset()
	if err := simulate.WriteTerminals(&b, terminals); err != nil {
		t.Fatal(err)
	}
	back, err := simulate.ReadTerminals(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(terminals, back); d != "" {
		t.Error(d)
	}
	for text, want := range map[string]string{
		"":                     "empty",
		"id,kind\na,tracker\n": "secret",
		"id,kind,secret,lat,lon,area,expect_s\na,tracker,x,1,2,3,4\na,sensor,x,1,2,3,4\n": "line 3: device a stands already in line 2",
		"id,kind,secret,lat,lon,area,expect_s\na,car,x,91,2,3,-4\n":                       "91",
		"id,kind,secret,lat,lon,area,expect_s\na,tracker\n":                               "2 fields",
	} {
		if _, err := simulate.ReadFleet(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestThousandDevices measures what 1,000 connections at 1,000 readings/s cost.
func TestThousandDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 8 s")
	}
	fleet := someFleet(1000)
	s := newServer(fleet, nil)
	s.listen(t)
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	var l ledger
	sum, err := simulate.Run(t.Context(), simulate.Options{MQTT: s.addr, Fleet: fleet, Rate: 1000, Duration: 6 * time.Second, Seed: 3, Ledger: &l})
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if err != nil {
		t.Fatal(err)
	}
	sameAsServer(t, s, &l, sum)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	t.Logf("%d devices, %d readings in %.1f s (%.0f/s), CPU with the broker %v", sum.Connected, sum.Acknowledged, sum.Seconds, sum.ReadingsPerSec, cpu)
	if sum.ReadingsPerSec < 900 {
		t.Errorf("%.0f readings/s", sum.ReadingsPerSec)
	}
}
