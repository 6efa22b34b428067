package danger

import (
	"math"
	"time"
)

// Codes are the three moisture codes that a station carries from day to day.
type Codes struct {
	FFMC float64 `json:"ffmc"` // fine fuel moisture code, 0 (wet) to 101 (dry)
	DMC  float64 `json:"dmc"`  // duff moisture code, 0 (wet) upwards
	DC   float64 `json:"dc"`   // drought code, 0 (wet) upwards
}

// Start are the codes that a chain starts from where nothing else is known.
var Start = Codes{FFMC: 85, DMC: 6, DC: 15}

// Check refuses codes that cannot be.
func (c Codes) Check() error {
	return check(
		bound{field: "ffmc", value: c.FFMC, max: 101},
		bound{field: "dmc", value: c.DMC, max: maxCode},
		bound{field: "dc", value: c.DC, max: maxCode},
	)
}

// Noon is the weather at noon, local standard time.
type Noon struct {
	TempC   float64 `json:"temp_c"`   // °C, −90 to 60
	RHPct   float64 `json:"rh_pct"`   // relative humidity, 0 to 100 %
	WindKMH float64 `json:"wind_kmh"` // km/h at 10 m, 0 to 500; m/s × 3.6
	RainMM  float64 `json:"rain_mm"`  // mm in the 24 h up to noon, 0 to 2000
}

// Check refuses weather that cannot be.
func (n Noon) Check() error {
	return check(
		bound{field: "temp_c", value: n.TempC, min: minTempC, max: maxTempC},
		bound{field: "rh_pct", value: n.RHPct, max: 100},
		bound{field: "wind_kmh", value: n.WindKMH, max: maxWindKMH},
		bound{field: "rain_mm", value: n.RainMM, max: maxRainMM},
	)
}

// Options say where and when a day is rated, and by which constants.
type Options struct {
	Latitude float64 // degrees, north positive, −90 to 90
	// BookConstants takes the figures printed in 1985: 147.2 for the scale of the
	// FFMC, and the one table of day lengths for every latitude. Ratings differ by
	// tenths of an FWI from the default (0.24 on the book's own 49 days): never mix them.
	BookConstants bool
	Month         time.Month
}

// Check refuses options that cannot be.
func (o Options) Check() error {
	if err := check(bound{field: "latitude", value: o.Latitude, min: -90, max: 90}); err != nil {
		return err
	}
	return checkMonth(o.Month)
}

// scale is the constant K between litter moisture and FFMC. With the default, FFMC
// 0 is exactly 250 % moisture and 101 exactly none.
func (o Options) scale() float64 {
	if o.BookConstants {
		return 147.2
	}
	return 250 * 59.5 / 101
}

// Rating is one day: its codes and what follows from them.
type Rating struct {
	Codes
	ISI float64 `json:"isi"` // initial spread index
	BUI float64 `json:"bui"` // buildup index
	FWI float64 `json:"fwi"` // fire weather index
	DSR float64 `json:"dsr"` // daily severity rating
}

// Next rates one day from the codes of the day before, after Van Wagner & Pickett
// 1985 (Forestry Technical Report 33); numbers in brackets are its equations. Day
// lengths by latitude are those of Lawson & Armitage 2008. For any input that it
// accepts, all seven figures are finite and not negative, and FFMC is at most 101.
func Next(prev Codes, in Noon, o Options) (Rating, error) {
	for _, err := range []error{prev.Check(), in.Check(), o.Check()} {
		if err != nil {
			return Rating{}, err
		}
	}
	// Just below saturation, as the reference programs have it: at 100 the wetting
	// equations would never reach equilibrium.
	in.RHPct = min(in.RHPct, rhCap)
	r := Rating{Codes: Codes{
		FFMC: nextFFMC(prev.FFMC, in, o.scale()),
		DMC:  nextDMC(prev.DMC, in, o),
		DC:   nextDC(prev.DC, in, o),
	}}
	r.ISI = isi(r.FFMC, in.WindKMH, o.scale())
	r.BUI = bui(r.DMC, r.DC)
	r.FWI = fwi(r.ISI, r.BUI)
	r.DSR = dsr(r.FWI)
	return r, nil
}

const rhCap = 99.9999

// moisture is the water in fine litter, % of its dry mass (1).
func moisture(ffmc, k float64) float64 { return k * (101 - ffmc) / (59.5 + ffmc) }

// ffmcOf is the code of a litter moisture (10).
func ffmcOf(m, k float64) float64 {
	return min(max(59.5*(250-m)/(k+m), 0), 101)
}

