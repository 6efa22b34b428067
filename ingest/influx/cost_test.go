package influx_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
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

// A way of writing, with a server of its own.
type way struct {
	name          string
	batch, flight int
	arrival       bool // the lines as they come, not by series
	gzip          influx.Gzip

	server       *influxd.Server
	client       *influx.Client
	theirs, ours float64 // CPU-seconds
	took         time.Duration
}

// BenchmarkCost measures what a reading costs InfluxDB and what it costs us, in
// CPU-seconds per million, by the readings in a batch, their order in it, the
// writes in flight and the number of devices. The ways of writing take turns
// every 40,000 readings, each on a server of its own, so that what else the
// machine does bears on all of them alike: compare figures of one run only.
//
//	go test ./ingest/influx -run '^$' -bench Cost -benchtime 6x
func BenchmarkCost(b *testing.B) {
	for _, devices := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			ways := []*way{
				{name: "100", batch: 100, flight: 1},
				{name: "5000-arrival", batch: 5000, flight: 1, arrival: true},
				{name: "5000", batch: 5000, flight: 1},
				{name: "20000-arrival", batch: 20_000, flight: 1, arrival: true},
				{name: "20000", batch: 20_000, flight: 1},
				{name: "5000-two", batch: 5000, flight: 2},
				{name: "20000-two", batch: 20_000, flight: 2},
				{name: "20000-gzip", batch: 20_000, flight: 1, gzip: influx.GzipOn},
			}
			for _, w := range ways {
				w.start(b)
			}
			const round = 40_000
			rs := fleet(devices, round*(b.N+1))
			for i := range b.N + 1 {
				for _, w := range ways {
					w.write(b, slices.Clone(rs[i*round:(i+1)*round]), i > 0) // the first makes series and shards
				}
			}
			for _, w := range ways {
				million := float64(b.N*round) / 1e6
				b.ReportMetric(w.theirs/million, w.name+"-influxd-s/M")
				b.ReportMetric(w.ours/million, w.name+"-our-s/M")
				b.ReportMetric(float64(b.N*round)/w.took.Seconds(), w.name+"/s")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func (w *way) start(b *testing.B) {
	b.Helper()
	path, err := influxdtest.Binary()
	if err != nil {
		b.Fatal(err)
	}
	if w.server, err = influxd.Start(b.Context(), influxd.Options{Binary: path, Dir: b.TempDir()}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.server.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	w.client = client(b, influx.Options{URL: w.server.URL(), Gzip: w.gzip})
	if w.arrival {
		w.client.KeepOrder()
	}
}

// write writes the readings and adds up what it costs.
func (w *way) write(b *testing.B, rs []contract.Reading, counts bool) {
	b.Helper()
	batches := slices.Collect(slices.Chunk(rs, w.batch))
	theirs, ours, begin := spent(b, w.server.PID()), own(b), time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range w.flight {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(batches); i = int(next.Add(1)) - 1 {
				if err := w.client.Write(b.Context(), batches[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if counts {
		w.took += time.Since(begin)
		w.theirs += spent(b, w.server.PID()) - theirs
		w.ours += own(b) - ours
	}
}

// fleet makes readings as they arrive: each round every device once, in an order
// of its own.
func fleet(devices, n int) []contract.Reading {
	names := make([]contract.DeviceID, devices)
	for i := range names {
		names[i] = contract.DeviceID(fmt.Sprintf("w-%05d", i))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
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
