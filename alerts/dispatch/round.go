package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	duePage   = 1000 // deliveries looked at in one turn
	eventPage = 1000
	// The withdrawn orders that a dispatcher looks at when it begins to work:
	// those that another left behind while it died.
	withdrawnPage = 100
)

// A job is one visit to one team: calls for the orders that are due, or, with
// none, telling the retainers the team's state.
type job struct {
	team  contract.TeamID
	due   []string
	epoch int
	told  []contract.Order // what the retainers are known to keep
	known bool             // told counts
}

// A result is how a job ended.
type result struct {
	job
	kept  bool // the retainers keep told
	again bool // the state could not be told: try later
}

// turn looks at the store and queues what is to be done. More says that there is
// more than one turn takes in.
func (d *Dispatcher) turn(ctx context.Context) (more bool, err error) {
	now := d.o.Now()
	if err := d.elect(ctx, now); err != nil {
		return false, err
	}
	if !d.tenure.Leader() {
		return false, nil
	}
	more, err = d.follow(ctx, now)
	if err != nil {
		return false, err
	}
	r, err := d.roster.load(ctx)
	if err != nil {
		return false, err
	}
	if r.version != d.known { // at the start too: a channel may have lost what it kept
		for _, id := range r.ids {
			d.touch(id)
		}
		d.known = r.version
	}
	if err := d.retell(ctx, now); err != nil {
		return false, err
	}
	due, err := d.o.Orders.DueDeliveries(ctx, now, duePage)
	if err != nil {
		return false, fmt.Errorf("reading due deliveries: %w", err)
	}
	d.queue = d.queue[:0]
	at := map[contract.TeamID]int{}
	for _, x := range due {
		if d.busy[x.Team] {
			d.waiting[x.Team] = true
			continue
		}
		i, ok := at[x.Team]
		if !ok {
			i = len(d.queue)
			at[x.Team] = i
			d.queue = append(d.queue, job{team: x.Team})
		}
		d.queue[i].due = append(d.queue[i].due, x.Order)
	}
	calls := len(d.queue)
	for id, from := range d.dirty {
		if _, called := at[id]; !called && !d.busy[id] && !now.Before(from) {
			d.queue = append(d.queue, job{team: id})
		}
	}
	slices.SortFunc(d.queue[calls:], func(a, b job) int {
		return slices.Compare([]byte(a.team), []byte(b.team))
	})
	return more, nil
}

// follow reads what was saved since the last turn: the teams whose state it may
// have changed are told again.
func (d *Dispatcher) follow(ctx context.Context, now time.Time) (more bool, err error) {
	evs, err := d.o.Events.Events(ctx, d.cursor, eventPage)
	if err != nil {
		return false, fmt.Errorf("reading events: %w", err)
	}
	for _, e := range evs {
		switch e.Type {
		case alerts.EventDelivery:
			var subject struct{ Team contract.TeamID }
			if id := e.Team; id != "" {
				d.touch(id)
			} else if json.Unmarshal(e.Data, &subject) == nil && subject.Team != "" {
				d.touch(subject.Team)
			}
		case alerts.EventOrder:
			var subject struct{ ID string }
			if json.Unmarshal(e.Data, &subject) == nil && subject.ID != "" {
				if err := d.orderChanged(ctx, subject.ID, now); err != nil {
					return false, err
				}
			}
		case alerts.EventAlert, alerts.EventWarning, alerts.EventSeason, alerts.EventRoster, alerts.EventCommand,
			alerts.EventIncident, alerts.EventSilence, alerts.EventDanger, alerts.EventReadiness, alerts.EventDocument, alerts.EventHotspot:
		}
		d.cursor = e.ID
	}
	return len(evs) == eventPage, nil
}

// touch marks the team's state as changed. A wait after a failure is kept up.
func (d *Dispatcher) touch(id contract.TeamID) {
	if _, ok := d.dirty[id]; !ok && len(d.retainers) > 0 {
		d.dirty[id] = time.Time{}
	}
}

func (d *Dispatcher) orderChanged(ctx context.Context, id string, now time.Time) error {
	o, err := d.o.Orders.Order(ctx, id)
	if errors.Is(err, alerts.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading order %s: %w", id, err)
	}
	if o.Status == alerts.OrderOpen {
		return nil // its deliveries are due, or tell of themselves
	}
	return d.end(ctx, o, now)
}

// endWithdrawn ends what a dispatcher that died may have left of orders that
// were withdrawn.
func (d *Dispatcher) endWithdrawn(ctx context.Context, now time.Time) error {
	orders, err := d.o.Orders.Orders(ctx, alerts.OrderQuery{Status: alerts.OrderCancelled, Limit: withdrawnPage})
	if err != nil {
		return fmt.Errorf("reading withdrawn orders: %w", err)
	}
	for _, o := range orders {
		if err := d.end(ctx, o, now); err != nil {
			return err
		}
	}
	return nil
}

// end makes the deliveries of a withdrawn order stale, and has its teams told.
func (d *Dispatcher) end(ctx context.Context, o alerts.Order, now time.Time) error {
	ds, err := d.o.Orders.Deliveries(ctx, o.ID)
	if err != nil {
		return fmt.Errorf("reading deliveries of order %s: %w", o.ID, err)
	}
	for _, x := range ds {
		d.touch(x.Team)
		if alerts.Due(now, o, x, d.o.Policy).Kind != alerts.ActEnd {
			continue
		}
		area := d.roster.area(x.Team)
		_, err := d.o.Orders.UpdateDelivery(ctx, x.Order, x.Team, func(x *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
			if alerts.Due(now, o, *x, d.o.Policy).Kind != alerts.ActEnd || !x.End(now) {
				return alerts.DeliveryChange{}, errUnchanged
			}
			return alerts.DeliveryChange{Events: []alerts.Event{alerts.DeliveryEvent(x, o, area, now, "")}}, nil
		})
		if err != nil && !errors.Is(err, errUnchanged) {
			return fmt.Errorf("ending order %s for team %s: %w", x.Order, x.Team, err)
		}
	}
	return nil
}

// start sets free workers to the queue.
func (d *Dispatcher) start(ctx context.Context) {
	for len(d.queue) > 0 && len(d.busy) < d.o.Workers {
		j := d.queue[0]
		d.queue = d.queue[1:]
		if d.busy[j.team] {
			continue
		}
		d.busy[j.team] = true
		delete(d.dirty, j.team)
		j.epoch = d.epoch
		j.told, j.known = d.told[j.team]
		go func() { d.finished <- d.visit(ctx, j) }()
	}
}

// settle takes in the result of a visit. It reports whether the store must be
// looked at now.
func (d *Dispatcher) settle(r result) (turn bool) {
	delete(d.busy, r.team)
	turn = d.waiting[r.team]
	delete(d.waiting, r.team)
	switch {
	case r.epoch != d.epoch: // what it told may be lost
		d.touch(r.team)
	case r.kept:
		d.told[r.team] = r.told
	default:
		delete(d.told, r.team)
	}
	if r.again {
		d.dirty[r.team] = d.o.Now().Add(d.o.Policy.Retry)
	}
	return turn
}
