package rehearsal

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Comparison is what two rule sets made of the same readings, and how they differ.
type Comparison struct {
	From     time.Time    `json:"from"`
	To       time.Time    `json:"to"`
	Devices  int          `json:"devices"`  // in the roster
	Readings int          `json:"readings"` // of them
	Strange  int          `json:"strange"`  // of devices that are not in the roster, and are not judged
	Old      Side         `json:"old"`
	New      Side         `json:"new"`
	Rules    []RuleDiff   `json:"rules"`
	Orders   []OrderDiff  `json:"orders"`
	Fires    []FireDiff   `json:"fires"`
	Known    bool         `json:"known"` // the fires were given; else they are the incidents of either side
	Nuisance [2]int       `json:"nuisance"`
	areas    alerts.Areas `json:"-"`
}

// Side sums one of the two up.
type Side struct {
	Version   string `json:"version"`
	Alerts    int    `json:"alerts"`    // that called a person: what came too late for that is not counted
	Incidents int    `json:"incidents"` // places with an alert of fire
	Orders    int    `json:"orders"`    // given or proposed
	Automatic int    `json:"automatic"` // of these: given without a person
	Held      int    `json:"held"`      // times that a suspicion was held back without an alert
}

// RuleDiff counts one rule's alerts.
type RuleDiff struct {
	Rule string `json:"rule"`
	Old  int    `json:"old"`
	New  int    `json:"new"`
}

// OrderDiff counts the orders of one kind.
type OrderDiff struct {
	Kind  alerts.OrderKind `json:"kind"`
	Old   int              `json:"old"`
	New   int              `json:"new"`
	Teams [2]int           `json:"teams"` // teams called, each time: old, new
	Towns []TownDiff       `json:"towns"` // where the called teams belong, the largest difference first
}

// TownDiff counts the calls of the teams of one area.
type TownDiff struct {
	Area string `json:"area"`
	Name string `json:"name"`
	Old  int    `json:"old"`
	New  int    `json:"new"`
}

// FireDiff is one fire, and when each side first told of it.
type FireDiff struct {
	Name    string        `json:"name"`
	Area    string        `json:"area"`
	Lat     float64       `json:"lat"`
	Lon     float64       `json:"lon"`
	Began   time.Time     `json:"began,omitzero"` // where the fires were given
	Old     time.Time     `json:"old,omitzero"`   // zero: never
	New     time.Time     `json:"new,omitzero"`
	Earlier time.Duration `json:"-"` // how much earlier the new side told; negative: later; 0 unless both did
	Seconds float64       `json:"earlier_s"`
}

// How an alert is matched with a fire that is known to have been.
const (
	fireBefore = 10 * time.Minute // clocks, and the time that somebody wrote down
	fireAfter  = 24 * time.Hour
)

// Compare tells how the second differs from the first. fires are those known to
// have been; nil: what either side took for one.
func Compare(was, is *Result, roster *alerts.Roster, fires []Fire) Comparison {
	c := Comparison{
		From: is.From, To: is.To, Devices: len(roster.Devices), Readings: is.Readings - is.Strange, Strange: is.Strange,
		Old: was.side(), New: is.side(), areas: alerts.IndexAreas(roster.Areas),
	}
	c.rules(was, is)
	c.orders(was, is, roster)
	within := max(was.Rules.Incidents.WithinKM, is.Rules.Incidents.WithinKM)
	if within == 0 {
		within = alerts.DefaultIncidents().WithinKM
	}
	if fires != nil {
		c.Known = true
		c.known(was, is, fires, within)
	} else {
		c.guessed(was, is, within)
	}
	for i := range c.Fires {
		f := &c.Fires[i]
		if !f.Old.IsZero() && !f.New.IsZero() {
			f.Earlier = f.Old.Sub(f.New)
			f.Seconds = f.Earlier.Seconds()
		}
		if f.Name == "" {
			f.Name = placeName(c.areas, f.Area)
		}
	}
	return c
}

