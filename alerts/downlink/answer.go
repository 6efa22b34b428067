package downlink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// errUnchanged makes a transaction end without a change.
var errUnchanged = errors.New("unchanged")

// Answer takes in what a tracker said about a command. An answer that can never
// be taken (no such command for that device, no reason for a rejection) is put
// on record and is no error, so that it does not come back for ever; an error is
// the store's, and the answer must be brought again. It needs no lease.
func (r *Runner) Answer(ctx context.Context, a contract.Answer) error {
	now := r.o.Now()
	_, err := r.o.Store.UpdateCommand(ctx, a.Order, func(c *alerts.Command) ([]alerts.Event, error) {
		if c.Device != a.Device {
			return nil, alerts.ErrNotFound // another's: nothing is said of it
		}
		changed, err := c.Take(a, now)
		switch {
		case err != nil:
			return nil, err
		case !changed:
			return nil, errUnchanged
		}
		return []alerts.Event{alerts.CommandEvent(c, now)}, nil
	})
	switch {
	case err == nil:
		r.metrics.answers.WithLabelValues("taken").Inc()
		if a.Receipt.Answer() {
			r.Nudge() // the state goes on without it
		}
	case errors.Is(err, errUnchanged):
		r.metrics.answers.WithLabelValues("duplicate").Inc()
	case errors.Is(err, alerts.ErrNotFound):
		r.metrics.answers.WithLabelValues("unknown").Inc()
		r.refuse(ctx, a, errors.New("no such command for this device"))
	case errors.Is(err, alerts.ErrAnswer):
		r.metrics.answers.WithLabelValues("refused").Inc()
		r.refuse(ctx, a, err)
	default:
		return fmt.Errorf("saving the answer of device %s to command %s: %w", a.Device, a.Order, err)
	}
	return nil
}

// refuse puts a refused answer on record, at most so many a minute: a device
// gone wild must not fill the store or the log.
func (r *Runner) refuse(ctx context.Context, a contract.Answer, cause error) {
	if !r.refusals.allow(r.o.Now()) {
		return
	}
	r.o.Log.Warn("answer refused", zap.String("device", string(a.Device)), zap.String("command", a.Order),
		zap.String("answer", string(a.Receipt)), zap.Error(cause))
	if r.o.Audit == nil {
		return
	}
	err := r.o.Audit.SaveAudit(ctx, alerts.Audit{
		At: r.o.Now(), Actor: "device:" + string(a.Device), Action: "command.answer_refused", Subject: a.Order,
		Detail: fmt.Sprintf("%s: %v", a.Receipt, cause),
	})
	if err != nil {
		r.o.Log.Warn("recording a refused answer", zap.Error(err))
	}
}

// refusalsPerMinute bounds the record of refused answers.
const refusalsPerMinute = 60

// A limiter lets so many pass in each minute.
type limiter struct {
	mu    sync.Mutex
	since time.Time
	count int
}

func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= time.Minute {
		l.since, l.count = now, 0
	}
	l.count++
	return l.count <= refusalsPerMinute
}
