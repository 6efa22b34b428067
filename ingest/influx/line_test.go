package influx

import (
	"math"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
)

type areas map[contract.DeviceID]string

func (a areas) Lookup(id contract.DeviceID) (string, bool) {
	area, known := a[id]
	return area, known
}

var measured = time.Date(2026, 3, 14, 8, 0, 0, 5e6, time.UTC)

func reading(class contract.Class, change func(*contract.Reading)) contract.Reading {
	r := contract.Reading{
		Device: "w-17", Kind: contract.Tracker, Class: class,
		Measured: measured, Received: measured.Add(1500 * time.Millisecond), Seq: 7, HasSeq: true,
	}
	if class == contract.Environment {
		r.Kind = contract.Sensor
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestLines(t *testing.T) {
	registry := areas{"w-17": "130633", "odd": "a,b=c d\\\n", "nowhere": ""}
	for _, tt := range []struct {
		name string
		r    contract.Reading
		want string
	}{
		{"position", reading(contract.Position, func(r *contract.Reading) {
			r.Values.Set(contract.Lat, 39.125)
			r.Values.Set(contract.Sats, 9)
			r.Values.Set(contract.Moving, 1)
			r.Values.Set(contract.Charging, 0)
		}), `position,area=130633,device=w-17,kind=tracker class="position",received_ms=1773475201505i,seq=7i,lat=39.125,sats=9i,charging=f,moving=t 1773475200005000007`},
		{
			"sos without a cause still has a code, and its own tie", reading(contract.SOS, nil),
			`position,area=130633,device=w-17,kind=tracker class="sos",received_ms=1773475201505i,seq=7i,code="" 1773475200005333340`,
		},
		{
			"text", reading(contract.Report, func(r *contract.Reading) { r.Code, r.Text = "farm", "\"烧荒\"\n\\" }),
			`position,area=130633,device=w-17,kind=tracker class="report",received_ms=1773475201505i,seq=7i,code="farm",text="\"烧荒\"` + "\n" + `\\" 1773475200005666673`,
		},
		{
			"area is escaped", reading(contract.Environment, func(r *contract.Reading) { r.Device = "odd" }),
			`environment,area=a\,b\=c\ d__,device=odd,kind=sensor class="environment",received_ms=1773475201505i,seq=7i 1773475200005000007`,
		},
		{
			"unknown device, unknown reception", reading(contract.Status, func(r *contract.Reading) { r.Device, r.Received = "x", time.Time{} }),
			`device_status,device=x,kind=tracker class="status",seq=7i 1773475200005000007`,
		},
		{
			"device without an area", reading(contract.Status, func(r *contract.Reading) { r.Device = "nowhere" }),
			`device_status,device=nowhere,kind=tracker class="status",received_ms=1773475201505i,seq=7i 1773475200005000007`,
		},
		{
			"large sequence", reading(contract.Status, func(r *contract.Reading) { r.Seq = 1<<53 - 1 }),
			`device_status,area=130633,device=w-17,kind=tracker class="status",received_ms=1773475201505i,seq=9007199254740991i 1773475200005740991`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := encoder{registry: registry}
			got, err := e.append([]byte("before\n"), &tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if want := "before\n" + tt.want + "\n"; string(got) != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestBadReadingsLeaveNoBytes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*contract.Reading)
		want   string
	}{
		{"class", func(r *contract.Reading) { r.Class = 99 }, "class"},
		{"kind", func(r *contract.Reading) { r.Kind = 0 }, "kind"},
		{"device", func(r *contract.Reading) { r.Device = "a b" }, "device id"},
		{"no device", func(r *contract.Reading) { r.Device = "" }, "device id"},
		{"before 1970", func(r *contract.Reading) { r.Measured = time.Time{} }, "measured time"},
		{"after 2262", func(r *contract.Reading) { r.Measured = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }, "measured time"},
		{"not a number", func(r *contract.Reading) { r.Values.Set(contract.Lat, math.NaN()) }, "lat"},
		{"infinite", func(r *contract.Reading) { r.Values.Set(contract.Lon, math.Inf(1)) }, "lon"},
		{"too large a sequence", func(r *contract.Reading) { r.Seq = 1 << 63 }, "seq"},
		{"too large an integer", func(r *contract.Reading) { r.Values.Set(contract.Sats, 1e300) }, "sats"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := reading(contract.Position, tt.change)
			got, err := (&encoder{}).append([]byte("before\n"), &r)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %s", err, tt.want)
			}
			if string(got) != "before\n" {
				t.Errorf("left %q", got)
			}
		})
	}
}

func TestTieTellsReadingsApart(t *testing.T) {
	plain := func(change func(*contract.Reading)) contract.Reading {
		return reading(contract.Position, func(r *contract.Reading) {
			r.Seq, r.HasSeq = 0, false
			r.Values.Set(contract.Lat, 39)
			if change != nil {
				change(r)
			}
		})
	}
	base := plain(nil)
	same := map[string]contract.Reading{
		"received again":  plain(func(r *contract.Reading) { r.Received = r.Received.Add(time.Hour) }),
		"other kind, too": plain(func(r *contract.Reading) { r.Kind = contract.Sensor }),
	}
	for name, r := range same {
		if tie(&r) != tie(&base) {
			t.Errorf("%s: another tie", name)
		}
	}
	other := map[string]contract.Reading{
		"value": plain(func(r *contract.Reading) { r.Values.Set(contract.Lat, 39.00001) }),
		"field": plain(func(r *contract.Reading) { r.Values = contract.Values{}; r.Values.Set(contract.Lon, 39) }),
		"more":  plain(func(r *contract.Reading) { r.Values.Set(contract.Lon, 0) }),
		"code":  plain(func(r *contract.Reading) { r.Code = "a" }),
		"text":  plain(func(r *contract.Reading) { r.Text = "a" }),
		"class": plain(func(r *contract.Reading) { r.Class = contract.SOS }),
	}
	for name, r := range other {
		if tie(&r) == tie(&base) {
			t.Errorf("%s: the same tie", name)
		}
	}
	zero, minus := plain(nil), plain(nil)
	zero.Values.Set(contract.Lon, 0)
	minus.Values.Set(contract.Lon, math.Copysign(0, -1))
	if tie(&zero) != tie(&minus) {
		t.Error("the two zeros have two ties")
	}
}

// TestTieIsForEver pins the hash: a reading that was stored by an older release
// and comes again must be the same point.
func TestTieIsForEver(t *testing.T) {
	r := reading(contract.Environment, func(r *contract.Reading) {
		r.Seq, r.HasSeq, r.Code, r.Text = 0, false, "c", "火"
		r.Values.Set(contract.TempC, 21.5)
		r.Values.Set(contract.RhPct, 30)
	})
	if got := tie(&r); got != 925_475 {
		t.Errorf("tie is %d", got)
	}
}

func TestEncodingMakesNoGarbage(t *testing.T) {
	r, e := tracked(), encoder{registry: areas{"w-17": "130633"}}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf, _ = e.append(buf[:0], &r) }); n != 0 {
		t.Errorf("%v allocations per reading", n)
	}
}

// tracked has what a tracker usually sends.
func tracked() contract.Reading {
	return reading(contract.Position, func(r *contract.Reading) {
		for f, x := range map[contract.Field]float64{
			contract.Lat: 39.123456, contract.Lon: 115.234567, contract.AltM: 812.5, contract.SpeedMS: 1.25,
			contract.CourseDeg: 271, contract.AccM: 4.5, contract.BatteryPct: 77, contract.RssiDBm: -87,
		} {
			r.Values.Set(f, x)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	r, e := tracked(), encoder{registry: areas{"w-17": "130633"}}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = e.append(buf[:0], &r)
	}
	b.SetBytes(int64(len(buf)))
}
