package firms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
)

// Importer brings rows into a store.
type Importer struct {
	Store     alerts.HotspotStore  // nil: none; what is imported is only told
	Roster    alerts.RosterStore   // nil: there are no townships
	Documents alerts.DocumentStore // holds the register of ignition sources, whose static sources of heat mask; nil: none
	Merging   alerts.Merging
}

// State is what an import makes of a hotspot.
type State string

// The states.
const (
	New   State = "new"   // it was not there
	Grown State = "grown" // it has more pixels than before, or another mask or township
	Known State = "known" // nothing changes
)

// Listed is a hotspot that the rows are part of.
type Listed struct {
	alerts.Hotspot
	State State
}

// Report is what an import did.
type Report struct {
	Rows     int // taken from the files
	Again    int // of them, pixels that were there or came twice
	Merged   int // pixels of the hotspots beyond the first of each
	New      int // hotspots
	Grown    int
	Known    int
	Masked   int // of all these, explained by a static source
	Outside  int // of all these, in no township of the roster
	Hotspots []Listed
}

// Import merges the rows with what the store has and saves it, all or nothing.
// A dry one says what would be, and changes nothing.
func (im *Importer) Import(ctx context.Context, rows []Row, now time.Time, dry bool) (Report, error) {
	rep := Report{Rows: len(rows)}
	if err := im.Merging.Validate(); err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	if len(rows) == 0 {
		return rep, nil
	}
	how := im.Merging.OrDefault()
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
	have, err := hotspots(ctx, im.Store, first.Add(-2*how.Within), last.Add(2*how.Within+time.Millisecond))
	if err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	known, before := make(map[string]alerts.Hotspot, len(have)), 0
	for _, h := range have {
		known[h.ID] = h
	}
	places, sources, err := im.surroundings(ctx, now)
	if err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	var changed []alerts.Hotspot
	after := 0
	for _, h := range alerts.MergeHotspots(have, pixels, how) {
		h.Area, h.Masked = places.At(h.Lat, h.Lon), sources.Heat(&h)
		if h.Masked == "" && h.Static() {
			h.Masked = alerts.MaskedByArchive
		}
		old, had := known[h.ID]
		joined, grown := old.Join(h)
		after, before = after+h.Pixels, before+old.Pixels
		rep.Merged += h.Pixels - 1
		state := Known
		switch {
		case !had:
			state, h.Imported = New, now
			rep.New++
		case grown:
			state, h = Grown, joined
			rep.Grown++
		default:
			rep.Known++
		}
		if state != Known {
			changed = append(changed, h)
		}
		if h.Masked != "" {
			rep.Masked++
		}
		if h.Area == "" {
			rep.Outside++
		}
		rep.Hotspots = append(rep.Hotspots, Listed{h, state})
	}
	rep.Again = len(rows) - (after - before)
	if dry || im.Store == nil || len(changed) == 0 {
		return rep, nil
	}
	data, err := json.Marshal(map[string]int{"added": rep.New, "grown": rep.Grown})
	if err != nil {
		return rep, fmt.Errorf("importing hotspots: %w", err)
	}
	_, err = im.Store.SaveHotspots(ctx, changed, []alerts.Event{{At: now, Type: alerts.EventHotspot, Data: data}})
	return rep, err
}

// surroundings are the townships and the register of sources.
func (im *Importer) surroundings(ctx context.Context, now time.Time) (*alerts.Townships, *alerts.SourceIndex, error) {
	var areas []alerts.Area
	if im.Roster != nil {
		var err error
		if areas, err = im.Roster.Areas(ctx); err != nil {
			return nil, nil, fmt.Errorf("reading the areas: %w", err)
		}
	}
	places := alerts.NewTownships(alerts.IndexAreas(areas))
	if im.Documents == nil {
		return places, nil, nil
	}
	d, err := im.Documents.Document(ctx, alerts.DocumentSources, now)
	if errors.Is(err, alerts.ErrNotFound) {
		return places, nil, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("reading the register of ignition sources: %w", err)
	}
	t, err := alerts.ParseSources(d.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("the register of ignition sources, version %s: %w", d.Version, err)
	}
	return places, alerts.IndexSources(t), nil
}

// page is how many hotspots a store is asked for at once.
const page = 10_000

// hotspots are all those first seen in [from, to).
func hotspots(ctx context.Context, s alerts.HotspotStore, from, to time.Time) (all []alerts.Hotspot, err error) {
	if s == nil {
		return nil, nil
	}
	q := alerts.HotspotQuery{From: from, To: to, Limit: page}
	for {
		hs, err := s.Hotspots(ctx, q)
		if err != nil || len(hs) == 0 {
			return all, err
		}
		all = append(all, hs...)
		q.Before = hs[len(hs)-1].ID
	}
}
