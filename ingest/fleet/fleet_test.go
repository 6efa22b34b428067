package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
)

// ledger is a HealthLog that remembers the newest of each device.
type ledger struct {
	mu     sync.Mutex
	newest map[contract.DeviceID]ingest.DeviceHealth
	fail   error
	calls  int
}

func (l *ledger) WriteHealth(_ context.Context, hs []ingest.DeviceHealth) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.fail != nil {
		return l.fail
	}
	if l.newest == nil {
		l.newest = map[contract.DeviceID]ingest.DeviceHealth{}
	}
	for _, h := range hs {
		l.newest[h.Device] = h
	}
	return nil
}

func (l *ledger) of(id contract.DeviceID) (ingest.DeviceHealth, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.newest[id]
	return h, ok
}

func open(t *testing.T, j ingest.Journal, dir string, h ingest.HealthLog, shared bool) *Fleet {
	t.Helper()
	f, err := New(Options{
		Journal: j, Dir: dir, Health: h, Shared: shared, TellEvery: 2 * time.Millisecond, SaveEvery: time.Hour, Log: zaptest.NewLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// during runs the fleet while do runs.
func during(t *testing.T, f *Fleet, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	do()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func numbered(n uint64) ingest.Entry {
	r := reading(contract.Position, start.Add(time.Duration(n)*time.Second), start.Add(time.Duration(n)*time.Second))
	r.Seq, r.HasSeq = n, true
	return ingest.Entry{Reading: r}
}

func put(t *testing.T, j ingest.Journal, es ...ingest.Entry) {
	t.Helper()
	if err := j.Append(t.Context(), es); err != nil {
		t.Fatal(err)
	}
}

func TestMissingReadingsAreToldAndTakenOff(t *testing.T) {
	j, l := new(ingesttest.MemoryJournal), &ledger{}
	f := open(t, j, t.TempDir(), l, false)
	missing := func(want uint64) func() bool {
		return func() bool { h, ok := l.of("trk-1"); return ok && h.Missing == want }
	}
	during(t, f, func() {
		put(t, j, numbered(1), numbered(5))
		ingesttest.Eventually(t, "three missing", missing(3))
		put(t, j, numbered(3))
		ingesttest.Eventually(t, "two missing", missing(2))
	})
}

// A process that is killed reads again what came after its last snapshot. It
// must neither count that twice nor forget what came before.
func TestARestartCountsNothingTwice(t *testing.T) {
	for _, orderly := range []bool{true, false} {
		j, dir := new(ingesttest.MemoryJournal), t.TempDir()
		f := open(t, j, dir, nil, false)
		seen := func(f *Fleet, high uint64) func() bool {
			return func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				d := f.devices["trk-1"]
				return d != nil && d.Sequence.High == high
			}
		}
		during(t, f, func() {
			put(t, j, numbered(1), numbered(2), numbered(2), numbered(7))
			ingesttest.Eventually(t, "all seen", seen(f, 7))
		})
		kept, err := os.ReadFile(f.path())
		if err != nil {
			t.Fatal(err)
		}
		f = open(t, j, dir, nil, false)
		during(t, f, func() {
			put(t, j, numbered(8), numbered(8))
			ingesttest.Eventually(t, "8 seen", seen(f, 8))
		})
		if !orderly { // as if the last snapshot had not been written
			if err := os.WriteFile(f.path(), kept, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f = open(t, j, dir, nil, false)
		during(t, f, func() { ingesttest.Eventually(t, "8 seen", seen(f, 8)) })
		if h := f.Health()[0]; h.Missing != 4 || h.Repeated != 2 {
			t.Errorf("orderly %v: missing %d, repeated %d; want 4, 2", orderly, h.Missing, h.Repeated)
		}
	}
}

func TestABadSnapshotIsSetAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fleet.json"), []byte(`{"version":1,"devices":`), 0o600); err != nil {
		t.Fatal(err)
	}
	j := new(ingesttest.MemoryJournal)
	f := open(t, j, dir, nil, false)
	if _, err := os.Stat(filepath.Join(dir, "fleet.json.bad")); err != nil {
		t.Error(err)
	}
	during(t, f, func() {
		put(t, j, numbered(1))
		ingesttest.Eventually(t, "works", func() bool { return len(f.Health()) == 1 })
	})
}

func TestWithASharedSubscriptionNoNumberIsCalledMissing(t *testing.T) {
	j := new(ingesttest.MemoryJournal)
	f := open(t, j, t.TempDir(), nil, true)
	during(t, f, func() {
		put(t, j, numbered(1), numbered(9))
		ingesttest.Eventually(t, "seen", func() bool { return len(f.Health()) == 1 })
	})
	if h := f.Health()[0]; h.Missing != 0 {
		t.Errorf("missing %d of a stream that is read in parts", h.Missing)
	}
}

func TestFloodIsToldAlsoOfADeviceThatSaidNothing(t *testing.T) {
	l := &ledger{fail: errors.New("away")}
	f := open(t, new(ingesttest.MemoryJournal), t.TempDir(), l, false)
	during(t, f, func() {
		f.Flood("trk-9", ingest.FloodCut, start)
		ingesttest.Eventually(t, "tried", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.calls > 1 })
		l.mu.Lock()
		l.fail = nil
		l.mu.Unlock()
		ingesttest.Eventually(t, "told", func() bool { h, ok := l.of("trk-9"); return ok && h.Flood == ingest.FloodCut })
		f.Flood("trk-9", ingest.FloodNone, start)
		ingesttest.Eventually(t, "told again", func() bool { h, ok := l.of("trk-9"); return ok && h.Flood == ingest.FloodNone })
	})
}

func TestNewNamesTheMissingOption(t *testing.T) {
	for _, o := range []Options{{}, {Journal: new(ingesttest.MemoryJournal)}, {Journal: new(ingesttest.MemoryJournal), Dir: t.TempDir()}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestDevicesAreBounded(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	reg := prometheus.NewRegistry()
	j, dir := &ingesttest.MemoryJournal{}, t.TempDir()
	f, err := New(Options{Journal: j, Dir: dir, MaxDevices: 10, Log: zap.New(core), Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	made := func(from, to int) (es []ingest.Entry) {
		for i := from; i < to; i++ {
			e := numbered(uint64(i))
			e.Reading.Device = contract.DeviceID(fmt.Sprint("x-", i))
			es = append(es, e)
		}
		return es
	}
	f.observe(made(0, 1000), 1)
	f.observe(made(0, 10), 2) // those that are followed still are
	f.Flood("x-2000", ingest.FloodSlowed, time.Now())
	hs := f.Health()
	if len(hs) != 10 || len(f.devices) != 10 || hs[0].Repeated != 1 {
		t.Errorf("%d devices followed, 10 allowed; %+v", len(f.devices), hs)
	}
	if n := logs.FilterMessageSnippet("too many").Len(); n != 1 {
		t.Errorf("%d lines logged, want 1", n)
	}
	want := "# HELP firewatch_fleet_beyond_readings_total Readings of devices that are not followed because there are too many.\n" +
		"# TYPE firewatch_fleet_beyond_readings_total counter\nfirewatch_fleet_beyond_readings_total 990\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "firewatch_fleet_beyond_readings_total"); err != nil {
		t.Error(err)
	}
	f.save(2)
	if f, err = New(Options{Journal: j, Dir: dir, MaxDevices: 5, Log: zap.NewNop()}); err != nil || len(f.devices) != 5 {
		t.Errorf("%d devices after a start with room for 5, %v", len(f.devices), err)
	}
}

// TestSnapshotIsACopy: it is encoded while devices report.
func TestSnapshotIsACopy(t *testing.T) {
	f := open(t, &ingesttest.MemoryJournal{}, t.TempDir(), nil, false)
	f.observe([]ingest.Entry{numbered(0), numbered(9)}, 1)
	s := f.copied(1)
	before, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n < 20; n++ {
		f.observe([]ingest.Entry{numbered(n)}, 2)
	}
	after, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("the snapshot\n%s became\n%s", before, after)
	}
}
