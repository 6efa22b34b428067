package influx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
)

// How the Downsampler goes about it.
const (
	settle      = 5 * time.Minute // after its end, a window is summed up
	settleLater = 3               // a late reading waits this many times its lateness,
	settleMost  = 6 * time.Hour   // and at most so long: its window is scarcely touched once only
	settleDay   = time.Hour       // after its end, and between two times, a day is summed up

	margin     = 2 * time.Hour    // readings no later than this need no note of their own
	failedRest = 30 * time.Second // of windows that could not be summed up
	refuseRest = 10 * time.Minute // of those whose summaries InfluxDB refused
	unloaded   = 10_000           // windows at most that wait for load
	groupMost  = 6                // windows of one question: one hour

	// After a question that took a second, two are left to others.
	politeness = 2

	shortenEvery = time.Hour // between looks at what the policies keep
	questionDay  = 30 * time.Minute
)

// DownsamplerOptions configures a Downsampler. Client is required.
type DownsamplerOptions struct {
	Client *Client
	// Instance tells processes apart that write into one database; default
	// "ingest". It must stay the same over restarts.
	Instance   string
	Every      time.Duration // between looks at what is due, at least 1 ms, default 1 min
	Now        func() time.Time
	Registerer prometheus.Registerer // nil: no metrics
	Log        *zap.Logger           // nil is silent
}

// A Downsampler sums up what the sink has written: windows of ten minutes into
// the policy m10, days (of UTC+8) into the policy daily, and it copies SOS and
// reports as they are into the latter. It is told which windows were touched
// (it is an Observer), reads these again some time after, and writes what it
// finds: so late data changes old windows, and doing it again changes nothing.
//
// What it has not done yet survives a crash. In the measurement downsampling of
// the policy daily it keeps a mark, from which on everything is done again at the
// next start, and a note of each older window that is touched, written before the
// sink hears that its write has succeeded. Only when InfluxDB does not take such a
// note does the write fail; nothing else that the Downsampler does, and no question
// that it asks, holds up a write.
//
// It shortens no policy before everything older is summed up. But readings whose
// time is over go whether or not they are summed up: see Ready.
type Downsampler struct {
	o   DownsamplerOptions
	c   *Client
	log *zap.Logger

	noting sync.Mutex // held while notes are written: the last one must be the true one

	mu       sync.Mutex
	loaded   bool
	overflow bool // something was noted and not remembered, because much waits for load
	pending  map[window]entry
	mark     int64 // ns: what began before and is not done is noted
	stored   int64 // the mark that InfluxDB has
	sweep    int64 // ns: windows from here up to sweepEnd are done anew
	sweepEnd int64

	fault     error // of the last round
	refusal   error // the last of InfluxDB, while windows wait that it refused
	shortened time.Time
	done      prometheus.Counter
}

// A window is ten minutes or a day of one measurement.
type window struct {
	what  what
	start int64 // ns
}

// what is a measurement, and whether it is days of it.
type what uint8

const days what = 1 << 7

// summed are the measurements that are summed up, by number.
var summed = [...]string{measurementPosition, measurementEnvironment, measurementStatus}

func (w what) measurement() string { return summed[w&^days] }

func (w what) name() string {
	if w&days != 0 {
		return w.measurement() + suffixDaily
	}
	return w.measurement() + suffixTenMinutes
}

func (w window) length() time.Duration {
	if w.what&days != 0 {
		return oneDay
	}
	return tenMinutes
}

func (w window) end() int64 { return w.start + int64(w.length()) }

// An entry is a window that is to be summed up.
type entry struct {
	due     int64 // ns
	noted   bool  // or being noted
	refused bool  // its summary was, by InfluxDB
	only    only
}

// whatOf is the number of the measurement of the class, or false.
func whatOf(class contract.Class) (what, bool) {
	switch class {
	case contract.Position, contract.SOS, contract.Report:
		return 0, true
	case contract.Environment:
		return 1, true
	case contract.Status:
		return 2, true
	}
	return 0, false
}

