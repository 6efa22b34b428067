package posture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/tenure"
)

// LeaseName is the lease that the working runner holds.
const LeaseName = "posture"

// Options configures a Runner. Roster, Warnings, Readiness, Documents, Orders,
// Lease, Holder and Log are required.
type Options struct {
	Roster    alerts.RosterStore
	Warnings  alerts.WarningStore
	Readiness alerts.ReadinessStore
	Documents alerts.DocumentStore
	Orders    alerts.OrderStore
	Policy    alerts.Policy      // zero: alerts.DefaultPolicy
	Audit     alerts.AuditStore  // record of orders given; nil: only the log
	Danger    alerts.DangerStore // nil: fire danger is not known
	// DangerMethod is the rating that counts.
	DangerMethod string
	// WarningsUnknown says why warnings that should have come may not have, as
	// when a feed is stale; nil, or an empty answer: they are as they are stored.
	WarningsUnknown func(now time.Time) string
	Lease           alerts.LeaseStore
	Holder          string // names this process, as no other is named

	Tick     time.Duration // between two rounds; default 5 s
	LeaseTTL time.Duration // after which another may take over; default 15 s, at least 1 s
	Timeout  time.Duration // of one round; default 10 s
	Nudge    func()        // called after something was saved; may be nil
	Ordered  func()        // called after an order was given; may be nil

	Now        func() time.Time // default time.Now
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Runner keeps readiness proposed.
type Runner struct {
	o       Options
	tenure  *tenure.Tenure
	metrics metrics
	nudge   chan struct{}

	// Of the loop alone.
	rosterAt int64
	areas    alerts.Areas // nil: not read yet
	table    *alerts.ReadinessTable
	document alerts.Document // that table was read from
	teams    []alerts.Team
	demo     bool
	given    map[alerts.OrderKey]bool // known to be among the orders
}

// New checks the options.
func New(o Options) (*Runner, error) {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Roster", o.Roster == nil},
		{"Warnings", o.Warnings == nil},
		{"Readiness", o.Readiness == nil},
		{"Documents", o.Documents == nil},
		{"Orders", o.Orders == nil},
		{"Lease", o.Lease == nil},
		{"Holder", o.Holder == ""},
		{"DangerMethod", o.Danger != nil && o.DangerMethod == ""},
		{"Log", o.Log == nil},
	} {
		if need.missing {
			return nil, fmt.Errorf("posture: %s is missing", need.name)
		}
	}
	for _, d := range []struct {
		name     string
		to       *time.Duration
		def, min time.Duration
	}{
		{"Tick", &o.Tick, 5 * time.Second, 0},
		{"LeaseTTL", &o.LeaseTTL, 15 * time.Second, time.Second},
		{"Timeout", &o.Timeout, 10 * time.Second, 0},
	} {
		if *d.to == 0 {
			*d.to = d.def
		}
		if *d.to < d.min {
			return nil, fmt.Errorf("posture: %s %s: want at least %s", d.name, *d.to, d.min)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nudge == nil {
		o.Nudge = func() {}
	}
	if o.Ordered == nil {
		o.Ordered = func() {}
	}
	o.Policy = o.Policy.OrDefault()
	if err := o.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("posture: Policy: %w", err)
	}
	if o.WarningsUnknown == nil {
		o.WarningsUnknown = func(time.Time) string { return "" }
	}
	return &Runner{
		o: o, tenure: tenure.New(o.Lease, LeaseName, o.Holder, o.LeaseTTL),
		metrics: newMetrics(o.Registerer), nudge: make(chan struct{}, 1),
	}, nil
}

// Nudge makes the runner look now. It never blocks, and nothing depends on it.
func (r *Runner) Nudge() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Ready reports why readiness is not worked out, or nil. A runner that stands by
// while another works is ready.
func (r *Runner) Ready() error { return r.tenure.Ready() }

// Run works until ctx ends, then the lease is given up.
func (r *Runner) Run(ctx context.Context) error {
	r.tenure.Reset()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.nudge:
			tick.Reset(0)
		case <-tick.C:
			err := r.turn(ctx)
			if ctx.Err() != nil {
				break
			}
			if r.tenure.Report(err) && err != nil {
				r.o.Log.Error("readiness is not worked out", zap.Error(err))
			}
			tick.Reset(r.o.Tick)
		}
	}
	r.tenure.Report(errors.New("stopped"))
	r.metrics.leader.Set(0)
	if err := r.tenure.Release(ctx, r.o.Timeout/2); err != nil {
		return fmt.Errorf("posture: %w", err)
	}
	return nil
}

// turn is one look at everything.
func (r *Runner) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	now := r.o.Now()
	changed, err := r.tenure.Elect(ctx, now)
	if changed {
		r.metrics.leader.Set(map[bool]float64{true: 1}[r.tenure.Leader()])
		r.o.Log.Info("tenure of readiness changed", zap.Bool("leader", r.tenure.Leader()))
	}
	if err != nil {
		return err
	}
	if !r.tenure.Leader() {
		return nil
	}
	result, err := r.round(ctx, now)
	r.metrics.rounds.WithLabelValues(result).Inc()
	return errors.Join(err, r.giveOrders(ctx, now))
}

