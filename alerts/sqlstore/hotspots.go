package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
)

const hotspotCols = "id, lat, lon, size_km, area, seen_ms, last_ms, satellites, instrument, confidence, percent, frp, pixels, members, " +
	"masked, imported_ms, judged_ms, alert_id, revision"

func scanHotspot(r row) (h alerts.Hotspot, err error) {
	err = r.Scan(&h.ID, &h.Lat, &h.Lon, &h.SizeKM, &h.Area, scanTime{&h.Seen}, scanTime{&h.Last}, scanJSON{&h.Satellites}, &h.Instrument,
		&h.Confidence, &h.Percent, &h.FRP, &h.Pixels, scanJSON{&h.Members}, &h.Masked, scanTime{&h.Imported}, scanTime{&h.Judged}, &h.Alert, &h.Revision)
	return h, err
}

func hotspotArgs(h *alerts.Hotspot) ([]any, error) {
	satellites, err := jsonText(h.Satellites)
	if err != nil {
		return nil, err
	}
	members, err := jsonText(h.Members)
	if err != nil {
		return nil, err
	}
	return []any{
		h.ID, h.Lat, h.Lon, h.SizeKM, h.Area, h.Seen, h.Last, satellites, h.Instrument, h.Confidence, h.Percent, h.FRP, h.Pixels, members,
		h.Masked, h.Imported, h.Judged, h.Alert, h.Revision,
	}, nil
}

// SaveHotspots implements alerts.HotspotStore.
func (s *Store) SaveHotspots(ctx context.Context, hs []alerts.Hotspot, evs []alerts.Event) (added int, err error) {
	err = s.write(ctx, func(c conn) error {
		added = 0
		// Two imports that add the same hotspot wait for each other here.
		if _, err := c.exec(ctx, "UPDATE counters SET value = value + 1 WHERE name = 'hotspots'"); err != nil {
			return err
		}
		have := make(map[string]alerts.Hotspot, len(hs))
		ids := make([]string, len(hs))
		for i := range hs {
			ids[i] = hs[i].ID
		}
		known, err := hotspotsByID(ctx, c, ids, s.d.forUpdate())
		if err != nil {
			return err
		}
		for _, h := range known {
			have[h.ID] = h
		}
		changed := make(map[string]bool)
		for _, h := range hs {
			h.Judged, h.Alert, h.Revision = time.Time{}, "", 1
			if old, ok := have[h.ID]; ok {
				joined, grown := old.Join(h)
				if !grown {
					continue
				}
				h = joined
				if !changed[h.ID] {
					h.Revision++
				}
			} else {
				added++
			}
			have[h.ID], changed[h.ID] = h, true
		}
		rows := make([][]any, 0, len(changed))
		for _, id := range slices.Sorted(maps.Keys(changed)) {
			h := have[id]
			args, err := hotspotArgs(&h)
			if err != nil {
				return err
			}
			rows = append(rows, args)
		}
		var set []string
		for col := range strings.SplitSeq(hotspotCols, ", ") {
			if col != "id" && col != "alert_id" && col != "imported_ms" {
				set = append(set, col+" = excluded."+col)
			}
		}
		if _, err := insertRows(ctx, c, "INSERT INTO hotspots ("+hotspotCols+") VALUES ",
			" ON CONFLICT (id) DO UPDATE SET "+strings.Join(set, ", "), rows); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	return added, doing("saving hotspots", err)
}

func hotspotsByID(ctx context.Context, c conn, ids []string, lock string) ([]alerts.Hotspot, error) {
	var out []alerts.Hotspot
	for some := range slices.Chunk(ids, maxParams) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		hs, err := queryAll(ctx, c, scanHotspot, "SELECT "+hotspotCols+" FROM hotspots WHERE id IN ("+
			strings.TrimSuffix(strings.Repeat("?,", len(some)), ",")+") ORDER BY id"+lock, args...)
		if err != nil {
			return nil, err
		}
		out = append(out, hs...)
	}
	return out, nil
}

// hotspotsJudged is SaveJudged's part. One that has grown meanwhile stays to be
// judged, and has its alert all the same.
func hotspotsJudged(ctx context.Context, c conn, js []alerts.JudgedHotspot) error {
	for _, j := range lastOf(js, func(j *alerts.JudgedHotspot) string { return j.ID }) {
		if _, err := c.exec(ctx, `UPDATE hotspots SET judged_ms = CASE WHEN revision = ? THEN ? ELSE judged_ms END,
alert_id = CASE WHEN ? = '' THEN alert_id ELSE ? END WHERE id = ?`, j.Revision, j.At, j.Alert, j.Alert, j.ID); err != nil {
			return err
		}
	}
	return nil
}

// UnjudgedHotspots implements alerts.HotspotStore.
func (s *Store) UnjudgedHotspots(ctx context.Context, limit int) ([]alerts.Hotspot, error) {
	hs, err := queryAll(ctx, s.read(), scanHotspot,
		"SELECT "+hotspotCols+" FROM hotspots WHERE judged_ms IS NULL ORDER BY seen_ms, id LIMIT ?", listLimit(limit))
	return hs, doing("reading hotspots to judge", err)
}

// Hotspots implements alerts.HotspotStore.
func (s *Store) Hotspots(ctx context.Context, q alerts.HotspotQuery) ([]alerts.Hotspot, error) {
	var w where
	if !q.From.IsZero() {
		w.and("seen_ms >= ?", q.From)
	}
	if !q.To.IsZero() {
		w.and("seen_ms < ?", q.To)
	}
	if q.Area != "" {
		w.and("(area = ? OR area IN (SELECT code FROM below))", q.Area)
	}
	c := s.read()
	if err := w.before(ctx, c, "hotspots", "seen_ms", q.Before); err != nil {
		return nil, fmt.Errorf("listing hotspots: before hotspot %q: %w", q.Before, err)
	}
	hs, err := queryAll(ctx, c, scanHotspot, below(q.Area)+"SELECT "+hotspotCols+" FROM hotspots"+w.text+
		" ORDER BY seen_ms DESC, id DESC LIMIT ?", w.all(q.Area, listLimit(q.Limit))...)
	return hs, doing("listing hotspots", err)
}

// HotspotsByID implements alerts.HotspotStore.
func (s *Store) HotspotsByID(ctx context.Context, ids []string) ([]alerts.Hotspot, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	hs, err := hotspotsByID(ctx, s.read(), ids, "")
	return hs, doing("reading hotspots", err)
}
