package danger

import (
	"fmt"
	"math"
	"strconv"
)

const (
	countedRainMM = 0.3 // less is no rain
	dryDays       = 8   // so many days of record without rain stand for a rain that none has seen
	maxC          = 50
	// After so many dry days every rain, however heavy, scores the whole 50.
	forgottenDays = 11
	// Counters stop here, so that a memory stays small for ever.
	maxDays = 9999
)

// RainMemory is what a station remembers of rain from day to day. The zero value
// knows nothing.
type RainMemory struct {
	Known     bool    `json:"known"`      // a rain of 0.3 mm or more is known
	LastMM    float64 `json:"last_mm"`    // that rain, mm of its day
	DaysSince int     `json:"days_since"` // whole days from it to the last day fed; 0: that day itself
	// DryRun are the days of known rain below 0.3 mm, one after the other, up to the
	// last day fed.
	DryRun int `json:"dry_run"`
	// Unseen are the days since the last known rain of which the rain is not known.
	Unseen int `json:"unseen"`
}

// Check refuses a memory that cannot be.
func (m RainMemory) Check() error {
	bounds := []bound{
		{field: "rain_memory.days_since", value: float64(m.DaysSince), max: maxDays},
		{field: "rain_memory.dry_run", value: float64(m.DryRun), max: maxDays},
		{field: "rain_memory.unseen", value: float64(m.Unseen), max: maxDays},
	}
	if m.Known {
		bounds = append(bounds, bound{field: "rain_memory.last_mm", value: m.LastMM, min: countedRainMM, max: maxRainMM})
	}
	return check(bounds...)
}

// DryDays are the whole days since the last rain of 0.3 mm or more. Where none is
// known it is the length of the dry record, from its eighth day, and −1 before.
func (m RainMemory) DryDays() int {
	switch {
	case m.Known:
		return m.DaysSince
	case m.DryRun >= dryDays:
		return m.DryRun
	}
	return -1
}

// Skip carries the memory over days of which nothing is known.
func (m RainMemory) Skip(days int) RainMemory {
	if days <= 0 {
		return m
	}
	days = min(days, maxDays)
	m.DryRun = 0
	m.Unseen = min(m.Unseen+days, maxDays)
	if m.Known {
		m.DaysSince = min(m.DaysSince+days, maxDays)
	}
	return m
}

// after is the memory once a day has passed; NaN: its rain is not known.
func (m RainMemory) after(rainMM float64) RainMemory {
	switch {
	case math.IsNaN(rainMM):
		return m.Skip(1)
	case rainMM >= countedRainMM:
		return RainMemory{Known: true, LastMM: rainMM}
	}
	m.DryRun = min(m.DryRun+1, maxDays)
	if m.Known {
		m.DaysSince = min(m.DaysSince+1, maxDays)
	}
	return m
}

// score is C for the last day fed, and in Chinese what makes it uncertain. Where no
// rain is known C is the greatest that it can be: unknown is not safe.
func (m RainMemory) score() (c int, note string) {
	if !m.Known {
		if m.DryRun < dryDays {
			note = fmt.Sprintf("降水记录只有连续%d天无雨、此前不详，按%d天以上无雨计", m.DryRun, dryDays)
		}
		return maxC, note
	}
	if m.Unseen > 0 && m.DryRun < forgottenDays {
		note = "上次降水以来有" + strconv.Itoa(m.Unseen) + "天降水不详，按无雨计"
	}
	switch {
	case m.LastMM <= 2:
		c = 10 + 5*m.DaysSince
	case m.LastMM <= 5:
		c = 5 + 5*m.DaysSince
	case m.LastMM < 10.1:
		c = 5 * m.DaysSince
	default:
		c = 5 * max(m.DaysSince-1, 0)
	}
	return min(c, maxC), note
}
