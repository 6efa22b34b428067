package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"firewatch/alerts"
)

const (
	incidentCols = "id, area, device, lat, lon, title, severity, began_ms, opened_ms, updated_ms, quiet_ms, closed_ms, alerts, demo, " + incidentOthers
	// incidentOthers are what people and orders own.
	incidentOthers = "confirmed_ms, refuted_ms, said_by, order_id, order_level"
	incidentJudged = `area = excluded.area, device = excluded.device, lat = excluded.lat, lon = excluded.lon, title = excluded.title,
severity = excluded.severity, began_ms = excluded.began_ms, opened_ms = excluded.opened_ms, updated_ms = excluded.updated_ms,
quiet_ms = excluded.quiet_ms, closed_ms = excluded.closed_ms, alerts = excluded.alerts, demo = excluded.demo`
	incidentSaid = `, confirmed_ms = excluded.confirmed_ms, refuted_ms = excluded.refuted_ms, said_by = excluded.said_by,
order_id = excluded.order_id, order_level = excluded.order_level`
)

// hushText is the hush as JSON, NULL for none.
func hushText(h alerts.Hush) (any, error) {
	if h == (alerts.Hush{}) {
		return nil, nil //nolint:nilnil // NULL
	}
	b, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding hush: %w", err)
	}
	return string(b), nil
}

// explainText is the explanation as JSON, NULL for none. What is no number is
// left out: JSON has no word for it.
func explainText(x alerts.Explanation) (any, error) {
	x.Values = maps.Clone(x.Values)
	maps.DeleteFunc(x.Values, func(_ string, v float64) bool { return !finite(v) })
	if len(x.Values) == 0 {
		x.Values = nil
	}
	if reflect.ValueOf(x).IsZero() {
		return nil, nil //nolint:nilnil // NULL
	}
	b, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("encoding explanation: %w", err)
	}
	return string(b), nil
}

func incidentArgs(i *alerts.Incident) []any {
	lat, lon := place(i.Lat, i.Lon, i.HasPlace)
	return []any{
		i.ID, i.Area, i.Device, lat, lon, i.Title, i.Severity, i.Began, i.Opened, i.Updated, i.Quiet, i.Closed, i.Alerts, i.Demo,
		i.Confirmed, i.Refuted, i.By, i.Order, i.OrderLevel,
	}
}

func scanIncident(r row) (i alerts.Incident, err error) {
	err = r.Scan(&i.ID, &i.Area, &i.Device, scanFloat{&i.Lat, &i.HasPlace}, scanFloat{&i.Lon, &i.HasPlace}, &i.Title, &i.Severity,
		scanTime{&i.Began}, scanTime{&i.Opened}, scanTime{&i.Updated}, scanTime{&i.Quiet}, scanTime{&i.Closed}, &i.Alerts, &i.Demo,
		scanTime{&i.Confirmed}, scanTime{&i.Refuted}, &i.By, &i.Order, &i.OrderLevel)
	return i, err
}

func saveIncidents(ctx context.Context, c conn, ins []alerts.Incident) error {
	last := lastOf(ins, func(i *alerts.Incident) string { return i.ID })
	rows := make([][]any, len(last))
	for n, i := range last {
		rows[n] = incidentArgs(i)
	}
	_, err := insertRows(ctx, c, "INSERT INTO incidents ("+incidentCols+") VALUES ",
		" ON CONFLICT (id) DO UPDATE SET "+incidentJudged, rows)
	return err
}

// orderIncident notes the order with the incident of its alert.
func orderIncident(ctx context.Context, c conn, o *alerts.Order) error {
	_, err := c.exec(ctx, `UPDATE incidents SET order_id = CASE WHEN order_id = '' THEN ? ELSE order_id END,
order_level = CASE WHEN order_level < ? THEN ? ELSE order_level END
WHERE id = (SELECT incident FROM alerts WHERE id = ?)`, o.ID, o.Level, o.Level, o.Alert)
	return err
}

// Incident implements alerts.IncidentStore.
func (s *Store) Incident(ctx context.Context, id string) (alerts.Incident, error) {
	i, err := queryOne(ctx, s.read(), scanIncident, "SELECT "+incidentCols+" FROM incidents WHERE id = ?", id)
	return i, doing("reading incident", notFound("incident", id, err))
}

