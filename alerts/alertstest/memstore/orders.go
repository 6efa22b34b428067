package memstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func cloneOrder(o alerts.Order) alerts.Order {
	o.Shortfalls = slices.Clone(o.Shortfalls)
	return o
}

// newerOrder orders orders newest first.
func newerOrder(a, b alerts.Order) int {
	return cmp.Or(b.Issued.Compare(a.Issued), cmp.Compare(b.ID, a.ID))
}

// CreateOrder implements alerts.OrderStore.
func (s *Store) CreateOrder(ctx context.Context, o alerts.Order, ds []alerts.Delivery, evs []alerts.Event) (
	saved alerts.Order, created bool, err error,
) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Order{}, false, err
	}
	defer leave()
	if o.IdempotencyKey != "" {
		for _, old := range s.orders {
			if old.Issuer == o.Issuer && old.IdempotencyKey == o.IdempotencyKey {
				if !same(old, o) {
					return alerts.Order{}, false, fmt.Errorf("idempotency key %q: %w", o.IdempotencyKey, alerts.ErrConflict)
				}
				return cloneOrder(old), false, nil
			}
		}
	}
	if _, taken := s.orders[o.ID]; taken {
		return alerts.Order{}, false, fmt.Errorf("order %q: %w", o.ID, alerts.ErrConflict)
	}
	a, known := s.alerts[o.Alert]
	if o.Alert != "" && !known {
		return alerts.Order{}, false, fmt.Errorf("alert %q: %w", o.Alert, alerts.ErrNotFound)
	}
	s.orders[o.ID] = cloneOrder(o)
	for _, d := range ds {
		d.Order = o.ID
		s.deliveries[deliveryKey{o.ID, d.Team}] = d
	}
	if known && !o.Drill && a.Order == "" {
		a.Order = o.ID
		s.alerts[o.Alert] = a
	}
	if in, ok := s.incidents[a.Incident]; ok && known && !o.Drill && len(ds) > 0 {
		in.Order, in.OrderLevel = cmp.Or(in.Order, o.ID), max(in.OrderLevel, o.Level)
		s.incidents[in.ID] = in
	}
	s.publish(evs)
	return cloneOrder(o), true, nil
}

// same reports whether two requests with one key ask for the same thing.
func same(old, o alerts.Order) bool {
	if old.Asked != "" && o.Asked != "" {
		return old.Asked == o.Asked
	}
	return old.Kind == o.Kind && old.Level == o.Level && old.Text == o.Text && old.Drill == o.Drill && old.Alert == o.Alert
}

// Order implements alerts.OrderStore.
func (s *Store) Order(ctx context.Context, id string) (alerts.Order, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Order{}, err
	}
	defer leave()
	o, ok := s.orders[id]
	if !ok {
		return alerts.Order{}, fmt.Errorf("order %q: %w", id, alerts.ErrNotFound)
	}
	return cloneOrder(o), nil
}

// OrderByKey implements alerts.OrderStore.
func (s *Store) OrderByKey(ctx context.Context, issuer, key string) (alerts.Order, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Order{}, err
	}
	defer leave()
	for _, o := range s.orders {
		if key != "" && o.Issuer == issuer && o.IdempotencyKey == key {
			return cloneOrder(o), nil
		}
	}
	return alerts.Order{}, fmt.Errorf("order with idempotency key %q: %w", key, alerts.ErrNotFound)
}

// Orders implements alerts.OrderStore.
func (s *Store) Orders(ctx context.Context, q alerts.OrderQuery) ([]alerts.Order, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	before, paged := s.orders[q.Before]
	if q.Before != "" && !paged {
		return nil, fmt.Errorf("order %q: %w", q.Before, alerts.ErrNotFound)
	}
	targeted := func(o alerts.Order) bool {
		if q.Area == "" && q.Team == "" {
			return true
		}
		for _, d := range s.of(o.ID) {
			if (q.Team == "" || d.Team == q.Team) && s.below(s.teamArea(d.Team), q.Area) {
				return true
			}
		}
		return false
	}
	var out []alerts.Order
	for _, o := range s.orders {
		if (q.Status == "" || o.Status == q.Status) && (!paged || newerOrder(before, o) < 0) && targeted(o) {
			out = append(out, cloneOrder(o))
		}
	}
	slices.SortFunc(out, newerOrder)
	return out[:min(len(out), q.Limit)], nil
}

func (s *Store) teamArea(id contract.TeamID) string {
	i := slices.IndexFunc(s.roster.Teams, func(t alerts.Team) bool { return t.ID == id })
	if i < 0 {
		return ""
	}
	return s.roster.Teams[i].Area
}

