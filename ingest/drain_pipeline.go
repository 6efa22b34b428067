package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A span is a part of the journal that is being written, or is written and
// waits for one before it.
type span struct {
	next Position // after it
	done bool

	// Of one that is not done.
	from     Position
	entries  []Entry // nil of one that is parked
	readings int     // among the entries
	count    int     // of the entries
	first    time.Time
}

// A pipeline is one Run of a Drain. Of the two contexts of its methods, the end
// of ctx means that nothing is waited for any more, and that of hard ends the
// writes too.
type pipeline struct {
	d  *Drain
	wg sync.WaitGroup
	at Position // before it everything was read

	retaining sync.Mutex // held while a position is noted, before mu

	mu      sync.Mutex
	spans   []*span            // in the journal's order
	filling time.Time          // received time of the first entry of the span that is being filled
	slots   int                // spans that are being written
	writing int                // of them, those that are not waiting for another try
	freed   chan struct{}      // holds one when another write may begin
	wake    context.CancelFunc // ends a Read that waits for more entries; may be nil
	gaveUp  error
	parked  []*stuck // in the order of the next tries

	succeeded uint64 // stores
	dry       bool   // nothing was stored since a span was parked
	reusable  [][]Entry
}

func newPipeline(d *Drain) *pipeline {
	return &pipeline{d: d, freed: make(chan struct{}, 1), at: d.o.Journal.Retained(d.o.Reader)}
}

// run reads and has written until ctx has ended and nothing is left, or until a
// write was given up; then it returns why.
func (p *pipeline) run(ctx, hard context.Context) error {
	defer p.wg.Wait()
	p.wg.Go(func() { p.runStuck(ctx, hard) })
	for {
		s := &span{from: p.at, next: p.at, entries: p.take()}
		if !p.fill(ctx, hard, s) {
			break
		}
		p.at = s.next
		p.start(ctx, hard, s)
	}
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gaveUp
}

// fill reads until a write may begin, and reports whether there is anything to
// write: if not, the drain ends.
func (p *pipeline) fill(ctx, hard context.Context, s *span) bool {
	most := p.d.o.BatchReadings
	for wait := p.d.o.RetryMin; ; {
		full := len(s.entries) >= most
		if len(s.entries) > 0 && p.slot(full) {
			return true
		}
		if p.failed() || hard.Err() != nil {
			return false
		}
		if full || ctx.Err() != nil && len(s.entries) > 0 {
			p.await(hard)
			continue
		}
		reading, cancel := ctx, context.CancelFunc(func() {})
		if len(s.entries) > 0 {
			reading, cancel = p.interruptible(ctx)
		}
		err := p.read(reading, s, most)
		interrupted := reading.Err() != nil
		cancel()
		switch {
		case err == nil:
			wait = p.d.o.RetryMin
		case ctx.Err() != nil:
			if len(s.entries) == 0 {
				return false
			}
		case interrupted:
		default:
			p.d.failed("reading the journal", err, wait)
			pause(ctx, wait)
			wait = min(2*wait, p.d.o.RetryMax)
		}
	}
}

// read appends what follows, and waits while there is nothing.
func (p *pipeline) read(ctx context.Context, s *span, most int) error {
	before := len(s.entries)
	var entries []Entry
	var next Position
	var err error
	if r, ok := p.d.o.Journal.(EntryReader); ok {
		if cap(s.entries) < most {
			s.entries = append(make([]Entry, 0, most), s.entries...)
		}
		entries, next, err = r.ReadInto(ctx, s.next, s.entries[:before:most])
	} else {
		entries, next, err = p.d.o.Journal.Read(ctx, s.next, most-before)
		if err == nil && before > 0 {
			entries = append(s.entries, entries...)
		}
	}
	if err != nil {
		return err
	}
	s.entries, s.next = entries, next
	for i := range s.entries[before:] {
		if s.entries[before+i].Answer == nil {
			s.readings++
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if before == 0 && len(s.entries) > 0 {
		p.filling = s.entries[0].Received()
		p.noteOldest()
	}
	return nil
}

// slot takes a place among the writes, if one may begin now.
func (p *pipeline) slot(full bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mayBegin(full) {
		return false
	}
	p.slots++
	p.writing++
	return true
}

// mayBegin reports whether a write may begin. The caller holds mu.
func (p *pipeline) mayBegin(full bool) bool {
	return p.slots < p.d.o.InFlight && (full || p.writing == 0)
}

// interruptible is a context that ends when a write of a batch that is not full
// may begin.
func (p *pipeline) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mayBegin(false) || p.gaveUp != nil {
		cancel()
	}
	p.wake = cancel
	return ctx, cancel
}

// await returns when a slot was freed, a write has stalled or given up, or all
// must end.
func (p *pipeline) await(hard context.Context) {
	select {
	case <-p.freed:
	case <-hard.Done():
	}
}

// signal tells the reader to look again. The caller holds mu.
func (p *pipeline) signal() {
	select {
	case p.freed <- struct{}{}:
	default:
	}
	if p.wake != nil {
		p.wake()
		p.wake = nil
	}
}

func (p *pipeline) failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gaveUp != nil
}

