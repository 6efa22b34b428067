package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/tenure"
	contract "firewatch/firmware-contracts"
)

// LeaseName is the lease that the working dispatcher holds.
const LeaseName = "dispatch"

// Options configures a Dispatcher. Orders, Roster, Events, Lease, Holder and Log
// are required.
type Options struct {
	Orders alerts.OrderStore
	Roster alerts.RosterStore
	Events alerts.EventStore // tells of answers and orders that other processes saved
	Lease  alerts.LeaseStore
	Audit  alerts.AuditStore // record of answers that were refused; nil: only the log
	Holder string            // names this process, as no other is named

	// Notifiers are the channels, the first one first. A further one is used
	// when those before it do not take the call, and from the deadline on all
	// are. Without any, the team's page is the only channel.
	Notifiers []alerts.Notifier

	Policy   alerts.Policy // zero: alerts.DefaultPolicy
	Tick     time.Duration // between two looks at the store; default 500 ms
	LeaseTTL time.Duration // after which another may take over; default 15 s
	Workers  int           // teams that are called at once; default 32
	Timeout  time.Duration // of one call on one channel; default 10 s, less than Policy.Claim
	// Retell is how often the retainers are told anew the state of every team
	// with an order of the last day, so that what another process published too
	// late does not stand; default 3 min.
	Retell time.Duration

	Now        func() time.Time // default time.Now
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// A Retainer is a Notifier whose channel keeps the last state for a team: it is
// also told when nothing is to be called but the state has changed.
type Retainer interface {
	alerts.Notifier
	// Renewed receives when the channel may have lost what it kept, as after a
	// reconnection: every team is then told its state again.
	Renewed() <-chan struct{}
}

// Dispatcher gives orders out.
type Dispatcher struct {
	o         Options
	roster    rosterCache
	metrics   metrics
	refusals  limiter
	nudge     chan struct{}
	renewed   chan struct{}
	finished  chan result
	retainers []Retainer
	tenure    *tenure.Tenure

	mu   sync.Mutex
	held map[string]time.Time // channels that asked us to wait

	// Of the loop alone.
	cursor  int64 // events seen
	epoch   int   // counts up when what the channels keep may be lost
	known   int64 // roster version that was last told
	queue   []job
	busy    map[contract.TeamID]bool
	waiting map[contract.TeamID]bool // busy, and due again
	dirty   map[contract.TeamID]time.Time
	told    map[contract.TeamID][]contract.Order // what the retainers keep; saves telling it twice
	sweep   sweep
}

// New checks the options.
func New(o Options) (*Dispatcher, error) {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Orders", o.Orders == nil},
		{"Roster", o.Roster == nil},
		{"Events", o.Events == nil},
		{"Lease", o.Lease == nil},
		{"Holder", o.Holder == ""},
		{"Log", o.Log == nil},
	} {
		if need.missing {
			return nil, fmt.Errorf("dispatch: %s is missing", need.name)
		}
	}
	o.Policy = o.Policy.OrDefault()
	o.Tick = orDefault(o.Tick, 500*time.Millisecond)
	o.LeaseTTL = orDefault(o.LeaseTTL, 15*time.Second)
	o.Workers = orDefault(o.Workers, 32)
	o.Timeout = orDefault(o.Timeout, 10*time.Second)
	o.Retell = orDefault(o.Retell, 3*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("dispatch: Policy: %w", err)
	}
	if o.Timeout >= o.Policy.Claim {
		return nil, fmt.Errorf("dispatch: Timeout %s: want less than Policy.Claim %s, or a slow call is made twice", o.Timeout, o.Policy.Claim)
	}
	if o.Tick < 0 || o.LeaseTTL < time.Second || o.Workers < 0 || o.Timeout < 0 || o.Retell < 0 {
		return nil, errors.New("dispatch: Tick, LeaseTTL, Workers, Timeout and Retell: want positive values, LeaseTTL at least 1s")
	}
	d := &Dispatcher{
		o: o, metrics: newMetrics(o.Registerer),
		roster:   rosterCache{store: o.Roster, now: o.Now},
		nudge:    make(chan struct{}, 1),
		renewed:  make(chan struct{}, 1),
		finished: make(chan result, o.Workers),
		tenure:   tenure.New(o.Lease, LeaseName, o.Holder, o.LeaseTTL),
		held:     map[string]time.Time{},
	}
	seen := map[string]bool{}
	for _, n := range o.Notifiers {
		if ch := n.Channel(); ch == "" || seen[ch] {
			return nil, fmt.Errorf("dispatch: Notifiers: channel %q is there twice or has no name", ch)
		}
		seen[n.Channel()] = true
		if r, ok := n.(Retainer); ok {
			d.retainers = append(d.retainers, r)
		}
	}
	return d, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Nudge makes the dispatcher look at the store now. It never blocks, and
// nothing depends on it.
func (d *Dispatcher) Nudge() {
	select {
	case d.nudge <- struct{}{}:
	default:
	}
}

// Ready reports why orders do not go out, or nil. A dispatcher that stands by
// while another works is ready.
func (d *Dispatcher) Ready() error { return d.tenure.Ready() }

func (d *Dispatcher) setProblem(err error) {
	switch news := d.tenure.Report(err); {
	case news && err != nil:
		d.o.Log.Error("orders do not go out", zap.Error(err))
	case news:
		d.o.Log.Info("dispatcher is ready", zap.Bool("leader", d.tenure.Leader()))
	}
}

// Run gives orders out until ctx ends. Calls under way are given half of
// Timeout to end, then the lease is given up.
func (d *Dispatcher) Run(ctx context.Context) error {
	calls, stopCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCalls()
	var listeners sync.WaitGroup
	for _, r := range d.retainers {
		listeners.Go(func() { d.listen(ctx, r) })
	}
	d.reset()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case r := <-d.finished:
			if d.settle(r) {
				tick.Reset(0)
			}
			d.start(calls)
		case <-d.renewed:
			d.forget()
			tick.Reset(0)
		case <-d.nudge:
			tick.Reset(0)
		case <-tick.C:
			more, err := d.turn(ctx)
			if ctx.Err() == nil {
				d.setProblem(err)
			}
			d.start(calls)
			if more && err == nil {
				tick.Reset(0)
			} else {
				tick.Reset(d.o.Tick)
			}
		}
	}
	hurry := time.AfterFunc(d.o.Timeout/2, stopCalls)
	defer hurry.Stop()
	for len(d.busy) > 0 {
		d.settle(<-d.finished)
	}
	listeners.Wait()
	d.tenure.Report(errors.New("stopped"))
	d.metrics.leader.Set(0)
	if err := d.tenure.Release(ctx, d.o.Timeout/2); err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	return nil
}

