package alerts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
)

// ProposeReadiness works out where each township of around, and the professional
// teams, should stand, and what becomes of the proposals since. It returns one
// row for each, by area: the current one, brought up to date.
//
// A graver posture is proposed at once, and taken at once where its row is
// automatic. A lower one is proposed when the inputs have been lower for the
// table's hold, and taken by a person, or by the rule that the table has for the
// posture held. What is unknown stands as it was last known and lowers nothing.
// What a person decided stands until the proposal changes. The same again at the
// same time changes nothing. What is raised at once to one posture by rows that
// give their orders by themselves has one order, which is owed from then on.
func ProposeReadiness(t *ReadinessTable, areas Areas, around map[string]Surroundings, current []Readiness, now time.Time) []Readiness {
	now = now.UTC().Truncate(time.Millisecond)
	was := make(map[string]*Readiness, len(current))
	for i := range current {
		was[current[i].Area] = &current[i]
	}
	codes := slices.Sorted(maps.Keys(around))
	wishes := make(map[string]wish, len(codes))
	for _, code := range codes {
		wishes[code] = t.wish(around[code], was[code])
	}
	all := t.professionals(areas, codes, wishes)
	t.neighbours(areas, codes, wishes)
	out := make([]Readiness, 0, len(codes)+1)
	for _, code := range codes {
		out = append(out, t.advance(code, was[code], wishes[code], now))
	}
	if len(codes) > 0 {
		wishes[ProfessionalArea] = all
		out = append(out, t.advance(ProfessionalArea, was[ProfessionalArea], all, now))
	}
	raised := map[Posture][]*Readiness{}
	for i := range out {
		old, is := was[out[i].Area], &out[i]
		if w := wishes[is.Area]; w.automatic && w.ordered && (old == nil || is.Posture > old.Posture) && is.Posture > PostureNormal {
			raised[is.Posture] = append(raised[is.Posture], is)
		}
	}
	for p, rows := range raised {
		key := raiseOrder(t.Version, p, rows)
		for _, r := range rows {
			r.Order = key
		}
	}
	return out
}

// wish is what the table asks for, for one area, at one time.
type wish struct {
	posture   Posture
	automatic bool
	ordered   bool // and the order with it
	row       *ReadinessRow
	inputs    Surroundings
	reasons   []string
	lost      bool // something is unknown: it lowers nothing
}

func (t *ReadinessTable) wish(s Surroundings, was *Readiness) wish {
	w := wish{lost: s.WarnUnknown || s.SeasonUnknown}
	if was != nil {
		held := was.Inputs
		if s.WarnUnknown && held.Warning > s.Warning {
			s.Warning, s.WarningEvent = held.Warning, held.WarningEvent
		}
		if s.SeasonUnknown {
			s.Season, s.Special = cmp.Or(s.Season, held.Season), cmp.Or(s.Special, held.Special)
		}
		// A danger that was never known is no loss: there may be no station.
		if s.Danger == DangerUnknown && held.Danger != DangerUnknown {
			s.Danger, s.DangerHeld, w.lost = held.Danger, true, true
		}
	}
	w.row = t.Row(s)
	w.posture, w.inputs, w.reasons = w.row.Township, s, readinessReasons(s)
	w.automatic, w.ordered = w.row.Automatic, w.row.Order == ModeAutomatic
	return w
}

// readinessReasons says what the inputs are, 中文.
func readinessReasons(s Surroundings) (why []string) {
	switch {
	case s.Warning > Notice && s.WarnUnknown:
		why = append(why, warningWords(s)+"（预警现已不明，沿用）")
	case s.Warning > Notice:
		why = append(why, warningWords(s))
	case s.WarnUnknown:
		why = append(why, "预警不明")
	default:
		why = append(why, "无预警")
	}
	switch {
	case s.Danger == DangerUnknown:
		why = append(why, "火险等级不明")
	case s.DangerHeld:
		why = append(why, fmt.Sprintf("火险等级 %d 级（%s；资料不足，沿用）", s.Danger, s.Danger.Chinese()))
	default:
		why = append(why, fmt.Sprintf("火险等级 %d 级（%s）", s.Danger, s.Danger.Chinese()))
	}
	switch {
	case s.Season != "" && s.SeasonUnknown:
		why = append(why, seasonWords(s.Season)+"（防火期现已不明，沿用）")
	case s.Season != "":
		why = append(why, seasonWords(s.Season))
	case s.SeasonUnknown:
		why = append(why, "防火期不明")
	default:
		why = append(why, "非防火期")
	}
	if s.Special != "" {
		why = append(why, s.Special+"前后")
	}
	return why
}

