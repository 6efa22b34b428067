package api

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"
	"github.com/paulmach/orb/project"

	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
)

func fixAt(device string, at time.Time, lat, lon float64) contract.Reading {
	r := reading(device, contract.Position, at, contract.Lat, lat)
	r.Values.Set(contract.Lon, lon)
	return r
}

// north is a fix so many metres north of a place.
func north(at time.Time, metres float64) contract.Reading {
	return fixAt("t-yixian", at, 39+metres/111_000, 115)
}

func (e *env) track(query string) v1.Track {
	e.t.Helper()
	return into[v1.Track](e.get("yixian", "/devices/t-yixian/track"+query).want(200))
}

// testdata reads a file of the inputs from elsewhere: in $FIREWATCH_TESTDATA, or
// in shared/testdata beside a folder above. It skips the test where there is no
// such folder.
func testdata(t *testing.T, name string) []byte {
	t.Helper()
	root := os.Getenv("FIREWATCH_TESTDATA")
	if dir, err := os.Getwd(); err == nil && root == "" {
		for ; root == "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			beside := filepath.Join(filepath.Dir(dir), "shared", "testdata")
			if _, err := os.Stat(beside); err == nil {
				root = beside
			}
		}
	}
	if root == "" {
		t.Skip("no folder shared/testdata above this one; name it in FIREWATCH_TESTDATA")
	}
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// walk is a day of somebody in Beijing's western hills.
func walk(t *testing.T) []contract.Reading {
	t.Helper()
	var rs []contract.Reading
	for i, line := range strings.Split(string(testdata(t, "tracks/007_20081026021624.plt")), "\n") {
		f := strings.Split(strings.TrimSpace(line), ",")
		if i < 6 || len(f) != 7 {
			continue
		}
		lat, err1 := strconv.ParseFloat(f[0], 64)
		lon, err2 := strconv.ParseFloat(f[1], 64)
		at, err3 := time.Parse(time.DateTime, f[5]+" "+f[6])
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(line, err1, err2, err3)
		}
		rs = append(rs, fixAt("t-yixian", at, lat, lon))
	}
	return rs
}

// TestAWalkIsSimplifiedToTheZoom: every fix lies within a pixel of the part of
// the line that stands for its time.
func TestAWalkIsSimplifiedToTheZoom(t *testing.T) {
	e := newEnv(t)
	e.history.readings = walk(t)
	n := len(e.history.readings)
	before := n
	for _, zoom := range []int{18, 15, 12, 8, 0} {
		got := e.track(fmt.Sprintf("?zoom=%d&from=2008-10-26T00:00:00Z&to=2008-10-27T00:00:00Z", zoom))
		p := got.Properties
		if p.Readings != n || p.Vertices > before || p.Until != nil {
			t.Fatalf("zoom %d: %d vertices of %d readings", zoom, p.Vertices, p.Readings)
		}
		before = p.Vertices
		if most := map[int]int{18: n * 17 / 20, 15: n * 2 / 5, 12: n / 15, 8: n / 100, 0: n / 100}[zoom]; p.Vertices > most {
			t.Errorf("zoom %d: %d vertices of %d readings, want at most %d", zoom, p.Vertices, n, most)
		}
		pixel := 2 * math.Pi * orb.EarthRadius / 512 / math.Exp2(float64(zoom))
		if ground := pixel * math.Cos(40*math.Pi/180); math.Abs(p.ToleranceM-ground) > ground/50 {
			t.Errorf("zoom %d: a tolerance of %v m, want about %v", zoom, p.ToleranceM, ground)
		}
		glitch := map[int64]bool{}
		for _, g := range p.Glitches {
			glitch[g.At.UnixMilli()] = true
		}
		seen := 0
		for _, r := range e.history.readings {
			lat, _ := r.Values.Get(contract.Lat)
			lon, _ := r.Values.Get(contract.Lon)
			off := offLine(got, r.Measured.UnixMilli(), orb.Point{lon, lat})
			if glitch[r.Measured.UnixMilli()] {
				continue
			}
			seen++
			if off > pixel*1.001+0.02 { // coordinates are rounded to a centimetre
				t.Fatalf("zoom %d: the fix of %s lies %.2f m off, a pixel is %.2f m", zoom, r.Measured, off, pixel)
			}
		}
		if seen < n*9/10 {
			t.Errorf("zoom %d: %d of %d fixes are drawn", zoom, seen, n)
		}
		t.Logf("zoom %d: %d vertices of %d fixes, %d lines, %d glitches", zoom, p.Vertices, n, len(p.Times), p.GlitchCount)
	}
}

