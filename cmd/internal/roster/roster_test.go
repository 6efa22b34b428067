package roster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"firewatch/alerts"
	"firewatch/cmd/internal/roster"
	"firewatch/cmd/internal/sample"
	contract "firewatch/firmware-contracts"
)

const (
	goodAreas = `{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"code":"130600","name":"保定市","level":"city","parent":"","lat":38.9,"lon":115.4},"geometry":null},
{"type":"Feature","properties":{"code":"130624","name":"阜平县","level":"county","parent":"130600","surveyed":true},
 "geometry":{"type":"Polygon","coordinates":[[[114,38.7],[114.4,38.7],[114.4,39],[114,39],[114,38.7]]]}},
{"type":"Feature","properties":{"code":"130624100","name":"阜平镇","level":"township","parent":"130624","lat":38.85,"lon":114.2,"surveyed":false},"geometry":null}
]}`
	goodTeams   = "id,name,kind,area,lat,lon,members,contact,phone\nT1,阜平镇扑火队,township,130624100,38.85,114.19,15,王,0312-1\n"
	goodDevices = "id,kind,area,name,phone,lat,lon,expect_s,disabled\ns-1,sensor,130624100,北山,,38.86,114.21,60,false\nt-1,tracker,130624100,李建国,139,,,,\n"
)

func folder(areas, teams, devices string) fstest.MapFS {
	return fstest.MapFS{
		"areas.geojson": {Data: []byte(areas)}, "teams.csv": {Data: []byte(teams)}, "devices.csv": {Data: []byte(devices)},
	}
}

func TestRead(t *testing.T) {
	r, err := roster.Read(folder(goodAreas, goodTeams, goodDevices))
	if err != nil {
		t.Fatal(err)
	}
	want := alerts.Roster{
		Areas: []alerts.Area{
			{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.9, Lon: 115.4},
			{
				Code: "130624", Name: "阜平县", Level: alerts.County, Parent: "130600", Lat: 38.85, Lon: 114.2, Surveyed: true,
				Outline: json.RawMessage(`{"type":"Polygon","coordinates":[[[114,38.7],[114.4,38.7],[114.4,39],[114,39],[114,38.7]]]}`),
			},
			{Code: "130624100", Name: "阜平镇", Level: alerts.Township, Parent: "130624", Lat: 38.85, Lon: 114.2},
		},
		Teams: []alerts.Team{{
			ID: "T1", Name: "阜平镇扑火队", Kind: alerts.TownshipTeam, Area: "130624100", Lat: 38.85, Lon: 114.19, Members: 15, Contact: "王", Phone: "0312-1",
		}},
		Devices: []alerts.Device{
			{ID: "s-1", Kind: contract.Sensor, Area: "130624100", Name: "北山", Lat: 38.86, Lon: 114.21, Expect: time.Minute},
			{ID: "t-1", Kind: contract.Tracker, Area: "130624100", Name: "李建国", Phone: "139", Lat: 38.85, Lon: 114.2, Expect: 5 * time.Minute},
		},
	}
	if d := cmp.Diff(want, r, cmpopts.EquateApprox(0, 1e-9)); d != "" {
		t.Error(d)
	}
}

