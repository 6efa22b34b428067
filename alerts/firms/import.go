package firms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
)

// Options are what an import needs.
type Options struct {
	Store   alerts.HotspotStore
	Areas   alerts.Areas        // of the roster
	Sources *alerts.SourceIndex // the static sources of heat among them mask; nil: none are known
	Merging alerts.Merging
	Now     time.Time
	DryRun  bool // say what would be, and change nothing
}

// Report is what an import did.
type Report struct {
	Rows     int // taken from the files
	Again    int // of them, pixels that were there or came twice
	Hotspots int // that the rows are part of
	New      int // of them, were not there
	Grown    int // of them, have more pixels than before, or another mask
	Masked   int // of them, explained by a static source
	Outside  int // of them, in no township of the roster
}

// Import merges the rows with what the store has and saves it, all or nothing.
func Import(ctx context.Context, o Options, rows []Row) (Report, error) {
	rep := Report{Rows: len(rows)}
	if o.Store == nil {
		return rep, errors.New("importing hotspots: Store is missing")
	}
	if err := o.Merging.Validate(); err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	if len(rows) == 0 {
		return rep, nil
	}
	how := o.Merging.OrDefault()
	pixels := make([]alerts.Pixel, len(rows))
	first, last := rows[0].Seen, rows[0].Seen
	for i := range rows {
		pixels[i] = rows[i].Pixel
		if t := pixels[i].Seen; t.Before(first) {
			first = t
		} else if t.After(last) {
			last = t
		}
	}
	// A hotspot's first sight is before its first pixel by Within at most, and a
	// pixel of these may belong to it as much later.
	have, err := hotspots(ctx, o.Store, first.Add(-2*how.Within), last.Add(2*how.Within+time.Millisecond))
	if err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	known, before := make(map[string]alerts.Hotspot, len(have)), 0
	for _, h := range have {
		known[h.ID] = h
	}
	places := alerts.NewTownships(o.Areas)
	var changed []alerts.Hotspot
	after := 0
	for _, h := range alerts.MergeHotspots(have, pixels, how) {
		h.Area, h.Masked = places.At(h.Lat, h.Lon), o.Sources.Heat(&h)
		if h.Masked == "" && h.Static() {
			h.Masked = alerts.MaskedByArchive
		}
		rep.Hotspots++
		if h.Masked != "" {
			rep.Masked++
		}
		if h.Area == "" {
			rep.Outside++
		}
		after += h.Pixels
		old, had := known[h.ID]
		before += old.Pixels
		if !had {
			rep.New++
			h.Imported = o.Now
			changed = append(changed, h)
		} else if _, grown := old.Join(h); grown {
			rep.Grown++
			changed = append(changed, h)
		}
	}
	rep.Again = len(rows) - (after - before)
	if o.DryRun || len(changed) == 0 {
		return rep, nil
	}
	data, err := json.Marshal(map[string]int{"added": rep.New, "grown": rep.Grown})
	if err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	_, err = o.Store.SaveHotspots(ctx, changed, []alerts.Event{{At: o.Now, Type: alerts.EventHotspot, Data: data}})
	return rep, err
}

// page is how many hotspots a store gives at once.
const page = 10_000

// hotspots are all those first seen in [from, to): where a store has more than it
// gives at once, it is asked for shorter times.
func hotspots(ctx context.Context, s alerts.HotspotStore, from, to time.Time) ([]alerts.Hotspot, error) {
	hs, err := s.Hotspots(ctx, from, to, page)
	if err != nil || len(hs) < page {
		return hs, err
	}
	if to.Sub(from) <= time.Millisecond {
		return nil, fmt.Errorf("the store has %d hotspots or more of %s", page, from.UTC().Format(time.RFC3339))
	}
	half := from.Add(to.Sub(from) / 2)
	early, err := hotspots(ctx, s, from, half)
	if err != nil {
		return nil, err
	}
	late, err := hotspots(ctx, s, half, to)
	return append(early, late...), err
}