// offLine is how far a fix lies from the line at its time, in metres of the
// Mercator map; infinite when no line has that time.
func offLine(t v1.Track, at int64, p orb.Point) float64 {
	flat := func(c [2]float64) orb.Point { return project.WGS84.ToMercator(orb.Point(c)) }
	least := math.Inf(1)
	for i, times := range t.Properties.Times {
		for j := 1; j < len(times); j++ {
			if times[j-1] <= at && at <= times[j] {
				c := t.Geometry.Coordinates[i]
				least = min(least, planar.DistanceFromSegment(flat(c[j-1]), flat(c[j]), project.WGS84.ToMercator(p)))
			}
		}
	}
	return least
}

func TestTracksTellWhatTheyDoNotKnow(t *testing.T) {
	at := func(minutes float64) time.Time {
		return begin.Add(-5 * time.Hour).Add(time.Duration(minutes * float64(time.Minute)))
	}
	type m = map[float64]float64 // metres north, by minute
	for _, row := range []struct {
		name     string
		fixes    m
		minutes  []float64
		lines    []int // vertices of each, at the finest zoom
		glitches []float64
	}{
		{"a straight walk is two vertices", m{0: 0, 1: 60, 2: 120, 3: 180}, []float64{0, 1, 2, 3}, []int{2}, nil},
		{"a gap is unknown", m{0: 0, 1: 60, 12: 700, 13: 760}, []float64{0, 1, 12, 13}, []int{2, 2}, nil},
		{"ten minutes are no gap", m{0: 0, 1: 60, 11: 660}, []float64{0, 1, 11}, []int{2}, nil},
		{"a jump and back", m{0: 0, 1: 60, 2: 90_000, 3: 180}, []float64{0, 1, 2, 3}, []int{2}, []float64{2}},
		{"two jumps apart", m{0: 0, 1: 90_000, 2: -90_000, 3: 180}, []float64{0, 1, 2, 3}, []int{2}, []float64{1, 2}},
		{"a jump at the end", m{0: 0, 1: 60, 2: 90_000}, []float64{0, 1, 2}, []int{2}, []float64{2}},
		{"the first one is wrong", m{0: 90_000, 1: 0, 2: 60, 3: 120}, []float64{0, 1, 2, 3}, []int{2}, []float64{0}},
		{"carried away in earnest", m{0: 0, 1: 60, 2: 120, 3: 90_000, 4: 90_060, 5: 90_120}, []float64{0, 1, 2, 3, 4, 5}, []int{2, 2}, nil},
		{"by helicopter", m{0: 0, 1: 6_000, 2: 12_000}, []float64{0, 1, 2}, []int{2}, nil},
		{"one fix alone", m{0: 0}, []float64{0}, []int{2}, nil},
		{"nothing", nil, nil, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := newEnv(t)
			for _, minute := range row.minutes {
				e.history.readings = append(e.history.readings, north(at(minute), row.fixes[minute]))
			}
			got := e.track("?zoom=22")
			var lines []int
			for i, c := range got.Geometry.Coordinates {
				lines = append(lines, len(c))
				if len(got.Properties.Times[i]) != len(c) {
					t.Errorf("%d times for %d vertices", len(got.Properties.Times[i]), len(c))
				}
			}
			var glitches []float64
			for _, g := range got.Properties.Glitches {
				glitches = append(glitches, g.At.Sub(at(0)).Minutes())
			}
			if fmt.Sprint(lines) != fmt.Sprint(row.lines) || fmt.Sprint(glitches) != fmt.Sprint(row.glitches) {
				t.Errorf("lines of %v vertices, glitches at %v; want %v, %v", lines, glitches, row.lines, row.glitches)
			}
			if got.Properties.GapS != 600 {
				t.Errorf("a gap of %v s", got.Properties.GapS)
			}
		})
	}
}

