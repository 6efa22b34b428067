package v1

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"firewatch/alerts"
	"firewatch/alerts/cap"
)

// warned is the codes of the roster that a block is for: those that it gives, or
// that its name or at last its polygons and circles stand for; codes of somewhere
// else, or "" for a place that is not known here. Rather too many are warned than
// too few: a province's code stands for the prefecture, that of a township which
// the roster lacks for its county.
func warned(r *roster, b cap.Block) (codes []string) {
	add := func(code string) {
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	for _, code := range b.Codes {
		_, known := r.areas[code]
		switch {
		case known:
			add(code)
		case len(code) == 6 && strings.HasSuffix(code, "0000"):
			for _, top := range r.list {
				if top.Parent == "" && strings.HasPrefix(top.Code, code[:2]) {
					add(top.Code)
				}
			}
		case len(code) > 6 && r.areas[code[:6]].Code != "":
			add(code[:6])
		}
	}
	if len(codes) > 0 {
		return codes
	}
	if len(b.Codes) > 0 { // of somewhere else
		return b.Codes
	}
	for name := range strings.FieldsFuncSeq(b.AreaDesc, func(r rune) bool { return strings.ContainsRune("、，,；; ", r) }) {
		if code := r.named(name); code != "" {
			add(code)
		}
	}
	if len(codes) == 0 {
		codes = r.covered(b.Polygons, b.Circles)
	}
	if len(codes) == 0 {
		return []string{""}
	}
	return codes
}

// named is the code of the one area with that name, alone or after the names of
// those above it.
func (r *roster) named(name string) (code string) {
	for _, x := range r.list {
		full := ""
		for _, up := range r.areas.Chain(x.Code) {
			full = up.Name + full
			if full != name {
				continue
			}
			if code != "" && code != x.Code {
				return ""
			}
			code = x.Code
		}
	}
	return code
}

// covered is the codes of the areas whose point lies in one of the polygons or
// circles. Only areas with none below them are asked; where all below an area are
// inside, it stands for them. A figure too small to hold any point is for the
// areas in whose outline a corner or the centre of it lies.
func (r *roster) covered(polygons [][]cap.Point, circles []cap.Circle) []string {
	if len(polygons)+len(circles) == 0 {
		return nil
	}
	below := map[string]int{} // areas directly below
	for _, x := range r.list {
		if _, known := r.areas[x.Parent]; known {
			below[x.Parent]++
		}
	}
	leaves := slices.DeleteFunc(slices.Clone(r.list), func(x alerts.Area) bool { return below[x.Code] > 0 })
	inside := map[string]bool{}
	var small []orb.Point // corners and centres of figures that hold no area's point
	mark := func(holds func(orb.Point) bool, corners ...orb.Point) {
		found := false
		for _, x := range leaves {
			if p := (orb.Point{x.Lon, x.Lat}); p != (orb.Point{}) && holds(p) {
				inside[x.Code], found = true, true
			}
		}
		if !found {
			small = append(small, corners...)
		}
	}
	for _, polygon := range polygons {
		ring := make(orb.Ring, len(polygon))
		for i, p := range polygon {
			ring[i] = orb.Point{p.Lon, p.Lat}
		}
		bound := ring.Bound()
		mark(func(p orb.Point) bool { return bound.Contains(p) && planar.RingContains(ring, p) }, ring...)
	}
	for _, c := range circles {
		centre := orb.Point{c.Centre.Lon, c.Centre.Lat}
		mark(func(p orb.Point) bool { return geo.DistanceHaversine(centre, p) <= c.RadiusKM*1000 }, centre)
	}
	if len(small) > 0 {
		for _, x := range leaves {
			if !inside[x.Code] && outlineHolds(x.Outline, small) {
				inside[x.Code] = true
			}
		}
	}
	return r.gathered(inside, below)
}

// gathered puts an area in the place of those below it where all of them are
// inside, and sorts by code.
func (r *roster) gathered(inside map[string]bool, below map[string]int) (codes []string) {
	for changed := true; changed; { // once for each level
		changed = false
		n := map[string]int{}
		for _, x := range r.list {
			if inside[x.Code] {
				n[x.Parent]++
			}
		}
		for code, all := range below {
			if n[code] == all && !inside[code] {
				inside[code], changed = true, true
			}
		}
	}
	for _, x := range r.list {
		if inside[x.Code] && !inside[x.Parent] {
			codes = append(codes, x.Code)
		}
	}
	return codes
}

// outlineHolds reports whether one of the points lies in the outline. Where no
// outline is known none does.
func outlineHolds(outline json.RawMessage, points []orb.Point) bool {
	if len(outline) == 0 {
		return false
	}
	g, err := geojson.UnmarshalGeometry(outline)
	if err != nil { // an outline is for show: a bad one holds nothing
		return false
	}
	var all orb.MultiPolygon
	switch shape := g.Geometry().(type) {
	case orb.Polygon:
		all = orb.MultiPolygon{shape}
	case orb.MultiPolygon:
		all = shape
	}
	for _, polygon := range all {
		if len(polygon) == 0 || slices.ContainsFunc(polygon, func(r orb.Ring) bool { return len(r) == 0 }) {
			continue
		}
		bound := polygon.Bound()
		if slices.ContainsFunc(points, func(p orb.Point) bool { return bound.Contains(p) && planar.PolygonContains(polygon, p) }) {
			return true
		}
	}
	return false
}
