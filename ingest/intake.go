package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

// ErrStopped is returned by Put after the intake has ended.
var ErrStopped = errors.New("intake has stopped")

// messageOverhead is what a waiting message counts beside its bytes, in bytes:
// so the bound of bytes bounds the number of messages too.
const messageOverhead = 512

// IntakeOptions configures an Intake. Journal, Quarantine and Log are required.
type IntakeOptions struct {
	Journal    Journal
	Quarantine Quarantine
	Decoder    Decoder // default ContractV1
	// MaxBytes bounds the messages taken and not yet acknowledged, each counted
	// with 512 bytes beside its own. Default 16 MiB, at least 1 MiB.
	MaxBytes int64
	// BatchEntries is about how many entries go to the journal at once: it bounds
	// the memory of decoded readings. Default 8192.
	BatchEntries int
	RetryMin     time.Duration // first wait after the journal refused; default 50 ms
	RetryMax     time.Duration // longest such wait; default 2 s
	Log          *zap.Logger
	Metrics      prometheus.Registerer // may be nil
}

// Intake decodes messages, makes them safe in the journal or in quarantine,
// and acknowledges them. It implements Acceptor. One goroutine takes all that
// waits at a time, so the more comes, the more readings share an fsync.
//
// Messages are served in order of arrival, and so are those that wait in Put:
// a device that floods has one message waiting per connection, as all others.
type Intake struct {
	o       IntakeOptions
	log     *zap.Logger
	metrics intakeMetrics
	room    *semaphore.Weighted
	some    chan struct{} // has one when the queue may hold something

	mu      sync.Mutex
	queue   []Message
	waiting int   // messages taken and not yet acknowledged
	bytes   int64 // weight of them
	state   error // why the intake does not take; nil when it does
	closed  bool

	// Of the one goroutine that runs.
	entries  []Entry
	rejected []Rejection
}

// NewIntake checks the options.
func NewIntake(o IntakeOptions) (*Intake, error) {
	switch {
	case o.Journal == nil:
		return nil, errors.New("intake: Journal is missing")
	case o.Quarantine == nil:
		return nil, errors.New("intake: Quarantine is missing")
	case o.Log == nil:
		return nil, errors.New("intake: Log is missing")
	}
	if o.Decoder == nil {
		o.Decoder = &ContractV1{}
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 16 << 20
	}
	if o.MaxBytes < 1<<20 {
		return nil, fmt.Errorf("intake: MaxBytes %d: want at least 1 MiB", o.MaxBytes)
	}
	if o.BatchEntries <= 0 {
		o.BatchEntries = 8192
	}
	if o.RetryMin <= 0 {
		o.RetryMin = 50 * time.Millisecond
	}
	if o.RetryMax <= 0 {
		o.RetryMax = 2 * time.Second
	}
	in := &Intake{
		o: o, log: o.Log,
		room: semaphore.NewWeighted(o.MaxBytes), some: make(chan struct{}, 1),
		state: errors.New("not running"),
	}
	var err error
	in.metrics, err = newIntakeMetrics(in, o.Metrics)
	return in, err
}

// Put implements Acceptor.
func (in *Intake) Put(ctx context.Context, m Message) error {
	if m.Received.IsZero() {
		m.Received = time.Now().UTC()
	}
	w := in.weight(&m)
	if err := in.room.Acquire(ctx, w); err != nil {
		return fmt.Errorf("waiting for room in the intake: %w", err)
	}
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		in.room.Release(w)
		return ErrStopped
	}
	in.queue = append(in.queue, m)
	in.waiting++
	in.bytes += w
	in.mu.Unlock()
	in.metrics.messages.Inc()
	select {
	case in.some <- struct{}{}:
	default:
	}
	return nil
}

func (in *Intake) weight(m *Message) int64 {
	return min(in.o.MaxBytes, int64(len(m.Topic)+len(m.Payload)+messageOverhead))
}

