package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	maxWarnings  = 500
	seasonsEvery = 5 * time.Second
	releaseEvery = 10 * time.Second
	// idle is how long the feed must have had nothing for us to be caught up.
	idle = time.Second
)

// tick does what time asks for, and what was put off to it.
func (b *bench) tick(ctx context.Context) error {
	now := b.Now()
	if err := b.renew(ctx); err != nil {
		return err
	}
	if err := errors.Join(b.reload(ctx, now), b.reloadDanger(ctx, now), b.reloadDesk(ctx, now)); err != nil {
		b.tell(partStore, err) // the last known roster, seasons and warnings rule on
	} else {
		b.tell(partStore, nil)
	}
	b.refresh(now)
	b.judgeHotspots(ctx, now)
	if b.idle(now) {
		b.behind = false
	}
	if !b.behind {
		b.timed(now)
	}
	if err := b.save(ctx, true); err != nil {
		return err
	}
	b.saveHeld(ctx, now)
	if now.Sub(b.released) >= releaseEvery {
		b.released = now
		if err := b.Feed.Release(min(b.savedPos, b.Feed.Seek(now.Add(-b.span())))); err != nil {
			b.Log.Warn("feed not released", zap.Error(err))
		}
	}
	return nil
}

// timed asks the rules that time drives.
func (b *bench) timed(now time.Time) {
	for i := range b.rules {
		rule := &b.rules[i]
		switch {
		case rule.Type == alerts.DeviceSilent:
			b.silence(now, i)
		case rule.Type == alerts.Condition:
			b.conditions(now, i)
		case rule.Timed():
			for _, s := range b.order {
				if s.states[i] != nil {
					b.step(now, i, s, alerts.Input{Kind: alerts.Tick})
				}
			}
		}
	}
}

// silence judges counties first, so that an outage holds back the alerts of the
// devices that it explains.
func (b *bench) silence(now time.Time, i int) {
	rule := &b.rules[i]
	counties := make(map[string]*alerts.CountySilence)
	for k := range b.outages {
		if k.rule == i {
			counties[k.county] = &alerts.CountySilence{County: b.county(k.county)}
		}
	}
	for code, n := range b.expected {
		counties[code] = &alerts.CountySilence{County: b.county(code), Expected: n}
	}
	alive := b.overdue(now, i)
	for _, k := range b.due {
		if s := b.order[k]; s.mustReport() && s.states[i] != nil {
			counties[s.county].Count(now, rule, s.states[i])
		}
	}
	for _, code := range slices.Sorted(maps.Keys(counties)) {
		key := outageKey{i, code}
		st := b.outages[key]
		if st == nil {
			st = &alerts.SubjectState{Rule: rule.Name, Subject: alerts.OutageSubject(code)}
		}
		ctx := alerts.Context{Areas: b.areas, Demo: b.demo, Around: b.surroundings(now, code)}
		next, found := alerts.StepOutage(now, rule, *st, *counties[code], &ctx)
		if next.Revision == st.Revision {
			continue
		}
		*st = next
		b.outages[key] = st
		b.pend.states[st] = i
		b.note(now, i, st, found)
	}
	for _, k := range b.due {
		s := b.order[k]
		s.ctx.Outage = ""
		if st := b.outages[outageKey{i, s.county}]; st != nil {
			s.ctx.Outage = st.Standing()
		}
		if s.states[i] != nil || s.ctx.Device != nil && s.ctx.Device.Expect > 0 {
			b.step(now, i, s, alerts.Input{Kind: alerts.Tick})
			if st := s.states[i]; st != nil {
				if until := rule.AliveUntil(st, &s.ctx); !until.IsZero() {
					alive[k] = until.UnixNano()
				}
			}
		}
	}
}

// overdue finds the subjects that may be silent under the rule, and returns until
// when each is not, for the caller to go on with.
func (b *bench) overdue(now time.Time, i int) (alive []int64) {
	if len(b.alive) != len(b.rules) {
		b.alive = make([][]int64, len(b.rules))
	}
	if len(b.alive[i]) != len(b.order) {
		b.alive[i] = make([]int64, len(b.order))
	}
	alive, b.due = b.alive[i], b.due[:0]
	at := now.UnixNano()
	for k, until := range alive {
		if at >= until {
			alive[k] = 0
			b.due = append(b.due, int32(k))
		}
	}
	return alive
}