func (d *Dispatcher) listen(ctx context.Context, r Retainer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.Renewed():
			select {
			case d.renewed <- struct{}{}:
			default:
			}
		}
	}
}

// reset makes the loop's memory that of a process that has just started.
func (d *Dispatcher) reset() {
	d.tenure.Reset()
	d.queue, d.busy, d.waiting = nil, map[contract.TeamID]bool{}, map[contract.TeamID]bool{}
	d.dirty, d.told = map[contract.TeamID]time.Time{}, map[contract.TeamID][]contract.Order{}
}

// elect takes, renews or gives up the lease. A tenure that cannot be begun is
// begun again at the next look.
func (d *Dispatcher) elect(ctx context.Context, now time.Time) error {
	changed, err := d.tenure.Elect(ctx, now)
	if !changed {
		return err
	}
	if d.tenure.Leader() {
		if err := d.begin(ctx, now); err != nil {
			d.tenure.Retry()
			return err
		}
	}
	d.setLeader(d.tenure.Leader())
	return err
}

// begin begins anew, from the rows: another may have worked meanwhile.
func (d *Dispatcher) begin(ctx context.Context, now time.Time) (err error) {
	if d.cursor, err = d.o.Events.LastEvent(ctx); err != nil {
		return fmt.Errorf("reading the last event: %w", err)
	}
	if err := d.endWithdrawn(ctx, now); err != nil {
		return err
	}
	d.forget()
	d.sweep = newSweep(now, sweepTenure)
	return nil
}

func (d *Dispatcher) setLeader(yes bool) {
	d.metrics.leader.Set(map[bool]float64{true: 1}[yes])
	if yes {
		d.o.Log.Info("giving orders out")
		return
	}
	d.queue, d.dirty = nil, map[contract.TeamID]time.Time{}
	d.o.Log.Info("standing by: another dispatcher works")
}

// forget takes it that the channels keep nothing: all teams are told again.
func (d *Dispatcher) forget() {
	d.epoch++
	d.known = -1
	clear(d.told)
	for id := range d.dirty {
		d.dirty[id] = time.Time{}
	}
}
