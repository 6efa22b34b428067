package outlook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	contract "firewatch/firmware-contracts"
)

// Station is a registered sensor that may measure weather.
type Station struct {
	ID       contract.DeviceID
	Name     string  // 中文; empty: the id
	Lat, Lon float64 // degrees, WGS-84
}

func (s *Station) name() string { return cmp.Or(s.Name, string(s.ID)) }

// Stations are the sensors of the roster that may stand for their surroundings:
// with a site, in use, and not while they calibrate.
func Stations(devices []alerts.Device) []Station {
	var out []Station
	for _, d := range devices {
		if d.Kind == contract.Sensor && !d.Disabled && d.Calibration != alerts.Calibrating && (d.Lat != 0 || d.Lon != 0) {
			out = append(out, Station{ID: d.ID, Name: d.Name, Lat: d.Lat, Lon: d.Lon})
		}
	}
	slices.SortFunc(out, func(a, b Station) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Input is all that a day's rating follows from.
type Input struct {
	Day         danger.Date
	At          time.Time // when it is rated
	Provisional bool      // the day is not over
	Noon        bool      // its noon can be rated
	Stations    []Station
	Observed    map[contract.DeviceID]Observation
	Past        Past
	Areas       []alerts.Area
	Mark        string // before each note, like 【演示】; may be empty
}

// Rate rates one local day by both methods: first the stations, then the areas
// from them. A station that was never rated and does not measure all of the
// weather is none. A station's rating of before is kept where the new one would
// be none, unless the day has ended since: its weather may be kept no longer.
func Rate(in Input) ([]alerts.StationDay, []alerts.AreaDanger) {
	days := in.stationDays()
	areas := in.areaDangers(alerts.DangerHTZ, danger.HTZVersion, days)
	if in.Noon {
		areas = append(areas, in.areaDangers(alerts.DangerFWI, danger.FWIVersion, days)...)
	}
	return days, areas
}

func (in *Input) stationDays() []alerts.StationDay {
	var out []alerts.StationDay
	keep := func(d alerts.StationDay) {
		was, rated := in.Past.same[stationKey{d.Station, d.Method}]
		if rated && was.Level > 0 && d.Level == 0 && (in.Provisional || !was.Provisional) {
			d = was
		} else if d.Note != "" {
			d.Note = in.Mark + d.Note
		}
		out = append(out, d)
	}
	for i := range in.Stations {
		s := &in.Stations[i]
		o, measured := in.Observed[s.ID]
		_, before := in.Past.same[stationKey{s.ID, alerts.DangerHTZ}]
		if !in.Past.expected[s.ID] && !before && (!measured || !o.station()) {
			continue
		}
		if !measured {
			nan := math.NaN()
			o = Observation{
				Noon: danger.Noon{TempC: nan, RHPct: nan, WindKMH: nan, RainMM: nan},
				Day:  danger.HTZDay{TempMaxC: nan, RHMinPct: nan, RainMM: nan, WindMaxMS: nan, GreenPct: nan, SnowPct: nan},
			}
		}
		if in.Noon {
			keep(in.fwiDay(s, &o))
		}
		keep(in.htzDay(s, &o, measured))
	}
	return out
}

func (in *Input) fwiDay(s *Station, o *Observation) alerts.StationDay {
	d := alerts.StationDay{Station: s.ID, Day: in.Day.String(), Method: alerts.DangerFWI, Version: danger.FWIVersion, At: in.At}
	d.Inputs = document(struct {
		TempC     *float64 `json:"temp_c"`
		RHPct     *float64 `json:"rh_pct"`
		WindKMH   *float64 `json:"wind_kmh"`
		RainMM    *float64 `json:"rain_mm"`
		RainHours int      `json:"rain_hours"`
	}{number(o.Noon.TempC), number(o.Noon.RHPct), number(o.Noon.WindKMH), number(o.Noon.RainMM), o.NoonRainHours})
	if d.Note = o.missing(alerts.DangerFWI); d.Note != "" {
		return d
	}
	day, carry, err := in.Past.fwi[s.ID].Next(in.Day, o.Noon, danger.ChainOptions{Latitude: s.Lat})
	if err != nil {
		d.Note = impossible(err)
		return d
	}
	d.Level, d.Chain, d.Note = fwiLevel(day.FWI), string(day.Link), day.Note()
	d.Result = document(fwiResult{Rating: day.Rating, EFFIS: danger.EFFIS(day.FWI), Gap: day.Gap, Carry: &carry})
	return d
}

func (in *Input) htzDay(s *Station, o *Observation, measured bool) alerts.StationDay {
	d := alerts.StationDay{
		Station: s.ID, Day: in.Day.String(), Method: alerts.DangerHTZ, Version: danger.HTZVersion, Provisional: in.Provisional, At: in.At,
	}
	d.Inputs = document(struct {
		TempMaxC  *float64 `json:"temp_max_c"`
		RHMinPct  *float64 `json:"rh_min_pct"`
		RainMM    *float64 `json:"rain_mm"`
		WindMaxMS *float64 `json:"wind_max_ms"`
		Hours     []int    `json:"hours"` // of 24 with temperature, humidity, wind, rain
	}{number(o.Day.TempMaxC), number(o.Day.RHMinPct), number(o.Day.RainMM), number(o.Day.WindMaxMS), o.Hours[:]})
	if !measured {
		d.Note = o.missing(alerts.DangerHTZ) // the chain has a gap
		return d
	}
	day, carry, err := in.Past.htz[s.ID].Next(in.Day, o.Day)
	if err != nil {
		d.Note = impossible(err)
		return d
	}
	d.Level, d.Chain, d.Note = alerts.DangerLevel(day.Level), string(day.Link), day.Note //nolint:gosec // 0..5
	if d.Level == alerts.DangerUnknown {
		d.Note = cmp.Or(o.missing(alerts.DangerHTZ), d.Note)
	}
	if day.Link == danger.LinkBridged || day.Link == danger.LinkRestarted {
		d.Note = fmt.Sprintf("前缺%d天资料；", day.Gap) + d.Note
	}
	d.Result = document(htzResult{Score: day.Score, DryDays: carry.Rain.DryDays(), Gap: day.Gap, Carry: &carry})
	return d
}

// impossible says which figure cannot be.
func impossible(err error) string {
	if e, ok := errors.AsType[*danger.InputError](err); ok {
		return fmt.Sprintf("数值不可能，未评定：%s 为 %s", e.Field, e.Value)
	}
	return "未评定：" + err.Error()
}

// document is a value as JSON. All that is given to it encodes.
func document(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// fwiLevel takes the EFFIS classes for levels by their names: very low and low
// are 低度, moderate 中度, high 较高, very high 高度, extreme 极度. It is a choice
// of this project; nobody has published one.
func fwiLevel(fwi float64) alerts.DangerLevel {
	class := danger.EFFIS(fwi)
	if class <= 2 {
		return alerts.DangerLevel(min(class, 1)) //nolint:gosec // 0 or 1
	}
	return alerts.DangerLevel(class - 1) //nolint:gosec // 2..5
}

// levelOf is the level of an area whose stations have the value on average. It is
// never outside theirs.
func levelOf(method string, value float64) alerts.DangerLevel {
	if method == alerts.DangerFWI {
		return fwiLevel(value)
	}
	return alerts.DangerLevel(danger.HTZLevel(int(math.Round(value)))) //nolint:gosec // 1..5
}
