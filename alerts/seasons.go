package alerts

import (
	"errors"
	"time"
)

// ParseSeasons reads a season table and checks it as a whole.
func ParseSeasons(data []byte) (SeasonTable, error) {
	return SeasonTable{}, errors.New("parsing seasons: not written yet")
}

// KindsOn is the kinds of season, rising, that the area is in on the local day.
func (t SeasonTable) KindsOn(areas Areas, area string, day time.Time) []SeasonKind { return nil }