// wetted is the litter's moisture after rain that reached it (3a, 3b).
func wetted(mo, rainMM float64) float64 {
	mr := mo + 42.5*rainMM*math.Exp(-100/(251-mo))*(1-math.Exp(-6.93/rainMM))
	if mo > 150 {
		mr += 0.0015 * (mo - 150) * (mo - 150) * math.Sqrt(rainMM)
	}
	return min(mr, 250)
}

// towardsBalance lets the litter dry or take up water for one step of the given
// rate: 0.581 for a day at noon, 0.0579 for an hour. (4 to 9)
func towardsBalance(mo float64, in Noon, rate, steps float64) float64 {
	h, heat := in.RHPct, 0.18*(21.1-in.TempC)*(1-math.Exp(-0.115*in.RHPct))
	damp := math.Exp((h - 100) / 10)
	ed := 0.942*math.Pow(h, 0.679) + 11*damp + heat
	ew := 0.618*math.Pow(h, 0.753) + 10*damp + heat
	speed := func(h float64) float64 {
		k := 0.424*(1-math.Pow(h, 1.7)) + 0.0694*math.Sqrt(in.WindKMH)*(1-math.Pow(h, 8))
		return math.Pow(10, -k*rate*math.Exp(0.0365*in.TempC)*steps)
	}
	switch {
	case mo > ed:
		return ed + (mo-ed)*speed(h/100)
	case mo < ed && mo < ew:
		return ew - (ew-mo)*speed((100-h)/100)
	}
	return mo
}

func nextFFMC(prev float64, in Noon, k float64) float64 {
	mo := moisture(prev, k)
	if in.RainMM > 0.5 {
		mo = wetted(mo, in.RainMM-0.5) // (2): the canopy keeps the first half millimetre
	}
	return ffmcOf(towardsBalance(mo, in, 0.581, 1), k)
}

func nextDMC(prev float64, in Noon, o Options) float64 {
	p := prev
	if in.RainMM > 1.5 {
		re := 0.92*in.RainMM - 1.27         // (11)
		mo := 20 + 280/math.Exp(0.023*p)    // (12)
		b := 6.2*math.Log(max(p, 1)) - 17.2 // (13)
		if p <= 33 {
			b = 100 / (0.5 + 0.3*p)
		} else if p <= 65 {
			b = 14 - 1.3*math.Log(p)
		}
		mr := mo + 1000*re/(48.77+b*re)            // (14)
		p = max(43.43*(5.6348-math.Log(mr-20)), 0) // (15)
	}
	t := max(in.TempC, -1.1)
	return p + 1.894*(t+1.1)*(100-in.RHPct)*o.dmcDayLength()*1e-4 // (16, 17)
}

func nextDC(prev float64, in Noon, o Options) float64 {
	d := prev
	if in.RainMM > 2.8 {
		rd := 0.83*in.RainMM - 1.27          // (18)
		q := 800*math.Exp(-d/400) + 3.937*rd // (19, 20)
		d = max(400*math.Log(800/q), 0)      // (21)
	}
	t := max(in.TempC, -2.8)
	return d + 0.5*max(0.36*(t+2.8)+o.dcDayLength(), 0) // (22, 23)
}

func isi(ffmc, windKMH, k float64) float64 {
	m := moisture(ffmc, k)
	fF := 91.9 * math.Exp(-0.1386*m) * (1 + math.Pow(m, 5.31)/4.93e7) // (25)
	return 0.208 * math.Exp(0.05039*windKMH) * fF                     // (24, 26)
}

func bui(dmc, dc float64) float64 {
	switch {
	case dmc == 0:
		return 0 // also where (27a) would divide by nothing
	case dmc <= 0.4*dc:
		return 0.8 * dmc * dc / (dmc + 0.4*dc) // (27a)
	}
	cut := (1 - 0.8*dc/(dmc+0.4*dc)) * (0.92 + math.Pow(0.0114*dmc, 1.7))
	return max(dmc-cut, 0) // (27b)
}

func fwi(isi, bui float64) float64 {
	fD := 0.626*math.Pow(bui, 0.809) + 2 // (28a)
	if bui > 80 {
		fD = 1000 / (25 + 108.64*math.Exp(-0.023*bui)) // (28b)
	}
	b := 0.1 * isi * fD // (29)
	if b <= 1 {
		return b // (30b)
	}
	return math.Exp(2.72 * math.Pow(0.434*math.Log(b), 0.647)) // (30a)
}

func dsr(fwi float64) float64 { return 0.0272 * math.Pow(fwi, 1.77) } // (31)
