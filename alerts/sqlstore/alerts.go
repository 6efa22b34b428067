package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const alertCols = "id, rule, rule_version, device, area, lat, lon, severity, state, summary, summary_en, reasons, " +
	"measured_ms, raised_ms, late_ms, resolved_ms, updated_ms, evidence, demo, acks, order_id, " +
	"incident, hushed, hush, explain_doc"

// alertReplaced leaves out what people and orders own: acks and order_id.
const alertReplaced = `rule = excluded.rule, rule_version = excluded.rule_version, device = excluded.device,
area = excluded.area, lat = excluded.lat, lon = excluded.lon, severity = excluded.severity, state = excluded.state,
summary = excluded.summary, summary_en = excluded.summary_en, reasons = excluded.reasons,
measured_ms = excluded.measured_ms, raised_ms = excluded.raised_ms, late_ms = excluded.late_ms,
resolved_ms = excluded.resolved_ms, updated_ms = excluded.updated_ms, evidence = excluded.evidence, demo = excluded.demo,
incident = excluded.incident, hushed = excluded.hushed, hush = excluded.hush, explain_doc = excluded.explain_doc`

// evidenceDoc and ackDoc are the stored JSON; their names are part of the schema.
type evidenceDoc struct {
	Device   contract.DeviceID `json:"device"`
	Measured int64             `json:"measured_ms,omitempty"`
	Received int64             `json:"received_ms,omitempty"`
	Field    string            `json:"field,omitempty"`
	Value    *float64          `json:"value"` // null: not a number
	Note     string            `json:"note,omitempty"`
}

type ackDoc struct {
	By   string `json:"by"`
	At   int64  `json:"at_ms,omitempty"`
	Note string `json:"note,omitempty"`
}

func docMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func docTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func alertArgs(a *alerts.Alert) ([]any, error) {
	reasons, err := jsonText(a.Reasons)
	if err != nil {
		return nil, err
	}
	docs := make([]evidenceDoc, len(a.Evidence))
	for i, e := range a.Evidence {
		docs[i] = evidenceDoc{e.Device, docMillis(e.Measured), docMillis(e.Received), e.Field, nil, e.Note}
		if finite(e.Value) {
			docs[i].Value = &a.Evidence[i].Value
		}
	}
	evidence, err := jsonText(docs)
	if err != nil {
		return nil, err
	}
	said := make([]ackDoc, len(a.Acks))
	for i, k := range a.Acks {
		said[i] = ackDoc{k.By, docMillis(k.At), k.Note}
	}
	acks, err := jsonText(said)
	if err != nil {
		return nil, err
	}
	hush, err := hushText(a.Hush)
	if err != nil {
		return nil, err
	}
	explain, err := explainText(a.Explain)
	if err != nil {
		return nil, err
	}
	lat, lon := place(a.Lat, a.Lon, a.HasPlace)
	return []any{
		a.ID, a.Rule, a.RuleVersion, a.Device, a.Area, lat, lon, a.Severity, a.State, a.Summary, a.SummaryEn, reasons,
		a.Measured, a.Raised, a.Late, a.Resolved, a.Updated, evidence, a.Demo, acks, a.Order,
		a.Incident, a.Hush.Kind, hush, explain,
	}, nil
}

func scanAlert(r row) (a alerts.Alert, err error) {
	var docs []evidenceDoc
	var said []ackDoc
	var hushed string // stands in hush too
	if err := r.Scan(&a.ID, &a.Rule, &a.RuleVersion, &a.Device, &a.Area,
		scanFloat{&a.Lat, &a.HasPlace}, scanFloat{&a.Lon, &a.HasPlace}, &a.Severity, &a.State,
		&a.Summary, &a.SummaryEn, scanJSON{&a.Reasons}, scanTime{&a.Measured}, scanTime{&a.Raised},
		scanDuration{&a.Late}, scanTime{&a.Resolved}, scanTime{&a.Updated}, scanJSON{&docs}, &a.Demo,
		scanJSON{&said}, &a.Order, &a.Incident, &hushed, scanJSON{&a.Hush}, scanJSON{&a.Explain}); err != nil {
		return a, err
	}
	for _, d := range docs {
		e := alerts.Evidence{
			Device: d.Device, Measured: docTime(d.Measured), Received: docTime(d.Received),
			Field: d.Field, Value: math.NaN(), Note: d.Note,
		}
		if d.Value != nil {
			e.Value = *d.Value
		}
		a.Evidence = append(a.Evidence, e)
	}
	for _, k := range said {
		a.Acks = append(a.Acks, alerts.Ack{By: k.By, At: docTime(k.At), Note: k.Note})
	}
	return a, nil
}

