package calendar

import (
	"bufio"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testdata/months.txt has the first day of each month, and testdata/terms.txt
// the days of the 24 terms of each year, as lunar-javascript 1.7.7 (MIT, 6tail)
// gives them: it follows Xu Jianwei's 寿星天文历 and the calendars that were
// published. The table was made from other computations (VSOP87 and the moon of
// astronomy-engine 2.1.19); only the two months that the package comment names
// were put where this list has them.
var (
	//go:embed testdata/months.txt
	publishedMonths string
	//go:embed testdata/terms.txt
	publishedTerms string
)

func mustDay(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every day of two centuries is that of the published calendar.
func TestEveryDayIsAsPublished(t *testing.T) {
	var first time.Time
	var month Date
	days := 0
	for lines := bufio.NewScanner(strings.NewReader(publishedMonths)); lines.Scan(); {
		var next Date
		var sign rune
		date, label, _ := strings.Cut(lines.Text(), " ")
		if _, err := fmt.Sscanf(label, "%4d%c%2d", &next.Year, &sign, &next.Month); err != nil {
			t.Fatal(err)
		}
		next.Leap = sign == '+'
		begin := mustDay(t, date)
		for d := first; !first.IsZero() && d.Before(begin) && d.Year() <= LastYear; d = d.AddDate(0, 0, 1) {
			want := month
			want.Day = int(d.Sub(first)/(24*time.Hour)) + 1
			got, ok := OfTime(d)
			if !ok || got != want {
				t.Fatalf("%s: %+v, want %+v", d.Format(time.DateOnly), got, want)
			}
			if back, ok := got.Gregorian(); !ok || !back.Equal(d) {
				t.Fatalf("%+v is %s, want %s", got, back, d)
			}
			days++
		}
		first, month = begin, next
	}
	if want := int(mustDay(t, "2101-01-01").Sub(mustDay(t, "1900-01-01")) / (24 * time.Hour)); days != want {
		t.Errorf("%d days compared, want %d", days, want)
	}
}

// The terms differ from that library on seven days before 1929, where it does
// not keep to one meridian, and on none since.
func TestEveryTermIsAsPublished(t *testing.T) {
	differ := map[string]string{
		"1909 大寒": "20 21", "1911 立夏": "6 7", "1912 小寒": "6 7", "1912 寒露": "8 9", "1917 大雪": "7 8", "1927 白露": "8 9", "1928 夏至": "21 22",
	}
	years := 0
	for lines := bufio.NewScanner(strings.NewReader(publishedTerms)); lines.Scan(); years++ {
		f := strings.Fields(lines.Text())
		year, _ := strconv.Atoi(f[0])
		for term := range Term(Terms) {
			got, ok := term.Day(year)
			if !ok {
				t.Fatalf("%d %s is not known", year, term)
			}
			key := fmt.Sprintf("%d %s", year, term)
			if both := fmt.Sprintf("%d %s", got.Day(), f[1+term]); fmt.Sprint(got.Day()) != f[1+term] && differ[key] != both {
				t.Errorf("%s: %s", key, both)
			}
			if on, ok := TermOn(year, got.Month(), got.Day()); !ok || on != term {
				t.Errorf("%s: on its day there is %s", key, on)
			}
		}
	}
	if years != LastYear-FirstYear+1 {
		t.Errorf("%d years", years)
	}
}

// Days that people know, among them those on which calendars go wrong.
func TestKnownDays(t *testing.T) {
	for _, tt := range []struct{ day, want string }{
		{"1900-01-31", "1900 正月初一"},
		{"1900-01-30", "1899 腊月三十"},
		{"1900-01-01", "1899 腊月初一"},
		{"1906-04-24", "1906 四月初一"},  // the computed new moon is of the 23rd
		{"1914-11-17", "1914 十月初一"},  // at UTC+8 it would be the 18th
		{"1916-02-03", "1916 正月初一"},  // at UTC+8 the 4th
		{"1920-11-10", "1920 十月初一"},  // at UTC+8 the 11th
		{"1933-07-22", "1933 闰五月三十"}, // leap 5th, of 30 days
		{"1949-10-01", "1949 八月初十"},
		{"1978-09-03", "1978 八月初一"}, // some calendars had the 2nd
		{"1979-01-28", "1979 正月初一"},
		{"1984-02-02", "1984 正月初一"},
		{"1984-11-23", "1984 闰十月初一"},
		{"1985-02-20", "1985 正月初一"}, // with a month of two major terms before it
		{"1989-02-06", "1989 正月初一"},
		{"2000-02-05", "2000 正月初一"},
		{"2020-05-23", "2020 闰四月初一"},
		{"2023-03-22", "2023 闰二月初一"},
		{"2024-02-10", "2024 正月初一"},
		{"2025-07-25", "2025 闰六月初一"},
		{"2026-02-17", "2026 正月初一"},
		{"2026-03-03", "2026 正月十五"},
		{"2026-08-27", "2026 七月十五"},
		{"2026-11-09", "2026 十月初一"},
		{"2033-08-25", "2033 八月初一"},  // the problem of 2033: no leap 7th
		{"2033-12-22", "2033 闰冬月初一"}, // but a leap 11th
		{"2034-01-20", "2033 腊月初一"},
		{"2034-02-19", "2034 正月初一"},
		{"2057-09-28", "2057 八月三十"}, // see the package's comment
		{"2057-09-29", "2057 九月初一"},
		{"2089-09-04", "2089 八月初一"},
		{"2097-08-07", "2097 七月初一"}, // see the package's comment
		{"2100-12-31", "2100 腊月初一"},
	} {
		d, ok := OfTime(mustDay(t, tt.day))
		if got := fmt.Sprintf("%d %s", d.Year, d); !ok || got != tt.want {
			t.Errorf("%s: %s, want %s", tt.day, got, tt.want)
		}
	}
	for _, tt := range []struct {
		term Term
		days string
	}{
		{Qingming, "1900-04-05 1903-04-06 1911-04-06 1943-04-06 1944-04-05 1976-04-04 1980-04-04 2000-04-04 2020-04-04 2023-04-05 2024-04-04 2025-04-04 2026-04-05 2027-04-05 2050-04-04 2100-04-05"},
		{Dongzhi, "1918-12-22 1951-12-23 2021-12-21 2024-12-21 2026-12-22"},
	} {
		for want := range strings.FieldsSeq(tt.days) {
			d := mustDay(t, want)
			if got, ok := tt.term.Day(d.Year()); !ok || !got.Equal(d) {
				t.Errorf("%s: %s, want %s", tt.term, got.Format(time.DateOnly), want)
			}
		}
	}
	for _, tt := range []struct{ year, month int }{{1900, 8}, {1903, 5}, {1984, 10}, {2020, 4}, {2023, 2}, {2025, 6}, {2028, 5}, {2033, 11}, {2034, 0}, {2026, 0}} {
		if got := LeapMonth(tt.year); got != tt.month {
			t.Errorf("leap month of %d: %d, want %d", tt.year, got, tt.month)
		}
	}
}

func TestWhatIsNotKnown(t *testing.T) {
	for _, d := range []string{"1899-12-31", "2101-01-01", "1600-01-01", "9999-12-31"} {
		if got, ok := OfTime(mustDay(t, d)); ok {
			t.Errorf("%s: %+v", d, got)
		}
	}
	for _, d := range []Date{
		{1898, 1, false, 1},
		{1899, 11, false, 1},
		{2101, 1, false, 1},
		{2100, 12, false, 2},
		{2026, 0, false, 1},
		{2026, 13, false, 1},
		{2026, 1, true, 1},
		{2026, 1, false, 0},
		{2026, 1, false, 31},
		{2025, 12, false, 30},
		{},
	} {
		if got, ok := d.Gregorian(); ok {
			t.Errorf("%+v: %s", d, got)
		}
	}
	if _, ok := Qingming.Day(1899); ok {
		t.Error("清明 of 1899 is known")
	}
	if _, ok := Term(24).Day(2026); ok || Term(24).String() != "" {
		t.Error("there is a 25th term")
	}
	if _, ok := TermOn(2026, 13, 1); ok {
		t.Error("there is a 13th month")
	}
	if _, ok := ParseTerm("清晨"); ok {
		t.Error("清晨 is a term")
	}
	for term := range Term(Terms) {
		if got, ok := ParseTerm(term.String()); !ok || got != term {
			t.Errorf("%s is %v", term, got)
		}
	}
	if LeapMonth(1898) != 0 || LeapMonth(2101) != 0 || MonthDays(2025, 12, false) != 29 || MonthDays(2025, 6, true) != 29 || MonthDays(2025, 5, true) != 0 {
		t.Error("lengths of months")
	}
}
