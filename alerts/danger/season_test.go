package danger

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Figures computed apart from this code from the printed equations.
func TestHourlyFFMC(t *testing.T) {
	for _, tt := range []struct {
		name string
		prev float64
		in   Hour
		book bool
		want float64
	}{
		{"drying", 85, Hour{20, 40, 10, 0, 0}, false, 85.5738581},
		{"wetting at night", 90, Hour{8, 95, 3, 0, 1}, false, 88.5629465},
		{"in between", 86, Hour{15, 50, 5, 0, 1}, false, 86.0525479},
		{"a little rain counts", 85, Hour{12, 90, 5, 0.2, 1}, false, 80.0958292},
		{"rain on wet litter", 10, Hour{12, 95, 5, 8, 1}, false, 2.78846449},
		{"saturated air", 80, Hour{10, 100, 5, 0, 1}, false, 79.1693805},
		{"half an hour", 85, Hour{20, 40, 10, 0, 0.5}, false, 85.2973501},
		{"the book's constant", 85, Hour{20, 40, 10, 0, 1}, true, 85.6209738},
	} {
		r, err := NextHour(tt.prev, 40, tt.in, Options{BookConstants: tt.book})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if math.Abs(r.FFMC-tt.want) > 1e-6*tt.want+1e-12 {
			t.Errorf("%s: %.9g, want %.9g", tt.name, r.FFMC, tt.want)
		}
	}
}

// A day's indices and an hour's are the same function of FFMC, wind and BUI.
func TestHourlyIndicesAgreeWithTheDaysOwn(t *testing.T) {
	o := Options{Latitude: 39, Month: 4}
	day, err := Next(Start, Noon{TempC: 22, RHPct: 25, WindKMH: 20}, o)
	if err != nil {
		t.Fatal(err)
	}
	// Weather in balance with the litter: no time passes for it.
	h, err := NextHour(day.FFMC, day.BUI, Hour{TempC: 22, RHPct: 25, WindKMH: 20, Hours: 0.01}, o)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(h.ISI-day.ISI) > 0.01*day.ISI || math.Abs(h.FWI-day.FWI) > 0.01*day.FWI || math.Abs(h.DSR-day.DSR) > 0.02*day.DSR {
		t.Errorf("%+v, the day has %+v", h, day)
	}
}

func TestTwoHalfHoursAreOneHour(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNoon(t)
		h := Hour{TempC: in.TempC, RHPct: in.RHPct, WindKMH: in.WindKMH}
		start := rapid.Float64Range(0, 101).Draw(t, "ffmc")
		one, err := NextHour(start, 0, h, Options{})
		if err != nil {
			t.Fatal(err)
		}
		h.Hours = 0.5
		half, err := NextHour(start, 0, h, Options{})
		if err != nil {
			t.Fatal(err)
		}
		two, err := NextHour(half.FFMC, 0, h, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(one.FFMC-two.FFMC) > 1e-6 {
			t.Fatalf("%g in one step, %g in two", one.FFMC, two.FFMC)
		}
	})
}

func TestOverwinterDC(t *testing.T) {
	for _, tt := range []struct {
		w    Winter
		want float64
	}{
		{Winter{300, 110, 0, 0}, 109.465692},
		{Winter{300, 110, 1, 0.9}, 16.3531516},
		{Winter{400, 99, 0.75, 0.75}, 177.521805},
		{Winter{250, 200, 0.75, 0.75}, 15},
		{Winter{600, 20, 0.75, 0.75}, 568.814015},
		{Winter{15, 0, 1, 1}, 15},
		{Winter{500, 0, 0.5, 0.5}, 777.258872},
	} {
		got, err := OverwinterDC(tt.w)
		if err != nil || math.Abs(got-tt.want) > 1e-6*tt.want {
			t.Errorf("%+v: %.9g, %v; want %.9g", tt.w, got, err, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		w := Winter{
			LastDC:    rapid.Float64Range(0, maxCode).Draw(t, "dc"),
			RainMM:    rapid.Float64Range(0, maxWinterRainMM-1).Draw(t, "rain"),
			CarryOver: rapid.Float64Range(0.01, 1).Draw(t, "a"),
			Wetting:   rapid.Float64Range(0.01, 1).Draw(t, "b"),
		}
		dc, err := OverwinterDC(w)
		if err != nil || !finite(dc) || dc < 15 {
			t.Fatalf("%g, %v", dc, err)
		}
		w.RainMM++
		if wetter, err := OverwinterDC(w); err != nil || wetter > dc {
			t.Fatalf("%g, with a millimetre more %g, %v", dc, wetter, err)
		}
	})
}

func TestSeasonOpensAndClosesAfterThreeDays(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name string
		days []float64 // maxima, °C
		open string    // on the day after each: o open, - closed
	}{
		{"three warm days open it", []float64{12.1, 13, 20, 8}, "--oo"},
		{"12 is not above 12", []float64{13, 13, 12, 13, 13, 13}, "-----o"},
		{"two cold days do not close it", []float64{13, 13, 13, 4, 4, 5, 4, 4, 4}, "--oooooo-"},
		{"a missing day breaks a run", []float64{13, 13, nan, 13, 13, 13, 4, 4, nan, 4, 4, 4, nan}, "-----oooooo--"},
		{"it opens again", []float64{13, 13, 13, 0, 0, 0, 13, 13, 13}, "--ooo---o"},
		{"a long run is one opening", []float64{13, 13, 13, 13, 13, 13}, "--oooo"},
	} {
		s, got := SeasonState{}, ""
		for _, d := range tt.days {
			var err error
			if s, err = s.Next(d); err != nil {
				t.Fatal(err)
			}
			if s.Open {
				got += "o"
			} else {
				got += "-"
			}
		}
		if got != tt.open {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.open)
		}
	}
}
