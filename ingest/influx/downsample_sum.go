package influx

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// sum reads what lies in the windows, which are of one measurement, and writes
// what it comes to. Rows is how many points that took.
func (d *Downsampler) sum(ctx context.Context, g []window, of only) (rows int, err error) {
	now := d.o.Now()
	first, last := g[0], g[len(g)-1]
	if first.what&days == 0 {
		s := d.adding(first, policyTenMinutes, tenMinutes, of)
		if edge := keptFrom(d.c.opt.KeepTenMinutes, now); first.start < edge {
			s.policy = "" // its days are made of readings
		}
		ctx, cancel := context.WithTimeout(ctx, questionLimit)
		defer cancel()
		return s.readings(ctx, first.start, last.end(), g)
	}
	if first.start < keptFrom(d.c.opt.KeepDaily, now) {
		return 0, nil
	}
	s := d.adding(first, policyDaily, oneDay, of)
	ctx, cancel := context.WithTimeout(ctx, questionDay)
	defer cancel()
	// A day may not be made of the part of it that is still kept.
	if first.start >= keptFrom(d.c.opt.KeepTenMinutes, now)+int64(oneDay) {
		return s.summaries(ctx, first.start, first.end())
	}
	// A policy that was long holds them until everything is summed up.
	keep, err := d.c.askRawKept(ctx)
	if err != nil {
		return 0, err
	}
	if first.start >= keptFrom(keep, now)+int64(oneDay) {
		return s.readings(ctx, first.start, first.end(), nil)
	}
	return 0, nil
}

func keptFrom(keep time.Duration, now time.Time) int64 {
	if keep == 0 {
		return math.MinInt64 + int64(oneDay)*2
	}
	return now.Add(-keep).UnixNano()
}

// An adding is one question and what becomes of its answer.
type adding struct {
	d      *Downsampler
	what   what
	policy string // where the summaries go; empty: nowhere
	every  time.Duration
	only   only

	device contract.DeviceID // whose rows are coming
	sums   []deviceSum
	free   []*summary
	lines  []byte // summaries
	copies []byte // SOS and reports as they came
}

// A deviceSum is one window of one device under one set of tags.
type deviceSum struct {
	at         int64
	area, kind string
	summary    *summary
}

func (d *Downsampler) adding(w window, policy string, every time.Duration, of only) *adding {
	return &adding{d: d, what: w.what, policy: policy, every: every, only: of}
}

// of is the sum that belongs to the row.
func (a *adding) of(at int64, area, kind string) *summary {
	for i := len(a.sums) - 1; i >= 0; i-- {
		if s := &a.sums[i]; s.at == at && s.area == area && s.kind == kind {
			return s.summary
		}
	}
	s := new(summary)
	if n := len(a.free); n > 0 {
		s, a.free = a.free[n-1], a.free[:n-1]
		*s = summary{}
	}
	a.sums = append(a.sums, deviceSum{at, strings.Clone(area), strings.Clone(kind), s})
	return s
}

// readings sums up readings measured in [from, to), where only is not nil only
// those of its windows.
func (a *adding) readings(ctx context.Context, from, to int64, only []window) (rows int, err error) {
	wanted := map[int64]bool{}
	for _, w := range only {
		wanted[w.start] = true
	}
	classes := map[string]contract.Class{measurementEnvironment: contract.Environment, measurementStatus: contract.Status}
	dec := csvDecoder{class: classes[a.what.measurement()]}
	var s stored
	statement := fmt.Sprintf("SELECT * FROM %s WHERE time >= %d AND time < %d%s GROUP BY %s",
		ident(a.what.measurement()), from, to, a.only.filter(), ident(tagDevice))
	return a.run(ctx, statement, func(row *csvRow) error {
		if !dec.row(row, &s) {
			return nil
		}
		at := floorTo(s.at, a.every)
		if only != nil && !wanted[at] {
			return nil
		}
		if placeCopied(s.Class) {
			var err error
			if a.copies, err = appendPoint(appendSeriesName(a.copies, measurementPosition, s.area, s.Device, s.Kind.String()), &s.Reading); err != nil {
				return fmt.Errorf("copying a reading of %s: %w", s.Device, err)
			}
		}
		a.of(at, s.area, s.Kind.String()).add(&s.Values)
		return nil
	})
}

