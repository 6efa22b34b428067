package engine

import (
	"context"
	"errors"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Rehearsal judges by a clock that its caller moves (Options.Now) and input that
// its caller brings: nothing waits, no feed is followed and no lease is held. It
// is the engine's own bench, so that what a rehearsal finds is what the engine
// finds. One goroutine may use it.
type Rehearsal struct {
	b   *bench
	one [1]contract.Reading
}

// Rehearse begins a rehearsal at the time that Options.Now tells.
func (e *Engine) Rehearse(ctx context.Context) (*Rehearsal, error) {
	if e.Lease != nil {
		return nil, errors.New("rehearsing: Lease: a rehearsal holds none")
	}
	b := newBench(e, e.Now().AddDate(1000, 0, 0))
	if err := b.load(ctx); err != nil {
		return nil, err
	}
	b.reading.Store(1) // as a feed that has had nothing for long: nothing waits to be judged
	b.behind = false
	return &Rehearsal{b: b}, nil
}

// Judge judges a reading now.
func (r *Rehearsal) Judge(ctx context.Context, x *contract.Reading) error {
	r.one[0] = *x
	return r.b.batch(ctx, alerts.Batch{Readings: r.one[:], Next: r.b.pos + 1})
}

// Tick does what time asks for, and saves what is pending. The engine at work
// does so every second.
func (r *Rehearsal) Tick(ctx context.Context) error { return r.b.tick(ctx) }
