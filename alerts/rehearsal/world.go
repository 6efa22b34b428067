package rehearsal

import (
	"slices"
	"time"

	"firewatch/alerts"
)

// World is all that judging rests on beside the readings.
type World struct {
	Roster alerts.Roster
	// Seasons are the tables, each from the time it was in force; before the first,
	// and where Table is nil, the seasons are unknown.
	Seasons []SeasonsFrom
	// Warnings count from the time they were received, or sent where that is zero.
	Warnings []alerts.Warning
	// Danger is each area's level of each day. A row counts from At on, or for its
	// whole day where that is zero.
	Danger       []alerts.AreaDanger
	DangerMethod string // whose level counts; empty: alerts.DangerHTZ
	Silences     []alerts.Silence
	// Hotspots are judged when they were imported.
	Hotspots []alerts.Hotspot
	Sources  []byte // the register of ignition sources, YAML; nil: none
}

// SeasonsFrom is a season table from the time that it came into force.
type SeasonsFrom struct {
	From  time.Time
	Table *alerts.SeasonTable // nil: unknown from then on
}

// seasons is the table at a time, nil when it is unknown.
func (w *World) seasons(at time.Time) *alerts.SeasonTable {
	var out *alerts.SeasonTable
	for _, s := range w.Seasons {
		if !s.From.After(at) {
			out = s.Table
		}
	}
	return out
}

// warnings are those known at a time, newest first; with inForce only those that
// have a block in force then.
func (w *World) warnings(at time.Time, inForce bool) []alerts.Warning {
	var out []alerts.Warning
	for i := range slices.Backward(w.Warnings) {
		x := &w.Warnings[i]
		if known(x).After(at) || inForce && !slices.ContainsFunc(x.Blocks, func(b alerts.WarningBlock) bool {
			return !at.Before(b.From) && at.Before(b.To)
		}) {
			continue
		}
		out = append(out, *x)
	}
	return out
}

func known(w *alerts.Warning) time.Time {
	if w.Received.IsZero() {
		return w.Sent
	}
	return w.Received
}

// sort has everything in the order of its time.
func (w *World) sort() {
	w.Seasons, w.Warnings, w.Hotspots = slices.Clone(w.Seasons), slices.Clone(w.Warnings), slices.Clone(w.Hotspots)
	slices.SortStableFunc(w.Seasons, func(a, b SeasonsFrom) int { return a.From.Compare(b.From) })
	slices.SortStableFunc(w.Warnings, func(a, b alerts.Warning) int { return known(&a).Compare(known(&b)) })
	slices.SortStableFunc(w.Hotspots, func(a, b alerts.Hotspot) int { return a.Imported.Compare(b.Imported) })
}
