package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const deliveryCols = "order_id, team, reason, state, sent_ms, delivered_ms, read_ms, answered_ms, answer, answer_note, " +
	"answered_by, on_behalf, tries, escalation, next_ms, last_error, updated_ms"

// dDeliveryCols are deliveryCols of the table d.
var dDeliveryCols = "d." + strings.ReplaceAll(deliveryCols, ", ", ", d.")

func deliveryArgs(d *alerts.Delivery) []any {
	return []any{
		d.Order, d.Team, d.Reason, d.State, d.Sent, d.Delivered, d.Read, d.Answered, d.Answer, d.AnswerNote,
		d.AnsweredBy, d.OnBehalf, d.Tries, d.Escalation, d.NextAt, d.LastError, d.Updated,
	}
}

func scanDelivery(r row) (d alerts.Delivery, err error) {
	err = r.Scan(&d.Order, &d.Team, &d.Reason, &d.State, scanTime{&d.Sent}, scanTime{&d.Delivered}, scanTime{&d.Read},
		scanTime{&d.Answered}, &d.Answer, &d.AnswerNote, &d.AnsweredBy, &d.OnBehalf, &d.Tries, &d.Escalation,
		scanTime{&d.NextAt}, &d.LastError, scanTime{&d.Updated})
	return d, err
}

// Deliveries implements alerts.OrderStore, sorted by team.
func (s *Store) Deliveries(ctx context.Context, order string) ([]alerts.Delivery, error) {
	ds, err := queryAll(ctx, s.read(), scanDelivery,
		"SELECT "+deliveryCols+" FROM deliveries WHERE order_id = ? ORDER BY team", order)
	return ds, doing("reading deliveries", err)
}

// TeamDeliveries implements alerts.OrderStore.
func (s *Store) TeamDeliveries(ctx context.Context, team contract.TeamID, limit int) ([]alerts.Delivery, error) {
	ds, err := queryAll(ctx, s.read(), scanDelivery, "SELECT "+dDeliveryCols+
		" FROM deliveries d JOIN orders o ON o.id = d.order_id WHERE d.team = ? ORDER BY o.issued_ms DESC, o.id DESC LIMIT ?",
		team, listLimit(limit))
	return ds, doing("reading deliveries of a team", err)
}

// DueDeliveries implements alerts.OrderStore.
func (s *Store) DueDeliveries(ctx context.Context, now time.Time, limit int) ([]alerts.Delivery, error) {
	ds, err := queryAll(ctx, s.read(), scanDelivery, "SELECT "+dDeliveryCols+
		" FROM deliveries d JOIN orders o ON o.id = d.order_id WHERE d.next_ms <= ? AND o.status = ? "+
		"ORDER BY o.level DESC, d.next_ms, d.order_id, d.team LIMIT ?", now, alerts.OrderOpen, listLimit(limit))
	return ds, doing("reading due deliveries", err)
}