func TestChineseHeadersInAnyOrderFromExcel(t *testing.T) {
	areas := "上级代码,名称,级别,区划代码,经度,纬度\n,保定市,市,130600,115.4,38.9\n130600,阜平县,县,130624,114.2,38.85\n"
	teams := "联系电话,队伍名称,类型,区划代码,队伍编号,人数,密钥\n0312-2,阜平专业队,专业,'130624,P1,30,\n"
	devices := "姓名,类型,设备编号,区划代码,上报间隔（秒）,停用,密钥\n张三,护林员,t-9,130624,90,否,0123456789abcdef\n"
	gbk := func(s string) []byte {
		b, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, enc := range map[string]func(string) []byte{
		"UTF-8": func(s string) []byte { return []byte(s) },
		"BOM":   func(s string) []byte { return []byte("\ufeff" + strings.ReplaceAll(s, "\n", "\r\n")) },
		"GBK":   gbk,
	} {
		r, err := roster.Read(fstest.MapFS{"areas.csv": {Data: enc(areas)}, "teams.csv": {Data: enc(teams)}, "devices.csv": {Data: enc(devices)}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Areas[1].Parent != "130600" || r.Teams[0].Kind != alerts.Professional || r.Teams[0].Lat != 38.85 || r.Devices[0].Name != "张三" ||
			r.Devices[0].Expect != 90*time.Second || r.Teams[0].SecretHash != "" {
			t.Errorf("%s: %+v", name, r)
		}
		if h := r.Devices[0].SecretHash; strings.Contains(h, "0123456789abcdef") || !roster.CheckSecret(h, []byte("0123456789abcdef")) {
			t.Errorf("%s: secret is %q", name, h)
		}
	}
}

// TestEverythingWrongIsSaidAtOnce has faults in all three files.
func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	areas := `{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"code":"130600","name":"保定市","level":"city","parent":"","lat":115.4,"lon":38.9},"geometry":null},
{"type":"Feature","properties":{"code":"13062","name":"","level":"county","parent":"130600","lat":38.9,"lon":115},"geometry":null},
{"type":"Feature","properties":{"code":"130633","name":"易县","level":"county","parent":"130699","lat":38.9,"lon":115},"geometry":{"type":"Point","coordinates":[115,39]}},
{"type":"Feature","properties":{"code":"130633","name":"易县","level":"county","parent":"","lat":38.9},"geometry":null},
{"type":"Feature","properties":{"code":130633,"name":"易县"},"geometry":null},
{"type":"Feature","properties":{"code":"130633101","name":"西陵镇","level":"town","parent":"130600"},"geometry":{"type":"Polygon","coordinates":[[[39,115],[39,116],[38,116],[39,115]]]}},
{"type":"Feature","properties":{"code":"130633102","name":"甲","level":"township","parent":"130633103"},"geometry":{"type":"Polygon","coordinates":[[[115,39],[116,39],[116,38]]]}},
{"type":"Feature","properties":{"code":"130633103","name":"乙","level":"township","parent":"130600","lat":39,"lon":115},"geometry":null}
]}`
	teams := "id,name,kind,area,lat,lon,members,phone\n" +
		"T 1,甲,village,130633,38.9,115.1,15,1\n" + // 2
		",乙,township,130999,38.9,115.1,many,1\n" + // 3
		"T3,,township,130633,38.9,,1.5,1.38E+10\n" + // 4
		"T3,丙,township,130633,38.9,115.1,-1,1\n" + // 5
		"T4,丁,township,130633,,,,,,?\n" // 6
	devices := "id,kind,area,lat,lon,expect_s,disabled,secret\n" +
		"s-1,car,1.30633E+08,116,39,60,maybe,short\n" + // 2
		"\n" + // 3: blank lines are nothing
		"s-2,sensor,130633,51.5,-0.1,-5,,longer-than-8\n" + // 4
		"s-2,sensor,,38.x,115,6e9,,\n" // 5
	_, err := roster.Read(folder(areas, teams, devices))
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`areas.geojson: feature 1 \(130600\): lat, lon: .*swapped`,
		`areas.geojson: feature 2 \(13062\): name: is empty`,
		`areas.geojson: feature 2 \(13062\): code: .*6 digits`,
		`areas.geojson: feature 3 \(130633\): geometry: is a Point`,
		`areas.geojson: feature 3 \(130633\): parent: no area has the code "130699"`,
		`areas.geojson: feature 4 \(130633\): lat, lon: only one`,
		`areas.geojson: feature 4 \(130633\): code 130633 stands already in .*feature 3`,
		`areas.geojson: feature 4 \(130633\): parent: is empty`,
		`areas.geojson: feature 5: .*code`,
		`areas.geojson: feature 6 \(130633101\): geometry: .*swapped`,
		`areas.geojson: feature 6 \(130633101\): level: "town"`,
		`areas.geojson: feature 7 \(130633102\): geometry: .*not closed`,
		`areas.geojson: feature 7 \(130633102\): parent: 130633103 is a township`,
		`teams.csv:2: id: .*byte 1`,
		`teams.csv:2: kind: "village"`,
		`teams.csv:3: id: .*empty`,
		`teams.csv:3: members: "many" is not a number`,
		`teams.csv:3: area: no area has the code "130999"`,
		`teams.csv:4: name: is empty`,
		`teams.csv:4: members: 1.5 is not a whole number`,
		`teams.csv:4: lat, lon: only one`,
		`teams.csv:4: phone: .*spreadsheet`,
		`teams.csv:5: id: T3 stands already in teams.csv:4`,
		`teams.csv:5: members: -1 is outside`,
		`teams.csv:6: has 10 fields, the header has 8`,
		`devices.csv:2: kind: "car"`,
		`devices.csv:2: area: "1.30633E\+08".*spreadsheet`,
		`devices.csv:2: area: is empty`,
		`devices.csv:2: lat, lon: 116, 39 are swapped`,
		`devices.csv:2: disabled: "maybe"`,
		`devices.csv:2: secret: has fewer`,
		`devices.csv:4: lat, lon: 51.5, -0.1 is not in China`,
		`devices.csv:4: expect_s: -5 is outside`,
		`devices.csv:5: id: s-2 stands already in devices.csv:4`,
		`devices.csv:5: lat: "38.x" is not a number`,
		`devices.csv:5: expect_s: 6e9 is outside`,
		`devices.csv:5: area: is empty`,
	} {
		re := regexp.MustCompile("^" + want)
		found := false
		for i, line := range got {
			if re.MatchString(line) {
				got = append(got[:i], got[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			t.Errorf("no error like %s", want)
		}
	}
	for _, line := range got {
		t.Errorf("unexpected: %s", line)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		fs   fstest.MapFS
		want []string
	}{
		"empty folder": {fstest.MapFS{}, []string{"areas.geojson: is missing", "teams.csv: is missing", "devices.csv: is missing"}},
		"both areas": {
			fstest.MapFS{"areas.csv": {}, "areas.geojson": {}, "teams.csv": {Data: []byte(goodTeams)}, "devices.csv": {Data: []byte(goodDevices)}},
			[]string{"areas.csv: stands beside"},
		},
		"empty table":   {folder(goodAreas, "", goodDevices), []string{"teams.csv: is empty"}},
		"column":        {folder(goodAreas, "id,name,area,colour\n", goodDevices), []string{`teams.csv:1: column "colour" is not known`, "teams.csv:1: column kind（类型） is missing"}},
		"twice":         {folder(goodAreas, "id,编号,name,kind,area\n", goodDevices), []string{"teams.csv:1: column id stands twice"}},
		"JSON":          {folder("{\n\"type\": \"FeatureCollection\",\n,}", goodTeams, goodDevices), []string{"areas.geojson:3: is not GeoJSON"}},
		"other JSON":    {folder(`{"type":"Topology"}`, goodTeams, goodDevices), []string{"want a FeatureCollection"}},
		"UTF-16":        {folder(goodAreas, "\xff\xfei\x00d\x00", goodDevices), []string{"teams.csv: is UTF-16", "CSV UTF-8"}},
		"broken UTF-8":  {folder(goodAreas, goodTeams+"T2,阜平县城厢扑火\xe9,township,130624,,,,,\n", goodDevices), []string{"teams.csv: is not UTF-8"}},
		"quotes":        {folder(goodAreas, goodTeams+"T2,\"a\"b,township,130624,,,,,\n", goodDevices), []string{"teams.csv:3: column"}},
		"line break":    {folder(goodAreas, goodTeams+"T2,\"a\nb\",township,130624,,,,,\n", goodDevices), []string{"teams.csv:3: name: "}},
		"no outline":    {folder(`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"130600","name":"a","level":"city"},"geometry":null}]}`, "id,name,kind,area\n", "id,kind,area\n"), []string{"neither lat and lon nor a geometry"}},
		"only a header": {folder(goodAreas, "id,name,kind,area\n", "id,kind,area\n"), nil},
	} {
		_, err := roster.Read(c.fs)
		if err == nil && c.want == nil {
			continue
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error is %v, want %s", name, err, want)
			}
		}
		if c.want == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManyErrorsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,kind,area\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "d-%d,car,130624\n", i)
	}
	_, err := roster.Read(folder(goodAreas, goodTeams, b.String()))
	if err == nil || strings.Count(err.Error(), "\n") != 1000 || !strings.Contains(err.Error(), "and 4000 more") {
		t.Errorf("%d lines", strings.Count(fmt.Sprint(err), "\n"))
	}
}

func TestSampleSetComesBack(t *testing.T) {
	set := sample.Roster()
	set.Devices[0].SecretHash = "sha256:00:11"
	dir := t.TempDir()
	if err := roster.Write(dir, set); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"teams.csv", "devices.csv", "areas.geojson"} {
		raw, err := os.ReadFile(dir + "/" + name)
		if err != nil || strings.Contains(string(raw), "sha256") || strings.Contains(string(raw), "secret") {
			t.Errorf("%s: %v, or it holds a credential", name, err)
		}
	}
	again, err := roster.Read(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	set.Devices[0].SecretHash = ""
	if d := cmp.Diff(set, again, cmpopts.EquateEmpty()); d != "" {
		t.Error(d[:min(len(d), 2000)])
	}
}

func TestWriteThenRead(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRoster(t)
		if err := roster.Write(dir, r); err != nil {
			t.Fatal(err)
		}
		again, err := roster.Read(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func anyRoster(t *rapid.T) alerts.Roster {
	text := rapid.Custom(func(t *rapid.T) string {
		s := rapid.StringOfN(rapid.RuneFrom([]rune(`甲乙丙丁,";'ab 1|<&-=+@`)), 0, 12, -1).Draw(t, "text")
		return strings.TrimSpace(s)
	})
	word := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`)
	lat, lon := rapid.Float64Range(3, 54), rapid.Float64Range(73, 136)
	r := alerts.Roster{Demo: rapid.Bool().Draw(t, "demo")}
	r.Areas = append(r.Areas, alerts.Area{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.9, Lon: 115.4, Surveyed: true})
	n := rapid.IntRange(1, 5).Draw(t, "areas")
	for i := range n {
		a := alerts.Area{
			Code: fmt.Sprintf("1306%02d", 20+i), Name: "n" + text.Draw(t, "name"), Level: alerts.County, Parent: "130600",
			Lat: lat.Draw(t, "lat"), Lon: lon.Draw(t, "lon"), Surveyed: rapid.Bool().Draw(t, "surveyed"),
		}
		a.Name = strings.TrimSpace(a.Name)
		if rapid.Bool().Draw(t, "outlined") {
			x, y := rapid.Float64Range(80, 130).Draw(t, "x"), rapid.Float64Range(10, 50).Draw(t, "y")
			p, _ := json.Marshal([][][2]float64{{{x, y}, {x + 1, y}, {x, y + 1}, {x, y}}})
			a.Outline = json.RawMessage(`{"type":"Polygon","coordinates":` + string(p) + `}`)
		}
		r.Areas = append(r.Areas, a)
		r.Areas = append(r.Areas, alerts.Area{
			Code: a.Code + "101", Name: "镇", Level: alerts.Township, Parent: a.Code, Lat: a.Lat, Lon: a.Lon,
		})
	}
	area := rapid.Custom(func(t *rapid.T) string { return r.Areas[rapid.IntRange(0, 2*n).Draw(t, "area")].Code })
	for _, id := range rapid.SliceOfNDistinct(word, 0, 6, rapid.ID).Draw(t, "teams") {
		r.Teams = append(r.Teams, alerts.Team{
			ID: contract.TeamID(id), Name: strings.TrimSpace("队" + text.Draw(t, "name")), Kind: rapid.SampledFrom([]alerts.TeamKind{alerts.Professional, alerts.TownshipTeam}).Draw(t, "kind"),
			Area: area.Draw(t, "of"), Lat: lat.Draw(t, "lat"), Lon: lon.Draw(t, "lon"), Members: rapid.IntRange(0, 100).Draw(t, "members"),
			Contact: text.Draw(t, "contact"), Phone: rapid.StringMatching(`[0-9+ -]{0,14}[0-9]`).Draw(t, "phone"),
		})
	}
	for i := range r.Teams {
		r.Teams[i].Phone = strings.TrimSpace(r.Teams[i].Phone)
	}
	for i, id := range rapid.SliceOfNDistinct(word, 0, 6, rapid.ID).Draw(t, "devices") {
		alias, calibrated := "", time.Time{}
		kind := rapid.SampledFrom([]contract.Kind{contract.Tracker, contract.Sensor}).Draw(t, "kind")
		if kind == contract.Tracker && rapid.Bool().Draw(t, "phone") {
			alias = fmt.Sprintf("owntracks/%s/%d", id, i)
		}
		if rapid.Bool().Draw(t, "was calibrated") {
			calibrated = time.UnixMilli(rapid.Int64Range(1_600_000_000_000, 1_700_000_000_000).Draw(t, "at")).UTC()
		}
		r.Devices = append(r.Devices, alerts.Device{
			ID: contract.DeviceID(id), Kind: kind,
			Area: area.Draw(t, "of"), Name: text.Draw(t, "name"), Lat: lat.Draw(t, "lat"), Lon: lon.Draw(t, "lon"),
			Expect: time.Duration(rapid.IntRange(0, 86_400_000).Draw(t, "ms")) * time.Millisecond, Disabled: rapid.Bool().Draw(t, "disabled"),
			Site: text.Draw(t, "site"), Model: word.Draw(t, "model"), Firmware: word.Draw(t, "firmware"), Alias: alias,
			Calibration: rapid.SampledFrom(alerts.Calibrations).Draw(t, "calibration"), CalibratedAt: calibrated,
		})
	}
	return r
}

// FuzzRead must neither panic nor return a roster with an error.
func FuzzRead(f *testing.F) {
	f.Add([]byte(goodAreas), []byte(goodTeams), []byte(goodDevices))
	f.Add([]byte(`{"type":"FeatureCollection","features":[null,{}]}`), []byte("编号\n\xb1\xe0"), []byte("id,kind,area\n\"\n"))
	f.Fuzz(func(t *testing.T, areas, teams, devices []byte) {
		fsys := fstest.MapFS{"areas.geojson": {Data: areas}, "teams.csv": {Data: teams}, "devices.csv": {Data: devices}}
		r, err := roster.Read(fsys)
		if err != nil {
			if len(r.Areas)+len(r.Teams)+len(r.Devices) != 0 {
				t.Error("an error and a roster")
			}
			return
		}
		for _, d := range r.Devices {
			if d.ID.Validate() != nil || d.Area == "" {
				t.Errorf("device %+v", d)
			}
		}
	})
}

func TestWriteSaysWhereItCannot(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var path *os.PathError
	if err := roster.Write(file, alerts.Roster{}); !errors.As(err, &path) {
		t.Error(err)
	}
}
