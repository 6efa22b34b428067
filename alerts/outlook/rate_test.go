package outlook_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	"firewatch/alerts/outlook"
	contract "firewatch/firmware-contracts"
)

const (
	place  = "130633101" // the township that the stations stand around
	remote = "130630100" // one with no station within 30 km
)

var (
	areas = []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.87, Lon: 115.46},
		{Code: "130630", Name: "涞源县", Level: alerts.County, Parent: "130600", Lat: 39.36, Lon: 114.69},
		{Code: remote, Name: "涞源镇", Level: alerts.Township, Parent: "130630", Lat: 39.35, Lon: 114.68},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.5},
		{Code: "130633100", Name: "易州镇", Level: alerts.Township, Parent: "130633", Lat: 39.34, Lon: 115.49},
		{Code: place, Name: "梁格庄镇", Level: alerts.Township, Parent: "130633", Lat: 39.33, Lon: 115.37},
	}
	stations = []outlook.Station{
		{ID: "s-1", Name: "永福寺", Lat: 39.33, Lon: 115.40},
		{ID: "s-2", Name: "北山", Lat: 39.33, Lon: 115.45},
		{ID: "s-3", Lat: 39.35, Lon: 115.50},
	}
	day0 = danger.NewDate(2026, 3, 14)
)

// dry is a warm, dry and windy day; cold a wet and calm one.
var (
	dry  = observation(26, 18, 0, 18)
	cold = observation(4, 80, 12, 0.1)
)

func observation(temp, rh, rain, wind float64) outlook.Observation {
	return outlook.Observation{
		Noon:  danger.Noon{TempC: temp, RHPct: rh, WindKMH: wind * 3.6, RainMM: rain},
		Day:   danger.HTZDay{TempMaxC: temp, RHMinPct: rh, RainMM: rain, WindMaxMS: wind, GreenPct: math.NaN(), SnowPct: math.NaN()},
		Hours: [4]int{24, 24, 24, 24}, NoonRainHours: 24,
	}
}

// history rates day after day; each goes on from the ones before.
type history struct {
	t        *testing.T
	day      danger.Date
	stations []alerts.StationDay
	areas    []alerts.AreaDanger
}

func newHistory(t *testing.T) *history {
	t.Helper()
	return &history{t: t, day: day0}
}

// rate rates the next day.
func (h *history) rate(observed map[contract.DeviceID]outlook.Observation) {
	h.t.Helper()
	days, levels := outlook.Rate(outlook.Input{
		Day: h.day, At: time.Unix(int64(h.day+1)*86400, 0).UTC(), Noon: true, Stations: stations, Observed: observed,
		Past: outlook.PastOf(h.day, h.stations, h.areas), Areas: areas,
	})
	h.stations, h.areas = append(h.stations, days...), append(h.areas, levels...)
	h.day++
}

func (h *history) all(o outlook.Observation, but ...contract.DeviceID) map[contract.DeviceID]outlook.Observation {
	out := map[contract.DeviceID]outlook.Observation{}
	for _, s := range stations {
		if !slices.Contains(but, s.ID) {
			out[s.ID] = o
		}
	}
	return out
}

// area is the level of the last day rated.
func (h *history) area(code, method string) alerts.AreaDanger {
	h.t.Helper()
	day := (h.day - 1).String()
	for _, d := range h.areas {
		if d.Area == code && d.Method == method && d.Day == day {
			return d
		}
	}
	h.t.Fatalf("no %s of %s on %s", method, code, day)
	return alerts.AreaDanger{}
}

func (h *history) station(id contract.DeviceID, method string) alerts.StationDay {
	h.t.Helper()
	day := (h.day - 1).String()
	for _, d := range h.stations {
		if d.Station == id && d.Method == method && d.Day == day {
			return d
		}
	}
	h.t.Fatalf("no %s of %s on %s", method, id, day)
	return alerts.StationDay{}
}

func contains(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s %q does not say %q", what, text, w)
		}
	}
}

func TestLevelsOfADryAndAWetDay(t *testing.T) {
	h := newHistory(t)
	for range 9 {
		h.rate(h.all(dry))
	}
	for _, method := range alerts.DangerMethods {
		d := h.area(place, method)
		if d.Level != 5 || d.Degraded || d.DryDays != 9 || d.Note != "" || len(d.Stations) != 3 || d.Stations[0].Station != "s-1" {
			t.Errorf("%s of a dry spell: %+v", method, d)
		}
	}
	if d := h.area(place, alerts.DangerHTZ); d.Value != 130 || !strings.Contains(d.Version, danger.HTZVersion) {
		t.Errorf("HTZ %v by %s", d.Value, d.Version)
	}
	h.rate(h.all(cold))
	for _, method := range alerts.DangerMethods {
		if d := h.area(place, method); d.Level != 1 || d.DryDays != 0 {
			t.Errorf("%s of a wet day: %+v", method, d)
		}
	}
}

