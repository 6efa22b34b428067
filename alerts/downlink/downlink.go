package downlink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/tenure"
	contract "firewatch/firmware-contracts"
)

// LeaseName is the lease that the working runner holds.
const LeaseName = "downlink"

// A Teller hands a tracker's whole state to the broker, which keeps it for the
// device. A nil error means that the broker has it, not that it arrived.
type Teller interface {
	// Tell replaces what stands for the device by its open commands, the gravest
	// first; none clears it.
	Tell(ctx context.Context, device contract.DeviceID, open []contract.Order) error
	// Renewed receives when the broker may have lost what it kept, as after a
	// reconnection: every device with a command is then told again.
	Renewed() <-chan struct{}
}

// Options configures a Runner. Store, Lease, Holder, Teller and Log are
// required.
type Options struct {
	Store  alerts.CommandStore
	Lease  alerts.LeaseStore
	Audit  alerts.AuditStore // record of answers that were refused; nil: only the log
	Holder string            // names this process, as no other is named
	Teller Teller

	Tick     time.Duration // between two looks at the store; default 500 ms
	LeaseTTL time.Duration // after which another may take over; default 15 s, at least 1 s
	Workers  int           // devices that are told at once; default 16
	Timeout  time.Duration // of telling one device; default 10 s
	// RetryMax bounds the wait before a device that could not be told is tried
	// again, which doubles from Tick on; default 30 s.
	RetryMax time.Duration
	// Retell is how often every device with a command is told anew, so that what
	// another process published too late does not stand; default 30 min.
	Retell time.Duration

	Now        func() time.Time // default time.Now
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Runner brings commands to trackers.
type Runner struct {
	o        Options
	metrics  metrics
	refusals limiter
	nudge    chan struct{}
	finished chan result
	tenure   *tenure.Tenure

	// Of the loop alone.
	retellAt time.Time // zero: at once
	queue    []contract.DeviceID
	busy     map[contract.DeviceID]bool
	again    map[contract.DeviceID]bool // to be told though no row is due
	wait     map[contract.DeviceID]pause
}

// A pause is how long a device that could not be told is left alone.
type pause struct {
	until time.Time
	next  time.Duration
}

// New checks the options.
func New(o Options) (*Runner, error) {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Store", o.Store == nil},
		{"Lease", o.Lease == nil},
		{"Holder", o.Holder == ""},
		{"Teller", o.Teller == nil},
		{"Log", o.Log == nil},
	} {
		if need.missing {
			return nil, fmt.Errorf("downlink: %s is missing", need.name)
		}
	}
	o.Tick = orDefault(o.Tick, 500*time.Millisecond)
	o.LeaseTTL = orDefault(o.LeaseTTL, 15*time.Second)
	o.Workers = orDefault(o.Workers, 16)
	o.Timeout = orDefault(o.Timeout, 10*time.Second)
	o.RetryMax = orDefault(o.RetryMax, 30*time.Second)
	o.Retell = orDefault(o.Retell, 30*time.Minute)
	for name, bad := range map[string]bool{
		"Tick": o.Tick < 0, "LeaseTTL": o.LeaseTTL < time.Second, "Workers": o.Workers < 0,
		"Timeout": o.Timeout < 0, "RetryMax": o.RetryMax < 0, "Retell": o.Retell < 0,
	} {
		if bad {
			return nil, fmt.Errorf("downlink: %s: want a positive value, LeaseTTL at least 1s", name)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Runner{
		o: o, metrics: newMetrics(o.Registerer),
		nudge: make(chan struct{}, 1), finished: make(chan result, o.Workers),
		tenure: tenure.New(o.Lease, LeaseName, o.Holder, o.LeaseTTL),
	}, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Nudge makes the runner look at the store now. It never blocks, and nothing
// depends on it.
func (r *Runner) Nudge() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Ready reports why commands do not go out, or nil. A runner that stands by
// while another works is ready.
func (r *Runner) Ready() error { return r.tenure.Ready() }

func (r *Runner) setProblem(err error) {
	switch news := r.tenure.Report(err); {
	case news && err != nil:
		r.o.Log.Error("commands do not go out", zap.Error(err))
	case news:
		r.o.Log.Info("downlink is ready", zap.Bool("leader", r.tenure.Leader()))
	}
}

// Run brings commands out until ctx ends. Devices that are being told are given
// half of Timeout, then the lease is given up.
func (r *Runner) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	r.reset()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case x := <-r.finished:
			r.settle(x)
			r.start(work)
		case <-r.o.Teller.Renewed():
			r.forget()
			tick.Reset(0)
		case <-r.nudge:
			tick.Reset(0)
		case <-tick.C:
			err := r.turn(ctx)
			if ctx.Err() == nil {
				r.setProblem(err)
			}
			r.start(work)
			tick.Reset(r.o.Tick)
		}
	}
	hurry := time.AfterFunc(r.o.Timeout/2, stopWork)
	defer hurry.Stop()
	for len(r.busy) > 0 {
		r.settle(<-r.finished)
	}
	r.tenure.Report(errors.New("stopped"))
	r.metrics.leader.Set(0)
	if err := r.tenure.Release(ctx, r.o.Timeout/2); err != nil {
		return fmt.Errorf("downlink: %w", err)
	}
	return nil
}

// reset makes the loop's memory that of a process that has just started.
func (r *Runner) reset() {
	r.tenure.Reset()
	r.retellAt = time.Time{}
	r.queue, r.busy = nil, map[contract.DeviceID]bool{}
	r.again, r.wait = map[contract.DeviceID]bool{}, map[contract.DeviceID]pause{}
}

// forget takes it that the broker keeps nothing: all are told again, also those
// that could not be told before.
func (r *Runner) forget() {
	r.retellAt = time.Time{}
	clear(r.wait)
}

// elect takes, renews or gives up the lease.
func (r *Runner) elect(ctx context.Context, now time.Time) error {
	changed, err := r.tenure.Elect(ctx, now)
	if changed {
		r.setLeader(r.tenure.Leader())
	}
	return err
}

func (r *Runner) setLeader(yes bool) {
	if yes {
		r.forget() // another may have worked meanwhile, or died while it did
		r.metrics.leader.Set(1)
		r.o.Log.Info("bringing commands to trackers")
		return
	}
	r.queue = nil
	clear(r.again)
	r.metrics.leader.Set(0)
	r.o.Log.Info("standing by: another runner works")
}
