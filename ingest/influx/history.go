package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// maxLimit is the most readings that one query may ask for.
const maxLimit = 10_000

// Readings implements ingest.History.
func (c *Client) Readings(ctx context.Context, q ingest.ReadingQuery) ([]contract.Reading, error) {
	if err := q.Device.Validate(); err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	m := measurementOf(q.Class)
	if m == "" {
		return nil, fmt.Errorf("reading history: %w", errNoClass)
	}
	if q.Limit < 1 || q.Limit > maxLimit {
		return nil, fmt.Errorf("reading history: limit %d is outside 1..%d", q.Limit, maxLimit)
	}
	from, to := nanos(q.From), nanos(q.To)
	where := ident(tagDevice) + " = " + literal(string(q.Device)) + classFilter(q.Class)
	order := "ASC"
	if q.Newest {
		order = "DESC"
	}
	places := ident(c.opt.RetentionPolicy) + "." + ident(m)
	if keep := c.rawKept(ctx); keep > 0 && from < time.Now().Add(-keep).UnixNano() {
		// Of what is older, SOS, reports and what came even later are kept. What
		// lies in both is one point twice.
		places += ", " + ident(policyDaily) + "." + ident(m)
	}
	var out []contract.Reading
	var last int64 // time of the point before
	for from < to && len(out) < q.Limit {
		rows, want := 0, q.Limit-len(out)
		statement := fmt.Sprintf("SELECT * FROM %s WHERE %s AND time >= %d AND time < %d ORDER BY time %s LIMIT %d",
			places, where, from, to, order, want)
		d := decoder{class: q.Class}
		err := c.query(ctx, statement, func(s *series) error {
			d.columns(s)
			for _, row := range s.Values {
				rows++
				r, at, ok := d.row(row)
				// A device that has moved to another area may have the same
				// point in two series.
				if ok && (len(out) == 0 || at != last) {
					out = append(out, r)
				}
				last = at
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if rows < want {
			break
		}
		if q.Newest {
			to = last
		} else {
			from = last + 1
		}
	}
	if q.Newest {
		slices.Reverse(out)
	}
	return out, nil
}

// nanos is the time of the first point that can have been measured at t or
// later, within what InfluxDB can express.
func nanos(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%tieRange != 0 {
		ms++
	}
	return min(max(ms, 0), msMax) * tieRange
}

// classFilter picks one class out of the measurement that three share. Position
// means all three: each carries a place.
func classFilter(c contract.Class) string {
	if c == contract.SOS || c == contract.Report {
		return " AND " + ident(fieldClass) + " = " + literal(c.String())
	}
	return ""
}

// A decoder turns rows back into readings.
type decoder struct {
	class contract.Class // where the row does not say
	names []string       // columns that the plan was made for
	plan  []column
	tags  map[string]string
}

type column struct {
	name  string
	field contract.Field
	known bool
}

// columns prepares for the rows of the series. Series after series has the same
// columns, so the plan is kept.
func (d *decoder) columns(s *series) {
	d.tags = s.Tags
	if slices.Equal(d.names, s.Columns) {
		return
	}
	d.names = s.Columns
	d.plan = d.plan[:0]
	for _, name := range s.Columns {
		f, known := contract.FieldByName(name)
		d.plan = append(d.plan, column{name, f, known})
	}
}

// row decodes one row. It is false for one that nobody of ours wrote.
func (d *decoder) row(row []any) (r contract.Reading, at int64, ok bool) {
	r.Class = d.class
	for name, v := range d.tags {
		setColumn(&r, name, v)
	}
	for i := range min(len(row), len(d.plan)) {
		c := &d.plan[i]
		switch v := row[i].(type) {
		case nil:
		case json.Number:
			if c.known {
				if x, err := v.Float64(); err == nil {
					r.Values.Set(c.field, x)
				}
				continue
			}
			n, err := v.Int64()
			if err != nil {
				continue
			}
			switch c.name {
			case "time":
				at = n
				r.Measured = time.UnixMilli(n / tieRange).UTC()
			case fieldReceived:
				r.Received = time.UnixMilli(n).UTC()
			case fieldSeq:
				r.Seq, r.HasSeq = uint64(n), n >= 0 //nolint:gosec // written from a uint64
			}
		case bool:
			if c.known {
				x := 0.0
				if v {
					x = 1
				}
				r.Values.Set(c.field, x)
			}
		case string:
			setColumn(&r, c.name, v)
		}
	}
	return r, at, r.Device.Validate() == nil && r.Kind != 0 && r.Class != 0
}

func setColumn(r *contract.Reading, name, v string) {
	switch name {
	case tagDevice:
		r.Device = contract.DeviceID(v)
	case tagKind:
		r.Kind, _ = contract.ParseKind(v)
	case fieldClass:
		r.Class = 0
		for _, c := range contract.Classes {
			if c.String() == v {
				r.Class = c
			}
		}
	case fieldCode:
		r.Code = v
	case fieldText:
		r.Text = v
	}
}