// of returns the deliveries of an order, by team.
func (s *Store) of(order string) []alerts.Delivery {
	var out []alerts.Delivery
	for k, d := range s.deliveries {
		if k.order == order {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b alerts.Delivery) int { return cmp.Compare(a.Team, b.Team) })
	return out
}

// Deliveries implements alerts.OrderStore, by team.
func (s *Store) Deliveries(ctx context.Context, order string) ([]alerts.Delivery, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.of(order), nil
}

// TeamDeliveries implements alerts.OrderStore.
func (s *Store) TeamDeliveries(ctx context.Context, team contract.TeamID, limit int) ([]alerts.Delivery, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Delivery
	for k, d := range s.deliveries {
		if k.team == team {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b alerts.Delivery) int { return newerOrder(s.orders[a.Order], s.orders[b.Order]) })
	return out[:min(len(out), max(limit, 0))], nil
}

// DueDeliveries implements alerts.OrderStore.
func (s *Store) DueDeliveries(ctx context.Context, now time.Time, limit int) ([]alerts.Delivery, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Delivery
	for _, d := range s.deliveries {
		if s.orders[d.Order].Status == alerts.OrderOpen && !d.NextAt.IsZero() && !d.NextAt.After(now) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b alerts.Delivery) int {
		return cmp.Or(cmp.Compare(s.orders[b.Order].Level, s.orders[a.Order].Level), a.NextAt.Compare(b.NextAt),
			cmp.Compare(a.Order, b.Order), cmp.Compare(a.Team, b.Team))
	})
	return out[:min(len(out), max(limit, 0))], nil
}

// UpdateDelivery implements alerts.OrderStore.
func (s *Store) UpdateDelivery(ctx context.Context, order string, team contract.TeamID,
	change func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error),
) (alerts.Delivery, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Delivery{}, err
	}
	defer leave()
	key := deliveryKey{order, team}
	d, ok := s.deliveries[key]
	if !ok {
		return alerts.Delivery{}, fmt.Errorf("delivery of %q to %q: %w", order, team, alerts.ErrNotFound)
	}
	o := s.orders[order]
	c, err := change(&d, cloneOrder(o))
	if err != nil {
		return alerts.Delivery{}, err
	}
	s.deliveries[key] = d
	s.attempts = append(s.attempts, c.Attempts...)
	s.publish(c.Events)
	all := s.of(order)
	if o.Status == alerts.OrderOpen && !slices.ContainsFunc(all, func(d alerts.Delivery) bool { return d.State != alerts.DeliveryAnswered }) {
		o.Status, o.Completed = alerts.OrderComplete, d.Updated
		s.orders[order] = o
		data, err := json.Marshal(map[string]string{"id": order})
		if err != nil {
			return alerts.Delivery{}, err
		}
		s.publish([]alerts.Event{{At: d.Updated, Type: alerts.EventOrder, Area: o.Area, Data: data}})
	}
	return d, nil
}

// Attempts implements alerts.OrderStore, in order of time.
func (s *Store) Attempts(ctx context.Context, order string) ([]alerts.Attempt, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Attempt
	for _, a := range s.attempts {
		if a.Order == order {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b alerts.Attempt) int { return a.At.Compare(b.At) })
	return out, nil
}

// Tallies implements alerts.OrderStore.
func (s *Store) Tallies(ctx context.Context, orders []string) (map[string]alerts.Tally, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := make(map[string]alerts.Tally, len(orders))
	for _, id := range orders {
		var t alerts.Tally
		for _, d := range s.of(id) {
			count(&t, d)
		}
		out[id] = t
	}
	return out, nil
}

// count goes by the state or the times, so that a delivery that failed or went
// stale later still counts for what was reached.
func count(t *alerts.Tally, d alerts.Delivery) {
	answered := d.State == alerts.DeliveryAnswered
	read := answered || d.State == alerts.DeliveryRead || !d.Read.IsZero() || !d.Answered.IsZero()
	delivered := read || d.State == alerts.DeliveryDelivered || !d.Delivered.IsZero()
	t.Total++
	for _, c := range []struct {
		n  *int
		is bool
	}{
		{&t.Sent, delivered || d.State == alerts.DeliverySent || !d.Sent.IsZero()},
		{&t.Delivered, delivered},
		{&t.Read, read},
		{&t.Answered, answered},
		{&t.Failed, d.State == alerts.DeliveryFailed},
	} {
		if c.is {
			*c.n++
		}
	}
}
