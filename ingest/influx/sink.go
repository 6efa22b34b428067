package influx

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// A batch is the reused memory of one Write.
type batch struct {
	buf   []byte // lines, each with its line break
	lines []line
}

// A line is one reading's place in the buffer, and what a fault may have in
// common with others: its measurement, its set of fields and its time.
type line struct {
	begin, end int
	index      int // into the readings
}

// Write stores the readings as ingest.Sink promises. A refused batch is written
// again in parts until it is known which readings InfluxDB will not take; the
// others are then stored, because writing a point again changes nothing. The
// lines go in the order of arrival: sorting them by series costs us more than it
// spares the server.
func (c *Client) Write(ctx context.Context, readings []contract.Reading) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing to InfluxDB: %w", err)
	}
	if len(readings) == 0 {
		return nil
	}
	b := c.buffers.Get().(*batch) //nolint:forcetypeassert // the pool holds nothing else
	b.buf, b.lines = b.buf[:0], b.lines[:0]
	var rej rejects
	for i := range readings {
		begin := len(b.buf)
		buf, err := c.enc.append(b.buf, &readings[i])
		if err != nil {
			rej.add(err.Error(), i)
			continue
		}
		b.buf = buf
		b.lines = append(b.lines, line{begin, len(buf), i})
	}
	if len(b.lines) > 0 {
		err := c.post(ctx, b.buf)
		if err == nil {
			// Only now is it certain that the transport has read all of it.
			c.buffers.Put(b)
			return rej.err()
		}
		refused := (*refusal)(nil)
		if !errors.As(err, &refused) {
			return err
		}
		b.cluster(readings)
		if err := c.narrow(ctx, b, b.lines, refused, &rej); err != nil {
			return err
		}
	}
	return rej.err()
}

// cluster brings together lines that share the likely cause of a refusal: the
// same measurement and fields for a type conflict, old times for the retention.
func (b *batch) cluster(readings []contract.Reading) {
	slices.SortStableFunc(b.lines, func(x, y line) int {
		r, s := &readings[x.index], &readings[y.index]
		return cmp.Or(
			cmp.Compare(measurementOf(r.Class), measurementOf(s.Class)),
			compareFields(r, s),
			r.Measured.Compare(s.Measured),
		)
	})
}

func compareFields(r, s *contract.Reading) int {
	for f := range contract.Fields() {
		switch a, b := r.Values.Has(f), s.Values.Has(f); {
		case a && !b:
			return -1
		case b && !a:
			return 1
		}
	}
	return 0
}

// narrow finds which of the refused lines are at fault, and stores the others.
func (c *Client) narrow(ctx context.Context, b *batch, lines []line, why *refusal, rej *rejects) error {
	if len(lines) == 1 || !why.tooLarge && why.dropped == len(lines) {
		for _, l := range lines {
			rej.add(why.reason, l.index)
		}
		return nil
	}
	mid := len(lines) / 2
	for _, half := range [2][]line{lines[:mid], lines[mid:]} {
		var body []byte // fresh: the transport may still hold the one before
		for _, l := range half {
			body = append(body, b.buf[l.begin:l.end]...)
		}
		err := c.post(ctx, body)
		if err == nil {
			continue
		}
		refused := (*refusal)(nil)
		if !errors.As(err, &refused) {
			return err
		}
		if err := c.narrow(ctx, b, half, refused, rej); err != nil {
			return err
		}
	}
	return nil
}

// post writes lines. When the database is gone, it makes it again, once.
func (c *Client) post(ctx context.Context, body []byte) error {
	err := c.postOnce(ctx, body)
	if !errors.Is(err, errNoDatabase) {
		return err
	}
	if serr := c.Setup(ctx); serr != nil {
		return fmt.Errorf("%w; %w", err, serr)
	}
	c.log.Warn("the database was missing and was made again", zap.String("bucket", c.opt.bucket()))
	return c.postOnce(ctx, body)
}

