package alerts

import (
	"context"
	"time"
)

// Hotspot is one fire pixel that satellites saw, merged over the satellites that
// saw it.
type Hotspot struct {
	ID         string // the same for the same pixel imported again
	Lat, Lon   float64
	Area       string // township code; empty: outside
	Seen       time.Time
	Satellites []string // as FIRMS names them
	Instrument string   // MODIS, VIIRS
	Confidence string   // low, nominal, high
	Percent    int      // 0..100 where the source says so; -1: it does not
	FRP        float64  // MW, of the strongest; 0: unknown
	Pixels     int      // rows that were merged
	Masked     string   // id of the static heat source that explains it; empty: none
	Imported   time.Time
	Judged     time.Time // zero: the engine has not seen it
	Alert      string    // id of the alert it caused; empty: none
}

// HotspotStore keeps hotspots.
type HotspotStore interface {
	// SaveHotspots adds those that are new, and returns how many those were; one
	// that is there already only gains satellites and pixels.
	SaveHotspots(ctx context.Context, hs []Hotspot, evs []Event) (added int, err error)
	// UnjudgedHotspots are those that the engine has not seen, oldest first.
	UnjudgedHotspots(ctx context.Context, limit int) ([]Hotspot, error)
	// Hotspots are those seen in [from, to), newest first.
	Hotspots(ctx context.Context, from, to time.Time, limit int) ([]Hotspot, error)
}
