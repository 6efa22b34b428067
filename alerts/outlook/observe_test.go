package outlook_test

import (
	"math"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	"firewatch/alerts/outlook"
)

// local is a time of the day, hours and minutes after its local midnight.
func local(day danger.Date, hour, minute int) time.Time {
	return time.Date(1970, 1, 1, hour, minute, 0, 0, alerts.Zone).AddDate(0, 0, int(day)).UTC()
}

func sum(n int, low, high, total float64) outlook.Sum {
	return outlook.Sum{N: n, Min: low, Max: high, Sum: total}
}

// steady is a half hour of even weather.
func steady(at time.Time, temp, rh, wind, rain float64) outlook.Half {
	return outlook.Half{
		Station: "s-1", At: at, TempC: sum(2, temp, temp, 2*temp), RHPct: sum(2, rh, rh, 2*rh), WindMS: sum(2, wind, wind, 2*wind), RainMM: sum(2, 0, rain, rain),
	}
}

func TestObservationOfADay(t *testing.T) {
	o := outlook.NewObserver(day0, local(day0+1, 0, 20))
	from, to := o.Span()
	if !from.Equal(local(day0, -12, 0)) || !to.Equal(local(day0, 24, 0)) {
		t.Fatalf("span %s to %s", from, to)
	}
	for at := from.Add(-outlook.HalfHour); at.Before(to.Add(outlook.HalfHour)); at = at.Add(outlook.HalfHour) {
		h := steady(at, 10, 50, 2, 0.25)
		switch {
		case at.Before(local(day0, 0, 0)) || !at.Before(local(day0, 24, 0)):
			h = steady(at, 40, 1, 30, 1) // of other days
		case at.Equal(local(day0, 11, 30)):
			h = steady(at, 20, 30, 4, 0)
		case at.Equal(local(day0, 12, 0)):
			h = steady(at, 22, 28, 6, 0)
		case at.Equal(local(day0, 14, 0)):
			h.TempC, h.RHPct, h.WindMS = sum(3, 24, 26.5, 75), sum(3, 17, 20, 55), sum(3, 1, 9.5, 15)
		}
		o.Add(h)
	}
	got := o.Observations()["s-1"]
	noon := danger.Noon{TempC: 21, RHPct: 29, WindKMH: 18, RainMM: 24 + 23*0.25} // 12 h of 1 mm by halves, 12 h less one half
	if got.Noon != noon {
		t.Errorf("noon %+v, want %+v", got.Noon, noon)
	}
	if d := got.Day; d.TempMaxC != 26.5 || d.RHMinPct != 17 || d.WindMaxMS != 9.5 || d.RainMM != 46*0.25 || !math.IsNaN(d.GreenPct) {
		t.Errorf("day %+v", d)
	}
	if got.Hours != [4]int{24, 24, 24, 24} || got.NoonRainHours != 24 {
		t.Errorf("hours %v and %d", got.Hours, got.NoonRainHours)
	}
}

