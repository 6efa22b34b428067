package fleet

import (
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// device is what is remembered of one device. Its fields are exported for the
// snapshot.
type device struct {
	Received int64    `json:"received"` // newest, ms since 1970
	Measured int64    `json:"measured"` // newest, ms since 1970
	Clock    clock    `json:"clock"`
	Sequence sequence `json:"sequence"`
	Battery  battery  `json:"battery"`
	Buffered int      `json:"buffered"`
	BufferAt int64    `json:"buffer_at"` // measured; 0: it never said

	flood   ingest.FloodState
	written ingest.DeviceHealth // as the log has it
	at      time.Time           // when that was written
}

// observe takes one reading. With alone false another process sees a part of
// the device's readings, so that its sequence numbers say nothing here.
func (d *device) observe(r *contract.Reading, alone bool) {
	measured, received := r.Measured.UnixMilli(), r.Received.UnixMilli()
	d.Received = max(d.Received, received)
	d.Measured = max(d.Measured, measured)
	// An alarm without a believable time carries that of its receipt, which says
	// nothing about the device's clock; so does a last will, whose time is that
	// of connecting.
	timed := r.Class != contract.SOS && r.Class != contract.Report || measured != received
	if timed && !lastWill(r) {
		d.Clock.observe(measured, received)
	}
	if r.HasSeq && alone {
		d.Sequence.observe(r.Seq, measured, timed)
	}
	if pct, ok := r.Values.Get(contract.BatteryPct); ok {
		d.Battery.observe(pct, measured)
	}
	if n, ok := r.Values.Get(contract.Buffered); ok && measured >= d.BufferAt {
		d.Buffered, d.BufferAt = int(n), measured
	}
}

// lastWill reports whether the broker says that the device is gone.
func lastWill(r *contract.Reading) bool {
	online, ok := r.Values.Get(contract.Online)
	return ok && online == 0
}

func (d *device) health(id contract.DeviceID) ingest.DeviceHealth {
	h := ingest.DeviceHealth{
		Device: id, Received: time.UnixMilli(d.Received).UTC(), Measured: time.UnixMilli(d.Measured).UTC(),
		Buffered: d.Buffered, HasBuffered: d.BufferAt != 0,
		Missing: d.Sequence.Missing, Repeated: d.Sequence.Repeated, Resets: d.Sequence.Resets,
		Flood: d.flood,
	}
	if ms, ok := d.Clock.skew(); ok {
		h.Skew, h.HasSkew = time.Duration(ms)*time.Millisecond, true
	}
	if d.Battery.At != 0 {
		h.BatteryPct, h.HasBattery = d.Battery.Pct, true
		if h.DaysLeft, h.HasDaysLeft = d.Battery.daysLeft(); h.HasDaysLeft {
			h.BatteryRate, _ = d.Battery.rate()
		}
	}
	return h
}

// differs reports whether somebody who saw a would want to see b now.
func differs(a, b *ingest.DeviceHealth) bool {
	return a.Missing != b.Missing || a.Resets != b.Resets || a.Flood != b.Flood ||
		a.HasSkew != b.HasSkew || (a.Skew-b.Skew).Abs() > clockNear*time.Millisecond ||
		a.Buffered != b.Buffered || a.HasDaysLeft != b.HasDaysLeft || a.HasBattery != b.HasBattery
}
