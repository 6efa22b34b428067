package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
)

// longestThrottle bounds how long a Sink may tell the drain to wait.
const longestThrottle = 5 * time.Minute

// DrainOptions configures a Drain. Journal, Sink, Quarantine and Log are
// required.
type DrainOptions struct {
	Journal       Journal
	Sink          Sink
	Quarantine    Quarantine    // for what the sink will never take
	QuarantineLog QuarantineLog // nil: the counts are not written
	Reader        string        // name at the journal; default "influx"
	BatchReadings int           // at most so many in one write; default 5000
	CountsEvery   time.Duration // between writes of changed quarantine counts; default 30 s
	RetryMin      time.Duration // first wait after a failed write; default 200 ms
	RetryMax      time.Duration // longest such wait; default 10 s
	LastTry       time.Duration // time left for writing after ctx has ended; default 5 s
	Log           *zap.Logger
	Metrics       prometheus.Registerer // may be nil
}

// Drain writes the journal's readings to the sink, in order of arrival. A write
// begins as soon as the last one returned and takes all there is, up to a
// bound: so batches grow with the backlog and nothing waits for a timer.
type Drain struct {
	o       DrainOptions
	log     *zap.Logger
	metrics drainMetrics

	mu     sync.Mutex
	state  error     // why nothing is written; nil when it works
	oldest time.Time // received time of the oldest entry at hand; zero when there is none

	written map[contract.DeviceID]uint64 // totals of quarantine counts at the sink
}

// NewDrain checks the options.
func NewDrain(o DrainOptions) (*Drain, error) {
	switch {
	case o.Journal == nil:
		return nil, errors.New("drain: Journal is missing")
	case o.Sink == nil:
		return nil, errors.New("drain: Sink is missing")
	case o.Quarantine == nil:
		return nil, errors.New("drain: Quarantine is missing")
	case o.Log == nil:
		return nil, errors.New("drain: Log is missing")
	}
	if o.Reader == "" {
		o.Reader = "influx"
	}
	if o.BatchReadings <= 0 {
		o.BatchReadings = 5000
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.CountsEvery, 30 * time.Second},
		{&o.RetryMin, 200 * time.Millisecond},
		{&o.RetryMax, 10 * time.Second},
		{&o.LastTry, 5 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	d := &Drain{
		o: o, log: o.Log, state: errors.New("not running"),
		written: map[contract.DeviceID]uint64{},
	}
	var err error
	d.metrics, err = newDrainMetrics(d, o.Metrics)
	return d, err
}

// Run writes until ctx ends, then what is left for at most LastTry. What stays
// behind is in the journal and is written after the next start.
func (d *Drain) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		pause(hard, d.o.LastTry)
		cancel()
	})()
	d.setState(nil)
	defer d.setState(errors.New("stopped"))

	var counts sync.WaitGroup
	counts.Go(func() { d.runCounts(ctx, hard) })
	defer counts.Wait()

	var readings []contract.Reading
	pos := d.o.Journal.Retained(d.o.Reader)
	for wait := d.o.RetryMin; ; {
		entries, next, err := d.o.Journal.Read(ctx, pos, d.o.BatchReadings)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			d.failed("reading the journal", err, wait)
			pause(ctx, wait)
			wait = min(2*wait, d.o.RetryMax)
			continue
		}
		wait = d.o.RetryMin
		clear(readings)
		readings = readings[:0]
		for i := range entries {
			if entries[i].Answer == nil {
				readings = append(readings, entries[i].Reading)
			}
		}
		d.setOldest(entries)
		if err := d.write(ctx, hard, readings); err != nil {
			d.log.Warn("drain: stopping with readings not written; they stay in the journal", zap.Error(err))
			return nil
		}
		d.setOldest(nil)
		d.setState(nil)
		if err := d.o.Journal.Retain(d.o.Reader, next); err != nil {
			// The readings are stored; at worst they are written again.
			d.log.Error("drain: noting the position in the journal", zap.Error(err))
		}
		pos = next
	}
}

