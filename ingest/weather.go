package ingest

import (
	"time"

	contract "firewatch/firmware-contracts"
)

// HalfHour is the length of the windows in which weather is summed up: noon of
// fire weather is the hour around 12:00.
const HalfHour = 30 * time.Minute

// WeatherWindow sums up the weather that one sensor measured in [At, At+HalfHour).
type WeatherWindow struct {
	Device contract.DeviceID
	At     time.Time
	TempC  FieldSum // °C
	RhPct  FieldSum // %
	WindMS FieldSum // m/s
	RainMM FieldSum // mm, each since the reading before; the sum is the rain of the window
}

// FieldSum sums up one field's readings; without any (N 0) the rest means nothing.
type FieldSum struct {
	N             int
	Min, Max, Sum float64
}
