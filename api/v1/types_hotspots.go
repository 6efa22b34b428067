package v1

import "time"

// Hotspot is a fire that satellites saw.
type Hotspot struct {
	ID         string         `json:"id"`
	Lat        float64        `json:"lat"` // WGS-84 degrees, of the finest pixel
	Lon        float64        `json:"lon"`
	SizeKM     float64        `json:"size_km"` // how wide that pixel is
	Area       string         `json:"area"`    // township; empty: outside
	AreaName   string         `json:"area_name"`
	Seen       time.Time      `json:"seen"` // first pass
	Last       time.Time      `json:"last"` // latest pass
	Satellites []string       `json:"satellites"`
	Instrument string         `json:"instrument"` // MODIS, VIIRS, MODIS+VIIRS
	Confidence string         `json:"confidence"` // low, nominal, high
	Percent    *int           `json:"percent"`    // 0..100; null: a class only
	FRPMW      *float64       `json:"frp_mw"`     // of the strongest pixel; null: unknown
	Pixels     int            `json:"pixels"`
	Members    []HotspotPixel `json:"members"` // the first hundred, by time
	Masked     string         `json:"masked"`  // the registered source that explains it, or firms: the file says so; empty: none
	Imported   time.Time      `json:"imported"`
	Judged     *time.Time     `json:"judged"` // null: not yet
	Alert      string         `json:"alert"`  // empty: it raised none
}

// HotspotPixel is one pixel of a satellite.
type HotspotPixel struct {
	Satellite  string    `json:"satellite"`
	Instrument string    `json:"instrument"`
	Lat        float64   `json:"lat"`
	Lon        float64   `json:"lon"`
	Seen       time.Time `json:"seen"`
	Confidence string    `json:"confidence"`
	FRPMW      *float64  `json:"frp_mw"`
	SizeKM     float64   `json:"size_km"`
}

// HotspotReport answers POST /hotspots: what the file changes, or would.
type HotspotReport struct {
	DryRun  bool           `json:"dry_run"`
	Rows    int            `json:"rows"`    // that were taken
	Again   int            `json:"again"`   // of them, pixels that were there or came twice
	Merged  int            `json:"merged"`  // pixels of the hotspots beyond the first of each
	New     int            `json:"new"`     // hotspots
	Grown   int            `json:"grown"`   // have more pixels, or another mask or township
	Known   int            `json:"known"`   // stay as they were
	Masked  int            `json:"masked"`  // of all these, by a static source
	Outside int            `json:"outside"` // of all these, in no township
	Bad     int            `json:"bad"`     // values that cannot be taken
	Errors  []HotspotFault `json:"errors"`  // the first fifty of them; without skip_bad or dry_run nothing is imported while there is one
}

// HotspotFault is what is wrong with a value, or a line.
type HotspotFault struct {
	Line    int    `json:"line"` // from 1, the header included
	Column  string `json:"column"`
	Message string `json:"message"`
}
