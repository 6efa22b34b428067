package calendar

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// These tests make the calendar a second time, from the series for new moons
// and for the sun in J. Meeus, Astronomical Algorithms (2nd edition, chapters 49
// and 25), and compare every month and term with the table. What the series put
// nearer to midnight than they are exact is taken from the table.

const (
	moonExact = 4 * time.Minute  // the series is good to seconds, future ΔT to minutes
	sunExact  = 18 * time.Minute // 0.01° of solar longitude, and ΔT
)

func sind(deg float64) float64 { return math.Sin(deg * math.Pi / 180) }

// deltaT is TT − UT in seconds, roughly.
func deltaT(year float64) float64 {
	years := []float64{1890, 1900, 1910, 1920, 1930, 1950, 1970, 1990, 2010, 2025, 2110}
	secs := []float64{-6, -3, 10, 21, 24, 29, 40, 57, 66, 69, 150}
	i := 1
	for i < len(years)-1 && year > years[i] {
		i++
	}
	return secs[i-1] + (secs[i]-secs[i-1])*(year-years[i-1])/(years[i]-years[i-1])
}

// china turns a Julian ephemeris day into the clock of China, kept as if it were
// UTC.
func china(jde float64) time.Time {
	days := jde - 2440587.5
	ut := time.Unix(0, 0).UTC().Add(time.Duration(days * 86400e9))
	ut = ut.Add(-time.Duration(deltaT(float64(ut.Year())+float64(ut.YearDay())/365) * 1e9))
	zone := 8 * time.Hour
	if ut.Before(time.Date(1928, 12, 31, 16, 0, 0, 0, time.UTC)) {
		zone = 7*time.Hour + 45*time.Minute + 40*time.Second
	}
	return ut.Add(zone)
}

func newMoon(k float64) time.Time {
	t := k / 1236.85
	e := 1 - 0.002516*t - 0.0000074*t*t
	m := 2.5534 + 29.10535670*k - 0.0000014*t*t
	p := 201.5643 + 385.81693528*k + 0.0107582*t*t + 0.00001238*t*t*t
	f := 160.7108 + 390.67050284*k - 0.0016118*t*t
	o := 124.7746 - 1.56375588*k + 0.0020672*t*t
	jde := 2451550.09766 + 29.530588861*k + 0.00015437*t*t - 0.000000150*t*t*t
	for _, x := range [][2]float64{
		{-0.40720, p},
		{0.17241 * e, m},
		{0.01608, 2 * p},
		{0.01039, 2 * f},
		{0.00739 * e, p - m},
		{-0.00514 * e, p + m},
		{0.00208 * e * e, 2 * m},
		{-0.00111, p - 2*f},
		{-0.00057, p + 2*f},
		{0.00056 * e, 2*p + m},
		{-0.00042, 3 * p},
		{0.00042 * e, m + 2*f},
		{0.00038 * e, m - 2*f},
		{-0.00024 * e, 2*p - m},
		{-0.00017, o},
		{-0.00007, p + 2*m},
		{0.00004, 2*p - 2*f},
		{0.00004, 3 * m},
		{0.00003, p + m - 2*f},
		{0.00003, 2*p + 2*f},
		{-0.00003, p + m + 2*f},
		{0.00003, p - m + 2*f},
		{-0.00002, p - m - 2*f},
		{-0.00002, 3*p + m},
		{0.00002, 4 * p},
		{0.000325, 299.77 + 0.107408*k - 0.009173*t*t},
		{0.000165, 251.88 + 0.016321*k},
		{0.000164, 251.83 + 26.651886*k},
		{0.000126, 349.42 + 36.412478*k},
		{0.000110, 84.66 + 18.206239*k},
		{0.000062, 141.74 + 53.303771*k},
		{0.000060, 207.14 + 2.453732*k},
		{0.000056, 154.84 + 7.306860*k},
		{0.000047, 34.52 + 27.261239*k},
		{0.000042, 207.19 + 0.121824*k},
		{0.000040, 291.34 + 1.844379*k},
		{0.000037, 161.72 + 24.198154*k},
		{0.000035, 239.56 + 25.513099*k},
		{0.000023, 331.55 + 3.592518*k},
	} {
		jde += x[0] * sind(x[1])
	}
	return china(jde)
}

