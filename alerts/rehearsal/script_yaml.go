package rehearsal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

type scriptFile struct {
	Rules   []string     `yaml:"rules"`
	Areas   []areaLine   `yaml:"areas"`
	Teams   []teamLine   `yaml:"teams"`
	Devices []deviceLine `yaml:"devices"`
	Sources string       `yaml:"sources"`
	Tests   []testLine   `yaml:"tests"`
}

type areaLine struct {
	Code  string           `yaml:"code"`
	Name  string           `yaml:"name"`
	Level alerts.AreaLevel `yaml:"level"`
	Under string           `yaml:"parent"`
	Lat   float64          `yaml:"lat"`
	Lon   float64          `yaml:"lon"`
}

type teamLine struct {
	ID   contract.TeamID `yaml:"id"`
	Name string          `yaml:"name"`
	Kind alerts.TeamKind `yaml:"kind"`
	Area string          `yaml:"area"`
	Lat  float64         `yaml:"lat"`
	Lon  float64         `yaml:"lon"`
}

type deviceLine struct {
	ID          contract.DeviceID `yaml:"id"`
	Name        string            `yaml:"name"`
	Kind        string            `yaml:"kind"`
	Area        string            `yaml:"area"`
	Model       string            `yaml:"model"`
	Lat         float64           `yaml:"lat"`
	Lon         float64           `yaml:"lon"`
	Expect      time.Duration     `yaml:"expect"`
	Disabled    bool              `yaml:"disabled"`
	Calibration string            `yaml:"calibration"`
}

type testLine struct {
	Name     string           `yaml:"name"`
	Start    string           `yaml:"start"`
	Interval time.Duration    `yaml:"interval"`
	Tick     time.Duration    `yaml:"tick"`
	Devices  []deviceLine     `yaml:"devices"`
	Seasons  []seasonsLine    `yaml:"seasons"`
	Warnings []warningLine    `yaml:"warnings"`
	Danger   []dangerLine     `yaml:"danger"`
	Silences []silenceLine    `yaml:"silences"`
	Hotspots []hotspotLine    `yaml:"hotspots"`
	Series   []map[string]any `yaml:"series"`
	Expect   []expectLine     `yaml:"expect"`
}

type seasonsLine struct {
	At      string `yaml:"at"`
	Kind    string `yaml:"kind"`
	Area    string `yaml:"area"`
	Special string `yaml:"special"`
}

type warningLine struct {
	At    string `yaml:"at"`
	Until string `yaml:"until"`
	Level string `yaml:"level"`
	Event string `yaml:"event"`
	Code  string `yaml:"code"`
	Area  string `yaml:"area"`
}

type dangerLine struct {
	At      string             `yaml:"at"`
	Level   alerts.DangerLevel `yaml:"level"`
	Area    string             `yaml:"area"`
	DryDays *int               `yaml:"dry_days"`
	Held    bool               `yaml:"held"`
}

type silenceLine struct {
	At     string            `yaml:"at"`
	Until  string            `yaml:"until"`
	Rule   string            `yaml:"rule"`
	Device contract.DeviceID `yaml:"device"`
	Area   string            `yaml:"area"`
}

type hotspotLine struct {
	At         string  `yaml:"at"`
	Seen       string  `yaml:"seen"`
	Lat        float64 `yaml:"lat"`
	Lon        float64 `yaml:"lon"`
	Area       string  `yaml:"area"`
	Confidence string  `yaml:"confidence"`
	Masked     string  `yaml:"masked"`
}

type expectLine struct {
	At     string       `yaml:"at"`
	Of     []string     `yaml:"of"`
	Alerts *[]AlertLike `yaml:"alerts"`
	Orders *[]OrderLike `yaml:"orders"`
	Held   *[]HeldLike  `yaml:"held"`
}