// professionals is what the gravest of the townships asks of the professional
// teams.
func (t *ReadinessTable) professionals(areas Areas, codes []string, wishes map[string]wish) wish {
	var all wish
	first, n := "", 0
	lost := false
	for _, code := range codes {
		w := wishes[code]
		lost = lost || w.lost
		switch p := w.row.Professional; {
		case first == "" || p > all.posture:
			all, first, n = w, code, 1
			all.posture = p
		case p == all.posture:
			n++
		}
	}
	all.lost = lost
	if all.posture == PostureNormal {
		return all
	}
	name := areaName(areas[first])
	if n > 1 {
		name = fmt.Sprintf("%s等 %d 个乡镇", name, n)
	}
	all.reasons = append([]string{name + "达到此条件"}, all.reasons...)
	return all
}

// neighbours raises the townships that lie near a grave one.
func (t *ReadinessTable) neighbours(areas Areas, codes []string, wishes map[string]wish) {
	type near struct {
		from    string
		posture Posture
	}
	raised := map[string]near{}
	for _, from := range codes {
		p := wishes[from].row.Neighbours
		if p == PostureNormal {
			continue
		}
		for _, to := range codes {
			if w := wishes[to]; to != from && p > max(w.posture, raised[to].posture) && within(areas[from], areas[to], t.NeighbourKM) {
				raised[to] = near{from, p}
			}
		}
	}
	for to, n := range raised {
		w, from := wishes[to], wishes[n.from]
		w.posture, w.automatic, w.ordered = n.posture, from.row.Automatic, from.row.Order == ModeAutomatic
		w.reasons = append(slices.Clone(w.reasons), fmt.Sprintf("邻近的%s：%s", areaName(areas[n.from]), from.row.Name))
		wishes[to] = w
	}
}

func within(a, b Area, km float64) bool {
	if a.Lat == 0 && a.Lon == 0 || b.Lat == 0 && b.Lon == 0 {
		return false
	}
	return geo.DistanceHaversine(orb.Point{a.Lon, a.Lat}, orb.Point{b.Lon, b.Lat}) <= km*1000
}

// advance brings one row up to date.
func (t *ReadinessTable) advance(area string, was *Readiness, w wish, now time.Time) Readiness {
	by := tableIssuer + t.Version
	next := Readiness{Area: area, Since: now, By: by, ProposedAt: now}
	if was != nil {
		next = *was
	}
	next.Inputs, next.Version = w.inputs, t.Version
	t.propose(&next, w, now)
	next.Reasons = w.reasons
	if w.lost && w.posture < next.Proposed {
		next.Reasons = append(slices.Clone(next.Reasons), fmt.Sprintf("有情况不明：不低于%s", next.Proposed.Chinese()))
	} else if !next.EasingSince.IsZero() {
		next.Reasons = append(slices.Clone(next.Reasons), fmt.Sprintf("%s起条件减轻（%s），满 %s后建议降低",
			next.EasingSince.In(Zone).Format("15:04"), next.Easing.Chinese(), spanWords(t.Hold)))
	}
	take := func() {
		next.Posture, next.Since, next.By, next.Word, next.Open, next.Order = next.Proposed, now, by, "", false, OrderKey{}
	}
	switch {
	case next.Proposed == next.Posture:
		next.Open = false
	case !next.Open: // a person has decided
	case next.Proposed > next.Posture && w.automatic && w.posture == next.Proposed:
		take()
	case next.Proposed < next.Posture && !w.lost:
		if after := t.Rule(next.Posture).LowerAfter; after > 0 && now.Sub(next.ProposedAt) >= after {
			take()
		}
	}
	return next
}

// propose changes what is proposed: up at once, down after the hold.
func (t *ReadinessTable) propose(r *Readiness, w wish, now time.Time) {
	to := r.Proposed
	switch {
	case w.posture >= r.Proposed || w.lost:
		r.Easing, r.EasingSince = PostureNormal, time.Time{}
		to = max(to, w.posture)
	case r.EasingSince.IsZero():
		r.Easing, r.EasingSince = w.posture, now
	default:
		r.Easing = max(r.Easing, w.posture) // the gravest of the time counts
	}
	if since := r.EasingSince; !since.IsZero() && now.Sub(since) >= t.Hold {
		to = r.Easing
		r.Easing, r.EasingSince = PostureNormal, time.Time{}
		if w.posture < to {
			r.Easing, r.EasingSince = w.posture, now
		}
	}
	if to != r.Proposed {
		r.Proposed, r.ProposedAt, r.Open = to, now, true
	}
}

func spanWords(d time.Duration) string {
	zh, _ := span(d)
	return zh
}
