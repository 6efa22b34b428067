package influx_test

import (
	"fmt"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/ingesttest"
)

// wardens is one reading of each of n devices.
func wardens(n int, at time.Time, seq uint64) []contract.Reading {
	rs := make([]contract.Reading, n)
	for i := range rs {
		rs[i] = fix(contract.DeviceID(fmt.Sprintf("w-%05d", i)), at, seq)
	}
	return rs
}

// first is the newest reading of the first device.
func first(tb testing.TB, c *influx.Client) contract.Reading {
	tb.Helper()
	got, err := c.Last(tb.Context(), contract.Position)
	if err != nil || len(got) == 0 {
		tb.Fatal(err, len(got))
	}
	return got[0]
}

// TestLastOfManyIsAnsweredFromMemory: with many devices and a slow InfluxDB
// nobody waits but the first, and what another process writes is found.
func TestLastOfManyIsAnsweredFromMemory(t *testing.T) {
	g := gated(t)
	elsewhere := client(t, influx.Options{Database: "memory"})
	c := connect(t, influx.Options{URL: g.URL, Database: "memory"})
	now := time.Now().UTC().Truncate(time.Millisecond)
	mustWrite(t, elsewhere, wardens(1500, now.Add(-time.Minute), 1)...)
	g.slow.Store(int64(200 * time.Millisecond))
	if r := first(t, c); r.Seq != 1 {
		t.Fatalf("%+v", r)
	}
	mustWrite(t, elsewhere, wardens(1, now, 2)...)
	g.slow.Store(int64(10 * time.Minute)) // whoever asks now waits for ever
	asked := g.long.Load()
	ingesttest.Eventually(t, "a question behind our back", func() bool {
		first(t, c)
		return g.long.Load() > asked
	})
	if r := first(t, c); r.Seq != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestLastFindsWhatOthersWroteBehindTheBack(t *testing.T) {
	g := gated(t)
	elsewhere := client(t, influx.Options{Database: "others"})
	c := connect(t, influx.Options{URL: g.URL, Database: "others"})
	now := time.Now().UTC().Truncate(time.Millisecond)
	mustWrite(t, elsewhere, wardens(1500, now.Add(-time.Minute), 1)...)
	g.slow.Store(int64(110 * time.Millisecond))
	first(t, c)
	mustWrite(t, elsewhere, wardens(1, now, 2)...)
	ingesttest.Eventually(t, "the reading of another process", func() bool { return first(t, c).Seq == 2 })
}

// TestLastIsToldOfItsOwnWrites: nothing is asked to know what this process has
// written, and nothing older takes its place.
func TestLastIsToldOfItsOwnWrites(t *testing.T) {
	g := gated(t)
	c := client(t, influx.Options{URL: g.URL, Database: "fed"})
	sink := influx.Observe(c, c)
	now := time.Now().UTC()
	write := func(rs ...contract.Reading) {
		t.Helper()
		if err := sink.Write(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	write(wardens(1500, now.Add(-time.Minute), 1)...)
	g.slow.Store(int64(110 * time.Millisecond))
	first(t, c)
	write(wardens(1, now, 2)...) // told from here on
	first(t, c)
	asked := g.long.Load()
	newer := sos("w-00000", now.Add(time.Second))
	newer.Text = "山里"
	write(newer)
	write(wardens(1, now.Add(-time.Hour), 9)...)
	got := first(t, c)
	stored := history(t, c, "w-00000", contract.SOS)
	if len(stored) != 1 || got != stored[0] {
		t.Errorf("told  %+v\nstored %+v", got, stored)
	}
	if n := g.long.Load(); n > asked+1 {
		t.Errorf("%d questions", n-asked)
	}
}

func TestNewestHealthStands(t *testing.T) {
	c := client(t, influx.Options{Database: "health"})
	full := ingest.DeviceHealth{
		Device: "w-1", Received: day.Add(time.Hour), Measured: day, Skew: -1500 * time.Millisecond, HasSkew: true,
		Buffered: 0, HasBuffered: true, BatteryPct: 41.5, BatteryRate: -3.25, DaysLeft: 12.8, HasBattery: true, HasDaysLeft: true,
		Missing: 3, Repeated: 1 << 40, Resets: 2, Flood: ingest.FloodSlowed,
	}
	bare := ingest.DeviceHealth{Device: "w-2", Received: day, Measured: day}
	old := full
	old.Flood, old.Missing = ingest.FloodCut, 99
	if err := c.WriteHealth(t.Context(), []ingest.DeviceHealth{old}); err != nil {
		t.Fatal(err)
	}
	before := time.Now().UnixMilli()
	ingesttest.Eventually(t, "the next millisecond", func() bool { return time.Now().UnixMilli() > before })
	if err := c.WriteHealth(t.Context(), []ingest.DeviceHealth{full, bare}); err != nil {
		t.Fatal(err)
	}
	for name, reader := range map[string]*influx.Client{"the writer": c, "another": connect(t, influx.Options{Database: "health"})} {
		for range 2 {
			got, err := reader.Health(t.Context())
			if err != nil || len(got) != 2 || got[0] != full || got[1] != bare {
				t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, []ingest.DeviceHealth{full, bare})
			}
		}
	}
	if err := c.WriteHealth(t.Context(), []ingest.DeviceHealth{{Device: "a b"}}); err == nil {
		t.Error("a device that cannot be is written")
	}
}

// BenchmarkLast30000 asks for the newest reading of 30,000 devices, each of which
// reported every ten minutes of an hour with twelve values: the first time, again
// with nothing told, and again with the process's own writes told.
func BenchmarkLast30000(b *testing.B) {
	const devices = 30_000
	c := client(b, influx.Options{Database: fmt.Sprintf("last30000-%d", b.N)})
	now := time.Now()
	round := func(i int) []contract.Reading {
		rs := wardens(devices, now.Add(time.Duration(i-6)*10*time.Minute), uint64(i))
		for j := range rs {
			for f, x := range map[contract.Field]float64{
				contract.AltM: 300, contract.SpeedMS: 1.2, contract.CourseDeg: 40, contract.AccM: 4, contract.Sats: 9,
				contract.Charging: 0, contract.RssiDBm: -80, contract.Buffered: 0, contract.Moving: 1,
			} {
				rs[j].Values.Set(f, x)
			}
		}
		return rs
	}
	for i := range 6 {
		mustWrite(b, c, round(i)...)
	}
	ask := func(b *testing.B, c *influx.Client) {
		b.Helper()
		if got, err := c.Last(b.Context(), contract.Position); err != nil || len(got) != devices {
			b.Fatal(len(got), err)
		}
	}
	db := c.Database()
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			ask(b, connect(b, influx.Options{Database: db}))
		}
	})
	b.Run("warm", func(b *testing.B) {
		ask(b, c)
		for b.Loop() {
			ask(b, c)
		}
	})
	b.Run("told", func(b *testing.B) {
		sink := influx.Observe(c, c)
		rs := round(6)
		ask(b, c)
		for i := 0; b.Loop(); i = (i + 1) % 6 {
			if err := sink.Write(b.Context(), rs[i*5000:(i+1)*5000]); err != nil {
				b.Fatal(err)
			}
			ask(b, c)
		}
	})
}
