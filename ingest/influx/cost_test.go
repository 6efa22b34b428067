package influx_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/influx"
	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/influx/influxdtest"
)

// BenchmarkCost measures what a point costs InfluxDB and what it costs us, in
// CPU-seconds per million points, by the readings in a batch, their order in it,
// the writes in flight and the number of devices. Each row has a server of its
// own. Run it with -benchtime 1x; figures of one run may be compared.
//
//	go test ./ingest/influx -run '^$' -bench Cost -benchtime 1x
func BenchmarkCost(b *testing.B) {
	for _, devices := range []int{1000, 10_000} {
		for _, row := range []struct {
			batch, flight int
			arrival       bool
			gzip          influx.Gzip
		}{
			{batch: 50, flight: 1},
			{batch: 500, flight: 1},
			{batch: 5000, flight: 1, arrival: true},
			{batch: 5000, flight: 1},
			{batch: 20_000, flight: 1, arrival: true},
			{batch: 20_000, flight: 1},
			{batch: 20_000, flight: 2},
			{batch: 20_000, flight: 1, gzip: influx.GzipOn},
			{batch: 50_000, flight: 1},
		} {
			order := "sorted"
			if row.arrival {
				order = "arrival"
			}
			b.Run(fmt.Sprintf("devices=%d/batch=%d/%s/flight=%d/gzip=%s", devices, row.batch, order, row.flight, row.gzip), func(b *testing.B) {
				points := 200_000
				if row.batch < 5000 {
					points = 40_000
				}
				for b.Loop() {
					cost(b, devices, points, row.batch, row.flight, row.arrival, row.gzip)
				}
			})
		}
	}
}

func cost(b *testing.B, devices, points, size, flight int, arrival bool, gzip influx.Gzip) {
	b.StopTimer()
	path, err := influxdtest.Binary()
	if err != nil {
		b.Fatal(err)
	}
	s, err := influxd.Start(b.Context(), influxd.Options{Binary: path, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	}()
	c := client(b, influx.Options{URL: s.URL(), Gzip: gzip})
	if arrival {
		c.KeepOrder()
	}
	rs := fleet(devices, points+size)
	mustWrite(b, c, rs[:size]...) // series and shards are made
	rs = rs[size:]

	serverBefore, oursBefore := spent(b, s.PID()), own(b)
	b.StartTimer()
	begin := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range flight {
		wg.Go(func() {
			for {
				from := int(next.Add(int64(size))) - size
				if from >= len(rs) {
					return
				}
				if err := c.Write(b.Context(), rs[from:min(from+size, len(rs))]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	b.StopTimer()
	million := float64(len(rs)) / 1e6
	b.ReportMetric((spent(b, s.PID())-serverBefore)/million, "influxd-s/M")
	b.ReportMetric((own(b)-oursBefore)/million, "our-s/M")
	b.ReportMetric(float64(len(rs))/took.Seconds(), "points/s")
	b.StartTimer()
}

// fleet makes readings as they arrive: each round every device once, in an order
// of its own.
func fleet(devices, n int) []contract.Reading {
	names := make([]contract.DeviceID, devices)
	for i := range names {
		names[i] = contract.DeviceID(fmt.Sprintf("w-%05d", i))
	}
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a benchmark
	rs := make([]contract.Reading, 0, n)
	for round := 0; len(rs) < n; round++ {
		for _, d := range rnd.Perm(devices) {
			at := day.Add(time.Duration(round)*30*time.Second + time.Duration(d)*time.Millisecond)
			var r contract.Reading
			if d%5 < 4 {
				r = fix(names[d], at, uint64(round))
				r.Values.Set(contract.Lat, 39+float64(rnd.IntN(1e6))/1e6)
				r.Values.Set(contract.Lon, 115+float64(rnd.IntN(1e6))/1e6)
				r.Values.Set(contract.SpeedMS, float64(rnd.IntN(300))/100)
				r.Values.Set(contract.AccM, float64(rnd.IntN(200))/10)
			} else {
				r = weather(names[d], at, uint64(round))
				r.Values.Set(contract.TempC, float64(rnd.IntN(400))/10)
				r.Values.Set(contract.WindMS, float64(rnd.IntN(200))/10)
				r.Values.Set(contract.BatteryV, 3.6)
			}
			if rs = append(rs, r); len(rs) == n {
				break
			}
		}
	}
	return rs
}

// spent is the CPU time of a process in seconds.
func spent(tb testing.TB, pid int) float64 {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Skip("CPU time of a process: ", err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	const perSecond = 100 // USER_HZ
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / perSecond
}

// own is the CPU time of this process in seconds.
func own(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
