package v1

import (
	"time"

	"firewatch/ingest"
)

// DeviceList answers GET /devices (?kind= ?area= ?seen= ?liveness=). Counts are
// of all devices that the other filters leave, not only of the page.
type DeviceList struct {
	Items  []Device       `json:"items"`
	Next   *string        `json:"next"`
	Counts LivenessCounts `json:"counts"`
}

// LivenessCounts counts devices. Online, late, silent and unknown add up to all;
// of them never_seen is those that have never reported, which are silent when
// they are expected to report, and unknown else.
type LivenessCounts struct {
	Online    int `json:"online"`
	Late      int `json:"late"`
	Silent    int `json:"silent"`
	NeverSeen int `json:"never_seen"`
	Unknown   int `json:"unknown"`
}

// Health is what the stream of a device's messages tells of the device itself;
// null is not known.
type Health struct {
	Measured    *time.Time `json:"measured"`     // newest measured time; only that proves life
	Received    *time.Time `json:"received"`     // of the newest message
	SkewS       *float64   `json:"skew_s"`       // s that the device's clock is ahead of ours; negative: behind
	Buffered    *int       `json:"buffered"`     // readings that wait in the device
	BatteryPct  *float64   `json:"battery_pct"`  // %
	BatteryRate *float64   `json:"battery_rate"` // percentage points a day, when it drains
	DaysLeft    *float64   `json:"days_left"`    // at that rate
	Missing     uint64     `json:"missing"`      // sequence numbers passed over: unknown, not lost
	Repeated    uint64     `json:"repeated"`     // readings that came again
	Resets      uint64     `json:"resets"`       // times that the count began anew
	Flood       string     `json:"flood"`        // none, slowed, cut
}

func toHealth(h *ingest.DeviceHealth) *Health {
	out := &Health{
		Measured: atOrNull(h.Measured), Received: atOrNull(h.Received),
		Missing: h.Missing, Repeated: h.Repeated, Resets: h.Resets, Flood: h.Flood.String(),
	}
	if h.HasSkew {
		s := h.Skew.Seconds()
		out.SkewS = &s
	}
	if h.HasBuffered {
		out.Buffered = &h.Buffered
	}
	if h.HasBattery {
		out.BatteryPct = &h.BatteryPct
	}
	if h.HasDaysLeft {
		out.BatteryRate, out.DaysLeft = &h.BatteryRate, &h.DaysLeft
	}
	return out
}

// Latest answers GET /latest (?since=): a column per quantity, all of one length,
// a place in them per device; null is not known. Times are ms since 1970.
type Latest struct {
	At         time.Time      `json:"at"`
	Next       string         `json:"next"` // for ?since= of the next call; empty: ask for all again
	Full       bool           `json:"full"` // false: only what is new since the call before
	Counts     LivenessCounts `json:"counts"`
	ID         []string       `json:"id"`
	Kind       []string       `json:"kind"`
	Liveness   []string       `json:"liveness"`
	Lat        []*float64     `json:"lat"` // of the newest reading, else of the registered site
	Lon        []*float64     `json:"lon"`
	Measured   []*int64       `json:"measured_ms"`
	Received   []*int64       `json:"received_ms"`
	BatteryPct []*float64     `json:"battery_pct"`
}

// Track answers GET /devices/{id}/track: a Feature of GeoJSON.
type Track struct {
	Type       string          `json:"type"`
	Geometry   TrackGeometry   `json:"geometry"`
	Properties TrackProperties `json:"properties"`
}

// TrackGeometry is a MultiLineString. Where there was no fix for longer than
// gap_s a line ends: between two lines nobody knows where the device was.
type TrackGeometry struct {
	Type        string         `json:"type"`
	Coordinates [][][2]float64 `json:"coordinates"` // °, lon and lat
}

// TrackProperties tell of a Track.
type TrackProperties struct {
	Device      string        `json:"device"`
	From        time.Time     `json:"from"`
	To          time.Time     `json:"to"`
	Until       *time.Time    `json:"until"` // there were too many readings: ask again from here on
	Zoom        int           `json:"zoom"`
	ToleranceM  float64       `json:"tolerance_m"` // m on the ground that a fix left out may lie off the line
	GapS        float64       `json:"gap_s"`
	Readings    int           `json:"readings"` // that the track is made of
	Vertices    int           `json:"vertices"`
	Times       [][]int64     `json:"times_ms"` // measured, ms since 1970, beside the coordinates
	Marks       []TrackMark   `json:"marks"`    // every SOS and report, also without a place
	Glitches    []TrackGlitch `json:"glitches"` // the first 1000 fixes where nobody can have been; not drawn
	GlitchCount int           `json:"glitch_count"`
}

// TrackMark is an SOS or a report on a track.
type TrackMark struct {
	Class    string    `json:"class"`
	Measured time.Time `json:"measured"`
	Received time.Time `json:"received"`
	Lat      *float64  `json:"lat"`
	Lon      *float64  `json:"lon"`
	Code     string    `json:"code"`
	Text     string    `json:"text"`
}

// TrackGlitch is a fix that cannot be true: nobody moves at 150 m/s.
type TrackGlitch struct {
	At  time.Time `json:"at"`
	Lat float64   `json:"lat"`
	Lon float64   `json:"lon"`
}

// WindowList answers GET /devices/{id}/windows (?class= ?from= ?to= ?every=
// ?fields=), oldest first; windows without readings are not there.
type WindowList struct {
	EveryS float64  `json:"every_s"`
	Items  []Window `json:"items"`
}

// Window sums up what was measured in [at, at + every_s).
type Window struct {
	At    time.Time          `json:"at"`
	Count int                `json:"count"`
	Min   map[string]float64 `json:"min"`
	Mean  map[string]float64 `json:"mean"` // of rain_mm the sum, of a direction that of the mean vector; flags have none
	Max   map[string]float64 `json:"max"`
}
