package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
)

// sink is told how to answer each write, in order; after that it takes all.
type sink struct {
	mu      sync.Mutex
	answers []error
	batches [][]contract.Reading
	at      []time.Time
	counts  [][]ingest.QuarantineCount
	hang    bool
}

func (s *sink) Write(ctx context.Context, rs []contract.Reading) error {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	hang := s.hang
	if err == nil && !hang {
		s.batches = append(s.batches, append([]contract.Reading(nil), rs...))
	}
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (s *sink) WriteQuarantine(_ context.Context, counts []ingest.QuarantineCount) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = append(s.counts, counts)
	return nil
}

func (s *sink) written() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		n += len(b)
	}
	return n
}

func (s *sink) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.at...)
}

func reading(i int) ingest.Entry {
	r := contract.Reading{
		Device: "tr-1", Kind: contract.Tracker, Class: contract.Position, Seq: uint64(i), HasSeq: true,
		Measured: noon, Received: noon,
	}
	r.Values.Set(contract.Lat, 39)
	r.Values.Set(contract.Lon, 115)
	return ingest.Entry{Reading: r}
}

func readings(n int) (es []ingest.Entry) {
	for i := range n {
		es = append(es, reading(i))
	}
	return es
}

// advance moves the bubble's clock and waits until all have done what was due.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

type drained struct {
	journal    ingesttest.MemoryJournal
	quarantine ingesttest.MemoryQuarantine
	sink       sink
	other      ingest.Sink // instead of sink
	log        ingest.Journal
	drain      *ingest.Drain
	stop       context.CancelFunc
	done       chan error
}

func startDrain(t *testing.T, o ingest.DrainOptions, prepare func(*drained)) *drained {
	t.Helper()
	d := &drained{done: make(chan error, 1)}
	prepare(d)
	o.Journal, o.Sink, o.QuarantineLog = &d.journal, &d.sink, &d.sink
	if o.Quarantine == nil {
		o.Quarantine = &d.quarantine
	}
	if d.other != nil {
		o.Sink = d.other
	}
	if d.log != nil {
		o.Journal = d.log
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	var err error
	if d.drain, err = ingest.NewDrain(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d.stop = cancel
	go func() { d.done <- d.drain.Run(ctx) }()
	return d
}

func (d *drained) add(t *testing.T, es ...ingest.Entry) {
	t.Helper()
	if err := d.journal.Append(t.Context(), es); err != nil {
		t.Fatal(err)
	}
}

func (d *drained) end(t *testing.T) {
	t.Helper()
	d.stop()
	if err := <-d.done; err != nil {
		t.Error(err)
	}
}

func TestDrainWritesAtOnceAndInLargeBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		d := startDrain(t, ingest.DrainOptions{Metrics: reg, BatchReadings: 5000}, func(d *drained) {
			d.add(t, readings(12_000)...)
			d.add(t, ingest.Entry{Answer: &contract.Answer{Team: "yixian-1"}}) // not for the sink
		})
		synctest.Wait() // no clock has moved
		if got := d.sink.written(); got != 12_000 || len(d.sink.batches) != 3 {
			t.Errorf("%d readings in %d batches, want 12000 in 3", got, len(d.sink.batches))
		}
		if got := d.journal.Retained("influx"); got != 12_001 {
			t.Errorf("retained %d", got)
		}
		d.add(t, reading(1))
		synctest.Wait()
		if got := d.sink.written(); got != 12_001 {
			t.Errorf("%d readings, the new one at once", got)
		}
		if err := d.drain.Ready(); err != nil {
			t.Error(err)
		}
		if n, err := testutil.GatherAndCount(reg); err != nil || n != 7 {
			t.Errorf("%d metrics, %v", n, err)
		}
		d.end(t)
	})
}

func TestDrainGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDrain(t, ingest.DrainOptions{}, func(d *drained) {
			d.add(t, readings(10)...)
			if err := d.journal.Retain("influx", 7); err != nil {
				t.Fatal(err)
			}
		})
		synctest.Wait()
		if got := d.sink.written(); got != 3 {
			t.Errorf("%d readings, want the last 3", got)
		}
		d.end(t)
	})
}

func TestRefusedReadingsGoToQuarantineAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDrain(t, ingest.DrainOptions{}, func(d *drained) {
			d.add(t, readings(5)...)
			d.sink.answers = []error{fmt.Errorf("write: %w", &ingest.RejectedError{Indexes: []int{1, 3, 99}, Reason: "field type conflict"})}
		})
		synctest.Wait()
		kept := d.quarantine.Kept()
		if len(kept) != 2 || kept[0].Device != "tr-1" || len(kept[0].Payload) < 20 || !kept[0].Acknowledged || kept[0].Topic != positionTopic("tr-1") {
			t.Fatalf("kept %+v", kept)
		}
		if got := d.journal.Retained("influx"); got != 5 {
			t.Errorf("retained %d, want 5: the others of the batch are stored", got)
		}
		if n := len(d.sink.times()); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
		advance(time.Hour) // the counts go out once, since they change once
		if len(d.sink.counts) != 1 || len(d.sink.counts[0]) != 1 || d.sink.counts[0][0].Total != 2 {
			t.Errorf("counts %+v", d.sink.counts)
		}
		d.end(t)
	})
}

func TestDrainWaitsAsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDrain(t, ingest.DrainOptions{}, func(d *drained) {
			d.add(t, readings(5)...)
			d.sink.answers = []error{&ingest.ThrottledError{After: 42 * time.Second, Cause: errors.New("429")}}
		})
		advance(time.Hour)
		if at := d.sink.times(); len(at) != 2 || at[1].Sub(at[0]) != 42*time.Second {
			t.Errorf("writes at %v", at)
		}
		d.end(t)
	})
}

func TestDrainTriesForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		down := errors.New("connection refused")
		d := startDrain(t, ingest.DrainOptions{Log: zap.New(core)}, func(d *drained) {
			d.add(t, readings(5)...)
			for range 200 {
				d.sink.answers = append(d.sink.answers, down)
			}
			for range 20 {
				d.sink.answers = append(d.sink.answers, fmt.Errorf("401: %w", ingest.ErrUnauthorized))
			}
		})
		advance(5 * time.Minute)
		if err := d.drain.Ready(); !errors.Is(err, down) {
			t.Errorf("Ready: %v", err)
		}
		tries := d.sink.times()
		for i := 1; i < len(tries); i++ {
			if gap := tries[i].Sub(tries[i-1]); gap > 10*time.Second {
				t.Fatalf("a pause of %s", gap)
			}
		}
		if n := len(tries); n > 50 {
			t.Errorf("%d tries in five minutes", n)
		}
		advance(time.Hour)
		if d.sink.written() != 5 {
			t.Errorf("%d readings after it came back", d.sink.written())
		}
		if err := d.drain.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
		if n := logs.Len(); n < 5 || n > 60 {
			t.Errorf("%d errors logged in about 37 minutes", n)
		}
		if logs.FilterMessageSnippet("credential").Len() == 0 {
			t.Error("a refused credential is not named")
		}
		d.end(t)
	})
}

func TestStoppingDrainMakesOneBoundedTry(t *testing.T) {
	t.Run("sink works again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := startDrain(t, ingest.DrainOptions{RetryMin: time.Hour, RetryMax: time.Hour}, func(d *drained) {
				d.add(t, readings(20_000)...)
				d.sink.answers = []error{errors.New("down")}
			})
			synctest.Wait()
			d.end(t) // while it waits for its hour
			if d.sink.written() != 20_000 {
				t.Errorf("%d readings", d.sink.written())
			}
		})
	})
	t.Run("sink hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := startDrain(t, ingest.DrainOptions{LastTry: 3 * time.Second}, func(d *drained) {
				d.add(t, readings(5)...)
				d.sink.hang = true
			})
			synctest.Wait()
			begin := time.Now()
			d.end(t)
			if took := time.Since(begin); took != 3*time.Second {
				t.Errorf("stopping took %s, want 3s", took)
			}
			if d.journal.Retained("influx") != 0 {
				t.Error("retained although nothing was written")
			}
		})
	})
}

func TestDrainOptionsAreChecked(t *testing.T) {
	j, q, s, log := &ingesttest.MemoryJournal{}, &ingesttest.MemoryQuarantine{}, &sink{}, zap.NewNop()
	for _, o := range []ingest.DrainOptions{
		{Sink: s, Quarantine: q, Log: log},
		{Journal: j, Quarantine: q, Log: log},
		{Journal: j, Sink: s, Log: log},
		{Journal: j, Sink: s, Quarantine: q},
		{Journal: j, Sink: s, Quarantine: q, Log: log, InFlight: 17},
	} {
		if _, err := ingest.NewDrain(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// full is a quarantine with no room for what was acknowledged.
type full struct {
	ingesttest.MemoryQuarantine
	room atomic.Bool
}

func (f *full) Keep(ctx context.Context, rs []ingest.Rejection) error {
	if !f.room.Load() && slices.ContainsFunc(rs, func(r ingest.Rejection) bool { return r.Acknowledged }) {
		return errors.New("the folder is full")
	}
	return f.MemoryQuarantine.Keep(ctx, rs)
}

func TestRefusedReadingsThatQuarantineDoesNotTakeStayInTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &full{}
		p := &poisoned{poison: map[uint64]bool{1: true}, rejects: true}
		d := startDrain(t, ingest.DrainOptions{Quarantine: q}, func(d *drained) {
			d.other = p
			d.add(t, readings(3)...)
		})
		advance(time.Hour)
		for i := 3; i < 100; i++ {
			d.add(t, reading(i))
			advance(time.Minute)
		}
		if got := p.count(); got != 99 {
			t.Errorf("%d readings stored, want 99", got)
		}
		if err := d.drain.Ready(); err == nil || !strings.Contains(err.Error(), "folder is full") {
			t.Errorf("Ready: %v", err)
		}
		d.wantRetained(t, 0)
		q.room.Store(true)
		advance(time.Minute)
		if kept := q.Kept(); len(kept) != 1 || !kept[0].Acknowledged {
			t.Errorf("kept %+v", kept)
		}
		d.wantRetained(t, 100)
		d.end(t)
	})
}
