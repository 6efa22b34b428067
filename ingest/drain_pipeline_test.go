package ingest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// A gate is a sink whose every write waits until the test answers it.
type gate struct {
	mu    sync.Mutex
	calls []*call
}

type call struct {
	seqs   []uint64
	answer chan error
	ended  bool
}

func (g *gate) Write(ctx context.Context, rs []contract.Reading) error {
	c := &call{answer: make(chan error, 1)}
	for i := range rs {
		c.seqs = append(c.seqs, rs[i].Seq)
	}
	g.mu.Lock()
	g.calls = append(g.calls, c)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		c.ended = true
		g.mu.Unlock()
	}()
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sizes are those of the writes at work.
func (g *gate) sizes() (n []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.calls {
		if !c.ended {
			n = append(n, len(c.seqs))
		}
	}
	return n
}

// answer ends the oldest write at work that begins with the reading.
func (g *gate) answer(t *testing.T, first uint64, err error) {
	t.Helper()
	g.mu.Lock()
	i := slices.IndexFunc(g.calls, func(c *call) bool { return !c.ended && c.seqs[0] == first })
	g.mu.Unlock()
	if i < 0 {
		t.Fatalf("no write at work begins with reading %d; sizes %v", first, g.sizes())
	}
	g.calls[i].answer <- err
	synctest.Wait()
}

func startGated(t *testing.T, o ingest.DrainOptions, entries int) (*drained, *gate) {
	t.Helper()
	g := &gate{}
	d := startDrain(t, o, func(d *drained) {
		d.other = g
		if entries > 0 {
			d.add(t, readings(entries)...)
		}
	})
	synctest.Wait()
	return d, g
}

func (d *drained) wantSizes(t *testing.T, g *gate, what string, want ...int) {
	t.Helper()
	if got := g.sizes(); !slices.Equal(got, want) {
		t.Fatalf("%s: writes of %v at work, want %v", what, got, want)
	}
}

func (d *drained) wantRetained(t *testing.T, want ingest.Position) {
	t.Helper()
	if got := d.journal.Retained("influx"); got != want {
		t.Errorf("retained %d, want %d", got, want)
	}
}

func TestPositionNeverPassesAnUnfinishedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := startGated(t, ingest.DrainOptions{BatchReadings: 10}, 50)
		d.wantSizes(t, g, "a backlog", 10, 10)
		for first := uint64(10); first < 50; first += 10 {
			g.answer(t, first, nil) // the ones behind the first are done one by one
			d.wantRetained(t, 0)
		}
		d.wantSizes(t, g, "the first alone", 10)
		g.answer(t, 0, nil)
		d.wantRetained(t, 50)
		d.end(t)
	})
}

func TestFurtherWriteBeginsOnlyWithAFullBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := startGated(t, ingest.DrainOptions{BatchReadings: 10}, 1)
		d.wantSizes(t, g, "the first reading, at once", 1)
		for i := 1; i < 10; i++ {
			d.add(t, reading(i))
			synctest.Wait()
		}
		d.wantSizes(t, g, "less than a batch", 1)
		d.add(t, reading(10))
		synctest.Wait()
		d.wantSizes(t, g, "a batch", 1, 10)
		d.add(t, reading(11), reading(12))
		synctest.Wait()
		g.answer(t, 1, nil)
		d.wantSizes(t, g, "a slot, a small batch, a write under way", 1)
		g.answer(t, 0, nil)
		d.wantSizes(t, g, "nothing under way", 2)
		g.answer(t, 11, nil)
		d.wantRetained(t, 13)
		d.end(t)
	})
}

func TestWriteThatIsStuckDoesNotDelayTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := startGated(t, ingest.DrainOptions{BatchReadings: 10, RetryMin: time.Hour, RetryMax: time.Hour}, 3)
		g.answer(t, 0, errors.New("for a reason of its own"))
		for i := 3; i < 200; i++ {
			d.add(t, reading(i))
			synctest.Wait()
			g.answer(t, uint64(i), nil)
		}
		d.wantRetained(t, 0)
		if err := d.drain.Ready(); err != nil && !strings.Contains(err.Error(), "reason of its own") {
			t.Error(err)
		}
		advance(time.Hour)
		g.answer(t, 0, nil)
		d.wantRetained(t, 200)
		d.end(t)
	})
}

func TestSinkThatIsDownIsNotStormed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		d := startDrain(t, ingest.DrainOptions{BatchReadings: 10, InFlight: 4}, func(d *drained) {
			d.add(t, readings(1000)...)
			for range 100 {
				d.sink.answers = append(d.sink.answers, down)
			}
		})
		advance(time.Minute)
		if n := len(d.sink.times()); n > 4*13 {
			t.Errorf("%d tries in the first minute", n)
		}
		advance(time.Hour)
		if got := d.sink.written(); got != 1000 {
			t.Errorf("%d readings after it came back, want 1000", got)
		}
		d.wantRetained(t, 1000)
		d.end(t)
	})
}

func TestStoppingEndsSeveralWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := startGated(t, ingest.DrainOptions{BatchReadings: 10, InFlight: 3, LastTry: 3 * time.Second}, 100)
		d.wantSizes(t, g, "a backlog", 10, 10, 10)
		begin := time.Now()
		d.stop()
		synctest.Wait()
		g.answer(t, 0, nil) // and the rest hangs
		if err := <-d.done; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("stopping took %s, want 3s", took)
		}
		d.wantRetained(t, 10)
	})
}

// limiting is a sink with room for some devices, and for all after raise. It
// checks that it is given no answers.
type limiting struct {
	ingest.EntrySink // only for the methods
	mu               sync.Mutex
	room             map[contract.DeviceID]bool
	raised           bool
	stored           map[uint64]int // by sequence number
}

