package alerts

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"
)

// The confidences of a Pixel and of a Hotspot.
const (
	ConfidenceLow     = "low"
	ConfidenceNominal = "nominal"
	ConfidenceHigh    = "high"
)

// ConfidenceRank orders confidences: 1 low, 2 nominal, 3 high, 0 for any other
// word.
func ConfidenceRank(c string) int {
	switch c {
	case ConfidenceLow:
		return 1
	case ConfidenceNominal:
		return 2
	case ConfidenceHigh:
		return 3
	}
	return 0
}

// PixelKind is what the makers of an archive say that a pixel is.
type PixelKind string

// The kinds of pixels, the inferred hot spot types 0 to 3 of FIRMS. Files of
// the last days do not have them.
const (
	PixelUnknown    PixelKind = ""
	PixelVegetation PixelKind = "vegetation" // presumed
	PixelVolcano    PixelKind = "volcano"
	PixelStatic     PixelKind = "static"   // another static source on land
	PixelOffshore   PixelKind = "offshore" // any detection over water
)

// Pixel is one fire pixel of one satellite.
type Pixel struct {
	Satellite  string    `json:"satellite"`  // Terra, Aqua, Suomi-NPP, NOAA-20, …
	Instrument string    `json:"instrument"` // MODIS, VIIRS, OLI
	Lat        float64   `json:"lat"`        // WGS-84 degrees, of the centre
	Lon        float64   `json:"lon"`
	Seen       time.Time `json:"seen"` // to the minute
	Confidence string    `json:"confidence"`
	Percent    int       `json:"percent"`        // confidence 0..100; -1: a class only
	FRP        float64   `json:"frp,omitempty"`  // MW; 0: unknown
	Scan       float64   `json:"scan,omitempty"` // km across the track
	Track      float64   `json:"track,omitempty"`
	Kind       PixelKind `json:"kind,omitempty"`
}

// Key tells pixels apart: the same one in two files, or in two releases of a
// file with other decimals, has one key. It is of the satellite, the minute and
// the place to 0.001° (about 100 m, below every pixel's size).
func (p *Pixel) Key() string {
	return fmt.Sprintf("%s|%d|%.3f|%.3f", p.Satellite, p.Seen.Unix()/60, p.Lat+0, p.Lon+0)
}

// SizeKM is the pixel's wider side, at most 5 km; where the source does not say,
// that of the instrument straight down.
func (p *Pixel) SizeKM() float64 {
	if s := max(p.Scan, p.Track); s > 0 {
		return min(s, maxPixelKM)
	}
	switch p.Instrument {
	case "VIIRS":
		return 0.375
	case "OLI":
		return 0.03
	}
	return 1
}

const maxPixelKM = 5

// comparePixels is a total order: by time, the strongest first.
func comparePixels(a, b Pixel) int {
	return cmp.Or(
		a.Seen.Compare(b.Seen), cmp.Compare(b.FRP, a.FRP), cmp.Compare(ConfidenceRank(b.Confidence), ConfidenceRank(a.Confidence)),
		cmp.Compare(b.Percent, a.Percent), cmp.Compare(a.SizeKM(), b.SizeKM()), cmp.Compare(a.Satellite, b.Satellite),
		cmp.Compare(a.Lat, b.Lat), cmp.Compare(a.Lon, b.Lon), cmp.Compare(a.Instrument, b.Instrument), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Scan, b.Scan), cmp.Compare(a.Track, b.Track),
	)
}

// Hotspot is one fire that satellites saw: the pixels of one place and a few
// hours, whichever satellite they are of.
type Hotspot struct {
	ID         string    // of the pixel that it began with: the same however often that is imported
	Lat, Lon   float64   // of the finest pixel
	SizeKM     float64   // of that pixel: how sure the place is
	Area       string    // township code; empty: outside
	Seen       time.Time // first
	Last       time.Time // latest pass that saw it
	Satellites []string  // sorted
	Instrument string    // MODIS, VIIRS; MODIS+VIIRS when both saw it
	Confidence string    // low, nominal, high: the best
	Percent    int       // 0..100, the best, where the source says so; -1: it does not
	FRP        float64   // MW, of the strongest; 0: unknown
	Pixels     int       // that were merged
	Members    []Pixel   // them, by time
	Masked     string    // id of the static heat source that explains it; empty: none
	Imported   time.Time // first
	Judged     time.Time // zero: the engine has not seen it as it is now
	Alert      string    // id of the alert it caused; empty: none
	Revision   int64     // counted by the store: grows with each change of what is judged
}

// JudgedHotspot tells that a hotspot was judged.
type JudgedHotspot struct {
	ID       string
	Revision int64 // that was judged: another one stays to be judged
	Alert    string
	At       time.Time
}

// MaskedByArchive is Hotspot.Masked where the file itself says that a pixel is a
// volcano or a static source.
const MaskedByArchive = "firms"

