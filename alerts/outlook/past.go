package outlook

import (
	"encoding/json"
	"math"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	contract "firewatch/firmware-contracts"
)

const (
	// holdDays is how long an area's level is shown as held. The rules take it for
	// unknown sooner, see alerts.DangerHeldDays.
	holdDays = 10
	// expectDays is how long after its last rating a station is missed.
	expectDays = 10
	// pastDays is how many days before the one to rate must be known.
	pastDays = max(holdDays, expectDays)
)

// fwiResult and htzResult are StationDay.Result; their names are part of the
// stored data.
type fwiResult struct {
	danger.Rating
	EFFIS int              `json:"effis"` // class 1..6
	Gap   int              `json:"gap,omitempty"`
	Carry *danger.FWIChain `json:"carry,omitempty"`
}

type htzResult struct {
	danger.Score
	DryDays int              `json:"dry_days"` // -1: unknown
	Gap     int              `json:"gap,omitempty"`
	Carry   *danger.HTZChain `json:"carry,omitempty"`
}

// rated is what an area needs of a station's day.
type rated struct {
	level alerts.DangerLevel
	value float64
	dry   int  // -1: unknown
	shaky bool // it rests on rain that nobody knows
}

// resultOf reads a stored day back. What cannot be read is not rated.
func resultOf(d alerts.StationDay) rated {
	out := rated{dry: -1}
	switch d.Method {
	case alerts.DangerFWI:
		var r fwiResult
		if json.Unmarshal(d.Result, &r) == nil {
			out.level, out.value = d.Level, r.FWI
		}
	case alerts.DangerHTZ:
		var r htzResult
		if json.Unmarshal(d.Result, &r) == nil {
			out.level, out.value, out.dry, out.shaky = d.Level, float64(r.Value), r.DryDays, r.Degraded
		}
	}
	return out
}

type stationKey struct {
	station contract.DeviceID
	method  string
}

type areaKey struct{ area, method string }

// Past is what a day goes on from. The zero value is that of the first day.
type Past struct {
	fwi      map[contract.DeviceID]danger.FWIChain
	htz      map[contract.DeviceID]danger.HTZChain
	expected map[contract.DeviceID]bool       // rated within expectDays before
	levels   map[areaKey]alerts.AreaDanger    // the newest before the day that is not held
	same     map[stationKey]alerts.StationDay // of the day itself, rated before
}

// PastOf is what is known, before the day is rated, from rows that may be of
// other days too, days rising.
func PastOf(day danger.Date, stations []alerts.StationDay, areas []alerts.AreaDanger) Past {
	p := Past{
		fwi: make(map[contract.DeviceID]danger.FWIChain), htz: make(map[contract.DeviceID]danger.HTZChain),
		expected: make(map[contract.DeviceID]bool), levels: make(map[areaKey]alerts.AreaDanger), same: make(map[stationKey]alerts.StationDay),
	}
	today, first := day.String(), (day - pastDays).String()
	for _, d := range stations {
		if d.Day < first {
			continue
		}
		if d.Day == today {
			p.same[stationKey{d.Station, d.Method}] = d
		}
		if d.Day >= today {
			continue
		}
		if d.Level > 0 && d.Day >= (day-expectDays).String() {
			p.expected[d.Station] = true
		}
		switch d.Method {
		case alerts.DangerFWI:
			var r fwiResult
			if json.Unmarshal(d.Result, &r) == nil && r.Carry != nil && r.Carry.Codes.Check() == nil {
				p.fwi[d.Station] = *r.Carry
			}
		case alerts.DangerHTZ:
			var r htzResult
			if json.Unmarshal(d.Result, &r) == nil && r.Carry != nil && r.Carry.Rain.Check() == nil {
				p.htz[d.Station] = *r.Carry
			}
		}
	}
	for _, d := range areas {
		if d.Day < today && d.Day >= (day-holdDays).String() && d.Level > 0 && d.HeldFrom == "" {
			p.levels[areaKey{d.Area, d.Method}] = d
		}
	}
	return p
}

// number is a figure as JSON knows it: null for NaN.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
