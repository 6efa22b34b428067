package engine

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// areaAlert is the alert that stands for all devices of a township.
type areaAlert struct {
	subject string
	id      string
}

// areaAlert is the alert of the rule that another device of the township has.
func (b *bench) areaAlert(i int, s *subject) string {
	if s.ctx.Device == nil {
		return ""
	}
	if a := b.byArea[outageKey{i, s.ctx.Device.Area}]; a.subject != string(s.id) {
		return a.id
	}
	return ""
}

func (b *bench) noteAreaAlert(i int, st *alerts.SubjectState, f alerts.Finding) {
	key := outageKey{i, f.Alert.Area}
	switch {
	case f.Alert.State == alerts.Firing:
		b.byArea[key] = areaAlert{st.Subject, f.Alert.ID}
	case b.byArea[key].id == f.Alert.ID:
		delete(b.byArea, key)
	}
}

// worth reports whether a condition must be asked: it has something going on
// with the subject, or what is known now makes it true. Most are not, and cost
// neither a state nor an allocation.
func (b *bench) worth(now time.Time, i int, s *subject, r *contract.Reading) (ask bool) {
	rule := &b.rules[i]
	d := s.ctx.Device
	if d == nil || s.disabled || s.ctx.Series == nil || !rule.Of(d.Kind) {
		return false
	}
	if s.states[i] != nil {
		return true
	}
	s.ctx.Neighbours, s.ctx.Others = b.near[i], b.others
	defer func() {
		if p := recover(); p != nil {
			b.panicked(rule, string(s.id), p)
			ask = false
		}
	}()
	if r != nil {
		return b.asker.Holds(rule, now, s.id, r, &s.ctx)
	}
	return b.asker.HoldsNow(rule, now, s.id, &s.ctx)
}

func (b *bench) panicked(rule *alerts.Rule, subject string, p any) {
	b.met.panics.WithLabelValues(rule.Name).Inc()
	b.Log.Error("rule panicked", zap.String("rule", rule.Name), zap.String("device", subject),
		zap.String("panic", fmt.Sprint(p)), zap.ByteString("stack", debug.Stack()))
}

// conditions asks a condition that time, or a township's surroundings, drive.
func (b *bench) conditions(now time.Time, i int) {
	rule := &b.rules[i]
	switch {
	case rule.Condition.Areas():
		for k := range b.towns {
			b.township(now, i, &b.towns[k])
		}
	case rule.Condition.Counties():
		for k := range b.counties {
			b.overTowns(now, i, &b.counties[k])
		}
		for key := range b.outages { // of counties, or of townships, that are no more judged
			if key.rule == i && !slices.ContainsFunc(b.counties, func(c county) bool { return c.area.Code == key.county }) {
				b.overTowns(now, i, &county{area: b.county(key.county)})
			}
		}
	case rule.Timed():
		for _, s := range b.order {
			if b.worth(now, i, s, nil) {
				b.step(now, i, s, alerts.Input{Kind: alerts.Tick})
			}
		}
	}
}

func (b *bench) township(now time.Time, i int, a *alerts.Area) {
	rule := &b.rules[i]
	ctx := alerts.Context{Areas: b.areas, Place: a, Demo: b.demo, Around: b.surroundings(now, a.Code), Sources: b.sources}
	if b.outages[outageKey{i, a.Code}] == nil && !b.asker.HoldsNow(rule, now, "", &ctx) {
		return
	}
	b.place(now, i, a, &ctx)
}

// county is a county with its townships, by code, and what is around them.
type county struct {
	area  alerts.Area
	towns []alerts.Town
}

// countiesOf groups townships by their county; one that has none stands alone.
func countiesOf(areas alerts.Areas, towns []alerts.Area) (out []county) {
	for _, t := range towns {
		of := t
		for _, up := range areas.Chain(t.Code) {
			if up.Level == alerts.County {
				of = up
			}
		}
		k := slices.IndexFunc(out, func(c county) bool { return c.area.Code == of.Code })
		if k < 0 {
			k, out = len(out), append(out, county{area: of})
		}
		out[k].towns = append(out[k].towns, alerts.Town{Area: t})
	}
	return out
}

// overTowns judges a county by its townships.
func (b *bench) overTowns(now time.Time, i int, c *county) {
	for k := range c.towns {
		c.towns[k].Around = b.surroundings(now, c.towns[k].Area.Code)
	}
	ctx := alerts.Context{Areas: b.areas, Place: &c.area, Towns: c.towns, Demo: b.demo, Sources: b.sources}
	b.place(now, i, &c.area, &ctx)
}

// place asks the rule about a place, and remembers what is the matter with it.
func (b *bench) place(now time.Time, i int, a *alerts.Area, ctx *alerts.Context) {
	key := outageKey{i, a.Code}
	st := b.outages[key]
	if st == nil {
		st = &alerts.SubjectState{Rule: b.rules[i].Name, Subject: alerts.AreaSubject(a.Code)}
	}
	next, found, ok := b.safely(now, i, st, alerts.Input{Kind: alerts.Tick}, ctx)
	if !ok {
		return
	}
	changed := next.Revision != st.Revision
	*st = next
	if b.outages[key] = st; !changed && st.Idle() {
		delete(b.outages, key)
	}
	if changed {
		b.pend.states[st] = i
	}
	b.note(now, i, st, found)
}

const (
	maxHeld = 8
	// heldFor is for how long an alert of the same device tells what was held back
	// before it.
	heldFor = time.Hour
)

// rememberHeld notes what was held back of a device, so that its next alert tells.
func (b *bench) rememberHeld(now time.Time, rule *alerts.Rule, st *alerts.SubjectState, f alerts.Finding) {
	b.met.held.WithLabelValues(rule.Name, f.By).Inc()
	s := b.subjects[contract.DeviceID(st.Subject)]
	if s == nil || f.By == "" {
		return
	}
	for k := range s.held {
		if s.held[k].By == f.By && s.held[k].Why == f.Reason {
			s.held[k].At = now
			return
		}
	}
	if len(s.held) >= maxHeld {
		s.held = s.held[1:]
	}
	s.held = append(s.held, alerts.HeldBack{At: now, By: f.By, Why: f.Reason})
}

func (b *bench) heldLately(now time.Time, id contract.DeviceID) []alerts.HeldBack {
	s := b.subjects[id]
	if s == nil {
		return nil
	}
	var out []alerts.HeldBack
	for _, h := range s.held {
		if now.Sub(h.At) <= heldFor {
			out = append(out, h)
		}
	}
	return out
}

// Above implements alerts.Sightings.
func (n neighbours) Above(device contract.DeviceID, f contract.Field, least, km float64, at time.Time, within time.Duration) int {
	count := 0
	n.around(device, km, func(s *subject) bool {
		if x, ok := s.ctx.Series.Latest(f, at, within); ok && x >= least {
			count++
		}
		return true
	})
	return count
}
