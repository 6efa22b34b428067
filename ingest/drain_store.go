package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
)

// store writes the span's readings once. A nil error means that each is in the
// sink, in quarantine, or held in the journal.
func (d *Drain) store(ctx context.Context, s *span) error {
	start := time.Now()
	rejected, limited, err := d.put(ctx, s.entries)
	if err != nil {
		return err
	}
	refused := 0
	if rejected != nil {
		if err := d.quarantine(ctx, s.entries, rejected); err != nil {
			return err
		}
		refused += len(rejected.Indexes)
	}
	if limited != nil {
		d.hold(s.from, s.next, s.entries, limited)
		refused += len(limited.Indexes)
	}
	d.metrics.wrote(s.readings, refused, time.Since(start))
	if rejected != nil {
		d.metrics.rejected.Add(float64(len(rejected.Indexes)))
	}
	return nil
}

// put gives the readings among the entries to the sink and sorts its answer. The
// indexes are those of the entries.
func (d *Drain) put(ctx context.Context, entries []Entry) (rejected *RejectedError, limited *LimitedError, err error) {
	if sink, ok := d.o.Sink.(EntrySink); ok {
		err = sink.WriteEntries(ctx, entries)
	} else {
		readings := make([]contract.Reading, 0, len(entries))
		at := make([]int, 0, len(entries))
		for i := range entries {
			if entries[i].Answer == nil {
				readings = append(readings, entries[i].Reading)
				at = append(at, i)
			}
		}
		defer func() {
			if rejected != nil {
				rejected = &RejectedError{Indexes: translate(rejected.Indexes, at), Reason: rejected.Reason, Reasons: rejected.Reasons, Advice: rejected.Advice}
			}
			if limited != nil {
				limited = &LimitedError{Indexes: translate(limited.Indexes, at), Reason: limited.Reason}
			}
		}()
		err = d.o.Sink.Write(ctx, readings)
	}
	isRejected, isLimited := errors.As(err, &rejected), errors.As(err, &limited)
	if isRejected || isLimited {
		return rejected, limited, nil
	}
	return nil, nil, err
}

// translate turns indexes of readings into those of entries. One that is out of
// range stays so.
func translate(indexes, at []int) []int {
	out := make([]int, len(indexes))
	for i, n := range indexes {
		if out[i] = -1; n >= 0 && n < len(at) {
			out[i] = at[n]
		}
	}
	return out
}

// quarantine keeps what the sink will never take.
func (d *Drain) quarantine(ctx context.Context, entries []Entry, e *RejectedError) error {
	rs := make([]Rejection, 0, len(e.Indexes))
	for n, i := range e.Indexes {
		if i < 0 || i >= len(entries) {
			continue
		}
		reason := e.Reason
		if n < len(e.Reasons) {
			reason = e.Reasons[n]
		}
		r := &entries[i].Reading
		rs = append(rs, Rejection{
			Device: r.Device, Topic: contract.Uplink(r.Kind, r.Class, r.Device),
			Reason: "storage refuses the reading: " + reason, Payload: describe(r), Received: r.Received,
			Acknowledged: true,
		})
	}
	fields := []zap.Field{zap.Int("readings", len(rs)), zap.Int("of", len(entries)), zap.String("reason", e.Reason)}
	if e.Advice != "" {
		fields = append(fields, zap.String("advice", e.Advice))
		d.advise(e.Advice)
	}
	d.log.Error("drain: storage refuses readings for good; they go to quarantine", fields...)
	if err := d.o.Quarantine.Keep(ctx, rs); err != nil {
		return fmt.Errorf("%w: keeping %d readings: %w", errNotKept, len(rs), err)
	}
	return nil
}

// errNotKept is matched when the quarantine does not take what the sink refuses:
// then it stays in the journal.
var errNotKept = errors.New("storage refuses readings, and quarantine does not take them")

// advise has Ready repeat what an operator must do, for a while.
func (d *Drain) advise(text string) {
	const most = 16 // different ones; more say nothing more
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.advice[text]; known || len(d.advice) < most {
		d.advice[text] = time.Now()
	}
}