// calls reports whether the alert called a person.
func calls(a *alerts.Alert) bool { return a.Explain.Outcome != alerts.LateRecord }

func (r *Result) side() Side {
	s := Side{Version: r.Rules.Version, Incidents: len(r.Incidents), Orders: len(r.Orders)}
	for i := range r.Alerts {
		if calls(&r.Alerts[i]) {
			s.Alerts++
		}
	}
	for i := range r.Orders {
		if r.Orders[i].Mode == alerts.ModeAutomatic {
			s.Automatic++
		}
	}
	for i := range r.Held {
		s.Held += r.Held[i].Count
	}
	return s
}

func (c *Comparison) rules(was, is *Result) {
	n := make(map[string]*RuleDiff)
	of := func(name string) *RuleDiff {
		if n[name] == nil {
			n[name] = &RuleDiff{Rule: name}
		}
		return n[name]
	}
	for i := range was.Alerts {
		if a := &was.Alerts[i]; calls(a) {
			of(a.Rule).Old++
		}
	}
	for i := range is.Alerts {
		if a := &is.Alerts[i]; calls(a) {
			of(a.Rule).New++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n)) {
		c.Rules = append(c.Rules, *n[name])
	}
}

func (c *Comparison) orders(was, is *Result, roster *alerts.Roster) {
	home := make(map[contract.TeamID]string, len(roster.Teams))
	for i := range roster.Teams {
		home[roster.Teams[i].ID] = roster.Teams[i].Area
	}
	for _, kind := range alerts.OrderKinds {
		d := OrderDiff{Kind: kind}
		towns := make(map[string]*TownDiff)
		for side, r := range []*Result{was, is} {
			for i := range r.Orders {
				o := &r.Orders[i]
				if o.Kind != kind {
					continue
				}
				if d.Teams[side] += len(o.Teams); side == 0 {
					d.Old++
				} else {
					d.New++
				}
				for _, team := range o.Teams {
					area := home[team]
					if towns[area] == nil {
						towns[area] = &TownDiff{Area: area, Name: c.areas[area].Name}
					}
					if side == 0 {
						towns[area].Old++
					} else {
						towns[area].New++
					}
				}
			}
		}
		if d.Old+d.New == 0 {
			continue
		}
		for _, t := range towns {
			d.Towns = append(d.Towns, *t)
		}
		slices.SortFunc(d.Towns, func(a, b TownDiff) int {
			return cmp.Or(cmp.Compare(abs(b.New-b.Old), abs(a.New-a.Old)), cmp.Compare(a.Area, b.Area))
		})
		c.Orders = append(c.Orders, d)
	}
}

func abs(x int) int { return max(x, -x) }

func km(lat1, lon1, lat2, lon2 float64) float64 {
	return geo.DistanceHaversine(orb.Point{lon1, lat1}, orb.Point{lon2, lat2}) / 1000
}

// aboutFire reports whether the alert is one that a fire explains.
func (r *Result) aboutFire(a *alerts.Alert) bool {
	i := slices.IndexFunc(r.Rules.Rules, func(x alerts.Rule) bool { return x.Name == a.Rule })
	return i >= 0 && r.Rules.Rules[i].Family == alerts.FamilyFire && a.HasPlace && calls(a)
}

// known matches alerts with the fires that were.
func (c *Comparison) known(was, is *Result, fires []Fire, within float64) {
	for _, f := range fires {
		d := FireDiff{Name: f.Name, Lat: f.Lat, Lon: f.Lon, Began: f.Time}
		for side, r := range []*Result{was, is} {
			for i := range r.Alerts {
				a := &r.Alerts[i]
				if !r.aboutFire(a) || !explains(&f, a.Raised, a.Lat, a.Lon, within) {
					continue
				}
				d.Area = cmp.Or(d.Area, a.Area)
				if side == 0 {
					d.Old = a.Raised
				} else {
					d.New = a.Raised
				}
				break // they are in the order in which they were raised
			}
		}
		c.Fires = append(c.Fires, d)
	}
	for side, r := range []*Result{was, is} {
		for i := range r.Incidents {
			in := &r.Incidents[i]
			if !slices.ContainsFunc(fires, func(f Fire) bool { return explains(&f, in.Opened, in.Lat, in.Lon, within) }) {
				c.Nuisance[side]++
			}
		}
	}
}

