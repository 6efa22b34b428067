package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// measurementHealth holds one point per device and time of writing, in the
// policy of the readings; the newest stands.
const measurementHealth = "device_health"

// The fields of device_health, beside received_ms.
const (
	healthMeasured    = "measured_ms"
	healthSkew        = "skew_ms"
	healthBuffered    = "buffered"
	healthBattery     = "battery_pct"
	healthBatteryRate = "battery_pct_per_day"
	healthDaysLeft    = "days_left"
	healthMissing     = "missing"
	healthRepeated    = "repeated"
	healthResets      = "resets"
	healthFlood       = "flood"
)

// WriteHealth implements ingest.HealthLog.
func (c *Client) WriteHealth(ctx context.Context, hs []ingest.DeviceHealth) error {
	if len(hs) == 0 {
		return nil
	}
	now := time.Now().UnixMilli() * tieRange
	var b []byte
	for i := range hs {
		var err error
		if b, err = appendHealth(b, &hs[i], now); err != nil {
			return fmt.Errorf("writing the health of devices: %w", err)
		}
	}
	if err := c.post(ctx, b); err != nil {
		return err
	}
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	if c.health.index == nil {
		return nil
	}
	c.health.fed = true
	for i := range hs {
		c.health.put(hs[i].Device, now, &hs[i], ownHealth)
	}
	return nil
}

func appendHealth(b []byte, h *ingest.DeviceHealth, at int64) ([]byte, error) {
	if err := h.Device.Validate(); err != nil {
		return b, err
	}
	b = append(b, measurementHealth+","+tagDevice+"="...)
	b = appendTag(b, string(h.Device))
	b = append(b, ' ')
	integer := func(name string, n int64) {
		b = append(b, name...)
		b = append(b, '=')
		b = append(strconv.AppendInt(b, n, 10), 'i', ',')
	}
	float := func(name string, x float64) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return
		}
		b = append(b, name...)
		b = append(b, '=')
		b = append(strconv.AppendFloat(b, x, 'g', -1, 64), ',')
	}
	if !h.Received.IsZero() {
		integer(fieldReceived, h.Received.UnixMilli())
	}
	if !h.Measured.IsZero() {
		integer(healthMeasured, h.Measured.UnixMilli())
	}
	if h.HasSkew {
		integer(healthSkew, h.Skew.Milliseconds())
	}
	if h.HasBuffered {
		integer(healthBuffered, int64(h.Buffered))
	}
	if h.HasBattery {
		float(healthBattery, h.BatteryPct)
		float(healthBatteryRate, h.BatteryRate)
	}
	if h.HasDaysLeft {
		float(healthDaysLeft, h.DaysLeft)
	}
	for _, n := range []struct {
		name string
		n    uint64
	}{{healthMissing, h.Missing}, {healthRepeated, h.Repeated}, {healthResets, h.Resets}} {
		integer(n.name, int64(min(n.n, math.MaxInt64)))
	}
	b = append(b, healthFlood+`="`+h.Flood.String()+`" `...)
	b = strconv.AppendInt(b, at, 10)
	return append(b, '\n'), nil
}

func ownHealth(id contract.DeviceID, h *ingest.DeviceHealth) {
	h.Device = id
	h.Received = h.Received.UTC().Truncate(time.Millisecond)
	h.Measured = h.Measured.UTC().Truncate(time.Millisecond)
	h.Skew = h.Skew.Truncate(time.Millisecond)
}

// Health implements ingest.History. It is as new as Last is.
func (c *Client) Health(ctx context.Context) ([]ingest.DeviceHealth, error) {
	return c.health.get(ctx, c, source[ingest.DeviceHealth]{ask: c.askHealth, own: ownHealth})
}

func (c *Client) askHealth(ctx context.Context, from, to time.Time, _ bool, each func(contract.DeviceID, int64, *ingest.DeviceHealth)) error {
	statement := fmt.Sprintf("SELECT last(%s) AS last_, * FROM %s WHERE time >= %d", ident(healthFlood), ident(measurementHealth), nanos(from))
	if !to.IsZero() {
		statement += fmt.Sprintf(" AND time < %d", nanos(to))
	}
	return c.stream(ctx, statement+" GROUP BY "+ident(tagDevice), func(row *csvRow) error {
		h := ingest.DeviceHealth{Device: row.device}
		at := int64(0)
		for i, v := range row.values {
			if v == "" {
				continue
			}
			if row.columns[i] == "time" {
				at, _ = strconv.ParseInt(v, 10, 64)
				continue
			}
			setHealth(&h, row.columns[i], v)
		}
		if h.Device.Validate() == nil {
			each(h.Device, at, &h)
		}
		return nil
	})
}

func setHealth(h *ingest.DeviceHealth, name, v string) {
	if name == healthFlood {
		for _, f := range []ingest.FloodState{ingest.FloodNone, ingest.FloodSlowed, ingest.FloodCut} {
			if f.String() == v {
				h.Flood = f
			}
		}
		return
	}
	x, err := json.Number(v).Float64()
	if err != nil {
		return
	}
	n := int64(x)
	switch name {
	case fieldReceived:
		h.Received = time.UnixMilli(n).UTC()
	case healthMeasured:
		h.Measured = time.UnixMilli(n).UTC()
	case healthSkew:
		h.Skew, h.HasSkew = time.Duration(n)*time.Millisecond, true
	case healthBuffered:
		h.Buffered, h.HasBuffered = int(n), true
	case healthBattery:
		h.BatteryPct, h.HasBattery = x, true
	case healthBatteryRate:
		h.BatteryRate = x
	case healthDaysLeft:
		h.DaysLeft, h.HasDaysLeft = x, true
	case healthMissing:
		h.Missing = uint64(max(n, 0))
	case healthRepeated:
		h.Repeated = uint64(max(n, 0))
	case healthResets:
		h.Resets = uint64(max(n, 0))
	}
}