// summaries sums up windows of ten minutes that begin in [from, to).
func (a *adding) summaries(ctx context.Context, from, to int64) (rows int, err error) {
	var dec summaryDecoder
	var one summary
	statement := fmt.Sprintf("SELECT * FROM %s.%s WHERE time >= %d AND time < %d%s GROUP BY %s",
		ident(policyTenMinutes), ident(a.what.measurement()+suffixTenMinutes), from, to, a.only.filter(), ident(tagDevice))
	return a.run(ctx, statement, func(row *csvRow) error {
		dec.prepare(row.columns)
		one = summary{}
		at, area, kind := dec.csv(row.values, &one)
		a.of(floorTo(at, a.every), area, kind).merge(&one)
		return nil
	})
}

// run asks, and writes as the answer comes.
func (a *adding) run(ctx context.Context, statement string, each func(*csvRow) error) (rows int, err error) {
	err = a.d.c.stream(ctx, statement, func(row *csvRow) error {
		if row.device != a.device {
			if err := a.flush(ctx, false); err != nil {
				return err
			}
			a.device = row.device
		}
		rows++
		return each(row)
	})
	if err != nil {
		return 0, fmt.Errorf("summing up %s: %w", a.what.name(), err)
	}
	return rows, a.flush(ctx, true)
}

const flushBytes = 1 << 20 // of one write of summaries

// flush turns the sums of the device into lines, and writes them when they are
// many or the last.
func (a *adding) flush(ctx context.Context, last bool) error {
	for i := range a.sums {
		s := &a.sums[i]
		if a.policy != "" && a.device.Validate() == nil {
			a.lines = appendSeriesName(a.lines, a.what.name(), s.area, a.device, s.kind)
			a.lines = s.summary.appendFields(a.lines, s.at)
		}
		a.free = append(a.free, s.summary)
	}
	a.sums = a.sums[:0]
	for _, w := range []struct {
		policy string
		lines  *[]byte
	}{{a.policy, &a.lines}, {policyDaily, &a.copies}} {
		if n := len(*w.lines); n == 0 || !last && n < flushBytes {
			continue
		}
		if err := a.d.write(ctx, w.policy, *w.lines); err != nil {
			return err
		}
		*w.lines = nil // the transport may still hold it
	}
	return nil
}

// write writes lines into a policy. Those that are older than the policy keeps are
// left out; whatever else InfluxDB refuses is an error, because what was not summed
// up is gone when the readings are.
func (d *Downsampler) write(ctx context.Context, policy string, lines []byte) error {
	err := d.c.postTo(ctx, policy, lines)
	refused := (*refusal)(nil)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refused):
	case refused.fault == faultOld: // the others are stored
		return nil
	case refused.tooLarge:
		middle := bytes.IndexByte(lines[len(lines)/2:], '\n') + len(lines)/2 + 1
		if middle < len(lines) {
			return cmp.Or(d.write(ctx, policy, lines[:middle]), d.write(ctx, policy, lines[middle:]))
		}
	}
	return fmt.Errorf("writing into policy %s: %w", policy, err)
}

// postTo writes lines into another policy than that of the readings. When the
// database or the policy is gone, it makes them again, once.
func (c *Client) postTo(ctx context.Context, policy string, lines []byte) error {
	base, query, _ := strings.Cut(c.writeURL, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("writing to InfluxDB: %w", err)
	}
	params.Set("bucket", c.opt.bucketOf(policy))
	to := base + "?" + params.Encode()
	err = c.postLines(ctx, to, lines)
	if !errors.Is(err, errNoDatabase) {
		return err
	}
	if serr := c.Setup(ctx); serr != nil {
		return fmt.Errorf("%w; %w", err, serr)
	}
	return c.postLines(ctx, to, lines)
}
