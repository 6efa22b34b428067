package influx

import (
	contract "firewatch/firmware-contracts"
)

// sortFrom is the size from which a batch is sorted by series. Smaller ones
// hardly hold two points of one series.
const sortFrom = 64

// A batch is the reused memory of one Write.
type batch struct {
	readings []*contract.Reading // nil: nothing to write at this index
	buf      []byte              // lines, each with its line break
	lines    []line              // as they stand in buf

	// What sorting works with.
	devices map[contract.DeviceID]int32 // numbers of the devices in the batch
	series  []int32                     // by reading: the number of its series
	ends    []int32                     // by series: where its readings end in order
	order   []int32                     // indexes of readings by series, each series in the order of arrival
	prefix  []byte                      // measurement and tags of the series at hand
}

// A line is one reading's place in the buffer.
type line struct {
	begin, end int
	index      int // into the readings
}

func newBatch() *batch { return &batch{devices: map[contract.DeviceID]int32{}} }

// reset forgets the readings, so that nothing of them is held in the pool.
func (b *batch) reset() {
	clear(b.readings)
	b.readings, b.buf, b.lines = b.readings[:0], b.buf[:0], b.lines[:0]
	clear(b.devices)
}

// body is the text of the lines: a part of the buffer where they stand side by
// side in it.
func (b *batch) body(lines []line) []byte {
	for i := 1; i < len(lines); i++ {
		if lines[i].begin != lines[i-1].end {
			var body []byte
			for _, l := range lines {
				body = append(body, b.buf[l.begin:l.end]...)
			}
			return body
		}
	}
	return b.buf[lines[0].begin:lines[len(lines)-1].end]
}

// encode writes the lines of all readings, those of one series together when the
// batch is large: the server's cost of a point falls with the points of its
// series that stand beside it, and ours too, since a series is named once.
// Readings that cannot be written go to rej.
func (b *batch) encode(e *encoder, sorted bool, rej *rejects) {
	if !sorted || len(b.readings) < sortFrom {
		for i, r := range b.readings {
			if r == nil {
				continue
			}
			begin := len(b.buf)
			buf, err := e.append(b.buf, r)
			if err != nil {
				rej.add(err.Error(), i)
				continue
			}
			b.buf = buf
			b.lines = append(b.lines, line{begin, len(buf), i})
		}
		return
	}
	b.sort()
	var of *contract.Reading // whose series prefix holds
	var last int32
	var seriesErr error
	for _, i := range b.order {
		r := b.readings[i]
		if of == nil || b.series[i] != last || r.Kind != of.Kind {
			b.prefix, seriesErr = e.appendSeries(b.prefix[:0], r)
			of, last = r, b.series[i]
		}
		if seriesErr != nil {
			rej.add(seriesErr.Error(), int(i))
			continue
		}
		begin := len(b.buf)
		buf, err := appendPoint(append(b.buf, b.prefix...), r)
		if err != nil {
			rej.add(err.Error(), int(i))
			continue
		}
		b.buf = buf
		b.lines = append(b.lines, line{begin, len(buf), int(i)})
	}
}

// sort fills order by counting, without comparing names.
func (b *batch) sort() {
	const measurements = 4 // the last is none
	b.series, b.order, b.ends = b.series[:0], b.order[:0], b.ends[:0]
	var device contract.DeviceID
	number, known := int32(0), false
	n := int32(0)
	for _, r := range b.readings {
		if r == nil {
			b.series = append(b.series, -1)
			continue
		}
		if !known || r.Device != device {
			device = r.Device
			if number, known = b.devices[device]; !known {
				number, known = int32(len(b.devices)), true //nolint:gosec // at most one a reading
				b.devices[device] = number
				b.ends = append(b.ends, 0, 0, 0, 0)
			}
		}
		series := number * measurements
		switch r.Class {
		case contract.Position, contract.SOS, contract.Report:
		case contract.Environment:
			series++
		case contract.Status:
			series += 2
		default:
			series += 3
		}
		b.series = append(b.series, series)
		b.ends[series]++
		n++
	}
	at := int32(0)
	for s, count := range b.ends { // from counts to beginnings, which placing turns into ends
		b.ends[s] = at
		at += count
	}
	if cap(b.order) < int(n) {
		b.order = make([]int32, n)
	}
	b.order = b.order[:n]
	for i, s := range b.series {
		if s >= 0 {
			b.order[b.ends[s]] = int32(i) //nolint:gosec // at most the readings of a batch
			b.ends[s]++
		}
	}
}