// HotspotStore keeps hotspots.
type HotspotStore interface {
	// SaveHotspots adds those that are new, and returns how many those were. One
	// that is there already is joined (Hotspot.Join): it only gains satellites
	// and pixels.
	SaveHotspots(ctx context.Context, hs []Hotspot, evs []Event) (added int, err error)
	// UnjudgedHotspots are those that the engine has not seen as they are now,
	// oldest first.
	UnjudgedHotspots(ctx context.Context, limit int) ([]Hotspot, error)
	// Hotspots are listed newest first.
	Hotspots(ctx context.Context, q HotspotQuery) ([]Hotspot, error)
	// HotspotsByID are those of the ids that are there, by id.
	HotspotsByID(ctx context.Context, ids []string) ([]Hotspot, error)
}

// HotspotQuery selects hotspots.
type HotspotQuery struct {
	From   time.Time // first seen then or later; zero: no bound
	To     time.Time // first seen before; zero: no bound
	Area   string    // empty: all; else this area and below
	Before string    // page: older than the one with this id
	Limit  int       // 1..10000
}

// Join adds to a stored hotspot what another of the same id has beyond it, and
// takes over its area and mask, which may rest on newer lists. What changes has
// to be judged again; the same again changes nothing.
func (h Hotspot) Join(o Hotspot) (joined Hotspot, changed bool) {
	h.Members = slices.Clone(h.Members)
	known := make(map[string]int, len(h.Members))
	for i := range h.Members {
		known[h.Members[i].Key()] = i
	}
	for _, p := range o.Members {
		if at, ok := known[p.Key()]; ok {
			changed = h.Members[at].learn(&p) || changed
			continue
		}
		known[p.Key()] = len(h.Members)
		h.Members, changed = append(h.Members, p), true
	}
	if h.Area != o.Area || h.Masked != o.Masked {
		h.Area, h.Masked, changed = o.Area, o.Masked, true
	}
	if changed {
		h.Judged = time.Time{}
		h.sum()
	}
	return h, changed
}

// learn takes over what another release of the same pixel says beyond it.
func (p *Pixel) learn(o *Pixel) bool {
	if p.Kind != PixelUnknown || o.Kind == PixelUnknown {
		return false
	}
	p.Kind = o.Kind
	return true
}

// sum works out what the members say together.
func (h *Hotspot) sum() {
	slices.SortFunc(h.Members, comparePixels)
	var satellites, instruments []string
	finest := h.Members[0]
	h.Seen, h.Last, h.Pixels, h.Confidence, h.Percent, h.FRP = finest.Seen, finest.Seen, len(h.Members), "", -1, 0
	for _, p := range h.Members {
		satellites, instruments = append(satellites, p.Satellite), append(instruments, p.Instrument)
		if p.Seen.After(h.Last) {
			h.Last = p.Seen
		}
		if ConfidenceRank(p.Confidence) > ConfidenceRank(h.Confidence) {
			h.Confidence = p.Confidence
		}
		h.Percent, h.FRP = max(h.Percent, p.Percent), max(h.FRP, p.FRP)
		if p.SizeKM() < finest.SizeKM() {
			finest = p
		}
	}
	h.Lat, h.Lon, h.SizeKM = finest.Lat, finest.Lon, finest.SizeKM()
	h.Satellites = slices.Compact(slices.Sorted(slices.Values(satellites)))
	h.Instrument = strings.Join(slices.Compact(slices.Sorted(slices.Values(instruments))), "+")
}

// seed is the pixel that the hotspot began with.
func (h *Hotspot) seed() *Pixel {
	for i := range h.Members {
		if hotspotID(&h.Members[i]) == h.ID {
			return &h.Members[i]
		}
	}
	return &h.Members[0]
}

// Static reports whether the archive calls every pixel of it a volcano or another
// static source.
func (h *Hotspot) Static() bool {
	return !slices.ContainsFunc(h.Members, func(p Pixel) bool { return p.Kind != PixelStatic && p.Kind != PixelVolcano })
}

// hotspotID sorts by the time seen.
func hotspotID(seed *Pixel) string {
	f := fnv.New64a()
	_, _ = f.Write([]byte(seed.Key()))
	id := NewID("hs", time.Unix(seed.Seen.Unix()/60*60, 0))
	const tail = 10
	return id[:len(id)-tail] + crockford.EncodeToString(binary.BigEndian.AppendUint64(nil, f.Sum64()))[:tail]
}

// Merging says which pixels are one fire.
type Merging struct {
	// WithinKM is how near to the first pixel another one must be; pixels that
	// are wider than that must touch. 0: 1 km.
	WithinKM float64
	// Within is how long before or after the first pixel another one may be
	// seen. 0: 3 h.
	Within time.Duration
}

// The defaults of Merging, this project's choice: the pixel of MODIS straight
// down, and below the time from Terra's pass to that of the others.
const (
	DefaultMergeKM     = 1
	DefaultMergeWithin = 3 * time.Hour
)