// Incidents implements alerts.IncidentStore. Newest is by the time opened, then
// by id. An unknown Before is alerts.ErrNotFound.
func (s *Store) Incidents(ctx context.Context, q alerts.IncidentQuery) ([]alerts.Incident, error) {
	var w where
	if q.Open {
		w.and("closed_ms IS NULL")
	}
	if q.Area != "" {
		w.and("(area = ? OR area IN (SELECT code FROM below))", q.Area)
	}
	c := s.read()
	if err := w.before(ctx, c, "incidents", "opened_ms", q.Before); err != nil {
		return nil, fmt.Errorf("listing incidents: before incident %q: %w", q.Before, err)
	}
	is, err := queryAll(ctx, c, scanIncident, below(q.Area)+"SELECT "+incidentCols+" FROM incidents"+w.text+
		" ORDER BY opened_ms DESC, id DESC LIMIT ?", w.all(q.Area, pageLimit(q.Limit))...)
	return is, doing("listing incidents", err)
}

// UpdateIncident implements alerts.IncidentStore. change runs inside the
// transaction and must not call the store; its error undoes everything.
func (s *Store) UpdateIncident(ctx context.Context, id string,
	change func(*alerts.Incident) ([]alerts.Event, error),
) (alerts.Incident, error) {
	var saved alerts.Incident
	err := s.write(ctx, func(c conn) error {
		i, err := queryOne(ctx, c, scanIncident, "SELECT "+incidentCols+" FROM incidents WHERE id = ?"+s.d.forUpdate(), id)
		if err != nil {
			return err
		}
		evs, err := change(&i)
		if err != nil {
			return err
		}
		i.ID = id
		if _, err := insertRows(ctx, c, "INSERT INTO incidents ("+incidentCols+") VALUES ",
			" ON CONFLICT (id) DO UPDATE SET "+incidentJudged+incidentSaid, [][]any{incidentArgs(&i)}); err != nil {
			return err
		}
		if saved, err = queryOne(ctx, c, scanIncident, "SELECT "+incidentCols+" FROM incidents WHERE id = ?", id); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Incident{}, fmt.Errorf("updating incident %q: %w", id, err)
	}
	return saved, nil
}

const holdbackCols = "rule, device, why, rule_version, area, first_ms, last_ms, n"

// SaveHoldbacks implements alerts.HoldbackStore.
func (s *Store) SaveHoldbacks(ctx context.Context, hs []alerts.Holdback, keep int) error {
	last := lastOf(hs, func(h *alerts.Holdback) string {
		return strings.Join([]string{h.Rule, string(h.Device), h.Why}, "\x00")
	})
	rows := make([][]any, len(last))
	for n, h := range last {
		rows[n] = []any{h.Rule, h.Device, h.Why, h.RuleVersion, h.Area, h.First, h.Last, h.Count}
	}
	return doing("saving hold-backs", s.write(ctx, func(c conn) error {
		if _, err := insertRows(ctx, c, "INSERT INTO holdbacks ("+holdbackCols+") VALUES ",
			` ON CONFLICT (rule, device, why) DO UPDATE SET rule_version = excluded.rule_version, area = excluded.area,
last_ms = excluded.last_ms, n = holdbacks.n + excluded.n`, rows); err != nil {
			return err
		}
		_, err := c.exec(ctx, "DELETE FROM holdbacks WHERE (rule, device, why) NOT IN (SELECT rule, device, why FROM holdbacks "+
			"ORDER BY last_ms DESC, rule, device, why LIMIT ?)", listLimit(keep))
		return err
	}))
}

// Holdbacks implements alerts.HoldbackStore.
func (s *Store) Holdbacks(ctx context.Context, area string, limit int) ([]alerts.Holdback, error) {
	var w where
	if area != "" {
		w.and("(area = ? OR area IN (SELECT code FROM below))", area)
	}
	hs, err := queryAll(ctx, s.read(), func(r row) (h alerts.Holdback, err error) {
		err = r.Scan(&h.Rule, &h.Device, &h.Why, &h.RuleVersion, &h.Area, scanTime{&h.First}, scanTime{&h.Last}, &h.Count)
		return h, err
	}, below(area)+"SELECT "+holdbackCols+" FROM holdbacks"+w.text+" ORDER BY last_ms DESC, rule, device, why LIMIT ?",
		w.all(area, listLimit(limit))...)
	return hs, doing("listing hold-backs", err)
}
