// Package danger rates fire danger from weather: the Canadian Fire Weather Index
// (FWI) with its moisture codes, the Chinese fire-weather score HTZ after
// LY/T 1172-95 (an approximation: the standard's own text was not at hand), and
// the classes of EFFIS. Everything in it is a pure function of its arguments: a
// station's state goes in and comes out, and no clock, file or network is asked.
package danger

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Versions of the methods, stored beside each rating: figures of two versions are
// not to be compared day by day.
const (
	// FWIVersion is Van Wagner & Pickett 1985 with K = 250·59.5/101 and day lengths
	// by latitude.
	FWIVersion = "fwi-1985-k147.27723-1"
	// FWIBookVersion is the same with the book's constants: Options.BookConstants.
	FWIBookVersion = "fwi-1985-k147.2-1"
	// HTZVersion is the approximation of LY/T 1172-95.
	HTZVersion = "htz-lyt1172-95-approx-1"
)

// Version is the version that ratings made with these options carry.
func (o Options) Version() string {
	if o.BookConstants {
		return FWIBookVersion
	}
	return FWIVersion
}

// InputError refuses an input that cannot be.
type InputError struct {
	Field string // as columns are named: temp_c, rh_pct, rain_mm, …
	Value string
	Want  string
}

// Error names the field, what it held and what is wanted.
func (e *InputError) Error() string {
	return fmt.Sprintf("%s: %s; want %s", e.Field, e.Value, e.Want)
}

// What this planet has seen, with room: 56.7 and −89.2 °C, gusts of 408 km/h,
// 1,825 mm in a day.
const (
	minTempC, maxTempC = -90, 60
	maxWindKMH         = 500
	maxWindMS          = 140
	maxRainMM          = 2000
	maxWinterRainMM    = 20000
	// Codes beyond this would take decades without a drop of rain; up to it no
	// formula here overflows.
	maxCode = 100000
)

// A bound is what one field may hold; both ends belong to it.
type bound struct {
	field    string
	value    float64
	min, max float64
	optional bool // NaN means missing
}

func check(bounds ...bound) error {
	for _, b := range bounds {
		if b.optional && math.IsNaN(b.value) {
			continue
		}
		if !(b.value >= b.min && b.value <= b.max) { // false for NaN too
			return &InputError{
				Field: b.field, Value: number(b.value),
				Want: number(b.min) + " to " + number(b.max),
			}
		}
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func checkMonth(m time.Month) error {
	if m < time.January || m > time.December {
		return &InputError{Field: "month", Value: strconv.Itoa(int(m)), Want: "1 to 12"}
	}
	return nil
}