// ParseScript reads tests and checks them as a whole: the error names every fault
// with its line. name is the file's, for failures; rules finds the rule sets that
// the file names, unless sets are given, which then stand in their place.
func ParseScript(name string, data []byte, rules func(ref string) (alerts.RuleSet, error), sets ...alerts.RuleSet) (*Script, error) {
	var f scriptFile
	doc, err := alerts.ReadYAML(name, data, &f)
	if err != nil {
		return nil, err
	}
	c := scriptCheck{doc}
	s := &Script{Name: name, doc: doc, Sets: sets}
	if len(sets) == 0 {
		c.want(len(f.Rules) > 0, "$.rules", "want the names of rule sets: shipped, demo, or files")
		for i, ref := range f.Rules {
			set, err := rules(ref)
			if err != nil {
				doc.Fault(at("$.rules", i), "rules %q: %s", ref, strings.ReplaceAll(err.Error(), "\n", "; "))
			}
			s.Sets = append(s.Sets, set)
		}
	}
	roster := c.roster(&f)
	named := make(map[string]bool)
	for i := range s.Sets {
		for k := range s.Sets[i].Rules {
			named[s.Sets[i].Rules[k].Name] = true
		}
	}
	c.want(len(f.Tests) > 0, "$.tests", "want at least one")
	for i := range f.Tests {
		t := c.test(at("$.tests", i), &f.Tests[i], roster, f.Sources)
		for k := range t.Expect {
			c.named(&t.Expect[k], named)
		}
		s.Tests = append(s.Tests, t)
	}
	return s, doc.Err()
}

func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

type scriptCheck struct{ *alerts.YAML }

func (c *scriptCheck) want(ok bool, path, format string, args ...any) {
	if !ok {
		c.Fault(path, "%s: %s", path[strings.LastIndexByte(path, '.')+1:], fmt.Sprintf(format, args...))
	}
}

// The roster of a script that has none of its own.
var (
	usualAreas = []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.87, Lon: 115.46},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.50},
		{Code: "130633101", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633", Lat: 39.38, Lon: 115.35},
		{Code: "130633102", Name: "西陵镇", Level: alerts.Township, Parent: "130633", Lat: 39.37, Lon: 115.42},
		{Code: "130633103", Name: "裴山镇", Level: alerts.Township, Parent: "130633", Lat: 39.26, Lon: 115.45},
	}
	usualTeams = []alerts.Team{
		{ID: "T-county", Name: "易县专业森林消防队", Kind: alerts.Professional, Area: "130633", Lat: 39.35, Lon: 115.50},
		{ID: "T-101", Name: "梁格庄镇扑火队", Kind: alerts.TownshipTeam, Area: "130633101", Lat: 39.38, Lon: 115.35},
		{ID: "T-102", Name: "西陵镇扑火队", Kind: alerts.TownshipTeam, Area: "130633102", Lat: 39.37, Lon: 115.42},
		{ID: "T-103", Name: "裴山镇扑火队", Kind: alerts.TownshipTeam, Area: "130633103", Lat: 39.26, Lon: 115.45},
	}
)

const usualArea = "130633101"

func (c *scriptCheck) roster(f *scriptFile) alerts.Roster {
	r := alerts.Roster{Areas: slices.Clone(usualAreas), Teams: slices.Clone(usualTeams)}
	if len(f.Areas) > 0 {
		r.Areas, r.Teams = nil, nil
		for i, l := range f.Areas {
			c.want(slices.Contains([]alerts.AreaLevel{alerts.City, alerts.County, alerts.Township}, l.Level), at("$.areas", i)+".level", "%q: want city, county or township", l.Level)
			r.Areas = append(r.Areas, alerts.Area{Code: l.Code, Name: l.Name, Level: l.Level, Parent: l.Under, Lat: l.Lat, Lon: l.Lon})
		}
	}
	if len(f.Teams) > 0 {
		r.Teams = nil
	}
	for i, l := range f.Teams {
		c.want(l.Kind == alerts.Professional || l.Kind == alerts.TownshipTeam, at("$.teams", i)+".kind", "%q: want %s or %s", l.Kind, alerts.Professional, alerts.TownshipTeam)
		c.area(at("$.teams", i)+".area", l.Area, &r)
		r.Teams = append(r.Teams, alerts.Team{ID: l.ID, Name: cmp.Or(l.Name, string(l.ID)), Kind: l.Kind, Area: l.Area, Lat: l.Lat, Lon: l.Lon})
	}
	c.devices("$.devices", f.Devices, &r)
	return r
}

