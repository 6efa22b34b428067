// Package engine judges what the feed brings: it reads, asks the rules of
// package alerts, saves what they find in one transaction with the position,
// and gives the orders that rules give by themselves.
//
// Nothing that is judged rests in memory alone. Rule states and the position
// are rows; windows are filled again from the feed, which keeps what they span.
// A crash between any two saves repeats work, and repeating it changes nothing.
package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	leaseName   = "alerts/engine"
	leaseTTL    = 15 * time.Second
	batchLimit  = 512
	tickEvery   = time.Second
	minBackoff  = 100 * time.Millisecond
	maxBackoff  = 5 * time.Second
	saveTimeout = 10 * time.Second
	// standbyEvery is how often an engine that stands by releases its feed.
	standbyEvery = time.Minute
)

// Options are what an Engine needs.
type Options struct {
	Feed     alerts.Feed
	Roster   alerts.RosterStore
	Alerts   alerts.AlertStore
	Orders   alerts.OrderStore
	Warnings alerts.WarningStore
	// Feeds is how the polling of warnings goes; nil: they come by hand.
	Feeds alerts.WarningFeedStore
	// Documents holds the register of ignition sources; nil: there is none.
	Documents alerts.DocumentStore
	Hotspots  alerts.HotspotStore // nil: there are none
	Rules     alerts.RuleSet
	// Incidents and Silences hold what people say of alerts.
	Incidents alerts.IncidentStore
	Silences  alerts.SilenceStore
	// Holdbacks takes what was held back without an alert; nil: it is only logged.
	Holdbacks alerts.HoldbackStore
	// Answers takes the answer of a team or a tracker. alerts.ErrNotFound and alerts.ErrConflict
	// mean that the answer will never fit; anything else is tried again.
	Answers func(ctx context.Context, a contract.Answer) error
	Lease   alerts.LeaseStore // nil: this is the only engine
	Holder  string            // names this process in the lease
	Nudge   func()            // called after an order was given; may be nil
	// Proposed is told of each order that is proposed to a person; may be nil.
	Proposed func(a alerts.Alert, p alerts.OrderPolicy, picks []alerts.Pick, shortfalls []string)
	Now      func() time.Time // nil: time.Now
	Policy   alerts.Policy    // until when the teams of an order must answer; zero: alerts.DefaultPolicy
	Demo     bool             // mark alerts as 演示 even when the roster does not say so
	// Danger is where the fire danger of each day is read; nil: it is unknown.
	Danger       alerts.DangerStore
	DangerMethod string // whose level counts; empty: alerts.DangerHTZ

	// Past is where readings are looked for that the feed did not bring; nil: they
	// are not judged.
	Past alerts.Past
	// Apart says that what fills Past does not come by the same way as the feed:
	// what a broker brought to one it may have lost for the other. The two are then
	// compared all the time.
	Apart bool

	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: metrics are kept, and shown to nobody
}

// Engine is the judging role.
type Engine struct {
	Options
	met *metrics

	swaps chan struct{} // told that the rules in force are others

	mu        sync.Mutex
	down      map[string]error // by part
	set       alerts.RuleSet   // in force
	note      string           // of what was not judged in time
	noteUntil time.Time        // zero: for as long as it is
}

// New checks the options.
func New(o Options) (*Engine, error) {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Feed", o.Feed == nil},
		{"Roster", o.Roster == nil},
		{"Alerts", o.Alerts == nil},
		{"Orders", o.Orders == nil},
		{"Warnings", o.Warnings == nil},
		{"Incidents", o.Incidents == nil},
		{"Silences", o.Silences == nil},
		{"Rules", len(o.Rules.Rules) == 0},
		{"Answers", o.Answers == nil},
		{"Log", o.Log == nil},
		{"Holder", o.Lease != nil && o.Holder == ""},
	} {
		if need.missing {
			return nil, fmt.Errorf("engine options: %s is missing", need.name)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nudge == nil {
		o.Nudge = func() {}
	}
	if o.DangerMethod == "" {
		o.DangerMethod = alerts.DangerHTZ
	}
	if !slices.Contains(alerts.DangerMethods, o.DangerMethod) {
		return nil, fmt.Errorf("engine options: DangerMethod %q: want one of %v", o.DangerMethod, alerts.DangerMethods)
	}
	o.Policy = o.Policy.OrDefault()
	if err := o.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("engine options: Policy: %w", err)
	}
	met, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("engine metrics: %w", err)
	}
	return &Engine{Options: o, met: met, swaps: make(chan struct{}, 1), set: o.Rules, down: map[string]error{partStart: errors.New("not started")}}, nil
}

