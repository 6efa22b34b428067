package danger

import (
	"encoding/json"
	"math"
	"strings"
)

// HTZDay is one local day's weather. NaN says that a figure is missing.
type HTZDay struct {
	TempMaxC  float64 // the day's maximum, °C, −90 to 60
	RHMinPct  float64 // the day's minimum of relative humidity, 0 to 100 %
	RainMM    float64 // mm of the day, 0 to 2000
	WindMaxMS float64 // the day's maximum, m/s, 0 to 140
	GreenPct  float64 // ground under green plants, 0 to 100 %; missing counts as bare
	SnowPct   float64 // ground under snow, 0 to 100 %; missing counts as bare
}

// Check refuses weather that cannot be.
func (d HTZDay) Check() error {
	return check(
		bound{field: "temp_max_c", value: d.TempMaxC, min: minTempC, max: maxTempC, optional: true},
		bound{field: "rh_min_pct", value: d.RHMinPct, max: 100, optional: true},
		bound{field: "rain_mm", value: d.RainMM, max: maxRainMM, optional: true},
		bound{field: "wind_max_ms", value: d.WindMaxMS, max: maxWindMS, optional: true},
		bound{field: "green_pct", value: d.GreenPct, max: 100, optional: true},
		bound{field: "snow_pct", value: d.SnowPct, max: 100, optional: true},
	)
}

// htzJSON is HTZDay in JSON, which has no NaN: what is missing is null.
type htzJSON struct {
	TempMaxC  *float64 `json:"temp_max_c"`
	RHMinPct  *float64 `json:"rh_min_pct"`
	RainMM    *float64 `json:"rain_mm"`
	WindMaxMS *float64 `json:"wind_max_ms"`
	GreenPct  *float64 `json:"green_pct"`
	SnowPct   *float64 `json:"snow_pct"`
}

// MarshalJSON writes a missing figure as null.
func (d HTZDay) MarshalJSON() ([]byte, error) {
	known := func(v float64) *float64 {
		if math.IsNaN(v) {
			return nil
		}
		return &v
	}
	return json.Marshal(htzJSON{
		known(d.TempMaxC), known(d.RHMinPct), known(d.RainMM),
		known(d.WindMaxMS), known(d.GreenPct), known(d.SnowPct),
	})
}

// UnmarshalJSON reads a figure that is null or absent as missing.
func (d *HTZDay) UnmarshalJSON(raw []byte) error {
	var j htzJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	known := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v
	}
	*d = HTZDay{
		known(j.TempMaxC), known(j.RHMinPct), known(j.RainMM),
		known(j.WindMaxMS), known(j.GreenPct), known(j.SnowPct),
	}
	return nil
}

// Score is one day's HTZ = A + B + C + D − E. Without Rated it is no rating
// (资料不足): Missing names what lacked, and Value and Level are 0, which is not calm.
type Score struct {
	Rated bool `json:"rated"`
	Value int  `json:"value"` // HTZ, −20 to 130
	Level int  `json:"level"` // 1 低度 to 5 极度危险; 0 not rated
	A     int  `json:"a"`     // day's maximum temperature, 0 to 20
	B     int  `json:"b"`     // day's minimum humidity, 0 to 20
	C     int  `json:"c"`     // last rain and days since, 0 to 50
	D     int  `json:"d"`     // day's maximum wind, 0 to 40
	E     int  `json:"e"`     // green or snow cover, 0 to 20, taken off
	// Missing are the fields that lacked, named as columns are.
	Missing []string `json:"missing,omitempty"`
	// Degraded: C rests on days of which the rain is not known.
	Degraded bool   `json:"degraded,omitempty"`
	Note     string `json:"note,omitempty"` // 中文: why there is no rating, or why it is degraded
}

// HTZ scores one day and carries the rain memory on by that day. since is the
// memory as it stood after the day before; the zero RainMemory is a station of
// which nothing is known yet. A day that lacks one of temperature, humidity, rain
// or wind gives no rating, but the memory goes on. With an error the memory comes
// back as it was.
//
// The tables are printed for whole per cents of humidity and tenths of millimetres.
// Between them the printed bounds are kept: an open-ended band begins at its own
// bound (71 %, 10.1 mm), every other one reaches up to and with its upper bound, so
// 70.5 % counts as 61–70 and 60.5 % as 61–70 too, 2.05 mm as 2.1–5 and 10.05 mm as
// 5.1–10.
func HTZ(day HTZDay, since RainMemory) (Score, RainMemory, error) {
	if err := day.Check(); err != nil {
		return Score{}, since, err
	}
	if err := since.Check(); err != nil {
		return Score{}, since, err
	}
	next := since.after(day.RainMM)
	s := Score{}
	var titles []string
	for _, f := range []struct {
		value       float64
		name, title string
	}{
		{day.TempMaxC, "temp_max_c", "最高气温"},
		{day.RHMinPct, "rh_min_pct", "最小相对湿度"},
		{day.RainMM, "rain_mm", "降水量"},
		{day.WindMaxMS, "wind_max_ms", "最大风速"},
	} {
		if math.IsNaN(f.value) {
			s.Missing = append(s.Missing, f.name)
			titles = append(titles, f.title)
		}
	}
	if len(s.Missing) > 0 {
		s.Note = "资料不足：缺" + strings.Join(titles, "、")
		return s, next, nil
	}
	s.Rated = true
	s.A = htzA(day.TempMaxC)
	s.B = htzB(day.RHMinPct)
	s.C, s.Note = next.score()
	s.Degraded = s.Note != ""
	s.D = htzD(day.WindMaxMS)
	s.E = htzE(day.GreenPct, day.SnowPct)
	s.Value = s.A + s.B + s.C + s.D - s.E
	s.Level = HTZLevel(s.Value)
	return s, next, nil
}

// HTZLevel is the danger level of an HTZ: up to 25 is 1, 50 is 2, 72 is 3, 90 is 4,
// above is 5.
func HTZLevel(htz int) int {
	for i, top := range [...]int{25, 50, 72, 90} {
		if htz <= top {
			return i + 1
		}
	}
	return 5
}

// band counts the bounds that v has reached; with closed, a bound itself still
// belongs to the band below it.
func band(v float64, closed bool, bounds ...float64) int {
	n := 0
	for _, b := range bounds {
		if v > b || !closed && v == b {
			n++
		}
	}
	return n
}

func htzA(tempMaxC float64) int { return 4 * band(tempMaxC, true, 5, 10, 15, 20, 25) }

func htzB(rhMinPct float64) int {
	return 20 - 4*band(rhMinPct, true, 30, 40, 50, 60) - 4*band(rhMinPct, false, 71)
}

// htzD goes by Beaufort's bounds of the wind forces 0 to 8, m/s.
func htzD(windMaxMS float64) int {
	return 5 * band(windMaxMS, false, 0.3, 1.6, 3.4, 5.5, 8.0, 10.8, 13.9, 17.2)
}

// htzE takes the greater of both covers: snow on green ground is not wetter than
// snow. NaN reaches no bound.
func htzE(greenPct, snowPct float64) int {
	return 5 * max(band(greenPct, false, 20, 50, 75, 100), band(snowPct, false, 10, 30, 60, 90))
}
