package influx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// Last implements ingest.History. The readings come in the order of the devices,
// from memory when asking InfluxDB would take long; see newest. Then a reading
// that another process wrote is found within a share of the time that asking
// takes: with 30,000 devices some ten seconds, and a minute or two when it came
// more than two minutes late. What came more than a day late is found within ten
// minutes, and what came more than eight days late, when the device has sent
// nothing newer, after the next start.
func (c *Client) Last(ctx context.Context, class contract.Class) ([]contract.Reading, error) {
	if measurementOf(class) == "" {
		return nil, fmt.Errorf("reading history: %w", errNoClass)
	}
	return c.last[class].get(ctx, c, source[contract.Reading]{
		ask: func(ctx context.Context, from, to time.Time, short bool, each func(contract.DeviceID, int64, *contract.Reading)) error {
			return c.askLast(ctx, class, from, to, short, each)
		},
		before: func(ctx context.Context, each func(contract.DeviceID, int64, *contract.Reading)) error {
			return c.askCopied(ctx, class, each)
		},
		own: ownReading,
	})
}

// ownReading makes a reading look as it does when it is read back.
func ownReading(id contract.DeviceID, r *contract.Reading) {
	r.Device, r.Code, r.Text = id, strings.Clone(r.Code), strings.Clone(r.Text)
	r.Measured = r.Measured.UTC().Truncate(time.Millisecond)
	r.Received = r.Received.UTC().Truncate(time.Millisecond)
}

// askLast asks for the newest point of each device measured in [from, to).
func (c *Client) askLast(ctx context.Context, class contract.Class, from, to time.Time, short bool, each func(contract.DeviceID, int64, *contract.Reading)) error {
	where := fmt.Sprintf(" FROM %s WHERE time >= %d", ident(measurementOf(class)), nanos(from))
	if !to.IsZero() {
		where += fmt.Sprintf(" AND time < %d", nanos(to))
	}
	statement := "SELECT last(" + ident(fieldClass) + ") AS last_, *" + where + " GROUP BY " + ident(tagDevice)
	switch f := classFilter(class); {
	case f != "":
		// Only SOS and reports have a code, so last() walks along them alone.
		statement = "SELECT last(" + ident(fieldCode) + ") AS last_, *" + where + f + " GROUP BY " + ident(tagDevice)
	case short:
		statement = "SELECT *" + where
	}
	d := csvDecoder{class: class}
	var s stored
	return c.stream(ctx, statement, func(row *csvRow) error {
		if d.row(row, &s) {
			each(s.Device, s.at, &s.Reading)
		}
		return nil
	})
}

// askCopied asks for the newest SOS and reports among those that are kept for
// ever.
func (c *Client) askCopied(ctx context.Context, class contract.Class, each func(contract.DeviceID, int64, *contract.Reading)) error {
	if measurementOf(class) != measurementPosition {
		return nil
	}
	statement := "SELECT last(" + ident(fieldCode) + ") AS last_, * FROM " + ident(policyDaily) + "." + ident(measurementPosition) +
		" WHERE time > 0" + classFilter(class) + " GROUP BY " + ident(tagDevice)
	d := decoder{class: class}
	err := c.query(ctx, statement, func(s *series) error {
		d.columns(s)
		for _, row := range s.Values {
			if r, at, ok := d.row(row); ok {
				each(r.Device, at, &r)
			}
		}
		return nil
	})
	if said := (*statementError)(nil); errors.As(err, &said) {
		return nil // the policy is not there yet
	}
	return err
}

// Touched tells what this process has written, so that Last need not ask for it.
// It implements Observer.
func (c *Client) Touched(_ context.Context, readings []*contract.Reading) error {
	for class := range c.last {
		k := &c.last[class]
		k.mu.Lock()
		if k.index == nil { // nobody has asked: nobody may ever
			k.mu.Unlock()
			continue
		}
		k.fed = true
		for _, r := range readings {
			if r.Class == contract.Class(class) || contract.Class(class) == contract.Position && placeCopied(r.Class) {
				k.put(r.Device, r.Measured.UnixMilli()*tieRange+tie(r), r, ownReading)
			}
		}
		k.mu.Unlock()
	}
	return nil
}
