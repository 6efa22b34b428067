package dispatch

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

// Answer takes in what a team's terminal said over MQTT. An answer that can
// never be taken (no such order for that team, no reason for a rejection) is put
// on record and is no error, so that it does not come back for ever; an error is
// the store's, and the answer must be brought again. It needs no lease.
func (d *Dispatcher) Answer(ctx context.Context, a contract.Answer) error {
	if _, err := d.roster.load(ctx); err != nil {
		d.o.Log.Debug("roster for an answer", zap.Error(err)) // only the event's area hangs on it
	}
	area := d.roster.area(a.Team)
	if a.Received.IsZero() {
		a.Received = d.o.Now()
	}
	_, err := d.o.Orders.UpdateDelivery(ctx, a.Order, a.Team, func(x *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
		c, changed, err := alerts.TakeAnswer(x, o, area, a, false, "MQTT")
		if err == nil && !changed {
			err = errUnchanged
		}
		return c, err
	})
	switch {
	case err == nil:
		d.metrics.answers.WithLabelValues("taken").Inc()
		d.Nudge()
	case errors.Is(err, errUnchanged):
		d.metrics.answers.WithLabelValues("duplicate").Inc()
	case errors.Is(err, alerts.ErrNotFound):
		d.metrics.answers.WithLabelValues("unknown").Inc()
		d.refuse(ctx, a, errors.New("no such order for this team"))
	case errors.Is(err, alerts.ErrAnswer):
		d.metrics.answers.WithLabelValues("refused").Inc()
		d.refuse(ctx, a, err)
	default:
		return fmt.Errorf("saving the answer of team %s to order %s: %w", a.Team, a.Order, err)
	}
	return nil
}

// refuse puts a refused answer on record, at most so many a minute: a terminal
// gone wild must not fill the store or the log.
func (d *Dispatcher) refuse(ctx context.Context, a contract.Answer, cause error) {
	if !d.refusals.allow(d.o.Now()) {
		return
	}
	d.o.Log.Warn("answer refused", zap.String("team", string(a.Team)), zap.String("order", a.Order),
		zap.String("answer", string(a.Receipt)), zap.Error(cause))
	if d.o.Audit == nil {
		return
	}
	err := d.o.Audit.SaveAudit(ctx, alerts.Audit{
		At: d.o.Now(), Actor: "team:" + string(a.Team), Action: "answer.refused", Subject: a.Order,
		Detail: fmt.Sprintf("%s: %v", a.Receipt, cause),
	})
	if err != nil {
		d.o.Log.Warn("recording a refused answer", zap.Error(err))
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
