package lorawan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/foreign"
)

// An object is what a server's payload codec has made of a frame, read by the
// names that codecs use.
type object struct {
	values   contract.Values
	at       time.Time // when it was measured, or zero: as of the uplink
	place    bool      // lat and lon are among the values
	sos      bool      // the device asks for help
	known    bool      // something in it was understood
	firmware string
	extras   []string // what it measures and is no field, in words
	faults   []string
	// bad are the fields whose own name stands there with a value that cannot be
	// one. A looser name is not believed instead: it may be in another unit.
	bad map[contract.Field]bool
}

// names are the keys that are understood beside the contract's own (temp_c,
// wind_ms, battery_pct …, which are always taken, with their units), in lower
// case and without _ - . and spaces. A name that does not say its unit stands
// here only where everybody means the same: wind speed (m/s, km/h, knots),
// battery (%, V) and rain (mm, mm/h, since when) do not.
var names = map[string]contract.Field{
	"temperature": contract.TempC, "airtemperature": contract.TempC, "ambienttemperature": contract.TempC,
	"temperaturec": contract.TempC, "tempcsht": contract.TempC, "temp": contract.TempC,
	"humidity": contract.RhPct, "relativehumidity": contract.RhPct, "airhumidity": contract.RhPct,
	"humiditypct": contract.RhPct, "humsht": contract.RhPct, "rh": contract.RhPct,
	"pressure": contract.PressureHPa, "airpressure": contract.PressureHPa,
	"barometricpressure": contract.PressureHPa, "barometer": contract.PressureHPa,
	"windspeedms": contract.WindMS, "windspeedmps": contract.WindMS,
	"windgustmps": contract.WindGustMS, "windgustspeedms": contract.WindGustMS,
	"winddirection": contract.WindDirDeg, "winddirectiondeg": contract.WindDirDeg,
	"co2": contract.Co2PPM, "pm25": contract.PM25UgM3,
	"batterypercent": contract.BatteryPct, "batterypercentage": contract.BatteryPct, "batterylevel": contract.BatteryPct,
	"batteryvoltage": contract.BatteryV, "batv": contract.BatteryV, "vbat": contract.BatteryV,
	"latitude": contract.Lat, "longitude": contract.Lon, "lng": contract.Lon,
	"altitude": contract.AltM, "satellites": contract.Sats, "accuracy": contract.AccM,
}

// plain is a key in lower case and without what codecs put between its words.
func plain(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == '.' || r == ' ':
			return -1
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, key)
}

// withoutChannel cuts the channel off a key of Cayenne LPP: temperature_1.
func withoutChannel(key string) string {
	i := strings.LastIndexByte(key, '_')
	if i <= 0 {
		return key
	}
	if _, err := strconv.ParseUint(key[i+1:], 10, 8); err != nil {
		return key
	}
	return key[:i]
}

// read reads what a codec gives: a flat object, Cayenne LPP in the shapes
// of The Things Stack (temperature_1, gps_1: {…}) and ChirpStack
// (temperatureSensor: {"1": …}, gpsLocation: {"1": {…}}), or SenseCAP's list of
// messages.
//
// The contract's own names are read before all others, wherever they stand: they
// alone say their units.
func (o *object) read(v *foreign.Value) {
	if v == nil || v.Kind != foreign.Object {
		return
	}
	for i := range v.Members {
		key, x := v.Members[i].Key, v.Members[i].Value
		if f, ok := contract.FieldByName(key); ok && x.Kind != foreign.Null {
			o.field(f, x, key, true)
		}
	}
	for i := range v.Members {
		key, x := v.Members[i].Key, v.Members[i].Value
		if _, ok := contract.FieldByName(key); !ok && x.Kind != foreign.Null {
			o.member(key, x)
		}
	}
	o.finish()
}

func (o *object) member(key string, v *foreign.Value) {
	k := plain(key)
	if _, ok := names[k]; !ok {
		k = plain(withoutChannel(key))
	}
	switch {
	case k == "sos":
		o.help(v)
	case k == "fw" || k == "firmwareversion":
		if o.firmware = v.Text(); v.Kind == foreign.Number {
			o.firmware = string(v.Raw)
		}
	case k == "messages":
		o.messages(v)
	case k == "gps" && v.Kind != foreign.Object:
		o.faults = append(o.faults, key+": want an object, got "+v.Kind.String())
	case k == "gps" || k == "location" || k == "position":
		o.gps(v)
	case k == "gpslocation":
		o.gps(first(v))
	case k == "temperaturesensor":
		o.field(contract.TempC, first(v), key, false)
	case k == "humiditysensor":
		o.field(contract.RhPct, first(v), key, false)
	case v.Kind == foreign.Object && k == "barometer":
		o.field(contract.PressureHPa, first(v), key, false)
	default:
		if f, ok := names[k]; ok {
			o.field(f, v, key, false)
		}
	}
}

