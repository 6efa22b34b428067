package ingest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// poisoned is a sink that refuses any batch with one of some readings in it, for
// a reason that it does not know, or knows when it rejects.
type poisoned struct {
	mu      sync.Mutex
	poison  map[uint64]bool // by sequence number
	rejects bool
	away    bool
	stored  map[uint64]int // by sequence number
	tries   int
}

var errUnknown = errors.New("400: nobody knows why")

func (p *poisoned) Write(_ context.Context, rs []contract.Reading) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	if p.away {
		return errors.New("connection refused")
	}
	var e ingest.RejectedError
	for i := range rs {
		if p.poison[rs[i].Seq] {
			e.Indexes = append(e.Indexes, i)
		}
	}
	if len(e.Indexes) > 0 && !p.rejects {
		return errUnknown
	}
	if p.stored == nil {
		p.stored = map[uint64]int{}
	}
	for i := range rs {
		if !p.poison[rs[i].Seq] {
			p.stored[rs[i].Seq]++
		}
	}
	if len(e.Indexes) > 0 {
		return &e
	}
	return nil
}

func (p *poisoned) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.stored)
}

func (p *poisoned) setAway(away bool) (tries int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
	return p.tries
}

// TestReadingsOfUnknownFaultsDoNotStopTheDrain: more of them than there are
// writes at once.
func TestReadingsOfUnknownFaultsDoNotStopTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &poisoned{poison: map[uint64]bool{1: true, 2: true, 3: true, 205: true}}
		d := startDrain(t, ingest.DrainOptions{BatchReadings: 10}, func(d *drained) { d.other = p })
		for i := range 5 {
			d.add(t, reading(i))
			synctest.Wait()
		}
		advance(5 * time.Minute)
		for i := 5; i < 100; i++ {
			d.add(t, reading(i))
			synctest.Wait()
			if i > 5 && p.count() < i-3 {
				t.Fatalf("reading %d is delayed", i)
			}
		}
		d.wantRetained(t, 1)
		if err := d.drain.Ready(); !errors.Is(err, errUnknown) {
			t.Errorf("Ready: %v", err)
		}
		if n := len(d.quarantine.Kept()); n != 0 {
			t.Errorf("%d in quarantine already", n)
		}
		for i := 100; i < 200; i++ {
			d.add(t, reading(i))
			advance(5 * time.Second)
		}
		if kept := d.quarantine.Kept(); len(kept) != 3 || !kept[0].Acknowledged || !strings.Contains(kept[0].Reason, "nobody knows") {
			t.Errorf("kept %+v", kept)
		}
		d.wantRetained(t, 200)
		// One among others: these are stored.
		d.add(t, readings(210)[200:]...)
		for i := 210; i < 310; i++ {
			advance(5 * time.Second)
			d.add(t, reading(i))
		}
		advance(time.Minute)
		if kept := d.quarantine.Kept(); len(kept) != 4 || !strings.Contains(string(kept[3].Payload), "205") {
			t.Errorf("kept %+v", kept)
		}
		if got := p.count(); got != 306 {
			t.Errorf("%d readings stored, want 306", got)
		}
		d.wantRetained(t, 310)
		if err := d.drain.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
		d.end(t)
	})
}

// TestSinkThatIsAwayRefusesNothing: however often, and with work before and
// behind.
func TestSinkThatIsAwayRefusesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &poisoned{}
		d := startDrain(t, ingest.DrainOptions{BatchReadings: 10, Log: zap.NewNop()}, func(d *drained) { d.other = p })
		n := 0
		for range 40 { // comes and goes
			for range 30 {
				d.add(t, reading(n))
				n++
			}
			before := p.setAway(true)
			advance(10 * time.Minute)
			if tries := p.setAway(false) - before; tries > 250 {
				t.Fatalf("%d tries in ten minutes", tries)
			}
			d.add(t, reading(n))
			n++
			advance(5 * time.Minute)
		}
		if got := p.count(); got != n {
			t.Errorf("%d of %d readings stored", got, n)
		}
		if kept := d.quarantine.Kept(); len(kept) != 0 {
			t.Errorf("%d in quarantine", len(kept))
		}
		d.wantRetained(t, ingest.Position(n))
		d.end(t)
	})
}

func TestStoppingTriesWhatIsStuckOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &poisoned{poison: map[uint64]bool{0: true}}
		d := startDrain(t, ingest.DrainOptions{}, func(d *drained) {
			d.other = p
			d.add(t, reading(0))
		})
		advance(5 * time.Minute)
		p.mu.Lock()
		p.poison = nil
		p.mu.Unlock()
		d.end(t)
		if p.count() != 1 {
			t.Error("it was not tried")
		}
		d.wantRetained(t, 1)
	})
}