// Run commits until ctx ends, then what is still queued, and returns. An error
// means that messages could not be made safe; they were not acknowledged. End
// the sources first.
func (in *Intake) Run(ctx context.Context) error {
	in.setState(nil)
	defer in.end()
	var batch []Message
	for {
		in.mu.Lock()
		clear(batch)
		batch, in.queue = in.queue, batch[:0]
		if len(batch) == 0 && ctx.Err() != nil {
			in.closed = true // under the same lock, so nothing slips in
		}
		closed := in.closed
		in.mu.Unlock()
		if closed {
			return nil
		}
		for rest := batch; len(rest) > 0; {
			n, err := in.commit(ctx, rest)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-in.some:
		case <-ctx.Done():
		}
	}
}

// end refuses everything from now on and wakes those who wait in Put.
func (in *Intake) end() {
	in.mu.Lock()
	in.closed = true
	in.state = ErrStopped
	w := in.bytes
	in.queue, in.bytes, in.waiting = nil, 0, 0
	in.mu.Unlock()
	in.room.Release(w)
}

// commit makes the first messages of the batch safe, acknowledges them and
// returns how many they were.
func (in *Intake) commit(ctx context.Context, batch []Message) (int, error) {
	start := time.Now()
	in.entries, in.rejected = in.entries[:0], in.rejected[:0]
	n := 0
	for n < len(batch) && len(in.entries) < in.o.BatchEntries && len(in.rejected) < in.o.BatchEntries {
		in.entries, in.rejected = in.o.Decoder.Decode(in.entries, in.rejected, &batch[n])
		n++
	}
	defer func() {
		clear(in.entries) // the texts of a batch are not held until the next one
		clear(in.rejected)
	}()
	safe := context.WithoutCancel(ctx) // a stop does not tear a batch
	if len(in.entries) > 0 {
		if err := in.insist(ctx, "journal", func() error { return in.o.Journal.Append(safe, in.entries) }); err != nil {
			return 0, fmt.Errorf("%d messages are not safe and were not acknowledged: %w", len(batch), err)
		}
	}
	if len(in.rejected) > 0 {
		if err := in.insist(ctx, "quarantine", func() error { return in.o.Quarantine.Keep(safe, in.rejected) }); err != nil {
			return 0, fmt.Errorf("%d messages are not safe and were not acknowledged: %w", len(batch), err)
		}
	}
	var w int64
	for i := range batch[:n] {
		if ack := batch[i].Ack; ack != nil {
			ack()
		}
		w += in.weight(&batch[i])
	}
	in.mu.Lock()
	in.waiting -= n
	in.bytes -= w
	in.mu.Unlock()
	in.room.Release(w)
	in.metrics.committed(in.entries, in.rejected, n, time.Since(start))
	return n, nil
}

// insist calls f until it succeeds. While it fails nothing more is taken, and
// Ready says why. When ctx has ended it tries once more and gives up.
func (in *Intake) insist(ctx context.Context, what string, f func() error) error {
	err := f()
	if err == nil {
		return nil
	}
	since := time.Now()
	told := time.Time{}
	for wait := in.o.RetryMin; err != nil; wait = min(2*wait, in.o.RetryMax) {
		in.setState(fmt.Errorf("the %s refuses since %s: %w", what, since.UTC().Format(time.RFC3339), err))
		if time.Since(told) >= time.Minute {
			in.log.Error("intake: the disk refuses; nothing is acknowledged until it takes again",
				zap.String("part", what), zap.Error(err), zap.Time("since", since))
			told = time.Now()
		}
		if ctx.Err() != nil {
			return err
		}
		in.metrics.refusals.Inc()
		pause(ctx, wait)
		err = f()
	}
	in.setState(nil)
	in.log.Info("intake: the disk takes again", zap.String("part", what), zap.Duration("after", time.Since(since)))
	return nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (in *Intake) setState(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.state = err
}

// Ready reports why messages are not made safe now, or nil.
func (in *Intake) Ready() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.state == nil {
		return nil
	}
	return fmt.Errorf("intake: %w (%d messages wait)", in.state, in.waiting)
}
