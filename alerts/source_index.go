package alerts

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// sourceCell is a square of the grid in which sources are looked up: 0.02°, at
// Baoding 2.2 by 1.7 km.
type sourceCell struct{ lat, lon int }

const sourceCellDeg = 0.02

func sourceCellOf(lat, lon float64) sourceCell {
	return sourceCell{int(math.Floor(lat / sourceCellDeg)), int(math.Floor(lon / sourceCellDeg))}
}

// SourceIndex finds the sources near a place. It does not change; nil is one
// without sources.
type SourceIndex struct {
	version string
	cells   map[sourceCell][]Source
	widest  float64 // m, the greatest radius of any source
}

// IndexSources builds the index of a register.
func IndexSources(t SourceTable) *SourceIndex {
	x := &SourceIndex{version: t.Version, cells: make(map[sourceCell][]Source)}
	for _, s := range t.Sources {
		c := sourceCellOf(s.Lat, s.Lon)
		x.cells[c] = append(x.cells[c], s)
		x.widest = max(x.widest, s.RadiusM)
	}
	return x
}

// Version is that of the register, empty when there is none.
func (x *SourceIndex) Version() string {
	if x == nil {
		return ""
	}
	return x.version
}

// Near are the sources in force at the time whose points are at most km
// kilometres away, the nearest first. Km above 100 is 100.
func (x *SourceIndex) Near(lat, lon, km float64, at time.Time) []SourceNear {
	out := x.within(lat, lon, min(km, 100)*1000, at)
	slices.SortFunc(out, func(a, b SourceNear) int {
		return cmp.Or(cmp.Compare(a.DistanceM, b.DistanceM), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Explains implements Register: the sources in force at the time in whose
// radius, or at most SourceMargin outside it, the place lies; those that
// explain it best first.
func (x *SourceIndex) Explains(lat, lon float64, at time.Time) []SourceNear {
	if x == nil {
		return nil
	}
	out := slices.DeleteFunc(x.within(lat, lon, x.widest+SourceMargin, at), func(n SourceNear) bool {
		return n.DistanceM > n.RadiusM+SourceMargin
	})
	sortNear(out)
	return out
}

func (x *SourceIndex) within(lat, lon, m float64, at time.Time) []SourceNear {
	if x == nil || len(x.cells) == 0 || !(m >= 0) || !(math.Abs(lat) <= 90) || !(math.Abs(lon) <= 180) {
		return nil
	}
	const mPerDeg = 111_000 // a little less than any degree of latitude is wide, so that no cell is missed
	rows := m / mPerDeg
	cols := m / (mPerDeg * max(0.1, math.Cos((math.Abs(lat)+rows)*math.Pi/180)))
	from, to := sourceCellOf(lat-rows, lon-cols), sourceCellOf(lat+rows, lon+cols)
	var out []SourceNear
	for y := from.lat; y <= to.lat; y++ {
		for c := from.lon; c <= to.lon; c++ {
			for _, s := range x.cells[sourceCell{y, c}] {
				if d := metres(lat, lon, s.Lat, s.Lon); d <= m && s.InForce(at) {
					out = append(out, SourceNear{s, d})
				}
			}
		}
	}
	return out
}

// metres is the distance of two places on a sphere of the Earth's mean radius.
func metres(lat1, lon1, lat2, lon2 float64) float64 {
	const radius, rad = 6_371_008.8, math.Pi / 180
	a := math.Sin((lat2 - lat1) * rad / 2)
	b := math.Sin((lon2 - lon1) * rad / 2)
	h := a*a + math.Cos(lat1*rad)*math.Cos(lat2*rad)*b*b
	return 2 * radius * math.Asin(min(1, math.Sqrt(h)))
}
