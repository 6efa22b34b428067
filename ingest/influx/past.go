package influx

import (
	"context"
	"fmt"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// pastPlaces are the measurements that hold readings.
var pastPlaces = [...]contract.Class{contract.Position, contract.Environment, contract.Status}

// Past hands over the readings of all devices that the query asks for, one by
// one as InfluxDB streams them: positions with SOS and reports, then environment,
// then status, each in order of measured time. A reading that was written again
// after its device moved to another area comes twice. InfluxDB opens a cursor for
// each device and field, and works through all that was measured in [From, To),
// so that a caller asks about minutes, not days; but for Calls, which walks along
// the SOS and reports alone.
func (c *Client) Past(ctx context.Context, q ingest.PastQuery, each func(*contract.Reading) error) error {
	from, to := nanos(q.From), nanos(q.To)
	if from >= to {
		return nil
	}
	if q.Calls {
		return c.pastCalls(ctx, q, from, to, each)
	}
	for _, class := range pastPlaces {
		statement := "SELECT * FROM " + c.pastPlace(ctx, class, q.From) + pastWhere(&q, from, to)
		if err := c.past(ctx, statement, class, each); err != nil {
			return fmt.Errorf("reading the past: %w", err)
		}
	}
	return nil
}

// pastPlace is where readings of the class are, measured from then on: SOS,
// reports and what came very late outlive the others.
func (c *Client) pastPlace(ctx context.Context, class contract.Class, from time.Time) string {
	m := ident(measurementOf(class))
	place := ident(c.opt.RetentionPolicy) + "." + m
	if keep := c.rawKept(ctx); keep > 0 && from.Before(time.Now().Add(-keep)) {
		place += ", " + ident(policyDaily) + "." + m
	}
	return place
}

func pastWhere(q *ingest.PastQuery, from, to int64) string {
	where := fmt.Sprintf(" WHERE time >= %d AND time < %d", from, to)
	if !q.ReceivedFrom.IsZero() || !q.ReceivedTo.IsZero() {
		r := ident(fieldReceived)
		where += fmt.Sprintf(" AND %s >= %d AND %s < %d", r, q.ReceivedFrom.UnixMilli(), r, q.ReceivedTo.UnixMilli())
	}
	return where
}

func (c *Client) past(ctx context.Context, statement string, class contract.Class, each func(*contract.Reading) error) error {
	d := csvDecoder{class: class}
	var s stored
	return c.stream(ctx, statement, func(row *csvRow) error {
		if !d.row(row, &s) {
			return nil // nobody of ours wrote it
		}
		return each(&s.Reading)
	})
}

// pastCalls finds the SOS and reports by their code, which no position has, and
// then reads them one by one: they are few.
func (c *Client) pastCalls(ctx context.Context, q ingest.PastQuery, from, to int64, each func(*contract.Reading) error) error {
	place := c.pastPlace(ctx, contract.SOS, q.From)
	type call struct {
		device contract.DeviceID
		at     int64
	}
	var calls []call
	d := csvDecoder{}
	var s stored
	find := fmt.Sprintf("SELECT %s FROM %s WHERE time >= %d AND time < %d GROUP BY %s", ident(fieldCode), place, from, to, ident(tagDevice))
	err := c.stream(ctx, find, func(row *csvRow) error {
		d.row(row, &s)
		if s.Device.Validate() == nil && s.at > 0 {
			calls = append(calls, call{s.Device, s.at})
		}
		return nil
	})
	for i := 0; err == nil && i < len(calls); i++ {
		err = c.past(ctx, fmt.Sprintf("SELECT * FROM %s%s AND %s = %s", place, pastWhere(&q, calls[i].at, calls[i].at+1),
			ident(tagDevice), literal(string(calls[i].device))), contract.Position, each)
	}
	if err != nil {
		return fmt.Errorf("reading the calls of the past: %w", err)
	}
	return nil
}