// round works out what has changed and saves it.
func (r *Runner) round(ctx context.Context, now time.Time) (result string, err error) {
	fault := r.readTable(ctx, now)
	if r.table == nil {
		return "error", fault
	}
	around, err := r.around(ctx, now)
	if err != nil {
		return "error", err
	}
	current, err := r.o.Readiness.Readiness(ctx)
	if err != nil {
		return "error", fmt.Errorf("reading readiness: %w", err)
	}
	was := make(map[string]*alerts.Readiness, len(current))
	for i := range current {
		was[current[i].Area] = &current[i]
	}
	var changes []alerts.Readiness
	var codes []string
	open, degraded := 0, 0
	for _, next := range alerts.ProposeReadiness(r.table, r.areas, around, current, now) {
		if next.Open {
			open++
		}
		if next.Degraded() {
			degraded++
		}
		if old := was[next.Area]; old == nil || !old.Same(&next) {
			changes, codes = append(changes, next), append(codes, next.Area)
		}
	}
	r.metrics.open.Set(float64(open))
	r.metrics.degraded.Set(float64(degraded))
	if len(changes) == 0 {
		return "same", fault
	}
	data, err := json.Marshal(map[string][]string{"areas": codes})
	if err != nil {
		return "error", fmt.Errorf("readiness event: %w", err)
	}
	if !r.tenure.Owns(r.o.Now()) { // this process stood still meanwhile
		return "same", fault
	}
	evs := []alerts.Event{{At: now, Type: alerts.EventReadiness, Data: data}}
	err = r.o.Readiness.SaveReadiness(ctx, changes, now, evs)
	if errors.Is(err, alerts.ErrConflict) { // a person has decided meanwhile
		r.Nudge()
		return "conflict", fault
	}
	if err != nil {
		return "error", fmt.Errorf("saving readiness: %w", err)
	}
	for i := range changes {
		if old, is := was[changes[i].Area], &changes[i]; old == nil && is.Proposed > is.Posture || old != nil && (old.Proposed != is.Proposed || old.Posture != is.Posture) {
			r.o.Log.Info("readiness", zap.String("area", is.Area), zap.Stringer("posture", is.Posture), zap.Stringer("proposed", is.Proposed),
				zap.Bool("open", is.Open), zap.String("why", is.Sentence()))
		}
	}
	r.o.Nudge()
	return "saved", fault
}

// readTable takes over the table in force. One that cannot be read changes
// nothing: the last one rules on, the shipped one when there was none.
func (r *Runner) readTable(ctx context.Context, now time.Time) error {
	d, err := r.o.Documents.Document(ctx, alerts.DocumentReadiness, now)
	switch {
	case errors.Is(err, alerts.ErrNotFound):
		d = alerts.Document{Body: alerts.DefaultReadiness()}
	case err != nil:
		return fmt.Errorf("reading the readiness table: %w", err)
	}
	if r.table != nil && r.document.Version == d.Version {
		return nil
	}
	t, err := alerts.ParseReadinessTable(d.Body)
	if err == nil {
		r.table, r.document = &t, d
		r.o.Log.Info("readiness table in force", zap.String("version", t.Version))
		return nil
	}
	if r.table == nil {
		if t, dErr := alerts.ParseReadinessTable(alerts.DefaultReadiness()); dErr == nil {
			r.table = &t
		}
	}
	return fmt.Errorf("readiness table %q cannot be used, another one rules: %w", d.Version, err)
}

// maxWarnings bounds those in force at one time.
const maxWarnings = 500

// around is the surroundings of each township.
func (r *Runner) around(ctx context.Context, now time.Time) (map[string]alerts.Surroundings, error) {
	version, demo, err := r.o.Roster.RosterVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the roster's version: %w", err)
	}
	if r.areas == nil || version != r.rosterAt {
		list, err := r.o.Roster.Areas(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading areas: %w", err)
		}
		teams, err := r.o.Roster.Teams(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading teams: %w", err)
		}
		r.areas, r.teams, r.demo, r.rosterAt = alerts.IndexAreas(list), teams, demo, version
	}
	warnings, err := r.o.Warnings.Warnings(ctx, now, maxWarnings)
	if err != nil {
		return nil, fmt.Errorf("reading warnings: %w", err)
	}
	var seasons *alerts.SeasonTable
	switch t, err := r.o.Warnings.Seasons(ctx, now); {
	case err == nil:
		seasons = &t
	case !errors.Is(err, alerts.ErrNotFound):
		return nil, fmt.Errorf("reading seasons: %w", err)
	}
	var danger alerts.DangerTable
	if r.o.Danger != nil {
		ds, err := r.o.Danger.AreaDangers(ctx, "", alerts.DangerDay(now.AddDate(0, 0, -alerts.DangerHeldDays)), alerts.DangerDay(now))
		if err != nil {
			return nil, fmt.Errorf("reading fire danger: %w", err)
		}
		danger = alerts.NewDangerTable(r.o.DangerMethod, ds)
	}
	unknown := r.o.WarningsUnknown(now) != ""
	out := make(map[string]alerts.Surroundings)
	for code, a := range r.areas {
		if a.Level != alerts.Township {
			continue
		}
		s := alerts.SurroundingsAt(r.areas, seasons, warnings, r.table.Weather, code, now).WithDanger(danger, r.areas, code, now)
		s.WarnUnknown = s.WarnUnknown || unknown
		out[code] = s
	}
	return out, nil
}