// Somewhere a station is always silent: that must not take the level of a whole
// township, let alone of others, away.
func TestOneMissingStationDoesNotRemoveTheLevel(t *testing.T) {
	h := newHistory(t)
	for range 9 {
		h.rate(h.all(dry))
	}
	h.rate(h.all(dry, "s-1"))
	for _, method := range alerts.DangerMethods {
		d := h.area(place, method)
		if d.Level != 5 || !d.Degraded || d.HeldFrom != "" || len(d.Stations) != 2 {
			t.Errorf("%s without the nearest station: %+v", method, d)
		}
		contains(t, method, d.Note, "邻近3站中1站无资料", "永福寺")
		if s := h.station("s-1", method); s.Level != 0 || !strings.Contains(s.Note, "资料不足") {
			t.Errorf("%s of the silent station: %+v", method, s)
		}
		if s := h.station("s-2", method); s.Level != 5 {
			t.Errorf("%s of the next station: %+v", method, s)
		}
	}
	// All are silent: the level is held, and says so.
	for range 2 {
		h.rate(nil)
	}
	for _, method := range alerts.DangerMethods {
		d := h.area(place, method)
		if held := (day0 + 9).String(); d.Level != 5 || !d.Degraded || d.HeldFrom != held || d.DryDays != -1 || len(d.Stations) != 2 {
			t.Errorf("%s without stations: %+v, want held from %s", method, d, held)
		}
		contains(t, method, d.Note, "3个气象站资料不足", "沿用"+(day0+9).String())
	}
	// Back again: nothing is held, and the gap is told of.
	h.rate(h.all(dry))
	for _, method := range alerts.DangerMethods {
		if d := h.area(place, method); d.Level != 5 || d.HeldFrom != "" {
			t.Errorf("%s when they are back: %+v", method, d)
		}
	}
	if s := h.station("s-2", alerts.DangerFWI); s.Chain != string(danger.LinkBridged) || !strings.Contains(s.Note, "前缺2天") {
		t.Errorf("FWI after two missing days: %+v", s)
	}
	if s := h.station("s-1", alerts.DangerFWI); s.Chain != string(danger.LinkRestarted) || !strings.Contains(s.Note, "重新起算") {
		t.Errorf("FWI after three missing days: %+v", s)
	}
	if s := h.station("s-1", alerts.DangerHTZ); s.Chain != string(danger.LinkBridged) || !strings.Contains(s.Note, "前缺3天") {
		t.Errorf("HTZ after three missing days: %+v", s)
	}
}

func TestUnknownIsNotGreen(t *testing.T) {
	h := newHistory(t)
	h.rate(nil)
	for _, code := range []string{place, remote, "130633", "130600"} {
		if d := h.area(code, alerts.DangerHTZ); d.Level != alerts.DangerUnknown || !d.Degraded || d.DryDays != -1 || !strings.Contains(d.Note, "不明") {
			t.Errorf("nothing is known of %s: %+v", code, d)
		}
	}
	h.rate(h.all(cold))
	if d := h.area(remote, alerts.DangerHTZ); d.Level != alerts.DangerUnknown || len(d.Stations) != 0 {
		t.Errorf("stations of afar made a level: %+v", d)
	}
	if d := h.area("130630", alerts.DangerHTZ); d.Level != alerts.DangerUnknown {
		t.Errorf("a county of which nothing is known: %+v", d)
	}
	// What is known of the city is the highest, but part of it is not known.
	d := h.area("130600", alerts.DangerHTZ)
	if d.Level != 1 || !d.Degraded {
		t.Errorf("city: %+v", d)
	}
	contains(t, "city", d.Note, "取下辖最高", "1个区域等级不明")
}

func TestALevelIsNotHeldForEver(t *testing.T) {
	h := newHistory(t)
	h.rate(h.all(dry))
	for range 10 {
		h.rate(nil)
		if d := h.area(place, alerts.DangerHTZ); d.Level == 0 || d.HeldFrom != day0.String() {
			t.Fatalf("%s: %+v", d.Day, d)
		}
	}
	h.rate(nil)
	if d := h.area(place, alerts.DangerHTZ); d.Level != alerts.DangerUnknown || !d.Degraded {
		t.Errorf("after eleven days: %+v", d)
	}
}

func TestCountyHasTheHighestOfItsTownships(t *testing.T) {
	h := newHistory(t)
	for range 9 {
		o := h.all(cold)
		o["s-3"] = dry // nearest to 易州镇
		h.rate(o)
	}
	a, b, county := h.area(place, alerts.DangerHTZ), h.area("130633100", alerts.DangerHTZ), h.area("130633", alerts.DangerHTZ)
	if a.Level >= b.Level || county.Level != b.Level || county.Value != b.Value {
		t.Errorf("townships %d and %d, county %d", a.Level, b.Level, county.Level)
	}
	contains(t, "county", county.Note, "取下辖最高：易州镇")
}

