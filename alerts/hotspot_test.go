package alerts

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
	"pgregory.net/rapid"
)

var skyNoon = time.Date(2026, 3, 14, 4, 4, 0, 0, time.UTC)

func viirsPixel(satellite string, minutes int, lat, lon float64) Pixel {
	return Pixel{
		Satellite: satellite, Instrument: "VIIRS", Lat: lat, Lon: lon, Seen: skyNoon.Add(time.Duration(minutes) * time.Minute),
		Confidence: ConfidenceNominal, Percent: -1, FRP: 10, Scan: 0.4, Track: 0.38,
	}
}

func modisPixel(minutes int, lat, lon, scan float64) Pixel {
	return Pixel{
		Satellite: "Aqua", Instrument: "MODIS", Lat: lat, Lon: lon, Seen: skyNoon.Add(time.Duration(minutes) * time.Minute),
		Confidence: ConfidenceHigh, Percent: 85, FRP: 30, Scan: scan, Track: 1,
	}
}

func TestPixelsOfOneFireAreOneHotspot(t *testing.T) {
	here := viirsPixel("NOAA-20", 0, 39.3, 115.3)
	for name, c := range map[string]struct {
		other Pixel
		want  int
	}{
		"another satellite, 50 minutes on":     {viirsPixel("Suomi-NPP", 50, 39.3, 115.3), 1},
		"the next pixel of the same pass":      {viirsPixel("NOAA-20", 0, northOf(39.3, 375), 115.3), 1},
		"900 m":                                {viirsPixel("NOAA-21", 25, northOf(39.3, 900), 115.3), 1},
		"1100 m":                               {viirsPixel("NOAA-21", 25, northOf(39.3, 1100), 115.3), 2},
		"MODIS straight down, 1100 m":          {modisPixel(10, northOf(39.3, 1100), 115.3, 1), 2},
		"MODIS at the edge, 2.5 km":            {modisPixel(10, northOf(39.3, 2500), 115.3, 4.8), 1},
		"MODIS at the edge, 2.7 km":            {modisPixel(10, northOf(39.3, 2700), 115.3, 4.8), 2},
		"three hours":                          {viirsPixel("NOAA-20", 180, 39.3, 115.3), 1},
		"three hours before":                   {viirsPixel("NOAA-20", -180, 39.3, 115.3), 1},
		"the next night":                       {viirsPixel("NOAA-20", 720, 39.3, 115.3), 2},
		"just over three hours":                {viirsPixel("NOAA-20", 181, 39.3, 115.3), 2},
		"the same with other decimals":         {viirsPixel("NOAA-20", 0, 39.30004, 115.29996), 1},
		"east and west of 180°, far from here": {viirsPixel("NOAA-20", 0, 39.3, -179.9), 2},
	} {
		t.Run(name, func(t *testing.T) {
			hs := MergeHotspots(nil, []Pixel{here, c.other}, Merging{})
			if len(hs) != c.want {
				t.Errorf("%d hotspots, want %d: %+v", len(hs), c.want, hs)
			}
		})
	}
	across := MergeHotspots(nil, []Pixel{viirsPixel("N", 0, 60, 179.9999), viirsPixel("N", 1, 60, -179.9999)}, Merging{})
	if len(across) != 1 {
		t.Errorf("%d hotspots across 180°, want 1", len(across))
	}
	if same := MergeHotspots(nil, []Pixel{here, viirsPixel("NOAA-20", 0, 39.30004, 115.29996)}, Merging{}); same[0].Pixels != 1 {
		t.Errorf("%d pixels of one in two releases, want 1", same[0].Pixels)
	}
}