// mustReport tells whether the device counts among those of its county.
func (s *subject) mustReport() bool {
	d := s.ctx.Device
	return d != nil && d.Expect > 0 && !d.Disabled && s.county != ""
}

func (b *bench) county(code string) alerts.Area {
	if a, ok := b.areas[code]; ok {
		return a
	}
	return alerts.Area{Code: code, Name: code, Level: alerts.County}
}

// reload takes over roster, warnings and seasons when they have changed.
func (b *bench) reload(ctx context.Context, now time.Time) error {
	version, demo, err := b.Roster.RosterVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading the roster's version: %w", err)
	}
	if version != b.roster || b.areas == nil {
		if err := b.reloadRoster(ctx, version, demo); err != nil {
			return err
		}
	}
	if b.warnings, err = b.Warnings.Warnings(ctx, now, maxWarnings); err != nil {
		return fmt.Errorf("reading warnings: %w", err)
	}
	if b.Feeds != nil {
		if b.feeds, err = b.Feeds.WarningFeeds(ctx); err != nil {
			return fmt.Errorf("reading the feeds of warnings: %w", err)
		}
	}
	b.warnKnown = true
	if err := b.reloadPast(ctx, now); err != nil {
		return err
	}
	if err := b.reloadSources(ctx, now); err != nil {
		return err
	}
	if now.Sub(b.seasonsAt) < seasonsEvery {
		return nil
	}
	t, err := b.Warnings.Seasons(ctx, now)
	switch {
	case errors.Is(err, alerts.ErrNotFound):
		b.seasons = nil
	case err != nil:
		return fmt.Errorf("reading seasons: %w", err)
	case b.seasons == nil || !reflect.DeepEqual(*b.seasons, t):
		b.seasons = &t
	}
	b.seasonsAt = now
	return nil
}

func (b *bench) reloadRoster(ctx context.Context, version int64, demo bool) error {
	areas, err := b.Roster.Areas(ctx)
	if err != nil {
		return fmt.Errorf("reading areas: %w", err)
	}
	teams, err := b.Roster.Teams(ctx)
	if err != nil {
		return fmt.Errorf("reading teams: %w", err)
	}
	devices, err := b.Roster.Devices(ctx)
	if err != nil {
		return fmt.Errorf("reading devices: %w", err)
	}
	b.roster, b.demo, b.areas, b.teams = version, demo || b.Demo, alerts.IndexAreas(areas), teams
	b.cells = make(map[cell][]*subject)
	clear(b.around)
	clear(b.since)
	b.past.forget()
	b.towns = b.towns[:0]
	for _, a := range areas {
		if a.Level == alerts.Township {
			b.towns = append(b.towns, a)
		}
	}
	slices.SortFunc(b.towns, func(x, y alerts.Area) int { return cmp.Compare(x.Code, y.Code) })
	b.counties = countiesOf(b.areas, b.towns)
	for _, s := range b.subjects {
		s.strange, s.disabled, s.county = true, false, ""
		s.ctx.Device, s.ctx.Areas, s.ctx.Demo = nil, b.areas, b.demo
	}
	for i := range devices {
		d := &devices[i]
		s := b.subject(d.ID)
		s.strange, s.disabled, s.ctx.Device = false, d.Disabled, d
		for _, up := range b.areas.Chain(d.Area) {
			if up.Level == alerts.County {
				s.county = up.Code
			}
		}
		if d.Kind == contract.Sensor && (d.Lat != 0 || d.Lon != 0) {
			c := cellOf(d.Lat, d.Lon)
			b.cells[c] = append(b.cells[c], s)
		}
	}
	b.sort()
	return nil
}

func (b *bench) sort() {
	b.order = slices.SortedFunc(maps.Values(b.subjects), func(x, y *subject) int { return cmp.Compare(x.id, y.id) })
	b.alive, b.expected = nil, make(map[string]int)
	for _, s := range b.order {
		if s.mustReport() {
			b.expected[s.county]++
		}
	}
}

// surroundings are an area's at this tick.
func (b *bench) surroundings(now time.Time, area string) alerts.Surroundings {
	a, ok := b.around[area]
	if !ok {
		a = b.surroundingsNow(now, area)
		b.around[area], b.since[area] = a, now
	}
	return a
}