// NewDownsampler checks the options. It does not dial.
func NewDownsampler(o DownsamplerOptions) (*Downsampler, error) {
	if o.Instance == "" {
		o.Instance = "ingest"
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	switch {
	case o.Client == nil:
		return nil, errors.New("downsampler: Client is missing")
	case !validName(o.Instance):
		return nil, fmt.Errorf("downsampler: Instance %q: want 1 to 64 letters, digits, . _ or -", o.Instance)
	case o.Every < time.Millisecond:
		return nil, errors.New("downsampler: Every: at least 1ms")
	case o.Client.opt.Keep > 0 && o.Client.opt.Keep < 2*oneDay:
		return nil, errors.New("downsampler: Client: its Keep leaves no time to sum up, want at least 48h, or 0 for ever")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	d := &Downsampler{
		o: o, c: o.Client, log: o.Log, pending: map[window]entry{},
		done: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "firewatch_downsample_windows_total", Help: "Windows of ten minutes and days that were summed up.",
		}),
	}
	if o.Registerer != nil {
		for _, m := range []prometheus.Collector{d.done, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firewatch_downsample_behind_seconds", Help: "Age of the oldest window that is due and not summed up.",
		}, func() float64 { return d.behind().Seconds() })} {
			if err := o.Registerer.Register(m); err != nil {
				return nil, fmt.Errorf("downsampler: registering metrics: %w", err)
			}
		}
	}
	return d, nil
}

// Touched implements Observer. It allocates nothing for windows that it knows.
func (d *Downsampler) Touched(ctx context.Context, readings []*contract.Reading) error {
	now := d.o.Now().UnixNano()
	var (
		late []window
		last window
		all  bool // the last is of all devices
	)
	d.mu.Lock()
	mark := d.mark
	if !d.loaded {
		mark = newestMark(now)
	}
	for i, r := range readings {
		n, ok := whatOf(r.Class)
		w := window{n, floorTo(r.Measured.UnixNano(), tenMinutes)}
		if !ok || i > 0 && w == last && all {
			continue
		}
		last, all = w, now < w.end()+int64(settle)
		if e, known := d.pending[w]; known {
			if more, changed := e.only.with(r.Device); changed {
				e.only = more
				d.pending[w] = e
			}
			all = e.only == nil
			continue
		}
		e := entry{due: dueAt(w, now), noted: w.start < mark}
		if !all { // a late one, not the fleet
			e.only, _ = only{}.with(r.Device)
		}
		if e.noted {
			late = append(late, w)
			if !d.loaded && len(d.pending) >= unloaded {
				d.overflow = true
				continue // load will read the note
			}
		}
		d.pending[w] = e
	}
	d.mu.Unlock()
	if len(late) == 0 {
		return nil
	}
	d.noting.Lock()
	defer d.noting.Unlock()
	if err := d.note(ctx, late, nil, 0); err != nil {
		d.mu.Lock()
		for _, w := range late {
			delete(d.pending, w) // to be noted when it is tried again
		}
		d.mu.Unlock()
		return fmt.Errorf("noting windows to sum up: %w", err)
	}
	return nil
}

// dueAt is when a window that is touched now is summed up.
func dueAt(w window, now int64) int64 {
	first := w.end() + int64(settle)
	if now < first {
		return first
	}
	return now + min(settleLater*(now-w.end()), int64(settleMost))
}

// Run sums up what is due until ctx ends. While InfluxDB is away it tries again.
func (d *Downsampler) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		again, err := d.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.mu.Lock()
		before := d.fault
		d.fault = err
		d.mu.Unlock()
		switch {
		case err != nil && (before == nil || before.Error() != err.Error()):
			d.log.Warn("readings cannot be summed up now", zap.Error(err))
		case err == nil && before != nil:
			d.log.Info("readings are summed up again")
		}
		wait := d.o.Every
		if again && err == nil {
			wait = 0
		}
		timer.Reset(wait)
	}
}

