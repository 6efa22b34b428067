package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func positionTopic(id string) string {
	return contract.Uplink(contract.Tracker, contract.Position, contract.DeviceID(id))
}

// noon is when messages are measured and received: the clock of a bubble stands
// in the year 2000, which the contract does not believe.
var noon = time.Date(2026, 4, 4, 4, 0, 0, 0, time.UTC)

func fix(seq int) []byte {
	return fmt.Appendf(nil, `{"t":%d,"seq":%d,"lat":39.1,"lon":115.2}`, noon.UnixMilli(), seq)
}

// bench is an Intake over memory.
type bench struct {
	journal    ingesttest.MemoryJournal
	quarantine ingesttest.MemoryQuarantine
	intake     *ingest.Intake
	done       chan error
	stop       context.CancelFunc
}

func newBench(t *testing.T, o ingest.IntakeOptions) *bench {
	t.Helper()
	b := &bench{done: make(chan error, 1)}
	if o.Journal == nil {
		o.Journal = &b.journal
	}
	if o.Quarantine == nil {
		o.Quarantine = &b.quarantine
	}
	o.Log = zap.NewNop()
	var err error
	if b.intake, err = ingest.NewIntake(o); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() { b.done <- b.intake.Run(ctx) }()
}

func (b *bench) put(t *testing.T, topic string, payload []byte, ack func()) {
	t.Helper()
	if err := b.intake.Put(t.Context(), ingest.Message{Topic: topic, Payload: payload, Received: noon, Ack: ack}); err != nil {
		t.Fatal(err)
	}
}

func TestAcknowledgesInOrderAfterTheJournal(t *testing.T) {
	b := newBench(t, ingest.IntakeOptions{BatchEntries: 7})
	var order []int
	const n = 100
	for i := range n { // all queued before the intake runs
		b.put(t, positionTopic(fmt.Sprint("tr-", i%3)), fix(i), func() {
			// Everything before and this one is in the journal already.
			if got := len(b.journal.Entries()); got <= i {
				t.Errorf("message %d is acknowledged with %d entries in the journal", i, got)
			}
			order = append(order, i)
		})
	}
	b.start(t)
	b.stop() // a stop commits what is queued
	if err := <-b.done; err != nil {
		t.Fatal(err)
	}
	if len(order) != n || !slices.IsSorted(order) {
		t.Errorf("%d acknowledged, in order: %t", len(order), slices.IsSorted(order))
	}
	for i, e := range b.journal.Entries() {
		if e.Reading.Seq != uint64(i) {
			t.Fatalf("entry %d has seq %d", i, e.Reading.Seq)
		}
	}
	if a := b.journal.Appends(); a < n/7 || a > n/7+2 {
		t.Errorf("%d appends of about 7", a)
	}
	if err := b.intake.Put(t.Context(), ingest.Message{}); !errors.Is(err, ingest.ErrStopped) {
		t.Errorf("Put after the end: %v", err)
	}
	if b.intake.Ready() == nil {
		t.Error("ready after the end")
	}
}

func TestWhatWaitsSharesOneAppend(t *testing.T) {
	b := newBench(t, ingest.IntakeOptions{})
	for i := range 500 {
		b.put(t, positionTopic("tr-1"), fix(i), nil)
	}
	b.start(t)
	b.stop()
	if err := <-b.done; err != nil {
		t.Fatal(err)
	}
	if b.journal.Appends() != 1 || len(b.journal.Entries()) != 500 {
		t.Errorf("%d appends of %d entries", b.journal.Appends(), len(b.journal.Entries()))
	}
}

