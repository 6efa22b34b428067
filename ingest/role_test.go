package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
	"firewatch/ingest/journal"
	"firewatch/ingest/quarantine"
)

// pump is a Source that delivers numbered fixes until ctx ends, then waits for
// its acknowledgements as a real one does.
type pump struct {
	every time.Duration
	limit int
	fail  error
	put   atomic.Int64
	open  sync.WaitGroup // not yet acknowledged
	acked atomic.Int64
}

func (p *pump) Run(ctx context.Context, to ingest.Acceptor) error {
	for i := 0; ctx.Err() == nil && (p.limit == 0 || i < p.limit); i++ {
		m := ingest.Message{
			Topic: positionTopic(fmt.Sprint("tr-", i%5)), Payload: fix(i), Received: noon,
			Ack: func() { p.acked.Add(1); p.open.Done() },
		}
		if i%10 == 9 {
			m.Payload = []byte("garbage")
		}
		p.open.Add(1)
		if err := to.Put(context.WithoutCancel(ctx), m); err != nil {
			return err
		}
		p.put.Add(1)
		if p.every > 0 {
			time.Sleep(p.every)
		}
	}
	if p.fail != nil {
		return p.fail
	}
	<-ctx.Done()
	p.open.Wait()
	return nil
}

func TestStopLosesNothingAndEndsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, ingest.IntakeOptions{})
		s := &sink{}
		drain, err := ingest.NewDrain(ingest.DrainOptions{Journal: &b.journal, Sink: s, Quarantine: &b.quarantine, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		one, two := &pump{every: time.Millisecond}, &pump{every: 3 * time.Millisecond}
		role, err := ingest.New(ingest.Options{Sources: []ingest.Source{one, two}, Intake: b.intake, Drain: drain})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- role.Run(ctx) }()
		time.Sleep(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		put := int(one.put.Load() + two.put.Load())
		if put < 1000 || int(one.acked.Load()+two.acked.Load()) != put {
			t.Errorf("%d delivered, %d acknowledged", put, one.acked.Load()+two.acked.Load())
		}
		if got := s.written() + len(b.quarantine.Kept()); got != put {
			t.Errorf("%d written or in quarantine, want %d", got, put)
		}
	})
}

func TestPartThatEndsEarlyEndsTheRole(t *testing.T) {
	for name, p := range map[string]*pump{
		"no such host":    {limit: 10, fail: errors.New("no such host")},
		"ended by itself": {limit: 10, fail: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, ingest.IntakeOptions{})
			role, err := ingest.New(ingest.Options{Sources: []ingest.Source{&pump{every: time.Millisecond}, p}, Intake: b.intake})
			if err != nil {
				t.Fatal(err)
			}
			err = role.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), "source 2") || !errors.Is(err, p.fail) {
				t.Errorf("Run: %v", err)
			}
			if got := p.acked.Load(); got != 10 {
				t.Errorf("%d of 10 acknowledged", got)
			}
		})
	}
	if _, err := ingest.New(ingest.Options{}); err == nil {
		t.Error("no sources and no intake are accepted")
	}
	if _, err := ingest.New(ingest.Options{Sources: []ingest.Source{&pump{}}}); err == nil {
		t.Error("no intake is accepted")
	}
}

// TestOnRealFiles runs the pipeline over the journal and the quarantine on disk:
// with the sink away, then after a restart with the sink back.
func TestOnRealFiles(t *testing.T) {
	dir := t.TempDir()
	const n = 2000
	run := func(s ingest.Sink, p *pump, until func(ingest.QuarantineCount) bool) {
		t.Helper()
		j, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "journal"), SegmentBytes: 16 << 10, MaxBytes: 1 << 20, Readers: []string{"influx"}, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		q, err := quarantine.Open(quarantine.Options{Dir: filepath.Join(dir, "quarantine"), Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		b := newBench(t, ingest.IntakeOptions{Journal: j, Quarantine: q})
		drain, err := ingest.NewDrain(ingest.DrainOptions{Journal: j, Sink: s, Quarantine: q, Log: zap.NewNop(), LastTry: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		role, err := ingest.New(ingest.Options{Sources: []ingest.Source{p}, Intake: b.intake, Drain: drain})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error)
		go func() { done <- role.Run(ctx) }()
		for ctx.Err() == nil {
			total := ingest.QuarantineCount{}
			for _, c := range q.Counts() {
				total.Total += c.Total
			}
			if until(total) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	first := &pump{limit: n}
	run(&sink{hang: true}, first, func(ingest.QuarantineCount) bool { return first.acked.Load() == n })
	back := &sink{}
	run(back, &pump{limit: 1}, func(c ingest.QuarantineCount) bool {
		return c.Total == n/10 && back.written() == n-n/10+1
	})
	seen := map[uint64]int{}
	for _, b := range back.batches {
		for _, r := range b {
			seen[r.Seq]++
		}
	}
	if len(seen) != n-n/10 {
		t.Errorf("%d different readings at the sink, want %d", len(seen), n-n/10)
	}
}

// BenchmarkIntakeOnDisk is decode, journal with fsync, and acknowledgement.
func BenchmarkIntakeOnDisk(b *testing.B) {
	j, err := journal.Open(journal.Options{Dir: b.TempDir(), Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	benchmarkIntake(b, j)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

var _ ingest.Journal = (*ingesttest.MemoryJournal)(nil)
