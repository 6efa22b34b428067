package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"
)

const (
	stuckAfter  = 8    // failed tries of a span until it gives up its slot
	stuckAmid   = 3    // or so many between which others were stored
	stuckSpans  = 1024 // more keep their slots
	refuseAfter = 20   // tries between which others were stored, until single readings are to blame
	refuseRow   = 32   // failed writes of parts in a row that may still be the readings' fault
	refuseWaits = 3    // for another write to show that the sink is there
)

// stuck is a span that has given up its slot. Its readings are read from the
// journal again.
type stuck struct {
	span *span
	amid int    // tries that failed although others were stored since the one before
	seen uint64 // stores at the last try
}

// away reports whether the error says by itself that it is not the readings'
// fault.
func away(err error) bool {
	_, throttled := errors.AsType[*ThrottledError](err)
	return throttled || errors.Is(err, ErrUnauthorized) || errors.Is(err, errNotKept) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// stores is how often something was stored.
func (p *pipeline) stores() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.succeeded
}

func (p *pipeline) success() {
	p.mu.Lock()
	p.succeeded++
	p.dry = false
	p.mu.Unlock()
	p.d.worked()
}

// park takes the span's slot from it, unless too many are parked.
func (p *pipeline) park(s *span, err error) bool {
	p.mu.Lock()
	if len(p.parked) >= stuckSpans {
		p.mu.Unlock()
		return false
	}
	p.parked = append(p.parked, &stuck{span: s, seen: p.succeeded})
	p.dry = true
	p.give(s.entries)
	s.entries = nil
	p.slots--
	p.writing--
	p.noteOldest()
	p.signal()
	p.mu.Unlock()
	p.d.log.Error("drain: readings do not get stored; others go on, and these stay in the journal and are tried again",
		zap.Int("readings", s.readings), zap.Uint64("position", uint64(s.from)), zap.Error(err))
	p.sayStuck(err)
	return true
}

// sayStuck tells the drain of what is parked.
func (p *pipeline) sayStuck(err error) {
	p.mu.Lock()
	n := 0
	for _, k := range p.parked {
		n += k.span.readings
	}
	p.mu.Unlock()
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	switch {
	case n == 0:
		p.d.stuck = nil
	case err != nil:
		p.d.stuck = fmt.Errorf("up to %d readings do not get stored; they stay in the journal: %w", n, err)
	}
}

// runStuck tries what is parked every RetryMax, and once more after ctx has
// ended.
func (p *pipeline) runStuck(ctx, hard context.Context) {
	for ctx.Err() == nil {
		pause(ctx, p.d.o.RetryMax)
		p.retryStuck(ctx, hard)
	}
}

// retryStuck tries each of the parked, until one fails in a way in which the
// others may fail too; that one is the last the next time.
func (p *pipeline) retryStuck(ctx, hard context.Context) {
	p.mu.Lock()
	todo := append([]*stuck(nil), p.parked...)
	p.mu.Unlock()
	if len(todo) == 0 {
		return
	}
	var rest, failed []*stuck
	var last error
	for i, k := range todo {
		amid := k.amid
		err := p.unstick(ctx, hard, k)
		if err == nil {
			p.mu.Lock()
			k.span.done = true
			p.mu.Unlock()
			p.retain()
			continue
		}
		failed, last = append(failed, k), err
		p.d.metrics.failures.Inc()
		if k.amid == amid {
			p.d.failed("writing readings", err, p.d.o.RetryMax)
			rest = todo[i+1:]
			break
		}
	}
	p.mu.Lock()
	p.parked = slices.Concat(rest, failed, p.parked[len(todo):])
	p.mu.Unlock()
	p.sayStuck(last)
}

// unstick tries one. A nil error means that each of its readings is in the sink,
// in quarantine, or held in the journal.
func (p *pipeline) unstick(ctx, hard context.Context, k *stuck) error {
	entries, err := p.again(hard, k.span)
	if err != nil {
		return err
	}
	err = p.part(hard, k.span, entries)
	if err == nil || away(err) {
		return err
	}
	if n := p.stores(); n > k.seen {
		k.seen = n
		k.amid++
		if k.amid >= refuseAfter {
			return p.isolate(ctx, hard, k.span, entries)
		}
	}
	return err
}

// again reads the span from the journal, and perhaps something after it, which
// is then written twice.
func (p *pipeline) again(ctx context.Context, s *span) (entries []Entry, err error) {
	for pos := s.from; pos < s.next; {
		var some []Entry
		some, pos, err = p.d.o.Journal.Read(ctx, pos, max(1, s.count-len(entries)))
		if err != nil {
			return nil, fmt.Errorf("reading the journal again: %w", err)
		}
		entries = append(entries, some...)
	}
	return entries, nil
}

// part stores some of the entries of a span.
func (p *pipeline) part(ctx context.Context, s *span, entries []Entry) error {
	part := span{from: s.from, next: s.next, entries: entries}
	for i := range entries {
		if entries[i].Answer == nil {
			part.readings++
		}
	}
	if part.readings == 0 {
		return nil
	}
	err := p.d.store(ctx, &part)
	if err == nil {
		p.success()
	}
	return err
}

// isolate stores what can be stored of a span that fails while others are
// stored, and puts the rest into quarantine: readings that fail alone, and fail
// again after the sink has been seen to work, and is seen to work afterwards.
func (p *pipeline) isolate(ctx, hard context.Context, s *span, entries []Entry) error {
	var suspects []int
	var reasons []string
	row := 0
	var try func(from, to int) error
	try = func(from, to int) error {
		err := p.part(hard, s, entries[from:to])
		if err == nil {
			row = 0
			return nil
		}
		if away(err) {
			return err
		}
		if row++; row >= refuseRow {
			if !p.works(ctx) {
				return err
			}
			row = 0
		}
		if to-from == 1 {
			suspects, reasons = append(suspects, from), append(reasons, err.Error())
			return nil
		}
		middle := (from + to) / 2
		if err := try(from, middle); err != nil {
			return err
		}
		return try(middle, to)
	}
	if err := try(0, len(entries)); err != nil {
		return err
	}
	again := suspects
	suspects, reasons = nil, nil
	for n, i := range again {
		if n == 0 && !p.works(ctx) {
			return errNotSeen
		}
		if err := try(i, i+1); err != nil {
			return err
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	if !p.works(ctx) {
		return errNotSeen
	}
	e := &RejectedError{Indexes: suspects, Reason: "it fails alone while others are stored: " + reasons[0], Reasons: reasons}
	if err := p.d.quarantine(hard, entries, e); err != nil {
		return err
	}
	p.d.metrics.rejected.Add(float64(len(suspects)))
	return nil
}

// errNotSeen is why readings are not given up yet.
var errNotSeen = errors.New("readings fail alone, and no other was stored since")

// works waits for a while until something else is stored, and reports whether it
// was.
func (p *pipeline) works(ctx context.Context) bool {
	before := p.stores()
	for range refuseWaits {
		pause(ctx, p.d.o.RetryMax)
		if p.stores() > before {
			return true
		}
	}
	return false
}