func TestWhatAHotspotTells(t *testing.T) {
	h := MergeHotspots(nil, []Pixel{
		modisPixel(30, 39.305, 115.305, 2), viirsPixel("NOAA-20", 0, 39.3, 115.3), viirsPixel("Suomi-NPP", 50, 39.301, 115.3),
	}, Merging{})[0]
	want := Hotspot{
		ID: h.ID, Lat: 39.3, Lon: 115.3, SizeKM: 0.4, Seen: skyNoon, Last: skyNoon.Add(50 * time.Minute),
		Satellites: []string{"Aqua", "NOAA-20", "Suomi-NPP"}, Instrument: "MODIS+VIIRS", Confidence: ConfidenceHigh, Percent: 85, FRP: 30, Pixels: 3,
		Members: h.Members,
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
}

// A front of fire 10 km long is not one hotspot with one place.
func TestAHotspotDoesNotGrowAlongAFront(t *testing.T) {
	var front []Pixel
	for i := range 30 {
		front = append(front, viirsPixel("NOAA-20", 0, northOf(39.3, float64(i)*375), 115.3))
	}
	for _, h := range MergeHotspots(nil, front, Merging{}) {
		for _, p := range h.Members {
			if km := apartKM(h.seed(), &p); km > 1 {
				t.Errorf("a pixel %.2f km from the first of its hotspot", km)
			}
		}
	}
}

func apartKM(a, b *Pixel) float64 {
	return geo.DistanceHaversine(orb.Point{a.Lon, a.Lat}, orb.Point{b.Lon, b.Lat}) / 1000
}

// somePixels are within some km and hours of each other, with ties in all that
// pixels are sorted by.
func somePixels(t *rapid.T) []Pixel {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Pixel {
		lat, lon := 39.3+float64(rapid.IntRange(0, 40).Draw(t, "lat"))*0.002, 115.3+float64(rapid.IntRange(0, 40).Draw(t, "lon"))*0.002
		minutes := rapid.IntRange(0, 12).Draw(t, "half hours") * 30
		p := viirsPixel(rapid.SampledFrom([]string{"Suomi-NPP", "NOAA-20"}).Draw(t, "satellite"), minutes, lat, lon)
		if rapid.Bool().Draw(t, "modis") {
			p = modisPixel(minutes, lat, lon, rapid.SampledFrom([]float64{1, 2, 4.8}).Draw(t, "scan"))
		}
		p.FRP = float64(rapid.IntRange(0, 2).Draw(t, "frp"))
		p.Kind = rapid.SampledFrom([]PixelKind{PixelUnknown, PixelVegetation, PixelStatic}).Draw(t, "kind")
		return p
	}), 0, 40).Draw(t, "pixels")
}

func TestTheOrderOfTheRowsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pixels := somePixels(t)
		want := MergeHotspots(nil, pixels, Merging{})
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(pixels), func(i, j int) { pixels[i], pixels[j] = pixels[j], pixels[i] })
		if got := MergeHotspots(nil, pixels, Merging{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestMergingKeepsEveryPixelOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pixels := somePixels(t)
		keys := make(map[string]bool)
		for i := range pixels {
			keys[pixels[i].Key()] = true
		}
		hs := MergeHotspots(nil, pixels, Merging{})
		ids := make(map[string]bool)
		for _, h := range hs {
			ids[h.ID] = true
			for _, p := range h.Members {
				if !keys[p.Key()] {
					t.Fatalf("pixel %s is there twice, or from nowhere", p.Key())
				}
				delete(keys, p.Key())
				first := h.seed()
				if km := apartKM(first, &p); km > max(1, (p.SizeKM()+first.SizeKM())/2)*1.001 || p.Seen.Sub(first.Seen).Abs() > 3*time.Hour {
					t.Fatalf("pixel %s is %.2f km from the first, %s", p.Key(), km, first.Key())
				}
			}
		}
		if len(keys) > 0 || len(ids) != len(hs) {
			t.Fatalf("lost: %v; %d ids of %d hotspots", keys, len(ids), len(hs))
		}
	})
}

