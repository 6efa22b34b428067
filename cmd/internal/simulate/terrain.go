package simulate

import "math"

// metersPerDegree of latitude, near enough for a walk.
const metersPerDegree = 111_320.0

// height is a made-up terrain in m, the same for everybody: hills of a few km
// with valleys between them. x and y are m east and north.
func height(x, y float64) float64 {
	return 420 + 420*noise(x/2600, y/2600) + 160*noise(x/900+31, y/900-17) + 45*noise(x/310-7, y/310+53)
}

// slope is the gradient of height, m/m.
func slope(x, y float64) (gx, gy float64) {
	const d = 30.0
	return (height(x+d, y) - height(x-d, y)) / (2 * d), (height(x, y+d) - height(x, y-d)) / (2 * d)
}

// noise is smooth value noise in -1..1.
func noise(x, y float64) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	fx, fy := smooth(x-x0), smooth(y-y0)
	i, j := int64(x0), int64(y0)
	top := mix(lattice(i, j), lattice(i+1, j), fx)
	bottom := mix(lattice(i, j+1), lattice(i+1, j+1), fx)
	return mix(top, bottom, fy)
}

func smooth(t float64) float64    { return t * t * (3 - 2*t) }
func mix(a, b, t float64) float64 { return a + (b-a)*t }

// lattice is a fixed pseudo-random number in -1..1 for each grid point.
func lattice(i, j int64) float64 {
	h := uint64(i)*0x9e3779b97f4a7c15 ^ uint64(j)*0xc2b2ae3d27d4eb4f //nolint:gosec // a hash
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 32
	return float64(h>>11)/(1<<52) - 1
}

// meters places degrees on the plane of height.
func meters(lat, lon float64) (x, y float64) {
	return lon * metersPerDegree * math.Cos(39.3*math.Pi/180), lat * metersPerDegree
}

// distance between two places, m.
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	mid := (lat1 + lat2) / 2 * math.Pi / 180
	return math.Hypot((lat1-lat2)*metersPerDegree, (lon1-lon2)*metersPerDegree*math.Cos(mid))
}
