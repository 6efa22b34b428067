package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	maxIncidents = 1000
	maxSilences  = 1000
)

// owner is what minds an alert on the desk.
type owner struct {
	rule  string
	state *alerts.SubjectState
}

// desk is the alerts' desk with what the engine needs beside it.
type desk struct {
	*alerts.Desk
	owners map[string]owner // by alert id
	rules  string           // version in use
	roster int64
	held   map[heldKey]alerts.Holdback
	heldAt time.Time // when they were last saved
}

func (b *bench) newDesk() desk {
	return desk{
		Desk: alerts.NewDesk(func(id contract.DeviceID) bool {
			s := b.subjects[id]
			return s != nil && s.ctx.Device != nil && s.ctx.Device.Kind == contract.Sensor
		}),
		owners: make(map[string]owner), held: make(map[heldKey]alerts.Holdback),
	}
}

// useRules gives the desk the rules and areas of now.
func (b *bench) useRules() {
	if b.desk.rules == b.set.Version && b.desk.roster == b.roster {
		return
	}
	b.desk.rules, b.desk.roster = b.set.Version, b.roster
	b.desk.Use(b.rules, b.set.Incidents, b.areas)
}

// mind puts the alerts of a restored state on the desk.
func (b *bench) mind(st *alerts.SubjectState) {
	for _, a := range st.Alerts() {
		if a.State == alerts.Firing {
			b.desk.owners[a.ID] = owner{st.Rule, st}
			b.desk.Restore(a)
		}
	}
}

// loadDesk puts on the desk what the rows say beside: the alerts that stand of
// rules that are no more, and the incidents.
func (b *bench) loadDesk(ctx context.Context) error {
	b.useRules()
	q := alerts.AlertQuery{State: alerts.Firing, Limit: 1000}
	for {
		page, err := b.Alerts.Alerts(ctx, q)
		if err != nil {
			return fmt.Errorf("reading the alerts that stand: %w", err)
		}
		for i := range page {
			if _, minded := b.desk.owners[page[i].ID]; !minded {
				b.desk.Restore(&page[i])
			}
		}
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].ID
	}
	return b.loadIncidents(ctx)
}

// loadIncidents reads the open incidents, and those of alerts that stand.
func (b *bench) loadIncidents(ctx context.Context) error {
	q := alerts.IncidentQuery{Open: true, Limit: maxIncidents}
	for {
		page, err := b.Incidents.Incidents(ctx, q)
		if err != nil {
			return fmt.Errorf("reading incidents: %w", err)
		}
		for i := range page {
			b.desk.RestoreIncident(page[i])
		}
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].ID
	}
	for _, a := range b.desk.Standing() {
		if _, known := b.desk.Incident(a.Incident); known || a.Incident == "" {
			continue
		}
		in, err := b.Incidents.Incident(ctx, a.Incident)
		switch {
		case errors.Is(err, alerts.ErrNotFound):
		case err != nil:
			return fmt.Errorf("reading an incident: %w", err)
		default:
			b.desk.RestoreIncident(in)
		}
	}
	if err := b.reloadDesk(ctx, b.Now()); err != nil {
		return err
	}
	for _, a := range b.desk.Standing() { // a crash may have left an order ungiven
		o, minded := b.desk.owners[a.ID]
		if i := b.ruleIndex(o.rule); minded && i >= 0 && a.RuleVersion == b.rules[i].Version && b.desk.Calls(&b.rules[i], a) {
			b.wanting[a.ID] = want{rule: i, state: o.state}
		}
	}
	return nil
}

// reloadDesk reads what people have said since: of incidents, and silences. What
// was read last rules on while the store is away.
func (b *bench) reloadDesk(ctx context.Context, now time.Time) error {
	b.useRules()
	open, err := b.Incidents.Incidents(ctx, alerts.IncidentQuery{Open: true, Limit: maxIncidents})
	if err != nil {
		return fmt.Errorf("reading incidents: %w", err)
	}
	b.desk.Said(open)
	return b.reloadSilences(ctx, now)
}