func (c *scriptCheck) area(path, code string, r *alerts.Roster) {
	c.want(slices.ContainsFunc(r.Areas, func(a alerts.Area) bool { return a.Code == code }), path, "no area has the code %q", code)
}

func (c *scriptCheck) devices(path string, ls []deviceLine, r *alerts.Roster) {
	for i, l := range ls {
		here := at(path, i)
		kind, err := contract.ParseKind(cmp.Or(l.Kind, "sensor"))
		c.want(err == nil, here+".kind", "%v", err)
		c.want(l.ID.Validate() == nil, here+".id", "%q: %v", l.ID, l.ID.Validate())
		c.want(!slices.ContainsFunc(r.Devices, func(d alerts.Device) bool { return d.ID == l.ID }), here+".id", "%q is there twice", l.ID)
		l.Area = cmp.Or(l.Area, usualArea)
		c.area(here+".area", l.Area, r)
		cal, err := alerts.ParseCalibration(l.Calibration)
		c.want(err == nil, here+".calibration", "%v", err)
		r.Devices = append(r.Devices, alerts.Device{
			ID: l.ID, Kind: kind, Area: l.Area, Name: l.Name, Model: l.Model, Lat: l.Lat, Lon: l.Lon, Expect: l.Expect,
			Disabled: l.Disabled, Calibration: cal,
		})
	}
}

// usualStart is when a test begins that names no time: an ordinary forenoon.
var usualStart = time.Date(2026, 3, 17, 8, 0, 0, 0, alerts.Zone)

// maxSpan bounds a test.
const maxSpan = 400 * 24 * time.Hour

func (c *scriptCheck) test(path string, l *testLine, roster alerts.Roster, sources string) Test {
	t := Test{Name: l.Name, Start: usualStart.UTC(), Tick: l.Tick, path: path}
	c.want(l.Name != "", path+".name", "a test needs one")
	if l.Start != "" {
		start, err := time.ParseInLocation("2006-01-02 15:04", l.Start, alerts.Zone)
		c.want(err == nil, path+".start", "%q: want YYYY-MM-DD HH:MM in local time", l.Start)
		t.Start = start.UTC()
	}
	c.want(l.Tick == 0 || l.Tick >= time.Second && l.Tick <= time.Hour, path+".tick", "%s: want 1s..1h", l.Tick)
	c.want(l.Interval >= 0 && l.Interval <= 24*time.Hour, path+".interval", "%s: want 0s..24h", l.Interval)
	roster.Devices = slices.Clone(roster.Devices)
	c.devices(path+".devices", l.Devices, &roster)
	t.World = World{Roster: roster}
	if sources != "" {
		t.World.Sources = []byte(sources)
		_, err := alerts.ParseSources(t.World.Sources)
		c.want(err == nil, "$.sources", "%v", err)
	}
	c.around(path, l, &t)
	c.hotspots(path, l, &t)
	for i, s := range l.Series {
		t.Readings = append(t.Readings, c.series(at(path+".series", i), s, cmp.Or(l.Interval, time.Minute), &t)...)
	}
	slices.SortStableFunc(t.Readings, func(a, b contract.Reading) int {
		return cmp.Or(a.Received.Compare(b.Received), a.Measured.Compare(b.Measured))
	})
	c.want(len(l.Expect) > 0, path+".expect", "a test needs at least one")
	for i := range l.Expect {
		t.Expect = append(t.Expect, c.expect(at(path+".expect", i), &l.Expect[i]))
	}
	slices.SortStableFunc(t.Expect, func(a, b Expect) int { return cmp.Compare(a.At, b.At) })
	return t
}

