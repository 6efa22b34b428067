package contract

import (
	"fmt"
	"iter"
	"math"
	"math/bits"
	"strconv"
)

// A Field is one measured quantity. Its name on the wire carries the unit.
type Field uint8

// The fields of v1. The order is an internal one: it may grow at the end and
// is never reused, because journals on disk hold the numbers.
const (
	Lat          Field = iota // °, WGS-84, north positive
	Lon                       // °, WGS-84, east positive
	AltM                      // m above mean sea level
	SpeedMS                   // m/s over ground
	CourseDeg                 // °, direction of movement, clockwise from true north
	AccM                      // m, horizontal accuracy, 68 %
	Sats                      // satellites used
	BatteryPct                // % of a full battery
	BatteryV                  // V
	Charging                  // 0 or 1
	TempC                     // °C, air
	RhPct                     // %, relative humidity
	WindMS                    // m/s, 10-min mean where the device can
	WindGustMS                // m/s
	WindDirDeg                // °, the direction the wind comes from, clockwise from true north
	RainMM                    // mm since the device's previous reading
	PressureHPa               // hPa at the station
	CoPPM                     // ppm, carbon monoxide
	Co2PPM                    // ppm, carbon dioxide or its estimate
	SmokeObsPctM              // %/m, obscuration by smoke
	PM25UgM3                  // µg/m³
	Flame                     // 0 or 1: the flame detector sees a flame
	FuelMoistPct              // % of dry weight, fine dead fuel
	SolarWM2                  // W/m²
	RssiDBm                   // dBm, the device's radio
	Buffered                  // readings waiting in the device
	UptimeS                   // s since the device started
	Online                    // 0 or 1; 0 is what a last will says
	Tamper                    // 0 or 1: opened, moved, strap cut
	Calibrating               // 0 or 1: the sensor's values do not count yet
	Active                    // 0 or 1: SOS pressed, or called off by the warden
	Moving                    // 0 or 1: the device's own motion detector
	numFields
)

// NumFields is the count of known fields.
const NumFields = int(numFields)

// Values keeps the set of fields in one word.
const _ = uint(64 - NumFields)

// FieldInfo describes a field: its name on the wire, the closed range of values
// that can be true anywhere on Earth, and which classes it may stand in.
type FieldInfo struct {
	Name    string
	Unit    string // "1" for a count, empty for true or false
	Min     float64
	Max     float64
	Integer bool // whole numbers only
	Bool    bool // true or false on the wire, 1 or 0 here
	Classes []Class
	About   string // in English, for the contract's documents
}

var (
	fix   = []Class{Position, SOS, Report}
	power = []Class{Position, SOS, Report, Environment, Status}
	env   = []Class{Environment}
	dev   = []Class{Status}
)

var fields = [numFields]FieldInfo{
	Lat: {
		Name: "lat", Unit: "deg", Min: -90, Max: 90, Classes: fix,
		About: "latitude, WGS-84, north positive",
	},
	Lon: {
		Name: "lon", Unit: "deg", Min: -180, Max: 180, Classes: fix,
		About: "longitude, WGS-84, east positive",
	},
	AltM: {
		Name: "alt_m", Unit: "m", Min: -500, Max: 9000, Classes: fix,
		About: "height above mean sea level",
	},
	SpeedMS: {
		Name: "speed_ms", Unit: "m/s", Min: 0, Max: 150, Classes: fix,
		About: "speed over ground",
	},
	CourseDeg: {
		Name: "course_deg", Unit: "deg", Min: 0, Max: 360, Classes: fix,
		About: "direction of movement, clockwise from true north",
	},
	AccM: {
		Name: "acc_m", Unit: "m", Min: 0, Max: 100_000, Classes: fix,
		About: "horizontal accuracy, 68 %",
	},
	Sats: {
		Name: "sats", Unit: "1", Min: 0, Max: 200, Integer: true, Classes: fix,
		About: "satellites used",
	},
	BatteryPct: {
		Name: "battery_pct", Unit: "%", Min: 0, Max: 100, Classes: power,
		About: "charge, of a full battery",
	},
	BatteryV: {
		Name: "battery_v", Unit: "V", Min: 0, Max: 100, Classes: power,
		About: "voltage of the battery",
	},
	Charging: {
		Name: "charging", Bool: true, Max: 1, Classes: power,
		About: "the battery is being charged",
	},
	TempC: {
		Name: "temp_c", Unit: "°C", Min: -60, Max: 300, Classes: env,
		About: "air temperature",
	},
	RhPct: {
		Name: "rh_pct", Unit: "%", Min: 0, Max: 100, Classes: env,
		About: "relative humidity",
	},
	WindMS: {
		Name: "wind_ms", Unit: "m/s", Min: 0, Max: 120, Classes: env,
		About: "wind speed, 10-minute mean where the device can",
	},
	WindGustMS: {
		Name: "wind_gust_ms", Unit: "m/s", Min: 0, Max: 150, Classes: env,
		About: "gust speed",
	},
	WindDirDeg: {
		Name: "wind_dir_deg", Unit: "deg", Min: 0, Max: 360, Classes: env,
		About: "direction the wind comes from, clockwise from true north",
	},
	RainMM: {
		Name: "rain_mm", Unit: "mm", Min: 0, Max: 500, Classes: env,
		About: "rain since the device's previous reading",
	},
	PressureHPa: {
		Name: "pressure_hpa", Unit: "hPa", Min: 300, Max: 1100, Classes: env,
		About: "air pressure at the station",
	},
	CoPPM: {
		Name: "co_ppm", Unit: "ppm", Min: 0, Max: 100_000, Classes: env,
		About: "carbon monoxide",
	},
	Co2PPM: {
		Name: "co2_ppm", Unit: "ppm", Min: 0, Max: 1_000_000, Classes: env,
		About: "carbon dioxide or its estimate",
	},
	SmokeObsPctM: {
		Name: "smoke_obs_pct_m", Unit: "%/m", Min: 0, Max: 100, Classes: env,
		About: "obscuration by smoke",
	},
	PM25UgM3: {
		Name: "pm25_ugm3", Unit: "µg/m³", Min: 0, Max: 100_000, Classes: env,
		About: "fine particles",
	},
	Flame: {
		Name: "flame", Bool: true, Max: 1, Classes: env,
		About: "the flame detector sees a flame",
	},
	FuelMoistPct: {
		Name: "fuel_moist_pct", Unit: "%", Min: 0, Max: 300, Classes: env,
		About: "moisture of fine dead fuel, of its dry weight",
	},
	SolarWM2: {
		Name: "solar_wm2", Unit: "W/m²", Min: 0, Max: 2000, Classes: env,
		About: "solar radiation",
	},
	RssiDBm: {
		Name: "rssi_dbm", Unit: "dBm", Min: -200, Max: 50, Classes: power,
		About: "signal strength of the device's radio",
	},
	Buffered: {
		Name: "buffered", Unit: "1", Min: 0, Max: 10_000_000, Integer: true, Classes: power,
		About: "readings waiting in the device",
	},
	UptimeS: {
		Name: "uptime_s", Unit: "s", Min: 0, Max: 4e9, Integer: true, Classes: dev,
		About: "time since the device started",
	},
	Online: {
		Name: "online", Bool: true, Max: 1, Classes: dev,
		About: "false in a last will",
	},
	Tamper: {
		Name: "tamper", Bool: true, Max: 1, Classes: power,
		About: "opened, moved, or the strap is cut",
	},
	Calibrating: {
		Name: "calibrating", Bool: true, Max: 1, Classes: []Class{Environment, Status},
		About: "the sensor's values do not count yet",
	},
	Active: {
		Name: "active", Bool: true, Max: 1, Classes: []Class{SOS},
		About: "SOS: true when pressed (the default), false when called off by the warden",
	},
	Moving: {
		Name: "moving", Bool: true, Max: 1, Classes: []Class{Position, SOS},
		About: "the device's own motion detector",
	},
}

