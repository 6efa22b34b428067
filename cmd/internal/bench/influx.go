//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// Both sides write the points of a device's positions here.
const (
	database    = "firewatch"
	measurement = "position"
)

// influxDB is the server that both sides write to, asked as any user would.
type influxDB struct {
	url  string
	http *http.Client
}

func newInfluxDB(base string) *influxDB {
	return &influxDB{url: base, http: &http.Client{Timeout: patience}}
}

func (d *influxDB) request(ctx context.Context, method, path string, query url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path+"?"+query.Encode(), nil) //nolint:gosec // the server that we started
	if err != nil {
		return err
	}
	res, err := d.http.Do(req) //nolint:gosec // the same
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.200s", method, path, res.Status, raw)
	}
	return json.Unmarshal(raw, answer)
}

// query runs an InfluxQL statement and returns the rows of its series.
func (d *influxDB) query(ctx context.Context, method, statement string) ([][]any, error) {
	var answer struct {
		Results []struct {
			Error  string
			Series []struct{ Values [][]any }
		}
	}
	if err := d.request(ctx, method, "/query", url.Values{"db": {database}, "q": {statement}}, &answer); err != nil {
		return nil, err
	}
	var rows [][]any
	for _, r := range answer.Results {
		if r.Error != "" {
			return nil, fmt.Errorf("InfluxDB: %s: %s", statement, r.Error)
		}
		for _, s := range r.Series {
			rows = append(rows, s.Values...)
		}
	}
	return rows, nil
}

func (d *influxDB) create(ctx context.Context) error {
	_, err := d.query(ctx, http.MethodPost, "CREATE DATABASE "+database)
	return err
}

// count is how many readings a query finds.
func (d *influxDB) count(ctx context.Context) (int, error) {
	rows, err := d.query(ctx, http.MethodGet, "SELECT count(seq) FROM "+measurement)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	n, ok := rows[0][1].(float64)
	if !ok {
		return 0, fmt.Errorf("InfluxDB counts %v", rows[0][1])
	}
	return int(n), nil
}

// seqs are the sequence numbers of the device's readings from a time on.
func (d *influxDB) seqs(ctx context.Context, device contract.DeviceID, from time.Time) ([]int, error) {
	rows, err := d.query(ctx, http.MethodGet, fmt.Sprintf("SELECT seq FROM %s WHERE device='%s' AND time >= %dms", measurement, device, from.UnixMilli()))
	if err != nil {
		return nil, err
	}
	out := make([]int, 0, len(rows))
	for _, r := range rows {
		if n, ok := r[1].(float64); ok {
			out = append(out, int(n))
		}
	}
	return out, nil
}

// written is how many points of any kind were written, again or anew: cheap to ask
// often, unlike count.
func (d *influxDB) written(ctx context.Context) (int, error) {
	var vars map[string]json.RawMessage
	if err := d.request(ctx, http.MethodGet, "/debug/vars", nil, &vars); err != nil {
		return 0, err
	}
	n := 0.0
	for name, raw := range vars {
		if !strings.HasPrefix(name, "shard:") {
			continue
		}
		var shard struct {
			Tags   struct{ Database string }
			Values struct {
				Points float64 `json:"writePointsOk"`
			}
		}
		if err := json.Unmarshal(raw, &shard); err != nil {
			return 0, fmt.Errorf("InfluxDB: %s: %w", name, err)
		}
		if shard.Tags.Database == database {
			n += shard.Values.Points
		}
	}
	return int(n), nil
}

// arrive waits until n readings can be found, or until nothing has come for the
// idle time, and returns how many there are and when the last came.
func (d *influxDB) arrive(ctx context.Context, n int, idle time.Duration, alive func() error) (count int, at time.Time, err error) {
	points, changed, next := -1, time.Now(), n
	for {
		now, err := d.written(ctx)
		if err != nil {
			return count, changed, err
		}
		if now != points {
			points, changed = now, time.Now()
		}
		idling := time.Since(changed) > idle
		if points >= next || idling {
			if count, err = d.count(ctx); err != nil || count >= n {
				return count, time.Now(), err
			}
			next = points + n - count // points of other kinds do not count
		}
		if idling {
			return count, changed, nil
		}
		if err := alive(); err != nil {
			return count, changed, err
		}
		select {
		case <-ctx.Done():
			return count, changed, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