// offset is a time since the start; empty is the default.
func (c *scriptCheck) offset(path, text string, usual time.Duration) time.Duration {
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	c.want(err == nil && d >= 0 && d <= maxSpan, path, "%q: want a time since the start like 90s, 20m or 4h30m", text)
	return d
}

func (c *scriptCheck) severity(path, text string) alerts.Severity {
	s, err := alerts.ParseSeverity(text)
	c.want(err == nil, path, "%v", err)
	return s
}

// cityOf is the code of the area that holds all.
func cityOf(r *alerts.Roster) string {
	for i := range r.Areas {
		if r.Areas[i].Level == alerts.City {
			return r.Areas[i].Code
		}
	}
	return ""
}

// around reads what is around. Without a word about seasons none is in force,
// without one about danger it is unknown.
func (c *scriptCheck) around(path string, l *testLine, t *Test) {
	w, city := &t.World, cityOf(&t.World.Roster)
	w.Seasons = []SeasonsFrom{{Table: &alerts.SeasonTable{Version: "none"}}}
	for i, s := range l.Seasons {
		here := at(path+".seasons", i)
		from := SeasonsFrom{From: t.Start.Add(c.offset(here+".at", s.At, 0))}
		area := cmp.Or(s.Area, city)
		switch {
		case s.Kind == "unknown":
		case s.Kind == "" || s.Kind == "none" || slices.Contains(alerts.SeasonKinds, alerts.SeasonKind(s.Kind)):
			from.Table = &alerts.SeasonTable{Version: fmt.Sprint("test-", i)}
			if s.Kind != "" && s.Kind != "none" {
				from.Table.Seasons = []alerts.Season{{Area: area, Kind: alerts.SeasonKind(s.Kind), From: "01-01", To: "12-31"}}
			}
			if s.Special != "" {
				from.Table.Special = []alerts.SpecialDay{{Name: s.Special, Area: area, Solar: from.From.In(alerts.Zone).Format("01-02")}}
			}
		default:
			c.Fault(here+".kind", "kind %q: want none, unknown, prevention, high_danger or closure", s.Kind)
		}
		w.Seasons = append(w.Seasons, from)
	}
	for i, x := range l.Warnings {
		here := at(path+".warnings", i)
		from := t.Start.Add(c.offset(here+".at", x.At, 0))
		until := t.Start.Add(c.offset(here+".until", x.Until, maxSpan))
		w.Warnings = append(w.Warnings, alerts.Warning{
			ID: fmt.Sprint("wa-", i), Identifier: fmt.Sprint("test-", i), Sent: from, Received: from, Status: "Actual", MsgType: "Alert",
			Event: x.Event, EventCode: x.Code,
			Blocks: []alerts.WarningBlock{{Area: cmp.Or(x.Area, city), Level: c.severity(here+".level", x.Level), From: from, To: until}},
		})
	}
	for i, x := range l.Danger {
		here := at(path+".danger", i)
		c.want(x.Level <= 5, here+".level", "%d: want 0..5", x.Level)
		from, dry := t.Start.Add(c.offset(here+".at", x.At, 0)), -1
		if x.DryDays != nil {
			dry = *x.DryDays
		}
		for day := range 8 { // of one level from then on
			d := from.AddDate(0, 0, day)
			w.Danger = append(w.Danger, alerts.AreaDanger{
				Area: cmp.Or(x.Area, city), Day: alerts.DangerDay(d), Level: x.Level, Method: alerts.DangerHTZ, Degraded: x.Held, DryDays: dry, At: from,
			})
		}
	}
	for i, x := range l.Silences {
		here := at(path+".silences", i)
		from := t.Start.Add(c.offset(here+".at", x.At, 0))
		c.want(x.Device != "" || x.Area != "", here, "a silence needs a device or an area")
		w.Silences = append(w.Silences, alerts.Silence{
			ID: fmt.Sprint("si-", i), Rule: x.Rule, Device: x.Device, Area: x.Area, From: from, Made: from,
			Until: t.Start.Add(c.offset(here+".until", x.Until, maxSpan)), Author: "test", Reason: "test",
		})
	}
}