// Ready says why nothing is judged at present, or nil. An engine that stands by
// while another holds the lease is ready.
func (e *Engine) Ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, part := range parts {
		if err := e.down[part]; err != nil {
			return err
		}
	}
	return nil
}

// The parts that can keep the engine from judging.
const (
	partStart = "start"
	partStore = "store"
	partFeed  = "feed"
)

var parts = [...]string{partStart, partStore, partFeed}

// tell notes why a part keeps the engine from judging, or nil; what is news is
// logged.
func (e *Engine) tell(part string, err error) {
	e.mu.Lock()
	was := e.down[part]
	e.down[part] = err
	e.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		e.Log.Warn("judging stands still", zap.String("part", part), zap.Error(err))
	case err == nil && was != nil:
		e.Log.Info("judging goes on", zap.String("part", part))
	}
}

var errLeaseLost = errors.New("another engine holds the lease")

// Run judges until ctx ends. It outlives outages of the store and of the feed,
// during which it judges nothing, says so in Ready, and after which it catches
// up.
func (e *Engine) Run(ctx context.Context) error {
	wait := backoff{}
	var released time.Time
	for ctx.Err() == nil {
		held, until, err := e.acquire(ctx)
		switch {
		case err != nil:
			e.tell(partStore, fmt.Errorf("asking for the lease: %w", err))
			wait.sleep(ctx)
			continue
		case !held:
			e.tell(partStore, nil)
			e.tell(partStart, nil)
			if now := e.Now(); now.Sub(released) >= standbyEvery {
				released = now
				e.releaseFollowed(ctx, now)
			}
			sleep(ctx, leaseTTL/3)
			continue
		}
		b := newBench(e, until)
		if err := b.load(ctx); err != nil {
			e.tell(partStart, err)
			wait.sleep(ctx)
			continue
		}
		wait = backoff{}
		e.tell(partStore, nil)
		e.tell(partStart, nil)
		if err := b.run(ctx); err != nil {
			e.tell(partStart, err)
			wait.sleep(ctx)
		}
	}
	if e.Lease != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		if err := e.Lease.ReleaseLease(ctx, leaseName, e.Holder); err != nil {
			e.Log.Warn("lease not released; it runs out by itself", zap.Error(err))
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down[partStart] = errors.New("stopped")
	return nil
}

// releaseFollowed lets the feed of an engine that stands by forget what the one
// at work has judged on its own, but for what windows are filled from.
func (e *Engine) releaseFollowed(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	rows, err := e.Alerts.RuleStates(ctx)
	if err != nil {
		e.Log.Warn("feed not released: reading how far the engine at work is", zap.Error(err))
		return
	}
	through, _, ok := lastFollowed(rows, now)
	if !ok {
		return
	}
	if err := e.Feed.Release(e.Feed.Seek(through.Add(-spanOf(e.InForce()) - followMargin))); err != nil {
		e.Log.Warn("feed not released", zap.Error(err))
	}
}

// acquire takes or renews the lease, and until when it is surely ours: a third
// of its time before it ends, so that a slow save cannot outlive it.
func (e *Engine) acquire(ctx context.Context) (held bool, until time.Time, err error) {
	now := e.Now()
	if e.Lease == nil {
		return true, now.Add(24 * time.Hour), nil
	}
	held, err = e.Lease.AcquireLease(ctx, leaseName, e.Holder, now, leaseTTL)
	return held, now.Add(leaseTTL * 2 / 3), err
}

// backoff waits longer each time.
type backoff struct{ next time.Duration }

func (b *backoff) sleep(ctx context.Context) {
	b.next = min(max(b.next*2, minBackoff), maxBackoff)
	sleep(ctx, b.next)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
