package influx

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// The windows that are stored. Longer ones are made of them; see Downsampler.
const (
	tenMinutes = 10 * time.Minute

	suffixTenMinutes = "_10m" // of the measurements in the policy m10
	suffixDaily      = "_1d"  // of those in the policy daily
)

// officeOffset is how far the office's clock is ahead of UTC: a day of the office
// is a day in UTC+8, where there is no summer time.
const officeOffset = 8 * time.Hour

const (
	windowLeast = 10 * time.Second
	windowsMost = 5000
)

// floorTo is the begin of the window of that length that holds ns, counted in
// UTC+8.
func floorTo(ns int64, every time.Duration) int64 {
	x := ns + int64(officeOffset)
	r := x % int64(every)
	if r < 0 {
		r += int64(every)
	}
	return x - r - int64(officeOffset)
}

func ceilTo(ns int64, every time.Duration) int64 {
	f := floorTo(ns, every)
	if f < ns {
		f += int64(every)
	}
	return f
}

// A span of time is answered from one place.
type span struct {
	from, to int64 // ns
	policy   string
	suffix   string // of the measurement; empty: readings
}

// Windows implements ingest.History. What is older than the readings are kept is
// made of stored windows of ten minutes, and what is older than those of days: a
// stored window counts in the one that it begins in. A mean is that of all
// readings, however long the window; that of a direction is the direction of the
// mean vector, without a minimum and a maximum, and flags have no mean.
func (c *Client) Windows(ctx context.Context, q ingest.WindowQuery) ([]ingest.Window, error) {
	if err := checkWindows(&q); err != nil {
		return nil, fmt.Errorf("reading windows: %w", err)
	}
	all := map[int64]*summary{}
	d := summaryDecoder{}
	for _, s := range c.spans(ctx, &q) {
		err := c.query(ctx, windowStatement(&q, s), func(ser *series) error {
			d.prepare(ser.Columns)
			for _, row := range ser.Values {
				var one summary
				at := d.json(row, &one)
				if all[at] == nil {
					all[at] = &summary{}
				}
				all[at].merge(&one)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]ingest.Window, 0, len(all))
	for at, s := range all {
		if s.count > 0 {
			w := s.window()
			w.At = time.Unix(0, at).UTC()
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b ingest.Window) int { return a.At.Compare(b.At) })
	return out, nil
}

func checkWindows(q *ingest.WindowQuery) error {
	if err := q.Device.Validate(); err != nil {
		return err
	}
	if measurementOf(q.Class) == "" {
		return errNoClass
	}
	switch {
	case q.Every < windowLeast || q.Every%time.Millisecond != 0:
		return fmt.Errorf("windows of %s: want at least %s, in whole milliseconds", q.Every, windowLeast)
	case !q.From.Before(q.To):
		return errors.New("windows that end before they begin")
	case q.To.Sub(q.From)/q.Every >= windowsMost:
		return fmt.Errorf("more than %d windows of %s", windowsMost, q.Every)
	}
	if len(q.Fields) == 0 {
		for f := range contract.Fields() {
			if f.In(q.Class) {
				q.Fields = append(q.Fields, f)
			}
		}
	}
	for _, f := range q.Fields {
		if !f.In(q.Class) {
			return fmt.Errorf("%s: not a field of class %s", f, q.Class)
		}
	}
	return nil
}

// spans says from where each part of the question is answered.
func (c *Client) spans(ctx context.Context, q *ingest.WindowQuery) []span {
	from, to, now := nanos(q.From), nanos(q.To), time.Now()
	edge := func(keep, finest time.Duration) int64 {
		if keep == 0 {
			return math.MinInt64
		}
		// A window comes from one place as a whole.
		return ceilTo(now.Add(-keep).UnixNano(), max(q.Every, finest))
	}
	var out []span
	add := func(s span) {
		if s.from = max(s.from, from); min(s.to, to) > s.from {
			s.to = min(s.to, to)
			out = append(out, s)
		}
	}
	raw := edge(c.rawKept(ctx), tenMinutes)
	if placeCopied(q.Class) {
		add(span{math.MinInt64, raw, policyDaily, ""})
	} else {
		ten := min(edge(c.opt.KeepTenMinutes, oneDay), raw)
		add(span{math.MinInt64, ten, policyDaily, suffixDaily})
		add(span{ten, raw, policyTenMinutes, suffixTenMinutes})
	}
	add(span{raw, math.MaxInt64, c.opt.RetentionPolicy, ""})
	return out
}

// placeCopied reports whether readings of the class are kept in the policy daily
// as they came.
func placeCopied(class contract.Class) bool { return class == contract.SOS || class == contract.Report }

// windowStatement asks for summaries of what is stored in the span.
func windowStatement(q *ingest.WindowQuery, s span) string {
	var b strings.Builder
	as := func(function, of, name string) { fmt.Fprintf(&b, ", %s(%s) AS %s", function, ident(of), ident(name)) }
	where := fmt.Sprintf("%s = %s AND time >= %d AND time < %d", ident(tagDevice), literal(string(q.Device)), s.from, s.to)
	if s.suffix == "" {
		where += classFilter(q.Class)
	}
	group := fmt.Sprintf(" GROUP BY time(%dms, %dms) fill(none)", q.Every.Milliseconds(), (q.Every - officeOffset%q.Every).Milliseconds())
	m := ident(s.policy) + "." + ident(measurementOf(q.Class)+s.suffix)

	stored := s.suffix != ""
	if stored {
		b.WriteString(`SELECT sum("count") AS "count"`)
	} else {
		fmt.Fprintf(&b, `SELECT count(%s) AS "count"`, ident(fieldClass))
	}
	var vectors []contract.Field
	for _, f := range q.Fields {
		name := f.String()
		switch {
		case direction(f) && stored:
			as("sum", name+statN, name+statN)
			as("sum", name+statSin, name+statSin)
			as("sum", name+statCos, name+statCos)
		case direction(f):
			vectors = append(vectors, f)
		case stored:
			as("sum", name+statN, name+statN)
			as("min", name+statMin, name+statMin)
			as("max", name+statMax, name+statMax)
			if !flag(f) {
				as("sum", name+statSum, name+statSum)
			}
		default:
			as("count", name, name+statN)
			as("min", name, name+statMin)
			as("max", name, name+statMax)
			if !flag(f) {
				as("sum", name, name+statSum)
			}
		}
	}
	b.WriteString(" FROM " + m + " WHERE " + where + group)
	for _, f := range vectors {
		n := f.String()
		fmt.Fprintf(&b, `; SELECT sum("s") AS %s, sum("c") AS %s, count("s") AS %s FROM (SELECT sin(%s * %.17g) AS "s", cos(%s * %.17g) AS "c" FROM %s WHERE %s) WHERE time >= %d AND time < %d%s`,
			ident(n+statSin), ident(n+statCos), ident(n+statN), ident(n), degree, ident(n), degree, m, where, s.from, s.to, group)
	}
	return b.String()
}
