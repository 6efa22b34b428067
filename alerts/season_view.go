package alerts

import (
	"slices"
	"time"
)

// AreaSeasons is what a season table means for one area.
type AreaSeasons struct {
	// From is the area whose recurring seasons rule; empty: none does.
	From      string
	recurring []Season
	yearly    []Season
	special   []SpecialDay
}

// SeasonRun is one time that a season comes round.
type SeasonRun struct {
	Season
	First time.Time // midnight UTC of the local day, as Last
	Last  time.Time // included
}

// For is the table as an area has it: the seasons of the nearest area, from the
// area upwards, that has recurring ones, the seasons of one year on the way
// there, and the special days of all areas above.
func (t *SeasonTable) For(areas Areas, area string) AreaSeasons {
	chain := areaChain(areas, area)
	v := AreaSeasons{special: t.specials(chain)}
	for _, code := range chain {
		var once []Season
		for _, s := range t.Seasons {
			switch {
			case s.Area != code:
			case s.Year != 0:
				once = append(once, s)
			default:
				v.recurring, v.From = append(v.recurring, s), code
			}
		}
		for _, s := range once { // the narrower area's season of a kind and year stands
			if !slices.ContainsFunc(v.yearly, func(o Season) bool { return o.Area != s.Area && o.Kind == s.Kind && o.Year == s.Year }) {
				v.yearly = append(v.yearly, s)
			}
		}
		if len(v.recurring) > 0 {
			break
		}
	}
	return v
}

// begun are the runs that begin in the year. A season of one year takes the
// place of the recurring ones of its kind.
func (v *AreaSeasons) begun(year int) []SeasonRun {
	var out []SeasonRun
	add := func(s Season) {
		if first, last, ok := s.run(year); ok {
			out = append(out, SeasonRun{s, first, last})
		}
	}
	for _, s := range v.yearly {
		if s.Year == year {
			add(s)
		}
	}
	for _, s := range v.recurring {
		if !slices.ContainsFunc(v.yearly, func(o Season) bool { return o.Kind == s.Kind && o.Year == year }) {
			add(s)
		}
	}
	return out
}

// On are the runs of seasons that hold the local day of the time, the mildest
// kind first.
func (v *AreaSeasons) On(day time.Time) []SeasonRun {
	today := date(day)
	var out []SeasonRun
	for _, y := range []int{today.Year() - 1, today.Year()} {
		for _, r := range v.begun(y) {
			if !today.Before(r.First) && !today.After(r.Last) {
				out = append(out, r)
			}
		}
	}
	sortRuns(out)
	return out
}

// sortRuns puts the milder kinds first, and of a kind the one that began first.
func sortRuns(runs []SeasonRun) {
	slices.SortStableFunc(runs, func(a, b SeasonRun) int {
		if n := slices.Index(SeasonKinds, a.Kind) - slices.Index(SeasonKinds, b.Kind); n != 0 {
			return n
		}
		return a.First.Compare(b.First)
	})
}

// Kinds is the kinds of season, rising, that rule on the local day of the time.
func (v *AreaSeasons) Kinds(day time.Time) []SeasonKind {
	var out []SeasonKind
	for _, r := range v.On(day) {
		if !slices.Contains(out, r.Kind) {
			out = append(out, r.Kind)
		}
	}
	return out
}

// Specials are the special days that hold the local day of the time, the nearest
// to its own day first.
func (v *AreaSeasons) Specials(day time.Time) []SpecialRun { return specialsOn(v.special, day) }

// Year are the seasons and special days that touch a year, by their first day.
func (v *AreaSeasons) Year(year int) (seasons []SeasonRun, special []SpecialRun) {
	first, last := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC)
	for y := year - 1; y <= year+1; y++ {
		for _, r := range v.begun(y) {
			if !r.First.After(last) && !r.Last.Before(first) {
				seasons = append(seasons, r)
			}
		}
		for i := range v.special {
			if r, ok := v.special[i].in(y); ok && !r.From.After(last) && !r.To.Before(first) {
				special = append(special, r)
			}
		}
	}
	slices.SortStableFunc(seasons, func(a, b SeasonRun) int { return a.First.Compare(b.First) })
	slices.SortStableFunc(special, func(a, b SpecialRun) int { return a.From.Compare(b.From) })
	return seasons, special
}

// Until is the last local day, midnight UTC, of an unbroken run of days with the
// same kinds of season and the same special day as the day of the time; false:
// nothing changes within the year that follows.
func (v *AreaSeasons) Until(day time.Time) (time.Time, bool) {
	today := date(day)
	same := func(t time.Time) bool {
		return slices.Equal(v.Kinds(t), v.Kinds(day)) && v.specialName(t) == v.specialName(day)
	}
	// Only the days on which something begins, or has just ended, can differ.
	var edges []time.Time
	for y := today.Year(); y <= today.Year()+1; y++ {
		seasons, special := v.Year(y)
		for _, r := range seasons {
			edges = append(edges, r.First, r.Last.AddDate(0, 0, 1))
		}
		for _, r := range special {
			edges = append(edges, r.From, r.To.AddDate(0, 0, 1), r.On, r.On.AddDate(0, 0, 1))
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	for _, e := range edges {
		if e.After(today) && !e.After(today.AddDate(1, 0, 0)) && !same(time.Date(e.Year(), e.Month(), e.Day(), 0, 0, 0, 0, Zone)) {
			return e.AddDate(0, 0, -1), true
		}
	}
	return time.Time{}, false
}

func (v *AreaSeasons) specialName(day time.Time) string {
	if runs := v.Specials(day); len(runs) > 0 {
		return runs[0].Name
	}
	return ""
}
