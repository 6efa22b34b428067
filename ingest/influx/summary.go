package influx

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Of a window of ten minutes or a day are stored the count of readings, and of
// each field its name with one of these behind it. All are such that those of a
// longer window follow from those of its parts: a mean of means would be wrong.
const (
	statMin = "_min"
	statMax = "_max"
	statN   = "_n"   // readings that have the field
	statSum = "_sum" // not of flags and directions
	statSin = "_sin" // sums, of directions only: the mean of 350° and 10° is 0°
	statCos = "_cos"

	columnCount = "count"
)

// degree is one degree in radians.
const degree = math.Pi / 180

func direction(f contract.Field) bool { return f == contract.WindDirDeg || f == contract.CourseDeg }

func flag(f contract.Field) bool { return f.Info().Bool }

// A summary sums up readings of one window.
type summary struct {
	count  int64
	fields [contract.NumFields]fieldSummary
}

type fieldSummary struct {
	n                       int64
	min, max, sum, sin, cos float64 // of directions only the last two
}

func (s *summary) add(v *contract.Values) {
	s.count++
	for f, x := range v.All() {
		one := fieldSummary{n: 1, min: x, max: x, sum: x}
		if direction(f) {
			one.sin, one.cos = math.Sincos(x * degree)
		}
		s.fields[f].merge(&one)
	}
}

func (s *summary) merge(o *summary) {
	s.count += o.count
	for f := range s.fields {
		s.fields[f].merge(&o.fields[f])
	}
}

func (s *fieldSummary) merge(o *fieldSummary) {
	switch {
	case o.n == 0:
	case s.n == 0:
		*s = *o
	default:
		s.n += o.n
		s.min, s.max = min(s.min, o.min), max(s.max, o.max)
		s.sum, s.sin, s.cos = s.sum+o.sum, s.sin+o.sin, s.cos+o.cos
	}
}

// window is the summary as the history gives it.
func (s *summary) window() ingest.Window {
	w := ingest.Window{Count: int(s.count)}
	for i := range s.fields {
		f, x := contract.Field(i), &s.fields[i]
		switch {
		case x.n == 0:
		case direction(f):
			if x.sin != 0 || x.cos != 0 {
				w.Mean.Set(f, math.Mod(math.Atan2(x.sin, x.cos)/degree+360, 360))
			}
		case flag(f):
			w.Min.Set(f, x.min)
			w.Max.Set(f, x.max)
		case f == contract.RainMM:
			w.Min.Set(f, x.min)
			w.Max.Set(f, x.max)
			w.Mean.Set(f, x.sum)
		default:
			w.Min.Set(f, x.min)
			w.Max.Set(f, x.max)
			w.Mean.Set(f, min(max(x.sum/float64(x.n), x.min), x.max))
		}
	}
	return w
}

// A series name is a measurement with its tags, as a line begins.
func appendSeriesName(b []byte, measurement, area string, device contract.DeviceID, kind string) []byte {
	b = append(b, measurement...)
	if area != "" {
		b = append(b, ","+tagArea+"="...)
		b = appendTag(b, area)
	}
	b = append(b, ","+tagDevice+"="...)
	b = appendTag(b, string(device))
	b = append(b, ","+tagKind+"="...)
	return appendTag(b, kind)
}

// appendFields adds the fields of a line, the time (ns) and the line break.
func (s *summary) appendFields(b []byte, at int64) []byte {
	b = append(b, " "+columnCount+"="...)
	b = append(strconv.AppendInt(b, s.count, 10), 'i')
	float := func(f contract.Field, stat string, x float64) {
		b = append(b, ',')
		b = append(b, f.String()...)
		b = append(b, stat...)
		b = append(b, '=')
		b = strconv.AppendFloat(b, x, 'g', -1, 64)
	}
	for i := range s.fields {
		f, x := contract.Field(i), &s.fields[i]
		if x.n == 0 {
			continue
		}
		b = append(b, ',')
		b = append(b, f.String()...)
		b = append(b, statN+"="...)
		b = append(strconv.AppendInt(b, x.n, 10), 'i')
		if direction(f) {
			float(f, statSin, x.sin)
			float(f, statCos, x.cos)
			continue
		}
		float(f, statMin, x.min)
		float(f, statMax, x.max)
		if !flag(f) {
			float(f, statSum, x.sum)
		}
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, at, 10)
	return append(b, '\n')
}

// A statColumn is where a column of an answer belongs in a summary.
type statColumn struct {
	field contract.Field
	stat  string // or columnCount, or the name of another column
}

// A summaryDecoder turns rows of summaries back.
type summaryDecoder struct {
	columns []string
	plan    []statColumn
}

func (d *summaryDecoder) prepare(columns []string) {
	if slices.Equal(d.columns, columns) {
		return
	}
	d.columns, d.plan = slices.Clone(columns), d.plan[:0]
	for _, name := range columns {
		c := statColumn{stat: name}
		if i := strings.LastIndexByte(name, '_'); i > 0 {
			if f, known := contract.FieldByName(name[:i]); known {
				c = statColumn{f, name[i:]}
			}
		}
		d.plan = append(d.plan, c)
	}
}

// set takes one value of a row over.
func (c *statColumn) set(s *summary, x float64) {
	f := &s.fields[c.field]
	switch c.stat {
	case columnCount:
		s.count = int64(x)
	case statMin:
		f.min = x
	case statMax:
		f.max = x
	case statN:
		f.n = int64(x)
	case statSum:
		f.sum = x
	case statSin:
		f.sin = x
	case statCos:
		f.cos = x
	}
}

// json decodes a row of JSON into s, and returns its time.
func (d *summaryDecoder) json(row []any, s *summary) (at int64) {
	for i := range min(len(row), len(d.plan)) {
		switch v := row[i].(type) {
		case json.Number:
			if d.plan[i].stat == "time" {
				at, _ = number(v)
			} else if x, err := v.Float64(); err == nil {
				d.plan[i].set(s, x)
			}
		case bool:
			x := 0.0
			if v {
				x = 1
			}
			d.plan[i].set(s, x)
		}
	}
	return at
}

// csv decodes a row of CSV into s, and returns its time and tags.
func (d *summaryDecoder) csv(row []string, s *summary) (at int64, area, kind string) {
	for i, v := range row {
		switch c := &d.plan[i]; {
		case v == "":
		case c.stat == "time":
			at, _ = strconv.ParseInt(v, 10, 64)
		case c.stat == tagArea:
			area = v
		case c.stat == tagKind:
			kind = v
		default:
			if x, err := strconv.ParseFloat(v, 64); err == nil {
				c.set(s, x)
			}
		}
	}
	return at, area, kind
}
