package danger

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"
)

// hour is one row of the Huairou series; NaN is NA.
type hour struct{ temp, dew, rain, wind float64 }

// huairou is the hourly series of 2013-03-01 to 2017-02-28, local time.
func huairou(tb testing.TB) (first Date, hours []hour) {
	tb.Helper()
	rows := testdata(tb, "weather/PRSA_Data_Huairou_20130301-20170228.csv")
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	for i, row := range rows[1:] {
		number := func(name string) float64 {
			if row[at[name]] == "NA" {
				return math.NaN()
			}
			v, err := strconv.ParseFloat(row[at[name]], 64)
			if err != nil {
				tb.Fatalf("line %d: %v", i+2, err)
			}
			return v
		}
		day := NewDate(int(number("year")), time.Month(number("month")), int(number("day")))
		if i == 0 {
			first = day
		}
		if int(day-first)*24+int(number("hour")) != i {
			tb.Fatalf("line %d is not the hour after the line before", i+2)
		}
		hours = append(hours, hour{number("TEMP"), number("DEWP"), number("RAIN"), number("WSPM")})
	}
	return first, hours
}

// humidity is relative humidity, %, by the Magnus formula with the figures of
// Alduchov & Eskridge 1996.
func humidity(tempC, dewC float64) float64 {
	const a, b = 17.625, 243.04
	return min(100*math.Exp(a*dewC/(b+dewC)-a*tempC/(b+tempC)), 100)
}

// enough is how many of a day's 24 hours must be there for its sum or extreme.
const enough = 20

// over folds the hours that are there; NaN when too few are.
func over(hours []hour, of func(hour) float64, start float64, fold func(a, b float64) float64) float64 {
	n := 0
	for _, h := range hours {
		if v := of(h); !math.IsNaN(v) {
			start = fold(start, v)
			n++
		}
	}
	if n < enough {
		return math.NaN()
	}
	return start
}

func rainOf(h hour) float64    { return h.rain }
func sum(a, b float64) float64 { return a + b }

func quantile(v []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[int(q*float64(len(s)-1))]
}

// Four years of a real station: each day has a rating, or is a gap that is counted
// here apart from the chain, bridged or restarted as its length says.
func TestHuairouSeriesHasNoGapUnexplained(t *testing.T) {
	first, hours := huairou(t)
	days := len(hours) / 24
	if days != 1461 {
		t.Fatalf("%d days", days)
	}
	var chain FWIChain
	links := map[Link]int{}
	var fwis []float64
	classes := map[int]int{}
	gap, want := 0, map[Link]int{}
	var gaps []int
	// The rain up to the first noon is not in the series: it begins with the second.
	for i := 1; i < days; i++ {
		noon := hours[24*i+12]
		// The 24 h up to noon: the hour of 12:00 holds the rain since 11:00.
		rain := over(hours[24*i-11:24*i+13], rainOf, 0, sum)
		in := Noon{TempC: noon.temp, RHPct: humidity(noon.temp, noon.dew), WindKMH: noon.wind * 3.6, RainMM: rain}
		if math.IsNaN(in.TempC + in.RHPct + in.WindKMH + in.RainMM) {
			gap++
			continue
		}
		switch {
		case len(fwis) == 0:
			want[LinkStart]++
		case gap == 0:
			want[LinkNext]++
		case gap <= 2:
			want[LinkBridged]++
		default:
			want[LinkRestarted]++
		}
		if gap > 0 {
			gaps = append(gaps, gap)
		}
		day, next, err := chain.Next(first+Date(i), in, ChainOptions{Latitude: 40.3})
		if err != nil {
			t.Fatalf("%s: %v", first+Date(i), err)
		}
		if day.Gap != gap {
			t.Errorf("%s: a gap of %d days, the chain says %d", day.Day, gap, day.Gap)
		}
		gap = 0
		if !finite(day.FFMC, day.DMC, day.DC, day.ISI, day.BUI, day.FWI, day.DSR) {
			t.Fatalf("%+v", day)
		}
		links[day.Link]++
		classes[EFFIS(day.FWI)]++
		fwis = append(fwis, day.FWI)
		chain = next
	}
	if !maps.Equal(links, want) {
		t.Errorf("links %v, the gaps of the data ask for %v", links, want)
	}
	summary := fmt.Sprintf("%d rated, gaps %v, %v; FWI median %.1f, p95 %.1f, max %.1f; EFFIS %v",
		len(fwis), gaps, links, quantile(fwis, 0.5), quantile(fwis, 0.95), slices.Max(fwis), classes)
	t.Log(summary)
	if want := fwiSummary; summary != want {
		t.Errorf("the series has changed:\n%s\nthe README says:\n%s", summary, want)
	}
}

func TestHuairouHTZHasNoGapUnexplained(t *testing.T) {
	first, hours := huairou(t)
	days := len(hours) / 24
	var chain HTZChain
	levels, links := map[int]int{}, map[Link]int{}
	var unrated []string
	missing, degraded := 0, 0
	for i := range days {
		today := hours[24*i : 24*i+24]
		in := HTZDay{
			TempMaxC: over(today, func(h hour) float64 { return h.temp }, math.Inf(-1), math.Max),
			RHMinPct: over(today, func(h hour) float64 { return humidity(h.temp, h.dew) }, math.Inf(1), math.Min),
			RainMM:   over(today, rainOf, 0, sum),
			// The series has hourly means: a day's greatest of them stands for the maximum.
			WindMaxMS: over(today, func(h hour) float64 { return h.wind }, math.Inf(-1), math.Max),
			GreenPct:  math.NaN(),
			SnowPct:   math.NaN(),
		}
		if math.IsNaN(in.TempMaxC + in.RHMinPct + in.RainMM + in.WindMaxMS) {
			missing++
		}
		day, next, err := chain.Next(first+Date(i), in)
		if err != nil {
			t.Fatal(err)
		}
		links[day.Link]++
		levels[day.Level]++
		if !day.Rated {
			unrated = append(unrated, day.Day.String())
		}
		if day.Degraded {
			degraded++
		}
		chain = next
	}
	if missing != len(unrated) || links[LinkStart] != 1 || links[LinkNext] != days-1 {
		t.Errorf("%d days lack a figure, %d are unrated; %v", missing, len(unrated), links)
	}
	summary := fmt.Sprintf("levels %v, unrated %v, degraded %d", levels, unrated, degraded)
	t.Log(summary)
	if want := htzSummary; summary != want {
		t.Errorf("the series has changed:\n%s\nthe README says:\n%s", summary, want)
	}
}

// What README.md tells of the two series.
const (
	fwiSummary = "1454 rated, gaps [1 2 1 1 1], map[bridged:5 next:1448 start:1]; " +
		"FWI median 14.8, p95 44.0, max 105.9; EFFIS map[1:342 2:251 3:356 4:381 5:81 6:43]"
	htzSummary = "levels map[0:3 1:32 2:276 3:463 4:456 5:231], unrated [2015-01-28 2016-09-25 2017-01-19], degraded 27"
)
