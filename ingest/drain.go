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

const (
	// longestThrottle bounds how long a Sink may tell the drain to wait.
	longestThrottle = 5 * time.Minute
	// adviceFor is how long Ready repeats what an operator must do after the last
	// reading that was refused for it.
	adviceFor = 10 * time.Minute
)

// DrainOptions configures a Drain. Journal, Sink, Quarantine and Log are
// required.
type DrainOptions struct {
	// Journal is read; one that is an EntryReader too is read into memory that is
	// used again.
	Journal Journal
	// Sink is written to; one that is an EntrySink too is given the readings
	// without a copy of them.
	Sink          Sink
	Quarantine    Quarantine    // for what the sink will never take
	QuarantineLog QuarantineLog // nil: the counts are not written
	Reader        string        // name at the journal; default "influx"
	BatchReadings int           // at most so many entries in one write; default 10000
	InFlight      int           // at most so many writes at once, 1..16; default 2
	CountsEvery   time.Duration // between writes of changed quarantine counts; default 30 s
	RetryMin      time.Duration // first wait after a failed write; default 200 ms
	RetryMax      time.Duration // longest such wait; default 10 s
	LimitRetry    time.Duration // between tries of readings that the sink's limits keep out; default 1 min
	LimitHold     time.Duration // how long such readings are tried; then they go to quarantine; default 24 h
	LastTry       time.Duration // time left for writing after ctx has ended; default 5 s
	Log           *zap.Logger
	Metrics       prometheus.Registerer // may be nil
}

// Drain writes the journal's readings to the sink, in order of arrival.
//
// A write begins as soon as there is something and none is under way, and takes
// all there is, up to a bound: so batches grow with the backlog, nothing waits
// for a timer, and the sink, whose cost of a reading falls with the size of the
// batch, is not given small ones side by side. A further write, up to InFlight,
// begins only when a whole batch has piled up meanwhile, or when those before it
// do not get on and wait for another try. The journal lets go of what was
// written only when everything before it is stored too.
//
// A write that does not get on while others do gives up its place to them, and
// its readings stay in the journal and are tried again. Those that fail alone, many
// times in between of others that are stored, count as refused.
//
// What the sink refuses for good goes to quarantine; what quarantine does not
// take stays in the journal, and Ready says so. What a limit of the sink's
// operator keeps out stays in the journal and is tried again every LimitRetry,
// while everything else goes on: a new device over the limit delays nobody. Ready
// says so all the time. After LimitHold such readings go to quarantine too,
// because a journal that is held open for them fills the disk, and then nobody's
// readings are taken.
type Drain struct {
	o       DrainOptions
	log     *zap.Logger
	metrics drainMetrics

	mu        sync.Mutex
	state     error                // why nothing is written; nil when it works
	oldest    time.Time            // received time of the oldest entry at hand; zero when there is none
	told      time.Time            // when a failure was last logged; zero when all works
	advice    map[string]time.Time // what an operator must do, and when it was last needed
	held      *held                // what limits keep out; nil: nothing
	stuck     error                // why some readings are not written while others are; nil: none
	heldKnown chan struct{}        // holds one when held began to be

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
	case o.InFlight < 0 || o.InFlight > 16:
		return nil, fmt.Errorf("drain: InFlight %d: want 1 to 16", o.InFlight)
	}
	if o.Reader == "" {
		o.Reader = "influx"
	}
	if o.BatchReadings <= 0 {
		o.BatchReadings = 10_000
	}
	if o.InFlight == 0 {
		o.InFlight = 2
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.CountsEvery, 30 * time.Second},
		{&o.RetryMin, 200 * time.Millisecond},
		{&o.RetryMax, 10 * time.Second},
		{&o.LimitRetry, time.Minute},
		{&o.LimitHold, 24 * time.Hour},
		{&o.LastTry, 5 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	d := &Drain{
		o: o, log: o.Log, state: errors.New("not running"),
		advice:    map[string]time.Time{},
		heldKnown: make(chan struct{}, 1),
		written:   map[contract.DeviceID]uint64{},
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

	p := newPipeline(d)
	var beside sync.WaitGroup
	beside.Go(func() { d.runCounts(ctx, hard) })
	beside.Go(func() { d.runHeld(ctx, hard, p) })
	defer beside.Wait()
	if err := p.run(ctx, hard); err != nil {
		d.log.Warn("drain: stopping with readings not written; they stay in the journal", zap.Error(err))
	}
	return nil
}

// failed says that something does not work and will be tried again: loudly, but
// not more than once a minute.
func (d *Drain) failed(doing string, err error, again time.Duration) {
	d.mu.Lock()
	d.state = fmt.Errorf("%s: %w", doing, err)
	loud := time.Since(d.told) >= time.Minute
	if loud {
		d.told = time.Now()
	}
	d.mu.Unlock()
	if !loud {
		return
	}
	message := "drain: does not work; the readings stay in the journal"
	if errors.Is(err, ErrUnauthorized) {
		message = "drain: the credential is refused; a person must correct it; the readings stay in the journal"
	}
	d.log.Error(message, zap.String("doing", doing), zap.Error(err),
		zap.Duration("again_in", again), zap.Duration("behind", d.lag()))
}

// worked ends what failed began.
func (d *Drain) worked() {
	d.mu.Lock()
	told := d.told
	d.state, d.told = nil, time.Time{}
	d.mu.Unlock()
	if !told.IsZero() {
		d.log.Info("drain: writing again")
	}
}

func (d *Drain) setState(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = err
}

func (d *Drain) setOldest(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.oldest = t
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
// behind; or which of them do not, and what an operator must do; or nil.
func (d *Drain) Ready() error {
	lag := d.lag()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != nil {
		return fmt.Errorf("drain: %w (%s behind)", d.state, lag.Round(time.Second))
	}
	if d.stuck != nil {
		return fmt.Errorf("drain: %w", d.stuck)
	}
	if d.held != nil {
		return fmt.Errorf("drain: %w", d.held)
	}
	var newest time.Time
	var text string
	for advice, at := range d.advice {
		switch {
		case time.Since(at) > adviceFor:
			delete(d.advice, advice)
		case at.After(newest):
			newest, text = at, advice
		}
	}
	if text != "" {
		return fmt.Errorf("drain: %s", text)
	}
	return nil
}
