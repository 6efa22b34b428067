package influx_test

import (
	"fmt"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// BenchmarkWrite writes batches of 5,000 readings of 1,000 devices, one after
// the other, as a backlog is drained by one writer.
func BenchmarkWrite(b *testing.B) {
	c := client(b, influx.Options{})
	const size = 5000
	n := 0
	for b.Loop() {
		b.StopTimer()
		rs := make([]contract.Reading, size)
		for i := range rs {
			at := day.Add(time.Duration(n/1000) * time.Second)
			if d := n % 1000; d < 800 {
				rs[i] = fix(contract.DeviceID(fmt.Sprintf("w-%05d", d)), at, uint64(n))
				rs[i].Values.Set(contract.SpeedMS, 1.5)
				rs[i].Values.Set(contract.AccM, 4)
			} else {
				rs[i] = weather(contract.DeviceID(fmt.Sprintf("s-%05d", d)), at, uint64(n))
			}
			n++
		}
		b.StartTimer()
		mustWrite(b, c, rs...)
	}
	b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}

// BenchmarkEncodeBatch compares what it costs to write 20,000 readings by series
// with what it costs to write them as they arrive. See BenchmarkCost for what the
// server saves.
func BenchmarkEncodeBatch(b *testing.B) {
	for _, devices := range []int{1000, 10_000} {
		const size = 20_000
		rs := fleet(devices, size)
		areas := areasOf(rs)
		for _, way := range []struct {
			name   string
			encode func(ingest.Registry, []contract.Reading) func() []byte
		}{{"arrival", influx.EncodeUnsorted}, {"sorted", influx.Encode}} {
			b.Run(fmt.Sprintf("devices=%d/%s", devices, way.name), func(b *testing.B) {
				encode := way.encode(areas, rs)
				for b.Loop() {
					encode()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/reading")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// registered is the area of each device.
type registered map[contract.DeviceID]string

func (r registered) Lookup(id contract.DeviceID) (area string, known bool) {
	area, known = r[id]
	return area, known
}

func areasOf(rs []contract.Reading) registered {
	areas := registered{}
	for i := range rs {
		areas[rs[i].Device] = "130633"
	}
	return areas
}

// BenchmarkLast asks for the newest reading of 11,000 devices, each of which
// reported twice within the hour.
func BenchmarkLast(b *testing.B) {
	c := client(b, influx.Options{})
	const devices = 11_000
	now := time.Now()
	for i := range 2 {
		rs := make([]contract.Reading, devices)
		for d := range rs {
			rs[d] = fix(contract.DeviceID(fmt.Sprintf("w-%05d", d)), now.Add(-time.Duration(30-i)*time.Minute), uint64(i))
		}
		mustWrite(b, c, rs...)
	}
	for b.Loop() {
		if got, err := c.Last(b.Context(), contract.Position); err != nil || len(got) != devices {
			b.Fatal(len(got), err)
		}
	}
}