// SaveJudged implements alerts.AlertStore. Of a state or an alert that is in j
// twice the last one counts; a state that is both cleared and saved is saved.
func (s *Store) SaveJudged(ctx context.Context, j alerts.Judged) error {
	return doing("saving judgement", s.write(ctx, func(c conn) error {
		if err := saveAlerts(ctx, c, j.Alerts); err != nil {
			return doing("alerts", err)
		}
		if err := saveStates(ctx, c, j.States, j.Cleared); err != nil {
			return doing("rule states", err)
		}
		if err := hotspotsJudged(ctx, c, j.Hotspots); err != nil {
			return doing("hotspots", err)
		}
		if err := saveIncidents(ctx, c, j.Incidents); err != nil {
			return doing("incidents", err)
		}
		if j.Feed != "" {
			// A position above 2^63 turns negative here and back in JudgedPosition.
			if _, err := c.exec(ctx, `INSERT INTO judged (feed, position) VALUES (?, ?)
ON CONFLICT (feed) DO UPDATE SET position = excluded.position`, j.Feed, int64(j.Position)); err != nil { //nolint:gosec // meant
				return doing("position", err)
			}
		}
		return appendEvents(ctx, c, j.Events)
	}))
}

// lastOf keeps the last of those with the same key, sorted by key: PostgreSQL
// does not change a row twice in one statement, and sorted rows lock in order.
func lastOf[K cmp.Ordered, V any](list []V, key func(*V) K) []*V {
	m := make(map[K]*V, len(list))
	for i := range list {
		m[key(&list[i])] = &list[i]
	}
	out := make([]*V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

func saveAlerts(ctx context.Context, c conn, as []alerts.Alert) error {
	last := lastOf(as, func(a *alerts.Alert) string { return a.ID })
	rows := make([][]any, len(last))
	for i, a := range last {
		var err error
		if rows[i], err = alertArgs(a); err != nil {
			return err
		}
	}
	_, err := insertRows(ctx, c, "INSERT INTO alerts ("+alertCols+") VALUES ",
		" ON CONFLICT (id) DO UPDATE SET "+alertReplaced, rows)
	return err
}

func saveStates(ctx context.Context, c conn, states, cleared []alerts.RuleState) error {
	key := func(s *alerts.RuleState) string { return s.Rule + "\x00" + s.Subject }
	for gone := range slices.Chunk(lastOf(cleared, key), maxParams/2) {
		pairs := make([]any, 0, 2*len(gone))
		for _, g := range gone {
			pairs = append(pairs, g.Rule, g.Subject)
		}
		if _, err := c.exec(ctx, "DELETE FROM rule_states WHERE (rule, subject) IN (VALUES "+
			strings.TrimSuffix(strings.Repeat("(?,?),", len(gone)), ",")+")", pairs...); err != nil {
			return err
		}
	}
	last := lastOf(states, key)
	rows := make([][]any, len(last))
	for i, r := range last {
		rows[i] = []any{r.Rule, r.Subject, r.State, r.Since, r.AlertID, r.Through, r.Data}
	}
	_, err := insertRows(ctx, c, "INSERT INTO rule_states (rule, subject, state, since_ms, alert_id, through_ms, data) VALUES ",
		` ON CONFLICT (rule, subject) DO UPDATE SET state = excluded.state, since_ms = excluded.since_ms,
alert_id = excluded.alert_id, through_ms = excluded.through_ms, data = excluded.data`, rows)
	return err
}

// JudgedPosition implements alerts.AlertStore.
func (s *Store) JudgedPosition(ctx context.Context, feed string) (pos uint64, ok bool, err error) {
	ps, err := queryAll(ctx, s.read(), scanInt, "SELECT position FROM judged WHERE feed = ?", feed)
	if err != nil || len(ps) == 0 {
		return 0, false, doing("reading judged position", err)
	}
	return uint64(ps[0]), true, nil //nolint:gosec // the inverse of SaveJudged
}

// RuleStates implements alerts.AlertStore, sorted by rule and subject.
func (s *Store) RuleStates(ctx context.Context) ([]alerts.RuleState, error) {
	rs, err := queryAll(ctx, s.read(), func(r row) (v alerts.RuleState, err error) {
		err = r.Scan(&v.Rule, &v.Subject, &v.State, scanTime{&v.Since}, &v.AlertID, scanTime{&v.Through}, scanRaw{&v.Data})
		return v, err
	}, "SELECT rule, subject, state, since_ms, alert_id, through_ms, data FROM rule_states ORDER BY rule, subject")
	return rs, doing("reading rule states", err)
}

// Alert implements alerts.AlertStore.
func (s *Store) Alert(ctx context.Context, id string) (alerts.Alert, error) {
	a, err := queryOne(ctx, s.read(), scanAlert, "SELECT "+alertCols+" FROM alerts WHERE id = ?", id)
	return a, doing("reading alert", notFound("alert", id, err))
}

// Alerts implements alerts.AlertStore. Newest is by the time raised, then by
// id. An unknown Before is alerts.ErrNotFound.
func (s *Store) Alerts(ctx context.Context, q alerts.AlertQuery) ([]alerts.Alert, error) {
	var w where
	if q.State != "" {
		w.and("state = ?", q.State)
	}
	if q.Device != "" {
		w.and("device = ?", q.Device)
	}
	if q.Incident != "" {
		w.and("incident = ? AND incident <> ''", q.Incident) // the second half lets the partial index serve
	}
	switch q.Hushed {
	case alerts.HushedNo:
		w.and("hushed = ''")
	case alerts.HushedYes:
		w.and("hushed <> ''")
	}
	if q.Area != "" {
		w.and("(area = ? OR area IN (SELECT code FROM below))", q.Area)
	}
	c := s.read()
	if err := w.before(ctx, c, "alerts", "raised_ms", q.Before); err != nil {
		return nil, fmt.Errorf("listing alerts: before alert %q: %w", q.Before, err)
	}
	as, err := queryAll(ctx, c, scanAlert, below(q.Area)+"SELECT "+alertCols+" FROM alerts"+w.text+
		" ORDER BY raised_ms DESC, id DESC LIMIT ?", w.all(q.Area, pageLimit(q.Limit))...)
	return as, doing("listing alerts", err)
}

// UpdateAlert implements alerts.AlertStore. change runs inside the transaction
// and must not call the store; its error undoes everything.
func (s *Store) UpdateAlert(ctx context.Context, id string, change func(*alerts.Alert) ([]alerts.Event, error)) (alerts.Alert, error) {
	var saved alerts.Alert
	err := s.write(ctx, func(c conn) error {
		a, err := queryOne(ctx, c, scanAlert, "SELECT "+alertCols+" FROM alerts WHERE id = ?"+s.d.forUpdate(), id)
		if err != nil {
			return err
		}
		evs, err := change(&a)
		if err != nil {
			return err
		}
		a.ID = id
		args, err := alertArgs(&a)
		if err != nil {
			return err
		}
		if _, err := insertRows(ctx, c, "INSERT INTO alerts ("+alertCols+") VALUES ",
			" ON CONFLICT (id) DO UPDATE SET "+alertReplaced+", acks = excluded.acks, order_id = excluded.order_id",
			[][]any{args}); err != nil {
			return err
		}
		if saved, err = queryOne(ctx, c, scanAlert, "SELECT "+alertCols+" FROM alerts WHERE id = ?", id); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Alert{}, fmt.Errorf("updating alert %q: %w", id, err)
	}
	return saved, nil
}