// TestSOSIsNeverSimplifiedAway: not on a straight line, not without a place, not
// where nobody can be.
func TestSOSIsNeverSimplifiedAway(t *testing.T) {
	e := newEnv(t)
	at := begin.Add(-time.Hour)
	for i := range 10 {
		r := north(at.Add(time.Duration(i)*time.Minute), float64(i)*60)
		switch i {
		case 3:
			r.Class, r.Code, r.Text = contract.SOS, "fall", "滚石"
		case 6:
			r.Class, r.Code = contract.Report, "smoke"
		}
		e.history.readings = append(e.history.readings, r)
	}
	nowhere := reading("t-yixian", contract.SOS, at.Add(10*time.Minute), contract.Active, 1)
	far := north(at.Add(11*time.Minute), 500_000)
	far.Class = contract.SOS
	e.history.readings = append(e.history.readings, nowhere, far)
	got := e.track("?zoom=0")
	if len(got.Geometry.Coordinates) != 1 || len(got.Geometry.Coordinates[0]) != 4 {
		t.Fatalf("lines %v, want both ends, the SOS and the report", got.Geometry.Coordinates)
	}
	if ms := got.Properties.Times[0][1]; ms != at.Add(3*time.Minute).UnixMilli() {
		t.Errorf("the second vertex is of %s", time.UnixMilli(ms))
	}
	marks := got.Properties.Marks
	if len(marks) != 4 || marks[0].Class != "sos" || marks[0].Text != "滚石" || marks[1].Code != "smoke" || marks[2].Lat != nil || marks[3].Lat == nil {
		t.Errorf("marks %+v", marks)
	}
}

// TestLongTracksArePagedThrough: more readings than one question gives, several
// of one time at its end.
func TestLongTracksArePagedThrough(t *testing.T) {
	e := newEnv(t)
	at := begin.Add(-20 * 24 * time.Hour)
	zigzag := func(n int) {
		for i := range n {
			e.history.readings = append(e.history.readings, north(at.Add(time.Duration(i/7)*20*time.Second), float64(i%2)*100))
		}
	}
	zigzag(25_000)
	from := "?zoom=22&from=" + at.Format(time.RFC3339)
	got := e.track(from)
	if p := got.Properties; p.Readings != 25_000 || p.Until != nil {
		t.Errorf("%d readings, %d vertices, until %v", p.Readings, p.Vertices, p.Until)
	}
	e.history.readings = nil
	zigzag(120_000)
	got = e.track(from)
	p := got.Properties
	if p.Until == nil || p.Readings < 99_000 || p.Readings > 110_000 {
		t.Fatalf("%d readings, until %v", p.Readings, p.Until)
	}
	rest := e.track("?zoom=22&from=" + p.Until.Format(time.RFC3339))
	if n := p.Readings + rest.Properties.Readings; n < 120_000 || n > 120_007 {
		t.Errorf("%d readings over both parts", n)
	}
}

func TestTrackQuestionsThatCannotBe(t *testing.T) {
	e := newEnv(t)
	for _, bad := range []string{"zoom=23", "zoom=-1", "zoom=x", "from=yesterday", "zoom=3&colour=red"} {
		e.get("yixian", "/devices/t-yixian/track?"+bad).problem(400, "invalid")
	}
	e.history.fail(errAway)
	secretless(t, e.get("yixian", "/devices/t-yixian/track").want(503).Body)
}