// Rain of yesterday is in yesterday's rating: today, while it lasts, is the day
// after it, and not another day of rain.
func TestYesterdaysRainIsNotTodays(t *testing.T) {
	for name, tt := range map[string]struct {
		now  time.Time
		want float64
	}{
		"after midnight": {local(day0, 0, 20), 0},
		"after noon":     {local(day0, 12, 44), 2},
	} {
		o := outlook.NewObserver(day0, tt.now)
		from, to := o.Span()
		for at := from; at.Before(to); at = at.Add(outlook.HalfHour) {
			rain := 0.0
			switch {
			case at.Equal(local(day0-1, 15, 0)):
				rain = 7
			case at.Equal(local(day0, 9, 0)):
				rain = 2
			}
			o.Add(steady(at, 20, 30, 3, rain))
		}
		got := o.Observations()["s-1"]
		if got.Day.RainMM != tt.want || got.Hours != [4]int{24, 24, 24, 24} {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// A station that measures no rain has none that is known.
	o := outlook.NewObserver(day0, local(day0, 12, 44))
	for at := local(day0, -11, 30); at.Before(local(day0, 12, 30)); at = at.Add(outlook.HalfHour) {
		h := steady(at, 20, 30, 3, 0)
		h.RainMM = outlook.Sum{}
		o.Add(h)
	}
	if got := o.Observations()["s-1"]; !math.IsNaN(got.Day.RainMM) {
		t.Errorf("no gauge: %+v", got.Day)
	}
}

// While the day lasts its last 24 hours stand for it.
func TestObservationOfADayThatLasts(t *testing.T) {
	o := outlook.NewObserver(day0, local(day0, 12, 44))
	from, to := o.Span()
	if !from.Equal(local(day0, -12, 0)) || !to.Equal(local(day0, 12, 30)) {
		t.Fatalf("span %s to %s", from, to)
	}
	o.Add(steady(local(day0, -12, 0), 40, 1, 30, 5)) // before the 24 hours, but in those of noon's rain
	for at := local(day0, -12, 30).Add(outlook.HalfHour * 2); at.Before(to); at = at.Add(outlook.HalfHour) {
		temp := 10.0
		if at.Equal(local(day0, -10, 0)) {
			temp = 25 // yesterday afternoon
		}
		o.Add(steady(at, temp, 50, 2, 0))
	}
	got := o.Observations()["s-1"]
	if got.Day.TempMaxC != 25 {
		t.Errorf("day %+v", got.Day)
	}
	if math.IsNaN(got.Noon.TempC) || got.Noon.RainMM != 5 {
		t.Errorf("noon %+v", got.Noon)
	}
}

func TestAPartialDayIsNotEnough(t *testing.T) {
	for hours, enough := range map[int]bool{0: false, 1: false, outlook.MinHours - 1: false, outlook.MinHours: true, 24: true} {
		o := outlook.NewObserver(day0, local(day0+2, 0, 0))
		for h := range hours { // the last ones of the day, and of the 24 hours to noon
			o.Add(steady(local(day0, 23-h, 0), 20, 30, 3, 0))
			o.Add(steady(local(day0, 11-h, 30), 20, 30, 3, 0))
		}
		got, known := o.Observations()["s-1"]
		if known != (hours > 0) || known && math.IsNaN(got.Noon.RainMM) == enough {
			t.Errorf("%d hours: noon %+v", hours, got.Noon)
		}
	}
	// Only the hours of the day itself count, each once.
	o := outlook.NewObserver(day0, local(day0+2, 0, 0))
	for h := range outlook.MinHours - 1 {
		o.Add(steady(local(day0, h, 0), 20, 30, 3, 0))
		o.Add(steady(local(day0, h, 30), 20, 30, 3, 0))
		o.Add(steady(local(day0, 24+h, 0), 20, 30, 3, 0))
	}
	if got := o.Observations()["s-1"]; !math.IsNaN(got.Day.TempMaxC) || got.Hours[0] != outlook.MinHours-1 {
		t.Errorf("%+v", got)
	}
}

// Twenty hours are many, and tell nothing of the heat of the day when those that
// lack are its afternoon.
func TestADayWithoutItsAfternoonIsNotEnough(t *testing.T) {
	for lacking, enough := range map[int]bool{0: true, 2: true, 3: false, 4: false} {
		o := outlook.NewObserver(day0, local(day0+2, 0, 0))
		for h := range 24 {
			if h < 13 || h >= 13+lacking {
				o.Add(steady(local(day0, h, 0), 20, 30, 3, 0))
			}
		}
		got := o.Observations()["s-1"].Day
		if math.IsNaN(got.TempMaxC) == enough || math.IsNaN(got.RHMinPct) == enough || math.IsNaN(got.WindMaxMS) || math.IsNaN(got.RainMM) {
			t.Errorf("%d hours lacking: %+v", lacking, got)
		}
	}
}

func TestNoonIsKnownByTheHourAroundIt(t *testing.T) {
	for name, c := range map[string]struct {
		hour, minute int
		counts       bool
	}{
		"before": {11, 0, false}, "from half past eleven": {11, 30, true}, "to half past twelve": {12, 0, true}, "after": {12, 30, false},
	} {
		o := outlook.NewObserver(day0, local(day0+2, 0, 0))
		o.Add(steady(local(day0, c.hour, c.minute), 20, 30, 3, 0))
		if got := o.Observations()["s-1"]; math.IsNaN(got.Noon.TempC) == c.counts {
			t.Errorf("%s: %+v", name, got.Noon)
		}
	}
}