// UpdateDelivery implements alerts.OrderStore. change runs inside the
// transaction, with the order locked, and must not call the store; its error
// undoes everything. A delivery of an order that is complete or cancelled can
// still change (a team reports in position), the order then stays as it is.
// When the last delivery is answered, the order is complete at the delivery's
// Updated time, and an EventOrder follows the events of change.
func (s *Store) UpdateDelivery(ctx context.Context, order string, team contract.TeamID,
	change func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error),
) (alerts.Delivery, error) {
	var saved alerts.Delivery
	err := s.write(ctx, func(c conn) error {
		// The order's lock lets two last answers come one after the other: without
		// it neither would see the other's, and the order would stay open.
		o, err := queryOne(ctx, c, scanOrder, "SELECT "+orderCols+" FROM orders WHERE id = ?"+s.d.forUpdate(), order)
		if err != nil {
			return notFound("order", order, err)
		}
		const one = "SELECT " + deliveryCols + " FROM deliveries WHERE order_id = ? AND team = ?"
		d, err := queryOne(ctx, c, scanDelivery, one+s.d.forUpdate(), order, team)
		if err != nil {
			return notFound("delivery to team", string(team), err)
		}
		also, err := change(&d, o)
		if err != nil {
			return err
		}
		d.Order, d.Team = order, team
		if err := saveDelivery(ctx, c, &d); err != nil {
			return err
		}
		if err := appendAttempts(ctx, c, &d, also.Attempts); err != nil {
			return err
		}
		evs := also.Events
		if o.Status == alerts.OrderOpen && (d.State == alerts.DeliveryAnswered || !d.Answered.IsZero()) {
			done, err := completeOrder(ctx, c, &o, &d)
			if err != nil {
				return err
			}
			evs = append(slices.Clip(evs), done...)
		}
		if saved, err = queryOne(ctx, c, scanDelivery, one, order, team); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Delivery{}, fmt.Errorf("updating delivery of order %q to team %q: %w", order, team, err)
	}
	return saved, nil
}

func saveDelivery(ctx context.Context, c conn, d *alerts.Delivery) error {
	// All columns but the two of the key, which come first.
	_, err := c.exec(ctx, "UPDATE deliveries SET "+strings.ReplaceAll(deliveryCols[len("order_id, team, "):], ", ", " = ?, ")+
		" = ? WHERE order_id = ? AND team = ?", append(deliveryArgs(d)[2:], d.Order, d.Team)...)
	return err
}

func appendAttempts(ctx context.Context, c conn, d *alerts.Delivery, as []alerts.Attempt) error {
	if len(as) == 0 {
		return nil
	}
	n, err := queryOne(ctx, c, scanInt, "SELECT COALESCE(MAX(n), 0) FROM attempts WHERE order_id = ?", d.Order)
	if err != nil {
		return doing("numbering attempts", err)
	}
	rows := make([][]any, len(as))
	for i, a := range as {
		rows[i] = []any{d.Order, n + 1 + int64(i), d.Team, a.Channel, a.At, a.Try, a.Error, a.Note}
	}
	_, err = insertRows(ctx, c, "INSERT INTO attempts (order_id, n, team, channel, at_ms, try, error, note) VALUES ", "", rows)
	return doing("writing attempts", err)
}

// completeOrder completes the order if d was the last delivery without an
// answer.
func completeOrder(ctx context.Context, c conn, o *alerts.Order, d *alerts.Delivery) ([]alerts.Event, error) {
	open, err := queryOne(ctx, c, scanInt,
		"SELECT COUNT(*) FROM deliveries WHERE order_id = ? AND answered_ms IS NULL AND state <> ?", o.ID, alerts.DeliveryAnswered)
	if err != nil || open > 0 {
		return nil, doing("counting open deliveries", err)
	}
	at := d.Updated
	if at.IsZero() {
		at = d.Answered
	}
	if at.IsZero() {
		at = time.Now()
	}
	if _, err := c.exec(ctx, "UPDATE orders SET status = ?, completed_ms = ? WHERE id = ?",
		alerts.OrderComplete, at, o.ID); err != nil {
		return nil, doing("completing order", err)
	}
	return []alerts.Event{{At: at, Type: alerts.EventOrder, Area: o.Area, Data: idData(o.ID)}}, nil
}

// Attempts implements alerts.OrderStore, oldest first.
func (s *Store) Attempts(ctx context.Context, order string) ([]alerts.Attempt, error) {
	as, err := queryAll(ctx, s.read(), func(r row) (a alerts.Attempt, err error) {
		err = r.Scan(&a.Order, &a.Team, &a.Channel, scanTime{&a.At}, &a.Try, &a.Error, &a.Note)
		return a, err
	}, "SELECT order_id, team, channel, at_ms, try, error, note FROM attempts WHERE order_id = ? ORDER BY n", order)
	return as, doing("reading attempts", err)
}

// Tallies implements alerts.OrderStore. A delivery counts as sent, delivered or
// read by its state or its times, so that one that failed or went stale later
// still counts for what was reached.
func (s *Store) Tallies(ctx context.Context, orders []string) (map[string]alerts.Tally, error) {
	out := make(map[string]alerts.Tally, len(orders))
	type counted struct {
		order string
		tally alerts.Tally
	}
	for chunk := range slices.Chunk(orders, maxParams) {
		args := make([]any, len(chunk))
		for i, id := range chunk {
			args[i] = id
			out[id] = alerts.Tally{}
		}
		cs, err := queryAll(ctx, s.read(), func(r row) (v counted, err error) {
			t := &v.tally
			err = r.Scan(&v.order, &t.Total, &t.Sent, &t.Delivered, &t.Read, &t.Answered, &t.Failed)
			return v, err
		}, tallyQuery+"("+strings.TrimSuffix(strings.Repeat("?,", len(chunk)), ",")+") GROUP BY order_id", args...)
		if err != nil {
			return nil, doing("counting deliveries", err)
		}
		for _, v := range cs {
			out[v.order] = v.tally
		}
	}
	return out, nil
}

const tallyQuery = `SELECT order_id, COUNT(*),
COUNT(CASE WHEN COALESCE(sent_ms, delivered_ms, read_ms, answered_ms) IS NOT NULL OR state IN ('sent', 'delivered', 'read', 'answered') THEN 1 END),
COUNT(CASE WHEN COALESCE(delivered_ms, read_ms, answered_ms) IS NOT NULL OR state IN ('delivered', 'read', 'answered') THEN 1 END),
COUNT(CASE WHEN COALESCE(read_ms, answered_ms) IS NOT NULL OR state IN ('read', 'answered') THEN 1 END),
COUNT(CASE WHEN answered_ms IS NOT NULL OR state = 'answered' THEN 1 END),
COUNT(CASE WHEN state = 'failed' THEN 1 END)
FROM deliveries WHERE order_id IN `
