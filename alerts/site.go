package alerts

import (
	"errors"
	"fmt"
)

// ErrSwapped is the fault of a place that lies in China once lat and lon change
// seats.
var ErrSwapped = errors.New("are swapped: lat is degrees north, lon degrees east")

// CheckPlace reports why a place, in degrees of WGS-84, cannot be in China, or
// nil. The box is that of the country with its seas: 3 to 54 north, 73 to 136
// east.
func CheckPlace(lat, lon float64) error {
	switch {
	case inChina(lat, lon):
		return nil
	case inChina(lon, lat):
		return fmt.Errorf("%v, %v %w", lat, lon, ErrSwapped)
	}
	return fmt.Errorf("%v, %v is not in China; want degrees of WGS-84 as decimals", lat, lon)
}

func inChina(lat, lon float64) bool { return lat >= 3 && lat <= 54 && lon >= 73 && lon <= 136 }
