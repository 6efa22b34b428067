package roster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"firewatch/alerts"
)

var areaColumns = []column{
	{"code", []string{"区划代码", "代码", "行政区划代码", "编码"}, true},
	{"name", []string{"名称", "区域名称"}, true},
	{"level", []string{"级别", "层级"}, true},
	{"parent", []string{"上级代码", "上级", "上级区划代码"}, true},
	{"lat", []string{"纬度"}, true},
	{"lon", []string{"经度", "lng"}, true},
	{"demo", []string{"演示"}, false},
}

// readAreas reads the areas; the map is nil when there is nothing to check
// against.
func readAreas(fsys fs.FS, f *faults) (areas []alerts.Area, demo bool, by map[string]placed) {
	_, errJSON := fs.Stat(fsys, areasJSON)
	_, errCSV := fs.Stat(fsys, areasCSV)
	var list []placed
	switch {
	case errJSON == nil && errCSV == nil:
		f.add(areasCSV, "stands beside %s; keep one of the two", areasJSON)
		return nil, false, nil
	case errJSON == nil:
		list, demo = readFeatures(fsys, f)
	case errCSV == nil:
		list, demo = readAreaTable(readCSV(fsys, areasCSV, areaColumns, f))
	default:
		f.add(areasJSON, "is missing in the folder, and so is %s", areasCSV)
		return nil, false, nil
	}
	areas, by = checkAreas(list, f)
	return areas, demo, by
}

func checkAreas(list []placed, f *faults) (areas []alerts.Area, by map[string]placed) {
	if list == nil {
		return nil, nil
	}
	by = make(map[string]placed, len(list))
	for _, p := range list {
		checkArea(p, f)
		if before, twice := by[p.area.Code]; twice && p.area.Code != "" {
			f.add(p.where, "code %s stands already in %s", p.area.Code, before.where)
			continue
		}
		by[p.area.Code] = p
		areas = append(areas, p.area)
	}
	for _, p := range list {
		checkParent(p, by, f)
	}
	return areas, by
}

var levels = []alerts.AreaLevel{alerts.City, alerts.County, alerts.Township}

func checkArea(p placed, f *faults) {
	a := p.area
	if a.Name == "" {
		f.add(p.where, "name: is empty")
	}
	digits := 6
	if a.Level == alerts.Township {
		digits = 9
	}
	switch {
	case !slices.Contains(levels, a.Level):
		f.add(p.where, "level: %q; want city, county or township", a.Level)
	case len(a.Code) != digits || !isDigits(a.Code):
		f.add(p.where, "code: %q; a %s has a code of %d digits", a.Code, a.Level, digits)
	}
}

func checkParent(p placed, by map[string]placed, f *faults) {
	level := slices.Index(levels, p.area.Level)
	if level < 0 {
		return
	}
	if p.area.Parent == "" {
		if level > 0 {
			f.add(p.where, "parent: is empty; a %s lies in a %s", p.area.Level, levels[level-1])
		}
		return
	}
	up, known := by[p.area.Parent]
	switch {
	case !known:
		f.add(p.where, "parent: no area has the code %q", p.area.Parent)
	case slices.Index(levels, up.area.Level) >= level:
		f.add(p.where, "parent: %s is a %s and cannot hold a %s", up.area.Code, up.area.Level, p.area.Level)
	}
}

// level reads a level in English or Chinese.
func level(s string) alerts.AreaLevel {
	switch s = strings.ToLower(strings.TrimSpace(s)); s {
	case "市", "地级市", "设区市":
		return alerts.City
	case "县", "区", "县级", "区县", "县（市、区）":
		return alerts.County
	case "乡", "镇", "乡镇", "街道", "乡镇（街道）":
		return alerts.Township
	default:
		return alerts.AreaLevel(s)
	}
}

func readAreaTable(t *table) (list []placed, demo bool) {
	if t == nil {
		return nil, false
	}
	list = []placed{}
	for _, r := range t.rows {
		a := alerts.Area{Code: r.code("code"), Name: r.must("name"), Level: level(r.text("level")), Parent: r.code("parent")}
		var has bool
		if a.Lat, a.Lon, has = r.degrees(); !has {
			r.fail("lat, lon", "are empty")
		} else {
			r.checkPlace(a.Lat, a.Lon)
		}
		demo = r.truth("demo", false) || demo
		list = append(list, placed{a, r.where})
	}
	return list, demo
}

type feature struct {
	Type       string          `json:"type"`
	Properties properties      `json:"properties"`
	Geometry   json.RawMessage `json:"geometry"`
}

type properties struct {
	Code     string           `json:"code"`
	Name     string           `json:"name"`
	Level    alerts.AreaLevel `json:"level"`
	Parent   string           `json:"parent"`
	Lat      *float64         `json:"lat,omitempty"`
	Lon      *float64         `json:"lon,omitempty"`
	Surveyed *bool            `json:"surveyed,omitempty"`
}