// sun is its apparent longitude, in degrees.
func sun(jde float64) float64 {
	t := (jde - 2451545) / 36525
	m := 357.52911 + 35999.05029*t - 0.0001537*t*t
	c := (1.914602-0.004817*t)*sind(m) + (0.019993-0.000101*t)*sind(2*m) + 0.000289*sind(3*m)
	l := 280.46646 + 36000.76983*t + 0.0003032*t*t + c - 0.00569 - 0.00478*sind(125.04-1934.136*t)
	return math.Mod(math.Mod(l, 360)+360, 360)
}

func solarTerm(year int, term Term) time.Time {
	want := math.Mod(285+15*float64(term), 360)
	jde := 2440587.5 + float64(day(year, time.January, 5)) + 15.2184*float64(term)
	for range 20 {
		off := math.Mod(want-sun(jde)+540, 360) - 180
		jde += off * 365.2422 / 360
	}
	return china(jde)
}

// fromMidnight is how far the clock is from the nearest midnight.
func fromMidnight(t time.Time) time.Duration {
	d := t.Sub(t.Truncate(24 * time.Hour))
	return min(d, 24*time.Hour-d)
}

func dayOf(t time.Time) int { return day(t.Date()) }

func TestTermsAsMeeusHasThem(t *testing.T) {
	compared, near := 0, 0
	for year := FirstYear; year <= LastYear; year++ {
		for term := range Term(Terms) {
			got, ok := term.Day(year)
			if !ok {
				t.Fatalf("%d %s is not known", year, term)
			}
			want := solarTerm(year, term)
			if fromMidnight(want) < sunExact {
				near++
				if d := got.Sub(want); d > sunExact || d < -24*time.Hour-sunExact {
					t.Errorf("%d %s: %s, computed %s", year, term, got.Format(time.DateOnly), want)
				}
				continue
			}
			compared++
			if dayOf(got) != dayOf(want) {
				t.Errorf("%d %s: %s, computed %s", year, term, got.Format(time.DateOnly), want)
			}
		}
	}
	t.Logf("%d terms compared to the day, %d too near to midnight for it", compared, near)
	if near > 180 {
		t.Errorf("%d terms are too near to midnight", near)
	}
}

func TestMonthsAsMeeusAndTheRulesHaveThem(t *testing.T) {
	known := map[int]Date{} // by the first day
	for n := day(FirstYear, time.January, 1); n <= day(LastYear, time.December, 31); n++ {
		if d, ok := Of(time.Unix(int64(n)*86400, 0).UTC().Date()); ok && d.Day == 1 {
			known[n] = d
		}
	}
	// the first days of months
	var moons []int
	near := 0
	for k := math.Floor(-101 * 12.3685); k < 102*12.3685; k++ {
		at := newMoon(k)
		n := dayOf(at)
		if fromMidnight(at) < moonExact {
			near++
			for _, other := range []int{n - 1, n + 1} {
				if _, is := known[other]; is {
					n = other
				}
			}
		}
		moons = append(moons, n)
	}
	// the day on which the published calendar of 1906 differs from the computed one
	if i := slices.Index(moons, day(1906, time.April, 23)); i >= 0 {
		moons[i]++
	}
	major := map[int]bool{}
	for year := FirstYear; year <= LastYear; year++ {
		for term := Term(1); term < Terms; term += 2 {
			at, _ := term.Day(year) // compared above
			major[dayOf(at)] = true
		}
	}
	winter := func(year int) int { // the index of the month with the winter solstice
		at, _ := Dongzhi.Day(year)
		i, exact := slices.BinarySearch(moons, dayOf(at))
		if !exact {
			i--
		}
		return i
	}
	compared := 0
	for year := FirstYear + 1; year <= LastYear; year++ {
		from, to := winter(year-1), winter(year)
		month, leapt := 10, false
		for i := from; i < to; i++ {
			has := false
			for n := moons[i]; n < moons[i+1]; n++ {
				has = has || major[n]
			}
			leap := to-from == 13 && !has && !leapt
			if leapt = leapt || leap; !leap {
				month++
			}
			want := Date{Year: year - 1, Month: (month-1)%12 + 1, Leap: leap, Day: 1}
			if month > 12 {
				want.Year = year
			}
			compared++
			if got, ok := known[moons[i]]; !ok || got != want {
				t.Errorf("month from %s: %+v, computed %+v", time.Unix(int64(moons[i])*86400, 0).UTC().Format(time.DateOnly), got, want)
			}
		}
	}
	t.Logf("%d months compared, %d new moons within %s of midnight", compared, near, moonExact)
	if compared < 2470 || near > 25 {
		t.Error("that is no comparison: " + fmt.Sprint(compared, near))
	}
}
