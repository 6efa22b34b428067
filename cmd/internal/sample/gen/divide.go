package main

import (
	"cmp"
	"math"
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"
)

// divide parts the ring into n cells of about the same area: Voronoi cells of n
// points, moved to their cells' centroids a few times (Lloyd). The cells are in
// rows from north-west to south-east. Deterministic.
func divide(ring orb.Ring, n int) []orb.Ring {
	// Degrees of longitude are shorter than those of latitude here.
	scale := math.Cos(ring.Bound().Center().Lat() * math.Pi / 180)
	flat := make(orb.Ring, len(ring))
	for i, p := range ring {
		flat[i] = orb.Point{p[0] * scale, p[1]}
	}
	seeds := spread(flat, n)
	var cells []orb.Ring
	for range 60 {
		cells = cells[:0]
		for i := range seeds {
			cells = append(cells, cell(flat, seeds, i))
		}
		for i := range seeds {
			if c, area := planar.CentroidArea(cells[i]); area != 0 && planar.RingContains(flat, c) {
				seeds[i] = c
			}
		}
	}
	slices.SortFunc(cells, func(a, b orb.Ring) int {
		ca, cb := a.Bound().Center(), b.Bound().Center()
		return cmp.Or(cmp.Compare(math.Round(-ca[1]*8), math.Round(-cb[1]*8)), cmp.Compare(ca[0], cb[0]))
	})
	for _, c := range cells {
		for i := range c {
			c[i][0] /= scale
		}
	}
	return cells
}

// spread puts n points into the ring, on a grid that is made finer until it has
// enough of them.
func spread(ring orb.Ring, n int) []orb.Point {
	b := ring.Bound()
	for k := 2; ; k++ {
		var in []orb.Point
		for i := range k {
			for j := range k {
				p := orb.Point{
					b.Min[0] + (float64(i)+0.5)/float64(k)*(b.Max[0]-b.Min[0]),
					b.Min[1] + (float64(j)+0.5)/float64(k)*(b.Max[1]-b.Min[1]),
				}
				if planar.RingContains(ring, p) {
					in = append(in, p)
				}
			}
		}
		if len(in) < n {
			continue
		}
		out := make([]orb.Point, n)
		for i := range out {
			out[i] = in[i*len(in)/n]
		}
		return out
	}
}

// cell is what of the ring is nearer to seed i than to all others.
func cell(ring orb.Ring, seeds []orb.Point, i int) orb.Ring {
	out := ring
	for j := range seeds {
		if j != i {
			out = clip(out, seeds[i], seeds[j])
		}
	}
	return largestPiece(out)
}

// clip keeps the half of the ring that is nearer to a than to b
// (Sutherland–Hodgman).
func clip(ring orb.Ring, a, b orb.Point) orb.Ring {
	mid := orb.Point{(a[0] + b[0]) / 2, (a[1] + b[1]) / 2}
	dir := orb.Point{b[0] - a[0], b[1] - a[1]}
	side := func(p orb.Point) float64 { return (p[0]-mid[0])*dir[0] + (p[1]-mid[1])*dir[1] }
	var out orb.Ring
	for k := 1; k < len(ring); k++ {
		p, q := ring[k-1], ring[k]
		sp, sq := side(p), side(q)
		if sp <= 0 {
			out = append(out, p)
		}
		if sp < 0 && sq > 0 || sp > 0 && sq < 0 {
			t := sp / (sp - sq)
			out = append(out, orb.Point{p[0] + t*(q[0]-p[0]), p[1] + t*(q[1]-p[1])})
		}
	}
	if len(out) > 0 {
		out = append(out, out[0])
	}
	return out
}

// largestPiece cuts the ring where it touches itself, which clipping a ring that
// is not convex leaves behind, and keeps the largest piece.
func largestPiece(ring orb.Ring) orb.Ring {
	const near = 1e-9
	pieces := []orb.Ring{}
	work := []orb.Ring{ring}
	for len(work) > 0 {
		r := work[len(work)-1]
		work = work[:len(work)-1]
		if i, j, p, ok := touch(r, near); ok {
			// r[i] to r[i+1] passes through p = r[j]: cut there.
			inner := append(orb.Ring{p}, r[i+1:j+1]...)
			outer := append(append(append(orb.Ring{}, r[:i+1]...), p), r[j+1:]...)
			work = append(work, inner, outer)
			continue
		}
		pieces = append(pieces, r)
	}
	best := slices.MaxFunc(pieces, func(a, b orb.Ring) int { return cmp.Compare(math.Abs(planar.Area(a)), math.Abs(planar.Area(b))) })
	return best
}

// touch finds a vertex j that lies inside the earlier edge i, i+1.
func touch(r orb.Ring, near float64) (i, j int, p orb.Point, ok bool) {
	for i = 0; i+1 < len(r); i++ {
		a, b := r[i], r[i+1]
		length := math.Hypot(b[0]-a[0], b[1]-a[1])
		if length < near {
			continue
		}
		for j = i + 2; j < len(r)-1; j++ {
			p = r[j]
			t := ((p[0]-a[0])*(b[0]-a[0]) + (p[1]-a[1])*(b[1]-a[1])) / (length * length)
			off := math.Abs((p[0]-a[0])*(b[1]-a[1])-(p[1]-a[1])*(b[0]-a[0])) / length
			if t > near && t < 1-near && off < near {
				return i, j, p, true
			}
		}
	}
	return 0, 0, orb.Point{}, false
}