// start writes the span, which has a slot.
func (p *pipeline) start(ctx, hard context.Context, s *span) {
	s.count, s.first = len(s.entries), s.entries[0].Received()
	p.mu.Lock()
	p.spans = append(p.spans, s)
	p.filling = time.Time{}
	p.noteOldest()
	p.mu.Unlock()
	if s.readings == 0 {
		p.finish(s)
		return
	}
	p.wg.Go(func() {
		parked, err := p.write(ctx, hard, s)
		if parked {
			return
		}
		if err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.gaveUp = errors.Join(p.gaveUp, err)
			p.signal()
			return
		}
		p.finish(s)
	})
}

// write stores the span's readings, however long it takes, or returns the last
// error after ctx has ended. One that does not get on while others do, or does
// not for long, is parked, and then has no slot any more.
func (p *pipeline) write(ctx, hard context.Context, s *span) (parked bool, err error) {
	p.mu.Lock()
	wait, seen := p.d.o.RetryMin, p.succeeded
	if p.dry { // the sink seems to be away, which one more write must not make worse
		wait = p.d.o.RetryMax
	}
	p.mu.Unlock()
	for tries, amid := 0, 0; ; {
		err := p.d.store(hard, s)
		if err == nil {
			p.success()
			return false, nil
		}
		p.d.metrics.failures.Inc()
		if ctx.Err() != nil {
			return false, err
		}
		this := wait
		wait = min(2*wait, p.d.o.RetryMax)
		throttled, isThrottled := errors.AsType[*ThrottledError](err)
		if isThrottled {
			this = max(p.d.o.RetryMin, min(throttled.After, longestThrottle))
			wait = p.d.o.RetryMin
		}
		p.d.failed("writing readings", err, this)
		if !isThrottled && !errors.Is(err, ErrUnauthorized) {
			tries++
			if n := p.stores(); n > seen {
				seen = n
				amid++
			}
			if (tries >= stuckAfter || amid >= stuckAmid) && p.park(s, err) {
				return true, nil
			}
		}
		p.stalled(-1)
		pause(ctx, this)
		p.stalled(+1)
	}
}

// stalled counts a write out while it waits for another try, and in again.
func (p *pipeline) stalled(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing += n
	if n < 0 {
		p.signal()
	}
}

// finish frees the slot and notes in the journal how far everything is stored.
func (p *pipeline) finish(s *span) {
	p.mu.Lock()
	s.done = true
	p.give(s.entries)
	s.entries = nil
	p.slots--
	p.writing--
	p.signal()
	p.mu.Unlock()
	p.retain()
}

// retain notes how far everything is stored, in the order in which that grows.
func (p *pipeline) retain() {
	p.retaining.Lock()
	defer p.retaining.Unlock()
	pos, ok := p.stored()
	if !ok {
		return
	}
	if err := p.d.o.Journal.Retain(p.d.o.Reader, pos); err != nil {
		// The readings are stored; at worst they are written again.
		p.d.log.Error("drain: noting the position in the journal", zap.Error(err))
	}
}

// stored is the position before which everything is stored, when something is.
func (p *pipeline) stored() (pos Position, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Neighbours that are done become one, so that a write that is stuck does not
	// have the list grow.
	kept := p.spans[:0]
	for _, s := range p.spans {
		if n := len(kept); n > 0 && kept[n-1].done && s.done {
			kept[n-1].next = s.next
			continue
		}
		kept = append(kept, s)
	}
	clear(p.spans[len(kept):])
	p.spans = kept
	if len(kept) == 0 || !kept[0].done {
		return 0, false
	}
	pos = kept[0].next
	if len(kept) > 1 { // else it stays, to be noted again when less is held
		p.spans = append(p.spans[:0], kept[1:]...)
	}
	p.noteOldest()
	if from, ok := p.d.heldFrom(); ok {
		pos = min(pos, from)
	}
	return pos, true
}

// noteOldest tells the drain how old the oldest entry is that is not written.
// The caller holds mu.
func (p *pipeline) noteOldest() {
	oldest := p.filling
	for _, s := range p.spans {
		if !s.done {
			oldest = s.first
			break
		}
	}
	p.d.setOldest(oldest)
}

// take returns memory for a batch that was used before, or none.
func (p *pipeline) take() []Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.reusable); n > 0 {
		e := p.reusable[n-1]
		p.reusable = p.reusable[:n-1]
		return e
	}
	return nil
}

// give keeps the memory of a batch for the next one, when the journal reads into
// it. The caller holds mu.
func (p *pipeline) give(entries []Entry) {
	if _, ok := p.d.o.Journal.(EntryReader); ok && len(p.reusable) < p.d.o.InFlight {
		clear(entries)
		p.reusable = append(p.reusable, entries[:0])
	}
}
