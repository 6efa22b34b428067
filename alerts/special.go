package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"firewatch/alerts/calendar"
)

// SpecialDay is a rule for days on which people burn things or are out in the
// hills (清明, 五一). It recurs every year. Exactly one of Lunar, Term and Solar
// is set.
type SpecialDay struct {
	Name   string // 中文
	Area   string // area code; areas below inherit it unless they have their own of that name
	Lunar  string // MM-DD of the lunar calendar, not of leap months; the 30th of a month of 29 days is its last
	Term   string // solar term: 清明
	Solar  string // MM-DD
	Before int    // days before it that count too, 0..30
	After  int    // days after it
}

// SpecialRun is one time that a special day comes round.
type SpecialRun struct {
	SpecialDay
	On   time.Time // the day itself, midnight UTC of the local day, as From and To
	From time.Time
	To   time.Time // included
}

// date is midnight UTC of the local day of a time.
func date(t time.Time) time.Time {
	y, m, d := t.In(Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// in is when the day falls in a year: of the lunar calendar for a lunar day,
// else of the Gregorian one. Lunar days and terms are known from 1900 to 2100.
func (s *SpecialDay) in(year int) (SpecialRun, bool) {
	r := SpecialRun{SpecialDay: *s}
	switch {
	case s.Lunar != "":
		m, d, ok := lunarDay(s.Lunar)
		if !ok {
			return r, false
		}
		l := calendar.Date{Year: year, Month: m, Day: d}
		l.Day = min(l.Day, calendar.MonthDays(year, m, false))
		if r.On, ok = l.Gregorian(); !ok {
			return r, false
		}
	case s.Term != "":
		t, ok := calendar.ParseTerm(s.Term)
		if !ok {
			return r, false
		}
		if r.On, ok = t.Day(year); !ok {
			return r, false
		}
	default:
		m, d, ok := monthDay(s.Solar)
		if !ok {
			return r, false
		}
		r.On = time.Date(year, m, d, 0, 0, 0, 0, time.UTC)
	}
	r.From, r.To = r.On.AddDate(0, 0, -s.Before), r.On.AddDate(0, 0, s.After)
	return r, true
}

// Holds reports whether the local day of the time lies in the run.
func (r *SpecialRun) Holds(t time.Time) bool {
	d := date(t)
	return !d.Before(r.From) && !d.After(r.To)
}

// Reason says in Chinese what the day of the time is to the special day:
// 清明前 2 天（04-05，节气）.
func (r *SpecialRun) Reason(t time.Time) string {
	n := int(r.On.Sub(date(t)) / (24 * time.Hour))
	when := r.Name + "当天"
	switch {
	case n > 0:
		when = fmt.Sprintf("%s前 %d 天", r.Name, n)
	case n < 0:
		when = fmt.Sprintf("%s后 %d 天", r.Name, -n)
	}
	kind := "公历"
	switch {
	case r.Term != "":
		kind = "节气"
	case r.Lunar != "":
		kind = "农历"
		if l, ok := calendar.OfTime(r.On); ok {
			kind += l.String()
		}
	}
	return fmt.Sprintf("%s（%s，%s）", when, r.On.Format("01-02"), kind)
}

// specialsOn are the runs that hold the day, the one whose own day is nearest
// first.
func specialsOn(days []SpecialDay, t time.Time) []SpecialRun {
	today := date(t)
	var out []SpecialRun
	for i := range days {
		for y := today.Year() - 1; y <= today.Year()+1; y++ {
			if r, ok := days[i].in(y); ok && r.Holds(t) {
				out = append(out, r)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b SpecialRun) int {
		return cmp.Or(cmp.Compare(a.On.Sub(today).Abs(), b.On.Sub(today).Abs()), a.On.Compare(b.On))
	})
	return out
}

// SpecialOn is the Chinese name of the special day that the area has on the
// local day (Asia/Shanghai) of the time, of several the one whose own day is
// nearest; empty: none.
func (t *SeasonTable) SpecialOn(areas Areas, area string, day time.Time) (name string) {
	if len(t.Special) == 0 {
		return ""
	}
	if runs := specialsOn(t.specials(areaChain(areas, area)), day); len(runs) > 0 {
		return runs[0].Name
	}
	return ""
}

// specials are the special days of an area: its own, and those of the areas
// above that have another name.
func (t *SeasonTable) specials(chain []string) []SpecialDay {
	var out []SpecialDay
	for _, code := range chain {
		var own []SpecialDay
		for _, s := range t.Special {
			if s.Area == code && !slices.ContainsFunc(out, func(o SpecialDay) bool { return o.Name == s.Name }) {
				own = append(own, s)
			}
		}
		out = append(out, own...)
	}
	return out
}

// areaChain is the codes of an area and those above it. One that the roster does
// not have stands alone: only what it has itself is known.
func areaChain(areas Areas, area string) []string {
	var chain []string
	for _, a := range areas.Chain(area) {
		chain = append(chain, a.Code)
	}
	if len(chain) == 0 && area != "" {
		chain = []string{area}
	}
	return chain
}

// lunarDay reads MM-DD of the lunar calendar.
func lunarDay(s string) (month, day int, ok bool) {
	if len(s) != len("01-02") || s[2] != '-' {
		return 0, 0, false
	}
	for _, i := range [4]int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, 0, false
		}
	}
	month, day = int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	return month, day, month >= 1 && month <= 12 && day >= 1 && day <= 30
}

type specialLine struct {
	Name   string `yaml:"name"`
	Area   string `yaml:"area"`
	Lunar  string `yaml:"lunar"`
	Term   string `yaml:"term"`
	Solar  string `yaml:"solar"`
	Before int    `yaml:"before"`
	After  int    `yaml:"after"`
}

const maxAround = 30 // days before and after

func (c *seasonCheck) special(at string, l specialLine) {
	if l.Name == "" || utf8.RuneCountInString(l.Name) > 20 || strings.ContainsFunc(l.Name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		c.fault(at+".name", "name %q: want 1 to 20 characters without blanks", l.Name)
	}
	if !isAreaCode(l.Area) {
		c.fault(at+".area", "area %q: want a code of 6 to 12 digits, in quotes", l.Area)
	}
	set := 0
	for _, r := range []string{l.Lunar, l.Term, l.Solar} {
		if r != "" {
			set++
		}
	}
	if set != 1 {
		c.fault(at, "want exactly one of lunar, term and solar")
	}
	if _, _, ok := lunarDay(l.Lunar); l.Lunar != "" && !ok {
		c.fault(at+".lunar", "lunar %q: want a day as MM-DD, up to 12-30", l.Lunar)
	}
	if _, ok := calendar.ParseTerm(l.Term); l.Term != "" && !ok {
		c.fault(at+".term", "term %q: want one of the 24 solar terms in simplified Chinese, like 清明", l.Term)
	}
	if m, d, ok := monthDay(l.Solar); l.Solar != "" && (!ok || m == time.February && d == 29) {
		c.fault(at+".solar", "solar %q: want a day as MM-DD that every year has", l.Solar)
	}
	for _, n := range []struct {
		name string
		days int
	}{{"before", l.Before}, {"after", l.After}} {
		if n.days < 0 || n.days > maxAround {
			c.fault(at+"."+n.name, "%s %d: want 0 to %d days", n.name, n.days, maxAround)
		}
	}
}