func TestAnImpossibleFigureIsNamed(t *testing.T) {
	h := newHistory(t)
	o := h.all(dry)
	o["s-1"] = observation(61, 18, 0, 3) // a sensor in a fire
	h.rate(o)
	for method, field := range map[string]string{alerts.DangerFWI: "temp_c", alerts.DangerHTZ: "temp_max_c"} {
		if s := h.station("s-1", method); s.Level != 0 || !strings.Contains(s.Note, field) {
			t.Errorf("%s: %+v", method, s)
		}
		if d := h.area(place, method); d.Level == 0 {
			t.Errorf("%s: the others count: %+v", method, d)
		}
	}
}

func TestASensorWithoutRainGaugeIsNoStation(t *testing.T) {
	h := newHistory(t)
	o := observation(20, 30, math.NaN(), 3)
	o.Hours[3], o.NoonRainHours, o.Noon.RainMM = 0, 0, math.NaN()
	h.rate(map[contract.DeviceID]outlook.Observation{"s-1": o})
	if len(h.stations) != 0 {
		t.Errorf("%+v", h.stations)
	}
}

// What was kept of a day may be deleted: that does not undo its rating.
func TestARatingOutlivesItsWeather(t *testing.T) {
	h := newHistory(t)
	h.rate(h.all(dry))
	was := slices.Clone(h.stations)
	h.day--
	h.rate(nil)
	if got := h.stations[len(was):]; !slices.EqualFunc(got, was, func(a, b alerts.StationDay) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("%+v\nwas %+v", got, was)
	}
}

func TestStationsOfTheRoster(t *testing.T) {
	d := func(id contract.DeviceID, change func(*alerts.Device)) alerts.Device {
		d := alerts.Device{ID: id, Kind: contract.Sensor, Name: "站", Lat: 39, Lon: 115}
		change(&d)
		return d
	}
	got := outlook.Stations([]alerts.Device{
		d("s-2", func(*alerts.Device) {}), d("s-1", func(d *alerts.Device) { d.Calibration = alerts.CalibrationDue }),
		d("t-1", func(d *alerts.Device) { d.Kind = contract.Tracker }), d("s-3", func(d *alerts.Device) { d.Disabled = true }),
		d("s-4", func(d *alerts.Device) { d.Calibration = alerts.Calibrating }), d("s-5", func(d *alerts.Device) { d.Lat, d.Lon = 0, 0 }),
	})
	if len(got) != 2 || got[0].ID != "s-1" || got[1].ID != "s-2" {
		t.Errorf("%+v", got)
	}
}

func TestLevelLiesAmongItsStations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ss []outlook.Station
		observed := map[contract.DeviceID]outlook.Observation{}
		for i := range rapid.IntRange(1, 8).Draw(t, "stations") {
			id := contract.DeviceID(fmt.Sprintf("s-%d", i))
			ss = append(ss, outlook.Station{
				ID: id, Lat: rapid.Float64Range(39.2, 39.5).Draw(t, "lat"), Lon: rapid.Float64Range(115.2, 115.6).Draw(t, "lon"),
			})
			observed[id] = observation(rapid.Float64Range(-30, 45).Draw(t, "temp"), rapid.Float64Range(0, 100).Draw(t, "rh"),
				rapid.Float64Range(0, 60).Draw(t, "rain"), rapid.Float64Range(0, 40).Draw(t, "wind"))
		}
		_, levels := outlook.Rate(outlook.Input{Day: day0, Noon: true, Stations: ss, Observed: observed, Areas: areas})
		for _, d := range levels {
			if d.Level == alerts.DangerUnknown {
				if len(d.Stations) != 0 || d.Area == place {
					t.Fatalf("%+v", d)
				}
				continue
			}
			total, low, high := 0.0, alerts.DangerLevel(5), alerts.DangerLevel(1)
			least, most := math.Inf(1), math.Inf(-1)
			for i, s := range d.Stations {
				total += s.Weight
				low, high = min(low, s.Level), max(high, s.Level)
				least, most = min(least, s.Value), max(most, s.Value)
				if s.KM > 30 || s.Weight <= 0 || i > 0 && s.Weight > d.Stations[i-1].Weight {
					t.Fatalf("%+v", d)
				}
			}
			if math.Abs(total-1) > 1e-9 || d.Level < low || d.Level > high || d.Value < least || d.Value > most || len(d.Stations) > 4 {
				t.Fatalf("weights sum to %v, levels %d..%d: %+v", total, low, high, d)
			}
		}
	})
}
