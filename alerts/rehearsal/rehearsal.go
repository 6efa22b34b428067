// Package rehearsal runs a rule set over readings of the past, or made up, without
// a store, a broker or a clock: the engine's own judging, in simulated time. It
// tells which alerts would have been raised, what would have been held back, and
// which orders would have been given or proposed to which teams.
//
// It carries the tests of rule sets (Script), and the comparison of two rule sets
// over months of readings (Compare).
package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/engine"
	contract "firewatch/firmware-contracts"
)

// Options are what a rehearsal needs.
type Options struct {
	Rules alerts.RuleSet
	World World
	Start time.Time // when it begins; the engine has listened since then
	// Tick is how often, in simulated time, rules that time drives are asked, and
	// seasons, warnings and danger looked at anew: 1 s .. 1 h; zero: 1 s, as the
	// engine does. Longer ones are faster, and what time drives comes later by at
	// most this.
	Tick time.Duration
	// Lean leaves out of the alerts what takes most of the memory: evidence and
	// the values that were seen.
	Lean bool
	Log  *zap.Logger // nil: none
}

// Rehearsal is one run of a rule set. One goroutine may use it.
type Rehearsal struct {
	engine   *engine.Rehearsal
	book     *ledger
	clock    *time.Time
	tick     time.Duration
	next     time.Time
	start    time.Time
	devices  map[contract.DeviceID]bool
	rules    alerts.RuleSet
	readings int
	strange  int
}

// Order is an order that would have been given, or proposed to a person.
type Order struct {
	At         time.Time
	Kind       alerts.OrderKind
	Level      alerts.Severity
	Mode       alerts.OrderMode
	Rule       string
	Alert      string
	Incident   string
	Area       string // township code of the alert
	Teams      []contract.TeamID
	Shortfalls []string // 中文
}

// Result is what came of a rehearsal so far.
type Result struct {
	Rules     alerts.RuleSet
	From, To  time.Time // simulated
	Readings  int       // judged
	Strange   int       // of devices that are not in the roster
	Alerts    []alerts.Alert
	Incidents []alerts.Incident
	Orders    []Order
	Held      []alerts.Holdback // held back without an alert
}

// New begins a rehearsal.
func New(ctx context.Context, o Options) (*Rehearsal, error) {
	o.Tick = cmp.Or(o.Tick, time.Second)
	switch {
	case len(o.Rules.Rules) == 0:
		return nil, errors.New("rehearsal options: Rules is missing")
	case o.Start.IsZero():
		return nil, errors.New("rehearsal options: Start is missing")
	case o.Tick < time.Second || o.Tick > time.Hour:
		return nil, fmt.Errorf("rehearsal options: Tick %s: want 1s to 1h", o.Tick)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	start := o.Start.UTC()
	r := &Rehearsal{clock: &start, tick: o.Tick, start: start, next: start, rules: o.Rules, devices: make(map[contract.DeviceID]bool)}
	for i := range o.World.Roster.Devices {
		r.devices[o.World.Roster.Devices[i].ID] = true
	}
	now := func() time.Time { return *r.clock }
	o.World.sort()
	r.book = newLedger(&o.World, now, o.Lean)
	e, err := engine.New(engine.Options{
		Feed: silent{}, Rules: o.Rules, Now: now, Log: o.Log, Proposed: r.book.proposed,
		Roster: rosterPort{ledger: r.book}, Alerts: alertPort{ledger: r.book}, Orders: orderPort{ledger: r.book},
		Warnings: warningPort{ledger: r.book}, Incidents: incidentPort{ledger: r.book}, Silences: silencePort{ledger: r.book},
		Holdbacks: holdbackPort{ledger: r.book}, Documents: documentPort{ledger: r.book}, Hotspots: hotspotPort{ledger: r.book},
		Danger: dangerPort{ledger: r.book}, DangerMethod: o.World.DangerMethod,
		Answers: func(context.Context, contract.Answer) error { return nil },
	})
	if err != nil {
		return nil, fmt.Errorf("rehearsal: %w", err)
	}
	if r.engine, err = e.Rehearse(ctx); err != nil {
		return nil, fmt.Errorf("rehearsal: %w", err)
	}
	return r, r.Until(ctx, start)
}

// Judge moves the clock to when the reading was received, and judges it. A reading
// that was received before the one before it is judged at the time of that one.
func (r *Rehearsal) Judge(ctx context.Context, x *contract.Reading) error {
	if err := r.Until(ctx, x.Received); err != nil {
		return err
	}
	r.readings++
	if !r.devices[x.Device] {
		r.strange++
	}
	return r.engine.Judge(ctx, x)
}

// Until moves the clock to a time, never back.
func (r *Rehearsal) Until(ctx context.Context, t time.Time) error {
	for !r.next.After(t) {
		if err := ctx.Err(); err != nil {
			return err
		}
		*r.clock = r.next
		r.next = r.next.Add(r.tick)
		if err := r.engine.Tick(ctx); err != nil {
			return fmt.Errorf("rehearsal at %s: %w", r.clock.Format(time.RFC3339), err)
		}
	}
	if t.After(*r.clock) {
		*r.clock = t
	}
	return nil
}

// Settle does at this time what the next tick would do.
func (r *Rehearsal) Settle(ctx context.Context) error { return r.engine.Tick(ctx) }

// Now is the simulated time.
func (r *Rehearsal) Now() time.Time { return *r.clock }

// Result is what came of it so far; alerts and orders by their time.
func (r *Rehearsal) Result() Result {
	b := r.book
	out := Result{Rules: r.rules, From: r.start, To: *r.clock, Readings: r.readings, Strange: r.strange, Orders: slices.Clone(b.orders)}
	for _, id := range b.order {
		out.Alerts = append(out.Alerts, *b.alerts[id])
	}
	slices.SortStableFunc(out.Alerts, func(x, y alerts.Alert) int { return x.Raised.Compare(y.Raised) })
	for _, some := range [2]map[string]*alerts.Incident{b.open, b.closed} {
		for _, in := range some {
			out.Incidents = append(out.Incidents, *in)
		}
	}
	slices.SortFunc(out.Incidents, func(x, y alerts.Incident) int {
		return cmp.Or(x.Opened.Compare(y.Opened), cmp.Compare(x.ID, y.ID))
	})
	for _, h := range slices.Collect(maps.Values(b.held)) {
		out.Held = append(out.Held, *h)
	}
	slices.SortFunc(out.Held, func(x, y alerts.Holdback) int {
		return cmp.Or(x.First.Compare(y.First), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Device, y.Device), cmp.Compare(x.Why, y.Why))
	})
	return out
}
