package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const orderCols = "id, kind, level, text, drill, demo, alert, issuer, area, lat, lon, issued_ms, answer_by_ms, " +
	"status, completed_ms, idempotency_key, asked, shortfalls"

func scanOrder(r row) (o alerts.Order, err error) {
	var key *string
	err = r.Scan(&o.ID, &o.Kind, &o.Level, &o.Text, &o.Drill, &o.Demo, &o.Alert, &o.Issuer, &o.Area,
		scanFloat{&o.Lat, &o.HasPlace}, scanFloat{&o.Lon, &o.HasPlace}, scanTime{&o.Issued}, scanTime{&o.AnswerBy},
		&o.Status, scanTime{&o.Completed}, &key, &o.Asked, scanJSON{&o.Shortfalls})
	if key != nil {
		o.IdempotencyKey = *key
	}
	return o, err
}

// sameOrder reports whether a second request with the key of the earlier order
// asks for the same thing. What comes of targets, time and roster may differ.
func sameOrder(earlier, o *alerts.Order) bool {
	if earlier.Asked != "" && o.Asked != "" {
		return earlier.Asked == clean(o.Asked)
	}
	return earlier.Kind == o.Kind && earlier.Level == o.Level && earlier.Text == clean(o.Text) &&
		earlier.Drill == o.Drill && earlier.Alert == clean(o.Alert)
}

