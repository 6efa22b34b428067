package rehearsal_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
	contract "firewatch/firmware-contracts"
)

// synthetic is a stream of devices that each measure once a minute, with a daily
// wave in the temperature and, in one device after the other, smoke once a day.
func synthetic(begin time.Time, devices, minutes int) rehearsal.Stream {
	d, m := 0, 0
	return func(context.Context) (x contract.Reading, ok bool, err error) {
		if m >= minutes {
			return x, false, nil
		}
		t := begin.Add(time.Duration(m)*time.Minute + time.Duration(d)*100*time.Millisecond)
		x = contract.Reading{Device: deviceID(d), Kind: contract.Sensor, Class: contract.Environment, Measured: t, Received: t.Add(time.Second)}
		wave := math.Sin(2 * math.Pi * float64(m%1440) / 1440)
		x.Values.Set(contract.TempC, 12+8*wave+float64((m*7+d*13)%5)/10)
		x.Values.Set(contract.RhPct, 50-20*wave)
		x.Values.Set(contract.CoPPM, 1+float64((m*3+d)%7)/10)
		x.Values.Set(contract.WindMS, 3+float64((m+d)%9)/3)
		smoke := float64((m*5+d*3)%10) / 20
		if m%(1440*devices) >= 1440*d+600 && m%(1440*devices) < 1440*d+620 {
			smoke = 12
		}
		x.Values.Set(contract.SmokeObsPctM, smoke)
		if d++; d == devices {
			d, m = 0, m+1
		}
		return x, true, nil
	}
}

func deviceID(d int) contract.DeviceID { return contract.DeviceID(fmt.Sprintf("S%05d", d)) }

func syntheticWorld(devices int) rehearsal.World {
	w := rehearsal.World{Roster: oneSensor()}
	w.Roster.Devices = nil
	for d := range devices {
		w.Roster.Devices = append(w.Roster.Devices, alerts.Device{
			ID: deviceID(d), Kind: contract.Sensor, Area: "130633101", Lat: 39 + float64(d%10)*0.02, Lon: 115 + float64(d/10)*0.02, Expect: time.Minute,
		})
	}
	w.Seasons = []rehearsal.SeasonsFrom{{Table: &alerts.SeasonTable{Version: "none"}}}
	return w
}

// BenchmarkBacktest is one reading of 100 devices, judged by two rule sets side by
// side, with a tick a minute.
func BenchmarkBacktest(b *testing.B) {
	const devices = 100
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	set := shippedSet(b, string(alerts.DefaultRules()))
	var both [2]*rehearsal.Rehearsal
	for i := range both {
		var err error
		both[i], err = rehearsal.New(b.Context(), rehearsal.Options{Rules: set, World: syntheticWorld(devices), Start: begin, Tick: time.Minute, Lean: true})
		if err != nil {
			b.Fatal(err)
		}
	}
	minutes := b.N/devices + 1
	b.ReportAllocs()
	b.ResetTimer()
	if err := rehearsal.RunAll(b.Context(), rehearsal.Merge(synthetic(begin, devices, minutes)), time.Time{}, both[:]...); err != nil {
		b.Fatal(err)
	}
	n := float64(minutes * devices)
	b.ReportMetric(n/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(float64(minutes)/1440/b.Elapsed().Seconds()*60, "days/min")
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.HeapAlloc)/(1<<20), "heap-MiB")
	res := both[1].Result()
	b.ReportMetric(float64(len(res.Alerts)), "alerts")
}
