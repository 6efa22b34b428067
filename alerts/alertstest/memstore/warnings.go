package memstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"firewatch/alerts"
)

func cloneWarning(w alerts.Warning) alerts.Warning {
	w.References, w.Blocks, w.Raw = slices.Clone(w.References), slices.Clone(w.Blocks), bytes.Clone(w.Raw)
	return w
}

// SaveWarning implements alerts.WarningStore.
func (s *Store) SaveWarning(ctx context.Context, w alerts.Warning, evs []alerts.Event) (
	saved alerts.Warning, created bool, err error,
) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Warning{}, false, err
	}
	defer leave()
	for _, old := range s.warnings {
		if old.Sender == w.Sender && old.Identifier == w.Identifier && old.Sent.Equal(w.Sent) {
			if !bytes.Equal(old.Raw, w.Raw) {
				return alerts.Warning{}, false, fmt.Errorf("warning %q of %q: %w", w.Identifier, w.Sender, alerts.ErrConflict)
			}
			return cloneWarning(old), false, nil
		}
	}
	w = cloneWarning(w)
	var more []alerts.Event
	for i, old := range s.warnings {
		if ends(old, w) {
			w.Ended, w.EndedBy = old.Sent, old.Identifier
		}
		if ends(w, old) {
			s.warnings[i].Ended, s.warnings[i].EndedBy = w.Sent, w.Identifier
			data, err := json.Marshal(map[string]string{"id": old.ID})
			if err != nil {
				return alerts.Warning{}, false, err
			}
			more = append(more, alerts.Event{At: w.Received, Type: alerts.EventWarning, Data: data})
		}
	}
	s.warnings = append(s.warnings, w)
	s.publish(slices.Concat(evs, more))
	return cloneWarning(w), true, nil
}

// ends reports whether the later message supersedes or cancels the earlier one,
// before anything else does. No drill or test ends a real warning.
func ends(later, earlier alerts.Warning) bool {
	return (later.MsgType == "Update" || later.MsgType == "Cancel") &&
		(later.Status == "Actual" || earlier.Status != "Actual") &&
		(earlier.Ended.IsZero() || later.Sent.Before(earlier.Ended)) &&
		slices.ContainsFunc(later.References, func(r alerts.WarningRef) bool {
			return r.Sender == earlier.Sender && r.Identifier == earlier.Identifier &&
				(r.Sent.Equal(earlier.Sent) || r.Sent.IsZero() && !later.Sent.Before(earlier.Sent))
		})
}

// Warnings implements alerts.WarningStore.
func (s *Store) Warnings(ctx context.Context, inForceAt time.Time, limit int) ([]alerts.Warning, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Warning
	for _, w := range s.warnings {
		if inForceAt.IsZero() || inForce(w, inForceAt) {
			out = append(out, cloneWarning(w))
		}
	}
	slices.SortStableFunc(out, func(a, b alerts.Warning) int {
		return cmp.Or(b.Sent.Compare(a.Sent), cmp.Compare(b.ID, a.ID))
	})
	return out[:min(len(out), max(limit, 0))], nil
}

func inForce(w alerts.Warning, at time.Time) bool {
	return w.Status == "Actual" && w.MsgType != "Cancel" && (w.Ended.IsZero() || at.Before(w.Ended)) &&
		slices.ContainsFunc(w.Blocks, func(b alerts.WarningBlock) bool { return !at.Before(b.From) && at.Before(b.To) })
}

// Warning implements alerts.WarningStore.
func (s *Store) Warning(ctx context.Context, id string) (alerts.Warning, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Warning{}, err
	}
	defer leave()
	i := slices.IndexFunc(s.warnings, func(w alerts.Warning) bool { return w.ID == id })
	if i < 0 {
		return alerts.Warning{}, fmt.Errorf("warning %q: %w", id, alerts.ErrNotFound)
	}
	return cloneWarning(s.warnings[i]), nil
}

// Seasons implements alerts.WarningStore.
func (s *Store) Seasons(ctx context.Context, at time.Time) (alerts.SeasonTable, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.SeasonTable{}, err
	}
	defer leave()
	best := -1
	for i, t := range s.seasons {
		if !t.table.Effective.After(at) &&
			(best < 0 || cmp.Or(t.table.Effective.Compare(s.seasons[best].table.Effective), t.at.Compare(s.seasons[best].at)) >= 0) {
			best = i
		}
	}
	if best < 0 {
		return alerts.SeasonTable{}, fmt.Errorf("season table: %w", alerts.ErrNotFound)
	}
	return cloneSeasons(s.seasons[best].table), nil
}

func cloneSeasons(t alerts.SeasonTable) alerts.SeasonTable {
	t.Seasons, t.Special = slices.Clone(t.Seasons), slices.Clone(t.Special)
	return t
}

// SaveSeasons implements alerts.WarningStore.
func (s *Store) SaveSeasons(ctx context.Context, t alerts.SeasonTable, at time.Time) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for _, old := range s.seasons {
		if old.table.Version != t.Version {
			continue
		}
		if !old.table.Effective.Equal(t.Effective) || !reflect.DeepEqual(old.table.Seasons, t.Seasons) || !slices.Equal(old.table.Special, t.Special) {
			return fmt.Errorf("season table %q: %w", t.Version, alerts.ErrConflict)
		}
		return nil
	}
	s.seasons = append(s.seasons, savedSeasons{cloneSeasons(t), at})
	s.publish([]alerts.Event{{At: at, Type: alerts.EventSeason}})
	return nil
}