// Info describes the field. It panics for a number that is no field.
func (f Field) Info() FieldInfo { return fields[f] }

// String is the field's name on the wire.
func (f Field) String() string {
	if f < numFields {
		return fields[f].Name
	}
	return fmt.Sprintf("field(%d)", uint8(f))
}

// Fields yields every field in order.
func Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for f := range numFields {
			if !yield(f) {
				return
			}
		}
	}
}

var fieldByName = func() map[string]Field {
	m := make(map[string]Field, numFields)
	for f := range numFields {
		m[fields[f].Name] = f
	}
	return m
}()

// FieldByName finds a field by its name on the wire.
func FieldByName(name string) (Field, bool) {
	f, ok := fieldByName[name]
	return f, ok
}

var classFields = func() (m [Status + 1]uint64) {
	for f := range numFields {
		for _, c := range fields[f].Classes {
			m[c] |= 1 << f
		}
	}
	return m
}()

// In reports whether the field belongs to the class.
func (f Field) In(c Class) bool { return int(c) < len(classFields) && classFields[c]&(1<<f) != 0 }

// Range is the closed range of the field in words: "-60..300 °C".
func (f Field) Range() string {
	i := &fields[f]
	s := strconv.FormatFloat(i.Min, 'f', -1, 64) + ".." + strconv.FormatFloat(i.Max, 'f', -1, 64)
	if i.Unit == "" || i.Unit == "1" {
		return s
	}
	return s + " " + i.Unit
}

// Check reports why x cannot be a value of the field: not a number, outside the
// range, or a fraction where whole numbers are asked for.
func (f Field) Check(x float64) error {
	i := &fields[f]
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return fmt.Errorf("%s: not a finite number", i.Name)
	case x < i.Min || x > i.Max:
		return fmt.Errorf("%s: %v is outside %s", i.Name, x, f.Range())
	case (i.Integer || i.Bool) && x != math.Trunc(x):
		return fmt.Errorf("%s: %v is not a whole number", i.Name, x)
	}
	return nil
}

// Values holds the fields that a reading has. Its zero value holds none. It is
// a plain value: copying it copies the readings, comparing with == compares.
type Values struct {
	set uint64
	v   [numFields]float64
}

// Get returns the value of f, and whether the reading has it.
func (v *Values) Get(f Field) (float64, bool) { return v.v[f], v.set&(1<<f) != 0 }

// Has reports whether the reading has f.
func (v *Values) Has(f Field) bool { return v.set&(1<<f) != 0 }

// Set gives f the value x, which the caller has checked.
func (v *Values) Set(f Field, x float64) {
	v.set |= 1 << f
	v.v[f] = x
}

// Clear takes f out.
func (v *Values) Clear(f Field) {
	v.set &^= 1 << f
	v.v[f] = 0
}

// Len is the count of fields that the reading has.
func (v *Values) Len() int { return bits.OnesCount64(v.set) }

// All yields the fields that the reading has, in order.
func (v *Values) All() iter.Seq2[Field, float64] {
	return func(yield func(Field, float64) bool) {
		for set := v.set; set != 0; set &= set - 1 {
			f := Field(bits.TrailingZeros64(set)) //nolint:gosec // 0..63
			if !yield(f, v.v[f]) {
				return
			}
		}
	}
}
