package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
)

func cloneHotspot(h alerts.Hotspot) alerts.Hotspot {
	h.Members, h.Satellites = slices.Clone(h.Members), slices.Clone(h.Satellites)
	return h
}

// SaveHotspots implements alerts.HotspotStore.
func (s *Store) SaveHotspots(ctx context.Context, hs []alerts.Hotspot, evs []alerts.Event) (added int, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	for _, h := range hs {
		h = cloneHotspot(h)
		h.Judged, h.Alert, h.Revision = time.Time{}, "", 1
		if old, ok := s.hotspots[h.ID]; ok {
			joined, changed := old.Join(h)
			if !changed {
				continue
			}
			h = joined
			h.Revision++
		} else {
			added++
		}
		s.hotspots[h.ID] = h
	}
	s.publish(evs)
	return added, nil
}

// hotspotsJudged notes what SaveJudged says of hotspots.
func (s *Store) hotspotsJudged(js []alerts.JudgedHotspot) {
	for _, j := range js {
		h, ok := s.hotspots[j.ID]
		if !ok {
			continue
		}
		if j.Alert != "" {
			h.Alert = j.Alert
		}
		if h.Revision == j.Revision {
			h.Judged = j.At
		}
		s.hotspots[j.ID] = h
	}
}

// UnjudgedHotspots implements alerts.HotspotStore.
func (s *Store) UnjudgedHotspots(ctx context.Context, limit int) ([]alerts.Hotspot, error) {
	hs, err := s.selectHotspots(ctx, func(h alerts.Hotspot) bool { return h.Judged.IsZero() })
	slices.Reverse(hs)
	return hs[:min(len(hs), limit)], err
}

// Hotspots implements alerts.HotspotStore.
func (s *Store) Hotspots(ctx context.Context, q alerts.HotspotQuery) ([]alerts.Hotspot, error) {
	hs, err := s.selectHotspots(ctx, func(h alerts.Hotspot) bool {
		return !h.Seen.Before(q.From) && (q.To.IsZero() || h.Seen.Before(q.To)) && s.below(h.Area, q.Area)
	})
	if err == nil && q.Before != "" {
		all, err := s.selectHotspots(ctx, func(h alerts.Hotspot) bool { return h.ID == q.Before })
		if err != nil || len(all) == 0 {
			return nil, fmt.Errorf("hotspot %q: %w", q.Before, cmp.Or(err, alerts.ErrNotFound))
		}
		hs = slices.DeleteFunc(hs, func(h alerts.Hotspot) bool { return newerHotspot(all[0], h) >= 0 })
	}
	return hs[:min(len(hs), q.Limit)], err
}

// HotspotsByID implements alerts.HotspotStore.
func (s *Store) HotspotsByID(ctx context.Context, ids []string) ([]alerts.Hotspot, error) {
	hs, err := s.selectHotspots(ctx, func(h alerts.Hotspot) bool { return slices.Contains(ids, h.ID) })
	slices.SortFunc(hs, func(a, b alerts.Hotspot) int { return cmp.Compare(a.ID, b.ID) })
	return hs, err
}

// newerHotspot orders hotspots newest first.
func newerHotspot(a, b alerts.Hotspot) int {
	return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(b.ID, a.ID))
}

// selectHotspots are those wanted, newest first.
func (s *Store) selectHotspots(ctx context.Context, want func(alerts.Hotspot) bool) ([]alerts.Hotspot, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Hotspot
	for _, h := range s.hotspots {
		if want(h) {
			out = append(out, cloneHotspot(h))
		}
	}
	slices.SortFunc(out, newerHotspot)
	return out, nil
}
