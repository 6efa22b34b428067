package sample

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func TestTheSetHasTheSizesOfTheCase(t *testing.T) {
	r := Roster()
	count := map[string]int{}
	for _, a := range r.Areas {
		count["area "+string(a.Level)]++
		if a.Surveyed {
			t.Errorf("%s says that it is surveyed", a.Name)
		}
	}
	for _, x := range r.Teams {
		count["team "+string(x.Kind)]++
	}
	for _, d := range r.Devices {
		count[d.Kind.String()]++
		if d.Expect > 0 {
			count[d.Kind.String()+" on duty"]++
		}
	}
	for what, want := range map[string]int{
		"area city": 1, "area county": 9, "area township": 145, "team professional": 10, "team township": 118,
		"tracker": 11_000, "sensor": 3_000, "tracker on duty": 300, "sensor on duty": 120,
	} {
		if count[what] != want {
			t.Errorf("%s: %d, want %d", what, count[what], want)
		}
	}
	if !r.Demo {
		t.Error("the set is not marked as a demo")
	}
}

func outlines(t *testing.T, r alerts.Roster) map[string]orb.MultiPolygon {
	t.Helper()
	out := map[string]orb.MultiPolygon{}
	for _, a := range r.Areas {
		g, err := geojson.UnmarshalGeometry(a.Outline)
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		switch g := g.Geometry().(type) {
		case orb.Polygon:
			out[a.Code] = orb.MultiPolygon{g}
		case orb.MultiPolygon:
			out[a.Code] = g
		default:
			t.Fatalf("%s: outline is a %s", a.Name, g.GeoJSONType())
		}
	}
	return out
}

func TestEverythingLiesWhereItBelongs(t *testing.T) {
	r := Roster()
	areas := alerts.IndexAreas(r.Areas)
	lines := outlines(t, r)
	for _, a := range r.Areas {
		if !planar.MultiPolygonContains(lines[a.Code], orb.Point{a.Lon, a.Lat}) {
			t.Errorf("%s: its point lies outside", a.Name)
		}
		for _, p := range lines[a.Code] {
			if ring := p[0]; ring[0] != ring[len(ring)-1] || len(ring) < 4 || ring.Orientation() != orb.CCW {
				t.Errorf("%s: outline is no closed ring counter-clockwise (RFC 7946)", a.Name)
			}
		}
		if a.Level == alerts.City {
			continue
		}
		if _, ok := areas[a.Parent]; !ok || !areas.Within(a.Code, City) {
			t.Errorf("%s is not under the city", a.Name)
		}
		if a.Level == alerts.Township && !planar.MultiPolygonContains(lines[a.Parent], orb.Point{a.Lon, a.Lat}) {
			t.Errorf("%s lies outside %s", a.Name, areas[a.Parent].Name)
		}
	}
	teams := map[contract.TeamID]bool{}
	for _, x := range r.Teams {
		if _, ok := areas[x.Area]; !ok || x.ID.Validate() != nil || teams[x.ID] {
			t.Errorf("team %s", x.ID)
		}
		teams[x.ID] = true
	}
	devices := map[contract.DeviceID]bool{}
	for _, d := range r.Devices {
		if d.ID.Validate() != nil || devices[d.ID] || areas[d.Area].Level != alerts.Township {
			t.Errorf("device %s", d.ID)
		}
		devices[d.ID] = true
		if !planar.MultiPolygonContains(lines[d.Area], orb.Point{d.Lon, d.Lat}) {
			t.Errorf("device %s lies outside %s", d.ID, areas[d.Area].Name)
		}
	}
}

func TestThoseOnDutyAreInEveryTownship(t *testing.T) {
	onDuty := map[string]bool{}
	for _, d := range Roster().Devices {
		if d.Expect > 0 {
			onDuty[d.Area] = true
		}
	}
	for _, a := range Roster().Areas {
		if a.Level == alerts.Township && !onDuty[a.Code] {
			t.Errorf("nobody is on duty in %s", a.Name)
		}
	}
}

func TestTheSetIsTheSameAtEveryCall(t *testing.T) {
	a, b := Roster(), Roster()
	a.Devices[0].Name = "changed"
	if b.Devices[0].Name == "changed" || Roster().Devices[0].Name == "changed" {
		t.Error("callers share the set")
	}
	if !slices.Equal(b.Devices, Roster().Devices) {
		t.Error("two calls differ")
	}
}

func TestCodesAndNamesAreTheRealOnes(t *testing.T) {
	dir := os.Getenv("FIREWATCH_TESTDATA")
	if dir == "" {
		dir = "../../../../shared/testdata"
	}
	f, err := os.Open(filepath.Join(dir, "baoding", "townships_1306.csv"))
	if err != nil {
		t.Skipf("the real codes are not here (set FIREWATCH_TESTDATA): %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, r := range rows {
		names[r[2]] = r[3]
		names[r[0]] = r[1]
	}
	for _, a := range Roster().Areas {
		if a.Level != alerts.City && names[a.Code] != a.Name {
			t.Errorf("%s is %q, not %q", a.Code, names[a.Code], a.Name)
		}
	}
}
