package calendar

import (
	"slices"
	"time"
)

// Term is a solar term, in the order of the Gregorian year. The sun's apparent
// longitude at 小寒 is 285°, and 15° more at each later one.
type Term uint8

// Terms is how many solar terms there are.
const Terms = 24

// The terms that are named here are those that rules speak of; all have a name.
const (
	Xiaohan  Term = 0  // 小寒
	Qingming Term = 6  // 清明
	Dongzhi  Term = 23 // 冬至
)

var termNames = [Terms]string{
	"小寒", "大寒", "立春", "雨水", "惊蛰", "春分", "清明", "谷雨", "立夏", "小满", "芒种", "夏至",
	"小暑", "大暑", "立秋", "处暑", "白露", "秋分", "寒露", "霜降", "立冬", "小雪", "大雪", "冬至",
}

// String is the term's Chinese name.
func (t Term) String() string {
	if int(t) >= len(termNames) {
		return ""
	}
	return termNames[t]
}

// ParseTerm finds the term of a Chinese name.
func ParseTerm(name string) (Term, bool) {
	i := slices.Index(termNames[:], name)
	return Term(max(i, 0)), i >= 0 //nolint:gosec // below 24
}

// Day is midnight UTC of the calendar day on which the term falls in the
// Gregorian year; false: it is not known.
func (t Term) Day(year int) (time.Time, bool) {
	if year < FirstYear || year > LastYear || t >= Terms {
		return time.Time{}, false
	}
	d := int(termFirst[t]) + int(terms[year-FirstYear]>>(2*t)&3)
	return time.Date(year, time.January+time.Month(t/2), d, 0, 0, 0, 0, time.UTC), true
}

// TermOn is the solar term that falls on the calendar day; false: none does, or
// it is not known.
func TermOn(year int, month time.Month, d int) (Term, bool) {
	if month < time.January || month > time.December {
		return 0, false
	}
	for _, t := range [2]Term{Term(2 * (month - 1)), Term(2*(month-1) + 1)} {
		if at, ok := t.Day(year); ok && at.Day() == d {
			return t, true
		}
	}
	return 0, false
}