func readFeatures(fsys fs.FS, f *faults) (list []placed, demo bool) {
	raw, err := readFile(fsys, areasJSON)
	if err != nil {
		f.add(areasJSON, "%w", err)
		return nil, false
	}
	var doc struct {
		Type     string            `json:"type"`
		Demo     bool              `json:"demo"`
		Features []json.RawMessage `json:"features"`
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if err := json.Unmarshal(raw, &doc); err != nil {
		f.add(areasJSON+lineOf(raw, err), "is not GeoJSON: %w", err)
		return nil, false
	}
	if doc.Type != "FeatureCollection" {
		f.add(areasJSON, "type is %q; want a FeatureCollection", doc.Type)
		return nil, false
	}
	list = []placed{}
	for i, raw := range doc.Features {
		where := fmt.Sprintf("%s: feature %d", areasJSON, i+1)
		var x feature
		if err := json.Unmarshal(raw, &x); err != nil {
			f.add(where, "%w", err)
			continue
		}
		if x.Properties.Code != "" {
			where += " (" + x.Properties.Code + ")"
		}
		list = append(list, placed{x.area(where, f), where})
	}
	return list, doc.Demo
}

// lineOf is the line of a JSON error, ":12", or nothing.
func lineOf(raw []byte, err error) string {
	var at int64
	switch e := err.(type) { //nolint:errorlint // encoding/json does not wrap these
	case *json.SyntaxError:
		at = e.Offset
	case *json.UnmarshalTypeError:
		at = e.Offset
	default:
		return ""
	}
	at = max(0, min(at, int64(len(raw))))
	return fmt.Sprintf(":%d", 1+bytes.Count(raw[:at], []byte("\n")))
}

func (x *feature) area(where string, f *faults) alerts.Area {
	p := &x.Properties
	a := alerts.Area{
		Code: strings.TrimSpace(p.Code), Name: strings.TrimSpace(p.Name), Level: level(string(p.Level)), Parent: strings.TrimSpace(p.Parent),
		Surveyed: p.Surveyed == nil || *p.Surveyed,
	}
	var middle orb.Point
	has := false
	if len(x.Geometry) > 0 && string(x.Geometry) != "null" {
		middle, has = outline(x.Geometry, where, f)
		var compact bytes.Buffer
		if json.Compact(&compact, x.Geometry) == nil {
			a.Outline = compact.Bytes()
		}
	} else if p.Surveyed == nil {
		a.Surveyed = false
	}
	switch {
	case p.Lat != nil && p.Lon != nil:
		a.Lat, a.Lon = *p.Lat, *p.Lon
		if err := alerts.CheckPlace(a.Lat, a.Lon); err != nil {
			f.add(where, "lat, lon: %w", err)
		}
	case p.Lat != nil || p.Lon != nil:
		f.add(where, "lat, lon: only one of the two is given")
	case has:
		a.Lat, a.Lon = middle.Lat(), middle.Lon()
	case len(a.Outline) == 0:
		f.add(where, "has neither lat and lon nor a geometry")
	}
	return a
}

// outline checks a polygon and returns its middle.
func outline(raw json.RawMessage, where string, f *faults) (orb.Point, bool) {
	g, err := geojson.UnmarshalGeometry(raw)
	if err != nil {
		f.add(where, "geometry: %w", err)
		return orb.Point{}, false
	}
	var polygons orb.MultiPolygon
	switch g := g.Geometry().(type) {
	case orb.Polygon:
		polygons = orb.MultiPolygon{g}
	case orb.MultiPolygon:
		polygons = g
	default:
		f.add(where, "geometry: is a %s; want a Polygon or MultiPolygon", g.GeoJSONType())
		return orb.Point{}, false
	}
	if len(polygons) == 0 {
		f.add(where, "geometry: is empty")
		return orb.Point{}, false
	}
	for _, p := range polygons {
		if len(p) == 0 {
			f.add(where, "geometry: has a polygon without a ring")
			return orb.Point{}, false
		}
		for _, ring := range p {
			if len(ring) < 4 || ring[0] != ring[len(ring)-1] {
				f.add(where, "geometry: a ring is not closed; it needs four points at least, the last being the first")
				return orb.Point{}, false
			}
			for _, q := range ring {
				if err := alerts.CheckPlace(q.Lat(), q.Lon()); err != nil {
					f.add(where, "geometry: %w (GeoJSON puts the longitude first)", err)
					return orb.Point{}, false
				}
			}
		}
	}
	middle, _ := planar.CentroidArea(polygons)
	return middle, !math.IsNaN(middle[0]) && !math.IsNaN(middle[1])
}
