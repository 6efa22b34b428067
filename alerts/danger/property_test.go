package danger

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawNoon(t *rapid.T) Noon {
	return Noon{
		TempC:   rapid.Float64Range(minTempC, maxTempC).Draw(t, "temp"),
		RHPct:   rapid.Float64Range(0, 100).Draw(t, "rh"),
		WindKMH: rapid.Float64Range(0, maxWindKMH).Draw(t, "wind"),
		RainMM:  rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 30), rapid.Float64Range(0, maxRainMM)).Draw(t, "rain"),
	}
}

func drawCodes(t *rapid.T) Codes {
	return Codes{
		FFMC: rapid.Float64Range(0, 101).Draw(t, "ffmc"),
		DMC:  rapid.OneOf(rapid.Float64Range(0, 300), rapid.Float64Range(0, maxCode)).Draw(t, "dmc"),
		DC:   rapid.OneOf(rapid.Float64Range(0, 1500), rapid.Float64Range(0, maxCode)).Draw(t, "dc"),
	}
}

func drawOptions(t *rapid.T) Options {
	return Options{
		Latitude:      rapid.Float64Range(-90, 90).Draw(t, "latitude"),
		BookConstants: rapid.Bool().Draw(t, "book"),
		Month:         time.Month(rapid.IntRange(1, 12).Draw(t, "month")),
	}
}

func finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
			return false
		}
	}
	return true
}

func TestEveryAcceptedInputGivesBoundedFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prev, in, o := drawCodes(t), drawNoon(t), drawOptions(t)
		r, err := Next(prev, in, o)
		if err != nil {
			t.Fatal(err)
		}
		if !finite(r.FFMC, r.DMC, r.DC, r.ISI, r.BUI, r.FWI, r.DSR) || r.FFMC > 101 {
			t.Fatalf("%+v", r)
		}
		// A day dries by so much at most: 60 °C, no humidity, the longest day.
		if r.DMC > prev.DMC+17 || r.DC > prev.DC+15 {
			t.Fatalf("%+v after %+v", r.Codes, prev)
		}
		if r.BUI > 2*r.DMC*(1+1e-9) {
			t.Fatalf("BUI %g of DMC %g", r.BUI, r.DMC)
		}
		h, err := NextHour(prev.FFMC, r.BUI, Hour{in.TempC, in.RHPct, in.WindKMH, in.RainMM, rapid.Float64Range(0.01, 3).Draw(t, "hours")}, o)
		if err != nil {
			t.Fatal(err)
		}
		if !finite(h.FFMC, h.ISI, h.FWI, h.DSR) || h.FFMC > 101 {
			t.Fatalf("%+v", h)
		}
		if c := EFFIS(r.FWI); c < 1 || c > 6 {
			t.Fatalf("class %d of %g", c, r.FWI)
		}
	})
}

// The ends of what is accepted, which chance seldom draws together.
func TestEndsOfTheRangesGiveBoundedFigures(t *testing.T) {
	o := Options{Latitude: 39, Month: time.June}
	for _, ffmc := range []float64{0, 50, 101} {
		for _, code := range []float64{0, 1e-300, 33, 65, 1000, maxCode} {
			for _, temp := range []float64{minTempC, -2.8, -1.1, 0, maxTempC} {
				for _, rh := range []float64{0, 5e-324, 50, 99.9999, 100} {
					for _, wind := range []float64{0, maxWindKMH} {
						for _, rain := range []float64{0, math.Nextafter(0.5, 1), math.Nextafter(1.5, 2), math.Nextafter(2.8, 3), maxRainMM} {
							r, err := Next(Codes{ffmc, code, code}, Noon{temp, rh, wind, rain}, o)
							if err != nil {
								t.Fatal(err)
							}
							if !finite(r.FFMC, r.DMC, r.DC, r.ISI, r.BUI, r.FWI, r.DSR) || r.FFMC > 101 {
								t.Fatalf("%+v of %v %v %v %v %v %v", r, ffmc, code, temp, rh, wind, rain)
							}
						}
					}
				}
			}
		}
	}
}

func TestISIRisesWithWindAndWithFFMC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawOptions(t).scale()
		ffmc := rapid.Float64Range(0, 101).Draw(t, "ffmc")
		wind := rapid.Float64Range(0, maxWindKMH-1).Draw(t, "wind")
		more := rapid.Float64Range(0.001, 1).Draw(t, "more")
		if a, b := isi(ffmc, wind, k), isi(ffmc, wind+more, k); a >= b {
			t.Fatalf("FFMC %g: ISI %g at %g km/h, %g at %g", ffmc, a, wind, b, wind+more)
		}
		if ffmc+more <= 101 {
			if a, b := isi(ffmc, wind, k), isi(ffmc+more, wind, k); a > b {
				t.Fatalf("wind %g: ISI %g at FFMC %g, %g at %g", wind, a, ffmc, b, ffmc+more)
			}
		}
	})
}

func TestRainWetsAndDryDaysDry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prev, in, o := drawCodes(t), drawNoon(t), drawOptions(t)
		next := func(in Noon) Rating {
			r, err := Next(prev, in, o)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		dry := in
		dry.RainMM = 0
		d, w := next(dry), next(in)
		if d.DMC < prev.DMC || d.DC < prev.DC {
			t.Fatalf("a dry day wets: %+v after %+v", d.Codes, prev)
		}
		more := in
		more.RainMM = min(in.RainMM+rapid.Float64Range(0, 50).Draw(t, "more"), maxRainMM)
		m := next(more)
		const eps = 1e-9
		// The last step of rounding at codes of many thousands is larger than eps.
		slack := eps * (1 + prev.DMC + prev.DC)
		if in.RainMM > 2.8 && (m.DMC > w.DMC+slack || m.DC > w.DC+slack) {
			t.Fatalf("more rain dries: %+v, %+v", w.Codes, m.Codes)
		}
		if w.FFMC > d.FFMC+eps {
			t.Fatalf("rain dries the litter: %g, dry %g", w.FFMC, d.FFMC)
		}
	})
}

func TestFWIRisesWithISIAndBUI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Float64Range(0, 200).Draw(t, "isi")
		b := rapid.Float64Range(0, 300).Draw(t, "bui")
		more := rapid.Float64Range(0.01, 10).Draw(t, "more")
		if fwi(i, b) > fwi(i+more, b) {
			t.Fatalf("ISI %g+%g at BUI %g", i, more, b)
		}
		// The two branches of (28) meet at 80 with a step down of 0.1 %.
		if (b > 80 || b+more <= 80) && fwi(i, b) > fwi(i, b+more) {
			t.Fatalf("BUI %g+%g at ISI %g", b, more, i)
		}
	})
}