// hear brings a finding to the desk. A fault of the desk costs the alert its
// incident, and nothing else.
func (b *bench) hear(now time.Time, rule *alerts.Rule, st *alerts.SubjectState, f alerts.Finding) {
	a := f.Alert
	if a.State == alerts.Firing {
		b.desk.owners[a.ID] = owner{rule.Name, st}
	} else {
		delete(b.desk.owners, a.ID)
	}
	if err := b.guard(func() error { b.desk.Hear(now, f); return nil }); err != nil {
		b.Log.Error("alert not put on the desk", zap.Error(err), zap.String("alert", a.ID))
	}
	if f.Kind == alerts.Raised {
		b.propose(now, rule, a)
	}
	b.ask(now, rule, st, a)
}

// ask notes that the alert asks for an order, or on the alert why it gets none.
// The alert is the caller's to change.
func (b *bench) ask(now time.Time, rule *alerts.Rule, st *alerts.SubjectState, a *alerts.Alert) {
	if !b.desk.Calls(rule, a) {
		return
	}
	call := b.desk.Call(now, rule, a)
	if !call.Give {
		a.HoldBack(call.Held)
		delete(b.wanting, a.ID)
		return
	}
	i := b.ruleIndex(rule.Name)
	if i < 0 {
		return
	}
	w := b.wanting[a.ID] // news of the alert does not hurry an order that fails
	w.rule, w.state = i, st
	b.wanting[a.ID] = w
}

// settle goes over the desk before a save, so that what comes of it is in the
// same transaction as the alerts.
func (b *bench) settle(now time.Time) {
	var changed []*alerts.Alert
	if err := b.guard(func() error { changed = b.desk.Settle(now); return nil }); err != nil {
		b.Log.Error("desk not settled", zap.Error(err))
		return
	}
	for _, a := range changed {
		b.pend.alerts[a.ID], b.pend.at[a.ID] = a, now
		o, minded := b.desk.owners[a.ID]
		if !minded {
			continue
		}
		o.state.Adopt(a)
		i := b.ruleIndex(o.rule)
		if i < 0 {
			continue
		}
		if !a.Hush.Hushed() {
			b.propose(now, &b.rules[i], a)
		}
		b.ask(now, &b.rules[i], o.state, a)
	}
}

// settled adds the incidents that are others to the transaction.
func (b *bench) settled(now time.Time, j *alerts.Judged) error {
	j.Incidents = b.desk.Changed()
	for i := range j.Incidents {
		in := &j.Incidents[i]
		data, err := json.Marshal(map[string]string{"id": in.ID})
		if err != nil {
			return fmt.Errorf("incident event: %w", err)
		}
		j.Events = append(j.Events, alerts.Event{At: now, Type: alerts.EventIncident, Area: in.Area, Data: data})
	}
	return nil
}

// call asks the desk about an order that is about to be given. What holds it
// back is told with the alert, at the next save.
func (b *bench) call(now time.Time, rule *alerts.Rule, st *alerts.SubjectState, a *alerts.Alert) (key string, give bool) {
	if !b.desk.Calls(rule, a) {
		return "", false
	}
	c := b.desk.Call(now, rule, a)
	if c.Give {
		return c.Key, true
	}
	told := *a
	if told.HoldBack(c.Held) {
		told.Updated = now
		b.replace(now, st, &told)
	}
	return "", false
}

// replace puts a changed copy of an alert in its place everywhere, to be saved.
func (b *bench) replace(now time.Time, st *alerts.SubjectState, a *alerts.Alert) {
	st.Adopt(a)
	b.desk.Restore(a)
	b.pend.alerts[a.ID], b.pend.at[a.ID] = a, now
}

// ordered notes the order of an alert with it and with its incident.
func (b *bench) ordered(st *alerts.SubjectState, a *alerts.Alert, o alerts.Order) {
	if a.Order == "" {
		st.SetOrder(a.ID, o.ID)
	}
	for _, x := range st.Alerts() {
		if x.ID == a.ID {
			b.desk.Restore(x)
		}
	}
	if !slices.Contains(o.Shortfalls, alerts.NobodyNotified) { // else the next alert of the incident gives its own
		b.desk.Ordered(a.Incident, o.ID, o.Level)
	}
}
