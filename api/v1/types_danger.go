package v1

import (
	"encoding/json"
	"time"
)

// DangerDay is one area's fire danger on one local day: GET /danger (?date=,
// default today; ?area= and what lies below; ?method=), one item per area, and
// GET /danger/series (?area= ?from= ?to= ?method=), one per day that was rated.
type DangerDay struct {
	Area      string `json:"area"`
	AreaName  string `json:"area_name"`
	AreaLevel string `json:"area_level"` // city, county, township
	Date      string `json:"date"`
	// Level is 1 低度 to 5 极度危险; 0 says that none is known, which is not calm.
	Level       int             `json:"level"`
	LevelName   string          `json:"level_name"`  // 中文
	Method      string          `json:"method"`      // htz, fwi
	Version     string          `json:"version"`     // of the method; empty: not rated
	Value       *float64        `json:"value"`       // the score that the level stands for; null: unknown
	DryDays     *int            `json:"dry_days"`    // whole days since rain of 0.3 mm or more; null: unknown
	Degraded    bool            `json:"degraded"`    // held, from fewer stations than there should be, or not rated
	HeldFrom    *string         `json:"held_from"`   // the day whose level this is; null: the day itself
	Provisional bool            `json:"provisional"` // the day is not over: its last 24 hours stand for it
	Stations    []DangerStation `json:"stations"`    // that the level was taken from, the heaviest first
	Note        string          `json:"note"`        // 中文
	Rated       *time.Time      `json:"rated"`       // when; null: not rated
}

// DangerStation is a station's share in an area's level.
type DangerStation struct {
	Station string  `json:"station"`
	KM      float64 `json:"km"`     // from the area's point
	Weight  float64 `json:"weight"` // 0..1, all together 1
	Value   float64 `json:"value"`
	Level   int     `json:"level"`
}

// StationDanger is what one weather station measured on one local day and was
// rated: GET /danger/stations/{id} (?from= ?to= ?method=).
type StationDanger struct {
	Station     string          `json:"station"`
	Date        string          `json:"date"`
	Method      string          `json:"method"`
	Version     string          `json:"version"`
	Level       int             `json:"level"` // 0: not rated
	LevelName   string          `json:"level_name"`
	Inputs      json.RawMessage `json:"inputs"` // with units in their names; null where missing
	Result      json.RawMessage `json:"result"` // codes or score, and what the next day goes on from; null: not rated
	Chain       string          `json:"chain"`  // start, next, bridged, restarted; empty: not rated
	Provisional bool            `json:"provisional"`
	Note        string          `json:"note"` // 中文: what lacks, was bridged, or began anew
	Rated       time.Time       `json:"rated"`
}
