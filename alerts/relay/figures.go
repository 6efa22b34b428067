package relay

import (
	"math"
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
	"github.com/paulmach/orb/planar"

	"firewatch/alerts/cap"
)

// A figure is a polygon or a circle of a warning.
type figure interface {
	holds(p orb.Point) bool
	meets(outline orb.MultiPolygon, bound orb.Bound) bool
}

// ring is a closed polygon. Over the size of a prefecture degrees are taken for a
// plane.
type ring struct {
	line  orb.Ring
	bound orb.Bound
}

func newRing(points []cap.Point) ring {
	r := ring{line: make(orb.Ring, len(points))}
	for i, p := range points {
		r.line[i] = orb.Point{p.Lon, p.Lat}
	}
	r.bound = r.line.Bound()
	return r
}

func (r ring) holds(p orb.Point) bool { return r.bound.Contains(p) && planar.RingContains(r.line, p) }

func (r ring) meets(outline orb.MultiPolygon, bound orb.Bound) bool {
	if !r.bound.Intersects(bound) {
		return false
	}
	for _, polygon := range outline {
		if r.holds(polygon[0][0]) || slices.ContainsFunc(r.line[:1], func(p orb.Point) bool { return planar.PolygonContains(polygon, p) }) {
			return true
		}
		for _, edge := range polygon {
			if crosses(r.line, edge) {
				return true
			}
		}
	}
	return false
}

// crosses reports whether two closed lines have a point in common.
func crosses(a, b orb.Ring) bool {
	around := b.Bound()
	for i := 1; i < len(a); i++ {
		box := boxOf(a[i-1], a[i])
		if !box.Intersects(around) {
			continue
		}
		for j := 1; j < len(b); j++ {
			if box.Intersects(boxOf(b[j-1], b[j])) && segmentsCross(a[i-1], a[i], b[j-1], b[j]) {
				return true
			}
		}
	}
	return false
}

func boxOf(a, b orb.Point) orb.Bound {
	return orb.Bound{
		Min: orb.Point{min(a[0], b[0]), min(a[1], b[1])}, Max: orb.Point{max(a[0], b[0]), max(a[1], b[1])},
	}
}

func segmentsCross(a, b, c, d orb.Point) bool {
	side := func(p, q, r orb.Point) float64 { return (q[0]-p[0])*(r[1]-p[1]) - (q[1]-p[1])*(r[0]-p[0]) }
	ab1, ab2 := side(a, b, c), side(a, b, d)
	cd1, cd2 := side(c, d, a), side(c, d, b)
	return ab1*ab2 <= 0 && cd1*cd2 <= 0 // their boxes meet: parallel ones lie on each other, or touch
}

// disc is a circle on the Earth.
type disc struct {
	centre orb.Point
	radius float64 // m
}

func newDisc(c cap.Circle) disc {
	return disc{orb.Point{c.Centre.Lon, c.Centre.Lat}, c.RadiusKM * 1000}
}

func (d disc) holds(p orb.Point) bool { return geo.DistanceHaversine(d.centre, p) <= d.radius }

func (d disc) meets(outline orb.MultiPolygon, bound orb.Bound) bool {
	const metresPerDegree = 111_000 // of latitude, a little less than anywhere
	dLat := d.radius / metresPerDegree
	dLon := dLat / max(0.01, math.Cos((math.Abs(d.centre[1])+min(dLat, 1))*math.Pi/180))
	around := orb.Bound{Min: orb.Point{d.centre[0] - dLon, d.centre[1] - dLat}, Max: orb.Point{d.centre[0] + dLon, d.centre[1] + dLat}}
	if !around.Intersects(bound) {
		return false
	}
	for _, polygon := range outline {
		if planar.PolygonContains(polygon, d.centre) {
			return true
		}
		for _, line := range polygon {
			for i := 1; i < len(line); i++ {
				if d.holds(d.nearest(line[i-1], line[i])) {
					return true
				}
			}
		}
	}
	return false
}

// nearest is the point of a segment that is nearest to the centre, on a plane that
// touches the Earth there.
func (d disc) nearest(a, b orb.Point) orb.Point {
	shrink := math.Cos(d.centre[1] * math.Pi / 180)
	ax, ay := (a[0]-d.centre[0])*shrink, a[1]-d.centre[1]
	bx, by := (b[0]-d.centre[0])*shrink, b[1]-d.centre[1]
	length := (bx-ax)*(bx-ax) + (by-ay)*(by-ay)
	if length == 0 {
		return a
	}
	t := min(1, max(0, -(ax*(bx-ax)+ay*(by-ay))/length))
	return orb.Point{a[0] + t*(b[0]-a[0]), a[1] + t*(b[1]-a[1])}
}