// CreateOrder implements alerts.OrderStore. An order without a key is always
// new. The same key for another order is alerts.ErrConflict, an unknown alert
// alerts.ErrNotFound. The first order that names an alert, and is no drill, is
// the alert's order and stays it, and so it is for the alert's incident.
func (s *Store) CreateOrder(ctx context.Context, o alerts.Order, ds []alerts.Delivery, evs []alerts.Event) (saved alerts.Order, created bool, err error) {
	err = s.write(ctx, func(c conn) error {
		n, err := insertOrder(ctx, c, &o)
		if err != nil {
			return err
		}
		if n == 0 {
			saved, err = earlierOrder(ctx, c, &o)
			return err
		}
		if err := insertDeliveries(ctx, c, &o, ds); err != nil {
			return err
		}
		if saved, err = queryOne(ctx, c, scanOrder, "SELECT "+orderCols+" FROM orders WHERE id = ?", o.ID); err != nil {
			return err
		}
		if o.Alert != "" {
			caused := o.ID
			if o.Drill {
				caused = ""
			}
			n, err := c.exec(ctx, "UPDATE alerts SET order_id = CASE WHEN order_id = '' THEN ? ELSE order_id END WHERE id = ?", caused, o.Alert)
			if err == nil && n == 0 {
				err = fmt.Errorf("alert %q: %w", o.Alert, alerts.ErrNotFound)
			}
			if err != nil {
				return err
			}
			if !o.Drill && len(ds) > 0 {
				if err := orderIncident(ctx, c, &o); err != nil {
					return err
				}
			}
		}
		created = true
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Order{}, false, fmt.Errorf("creating order %q: %w", o.ID, err)
	}
	return saved, created, nil
}

// insertOrder changes no row when the key or the id is taken. On PostgreSQL it
// waits for another transaction that is about to take it.
func insertOrder(ctx context.Context, c conn, o *alerts.Order) (int64, error) {
	if o.ID == "" {
		return 0, errors.New("it has no id")
	}
	shortfalls, err := jsonText(o.Shortfalls)
	if err != nil {
		return 0, err
	}
	status := o.Status
	if status == "" {
		status = alerts.OrderOpen
	}
	var key any
	if o.IdempotencyKey != "" {
		key = o.IdempotencyKey
	}
	lat, lon := place(o.Lat, o.Lon, o.HasPlace)
	return insertRows(ctx, c, "INSERT INTO orders ("+orderCols+") VALUES ", " ON CONFLICT DO NOTHING", [][]any{{
		o.ID, o.Kind, o.Level, o.Text, o.Drill, o.Demo, o.Alert, o.Issuer, o.Area, lat, lon, o.Issued, o.AnswerBy,
		status, o.Completed, key, o.Asked, shortfalls,
	}})
}

// byKey is the order for which the issuer used the key.
func byKey(ctx context.Context, c conn, issuer, key string) (alerts.Order, error) {
	return queryOne(ctx, c, scanOrder, "SELECT "+orderCols+" FROM orders WHERE issuer = ? AND idempotency_key = ?", issuer, key)
}

// earlierOrder is the order for which the issuer used the key before.
func earlierOrder(ctx context.Context, c conn, o *alerts.Order) (alerts.Order, error) {
	earlier, err := byKey(ctx, c, o.Issuer, o.IdempotencyKey)
	switch {
	case errors.Is(err, alerts.ErrNotFound):
		return alerts.Order{}, fmt.Errorf("the id is taken: %w", alerts.ErrConflict)
	case err != nil:
		return alerts.Order{}, err
	case !sameOrder(&earlier, o):
		return alerts.Order{}, fmt.Errorf("idempotency key %q of %s was used for another order, %s: %w",
			o.IdempotencyKey, o.Issuer, earlier.ID, alerts.ErrConflict)
	}
	return earlier, nil
}

func insertDeliveries(ctx context.Context, c conn, o *alerts.Order, ds []alerts.Delivery) error {
	if len(ds) == 0 {
		return nil
	}
	areas := map[contract.TeamID]string{}
	if _, err := queryAll(ctx, c, func(r row) (struct{}, error) {
		var team contract.TeamID
		var area string
		err := r.Scan(&team, &area)
		areas[team] = area
		return struct{}{}, err
	}, "SELECT id, area FROM teams"); err != nil {
		return err
	}
	rows := make([][]any, len(ds))
	seen := make(map[contract.TeamID]bool, len(ds))
	for i, d := range ds {
		switch {
		case d.Order != "" && d.Order != o.ID:
			return fmt.Errorf("the delivery to team %q is of order %q", d.Team, d.Order)
		case seen[d.Team]:
			return fmt.Errorf("team %q has two deliveries: %w", d.Team, alerts.ErrConflict)
		}
		seen[d.Team] = true
		d.Order = o.ID
		if d.State == "" {
			d.State = alerts.DeliveryPending
		}
		area, ok := areas[d.Team]
		if !ok {
			area = o.Area // a team that is not in the roster: the dispatcher will say so
		}
		rows[i] = append(deliveryArgs(&d), area)
	}
	_, err := insertRows(ctx, c, "INSERT INTO deliveries ("+deliveryCols+", area) VALUES ", "", rows)
	return doing("deliveries", err)
}

// Order implements alerts.OrderStore.
func (s *Store) Order(ctx context.Context, id string) (alerts.Order, error) {
	o, err := queryOne(ctx, s.read(), scanOrder, "SELECT "+orderCols+" FROM orders WHERE id = ?", id)
	return o, doing("reading order", notFound("order", id, err))
}

// OrderByKey implements alerts.OrderStore.
func (s *Store) OrderByKey(ctx context.Context, issuer, key string) (alerts.Order, error) {
	o, err := byKey(ctx, s.read(), issuer, key)
	return o, doing("reading order by key", notFound("order with idempotency key", key, err))
}

// Orders implements alerts.OrderStore. Newest is by the time issued, then by
// id. The area of a team is the one it had when the order was given. An unknown
// Before is alerts.ErrNotFound.
func (s *Store) Orders(ctx context.Context, q alerts.OrderQuery) ([]alerts.Order, error) {
	var w where
	if q.Status != "" {
		w.and("status = ?", q.Status)
	}
	if q.Team != "" {
		w.and("EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = orders.id AND d.team = ?)", q.Team)
	}
	if q.Area != "" {
		w.and("EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = orders.id AND "+
			"(d.area = ? OR d.area IN (SELECT code FROM below)))", q.Area)
	}
	c := s.read()
	if err := w.before(ctx, c, "orders", "issued_ms", q.Before); err != nil {
		return nil, fmt.Errorf("listing orders: before order %q: %w", q.Before, err)
	}
	os, err := queryAll(ctx, c, scanOrder, below(q.Area)+"SELECT "+orderCols+" FROM orders"+w.text+
		" ORDER BY issued_ms DESC, id DESC LIMIT ?", w.all(q.Area, pageLimit(q.Limit))...)
	return os, doing("listing orders", err)
}