// Files overlap, and come in any pieces: what is there only gains pixels.
func TestOverlappingImportsOnlyAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pixels := somePixels(t)
		cut := rapid.IntRange(0, len(pixels)).Draw(t, "cut")
		store := make(map[string]Hotspot)
		bring := func(ps []Pixel) (changed int) {
			var have []Hotspot
			for _, h := range store {
				have = append(have, h)
			}
			for _, h := range MergeHotspots(have, ps, Merging{}) {
				old, had := store[h.ID]
				joined, grown := old.Join(h)
				if !had || grown {
					changed++
				}
				if !had {
					joined = h
				}
				for _, p := range old.Members {
					if !slices.ContainsFunc(joined.Members, func(q Pixel) bool { return q.Key() == p.Key() }) {
						t.Fatalf("lost %s", p.Key())
					}
				}
				store[h.ID] = joined
			}
			return changed
		}
		bring(pixels[:cut])
		bring(pixels)
		if n := bring(pixels); n != 0 {
			t.Fatalf("%d hotspots changed by the same file again", n)
		}
		if n := bring(pixels[:cut]); n != 0 {
			t.Fatalf("%d hotspots changed by a part of the file", n)
		}
		seen, distinct := 0, make(map[string]bool)
		for _, h := range store {
			seen += h.Pixels
		}
		for i := range pixels {
			distinct[pixels[i].Key()] = true
		}
		if seen != len(distinct) {
			t.Fatalf("%d pixels, want %d", seen, len(distinct))
		}
	})
}

func TestATownshipByItsOutline(t *testing.T) {
	square := func(lon, lat float64) string {
		return fmt.Sprintf(`{"type":"Polygon","coordinates":[[[%[1]g,%[2]g],[%[3]g,%[2]g],[%[3]g,%[4]g],[%[1]g,%[4]g],[%[1]g,%[2]g]]]}`, lon, lat, lon+0.1, lat+0.1)
	}
	at := NewTownships(IndexAreas([]Area{
		{Code: "130633", Level: County, Outline: []byte(square(115, 39))},
		{Code: "130633100", Level: Township, Lat: 39.05, Lon: 115.05, Outline: []byte(square(115, 39))},
		{Code: "130633101", Level: Township, Lat: 39.05, Lon: 115.15, Outline: []byte(`{"type":"MultiPolygon","coordinates":[[],` + strings.TrimSuffix(strings.SplitN(square(115.1, 39), ":", 3)[2], "}") + `]}`)},
		{Code: "130633102", Level: Township, Lat: 39.5, Lon: 115.5},
		{Code: "130633103", Level: Township, Lat: 39.5, Lon: 115.6, Outline: []byte(`{"type":"Polygon"`)},
	}))
	for _, c := range []struct {
		lat, lon float64
		want     string
	}{
		{39.05, 115.05, "130633100"},
		{39.05, 115.15, "130633101"},
		{39.05, 115.25, ""},
		{39.52, 115.52, "130633102"}, // without an outline: the nearest
		{39.5, 115.58, "130633103"},  // one that cannot be read
		{39.7, 115.5, ""},            // 22 km from any
		{math.NaN(), 115.05, ""},
	} {
		if got := at.At(c.lat, c.lon); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.lat, c.lon, got, c.want)
		}
	}
}

