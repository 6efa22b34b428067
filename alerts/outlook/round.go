package outlook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	contract "firewatch/firmware-contracts"
)

// Round rates yesterday and today, and the days before that were missed, and
// saves what is new. What it has saved before an error stays.
func (t *Outlook) Round(ctx context.Context) error {
	now := t.Now()
	today := danger.DateOf(now.In(alerts.Zone))
	rows := rows{}
	var err error
	if rows.areas, err = t.Danger.AreaDangers(ctx, "", (today - catchUpDays - pastDays).String(), today.String()); err != nil {
		return fmt.Errorf("reading what was rated: %w", err)
	}
	first := min(rows.through(today-catchUpDays-1)+1, today-1)
	first = max(first, today-catchUpDays)
	if rows.stations, err = t.Danger.StationDays(ctx, "", (first - pastDays).String(), today.String()); err != nil {
		return fmt.Errorf("reading what was rated: %w", err)
	}
	areas, err := t.Roster.Areas(ctx)
	if err != nil {
		return fmt.Errorf("reading areas: %w", err)
	}
	devices, err := t.Roster.Devices(ctx)
	if err != nil {
		return fmt.Errorf("reading devices: %w", err)
	}
	if missed := int(today-1) - int(first); missed > 0 {
		t.Log.Info("rating the fire danger of days that were missed, as far as their weather is kept",
			zap.Stringer("from", first), zap.Stringer("to", today-2), zap.Int("days", missed))
	}
	rated := 0
	for day := first; day <= today; day++ {
		if held, err := t.acquire(ctx, t.Now()); err != nil {
			return fmt.Errorf("asking for the lease: %w", err)
		} else if !held {
			return errLeaseLost
		}
		changed, err := t.day(ctx, day, now, &rows, areas, Stations(devices))
		if err != nil {
			return fmt.Errorf("rating %s: %w", day, err)
		}
		if changed {
			rated++
		}
	}
	if rated > 0 {
		t.Log.Info("fire danger rated", zap.Stringer("day", today), zap.Int("days_changed", rated))
		t.Nudge()
	}
	return nil
}

// day rates one day and saves what differs from what is stored.
func (t *Outlook) day(ctx context.Context, day danger.Date, now time.Time, all *rows, areas []alerts.Area, stations []Station) (changed bool, err error) {
	o := NewObserver(day, now)
	from, to := o.Span()
	known := make(map[contract.DeviceID]bool, len(stations))
	for i := range stations {
		known[stations[i].ID] = true
	}
	if err := t.Weather.Weather(ctx, from, to, func(h Half) error {
		if known[h.Station] {
			o.Add(h)
		}
		return nil
	}); err != nil {
		return false, fmt.Errorf("reading the weather: %w", err)
	}
	past := PastOf(day, all.stations, all.areas)
	days, levels := Rate(Input{
		Day: day, At: now.UTC().Truncate(time.Millisecond), Provisional: !o.over, Noon: o.noonDue, Stations: stations,
		Observed: o.Observations(), Past: past, Areas: areas, Mark: t.Mark,
	})
	if len(days) == 0 && len(past.levels) == 0 && o.over {
		return false, nil // before anything was known
	}
	days, levels = all.take(days, levels)
	if len(days)+len(levels) == 0 {
		return false, nil
	}
	data, err := json.Marshal(struct {
		Day string `json:"day"`
	}{day.String()})
	if err != nil {
		return false, fmt.Errorf("encoding the event: %w", err)
	}
	if err := t.Danger.SaveDanger(ctx, days, levels, []alerts.Event{{At: now, Type: alerts.EventDanger, Data: data}}); err != nil {
		return false, err
	}
	return true, nil
}

// rows are what is stored, by day rising.
type rows struct {
	stations []alerts.StationDay
	areas    []alerts.AreaDanger
}

// through is the last day that was rated after it had ended, at least the given
// one.
func (r *rows) through(least danger.Date) danger.Date {
	for _, d := range slices.Backward(r.areas) {
		day, err := danger.ParseDate(d.Day)
		if err == nil && d.Method == alerts.DangerHTZ && !d.Provisional && !d.At.Before(midnight(day+1)) {
			return max(day, least)
		}
	}
	return least
}

// take puts a day's rows in place of what was there, and returns those that
// differ by more than when they were rated.
func (r *rows) take(days []alerts.StationDay, levels []alerts.AreaDanger) (newDays []alerts.StationDay, newLevels []alerts.AreaDanger) {
	type key struct{ id, method, day string }
	stations := make(map[key]int, len(r.stations))
	for i, d := range r.stations {
		stations[key{string(d.Station), d.Method, d.Day}] = i
	}
	for _, d := range days {
		i, found := stations[key{string(d.Station), d.Method, d.Day}]
		if found && sameDay(r.stations[i], d) {
			continue
		}
		newDays = append(newDays, d)
		if found {
			r.stations[i] = d
		} else {
			r.stations = append(r.stations, d)
		}
	}
	areas := make(map[key]int, len(r.areas))
	for i, d := range r.areas {
		areas[key{d.Area, d.Method, d.Day}] = i
	}
	for _, d := range levels {
		i, found := areas[key{d.Area, d.Method, d.Day}]
		if found && sameLevel(r.areas[i], d) {
			continue
		}
		newLevels = append(newLevels, d)
		if found {
			r.areas[i] = d
		} else {
			r.areas = append(r.areas, d)
		}
	}
	slices.SortStableFunc(r.stations, func(a, b alerts.StationDay) int { return strings.Compare(a.Day, b.Day) })
	slices.SortStableFunc(r.areas, func(a, b alerts.AreaDanger) int { return strings.Compare(a.Day, b.Day) })
	return newDays, newLevels
}

func sameDay(a, b alerts.StationDay) bool {
	return a.Version == b.Version && a.Level == b.Level && a.Chain == b.Chain && a.Note == b.Note && a.Provisional == b.Provisional &&
		bytes.Equal(a.Inputs, b.Inputs) && bytes.Equal(a.Result, b.Result)
}

func sameLevel(a, b alerts.AreaDanger) bool {
	return a.Version == b.Version && a.Level == b.Level && a.Degraded == b.Degraded && a.HeldFrom == b.HeldFrom && a.DryDays == b.DryDays &&
		a.Value == b.Value && a.Note == b.Note && a.Provisional == b.Provisional && slices.Equal(a.Stations, b.Stations)
}
