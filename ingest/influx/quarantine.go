package influx

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Fields of the measurement quarantine.
const (
	fieldTotal   = "total"
	fieldReason  = "reason"
	fieldTopic   = "topic"
	fieldExample = "example_base64" // a payload may be CBOR, or anything
)

// WriteQuarantine implements ingest.QuarantineLog. The point's time is that of
// the device's last rejection.
func (c *Client) WriteQuarantine(ctx context.Context, counts []ingest.QuarantineCount) error {
	if len(counts) == 0 {
		return nil
	}
	var b []byte
	for i := range counts {
		b = appendQuarantine(b, &counts[i])
	}
	return c.post(ctx, b)
}

func appendQuarantine(b []byte, q *ingest.QuarantineCount) []byte {
	b = append(b, measurementQuarantine...)
	if q.Device != "" {
		b = append(b, ","+tagDevice+"="...)
		b = appendTag(b, string(q.Device))
	}
	b = append(b, " "+fieldTotal+"="...)
	b = append(strconv.AppendUint(b, min(q.Total, math.MaxInt64), 10), 'i')
	for _, s := range [3][2]string{
		{fieldReason, strings.ToValidUTF8(q.LastReason, "�")},
		{fieldTopic, strings.ToValidUTF8(q.LastTopic, "�")},
		{fieldExample, base64.StdEncoding.EncodeToString(q.Example)},
	} {
		b = append(b, ',')
		b = append(b, s[0]...)
		b = append(b, '=')
		b = appendString(b, s[1])
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, min(max(q.Last.UnixMilli(), 0), msMax)*tieRange, 10)
	return append(b, '\n')
}

// Quarantine implements ingest.History.
func (c *Client) Quarantine(ctx context.Context) ([]ingest.QuarantineCount, error) {
	var out []ingest.QuarantineCount
	statement := "SELECT * FROM " + ident(measurementQuarantine) + " GROUP BY " + ident(tagDevice) + " ORDER BY time DESC LIMIT 1"
	err := c.query(ctx, statement, func(s *series) error {
		for _, row := range s.Values {
			q := ingest.QuarantineCount{Device: contract.DeviceID(s.Tags[tagDevice])}
			if err := quarantineRow(&q, s.Columns, row); err != nil {
				return err
			}
			out = append(out, q)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b ingest.QuarantineCount) int { return cmp.Compare(a.Device, b.Device) })
	return out, nil
}

func quarantineRow(q *ingest.QuarantineCount, columns []string, row []any) error {
	if len(row) != len(columns) {
		return errors.New("reading the answer: a row of another length than its header")
	}
	for i, name := range columns {
		switch v := row[i].(type) {
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				continue
			}
			switch name {
			case "time":
				q.Last = time.UnixMilli(n / tieRange).UTC()
			case fieldTotal:
				q.Total = uint64(max(n, 0))
			}
		case string:
			switch name {
			case fieldReason:
				q.LastReason = v
			case fieldTopic:
				q.LastTopic = v
			case fieldExample:
				q.Example, _ = base64.StdEncoding.DecodeString(v)
			}
		}
	}
	return nil
}
