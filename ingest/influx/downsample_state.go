package influx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	contract "firewatch/firmware-contracts"
)

// The measurement downsampling of the policy daily holds what is to be done
// after a crash: one point per window that is noted, at its start, with the tags
// instance and what (position_10m, …); and one for the mark.
const (
	measurementDownsampling = "downsampling"
	tagInstance             = "instance"
	tagWhat                 = "what"
	fieldPending            = "pending"
	fieldMark               = "mark_ms"
	whatMark                = "mark"
)

// note writes that windows are to be summed up, or are not any more, and the
// mark (ns) unless it is 0. The caller holds noting.
func (d *Downsampler) note(ctx context.Context, pending, done []window, mark int64) error {
	var b []byte
	begin := func(what string) {
		b = append(b, measurementDownsampling+","+tagInstance+"="+d.o.Instance+","+tagWhat+"="+what+" "...)
	}
	for i, ws := range [2][]window{pending, done} {
		for _, w := range ws {
			begin(w.what.name())
			b = append(b, fieldPending+"="...)
			b = strconv.AppendBool(b, i == 0)
			b = append(b, ' ')
			b = strconv.AppendInt(b, w.start, 10)
			b = append(b, '\n')
		}
	}
	if mark != 0 {
		begin(whatMark)
		b = append(b, fieldMark+"="...)
		b = append(strconv.AppendInt(b, mark/tieRange, 10), 'i', ' ')
		// One point a day is enough, and the last of them is the mark.
		b = strconv.AppendInt(b, floorTo(d.o.Now().UnixNano(), oneDay), 10)
		b = append(b, '\n')
	}
	if len(b) == 0 {
		return nil
	}
	return d.write(ctx, policyDaily, b)
}

// newestMark is the newest mark that is written at that time. So while the mark
// is not known, what begins later than this needs no note: the sweep of the next
// start covers it.
func newestMark(now int64) int64 { return floorTo(now-int64(margin), tenMinutes) }

// load reads what an earlier run has left, once. It may take minutes.
func (d *Downsampler) load(ctx context.Context) error {
	d.mu.Lock()
	loaded := d.loaded
	d.mu.Unlock()
	if loaded {
		return nil
	}
	if err := d.c.Setup(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	d.overflow = false
	d.mu.Unlock()
	mark, err := d.lastMark(ctx)
	if err != nil {
		return fmt.Errorf("reading what is to be summed up: %w", err)
	}
	noted, err := d.lastNotes(ctx)
	if err != nil {
		return fmt.Errorf("reading what is to be summed up: %w", err)
	}
	now := d.o.Now().UnixNano()
	end := floorTo(now, tenMinutes) + int64(tenMinutes)
	if mark == 0 { // the first start: everything
		if mark, err = d.c.firstFrom(ctx, contract.Earliest.UnixNano(), end); err != nil {
			return fmt.Errorf("finding the oldest reading: %w", err)
		}
		mark = floorTo(mark, tenMinutes)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.overflow {
		return errors.New("reading what is to be summed up: more was noted meanwhile")
	}
	mark = min(mark, newestMark(now))
	for w, e := range d.pending { // touched in the meantime
		if !e.noted {
			mark = min(mark, w.start)
		}
	}
	for _, w := range noted {
		d.pending[w] = entry{due: now, noted: true}
	}
	d.mark, d.stored, d.sweep, d.sweepEnd = mark, 0, mark, end
	d.loaded = true
	return nil
}

// lastMark is the mark that an earlier run has left, or 0.
func (d *Downsampler) lastMark(ctx context.Context) (int64, error) {
	mark := int64(0)
	err := d.c.search(ctx, fmt.Sprintf("SELECT last(%s) FROM %s.%s WHERE %s = %s AND %s = %s",
		ident(fieldMark), ident(policyDaily), ident(measurementDownsampling),
		ident(tagInstance), literal(d.o.Instance), ident(tagWhat), literal(whatMark)),
		func(s *series) error {
			for _, row := range s.Values {
				if ms, ok := number(row[len(row)-1]); ok {
					mark = floorTo(ms*tieRange, tenMinutes)
				}
			}
			return nil
		})
	return mark, err
}

// lastNotes is the windows that an earlier run has left.
func (d *Downsampler) lastNotes(ctx context.Context) ([]window, error) {
	var out []window
	err := d.c.search(ctx, fmt.Sprintf("SELECT %s FROM %s.%s WHERE %s = %s AND %s = true GROUP BY %s",
		ident(fieldPending), ident(policyDaily), ident(measurementDownsampling),
		ident(tagInstance), literal(d.o.Instance), ident(fieldPending), ident(tagWhat)),
		func(s *series) error {
			for n := range summed {
				for _, w := range [2]what{what(n), what(n) | days} {
					if w.name() != s.Tags[tagWhat] {
						continue
					}
					for _, row := range s.Values {
						if at, ok := number(row[0]); ok {
							out = append(out, window{w, at})
						}
					}
				}
			}
			return nil
		})
	return out, err
}

// firstFrom is the time of the first reading in [from, to), or to. It opens every
// shard in between.
func (c *Client) firstFrom(ctx context.Context, from, to int64) (int64, error) {
	first := to
	for _, m := range summed {
		err := c.search(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE time >= %d AND time < %d LIMIT 1", ident(fieldClass), ident(m), from, first),
			func(s *series) error {
				for _, row := range s.Values {
					if at, ok := number(row[0]); ok {
						first = min(first, at)
					}
				}
				return nil
			})
		if err != nil {
			return 0, err
		}
	}
	return first, nil
}

func (c *Client) postLines(ctx context.Context, to string, lines []byte) error {
	within := c.patience(len(lines))
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := outcome(c.writer.DoPostRequest(limited, to, bytes.NewReader(lines), plainText, drain))
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("writing to InfluxDB: %w: no answer within %s", errTooSlow, within.Round(time.Second))
	}
	return err
}

var _ Observer = (*Downsampler)(nil)
