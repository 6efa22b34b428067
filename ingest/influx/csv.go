package influx

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Long answers are read as CSV: it costs InfluxDB and us a third of what JSON
// does. In CSV InfluxDB does not say that a statement broke off in the middle,
// so another one follows, which is not carried out then: where its rows are
// missing, the answer is not whole.

// errCutShort says that an answer ended before its last row.
var errCutShort = errors.New("the answer broke off")

// A csvRow is one row of a long answer; it is valid until the next.
type csvRow struct {
	device  contract.DeviceID // of GROUP BY "device"
	columns []string          // the same slice for all rows
	values  []string          // empty for null
}

// stream runs one SELECT … GROUP BY "device" and hands over its rows as they
// come, those of one device together. It takes as long as ctx allows.
func (c *Client) stream(ctx context.Context, statement string, each func(*csvRow) error) error {
	params := url.Values{
		"db": {c.opt.Database}, "rp": {c.opt.RetentionPolicy}, "epoch": {"ns"}, "chunked": {"true"},
		"q": {statement + "; SHOW RETENTION POLICIES ON " + ident(c.opt.Database)},
	}
	if c.opt.Org != "" {
		params.Set("org", c.opt.Org)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.queryURL+"?"+params.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("%w: %w", ingest.ErrHistoryAway, err)
	}
	req.Header.Set("Accept", "application/csv")
	if a := c.service.Authorization(); a != "" {
		req.Header.Set("Authorization", a)
	}
	resp, err := c.slow.Do(req) //nolint:bodyclose // readCSV does
	if err == nil {
		err = readCSV(resp, each)
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	} else if said, ok := errors.AsType[*influxhttp.Error](err); ok {
		err = cause(said)
	}
	if errors.Is(err, errCutShort) && ctx.Err() == nil {
		// The statement that was not carried out may know why.
		if _, err := c.kept(ctx); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ingest.ErrHistoryAway, err)
	}
	return nil
}

func readCSV(resp *http.Response, each func(*csvRow) error) (err error) {
	defer func() {
		if err != nil { // what is left may be long: the connection is given up
			err = errors.Join(err, resp.Body.Close())
			return
		}
		err = drain(resp)
	}()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		e := &influxhttp.Error{StatusCode: resp.StatusCode, Header: resp.Header}
		var doc struct{ Error, Message string }
		if json.Unmarshal(text, &doc) == nil {
			e.Message = doc.Error + doc.Message
		}
		return e
	}
	r := csv.NewReader(resp.Body)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	row, whole, header := csvRow{}, false, false
	tags := ""
	for {
		rec, err := r.Read()
		switch {
		case errors.Is(err, io.EOF) && whole:
			return nil
		case errors.Is(err, io.EOF):
			return errCutShort
		case err != nil:
			return fmt.Errorf("reading the answer: %w", err)
		case len(rec) == 1 && rec[0] == "error":
			if text, err := r.Read(); err == nil && len(text) == 1 {
				return &statementError{clip(text[0])}
			}
			return errCutShort
		case len(rec) > 2 && rec[0] == "name" && rec[1] == "tags":
			whole = whole || slices.Contains(rec, "shardGroupDuration")
			row.columns, header = slices.Clone(rec[2:]), true
			continue
		case whole:
			continue
		case !header || len(rec) != len(row.columns)+2:
			return errors.New("reading the answer: a row of another length than its header")
		}
		if rec[1] != tags || row.device == "" {
			tags = strings.Clone(rec[1])
			row.device = contract.DeviceID(strings.TrimPrefix(tags, tagDevice+"="))
		}
		row.values = rec[2:]
		if err := each(&row); err != nil {
			return err
		}
	}
}

// A csvDecoder turns rows back into readings.
type csvDecoder struct {
	class   contract.Class // where the row does not say
	columns []string       // that the plan was made for
	plan    []column
}

// A stored reading is one with what the contract does not know of.
type stored struct {
	contract.Reading
	at   int64 // the point's time
	area string
}

// row decodes one row into s. It is false for one that nobody of ours wrote.
func (d *csvDecoder) row(row *csvRow, s *stored) bool {
	if !slices.Equal(d.columns, row.columns) {
		d.columns, d.plan = slices.Clone(row.columns), d.plan[:0]
		for _, name := range row.columns {
			f, known := contract.FieldByName(name)
			d.plan = append(d.plan, column{name, f, known})
		}
	}
	*s = stored{Reading: contract.Reading{Device: row.device, Class: d.class}}
	for i, v := range row.values {
		if v == "" {
			continue
		}
		c := &d.plan[i]
		if c.known {
			switch v {
			case "true":
				s.Values.Set(c.field, 1)
			case "false":
				s.Values.Set(c.field, 0)
			default:
				if x, err := strconv.ParseFloat(v, 64); err == nil {
					s.Values.Set(c.field, x)
				}
			}
			continue
		}
		switch c.name {
		case "time", fieldReceived, fieldSeq:
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				continue
			}
			switch c.name {
			case "time":
				s.at = n
				s.Measured = time.UnixMilli(n / tieRange).UTC()
			case fieldReceived:
				s.Received = time.UnixMilli(n).UTC()
			case fieldSeq:
				s.Seq, s.HasSeq = uint64(n), n >= 0 //nolint:gosec // written from a uint64
			}
		case tagArea:
			s.area = v
		default:
			setColumn(&s.Reading, c.name, v)
		}
	}
	return s.Device.Validate() == nil && s.Kind != 0 && s.Class != 0
}
