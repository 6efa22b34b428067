package danger

import "math"

// Winter is what happened between two fire seasons.
type Winter struct {
	LastDC float64 // of the last day of the season before, 0 upwards
	RainMM float64 // rain and melted snow in between, 0 to 20,000 mm
	// CarryOver is a: the share of autumn's moisture that is still there in spring,
	// 0.01 to 1; 0 means the usual 0.75. Lawson & Armitage 2008: 1 where the codes
	// were kept up to freezing, 0.75 where they were not, 0.5 in dry country.
	CarryOver float64
	// Wetting is b: the share of the winter's water that the ground takes up, 0.01 to
	// 1; 0 means the usual 0.75. 0.9 on poorly drained ground, 0.5 on steep or dry.
	Wetting float64
}

// OverwinterDC is the DC to start the spring from, at least 15, after Van Wagner
// 1985 and Lawson & Armitage 2008. It matters where a winter brings less than
// about 200 mm, as in North China. The FFMC and the DMC start anew.
func OverwinterDC(w Winter) (float64, error) {
	if w.CarryOver == 0 {
		w.CarryOver = 0.75
	}
	if w.Wetting == 0 {
		w.Wetting = 0.75
	}
	if err := check(
		bound{field: "dc", value: w.LastDC, max: maxCode},
		bound{field: "rain_mm", value: w.RainMM, max: maxWinterRainMM},
		bound{field: "carry_over", value: w.CarryOver, min: 0.01, max: 1},
		bound{field: "wetting", value: w.Wetting, min: 0.01, max: 1},
	); err != nil {
		return 0, err
	}
	q := w.CarryOver*800*math.Exp(-w.LastDC/400) + w.Wetting*3.94*w.RainMM
	return max(400*math.Log(800/q), Start.DC), nil
}

// SeasonState tells whether a station's fire season is open, after Wotton &
// Flannigan 1993: three days in a row with a maximum above 12 °C open it, three
// below 5 °C close it. It is the weather's season, not the law's.
type SeasonState struct {
	Open bool `json:"open"` // on the day after the last one that was fed
	Warm int  `json:"warm"` // days in a row above 12 °C, counted up to 3
	Cold int  `json:"cold"` // days in a row below 5 °C, counted up to 3
}

const (
	seasonDays    = 3
	seasonOpensC  = 12
	seasonClosesC = 5
)

// Next feeds one day's maximum, °C; NaN says that it is missing. A missing day is
// neither warm nor cold: it breaks a run, and the season stays as it was. Where the
// result's Open differs from the one before, the season changes on the next day.
func (s SeasonState) Next(tempMaxC float64) (SeasonState, error) {
	if err := check(bound{field: "temp_max_c", value: tempMaxC, min: minTempC, max: maxTempC, optional: true}); err != nil {
		return s, err
	}
	run := func(days int, goesOn bool) int {
		if !goesOn {
			return 0
		}
		return min(max(days, 0)+1, seasonDays)
	}
	s.Warm, s.Cold = run(s.Warm, tempMaxC > seasonOpensC), run(s.Cold, tempMaxC < seasonClosesC)
	s.Open = !s.Open && s.Warm == seasonDays || s.Open && s.Cold < seasonDays
	return s, nil
}
