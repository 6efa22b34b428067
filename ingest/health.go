package ingest

import (
	"context"
	"time"

	contract "firewatch/firmware-contracts"
)

// DeviceHealth is what the stream of a device's messages tells of the device
// itself. Whether it is online follows from it, the registry's expectation and
// the time: see Liveness in package api/v1.
type DeviceHealth struct {
	Device   contract.DeviceID
	Received time.Time // of the newest message
	Measured time.Time // newest measured time; only that proves life

	// Skew is how far the device's clock is ahead of ours; negative is behind.
	// Only known to be at least so far from the truth as a message needs to come.
	Skew    time.Duration
	HasSkew bool

	Buffered    int // readings that wait in the device, as it last said
	HasBuffered bool

	BatteryPct  float64 // newest
	BatteryRate float64 // percentage points a day over the last days; negative: it drains
	DaysLeft    float64 // at that rate
	HasBattery  bool
	HasDaysLeft bool // a rate is known and it drains

	// Of the sequence numbers. A missing one is unknown, not absent: it may still
	// come, and is taken off then.
	Missing  uint64 // numbers passed over and not seen since
	Repeated uint64 // readings that came again
	Resets   uint64 // times that the count began anew

	Flood FloodState
}

// FloodState says what is done to a device that sends more than it may.
type FloodState uint8

// The states, in the order of their gravity.
const (
	FloodNone   FloodState = iota
	FloodSlowed            // its messages are read more slowly than it sends
	FloodCut               // it was disconnected and is kept out for a while
)

// String is the state's name in JSON and stored fields.
func (f FloodState) String() string {
	switch f {
	case FloodSlowed:
		return "slowed"
	case FloodCut:
		return "cut"
	case FloodNone:
	}
	return "none"
}

// A FloodLog is told when a device begins to flood, is cut off, or behaves
// again.
type FloodLog interface {
	Flood(id contract.DeviceID, f FloodState, at time.Time)
}

// A HealthLog stores the health of devices where the api can read it; the
// newest stands.
type HealthLog interface {
	WriteHealth(ctx context.Context, hs []DeviceHealth) error
}
