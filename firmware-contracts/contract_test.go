package contract

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func TestIDs(t *testing.T) {
	for _, id := range []string{"a", "7", "trk-0421", "s2120.zijingguan", "A_b.c-D", strings.Repeat("x", 64)} {
		if err := DeviceID(id).Validate(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
		if err := TeamID(id).Validate(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{
		"", ".", "..", "-a", "_a", ".a", "a b", "a/b", "a+", "#", "+", "$SYS", "é", "护林员", "a\x00", "a\n", "a,b", "a=b", `a\b`, "a\xff",
		strings.Repeat("x", 65),
	} {
		if err := DeviceID(id).Validate(); err == nil {
			t.Errorf("%q is taken for a device id", id)
		}
		if err := TeamID(id).Validate(); err == nil {
			t.Errorf("%q is taken for a team id", id)
		}
	}
}

func TestNamesParseBack(t *testing.T) {
	for _, k := range []Kind{Tracker, Sensor} {
		if got, err := ParseKind(k.String()); err != nil || got != k {
			t.Errorf("%s: %v, %v", k, got, err)
		}
	}
	for _, c := range Classes {
		if got, err := ParseClass(c.String()); err != nil || got != c {
			t.Errorf("%s: %v, %v", c, got, err)
		}
	}
	if _, err := ParseKind("drone"); err == nil {
		t.Error("drone is taken for a kind")
	}
	for _, s := range []string{"", "positions", "class(9)", Class(9).String(), Class(0).String()} {
		if _, err := ParseClass(s); err == nil {
			t.Errorf("%q is taken for a class", s)
		}
	}
}

func TestCheckMeasured(t *testing.T) {
	now := time.Date(2026, 3, 14, 8, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		at time.Time
		ok bool
	}{
		{now, true},
		{now.Add(MaxAhead), true},
		{now.Add(MaxAhead + time.Millisecond), false},
		{Earliest, true},
		{Earliest.Add(-time.Millisecond), false},
		{time.Time{}, false},
		{now.Add(-6 * 365 * 24 * time.Hour), true},
		{time.UnixMilli(MaxSeq), false},
		{time.Unix(math.MaxInt32, 0), false},
	} {
		err := CheckMeasured(tc.at, now)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrMeasuredTime) {
			t.Errorf("%s: %v", tc.at, err)
		}
	}
	r := Reading{Measured: now.Add(-time.Hour), Received: now}
	if r.Late() != time.Hour {
		t.Errorf("late by %s", r.Late())
	}
}

// The units that a name may end in. A field without a unit is a count, or true
// or false.
var suffixes = map[string]string{
	"_m": "m", "_ms": "m/s", "_deg": "deg", "_pct": "%", "_v": "V", "_c": "°C", "_mm": "mm", "_hpa": "hPa", "_ppm": "ppm",
	"_pct_m": "%/m", "_ugm3": "µg/m³", "_wm2": "W/m²", "_dbm": "dBm", "_s": "s", "lat": "deg", "lon": "deg",
}

func TestFieldTable(t *testing.T) {
	seen := map[string]bool{}
	for f := range Fields() {
		i := f.Info()
		if i.Name == "" || i.About == "" || seen[i.Name] || strings.ToLower(i.Name) != i.Name {
			t.Errorf("field %d: name %q, about %q", f, i.Name, i.About)
		}
		seen[i.Name] = true
		if got, ok := FieldByName(i.Name); !ok || got != f || f.String() != i.Name {
			t.Errorf("%s is found as %v", i.Name, got)
		}
		if !(i.Min < i.Max) || math.IsInf(i.Min, 0) || math.IsInf(i.Max, 0) {
			t.Errorf("%s: range %v..%v", i.Name, i.Min, i.Max)
		}
		if len(i.Classes) == 0 {
			t.Errorf("%s belongs to no class", i.Name)
		}
		for _, c := range Classes {
			if f.In(c) != slices.Contains(i.Classes, c) {
				t.Errorf("%s in %s: %v", i.Name, c, f.In(c))
			}
		}
		unit := ""
		longest := 0
		for s, u := range suffixes {
			if strings.HasSuffix(i.Name, s) && len(s) > longest {
				unit, longest = u, len(s)
			}
		}
		switch {
		case i.Bool:
			if i.Unit != "" || unit != "" || i.Integer || i.Min != 0 || i.Max != 1 {
				t.Errorf("%s: true or false, with unit %q, range %v..%v", i.Name, i.Unit, i.Min, i.Max)
			}
		case i.Unit == "1":
			if !i.Integer || unit != "" {
				t.Errorf("%s: a count", i.Name)
			}
		case i.Unit != unit:
			t.Errorf("%s: unit %q, but its name says %q", i.Name, i.Unit, unit)
		}
	}
	if len(seen) != NumFields {
		t.Errorf("%d fields, want %d", len(seen), NumFields)
	}
	if Lat.In(0) || Lat.In(99) || numFields.String() == "" {
		t.Error("no class has no fields")
	}
	if _, ok := FieldByName("temperature"); ok {
		t.Error("temperature is no field")
	}
}

// Journals on disk hold these numbers, so they never change.
func TestFieldNumbersStay(t *testing.T) {
	want := strings.Fields(`lat lon alt_m speed_ms course_deg acc_m sats battery_pct battery_v charging temp_c rh_pct wind_ms
		wind_gust_ms wind_dir_deg rain_mm pressure_hpa co_ppm co2_ppm smoke_obs_pct_m pm25_ugm3 flame fuel_moist_pct solar_wm2
		rssi_dbm buffered uptime_s online tamper calibrating active moving`)
	for n, name := range want {
		if Field(n).String() != name {
			t.Errorf("field %d is %s, was %s", n, Field(n), name)
		}
	}
}

func TestFieldCheck(t *testing.T) {
	for _, tc := range []struct {
		f    Field
		x    float64
		says string // empty: good
	}{
		{Lat, 90, ""},
		{Lat, math.Nextafter(90, 91), "outside -90..90 deg"},
		{Lon, -180, ""},
		{TempC, -60.1, "outside -60..300 °C"},
		{TempC, math.NaN(), "finite"},
		{TempC, math.Inf(-1), "finite"},
		{Sats, 3, ""},
		{Sats, 3.5, "not a whole number"},
		{Sats, 201, "outside 0..200"},
		{Flame, 1, ""},
		{Flame, 0.5, "not a whole number"},
		{Flame, 2, "outside 0..1"},
		{Co2PPM, 1e6, ""},
		{Co2PPM, 1e6 + 1, "0..1000000 ppm"},
	} {
		err := tc.f.Check(tc.x)
		if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s %v: %v, want %q", tc.f, tc.x, err, tc.says)
		}
	}
}

func TestValues(t *testing.T) {
	var v Values
	if v.Len() != 0 || v.Has(Lat) {
		t.Error("the zero value holds something")
	}
	v.Set(Moving, 1)
	v.Set(Lat, 39.5)
	v.Set(TempC, 0)
	v.Set(Lat, 40)
	if x, ok := v.Get(Lat); !ok || x != 40 {
		t.Errorf("lat %v, %v", x, ok)
	}
	if x, ok := v.Get(TempC); !ok || x != 0 {
		t.Errorf("a zero is a value: %v, %v", x, ok)
	}
	if _, ok := v.Get(Lon); ok || v.Len() != 3 {
		t.Errorf("%d values", v.Len())
	}
	var order []Field
	for f, x := range v.All() {
		if y, _ := v.Get(f); x != y {
			t.Errorf("%s: %v, %v", f, x, y)
		}
		order = append(order, f)
	}
	if !slices.Equal(order, []Field{Lat, TempC, Moving}) {
		t.Errorf("order %v", order)
	}
	for range v.All() {
		break
	}
	w := v
	w.Set(Lon, 115)
	if v.Has(Lon) || v == w {
		t.Error("a copy is not its own")
	}
	w.Clear(Lon)
	if v != w {
		t.Error("clearing leaves a trace")
	}
	for f := range Fields() {
		w.Set(f, float64(f))
	}
	if w.Len() != NumFields {
		t.Errorf("%d values of %d", w.Len(), NumFields)
	}
}

func TestReadingStaysSmall(t *testing.T) {
	if n := unsafe.Sizeof(Reading{}); n > 448 {
		t.Errorf("a reading takes %d bytes", n)
	}
}

func TestReceipts(t *testing.T) {
	answers := 0
	for _, r := range Receipts {
		if r.Answer() {
			answers++
		}
	}
	if answers != 5 || Delivered.Answer() || Read.Answer() || Receipt("maybe").Answer() {
		t.Errorf("%d receipts are a person's answer", answers)
	}
}
