package alerts

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Zone is local time for people: Asia/Shanghai, which has had no summer time
// since 1991.
var Zone = time.FixedZone("Asia/Shanghai", 8*60*60)

// SeasonKinds lists every kind, rising.
var SeasonKinds = []SeasonKind{Prevention, HighDanger, Closure}

// Chinese is the kind's name on screen.
func (k SeasonKind) Chinese() string {
	switch k {
	case Prevention:
		return "防火期"
	case HighDanger:
		return "高火险期"
	case Closure:
		return "封山禁火"
	}
	return string(k)
}

//go:embed seasons/baoding.yaml
var sampleSeasons []byte

// SampleSeasons is the sample season table of Baoding, as YAML.
func SampleSeasons() []byte { return slices.Clone(sampleSeasons) }

type seasonFile struct {
	Version   string        `yaml:"version"`
	Effective string        `yaml:"effective"`
	Seasons   []seasonLine  `yaml:"seasons"`
	Special   []specialLine `yaml:"special"`
}

type seasonLine struct {
	Area string `yaml:"area"`
	Kind string `yaml:"kind"`
	From string `yaml:"from"`
	To   string `yaml:"to"`
	Year int    `yaml:"year"`
}

// ParseSeasons reads a season table in YAML and checks it as a whole: the error
// names every fault with its line. Unknown keys are faults.
func ParseSeasons(data []byte) (SeasonTable, error) {
	doc, err := parseYAML("season table", data)
	if err != nil {
		return SeasonTable{}, err
	}
	var f seasonFile
	if err := doc.decode(&f); err != nil {
		return SeasonTable{}, err
	}
	c := seasonCheck{doc}
	t := c.table(f)
	return t, errors.Join(c.faults...)
}

type seasonCheck struct{ yamlDocument }

func (c *seasonCheck) table(f seasonFile) SeasonTable {
	t := SeasonTable{Version: f.Version}
	if f.Version == "" || len(f.Version) > 100 || strings.TrimSpace(f.Version) != f.Version {
		c.fault("$.version", "version %q: want 1 to 100 characters without blanks around", f.Version)
	}
	day, err := time.ParseInLocation(time.DateOnly, f.Effective, Zone)
	if err != nil {
		c.fault("$.effective", "effective %q: want a day as YYYY-MM-DD", f.Effective)
	}
	t.Effective = day.UTC()
	if len(f.Seasons) == 0 {
		c.fault("$.seasons", "seasons: want at least one")
	}
	seen := make(map[seasonLine]int, len(f.Seasons))
	for i, l := range f.Seasons {
		at := fmt.Sprintf("$.seasons[%d]", i)
		if first, again := seen[l]; again {
			c.fault(at, "the same season as number %d", first+1)
			continue
		}
		seen[l] = i
		c.season(at, l)
		t.Seasons = append(t.Seasons, Season{Area: l.Area, Kind: SeasonKind(l.Kind), From: l.From, To: l.To, Year: l.Year})
	}
	twice := make(map[specialLine]int, len(f.Special))
	for i, l := range f.Special {
		at := fmt.Sprintf("$.special[%d]", i)
		if first, again := twice[l]; again {
			c.fault(at, "the same special day as number %d", first+1)
			continue
		}
		twice[l] = i
		c.special(at, l)
		t.Special = append(t.Special, SpecialDay(l))
	}
	return t
}

func (c *seasonCheck) season(at string, l seasonLine) {
	if !isAreaCode(l.Area) {
		c.fault(at+".area", "area %q: want a code of 6 to 12 digits, in quotes", l.Area)
	}
	if !slices.Contains(SeasonKinds, SeasonKind(l.Kind)) {
		c.fault(at+".kind", "kind %q: want prevention, high_danger or closure", l.Kind)
	}
	if l.Year != 0 && (l.Year < 2000 || l.Year > 2200) {
		c.fault(at+".year", "year %d: want 2000..2200, or none for every year", l.Year)
		return
	}
	for _, end := range []struct{ name, day string }{{"from", l.From}, {"to", l.To}} {
		m, d, ok := monthDay(end.day)
		if !ok {
			c.fault(at+"."+end.name, "%s %q: want a day as MM-DD", end.name, end.day)
			continue
		}
		year := l.Year
		if end.name == "to" && l.To < l.From {
			year++
		}
		if l.Year != 0 && m == time.February && d == 29 && !leap(year) {
			c.fault(at+"."+end.name, "%s 02-29: %d is no leap year", end.name, year)
		}
	}
}

// Check reports the areas of the table that the roster does not have: their
// seasons would never rule.
func (t SeasonTable) Check(areas Areas) error {
	var faults []error
	for _, s := range t.Seasons {
		if _, ok := areas[s.Area]; !ok {
			faults = append(faults, fmt.Errorf("season table: area %s is not in the roster", s.Area))
		}
	}
	for _, s := range t.Special {
		if _, ok := areas[s.Area]; !ok {
			faults = append(faults, fmt.Errorf("season table: special day %s: area %s is not in the roster", s.Name, s.Area))
		}
	}
	return errors.Join(faults...)
}

// KindsOn is the kinds of season, rising, that the area is in on the local day
// (Asia/Shanghai) of the time. The seasons are those of the nearest area, from
// the area upwards, that has recurring ones. A season of one year, of that area
// or one between, takes the place of those of its kind that begin in that year.
func (t SeasonTable) KindsOn(areas Areas, area string, day time.Time) []SeasonKind {
	v := t.For(areas, area)
	return v.Kinds(day)
}

// run is the first and the last day of the run of the season that begins in the
// year. In a year without 29 February a season from that day begins on 1 March,
// and one to that day ends on 28 February; one of that day alone does not come.
func (s *Season) run(year int) (first, last time.Time, ok bool) {
	fm, fd, ok1 := monthDay(s.From)
	tm, td, ok2 := monthDay(s.To)
	if !ok1 || !ok2 {
		return first, last, false
	}
	first = time.Date(year, fm, fd, 0, 0, 0, 0, time.UTC)
	if s.To < s.From {
		year++
	}
	if tm == time.February && td == 29 && !leap(year) {
		td = 28
	}
	last = time.Date(year, tm, td, 0, 0, 0, 0, time.UTC)
	return first, last, !last.Before(first)
}

// monthDay reads MM-DD of a leap year.
func monthDay(s string) (time.Month, int, bool) {
	t, err := time.Parse(time.DateOnly, "2000-"+s)
	return t.Month(), t.Day(), err == nil && len(s) == len("01-02")
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func isAreaCode(s string) bool {
	if len(s) < 6 || len(s) > 12 {
		return false
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil && s[0] != '+'
}
