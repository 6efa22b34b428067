package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"firewatch/alerts"
)

func cloneAlert(a alerts.Alert) alerts.Alert {
	a.Reasons, a.Evidence, a.Acks = slices.Clone(a.Reasons), slices.Clone(a.Evidence), slices.Clone(a.Acks)
	x := &a.Explain
	x.Values, x.Raised, x.Held = maps.Clone(x.Values), slices.Clone(x.Raised), slices.Clone(x.Held)
	return a
}

// SaveJudged implements alerts.AlertStore.
func (s *Store) SaveJudged(ctx context.Context, j alerts.Judged) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for _, st := range j.Cleared {
		delete(s.states, [2]string{st.Rule, st.Subject})
	}
	for _, st := range j.States {
		st.Data = bytes.Clone(st.Data)
		s.states[[2]string{st.Rule, st.Subject}] = st
	}
	for _, a := range j.Alerts {
		a = cloneAlert(a)
		if old, ok := s.alerts[a.ID]; ok {
			a.Acks, a.Order = old.Acks, old.Order
		}
		s.alerts[a.ID] = a
	}
	s.hotspotsJudged(j.Hotspots)
	s.saveIncidents(j.Incidents)
	if j.Feed != "" {
		s.judged[j.Feed] = j.Position
	}
	s.publish(j.Events)
	return nil
}

// JudgedPosition implements alerts.AlertStore.
func (s *Store) JudgedPosition(ctx context.Context, feed string) (pos uint64, ok bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, false, err
	}
	defer leave()
	pos, ok = s.judged[feed]
	return pos, ok, nil
}

// RuleStates implements alerts.AlertStore, by rule and subject.
func (s *Store) RuleStates(ctx context.Context) ([]alerts.RuleState, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := make([]alerts.RuleState, 0, len(s.states))
	for _, st := range s.states {
		st.Data = bytes.Clone(st.Data)
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b alerts.RuleState) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
	return out, nil
}

// Alert implements alerts.AlertStore.
func (s *Store) Alert(ctx context.Context, id string) (alerts.Alert, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Alert{}, err
	}
	defer leave()
	a, ok := s.alerts[id]
	if !ok {
		return alerts.Alert{}, fmt.Errorf("alert %q: %w", id, alerts.ErrNotFound)
	}
	return cloneAlert(a), nil
}

// newerAlert orders alerts newest first.
func newerAlert(a, b alerts.Alert) int {
	return cmp.Or(b.Raised.Compare(a.Raised), cmp.Compare(b.ID, a.ID))
}

// Alerts implements alerts.AlertStore.
func (s *Store) Alerts(ctx context.Context, q alerts.AlertQuery) ([]alerts.Alert, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	before, paged := s.alerts[q.Before]
	if q.Before != "" && !paged {
		return nil, fmt.Errorf("alert %q: %w", q.Before, alerts.ErrNotFound)
	}
	var out []alerts.Alert
	for _, a := range s.alerts {
		if (q.State == "" || a.State == q.State) && (q.Device == "" || a.Device == q.Device) &&
			(q.Incident == "" || a.Incident == q.Incident) && (q.Hushed == "" || a.Hush.Hushed() == (q.Hushed == alerts.HushedYes)) &&
			s.below(a.Area, q.Area) && (!paged || newerAlert(before, a) < 0) {
			out = append(out, cloneAlert(a))
		}
	}
	slices.SortFunc(out, newerAlert)
	return out[:min(len(out), q.Limit)], nil
}

// UpdateAlert implements alerts.AlertStore.
func (s *Store) UpdateAlert(ctx context.Context, id string,
	change func(*alerts.Alert) ([]alerts.Event, error),
) (alerts.Alert, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Alert{}, err
	}
	defer leave()
	a, ok := s.alerts[id]
	if !ok {
		return alerts.Alert{}, fmt.Errorf("alert %q: %w", id, alerts.ErrNotFound)
	}
	a = cloneAlert(a)
	evs, err := change(&a)
	if err != nil {
		return alerts.Alert{}, err
	}
	s.alerts[id] = a
	s.publish(evs)
	return cloneAlert(a), nil
}
