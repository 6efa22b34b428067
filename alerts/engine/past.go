package engine

import (
	"context"
	"fmt"
	"time"

	"firewatch/alerts"
)

const (
	pastEvery = 30 * time.Second
	// pastDays is how far back warnings are kept at hand, those that have ended too.
	pastDays = 8
	maxPast  = 4096
)

// past is what was so around the areas lately: what comes late is judged by it.
type past struct {
	warnings []alerts.Warning
	asked    time.Time
	known    map[areaMinute]alerts.Surroundings
}

type areaMinute struct {
	area   string
	minute int64
}

func (p *past) forget() { clear(p.known) }

// reloadPast takes over the warnings of the last days.
func (b *bench) reloadPast(ctx context.Context, now time.Time) error {
	p := &b.past
	if !p.asked.IsZero() && now.Sub(p.asked) < pastEvery {
		return nil
	}
	all, err := b.Warnings.Warnings(ctx, time.Time{}, maxWarnings)
	if err != nil {
		return fmt.Errorf("reading the warnings of the last days: %w", err)
	}
	p.warnings, p.asked, p.known = p.warnings[:0], now, make(map[areaMinute]alerts.Surroundings)
	for _, w := range all {
		for _, block := range w.Blocks {
			if block.To.After(now.AddDate(0, 0, -pastDays)) {
				p.warnings = append(p.warnings, w)
				break
			}
		}
	}
	return nil
}

// aroundAt is what an area's surroundings were at a time that is over: the season
// of that day, the warnings that stood then, the danger of that day.
func (b *bench) aroundAt(area string, at time.Time) alerts.Surroundings {
	key := areaMinute{area, at.Unix() / 60}
	if a, ok := b.past.known[key]; ok {
		return a
	}
	a := alerts.SurroundingsAt(b.areas, b.seasons, b.past.warnings, b.set.Weather, area, at)
	a.WarnUnknown = !b.warnKnown
	a = a.WithDanger(b.danger, b.areas, area, at)
	if b.past.known == nil || len(b.past.known) >= maxPast {
		b.past.known = make(map[areaMinute]alerts.Surroundings)
	}
	b.past.known[key] = a
	return a
}