func (l *limiting) WriteEntries(_ context.Context, entries []ingest.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &ingest.LimitedError{Reason: "max-values-per-tag limit exceeded"}
	for i := range entries {
		switch r := &entries[i].Reading; {
		case entries[i].Answer != nil:
		case l.raised || l.room[r.Device]:
			l.stored[r.Seq]++
		default:
			e.Indexes = append(e.Indexes, i)
		}
	}
	if len(e.Indexes) > 0 {
		return e
	}
	return nil
}

func (l *limiting) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored)
}

func from(id contract.DeviceID, seq int) ingest.Entry {
	e := reading(seq)
	e.Reading.Device, e.Reading.Received = id, time.Now()
	return e
}

func TestReadingsOverALimitStayInTheJournalAndDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiting{room: map[contract.DeviceID]bool{"old": true}, stored: map[uint64]int{}}
		d := startDrain(t, ingest.DrainOptions{BatchReadings: 10}, func(d *drained) { d.other = l })
		d.add(t, from("old", 0), ingest.Entry{Answer: &contract.Answer{}}, from("new", 1), from("old", 2))
		synctest.Wait()
		for i := 3; i < 100; i++ {
			id := contract.DeviceID("old")
			if i%10 == 0 {
				id = "new"
			}
			d.add(t, from(id, i))
			advance(time.Second)
		}
		if got := l.count(); got != 90 {
			t.Errorf("%d readings stored, want the 90 of the device with room", got)
		}
		d.wantRetained(t, 0)
		if err := d.drain.Ready(); err == nil || !strings.Contains(err.Error(), "max-values-per-tag") || !strings.Contains(err.Error(), "10 readings of 1 devices") {
			t.Errorf("Ready: %v", err)
		}
		l.mu.Lock()
		l.raised = true
		l.mu.Unlock()
		advance(2 * time.Minute)
		if got := l.count(); got != 100 {
			t.Errorf("%d readings stored after the limit was raised, want 100", got)
		}
		for seq, n := range l.stored {
			if n != 1 {
				t.Errorf("reading %d was stored %d times: only what was kept out is written again", seq, n)
			}
		}
		d.add(t, from("old", 100))
		synctest.Wait()
		d.wantRetained(t, 102)
		if err := d.drain.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
		d.end(t)
	})
}

func TestReadingsOverALimitGoToQuarantineInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiting{stored: map[uint64]int{}}
		d := startDrain(t, ingest.DrainOptions{LimitHold: time.Hour}, func(d *drained) { d.other = l })
		d.add(t, from("new", 0), from("new", 1))
		advance(59 * time.Minute)
		if n := len(d.quarantine.Kept()); n != 0 {
			t.Errorf("%d in quarantine before the time", n)
		}
		advance(2 * time.Minute)
		kept := d.quarantine.Kept()
		if len(kept) != 2 || !strings.Contains(kept[0].Reason, "limit") {
			t.Errorf("kept %+v", kept)
		}
		d.wantRetained(t, 2)
		d.end(t)
	})
}

func TestReadyNamesWhatAnOperatorMustDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := startDrain(t, ingest.DrainOptions{}, func(d *drained) {
			d.add(t, readings(3)...)
			d.sink.answers = []error{&ingest.RejectedError{
				Indexes: []int{0, 2}, Reason: "a; b", Reasons: []string{"a", "b"}, Advice: "field temp_c is stored as string",
			}}
		})
		synctest.Wait()
		if err := d.drain.Ready(); err == nil || !strings.Contains(err.Error(), "temp_c is stored as string") {
			t.Errorf("Ready: %v", err)
		}
		if kept := d.quarantine.Kept(); len(kept) != 2 || !strings.HasSuffix(kept[0].Reason, ": a") || !strings.HasSuffix(kept[1].Reason, ": b") {
			t.Errorf("each with its own reason: %+v", kept)
		}
		advance(11 * time.Minute)
		if err := d.drain.Ready(); err != nil {
			t.Errorf("long after: %v", err)
		}
		d.end(t)
	})
}

// into is a journal that reads into memory it is given.
type into struct {
	ingest.Journal
	mu     sync.Mutex
	arrays map[*ingest.Entry]bool
}

func (j *into) ReadInto(ctx context.Context, from ingest.Position, entries []ingest.Entry) ([]ingest.Entry, ingest.Position, error) {
	got, next, err := j.Read(ctx, from, min(cap(entries)-len(entries), 7))
	if err != nil {
		return entries, from, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	entries = append(entries, got...)
	j.arrays[&entries[0]] = true
	return entries, next, nil
}

func TestDrainReadsIntoMemoryUsedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j *into
		d := startDrain(t, ingest.DrainOptions{BatchReadings: 10}, func(d *drained) {
			d.add(t, readings(95)...)
			j = &into{Journal: &d.journal, arrays: map[*ingest.Entry]bool{}}
			d.log = j
		})
		synctest.Wait()
		for i := 95; i < 300; i++ {
			d.add(t, reading(i))
			synctest.Wait()
		}
		var seqs []uint64
		for _, b := range d.sink.batches {
			for i := range b {
				seqs = append(seqs, b[i].Seq)
			}
		}
		slices.Sort(seqs)
		if len(seqs) != 300 || len(slices.Compact(seqs)) != 300 {
			t.Errorf("%d readings written, want each of 300 once", len(seqs))
		}
		if n := len(j.arrays); n > 4 {
			t.Errorf("%d pieces of memory for two writes in flight", n)
		}
		d.wantRetained(t, 300)
		d.end(t)
	})
}
