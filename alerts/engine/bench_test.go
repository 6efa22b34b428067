package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	contract "firewatch/firmware-contracts"
)

type noFeed struct{}

func (noFeed) Name() string { return "none" }

func (noFeed) Read(ctx context.Context, _ uint64, _ int) (alerts.Batch, error) {
	<-ctx.Done()
	return alerts.Batch{}, ctx.Err()
}
func (noFeed) Seek(time.Time) uint64 { return 0 }
func (noFeed) Release(uint64) error  { return nil }

// prefecture is an office of 11,000 trackers and 3,000 sensors in 128
// townships, and what they all say once a minute.
func prefecture(tb testing.TB) (b *bench, round func(now time.Time) []contract.Reading) {
	tb.Helper()
	r := alerts.Roster{Areas: []alerts.Area{{Code: "130600", Name: "保定市", Level: alerts.City}}}
	for c := range 9 {
		county := fmt.Sprintf("1306%02d", 20+c)
		r.Areas = append(r.Areas, alerts.Area{Code: county, Name: "县", Level: alerts.County, Parent: "130600", Lat: 39, Lon: 115})
	}
	for i := range 128 {
		county := fmt.Sprintf("1306%02d", 20+i%9)
		r.Areas = append(r.Areas, alerts.Area{Code: fmt.Sprintf("%s%03d", county, i), Name: "镇", Level: alerts.Township, Parent: county})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 14_000 {
		d := alerts.Device{
			ID: contract.DeviceID(fmt.Sprintf("D%05d", i)), Kind: contract.Tracker, Area: r.Areas[10+i%128].Code, Name: "某",
			Lat: 38.8 + rnd.Float64(), Lon: 114.5 + rnd.Float64(), Expect: time.Minute,
		}
		if i >= 11_000 {
			d.Kind = contract.Sensor
		}
		r.Devices = append(r.Devices, d)
	}
	mem := memstore.New()
	now := time.Now()
	if err := mem.ReplaceRoster(tb.Context(), r, now); err != nil {
		tb.Fatal(err)
	}
	if err := mem.SaveSeasons(tb.Context(), alerts.SeasonTable{Version: "x", Seasons: []alerts.Season{
		{Area: "130600", Kind: alerts.Prevention, From: "01-01", To: "12-31"},
	}}, now); err != nil {
		tb.Fatal(err)
	}
	set, err := alerts.ParseRules(alerts.DefaultRules())
	if err != nil {
		tb.Fatal(err)
	}
	e, err := New(Options{
		Feed: noFeed{}, Roster: mem, Alerts: mem, Orders: mem, Warnings: mem, Incidents: mem, Silences: mem, Rules: set, Log: zap.NewNop(),
		Answers: func(context.Context, contract.Answer) error { return nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	b = newBench(e, now.Add(time.Hour))
	if err := b.load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	readings := make([]contract.Reading, len(r.Devices))
	seq := uint64(0)
	return b, func(now time.Time) []contract.Reading {
		seq++
		for i, d := range r.Devices {
			x := contract.Reading{Device: d.ID, Kind: d.Kind, Class: contract.Position, Measured: now.Add(-time.Second), Received: now, Seq: seq, HasSeq: true}
			x.Values.Set(contract.BatteryPct, 80)
			if d.Kind == contract.Sensor {
				x.Class = contract.Environment
				x.Values.Set(contract.SmokeObsPctM, rnd.Float64())
				x.Values.Set(contract.CoPPM, 2*rnd.Float64())
				x.Values.Set(contract.TempC, 18+rnd.Float64())
			} else {
				x.Values.Set(contract.Lat, d.Lat+0.001*rnd.Float64()) // a beat of 100 m
				x.Values.Set(contract.Lon, d.Lon+0.001*rnd.Float64())
			}
			readings[i] = x
		}
		return readings
	}
}

// BenchmarkJudge is one reading, windows full, 14,000 devices.
func BenchmarkJudge(b *testing.B) {
	for _, c := range []struct {
		name     string
		from, to int
	}{{"fleet", 0, 14_000}, {"sensor", 11_000, 14_000}, {"tracker", 0, 11_000}} {
		b.Run(c.name, func(b *testing.B) {
			desk, round := prefecture(b)
			now := time.Now()
			for range 40 {
				now = now.Add(time.Minute)
				rs := round(now)
				for i := range rs {
					desk.judge(now, alerts.Input{Kind: alerts.Judge, Reading: &rs[i]})
				}
			}
			var rs []contract.Reading
			b.ReportAllocs()
			at := c.to
			for b.Loop() {
				if at == c.to {
					b.StopTimer()
					now, at = now.Add(time.Minute), c.from
					rs = round(now)
					if _, err := desk.collect(now, true); err != nil {
						b.Fatal(err)
					}
					later := desk.pend.later
					desk.pend = newPending()
					desk.pend.later = later
					b.StartTimer()
				}
				desk.judge(now, alerts.Input{Kind: alerts.Judge, Reading: &rs[at]})
				at++
			}
		})
	}
}

// BenchmarkTick is what time alone costs each second with 14,000 devices
// expected, all of them alive.
func BenchmarkTick(b *testing.B) {
	desk, round := prefecture(b)
	now := time.Now()
	rs := round(now)
	for i := range rs {
		desk.judge(now, alerts.Input{Kind: alerts.Judge, Reading: &rs[i]})
	}
	b.ReportAllocs()
	for b.Loop() {
		desk.refresh(now)
		desk.timed(now)
	}
}

// TestMemoryStaysBounded: a day of minutes does not grow what a full window
// needs.
func TestMemoryStaysBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("holds 14,000 devices")
	}
	desk, round := prefecture(t)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	empty := heap()
	now := time.Now()
	run := func(minutes int) uint64 {
		for range minutes {
			now = now.Add(time.Minute)
			rs := round(now)
			for i := range rs {
				desk.judge(now, alerts.Input{Kind: alerts.Judge, Reading: &rs[i]})
			}
			if _, err := desk.collect(now, true); err != nil {
				t.Fatal(err)
			}
			later := desk.pend.later
			desk.pend = newPending()
			desk.pend.later = append([]laterRow(nil), later...)
		}
		return heap()
	}
	full := run(100)
	t.Logf("%d bytes a device with full windows", int64(full-empty)/14_000)
	if after := run(40); after > full+full/10 {
		t.Errorf("heap grew from %d to %d bytes", full, after)
	}
}
