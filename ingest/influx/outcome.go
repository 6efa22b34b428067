package influx

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

var (
	errNoDatabase = errors.New("database not found")
	// errTooSlow is a request that was not answered, or not read, to its end:
	// smaller ones may be.
	errTooSlow = errors.New("too slow")
)

// A fault is why InfluxDB refuses a line.
type fault byte

const (
	faultNone     fault = iota // not known
	faultSize                  // too large, together or alone
	faultSyntax                // does not parse
	faultConflict              // a field has another type in the database
	faultOld                   // beyond the retention policy
	faultLimit                 // a limit that the server's operator has set
)

// A refusal is InfluxDB's "not these": some of the lines, or all, are at fault,
// and the reason is that of one of them.
type refusal struct {
	fault    fault
	reason   string
	conflict conflict // when that is the fault, and the server names the field
	dropped  int      // how many, as the server says; 0 when it does not
	tooLarge bool     // together, not each
}

func (r *refusal) Error() string { return "refused by InfluxDB: " + r.reason }

// A conflict is a field that is stored with another type than ours.
type conflict struct {
	measurement, field string
	ours, stored       string // types
}

var conflictText = regexp.MustCompile(`input field "([^"]*)" on measurement "([^"]*)" is type (\w+), already exists as type (\w+)`)

func (c *conflict) String() string {
	return fmt.Sprintf("field type conflict: field %s of measurement %s is %s here and stored as %s", c.field, c.measurement, c.ours, c.stored)
}

func (c *conflict) advice() string {
	if c.field == "" {
		return "a field has another type in InfluxDB, where another program wrote it first; remove what that wrote, or use another database"
	}
	return fmt.Sprintf("field %s of measurement %s is stored as %s in InfluxDB, where another program wrote it first, and cannot take our %s; "+
		"remove what that wrote, or use another database: until then such readings go to quarantine", c.field, c.measurement, c.stored, c.ours)
}

// matches reports whether the reading has the field.
func (c *conflict) matches(r *contract.Reading) bool {
	if measurementOf(r.Class) != c.measurement {
		return false
	}
	switch c.field {
	case fieldClass:
		return true
	case fieldReceived:
		return !r.Received.IsZero()
	case fieldSeq:
		return r.HasSeq
	case fieldCode:
		return r.Code != "" || r.Class == contract.SOS || r.Class == contract.Report
	case fieldText:
		return r.Text != ""
	}
	f, ok := contract.FieldByName(c.field)
	return ok && r.Values.Has(f)
}

// outcome types the answer to a write. What is not known to be the readings'
// fault is an error worth another try: a failing shard, a full cache
// ("engine: cache-max-memory-size exceeded"), a time-out, a lost connection.
func outcome(e *influxhttp.Error) error {
	if e == nil {
		return nil
	}
	text := message(e)
	switch e.StatusCode {
	case 0:
		if broken(e.Err) {
			return fmt.Errorf("writing to InfluxDB: %w: %w", errTooSlow, cause(e))
		}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if fromInflux(e) && !strings.Contains(text, "is pending deletion") { // a shard that makes room for a new one
			return parseRefusal(text)
		}
	case http.StatusRequestEntityTooLarge:
		return &refusal{fault: faultSize, reason: "too large", tooLarge: true}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &ingest.ThrottledError{After: retryAfter(e), Cause: fmt.Errorf("writing to InfluxDB: %w", cause(e))}
	case http.StatusNotFound:
		if fromInflux(e) {
			return fmt.Errorf("writing to InfluxDB: %w: %s", errNoDatabase, clip(text))
		}
	case http.StatusInternalServerError:
		// 1.8 has no status of its own for these.
		switch {
		case strings.HasPrefix(text, "retention policy not found"), strings.HasPrefix(text, "database not found"):
			return fmt.Errorf("writing to InfluxDB: %w: %s", errNoDatabase, clip(text))
		case text == "timeout":
			return fmt.Errorf("writing to InfluxDB: %w: %w", errTooSlow, cause(e))
		}
	case http.StatusGatewayTimeout:
		return fmt.Errorf("writing to InfluxDB: %w: %w", errTooSlow, cause(e))
	}
	return fmt.Errorf("writing to InfluxDB: %w", cause(e))
}

// broken tells a connection that was lost in the middle of a request from one
// that never came about.
func broken(err error) bool {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err
	}
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "write"
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

// parseRefusal reads
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
	switch {
	case strings.Contains(r.reason, "field type conflict"):
		r.fault = faultConflict
		if m := conflictText.FindStringSubmatch(r.reason); m != nil {
			r.conflict = conflict{field: m[1], measurement: m[2], ours: m[3], stored: m[4]}
			r.reason = r.conflict.String()
		}
	case strings.Contains(r.reason, "limit exceeded"):
		r.fault = faultLimit
	case strings.Contains(r.reason, "beyond retention policy"):
		r.fault = faultOld
	case strings.Contains(r.reason, "unable to parse"):
		r.fault = faultSyntax
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

// rejects collects readings that are not stored, each with its reason.
type rejects struct {
	indexes []int
	reasons []string // beside the indexes
}

func (r *rejects) add(reason string, index int) {
	r.indexes = append(r.indexes, index)
	r.reasons = append(r.reasons, reason)
}

// sort puts the indexes in order.
func (r *rejects) sort() {
	type one struct {
		index  int
		reason string
	}
	all := make([]one, len(r.indexes))
	for i := range all {
		all[i] = one{r.indexes[i], r.reasons[i]}
	}
	slices.SortFunc(all, func(a, b one) int { return a.index - b.index })
	for i := range all {
		r.indexes[i], r.reasons[i] = all[i].index, all[i].reason
	}
}

// first joins the first few of the distinct reasons.
func (r *rejects) first() string {
	const most = 3
	var distinct []string
	for _, s := range r.reasons {
		if len(distinct) < most && !slices.Contains(distinct, s) {
			distinct = append(distinct, s)
		}
	}
	return strings.Join(distinct, "; ")
}