// round does what is due, and reports whether there is more. It ends after a
// while, because something newer may have become due.
func (d *Downsampler) round(ctx context.Context) (again bool, err error) {
	if err := d.load(ctx); err != nil {
		return false, err
	}
	began := time.Now()
	groups := d.due()
	var stuck error // the sweep: it goes on when InfluxDB takes its summaries
	sweep := func() error {
		var err error
		if stuck == nil {
			err = d.sweepOn(ctx)
		}
		if isRefusal(err) {
			stuck, err = err, nil
		}
		return err
	}
	for len(groups) > 0 && time.Since(began) < d.o.Every {
		err := d.politely(ctx, func() error {
			_, err := d.do(ctx, groups[0], false)
			return err
		})
		if err != nil && !isRefusal(err) { // which must not hold up the others
			return false, err
		}
		groups = groups[1:]
		if err := sweep(); err != nil {
			return false, err
		}
	}
	for stuck == nil && d.sweeping() && time.Since(began) < d.o.Every {
		if err := sweep(); err != nil {
			return false, err
		}
	}
	if err := d.advance(ctx); err != nil {
		return false, err
	}
	if err := cmp.Or(stuck, d.refused()); err != nil {
		return false, err
	}
	if len(groups) > 0 || d.sweeping() {
		return true, nil
	}
	return false, d.shorten(ctx)
}

// politely does something and then leaves InfluxDB to others for a while.
func (d *Downsampler) politely(ctx context.Context, f func() error) error {
	began := time.Now()
	if err := f(); err != nil {
		return err
	}
	rest := time.NewTimer(politeness * time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("summing up: %w", ctx.Err())
	}
}

func (d *Downsampler) sweeping() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sweep < d.sweepEnd
}

// sweepOn sums up one more hour of what may not have been before the start, or
// passes over the time in which nothing was measured.
func (d *Downsampler) sweepOn(ctx context.Context) error {
	if !d.sweeping() {
		return nil
	}
	d.mu.Lock()
	from := d.sweep
	to := min(floorTo(from, time.Hour)+int64(time.Hour), d.sweepEnd)
	d.mu.Unlock()
	found := 0
	for n := range summed {
		var g []window
		for at := from; at < to; at += int64(tenMinutes) {
			g = append(g, window{what(n), at})
		}
		err := d.politely(ctx, func() error {
			rows, err := d.do(ctx, g, true)
			found += rows
			return err
		})
		if err != nil {
			return err
		}
	}
	if found == 0 && to < d.sweepEnd {
		next, err := d.c.firstFrom(ctx, to, d.sweepEnd)
		if err != nil {
			return fmt.Errorf("finding the next reading to sum up: %w", err)
		}
		to = floorTo(next, tenMinutes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep = to
	return nil
}

// advance moves the mark up to the oldest window that is not done and not noted.
func (d *Downsampler) advance(ctx context.Context) error {
	d.mu.Lock()
	oldest := newestMark(d.o.Now().UnixNano())
	if d.sweep < d.sweepEnd {
		oldest = min(oldest, d.sweep)
	}
	for w, e := range d.pending {
		if !e.noted {
			oldest = min(oldest, w.start)
		}
	}
	// From here on what is older is noted; the other way round a reading could
	// slip through while the mark is written.
	d.mark = max(d.mark, oldest)
	mark, known := d.mark, d.stored
	d.mu.Unlock()
	if mark == known {
		return nil
	}
	d.noting.Lock()
	defer d.noting.Unlock()
	if err := d.note(ctx, nil, nil, mark); err != nil {
		return fmt.Errorf("noting how far is summed up: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stored = mark
	return nil
}

// shorten lets the policies of 1.8 keep no more than they should, once all that
// they would lose is summed up.
func (d *Downsampler) shorten(ctx context.Context) error {
	now := d.o.Now()
	edge := int64(math.MinInt64)
	if keep := d.c.opt.Keep; keep > 0 {
		edge = now.Add(2*oneDay - keep).UnixNano() // days need all their readings
	}
	d.mu.Lock()
	wait := now.Sub(d.shortened) < shortenEvery
	for w := range d.pending {
		wait = wait || w.start < edge
	}
	d.mu.Unlock()
	if wait {
		return nil
	}
	if err := d.c.shorten(ctx); err != nil {
		return err
	}
	d.shortened = now
	return nil
}
