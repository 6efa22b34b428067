package influx

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// Asking InfluxDB for the newest point of each device costs as much as there
// are devices, fields and shards: a third of a second for some 8,000 devices in
// one weekly shard, nine seconds for 11,000 in thirty. So the newest readings
// are remembered; each call asks about the last day, and further back once.
const (
	lastRecent  = 24 * time.Hour      // asked at every call
	lastLate    = 8 * 24 * time.Hour  // asked again now and then, for what came late
	lastLateAge = 10 * time.Minute    // how often
	lastWindow  = 28 * 24 * time.Hour // of one question further back
)

// A lastKnown is what is remembered of one class. Whoever holds the turn may
// use the rest.
type lastKnown struct {
	turn     chan struct{}
	newest   map[contract.DeviceID]lastPoint
	began    time.Time // when the last complete question began
	lateAt   time.Time // when lastLate was asked
	complete time.Time // everything from here on has been looked at
}

type lastPoint struct {
	at      int64 // the point's time
	reading contract.Reading
}

// Last implements ingest.History. The readings come in the order of the
// devices. A reading that was measured within a day is found at once; one that
// came later than that within ten minutes, and one that came more than eight
// days late, when the device has sent nothing newer, after the next start.
func (c *Client) Last(ctx context.Context, class contract.Class) ([]contract.Reading, error) {
	if measurementOf(class) == "" {
		return nil, fmt.Errorf("reading history: %w", errNoClass)
	}
	k, came := &c.last[class], time.Now()
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("reading history: %w", ctx.Err())
	}
	defer func() { <-k.turn }()
	// Many pages may ask at once: an answer to a question that began after this
	// call came is this call's answer too.
	if !k.began.After(came) {
		now := time.Now()
		if err := c.lookBack(ctx, class, k, now); err != nil {
			return nil, err
		}
		k.began = now
	}
	out := make([]contract.Reading, 0, len(k.newest))
	for _, p := range k.newest {
		out = append(out, p.reading)
	}
	slices.SortFunc(out, func(a, b contract.Reading) int { return cmp.Compare(a.Device, b.Device) })
	return out, nil
}

// lookBack brings what is remembered up to date. What it has learned before an
// error is kept, so that a second attempt has less to do.
func (c *Client) lookBack(ctx context.Context, class contract.Class, k *lastKnown, now time.Time) error {
	if k.newest == nil {
		k.newest = make(map[contract.DeviceID]lastPoint)
		k.complete = now.Add(-lastRecent)
		k.lateAt = now
	}
	recent := now.Add(-lastRecent)
	if err := c.newest(ctx, class, k, recent, time.Time{}); err != nil {
		return err
	}
	for k.complete.After(contract.Earliest) {
		from := k.complete.Add(-lastWindow)
		if err := c.newest(ctx, class, k, from, k.complete); err != nil {
			return err
		}
		k.complete = from
	}
	if now.Sub(k.lateAt) >= lastLateAge {
		if err := c.newest(ctx, class, k, now.Add(-lastLate), recent); err != nil {
			return err
		}
		k.lateAt = now
	}
	return nil
}

// newest asks for the newest point of each device measured in [from, to), and
// remembers those that are newer than what is known.
func (c *Client) newest(ctx context.Context, class contract.Class, k *lastKnown, from, to time.Time) error {
	m, window := ident(measurementOf(class)), fmt.Sprintf("time >= %d", nanos(from))
	if !to.IsZero() {
		window += fmt.Sprintf(" AND time < %d", nanos(to))
	}
	statement := "SELECT * FROM " + m + " WHERE " + window + " GROUP BY " + ident(tagDevice) + " ORDER BY time DESC LIMIT 1"
	if f := classFilter(class); f != "" {
		// Only SOS and reports have a code, so last() walks along them alone.
		statement = "SELECT last(" + ident(fieldCode) + ") AS code_, * FROM " + m + " WHERE " + window + f + " GROUP BY " + ident(tagDevice)
	}
	d := decoder{class: class}
	return c.query(ctx, statement, func(s *series) error {
		d.columns(s)
		for _, row := range s.Values {
			if r, at, ok := d.row(row); ok && at >= k.newest[r.Device].at {
				k.newest[r.Device] = lastPoint{at, r}
			}
		}
		return nil
	})
}
