package relay

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"firewatch/alerts"
	"firewatch/alerts/cap"
)

// Places finds the areas of one roster that a warning is for. It is never
// changed, so many may use it at once.
type Places struct {
	list   []alerts.Area // by code
	areas  alerts.Areas
	leaves []leaf         // those with none below them
	below  map[string]int // how many are directly below
}

type leaf struct {
	code    string
	point   orb.Point
	placed  bool             // the point is known
	outline orb.MultiPolygon // nil: not known
	bound   orb.Bound
}

// NewPlaces indexes the areas of a roster. An outline that cannot be read is as
// good as none: outlines are for show first.
func NewPlaces(list []alerts.Area) *Places {
	p := &Places{list: slices.Clone(list), areas: alerts.IndexAreas(list), below: map[string]int{}}
	slices.SortFunc(p.list, func(a, b alerts.Area) int { return cmp.Compare(a.Code, b.Code) })
	for _, x := range p.list {
		if _, known := p.areas[x.Parent]; known {
			p.below[x.Parent]++
		}
	}
	for _, x := range p.list {
		if p.below[x.Code] > 0 {
			continue
		}
		l := leaf{code: x.Code, point: orb.Point{x.Lon, x.Lat}, outline: outlineOf(x.Outline)}
		l.placed = l.point != orb.Point{}
		l.bound = l.outline.Bound()
		p.leaves = append(p.leaves, l)
	}
	return p
}

func outlineOf(raw json.RawMessage) orb.MultiPolygon {
	if len(raw) == 0 {
		return nil
	}
	g, err := geojson.UnmarshalGeometry(raw)
	if err != nil {
		return nil
	}
	var all orb.MultiPolygon
	switch shape := g.Geometry().(type) {
	case orb.Polygon:
		all = orb.MultiPolygon{shape}
	case orb.MultiPolygon:
		all = shape
	}
	return slices.DeleteFunc(all, func(p orb.Polygon) bool {
		return len(p) == 0 || slices.ContainsFunc(p, func(r orb.Ring) bool { return len(r) < 4 })
	})
}

// Of is the codes of the roster that a block is for: those that it gives, or that
// its name or at last its polygons and circles stand for; codes of somewhere
// else, or "" for a place that is not known here. Rather too many are warned than
// too few: a province's code stands for the prefecture, that of a township which
// the roster lacks for its county.
func (p *Places) Of(b cap.Block) (codes []string) {
	add := func(code string) {
		if !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	for _, code := range b.Codes {
		_, known := p.areas[code]
		switch {
		case known:
			add(code)
		case len(code) == 6 && strings.HasSuffix(code, "0000"):
			for _, top := range p.list {
				if top.Parent == "" && strings.HasPrefix(top.Code, code[:2]) {
					add(top.Code)
				}
			}
		case len(code) > 6 && p.areas[code[:6]].Code != "":
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
		if code := p.named(name); code != "" {
			add(code)
		}
	}
	if len(codes) == 0 {
		codes = p.covered(b.Polygons, b.Circles)
	}
	if len(codes) == 0 {
		return []string{""}
	}
	return codes
}

// named is the code of the one area with that name, alone or after the names of
// those above it.
func (p *Places) named(name string) (code string) {
	for _, x := range p.list {
		full := ""
		for _, up := range p.areas.Chain(x.Code) {
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

// covered is the codes of the areas that a polygon or circle meets: their outline
// where it is known, else their point. Only areas with none below them are asked;
// where all below an area are met, it stands for them.
func (p *Places) covered(polygons [][]cap.Point, circles []cap.Circle) []string {
	met := map[string]bool{}
	figures := make([]figure, 0, len(polygons)+len(circles))
	for _, polygon := range polygons {
		figures = append(figures, newRing(polygon))
	}
	for _, c := range circles {
		figures = append(figures, newDisc(c))
	}
	for _, f := range figures {
		for _, l := range p.leaves {
			switch {
			case met[l.code]:
			case len(l.outline) > 0:
				met[l.code] = f.meets(l.outline, l.bound)
			case l.placed:
				met[l.code] = f.holds(l.point)
			}
		}
	}
	return p.gathered(met)
}

// gathered puts an area in the place of those below it where all of them are
// in, and sorts by code.
func (p *Places) gathered(in map[string]bool) (codes []string) {
	for changed := true; changed; { // once for each level
		changed = false
		n := map[string]int{}
		for _, x := range p.list {
			if in[x.Code] {
				n[x.Parent]++
			}
		}
		for code, all := range p.below {
			if n[code] == all && !in[code] {
				in[code], changed = true, true
			}
		}
	}
	for _, x := range p.list {
		if in[x.Code] && !in[x.Parent] {
			codes = append(codes, x.Code)
		}
	}
	return codes
}