// OrDefault fills in what is zero.
func (m Merging) OrDefault() Merging {
	return Merging{cmp.Or(m.WithinKM, DefaultMergeKM), cmp.Or(m.Within, DefaultMergeWithin)}
}

// Validate names the setting that cannot be used.
func (m Merging) Validate() error {
	switch {
	case !(m.WithinKM >= 0 && m.WithinKM <= maxPixelKM):
		return fmt.Errorf("merging within %v km: want 0 to %d", m.WithinKM, maxPixelKM)
	case m.Within < 0 || m.Within > 24*time.Hour:
		return fmt.Errorf("merging within %s: want 0 to 24h", m.Within)
	}
	return nil
}

// MergeHotspots puts pixels to the hotspots of which they are part, or makes new
// ones, and returns those that the pixels belong to, by id. Have must hold every
// stored hotspot that was first seen within Merging.Within of any pixel.
//
// Each pixel goes to the nearest hotspot whose first pixel is near enough in
// place and time; where there is none it begins one itself, the earliest and
// strongest pixels first. So a hotspot never grows along a fire's front without
// end, and the order of the rows does not matter. Area and Masked are left to
// the caller.
func MergeHotspots(have []Hotspot, pixels []Pixel, how Merging) []Hotspot {
	how = how.OrDefault()
	m := merger{how: how, cells: make(map[[3]int32][]int)}
	type seat struct{ hotspot, member int }
	seats := make(map[string]seat) // by key
	for _, h := range slices.SortedFunc(slices.Values(have), func(a, b Hotspot) int { return cmp.Compare(a.ID, b.ID) }) {
		if len(h.Members) == 0 {
			continue
		}
		h.Members = slices.Clone(h.Members)
		m.add(h)
		for i := range h.Members {
			seats[h.Members[i].Key()] = seat{len(m.all) - 1, i}
		}
	}
	sorted := slices.SortedFunc(slices.Values(pixels), comparePixels)
	for i := range sorted {
		p := &sorted[i]
		key := p.Key()
		if s, known := seats[key]; known {
			g := &m.all[s.hotspot]
			g.touched = true
			g.Members[s.member].learn(p)
			continue
		}
		at := m.nearest(p)
		if at < 0 {
			at = len(m.all)
			m.add(Hotspot{ID: hotspotID(p), Members: []Pixel{*p}})
		} else {
			m.all[at].Members = append(m.all[at].Members, *p)
		}
		m.all[at].touched = true
		seats[key] = seat{at, len(m.all[at].Members) - 1}
	}
	var out []Hotspot
	for _, g := range m.all {
		if g.touched {
			g.sum()
			out = append(out, g.Hotspot)
		}
	}
	slices.SortFunc(out, func(a, b Hotspot) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// merger finds hotspots by the place of their first pixel, in cubes of space:
// there degrees are neither narrow at the poles nor torn at 180°.
type merger struct {
	how   Merging
	all   []growing
	cells map[[3]int32][]int
}

type growing struct {
	Hotspot
	first   Pixel
	at      [3]float64 // km from the centre of the earth
	touched bool
}

const earthKM = 6371.0088

func inSpace(lat, lon float64) [3]float64 {
	la, lo := lat*math.Pi/180, lon*math.Pi/180
	return [3]float64{earthKM * math.Cos(la) * math.Cos(lo), earthKM * math.Cos(la) * math.Sin(lo), earthKM * math.Sin(la)}
}

func cubeOf(at [3]float64) (c [3]int32) {
	for i, x := range at {
		c[i] = int32(math.Floor(x / maxPixelKM))
	}
	return c
}

func (m *merger) add(h Hotspot) {
	first := *h.seed()
	at := inSpace(first.Lat, first.Lon)
	c := cubeOf(at)
	m.cells[c] = append(m.cells[c], len(m.all))
	m.all = append(m.all, growing{Hotspot: h, first: first, at: at})
}

// nearest is the index of the hotspot that the pixel is part of, -1: of none.
func (m *merger) nearest(p *Pixel) int {
	at := inSpace(p.Lat, p.Lon)
	c := cubeOf(at)
	best, bestKM := -1, math.Inf(1)
	for x := c[0] - 1; x <= c[0]+1; x++ {
		for y := c[1] - 1; y <= c[1]+1; y++ {
			for z := c[2] - 1; z <= c[2]+1; z++ {
				for _, i := range m.cells[[3]int32{x, y, z}] {
					g := &m.all[i]
					km := math.Sqrt(square(at[0]-g.at[0]) + square(at[1]-g.at[1]) + square(at[2]-g.at[2]))
					if km > max(m.how.WithinKM, (p.SizeKM()+g.first.SizeKM())/2) || p.Seen.Sub(g.first.Seen).Abs() > m.how.Within {
						continue
					}
					if km < bestKM || km == bestKM && g.ID < m.all[best].ID {
						best, bestKM = i, km
					}
				}
			}
		}
	}
	return best
}

func square(x float64) float64 { return x * x }