func (b *bench) surroundingsNow(now time.Time, area string) alerts.Surroundings {
	is := slow{now.Unix() / 60, b.roster, b.seasons, b.dangerAt}
	if b.slow != is || b.slowly == nil {
		b.slow, b.slowly = is, make(map[string]alerts.Surroundings)
	}
	a, known := b.slowly[area]
	if !known {
		a = alerts.SurroundingsAt(b.areas, b.seasons, nil, nil, area, now).WithDanger(b.danger, b.areas, area, now)
		b.slowly[area] = a
	}
	a = a.WithWarnings(b.areas, b.warnings, b.set.Weather, area, now)
	a.WarnUnknown = !b.warnKnown || slices.ContainsFunc(b.feeds, func(f alerts.WarningFeed) bool { return f.Stale(now) })
	return a
}

// slow is what an area's season, special day and fire danger are worked out from.
// They change at full minutes of the clock only.
type slow struct {
	minute  int64
	roster  int64
	seasons *alerts.SeasonTable
	danger  time.Time // when it was read
}

// refresh works the surroundings out anew, and has judged again what they are
// others for.
func (b *bench) refresh(now time.Time) {
	same := len(b.around) > 0 // empty: the roster is new
	for area, was := range b.around {
		if is := b.surroundingsNow(now, area); is != was {
			b.around[area], b.since[area], same = is, now, false
		}
	}
	if same {
		return
	}
	for _, s := range b.order {
		area := ""
		if s.ctx.Device != nil {
			area = s.ctx.Device.Area
		}
		around := b.surroundings(now, area)
		s.ctx.Listening = b.listening
		if around == s.ctx.Around {
			continue
		}
		s.ctx.Around = around
		b.changed(now, s)
	}
}

// changed has the rules look again at what they know of a device.
func (b *bench) changed(now time.Time, s *subject) {
	for i := range b.rules {
		switch rule := &b.rules[i]; {
		case rule.Type == alerts.SensorFire && s.states[i] != nil, rule.Type == alerts.Condition && b.worth(now, i, s, nil):
			b.step(now, i, s, alerts.Input{Kind: alerts.Changed})
		}
	}
}

// cell is a square of the grid in which neighbours are looked up: 0.05°, at
// Baoding 5.5 by 4.3 km.
type cell struct{ lat, lon int }

const cellDeg = 0.05

func cellOf(lat, lon float64) cell {
	return cell{int(math.Floor(lat / cellDeg)), int(math.Floor(lon / cellDeg))}
}

// neighbours answers for one rule what the sensors around see.
type neighbours struct {
	b    *bench
	rule int
}

// Suspicions implements alerts.Neighbours.
func (n neighbours) Suspicions(device contract.DeviceID, at time.Time, within time.Duration, km float64) []alerts.Evidence {
	var out []alerts.Evidence
	n.around(device, km, func(s *subject) bool {
		if n.rule < 0 || s.states[n.rule] == nil {
			return true
		}
		if e, ok := s.states[n.rule].Suspicion(at, within); ok {
			out = append(out, e)
		}
		return true
	})
	slices.SortFunc(out, func(x, y alerts.Evidence) int { return cmp.Compare(x.Device, y.Device) })
	return out
}

// around yields the sensors within km of the device's site, but for itself.
func (n neighbours) around(device contract.DeviceID, km float64, yield func(*subject) bool) {
	self := n.b.subjects[device]
	if self == nil || self.ctx.Device == nil {
		return
	}
	d := self.ctx.Device
	here, place := cellOf(d.Lat, d.Lon), orb.Point{d.Lon, d.Lat}
	rows := int(math.Ceil(km / (cellDeg * 111)))
	cols := int(math.Ceil(km / (cellDeg * 111 * max(0.1, math.Cos(d.Lat*math.Pi/180)))))
	for y := here.lat - rows; y <= here.lat+rows; y++ {
		for x := here.lon - cols; x <= here.lon+cols; x++ {
			for _, s := range n.b.cells[cell{y, x}] {
				if s == self || s.disabled || geo.DistanceHaversine(place, orb.Point{s.ctx.Device.Lon, s.ctx.Device.Lat}) > km*1000 {
					continue
				}
				if !yield(s) {
					return
				}
			}
		}
	}
}
