package relay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/cap"
	"firewatch/alerts/relay"
)

func box(w, s, e, n float64) json.RawMessage {
	return fmt.Appendf(nil, `{"type":"Polygon","coordinates":[[[%g,%g],[%g,%g],[%g,%g],[%g,%g],[%g,%g]]]}`, w, s, e, s, e, n, w, n, w, s)
}

// roster is a county of four townships in a square of 0.2°, one of them without
// outline, beside a county of one.
func roster() []alerts.Area {
	return []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
		{Code: "130633101", Name: "西南", Parent: "130633", Lat: 39.05, Lon: 115.05, Outline: box(115, 39, 115.1, 39.1)},
		{Code: "130633102", Name: "东南", Parent: "130633", Lat: 39.05, Lon: 115.15, Outline: box(115.1, 39, 115.2, 39.1)},
		{Code: "130633103", Name: "西北", Parent: "130633", Lat: 39.15, Lon: 115.05, Outline: box(115, 39.1, 115.1, 39.2)},
		{Code: "130633104", Name: "东北", Parent: "130633", Lat: 39.15, Lon: 115.15},
		{Code: "130630", Name: "涞源县", Level: alerts.County, Parent: "130600"},
		{Code: "130630100", Name: "涞源镇", Parent: "130630", Lat: 39.35, Lon: 114.7, Outline: box(114.6, 39.3, 114.8, 39.4)},
	}
}

func ring(w, s, e, n float64) [][]cap.Point {
	return [][]cap.Point{{{Lat: s, Lon: w}, {Lat: s, Lon: e}, {Lat: n, Lon: e}, {Lat: n, Lon: w}, {Lat: s, Lon: w}}}
}

func circle(lat, lon, km float64) []cap.Circle {
	return []cap.Circle{{Centre: cap.Point{Lat: lat, Lon: lon}, RadiusKM: km}}
}

