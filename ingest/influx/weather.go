package influx

import (
	"context"
	"fmt"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// weatherFields are what a weather station measures.
var weatherFields = [...]contract.Field{contract.TempC, contract.RhPct, contract.WindMS, contract.RainMM}

// weatherSlice is the longest time that one question asks about: InfluxDB works
// through it in memory, series by series.
const weatherSlice = 6 * time.Hour

// Weather hands over what all sensors measured of the weather in [from, to),
// summed up by half hours, device by device within at most six hours; a sensor
// that measures none of it is left out. Both times are moved down to a half hour.
// What is older than the readings are kept is made of the stored windows of ten
// minutes; what is older than those is not answered. A reading that was written
// again after its device moved to another area counts twice in a sum.
func (c *Client) Weather(ctx context.Context, from, to time.Time, each func(ingest.WeatherWindow) error) error {
	from, to = from.Truncate(ingest.HalfHour), to.Truncate(ingest.HalfHour)
	for ; from.Before(to); from = from.Add(weatherSlice) {
		end := from.Add(weatherSlice)
		if end.After(to) {
			end = to
		}
		q := ingest.WindowQuery{Class: contract.Environment, From: from, To: end, Every: ingest.HalfHour}
		for _, s := range c.spans(ctx, &q) {
			if s.suffix == suffixDaily {
				continue
			}
			if err := c.weather(ctx, s, each); err != nil {
				return fmt.Errorf("reading weather: %w", err)
			}
		}
	}
	return nil
}

func (c *Client) weather(ctx context.Context, s span, each func(ingest.WeatherWindow) error) error {
	d := summaryDecoder{}
	return c.search(ctx, weatherStatement(s), func(ser *series) error {
		d.prepare(ser.Columns)
		device := contract.DeviceID(ser.Tags[tagDevice])
		if device.Validate() != nil {
			return nil //nolint:nilerr // nobody of ours wrote it
		}
		for _, row := range ser.Values {
			var one summary
			at := d.json(row, &one)
			w := ingest.WeatherWindow{Device: device, At: time.Unix(0, at).UTC()}
			for i, to := range [...]*ingest.FieldSum{&w.TempC, &w.RhPct, &w.WindMS, &w.RainMM} {
				f := &one.fields[weatherFields[i]]
				if f.n > 0 {
					*to = ingest.FieldSum{N: int(f.n), Min: f.min, Max: f.max, Sum: f.sum}
				}
			}
			if err := each(w); err != nil {
				return err
			}
		}
		return nil
	})
}

func weatherStatement(s span) string {
	var columns []string
	for _, f := range weatherFields {
		n := f.String()
		for _, c := range [...]struct{ stored, raw, stat string }{
			{"sum", "count", statN}, {"min", "min", statMin}, {"max", "max", statMax}, {"sum", "sum", statSum},
		} {
			if s.suffix != "" {
				columns = append(columns, fmt.Sprintf("%s(%s) AS %s", c.stored, ident(n+c.stat), ident(n+c.stat)))
			} else {
				columns = append(columns, fmt.Sprintf("%s(%s) AS %s", c.raw, ident(n), ident(n+c.stat)))
			}
		}
	}
	return fmt.Sprintf("SELECT %s FROM %s.%s WHERE %s = %s AND time >= %d AND time < %d GROUP BY time(%dms), %s fill(none)",
		strings.Join(columns, ", "), ident(s.policy), ident(measurementOf(contract.Environment)+s.suffix),
		ident(tagKind), literal(contract.Sensor.String()), s.from, s.to, ingest.HalfHour.Milliseconds(), ident(tagDevice))
}
