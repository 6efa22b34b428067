package alerts

import (
	"math"
	"slices"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"
)

// Townships finds the township of a place.
type Townships struct {
	outlined []outlined
	points   []Area // townships without an outline
}

type outlined struct {
	code  string
	bound orb.Bound
	shape orb.MultiPolygon
}

// withoutOutlineKM is how far from its point a township without an outline may
// still hold a place. Townships of the hills are some 10 km across.
const withoutOutlineKM = 15

// NewTownships indexes the townships of a roster. One whose outline cannot be
// read counts as one without.
func NewTownships(areas Areas) *Townships {
	t := &Townships{}
	for _, a := range areas {
		if a.Level != Township {
			continue
		}
		if shape, ok := readOutline(a.Outline); ok {
			t.outlined = append(t.outlined, outlined{a.Code, shape.Bound(), shape})
		} else if a.Lat != 0 || a.Lon != 0 {
			t.points = append(t.points, a)
		}
	}
	slices.SortFunc(t.outlined, func(a, b outlined) int { return strings.Compare(a.code, b.code) })
	slices.SortFunc(t.points, func(a, b Area) int { return strings.Compare(a.Code, b.Code) })
	return t
}

func readOutline(raw []byte) (orb.MultiPolygon, bool) {
	if len(raw) == 0 {
		return nil, false
	}
	g, err := geojson.UnmarshalGeometry(raw)
	if err != nil {
		return nil, false
	}
	var shape orb.MultiPolygon
	switch s := g.Geometry().(type) {
	case orb.Polygon:
		shape = orb.MultiPolygon{s}
	case orb.MultiPolygon:
		shape = s
	}
	shape = slices.DeleteFunc(shape, func(p orb.Polygon) bool { return len(p) == 0 })
	return shape, len(shape) > 0
}

// At is the code of the township in whose outline the place, in degrees of
// WGS-84, lies; else that of the nearest township without an outline within 15
// km, for an unknown border is not a reason to hold an alarm back; else empty.
func (t *Townships) At(lat, lon float64) string {
	p := orb.Point{lon, lat}
	for i := range t.outlined {
		if o := &t.outlined[i]; o.bound.Contains(p) && planar.MultiPolygonContains(o.shape, p) {
			return o.code
		}
	}
	best, bestKM := "", math.Inf(1)
	for _, a := range t.points {
		if km := geo.DistanceHaversine(p, orb.Point{a.Lon, a.Lat}) / 1000; km <= withoutOutlineKM && km < bestKM {
			best, bestKM = a.Code, km
		}
	}
	return best
}