func TestStaticHeatMasksWhatItExplainsAlone(t *testing.T) {
	works := Source{ID: "steel", Kind: SourceHeat, Name: "钢厂", Lat: 39.3, Lon: 115.3, RadiusM: 500}
	grave := Source{ID: "grave", Kind: SourceGrave, Lat: 39.3, Lon: 115.3, RadiusM: 500}
	gone := Source{ID: "gone", Kind: SourceHeat, Lat: 39.3, Lon: 115.3, RadiusM: 500, From: skyNoon.AddDate(-2, 0, 0), To: skyNoon.AddDate(-1, 0, 0)}
	for name, c := range map[string]struct {
		sources []Source
		pixels  []Pixel
		want    string
	}{
		"within":                     {[]Source{works}, []Pixel{viirsPixel("N", 0, northOf(39.3, 400), 115.3)}, "steel"},
		"half a pixel outside":       {[]Source{works}, []Pixel{viirsPixel("N", 0, northOf(39.3, 790), 115.3)}, "steel"},
		"beyond":                     {[]Source{works}, []Pixel{viirsPixel("N", 0, northOf(39.3, 850), 115.3)}, ""},
		"wide pixel":                 {[]Source{works}, []Pixel{modisPixel(0, northOf(39.3, 1450), 115.3, 4.8)}, "steel"},
		"wide pixel, beyond":         {[]Source{works}, []Pixel{modisPixel(0, northOf(39.3, 1550), 115.3, 4.8)}, ""},
		"a fire that left the works": {[]Source{works}, []Pixel{viirsPixel("N", 0, 39.3, 115.3), viirsPixel("N", 1, northOf(39.3, 900), 115.3)}, ""},
		"a grave is no heat":         {[]Source{grave}, []Pixel{viirsPixel("N", 0, 39.3, 115.3)}, ""},
		"closed last year":           {[]Source{gone}, []Pixel{viirsPixel("N", 0, 39.3, 115.3)}, ""},
		"no register":                {nil, []Pixel{viirsPixel("N", 0, 39.3, 115.3)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			hs := MergeHotspots(nil, c.pixels, Merging{})
			if len(hs) != 1 {
				t.Fatalf("%d hotspots, want 1", len(hs))
			}
			if got := IndexSources(SourceTable{Sources: c.sources}).Heat(&hs[0]); got != c.want {
				t.Errorf("masked by %q, want %q", got, c.want)
			}
		})
	}
}

func TestRulesOfHotspotsAreChecked(t *testing.T) {
	good := `version: v
effective: 2020-01-01
rules:
  - name: sky
    type: hotspot
    severity: yellow
    clear_after: 24h
    fresh: 6h
    order: {mode: propose, kind: check, nearest: 0, within_km: 30}
    hotspot: {min_confidence: nominal, severity: {high: orange}}
`
	set, err := ParseRules([]byte(good))
	if err != nil || set.Rules[0].Hotspot.Severities["high"] != Orange || set.Rules[0].Family != FamilyFire {
		t.Fatalf("%+v, %v", set, err)
	}
	for change, want := range map[[2]string]string{
		{"min_confidence: nominal", "min_confidence: sure"}:                        "line 10: min_confidence",
		{"{high: orange}", "{huge: orange}"}:                                       `"huge": want low, nominal or high`,
		{"clear_after: 24h", "clear_after: 1m"}:                                    "line 7: clear_after",
		{"    hotspot: {min_confidence: nominal, severity: {high: orange}}\n", ""}: "hotspot: a rule of type hotspot needs it",
		{"type: hotspot", "type: battery_low"}:                                     "does not belong to type battery_low",
	} {
		if _, err := ParseRules([]byte(strings.Replace(good, change[0], change[1], 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", change[1], err, want)
		}
	}
}

// A township without a team of its own is not left alone.
func TestTheNearestTeamStandsInForATownshipWithout(t *testing.T) {
	areas := IndexAreas([]Area{{Code: "1", Name: "县", Level: County}, {Code: "a", Name: "甲镇", Level: Township, Parent: "1"}, {Code: "b", Name: "乙镇", Level: Township, Parent: "1"}})
	teams := []Team{
		{ID: "far", Kind: TownshipTeam, Area: "c", Lat: 39.9, Lon: 115.3},
		{ID: "near", Kind: TownshipTeam, Area: "b", Lat: 39.4, Lon: 115.3},
	}
	a := Alert{Area: "a", Lat: 39.3, Lon: 115.3, HasPlace: true}
	picks, short := PickForAlert(areas, teams, a, OrderPolicy{Mode: ModePropose, Kind: OrderCheck, WithinKM: 30})
	if len(picks) != 1 || picks[0].Team.ID != "near" || len(short) != 1 {
		t.Errorf("picks %+v, shortfalls %q", picks, short)
	}
	a.Area = "b"
	if picks, short := PickForAlert(areas, teams, a, OrderPolicy{Mode: ModePropose, Kind: OrderCheck, WithinKM: 30}); len(picks) != 1 || len(short) != 0 {
		t.Errorf("picks %+v, shortfalls %q: want the township's own alone", picks, short)
	}
}