// help reads sos. Whatever does not say no is a call for help.
func (o *object) help(v *foreign.Value) {
	o.known = true
	is, err := v.Truth()
	if err != nil && v.Kind == foreign.Text && !v.Twice() {
		switch strings.ToLower(strings.TrimSpace(v.Text())) {
		case "", "off", "no", "none", "normal", "inactive":
			return
		case "on", "yes", "active":
			is, err = true, nil
		}
	}
	if err != nil {
		is = true
		o.faults = append(o.faults, "sos: "+err.Error())
	}
	o.sos = o.sos || is
}

// first is the value of the lowest channel, which the servers write first, or
// what stands there without channels.
func first(v *foreign.Value) *foreign.Value {
	if v.Kind != foreign.Object {
		return v
	}
	if len(v.Members) == 0 {
		return nil
	}
	return v.Members[0].Value
}

// field takes the value of a key. What stands under one of the contract's own
// names must be what the contract says; under another name it may be something
// else.
func (o *object) field(f contract.Field, v *foreign.Value, key string, own bool) {
	if v == nil || v.Kind == foreign.Null || o.values.Has(f) || o.bad[f] {
		return
	}
	var x float64
	var err error
	if f.Info().Bool {
		var is bool
		if is, err = v.Truth(); is {
			x = 1
		}
	} else {
		x, err = v.Float()
	}
	if err != nil {
		o.fault(f, own, key+": "+err.Error())
		return
	}
	// The ranges of hPa and Pa do not meet.
	if f == contract.PressureHPa && !own && x >= 30_000 {
		x /= 100
	}
	if err := f.Check(x); err != nil {
		o.fault(f, own, err.Error())
		return
	}
	o.values.Set(f, x)
	o.known = true
}

func (o *object) fault(f contract.Field, own bool, what string) {
	o.faults = append(o.faults, what)
	if !own {
		return
	}
	if o.bad == nil {
		o.bad = make(map[contract.Field]bool)
	}
	o.bad[f] = true
}

func (o *object) gps(v *foreign.Value) {
	if v == nil || v.Kind != foreign.Object {
		return
	}
	for i := range v.Members {
		k, x := plain(v.Members[i].Key), v.Members[i].Value
		switch k {
		case "lat", "latitude":
			o.field(contract.Lat, x, v.Members[i].Key, false)
		case "lon", "lng", "longitude":
			o.field(contract.Lon, x, v.Members[i].Key, false)
		case "alt", "altitude":
			o.field(contract.AltM, x, v.Members[i].Key, false)
		case "accuracy":
			o.field(contract.AccM, x, v.Members[i].Key, false)
		}
	}
}

// messages reads SenseCAP's own codec: a list of measurements, or of lists of
// them, each {measurementId, measurementValue, type}, and "Battery(%)".
func (o *object) messages(v *foreign.Value) {
	if v.Kind == foreign.Array {
		for _, item := range v.Items {
			o.messages(item)
		}
		return
	}
	var f frame
	if id, err := v.Get("measurementId").Uint(1 << 16); err == nil {
		if x, err := v.Get("measurementValue").Float(); err == nil {
			f.measurement(int(id), x) //nolint:gosec // below 1<<16
		} else if measurementKnown(int(id)) { //nolint:gosec // below 1<<16
			f.faults = append(f.faults, fmt.Sprintf("measurement %d: %v", id, err))
		}
	}
	for _, key := range []string{"Battery(%)", "battery"} {
		if x, err := v.Get(key).Float(); err == nil {
			f.put(contract.BatteryPct, x)
		}
	}
	if s := v.Get("Firmware Version").Text(); s != "" {
		o.firmware = s
	}
	o.merge(&f)
}

func (o *object) merge(f *frame) {
	for field, x := range f.values.All() {
		if !o.values.Has(field) {
			o.values.Set(field, x)
			o.known = true
		}
	}
	o.extras = append(o.extras, f.extras...)
	o.faults = append(o.faults, f.faults...)
}

// finish looks at the place. Without a fix, devices give 0 and 0.
func (o *object) finish() {
	lat, hasLat := o.values.Get(contract.Lat)
	lon, hasLon := o.values.Get(contract.Lon)
	o.place = hasLat && hasLon && (lat != 0 || lon != 0)
	if !o.place {
		for _, f := range []contract.Field{contract.Lat, contract.Lon, contract.AltM, contract.AccM} {
			o.values.Clear(f)
		}
	}
}
