package v1

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
	"github.com/paulmach/orb/project"
	"github.com/paulmach/orb/simplify"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

const (
	trackReadings = 100_000 // most readings of one track: a fix each 30 s for 34 days
	trackPage     = 10_000  // readings of one question
	glitchesShown = 1000

	// impossible is the speed, m/s, above which no warden travels, not by
	// helicopter either; it is the contract's limit of speed_ms.
	impossible = 150
	// strays is how many fixes that agree with each other, and not with the one
	// before, are believed against it.
	strays = 3

	maxZoom     = 22
	defaultZoom = 14
	// worldPixels is how wide the world is at zoom 0 in the maps of the console.
	worldPixels = 512
	// piece bounds what is simplified at once: the work grows with its square when
	// a line is made to be hard.
	piece = 5000
)

// A vertex is one fix.
type vertex struct {
	at    int64     // ms since 1970, measured
	place orb.Point // lon, lat
	pin   bool      // SOS or report: never simplified away
}

func (a *API) showTrack(c *gin.Context, s scope) error {
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	q := query(c)
	from, to := q.window(a.Now())
	zoom := defaultZoom
	if v := q.text("zoom"); v != "" {
		if zoom, err = strconv.Atoi(v); err != nil || zoom < 0 || zoom > maxZoom {
			q.faults.add("zoom", "应为 0 至 %d 的整数", maxZoom)
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	t := track{
		Type: "Feature", Geometry: TrackGeometry{Type: "MultiLineString", Coordinates: [][][2]float64{}},
		Properties: TrackProperties{
			Device: string(d.ID), From: at(from), To: at(to), Zoom: zoom,
			Times: [][]int64{}, Marks: []TrackMark{}, Glitches: []TrackGlitch{},
		},
	}
	vs, err := a.fixes(c, d, from, to, &t.Properties)
	if err != nil {
		return err
	}
	gap := trackGap(d, a.Silence)
	t.Properties.GapS = gap.Seconds()
	t.draw(vs, gap)
	writeAs(c, http.StatusOK, "application/geo+json", Track(t))
	return nil
}

// trackGap is the time without a fix after which nobody knows where the device
// was: when it counts as silent.
func trackGap(d alerts.Device, silence Silence) time.Duration {
	factor, least := silence(d.Kind)
	return max(time.Duration(factor*float64(d.Expect)), least)
}

// fixes reads the fixes of the window, page by page, and puts SOS and reports
// among the marks.
func (a *API) fixes(c *gin.Context, d alerts.Device, from, to time.Time, p *TrackProperties) ([]vertex, error) {
	var vs []vertex
	skip := 0
	for p.Readings < trackReadings {
		rs, err := a.History.Readings(c.Request.Context(), ingest.ReadingQuery{
			Device: d.ID, Class: contract.Position, From: from, To: to, Limit: trackPage,
		})
		if err != nil {
			return nil, historyAway(err)
		}
		whole := len(rs) < trackPage
		for i := skip; i < len(rs); i++ {
			r := &rs[i]
			p.Readings++
			lat, hasLat := r.Values.Get(contract.Lat)
			lon, hasLon := r.Values.Get(contract.Lon)
			mark := r.Class == contract.SOS || r.Class == contract.Report
			if mark {
				m := TrackMark{Class: r.Class.String(), Measured: at(r.Measured), Received: at(r.Received), Code: r.Code, Text: r.Text}
				m.Lat, m.Lon = place(lat, lon, hasLat && hasLon)
				p.Marks = append(p.Marks, m)
			}
			if hasLat && hasLon {
				vs = append(vs, vertex{r.Measured.UnixMilli(), orb.Point{lon, lat}, mark})
			}
		}
		if whole || len(rs) == 0 {
			return vs, nil
		}
		// The next page begins with the readings of the last time, again.
		last := rs[len(rs)-1].Measured
		n := 0
		for i := len(rs) - 1; i >= 0 && rs[i].Measured.Equal(last); i-- {
			n++
		}
		if from, skip = last, n; n == len(rs) {
			from, skip = last.Add(time.Millisecond), 0
		}
	}
	end := at(from)
	p.Until = &end
	return vs, nil
}

// track is a Track in the making.
type track Track

// draw puts the fixes into lines, simplified to the zoom.
func (t *track) draw(vs []vertex, gap time.Duration) {
	p := &t.Properties
	lines, glitches := split(vs, gap)
	p.GlitchCount = len(glitches)
	for _, v := range glitches[:min(len(glitches), glitchesShown)] {
		p.Glitches = append(p.Glitches, TrackGlitch{At: at(time.UnixMilli(v.at)), Lat: v.place.Lat(), Lon: v.place.Lon()})
	}
	// One pixel in the metres of the Mercator map, which are longer than those on
	// the ground by the same factor everywhere on a circle of latitude.
	pixel := 2 * math.Pi * orb.EarthRadius / worldPixels / math.Exp2(float64(p.Zoom))
	middle := 0.0
	for _, line := range lines {
		line = simplified(line, pixel)
		if len(line) == 1 {
			line = append(line, line[0]) // GeoJSON knows no line of one place
		}
		coordinates, times := make([][2]float64, len(line)), make([]int64, len(line))
		for i, v := range line {
			coordinates[i] = [2]float64{round7(v.place.Lon()), round7(v.place.Lat())}
			times[i] = v.at
			middle += v.place.Lat()
		}
		t.Geometry.Coordinates = append(t.Geometry.Coordinates, coordinates)
		p.Times = append(p.Times, times)
		p.Vertices += len(line)
	}
	if p.Vertices > 0 {
		p.ToleranceM = pixel * math.Cos(middle/float64(p.Vertices)*math.Pi/180)
	}
}

// round7 rounds degrees to a centimetre.
func round7(x float64) float64 { return math.Round(x*1e7) / 1e7 }

// reachable reports whether somebody can have come from a to b.
func reachable(a, b vertex) bool {
	// Clocks of whole seconds.
	seconds := max(math.Abs(float64(b.at-a.at))/1000, 1)
	return geo.Distance(a.place, b.place) <= impossible*seconds
}

// split breaks fixes, which are in order of time, into lines where there was none
// for longer than gap, and takes out those that cannot be: a jump away is a
// glitch unless a few fixes after it agree with it; then what is broken is the
// line.
func split(vs []vertex, gap time.Duration) (lines [][]vertex, glitches []vertex) {
	var line, away []vertex
	end := func() {
		if len(line) > 0 {
			lines = append(lines, line)
		}
		line = nil
	}
	for _, v := range vs {
		last := v
		if len(line) > 0 {
			last = line[len(line)-1]
		}
		if len(away) > 0 {
			last = away[len(away)-1]
		}
		if v.at-last.at > gap.Milliseconds() {
			glitches = append(glitches, away...)
			away = nil
			end()
		}
		switch {
		case len(line) == 0 || reachable(line[len(line)-1], v):
			glitches = append(glitches, away...)
			away = nil
			line = append(line, v)
		case len(away) > 0 && reachable(away[len(away)-1], v):
			if away = append(away, v); len(away) < strays {
				continue
			}
			if len(line) < strays { // the first ones were the wrong ones
				glitches = append(glitches, line...)
				line = nil
			}
			end()
			line, away = away, nil
		default:
			glitches = append(glitches, away...)
			away = []vertex{v}
		}
	}
	glitches = append(glitches, away...)
	end()
	slices.SortStableFunc(glitches, func(a, b vertex) int { return int(a.at - b.at) })
	return lines, glitches
}

// simplified leaves out of a line what is nowhere further than pixel, in metres
// of the Mercator map, from the line that remains. The ends and the pins stay.
func simplified(line []vertex, pixel float64) []vertex {
	out := line[:0:0]
	for from := 0; from < len(line)-1; {
		to := min(from+piece, len(line)-1)
		for i := from + 1; i < to; i++ {
			if line[i].pin {
				to = i
				break
			}
		}
		out = append(out, kept(line[from:to+1], pixel)...)
		out = out[:len(out)-1] // begins the next piece
		from = to
	}
	return append(out, line[len(line)-1])
}

// kept is the vertices of a piece that remain.
func kept(vs []vertex, pixel float64) []vertex {
	flat := make(orb.LineString, len(vs))
	for i, v := range vs {
		flat[i] = project.WGS84.ToMercator(v.place)
	}
	remain := simplify.DouglasPeucker(pixel).LineString(flat.Clone())
	// They come in the order of the line, so each is found after the one before.
	out := make([]vertex, 0, len(remain))
	i := 0
	for _, p := range remain[:len(remain)-1] {
		for flat[i] != p {
			i++
		}
		out = append(out, vs[i])
		i++
	}
	return append(out, vs[len(vs)-1])
}

// historyAway is the answer when the history cannot be asked.
func historyAway(err error) error {
	return &Error{
		Code: CodeUnavailable, Detail: "历史数据不可用（" + historyFault(err) + "）", After: 5 * time.Second,
		Cause: fmt.Errorf("reading the history: %w", err),
	}
}

// window is the times from and to of a query; by default the last day.
func (q *queryParams) window(now time.Time) (from, to time.Time) {
	from, to = q.time("from"), q.time("to")
	if to.IsZero() {
		to = now.Add(contract.MaxAhead)
	}
	if from.IsZero() {
		from = to.Add(-readingsFor)
	}
	if !from.Before(to) {
		q.faults.add("from", "应早于 to")
	}
	return from, to
}