// write stores the readings, however long it takes, or returns the last error
// after ctx has ended.
func (d *Drain) write(ctx, hard context.Context, readings []contract.Reading) error {
	if len(readings) == 0 {
		return nil
	}
	var told time.Time
	for wait := d.o.RetryMin; ; {
		start := time.Now()
		err := d.o.Sink.Write(hard, readings)
		var rejected *RejectedError
		if errors.As(err, &rejected) {
			err = d.quarantine(hard, readings, rejected)
		}
		if err == nil {
			d.metrics.written(readings, rejected, time.Since(start))
			if !told.IsZero() {
				d.log.Info("drain: writing again")
			}
			return nil
		}
		d.metrics.failures.Inc()
		if ctx.Err() != nil {
			return err
		}
		this := wait
		wait = min(2*wait, d.o.RetryMax)
		if throttled, ok := errors.AsType[*ThrottledError](err); ok {
			this = max(d.o.RetryMin, min(throttled.After, longestThrottle))
			wait = d.o.RetryMin
		}
		if time.Since(told) >= time.Minute {
			d.failed("writing readings", err, this)
			told = time.Now()
		} else {
			d.setState(fmt.Errorf("writing readings: %w", err))
		}
		pause(ctx, this)
	}
}

// quarantine keeps what the sink will never take.
func (d *Drain) quarantine(ctx context.Context, readings []contract.Reading, e *RejectedError) error {
	rs := make([]Rejection, 0, len(e.Indexes))
	for _, i := range e.Indexes {
		if i < 0 || i >= len(readings) {
			continue
		}
		r := &readings[i]
		rs = append(rs, Rejection{
			Device: r.Device, Topic: contract.Uplink(r.Kind, r.Class, r.Device),
			Reason: "storage refuses the reading: " + e.Reason, Payload: describe(r), Received: r.Received,
		})
	}
	d.log.Error("drain: storage refuses readings for good; they go to quarantine",
		zap.Int("readings", len(rs)), zap.Int("of", len(readings)), zap.String("reason", e.Reason))
	if err := d.o.Quarantine.Keep(ctx, rs); err != nil {
		return fmt.Errorf("keeping %d refused readings: %w", len(rs), err)
	}
	return nil
}

// runCounts writes the quarantine counts that have changed, now and then.
func (d *Drain) runCounts(ctx, hard context.Context) {
	if d.o.QuarantineLog == nil {
		return
	}
	tick := time.NewTicker(d.o.CountsEvery)
	defer tick.Stop()
	failing := false
	for {
		stopping := false
		select {
		case <-ctx.Done():
			stopping = true
		case <-tick.C:
		}
		err := d.writeCounts(hard)
		if err != nil && !failing {
			d.log.Warn("drain: writing quarantine counts", zap.Error(err))
		}
		failing = err != nil
		if stopping {
			return
		}
	}
}

func (d *Drain) writeCounts(ctx context.Context) error {
	var changed []QuarantineCount
	for _, c := range d.o.Quarantine.Counts() {
		if d.written[c.Device] != c.Total {
			changed = append(changed, c)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := d.o.QuarantineLog.WriteQuarantine(ctx, changed); err != nil {
		return fmt.Errorf("writing %d counts: %w", len(changed), err)
	}
	for _, c := range changed {
		d.written[c.Device] = c.Total
	}
	return nil
}

// failed says loudly that something does not work and will be tried again.
func (d *Drain) failed(doing string, err error, again time.Duration) {
	message := "drain: does not work; the readings stay in the journal"
	if errors.Is(err, ErrUnauthorized) {
		message = "drain: the credential is refused; a person must correct it; the readings stay in the journal"
	}
	d.log.Error(message, zap.String("doing", doing), zap.Error(err),
		zap.Duration("again_in", again), zap.Duration("behind", d.lag()))
	d.setState(fmt.Errorf("%s: %w", doing, err))
}

func (d *Drain) setState(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = err
}

func (d *Drain) setOldest(entries []Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.oldest = time.Time{}
	if len(entries) > 0 {
		d.oldest = entries[0].Received()
	}
}

// lag is the age of the oldest entry that is not written.
func (d *Drain) lag() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.oldest.IsZero() {
		return 0
	}
	return max(0, time.Since(d.oldest))
}

// Ready reports why readings do not reach the sink now, and how far it is
// behind; or nil.
func (d *Drain) Ready() error {
	lag := d.lag()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == nil {
		return nil
	}
	return fmt.Errorf("drain: %w (%s behind)", d.state, lag.Round(time.Second))
}
