package alerts

import (
	"context"
	"encoding/json"
	"time"

	contract "firewatch/firmware-contracts"
)

// DangerLevel is a fire-danger level (火险等级): 1 低度, 2 中度, 3 较高, 4 高度,
// 5 极度危险. 0 says that none is known, which is not calm.
type DangerLevel uint8

// DangerUnknown is the level of an area of which nothing is known.
const DangerUnknown DangerLevel = 0

// The methods of rating; see package danger. Both are kept of each day, and a
// setting says whose level counts.
const (
	DangerFWI = "fwi" // by the noon of the day
	DangerHTZ = "htz" // by the whole day, the approximation of LY/T 1172-95
)

// DangerMethods lists every method.
var DangerMethods = []string{DangerHTZ, DangerFWI}

var dangerNames = [...]string{"不明", "低度危险", "中度危险", "较高危险", "高度危险", "极度危险"}

// Chinese is the level's name on screen.
func (l DangerLevel) Chinese() string {
	if int(l) < len(dangerNames) {
		return dangerNames[l]
	}
	return dangerNames[0]
}

// StationDay is what one weather station measured on one local day, and what was
// rated from it. It carries the codes that the next day goes on from.
type StationDay struct {
	Station contract.DeviceID
	Day     string // local day, YYYY-MM-DD
	Method  string // "fwi" or "htz"
	Version string // of the method
	Inputs  json.RawMessage
	Result  json.RawMessage // codes, score, level: as package danger has them
	Level   DangerLevel     // 0: not rated
	// Chain says how the day hangs on the one before: "start", "next", "bridged"
	// (a gap was filled in) or "restarted" (a gap was too long).
	Chain string
	Note  string // 中文: what is missing, bridged or restarted; empty: nothing
	// Provisional says that the day is not over: its last 24 hours stand for it.
	Provisional bool
	At          time.Time // when it was rated
}

// AreaDanger is one area's fire danger on one local day.
type AreaDanger struct {
	Area     string
	Day      string // local day, YYYY-MM-DD
	Level    DangerLevel
	Method   string
	Version  string
	Degraded bool            // held from an earlier day, or taken from fewer stations than there should be
	HeldFrom string          // the day that the level is held from; empty: of this day
	DryDays  int             // whole days since rain of 0.3 mm or more; -1: unknown
	Value    float64         // the score that the level stands for: HTZ's or FWI's; 0 when the level is unknown
	Stations []StationWeight // that it was taken from, the heaviest first
	Note     string          // 中文 reason
	// Provisional says that the day is not over: its last 24 hours stand for it.
	Provisional bool
	At          time.Time // when it was rated
}

// StationWeight is a station's share in an area's level.
type StationWeight struct {
	Station contract.DeviceID `json:"station"`
	KM      float64           `json:"km"`
	Weight  float64           `json:"weight"` // 0..1, all together 1
	Value   float64           `json:"value"`
	Level   DangerLevel       `json:"level"`
}

// DangerStore keeps the fire danger of each day. Rows are replaced by station,
// method and day, or by area, method and day.
type DangerStore interface {
	SaveDanger(ctx context.Context, stations []StationDay, areas []AreaDanger, evs []Event) error
	// StationDays are those of one station, of all methods, by day, station and
	// method rising; both days are included. An empty station means all.
	StationDays(ctx context.Context, station contract.DeviceID, from, to string) ([]StationDay, error)
	// AreaDangers are of all methods, by day, area and method rising; both days
	// are included. An empty area means all.
	AreaDangers(ctx context.Context, area, from, to string) ([]AreaDanger, error)
}