func (c *scriptCheck) hotspots(path string, l *testLine, t *Test) {
	for i, x := range l.Hotspots {
		here := at(path+".hotspots", i)
		conf := cmp.Or(x.Confidence, alerts.ConfidenceNominal)
		c.want(alerts.ConfidenceRank(conf) > 0, here+".confidence", "%q: want low, nominal or high", conf)
		when := c.offset(here+".at", x.At, 0)
		seen := t.Start.Add(when)
		if x.Seen != "" {
			d, err := time.ParseDuration(x.Seen)
			c.want(err == nil && d <= when, here+".seen", "%q: want a time since the start, negative for before it, not after at", x.Seen)
			seen = t.Start.Add(d)
		}
		hs := alerts.MergeHotspots(nil, []alerts.Pixel{{
			Satellite: "Suomi-NPP", Instrument: "VIIRS", Lat: x.Lat, Lon: x.Lon, Seen: seen, Confidence: conf, Percent: -1,
		}}, alerts.Merging{})
		for _, h := range hs {
			h.Area, h.Masked, h.Imported, h.Revision = cmp.Or(x.Area, usualArea), x.Masked, t.Start.Add(when), 1
			t.World.Hotspots = append(t.World.Hotspots, h)
		}
	}
}

func (c *scriptCheck) expect(path string, l *expectLine) Expect {
	x := Expect{At: c.offset(path+".at", l.At, -1), Of: l.Of, Alerts: l.Alerts, Orders: l.Orders, Held: l.Held, path: path}
	c.want(l.At != "", path+".at", "an expectation needs its time")
	c.want(x.Alerts != nil || x.Orders != nil || x.Held != nil, path, "an expectation needs alerts, orders or held")
	if x.Alerts != nil {
		for i := range *x.Alerts {
			a, here := &(*x.Alerts)[i], at(path+".alerts", i)
			c.want(slices.Contains([]alerts.AlertState{"", alerts.Firing, alerts.Resolved}, a.State), here+".state", "%q: want firing or resolved", a.State)
			if a.Severity != "" {
				c.severity(here+".severity", a.Severity)
			}
			if a.Since != "" {
				d, err := time.ParseDuration(a.Since)
				c.want(err == nil, here+".since", "%q: want a time since the start like 20m", a.Since)
				a.Since = short(d)
			}
		}
	}
	if x.Orders != nil {
		for i := range *x.Orders {
			o, here := &(*x.Orders)[i], at(path+".orders", i)
			c.want(o.Kind == "" || slices.Contains(alerts.OrderKinds, o.Kind), here+".kind", "%q: want one of %v", o.Kind, alerts.OrderKinds)
			c.want(o.Mode == "" || o.Mode == alerts.ModePropose || o.Mode == alerts.ModeAutomatic, here+".mode", "%q: want propose or automatic", o.Mode)
			if o.Level != "" {
				c.severity(here+".level", o.Level)
			}
		}
	}
	return x
}

// named checks that the rules of an expectation are there: no alert is expected of
// a name that is misspelt.
func (c *scriptCheck) named(x *Expect, rules map[string]bool) {
	check := func(path, name string) {
		c.want(name == "" || len(rules) == 0 || rules[name], path, "no rule has the name %q", name)
	}
	for i, name := range x.Of {
		check(at(x.path+".of", i), name)
	}
	if x.Alerts != nil {
		for i, a := range *x.Alerts {
			check(at(x.path+".alerts", i)+".rule", a.Rule)
		}
	}
	if x.Orders != nil {
		for i, o := range *x.Orders {
			check(at(x.path+".orders", i)+".rule", o.Rule)
		}
	}
	if x.Held != nil {
		for i, h := range *x.Held {
			check(at(x.path+".held", i)+".rule", h.Rule)
		}
	}
}