func TestPlaces(t *testing.T) {
	p := relay.NewPlaces(roster())
	for _, tt := range []struct {
		name  string
		block cap.Block
		want  []string
	}{
		{"by code", cap.Block{Codes: []string{"130633"}}, []string{"130633"}},
		{"a code comes before a polygon", cap.Block{Codes: []string{"130633"}, Polygons: ring(114.6, 39.3, 114.8, 39.4)}, []string{"130633"}},
		{"the code of a township that is not there", cap.Block{Codes: []string{"130633999"}}, []string{"130633"}},
		{"of a province", cap.Block{Codes: []string{"130000"}}, []string{"130600"}},
		{"of somewhere else", cap.Block{Codes: []string{"110000"}, Polygons: ring(115, 39, 115.2, 39.2)}, []string{"110000"}},
		{"by names", cap.Block{AreaDesc: "保定市易县、涞源县"}, []string{"130633", "130630"}},
		{"a corner of a polygon in a township", cap.Block{Polygons: ring(114.95, 38.95, 115.01, 39.01)}, []string{"130633101"}},
		{"a polygon through a township, no corner inside", cap.Block{Polygons: ring(114.95, 39.04, 115.05, 39.06)}, []string{"130633101"}},
		{"a stripe over two", cap.Block{Polygons: ring(114.95, 39.04, 115.25, 39.06)}, []string{"130633101", "130633102"}},
		{"a polygon inside a township", cap.Block{Polygons: ring(115.02, 39.02, 115.03, 39.03)}, []string{"130633101"}},
		{"a township inside a polygon", cap.Block{Polygons: ring(114.5, 39.25, 114.9, 39.45)}, []string{"130630"}},
		{"over all of a county", cap.Block{Polygons: ring(114.95, 38.95, 115.25, 39.25)}, []string{"130633"}},
		{"over everything", cap.Block{Polygons: ring(114, 38, 116, 40)}, []string{"130600"}},
		{"without outline its point counts", cap.Block{Polygons: ring(115.14, 39.14, 115.16, 39.16)}, []string{"130633104"}},
		{"a circle inside a township", cap.Block{Circles: circle(39.05, 115.05, 0.1)}, []string{"130633101"}},
		{"a circle of nothing", cap.Block{Circles: circle(39.05, 115.05, 0)}, []string{"130633101"}},
		{"a circle that reaches one from outside", cap.Block{Circles: circle(39.05, 114.98, 2)}, []string{"130633101"}},
		{"a circle that does not", cap.Block{Circles: circle(39.05, 114.98, 1.6)}, []string{""}},
		{"a circle round everything", cap.Block{Circles: circle(39.2, 115, 100)}, []string{"130600"}},
		{"beside all", cap.Block{Polygons: ring(110, 30, 111, 31)}, []string{""}},
		{"nothing is known", cap.Block{}, []string{""}},
	} {
		if got := p.Of(tt.block); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBadOutlinesAreNone(t *testing.T) {
	list := roster()
	for i := range list {
		list[i].Outline = json.RawMessage(`{"type":"Polygon","coordinates":[[]]}`)
	}
	list[2].Outline = json.RawMessage(`{"type":"Point"`)
	if got := relay.NewPlaces(list).Of(cap.Block{Polygons: ring(115.04, 39.04, 115.06, 39.06)}); !slices.Equal(got, []string{"130633101"}) {
		t.Errorf("got %v", got)
	}
}

// message is a warning of the given type and status with the infos.
func message(status, msgType, infos string) string {
	refs := ""
	if msgType != "Alert" {
		refs = "<references>s,h,2026-03-13T08:00:00+08:00</references>"
	}
	return `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>i</identifier><sender>s</sender><sent>2026-03-14T08:00:00+08:00</sent>` +
		`<status>` + status + `</status><msgType>` + msgType + `</msgType><scope>Public</scope>` + refs + infos + `</alert>`
}

func info(severity, times, area string) string {
	return "<info><language>zh-CN</language><category>Fire</category><event>森林火险</event><urgency>Expected</urgency><severity>" + severity +
		"</severity><certainty>Likely</certainty>" + times + "<area><areaDesc>" + area + "</areaDesc></area></info>"
}

func taken(t *testing.T, doc string) alerts.Warning {
	t.Helper()
	msg, err := cap.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	w, err := relay.Warning(relay.NewPlaces(roster()), msg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func utc(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestEachAreaHasItsOwnColourAndTimes(t *testing.T) {
	w := taken(t, message("Actual", "Alert",
		info("RED", "<expires>2026-03-14T20:00:00+08:00</expires>", "易县")+info("YELLOW", "<onset>2026-03-15T08:00:00+08:00</onset>", "涞源县")))
	want := []alerts.WarningBlock{
		{Area: "130633", AreaDesc: "易县", Level: alerts.Red, From: utc("2026-03-14T00:00:00Z"), To: utc("2026-03-14T12:00:00Z")},
		{Area: "130630", AreaDesc: "涞源县", Level: alerts.Yellow, From: utc("2026-03-15T00:00:00Z"), To: utc("2026-03-16T00:00:00Z")},
	}
	if !slices.Equal(w.Blocks, want) {
		t.Errorf("blocks %+v", w.Blocks)
	}
}

func TestTheFirstBlockMayBeTomorrows(t *testing.T) {
	w := taken(t, message("Actual", "Alert",
		info("RED", "<onset>2026-03-15T08:00:00+08:00</onset><expires>2026-03-15T20:00:00+08:00</expires>", "易县")+
			info("BLUE", "<onset>2026-03-14T08:00:00+08:00</onset><expires>2026-03-15T08:00:00+08:00</expires>", "易县")))
	areas := alerts.IndexAreas(roster())
	for at, want := range map[string]alerts.Severity{
		"2026-03-14T10:00:00+08:00": alerts.Blue, "2026-03-15T10:00:00+08:00": alerts.Red, "2026-03-15T21:00:00+08:00": alerts.Notice,
	} {
		if got := w.LevelAt(areas, "130633101", utc(at)); got != want {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
}

func TestExpiresIsNotTheEnd(t *testing.T) {
	areas := alerts.IndexAreas(roster())
	const expires = "<onset>2026-03-15T08:00:00+08:00</onset><expires>2026-03-14T20:00:00+08:00</expires>"
	for name, doc := range map[string]string{
		"the message lapses before the wind comes": message("Actual", "Alert", info("RED", expires, "易县")),
		"its end is named": message("Actual", "Alert", strings.Replace(info("RED", expires, "易县"), "<area>",
			"<parameter><valueName>eventEndingTime</valueName><value>2026-03-15T20:00:00+08:00</value></parameter><area>", 1)),
	} {
		w := taken(t, doc)
		if l := w.LevelAt(areas, "130633101", utc("2026-03-15T10:00:00+08:00")); l != alerts.Red {
			t.Errorf("%s: %v while it blows", name, l)
		}
	}
}

func TestDrillsAndTestsNeverWarn(t *testing.T) {
	areas := alerts.IndexAreas(roster())
	for _, status := range []string{"Exercise", "Test", "System", "Draft"} {
		w := taken(t, message(status, "Alert", info("RED", "", "易县")))
		if l := w.LevelAt(areas, "130633101", utc("2026-03-14T10:00:00+08:00")); l != alerts.Notice {
			t.Errorf("%s counts: %v", status, l)
		}
	}
	if l := alerts.Severity(0); l != alerts.Notice {
		t.Fatal("the test does not see what it should")
	}
	w := taken(t, message("Actual", "Alert", info("RED", "", "易县")))
	if l := w.LevelAt(areas, "130633101", utc("2026-03-14T10:00:00+08:00")); l != alerts.Red {
		t.Errorf("Actual does not count: %v", l)
	}
}

func TestWhatIsRefused(t *testing.T) {
	p := relay.NewPlaces(roster())
	for _, kind := range []string{"Alert", "Update"} {
		msg, err := cap.Parse([]byte(message("Actual", kind, "")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := relay.Warning(p, msg); !errors.Is(err, relay.ErrNoInfo) {
			t.Errorf("%s without info: %v", kind, err)
		}
	}
	if w := taken(t, message("Actual", "Cancel", "")); len(w.References) != 1 || w.Blocks != nil {
		t.Errorf("cancel %+v", w)
	}
	var many cap.Alert
	for i := range relay.MaxBlocks + 1 {
		many.Infos = append(many.Infos, cap.Info{Onset: time.Unix(int64(i), 0)})
	}
	many.MsgType = "Alert"
	if _, err := relay.Warning(p, &many); !errors.Is(err, relay.ErrTooMany) {
		t.Errorf("too many blocks: %v", err)
	}
}