func (c *Client) postOnce(ctx context.Context, body []byte) error {
	return outcome(c.service.DoPostRequest(ctx, c.writeURL, bytes.NewReader(body), plainText, drain))
}

func plainText(req *http.Request) { req.Header.Set("Content-Type", "text/plain; charset=utf-8") }

var errNoDatabase = errors.New("database not found")

// A refusal is InfluxDB's "not these": some of the lines, or all, are at fault,
// and the reason is that of the first.
type refusal struct {
	reason   string
	dropped  int  // how many, as the server says; 0 when it does not
	tooLarge bool // together, not each
}

func (r *refusal) Error() string { return "refused by InfluxDB: " + r.reason }

// outcome types the answer to a write.
func outcome(e *influxhttp.Error) error {
	if e == nil {
		return nil
	}
	text := message(e)
	switch e.StatusCode {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if fromInflux(e) {
			return parseRefusal(text)
		}
	case http.StatusRequestEntityTooLarge:
		return &refusal{reason: "too large", tooLarge: true}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &ingest.ThrottledError{After: retryAfter(e), Cause: fmt.Errorf("writing to InfluxDB: %w", cause(e))}
	case http.StatusNotFound:
		if fromInflux(e) {
			return fmt.Errorf("writing to InfluxDB: %w: %s", errNoDatabase, clip(text))
		}
	case http.StatusInternalServerError:
		// 1.8 has no status of its own for it.
		if strings.HasPrefix(text, "retention policy not found") || strings.HasPrefix(text, "database not found") {
			return fmt.Errorf("writing to InfluxDB: %w: %s", errNoDatabase, clip(text))
		}
	}
	return fmt.Errorf("writing to InfluxDB: %w", cause(e))
}

// fromInflux tells an answer of the database from one of a proxy in between,
// which must not send readings to quarantine.
func fromInflux(e *influxhttp.Error) bool {
	if e.Header.Get("X-Influxdb-Version") != "" || e.Header.Get("X-Influxdb-Build") != "" || e.Header.Get("X-Platform-Error-Code") != "" {
		return true
	}
	switch e.Code { // of 2.x's JSON
	case "invalid", "unprocessable entity", "not found":
		return true
	}
	return false
}

// parseRefusal takes the count out of
// `partial write: points beyond retention policy dropped=3`.
func parseRefusal(text string) *refusal {
	r := &refusal{reason: text}
	if i := strings.LastIndex(text, " dropped="); i >= 0 {
		if n, err := strconv.Atoi(text[i+len(" dropped="):]); err == nil {
			r.dropped = n
			r.reason = text[:i]
		}
	}
	if _, after, ok := strings.Cut(r.reason, "partial write: "); ok {
		r.reason = after
	}
	r.reason = clip(r.reason)
	return r
}

const (
	throttleDefault = time.Second
	throttleMax     = 10 * time.Minute
)

// retryAfter reads the header in both its forms, seconds and a date.
func retryAfter(e *influxhttp.Error) time.Duration {
	after := time.Duration(e.RetryAfter) * time.Second //nolint:gosec // 32 bits
	if at, err := http.ParseTime(e.Header.Get("Retry-After")); err == nil {
		after = time.Until(at)
	}
	if after <= 0 {
		return throttleDefault
	}
	return min(after, throttleMax)
}

// rejects collects readings that will never be taken.
type rejects struct {
	indexes []int
	reasons []string // distinct, the first few
}

const maxReasons = 3

func (r *rejects) add(reason string, index int) {
	r.indexes = append(r.indexes, index)
	if len(r.reasons) < maxReasons && !slices.Contains(r.reasons, reason) {
		r.reasons = append(r.reasons, reason)
	}
}

func (r *rejects) err() error {
	if len(r.indexes) == 0 {
		return nil
	}
	slices.Sort(r.indexes)
	return &ingest.RejectedError{Indexes: r.indexes, Reason: strings.Join(r.reasons, "; ")}
}