func explains(f *Fire, at time.Time, lat, lon, within float64) bool {
	return !at.Before(f.Time.Add(-fireBefore)) && !at.After(f.Time.Add(fireAfter)) && km(f.Lat, f.Lon, lat, lon) <= within
}

// guessed takes for one fire what both sides saw in one place at one time: of
// those that overlap the two that began nearest to each other.
func (c *Comparison) guessed(was, is *Result, within float64) {
	type pair struct{ i, k int }
	var pairs []pair
	apart := func(p pair) time.Duration { return was.Incidents[p.i].Opened.Sub(is.Incidents[p.k].Opened).Abs() }
	k0 := 0
	for i := range was.Incidents {
		x := &was.Incidents[i]
		for k0 < len(is.Incidents) && is.Incidents[k0].Opened.Before(x.Opened.Add(-maxIncident)) {
			k0++
		}
		for k := k0; k < len(is.Incidents) && !is.Incidents[k].Opened.After(over(x, was.To)); k++ {
			if y := &is.Incidents[k]; !over(y, is.To).Before(x.Opened) && samePlace(x, y, within) {
				pairs = append(pairs, pair{i, k})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(apart(a), apart(b)) })
	oldTaken, newTaken := make([]bool, len(was.Incidents)), make([]bool, len(is.Incidents))
	oldSeen, newSeen := make([]bool, len(was.Incidents)), make([]bool, len(is.Incidents))
	for _, p := range pairs {
		oldSeen[p.i], newSeen[p.k] = true, true
		if oldTaken[p.i] || newTaken[p.k] {
			continue
		}
		oldTaken[p.i], newTaken[p.k] = true, true
		f := fireOf(&was.Incidents[p.i])
		f.Old, f.New = was.Incidents[p.i].Opened, is.Incidents[p.k].Opened
		c.Fires = append(c.Fires, f)
	}
	for i := range was.Incidents {
		if !oldSeen[i] { // one of several that the other side saw as one is no other fire
			f := fireOf(&was.Incidents[i])
			f.Old = was.Incidents[i].Opened
			c.Fires = append(c.Fires, f)
		}
	}
	for k := range is.Incidents {
		if !newSeen[k] {
			f := fireOf(&is.Incidents[k])
			f.New = is.Incidents[k].Opened
			c.Fires = append(c.Fires, f)
		}
	}
	slices.SortStableFunc(c.Fires, func(a, b FireDiff) int { return a.first().Compare(b.first()) })
}

// maxIncident bounds how long an incident is looked for.
const maxIncident = 31 * 24 * time.Hour

// first is when either side first told of it.
func (f *FireDiff) first() time.Time {
	if f.New.IsZero() || !f.Old.IsZero() && f.Old.Before(f.New) {
		return f.Old
	}
	return f.New
}

func fireOf(in *alerts.Incident) FireDiff { return FireDiff{Area: in.Area, Lat: in.Lat, Lon: in.Lon} }

func over(in *alerts.Incident, end time.Time) time.Time {
	if in.Closed.IsZero() {
		return end
	}
	return in.Closed
}

func samePlace(a, b *alerts.Incident, within float64) bool {
	if !a.HasPlace || !b.HasPlace {
		return a.Device == b.Device
	}
	return km(a.Lat, a.Lon, b.Lat, b.Lon) <= within
}

// placeName is the township with its county.
func placeName(areas alerts.Areas, code string) string {
	var names []string
	for _, a := range slices.Backward(areas.Chain(code)) {
		if a.Level != alerts.City {
			names = append(names, cmp.Or(a.Name, a.Code))
		}
	}
	return cmp.Or(strings.Join(names, ""), code)
}