func TestFaultyGoesToQuarantineAndIsAcknowledged(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := newBench(t, ingest.IntakeOptions{Metrics: reg})
	b.start(t)
	now := noon.UnixMilli()
	for _, c := range []struct {
		name, topic, payload string
		entries              int
		rejected             []contract.DeviceID
	}{
		{"sound", positionTopic("tr-1"), string(fix(1)), 1, nil},
		{"no document", positionTopic("tr-1"), "\x00garbage", 0, []contract.DeviceID{"tr-1"}},
		{"empty", positionTopic("tr-1"), "", 0, []contract.DeviceID{"tr-1"}},
		{"one of three", positionTopic("tr-2"), fmt.Sprintf(
			`{"readings":[{"t":%d,"seq":1,"lat":39,"lon":115},{"t":%d,"seq":2,"lat":95,"lon":115},{"t":%d,"seq":3,"lat":39,"lon":115}]}`,
			now, now, now), 2, []contract.DeviceID{"tr-2"}},
		{"foreign topic", "zigbee2mqtt/bulb", "{}", 0, []contract.DeviceID{""}},
		{"bad device id", "fw/v1/trackers/tr 1/positions", string(fix(1)), 0, []contract.DeviceID{""}},
		{"downlink", contract.DeviceOrders("tr-1"), "{}", 0, []contract.DeviceID{"tr-1"}},
		{"answer", contract.TeamAnswers("yixian-1"), fmt.Sprintf(`{"t":%d,"order":"or-1","answer":"accepted","by":"王"}`, now), 1, nil},
		{"answer without a clock", contract.TeamAnswers("yixian-1"), `{"t":0,"order":"or-1","answer":"accepted"}`, 1, []contract.DeviceID{""}},
		{"bad answer", contract.TeamAnswers("yixian-1"), fmt.Sprintf(`{"t":%d,"order":"or-1","answer":"perhaps"}`, now), 0, []contract.DeviceID{""}},
		{"too large", positionTopic("tr-1"), string(make([]byte, contract.MaxMessageBytes+1)), 0, []contract.DeviceID{"tr-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, kept := len(b.journal.Entries()), len(b.quarantine.Kept())
			acked := make(chan struct{})
			b.put(t, c.topic, []byte(c.payload), func() { close(acked) })
			<-acked
			if got := len(b.journal.Entries()) - entries; got != c.entries {
				t.Errorf("%d entries, want %d", got, c.entries)
			}
			rejected := b.quarantine.Kept()[kept:]
			if len(rejected) != len(c.rejected) {
				t.Fatalf("rejected %+v, want %v", rejected, c.rejected)
			}
			for i, r := range rejected {
				if r.Device != c.rejected[i] || r.Topic != c.topic || r.Reason == "" || r.Received.IsZero() {
					t.Errorf("rejection %+v", r)
				}
			}
		})
	}
	b.stop()
	if err := <-b.done; err != nil {
		t.Fatal(err)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 13 {
		t.Errorf("%d metrics, %v", n, err)
	}
}

func TestRefusingJournalHoldsAcknowledgementsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ingest.IntakeOptions{MaxBytes: 1 << 20})
		full := errors.New("no space left on device")
		b.journal.Refuse(full)
		b.start(t)
		var acked atomic.Int64
		var wg sync.WaitGroup
		const n = 5000 // more than fits
		wg.Go(func() {
			for i := range n {
				b.put(t, positionTopic("tr-1"), fix(i), func() { acked.Add(1) })
			}
		})
		time.Sleep(10 * time.Minute) // of the bubble's clock
		if acked.Load() != 0 {
			t.Errorf("%d acknowledged while the journal refuses", acked.Load())
		}
		if err := b.intake.Ready(); !errors.Is(err, full) {
			t.Errorf("Ready: %v", err)
		}
		// Put blocks, but not for ever when its caller gives up.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := b.intake.Put(ctx, ingest.Message{Topic: positionTopic("tr-2"), Payload: fix(1)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put into a full queue: %v", err)
		}
		cancel()
		b.journal.Refuse(nil)
		wg.Wait()
		synctest.Wait()
		time.Sleep(time.Minute)
		if acked.Load() != n || len(b.journal.Entries()) != n {
			t.Errorf("after it recovered %d acknowledged, %d entries", acked.Load(), len(b.journal.Entries()))
		}
		if err := b.intake.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
		b.stop()
		if err := <-b.done; err != nil {
			t.Error(err)
		}
	})
}

func TestStopWithRefusingJournalAcknowledgesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ingest.IntakeOptions{MaxBytes: 1 << 20})
		full := errors.New("no space left on device")
		b.journal.Refuse(full)
		b.start(t)
		var refused atomic.Int64
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 5000 {
				m := ingest.Message{Topic: positionTopic("tr-1"), Payload: fix(i), Received: noon, Ack: func() { t.Error("acknowledged") }}
				if errors.Is(b.intake.Put(t.Context(), m), ingest.ErrStopped) {
					refused.Add(1)
				}
			}
		})
		time.Sleep(time.Minute)
		b.stop()
		if err := <-b.done; !errors.Is(err, full) {
			t.Errorf("Run: %v", err)
		}
		wg.Wait() // those who waited in Put are told
		if refused.Load() == 0 {
			t.Error("Put never said that the intake has stopped")
		}
	})
}

// stepJournal lets one Append through at a time and counts the batches.
type stepJournal struct {
	ingesttest.MemoryJournal
	step chan struct{}
	n    atomic.Int64
}

func (j *stepJournal) Append(ctx context.Context, es []ingest.Entry) error {
	<-j.step
	j.n.Add(1)
	return j.MemoryJournal.Append(ctx, es)
}

// stepQuarantine does the same to Keep.
type stepQuarantine struct {
	ingesttest.MemoryQuarantine
	step chan struct{}
	n    atomic.Int64
}

func (q *stepQuarantine) Keep(ctx context.Context, rs []ingest.Rejection) error {
	<-q.step
	q.n.Add(1)
	return q.MemoryQuarantine.Keep(ctx, rs)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestFloodDoesNotDelayAnother: while one device floods with garbage on its own
// connections as fast as Put lets it, a reading of another device waits for a
// fixed number of commits, however long the flood is.
func TestFloodDoesNotDelayAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		j := &stepJournal{step: step}
		q := &stepQuarantine{step: step}
		b := newBench(t, ingest.IntakeOptions{Journal: j, Quarantine: q, MaxBytes: 1 << 20})
		b.start(t)
		flooding, endFlood := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				garbage := make([]byte, 100)
				for flooding.Err() == nil {
					_ = b.intake.Put(flooding, ingest.Message{Topic: positionTopic("flood"), Payload: garbage})
				}
			})
		}
		synctest.Wait() // the queue is full, and the four wait
		for i := range 50 {
			acked := make(chan struct{})
			wg.Go(func() { b.put(t, positionTopic("tr-1"), fix(i), func() { close(acked) }) })
			synctest.Wait()
			commits := 0
			for ; !closed(acked); commits++ {
				step <- struct{}{}
				synctest.Wait()
			}
			// The batch at work, the one that waits, and its own: each at most one
			// Keep and one Append.
			if commits > 6 {
				t.Fatalf("reading %d waited for %d commits", i, commits)
			}
		}
		endFlood()
		close(step)
		wg.Wait()
		b.stop()
		if err := <-b.done; err != nil {
			t.Error(err)
		}
		if len(j.Entries()) != 50 {
			t.Errorf("%d readings are safe, want 50", len(j.Entries()))
		}
		if kept := len(q.Kept()); kept < 10_000 {
			t.Errorf("the flood was only %d messages", kept)
		}
	})
}

func TestIntakeOptionsAreChecked(t *testing.T) {
	j, q, log := &ingesttest.MemoryJournal{}, &ingesttest.MemoryQuarantine{}, zap.NewNop()
	for _, o := range []ingest.IntakeOptions{
		{Quarantine: q, Log: log},
		{Journal: j, Log: log},
		{Journal: j, Quarantine: q},
		{Journal: j, Quarantine: q, Log: log, MaxBytes: 1},
	} {
		if _, err := ingest.NewIntake(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func BenchmarkIntake(b *testing.B) {
	benchmarkIntake(b, discard{})
}

func benchmarkIntake(b *testing.B, j ingest.Journal) {
	b.Helper()
	in, err := ingest.NewIntake(ingest.IntakeOptions{Journal: j, Quarantine: &ingesttest.MemoryQuarantine{}, Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- in.Run(ctx) }()
	m := ingest.Message{Topic: positionTopic("tr-1"), Payload: fix(1), Received: time.Now(), Ack: func() {}}
	b.ReportAllocs()
	for b.Loop() {
		if err := in.Put(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// discard is a journal for benchmarks.
type discard struct{ ingest.Journal }

func (discard) Append(context.Context, []ingest.Entry) error { return nil }
