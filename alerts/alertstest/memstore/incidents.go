package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
)

// saveIncidents keeps what people and orders own.
func (s *Store) saveIncidents(ins []alerts.Incident) {
	for _, in := range ins {
		if old, ok := s.incidents[in.ID]; ok {
			in.Confirmed, in.Refuted, in.By = old.Confirmed, old.Refuted, old.By
			in.Order, in.OrderLevel = old.Order, old.OrderLevel
		}
		s.incidents[in.ID] = in
	}
}

// Incident implements alerts.IncidentStore.
func (s *Store) Incident(ctx context.Context, id string) (alerts.Incident, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Incident{}, err
	}
	defer leave()
	in, ok := s.incidents[id]
	if !ok {
		return in, fmt.Errorf("incident %q: %w", id, alerts.ErrNotFound)
	}
	return in, nil
}

func newerIncident(a, b alerts.Incident) int {
	return cmp.Or(b.Opened.Compare(a.Opened), cmp.Compare(b.ID, a.ID))
}

// Incidents implements alerts.IncidentStore.
func (s *Store) Incidents(ctx context.Context, q alerts.IncidentQuery) ([]alerts.Incident, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	before, paged := s.incidents[q.Before]
	if q.Before != "" && !paged {
		return nil, fmt.Errorf("incident %q: %w", q.Before, alerts.ErrNotFound)
	}
	var out []alerts.Incident
	for _, in := range s.incidents {
		if (!q.Open || in.Closed.IsZero()) && s.below(in.Area, q.Area) && (!paged || newerIncident(before, in) < 0) {
			out = append(out, in)
		}
	}
	slices.SortFunc(out, newerIncident)
	return out[:min(len(out), q.Limit)], nil
}

// UpdateIncident implements alerts.IncidentStore.
func (s *Store) UpdateIncident(ctx context.Context, id string,
	change func(*alerts.Incident) ([]alerts.Event, error),
) (alerts.Incident, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Incident{}, err
	}
	defer leave()
	in, ok := s.incidents[id]
	if !ok {
		return in, fmt.Errorf("incident %q: %w", id, alerts.ErrNotFound)
	}
	evs, err := change(&in)
	if err != nil {
		return alerts.Incident{}, err
	}
	in.ID = id
	s.incidents[id] = in
	s.publish(evs)
	return in, nil
}

// SaveSilence implements alerts.SilenceStore.
func (s *Store) SaveSilence(ctx context.Context, x alerts.Silence, evs []alerts.Event) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, taken := s.silences[x.ID]; taken {
		return fmt.Errorf("silence %q: %w", x.ID, alerts.ErrConflict)
	}
	s.silences[x.ID] = x
	s.publish(evs)
	return nil
}

// Silences implements alerts.SilenceStore.
func (s *Store) Silences(ctx context.Context, after time.Time, limit int) ([]alerts.Silence, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Silence
	for _, x := range s.silences {
		if x.Over().After(after) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b alerts.Silence) int {
		return cmp.Or(b.Made.Compare(a.Made), cmp.Compare(b.ID, a.ID))
	})
	return out[:min(len(out), max(limit, 0))], nil
}

// LiftSilence implements alerts.SilenceStore.
func (s *Store) LiftSilence(ctx context.Context, id, by string, at time.Time, evs []alerts.Event) (alerts.Silence, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Silence{}, err
	}
	defer leave()
	x, ok := s.silences[id]
	switch {
	case !ok:
		return x, fmt.Errorf("silence %q: %w", id, alerts.ErrNotFound)
	case !x.Over().After(at):
		return alerts.Silence{}, fmt.Errorf("silence %q is over: %w", id, alerts.ErrConflict)
	}
	x.Ended, x.Lifted = at, by
	s.silences[id] = x
	s.publish(evs)
	return x, nil
}

// SaveHoldbacks implements alerts.HoldbackStore.
func (s *Store) SaveHoldbacks(ctx context.Context, hs []alerts.Holdback, keep int) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for _, h := range hs {
		i := slices.IndexFunc(s.holdbacks, func(o alerts.Holdback) bool {
			return o.Rule == h.Rule && o.Device == h.Device && o.Why == h.Why
		})
		if i < 0 {
			s.holdbacks = append(s.holdbacks, h)
			continue
		}
		h.First, h.Count = s.holdbacks[i].First, h.Count+s.holdbacks[i].Count
		s.holdbacks[i] = h
	}
	slices.SortFunc(s.holdbacks, newerHoldback)
	s.holdbacks = s.holdbacks[:min(len(s.holdbacks), keep)]
	return nil
}

func newerHoldback(a, b alerts.Holdback) int {
	return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Why, b.Why))
}

// Holdbacks implements alerts.HoldbackStore.
func (s *Store) Holdbacks(ctx context.Context, area string, limit int) ([]alerts.Holdback, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Holdback
	for _, h := range s.holdbacks {
		if s.below(h.Area, area) {
			out = append(out, h)
		}
	}
	return out[:min(len(out), max(limit, 0))], nil
}
