package calendar

import (
	"fmt"
	"time"
)

// The days that are known: 1 January 1900, the first day of the 12th month of
// the lunar year 1899, to 31 December 2100.
const (
	FirstYear = 1900
	LastYear  = 2100

	firstLunarYear = FirstYear - 1
)

// Date is a day of the lunar calendar.
type Date struct {
	Year  int // the Gregorian year in which the lunar year begins
	Month int // 1..12
	Leap  bool
	Day   int // 1..30
}

// day is midnight UTC of a calendar day, in days since 1970.
func day(year int, month time.Month, d int) int {
	return int(time.Date(year, month, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// Of is the lunar day of a Gregorian calendar day; false: it is not known.
func Of(year int, month time.Month, d int) (Date, bool) {
	n := day(year, month, d)
	if n < day(FirstYear, time.January, 1) || n > day(LastYear, time.December, 31) {
		return Date{}, false
	}
	y := time.Unix(int64(n)*86400, 0).UTC().Year()
	if n < newYear(y) {
		y--
	}
	left := n - newYear(y)
	for i := range months(y) {
		if left < length(y, i) {
			m, leap := name(y, i)
			return Date{y, m, leap, left + 1}, true
		}
		left -= length(y, i)
	}
	return Date{}, false
}

// OfTime is the lunar day of the calendar day that the time has in its own
// location.
func OfTime(t time.Time) (Date, bool) { return Of(t.Date()) }

// Gregorian is midnight UTC of the day; false: there is no such day, or it is
// not known.
func (d Date) Gregorian() (time.Time, bool) {
	if d.Year < firstLunarYear || d.Year > LastYear || d.Day < 1 || d.Day > MonthDays(d.Year, d.Month, d.Leap) {
		return time.Time{}, false
	}
	n := newYear(d.Year)
	for i := range months(d.Year) {
		if m, leap := name(d.Year, i); m == d.Month && leap == d.Leap {
			n += d.Day - 1
			break
		}
		n += length(d.Year, i)
	}
	t := time.Unix(int64(n)*86400, 0).UTC()
	return t, n >= day(FirstYear, time.January, 1) && n <= day(LastYear, time.December, 31)
}

// LeapMonth is the month of the lunar year that is repeated; 0: none is, or the
// year is not known.
func LeapMonth(year int) int {
	if year < firstLunarYear || year > LastYear {
		return 0
	}
	return int(years[year-firstLunarYear] >> 13 & 0xf)
}

// MonthDays is how many days the month has, 29 or 30; 0: there is no such month.
func MonthDays(year, month int, leap bool) int {
	if year < firstLunarYear || year > LastYear || month < 1 || month > 12 || leap && LeapMonth(year) != month {
		return 0
	}
	i := month - 1
	if l := LeapMonth(year); leap || l != 0 && month > l {
		i++
	}
	return length(year, i)
}

// newYear is the first day of a lunar year, months how many months it has,
// length the days of the one at the index, and name which month that is. The year
// is one of the table.
func newYear(y int) int { return day(y, time.January, 20) + int(years[y-firstLunarYear]>>17) }

func months(y int) int {
	if LeapMonth(y) > 0 {
		return 13
	}
	return 12
}

func length(y, i int) int { return 29 + int(years[y-firstLunarYear]>>i&1) }

func name(y, i int) (month int, leap bool) {
	l := LeapMonth(y)
	if l == 0 || i < l {
		return i + 1, false
	}
	return i, i == l
}

var (
	monthNames = [...]string{"正月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "冬月", "腊月"}
	dayNames   = [...]string{
		"初一", "初二", "初三", "初四", "初五", "初六", "初七", "初八", "初九", "初十", "十一", "十二", "十三", "十四", "十五",
		"十六", "十七", "十八", "十九", "二十", "廿一", "廿二", "廿三", "廿四", "廿五", "廿六", "廿七", "廿八", "廿九", "三十",
	}
)

// String names the day without its year: 闰六月初一.
func (d Date) String() string {
	if d.Month < 1 || d.Month > 12 || d.Day < 1 || d.Day > 30 {
		return fmt.Sprintf("%d-%d-%d", d.Year, d.Month, d.Day)
	}
	leap := ""
	if d.Leap {
		leap = "闰"
	}
	return leap + monthNames[d.Month-1] + dayNames[d.Day-1]
}
