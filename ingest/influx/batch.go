package influx

import (
	"slices"

	contract "firewatch/firmware-contracts"
)

// largeBatch is the size from which a batch is sorted by series. Smaller ones
// hardly hold two points of one series.
const largeBatch = 64

// A batch is the reused memory of one Write.
type batch struct {
	readings []*contract.Reading // nil: nothing to write at this index
	buf      []byte              // lines, each with its line break
	lines    []line              // as they stand in buf

	// What sorting works with.
	devices map[contract.DeviceID]int32 // numbers of the devices in the batch
	series  []shared
	sorted  []line
	gather  []byte
}

// A shared is what the readings of one device in one measurement share.
type shared struct {
	begin, end int           // in buf: its measurement and tags, where it is named first; 0, 0: not yet
	kind       contract.Kind // of that reading
	lines      int32         // how many; then where the next of them goes
}

// A line is one reading's place in the buffer.
type line struct {
	begin, end int
	index      int // into the readings
	series     int32
}

func newBatch() *batch { return &batch{devices: map[contract.DeviceID]int32{}} }

// reset forgets the readings, so that nothing of them is held in the pool.
func (b *batch) reset() {
	clear(b.readings)
	b.readings, b.buf, b.lines = b.readings[:0], b.buf[:0], b.lines[:0]
	b.series = b.series[:0]
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

// encode writes the lines of all readings. In a large batch those of one series
// stand together, in their order of arrival: the server's cost of a point falls
// when its series was at hand just before (BenchmarkCost), and ours does too,
// since a series' tags are looked up once. Readings that cannot be written go to
// rej.
func (b *batch) encode(e *encoder, sortFrom int, rej *rejects) {
	if len(b.readings) < sortFrom {
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
			b.lines = append(b.lines, line{begin: begin, end: len(buf), index: i})
		}
		return
	}
	for i, r := range b.readings {
		if r == nil {
			continue
		}
		n := b.number(r)
		s := &b.series[n]
		begin := len(b.buf)
		if s.end > 0 && s.kind == r.Kind {
			b.buf = append(b.buf, b.buf[s.begin:s.end]...)
		} else {
			buf, err := e.appendSeries(b.buf, r)
			if err != nil {
				rej.add(err.Error(), i)
				continue
			}
			b.buf = buf
			s.begin, s.end, s.kind = begin, len(buf), r.Kind
		}
		buf, err := appendPoint(b.buf, r)
		if err != nil {
			rej.add(err.Error(), i)
			b.buf = b.buf[:begin]
			if s.begin == begin {
				s.begin, s.end = 0, 0
			}
			continue
		}
		b.buf = buf
		s.lines++
		b.lines = append(b.lines, line{begin: begin, end: len(buf), index: i, series: n})
	}
	b.sort()
}

// number is that of the reading's series in the batch.
func (b *batch) number(r *contract.Reading) int32 {
	const measurements = 4 // the last is none
	first, known := b.devices[r.Device]
	if !known {
		first = int32(len(b.series)) //nolint:gosec // a few for each reading
		b.devices[r.Device] = first
		b.series = append(b.series, shared{}, shared{}, shared{}, shared{})
	}
	switch r.Class {
	case contract.Position, contract.SOS, contract.Report:
		return first
	case contract.Environment:
		return first + 1
	case contract.Status:
		return first + 2
	default:
		return first + measurements - 1
	}
}

// sort brings the lines of each series together by counting, without comparing.
func (b *batch) sort() {
	at, many := int32(0), false
	for i := range b.series {
		n := b.series[i].lines
		b.series[i].lines = at
		at += n
		many = many || n > 1
	}
	if !many {
		return
	}
	b.sorted = slices.Grow(b.sorted[:0], len(b.lines))[:len(b.lines)]
	for _, l := range b.lines {
		s := &b.series[l.series]
		b.sorted[s.lines] = l
		s.lines++
	}
	b.gather = slices.Grow(b.gather[:0], len(b.buf))
	for i := range b.sorted {
		l := &b.sorted[i]
		begin := len(b.gather)
		b.gather = append(b.gather, b.buf[l.begin:l.end]...)
		l.begin, l.end = begin, len(b.gather)
	}
	b.buf, b.gather = b.gather, b.buf
	b.lines, b.sorted = b.sorted, b.lines
}
