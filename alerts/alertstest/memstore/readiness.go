package memstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
)

func cloneReadiness(r alerts.Readiness) alerts.Readiness {
	r.Reasons = slices.Clone(r.Reasons)
	return r
}

// Readiness implements alerts.ReadinessStore.
func (s *Store) Readiness(ctx context.Context) ([]alerts.Readiness, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Readiness
	for _, rows := range s.readiness {
		out = append(out, cloneReadiness(rows[len(rows)-1]))
	}
	slices.SortFunc(out, func(a, b alerts.Readiness) int { return cmp.Compare(a.Area, b.Area) })
	return out, nil
}

// SaveReadiness implements alerts.ReadinessStore.
func (s *Store) SaveReadiness(ctx context.Context, rs []alerts.Readiness, at time.Time, evs []alerts.Event) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	seen := map[string]bool{}
	for _, r := range rs {
		if r.Area == "" || at.IsZero() {
			return errors.New("saving readiness: it needs an area and a time")
		}
		if n := int64(len(s.readiness[r.Area])); n != r.Revision || seen[r.Area] {
			return fmt.Errorf("saving readiness: %s is at revision %d, not %d: %w", r.Area, n, r.Revision, alerts.ErrConflict)
		}
		seen[r.Area] = true
	}
	for _, r := range rs {
		r = cloneReadiness(r)
		r.Revision, r.Updated = r.Revision+1, at
		s.readiness[r.Area] = append(s.readiness[r.Area], r)
	}
	s.publish(evs)
	return nil
}

// ReadinessHistory implements alerts.ReadinessStore.
func (s *Store) ReadinessHistory(ctx context.Context, area string, limit int) ([]alerts.Readiness, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Readiness
	for _, r := range slices.Backward(s.readiness[area]) {
		if len(out) < limit {
			out = append(out, cloneReadiness(r))
		}
	}
	return out, nil
}
