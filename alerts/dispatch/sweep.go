package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	sweepPage   = 20                  // orders looked at in one turn: calls do not wait for it
	sweepTenure = 30 * 24 * time.Hour // how far back the first sweep of a tenure looks
	sweepAgain  = 24 * time.Hour      // and how far those after it
)

// A sweep goes through the orders, newest first, some in each turn, and has the
// retainers told anew the state of every team that they went to: those that are
// no more in the roster too, and whatever is believed to stand there.
type sweep struct {
	began  time.Time
	back   time.Time // orders from before are left
	before string    // the last order that was looked at
	seen   map[contract.TeamID]bool
	done   bool
}

func newSweep(now time.Time, back time.Duration) sweep {
	return sweep{began: now, back: now.Add(-back), seen: map[contract.TeamID]bool{}}
}

// retell takes the sweep one step on.
func (d *Dispatcher) retell(ctx context.Context, now time.Time) error {
	if len(d.retainers) == 0 {
		return nil
	}
	if d.sweep.done {
		if now.Sub(d.sweep.began) < d.o.Retell {
			return nil
		}
		d.sweep = newSweep(now, sweepAgain)
	}
	s := &d.sweep
	orders, err := d.o.Orders.Orders(ctx, alerts.OrderQuery{Before: s.before, Limit: sweepPage})
	if errors.Is(err, alerts.ErrNotFound) { // the order of the last page is gone
		s.done = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading orders to tell again: %w", err)
	}
	for _, o := range orders {
		if o.Issued.Before(s.back) {
			s.done = true
			return nil
		}
		ds, err := d.o.Orders.Deliveries(ctx, o.ID)
		if err != nil {
			return fmt.Errorf("reading deliveries of order %s: %w", o.ID, err)
		}
		for _, x := range ds {
			if !s.seen[x.Team] && !d.busy[x.Team] { // one that is busy is told as we speak
				s.seen[x.Team] = true
				delete(d.told, x.Team)
				d.touch(x.Team)
			}
		}
		s.before = o.ID
	}
	s.done = len(orders) < sweepPage
	return nil
}
