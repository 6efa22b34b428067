package roster_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"firewatch/alerts"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
)

// office is what an office has before it imports.
func office() alerts.Roster {
	return alerts.Roster{
		Areas: []alerts.Area{
			{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.9, Lon: 115.4},
			{Code: "130624", Name: "阜平县", Level: alerts.County, Parent: "130600", Lat: 38.85, Lon: 114.2, Outline: []byte(`{"type":"Polygon"}`), Surveyed: true},
		},
		Devices: []alerts.Device{
			{
				ID: "s-1", Kind: contract.Sensor, Area: "130624", Name: "北山", Site: "塔顶", Phone: "0312", Lat: 38.86, Lon: 114.21, Expect: time.Minute,
				Model: "s2120", Alias: "chirpstack/24e124136b323456", Firmware: "1.4", Calibration: alerts.Calibrated,
				CalibratedAt: time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC), SecretHash: "sha256:00:11",
			},
			{ID: "t-1", Kind: contract.Tracker, Area: "130624", Name: "李建国", Alias: "owntracks/li/phone", Lat: 38.8, Lon: 114.1},
		},
	}
}

func TestATableOfDevicesChangesWhatItNames(t *testing.T) {
	have := office()
	got, _, faults := roster.ReadDevices(roster.FormatCSV, "devices.csv", []byte(
		"设备编号,安装位置,校准状态,类型,区划代码\ns-1,,待校准,sensor,130624\ns-2,新站,,传感器,130624\n"), have)
	if faults != nil {
		t.Fatal(faults)
	}
	changed := have.Devices[0]
	changed.Site, changed.Calibration, changed.SecretHash = "", alerts.CalibrationDue, ""
	added := alerts.Device{ID: "s-2", Kind: contract.Sensor, Area: "130624", Site: "新站", Lat: 38.85, Lon: 114.2, Expect: 5 * time.Minute}
	if d := cmp.Diff([]alerts.Device{changed, added}, got); d != "" {
		t.Error(d)
	}
	p := alerts.PlanDevices(have.Devices, got, false)
	if len(p.Add) != 1 || len(p.Remove) != 0 || p.Unchanged != 1 || !slices.Equal(p.Changed["s-1"], []string{"site", "calibration"}) {
		t.Errorf("%+v", p)
	}
	if p = alerts.PlanDevices(have.Devices, got, true); !slices.Equal(p.Remove, []contract.DeviceID{"t-1"}) || p.Unchanged != 0 {
		t.Errorf("%+v", p)
	}
	// An old export, without the newer columns, takes nothing away.
	r, err := roster.ReadOver(folder(goodAreas, goodTeams, "id,kind,area,name\ns-1,sensor,130624100,新名\n"), have)
	if err != nil || r.Devices[0].Alias != have.Devices[0].Alias || r.Devices[0].Name != "新名" || r.Devices[0].Expect != time.Minute {
		t.Errorf("%+v, %v", r.Devices, err)
	}
}

func TestFaultsOfDevicesNameRowAndColumn(t *testing.T) {
	table := "id,kind,area,phone,alias,calibration,calibrated_at,model\n" +
		"t-1,sensor,130624,,,,,\n" + // 2
		"x-1,,,1.3E+10,owntracks/li,good,yesterday," + strings.Repeat("m", 41) + "\n" + // 3
		"x-2,sensor,130699,,CHIRPSTACK/24-e124136b323456,,1970-01-01,\n" + // 4
		"x-2,sensor,130624,,,,2199-01-01,\n" + // 5
		"a b,sensor,130624,,,,\n" // 6
	_, _, faults := roster.ReadDevices(roster.FormatCSV, "", []byte(table), office())
	want := []string{
		"2 kind", "3 kind", "3 area", "3 phone", "3 alias", "3 calibration", "3 calibrated_at", "3 model",
		"4 area", "4 alias", "4 calibrated_at", "5 id", "5 calibrated_at", "6 id",
	}
	for _, f := range faults {
		place := fmt.Sprintf("%d %s", f.Row, f.Column)
		i := slices.Index(want, place)
		if i < 0 || f.Message == "" {
			t.Errorf("unexpected: %s %s", place, f.Message)
			continue
		}
		want = slices.Delete(want, i, i+1)
	}
	if len(want) != 0 {
		t.Errorf("nothing about %v", want)
	}
}

// TestAHiddenSheetIsNotRead: what nobody sees is not what anybody imports.
func TestAHiddenSheetIsNotRead(t *testing.T) {
	hide := func(x *excelize.File, sheets ...string) {
		for _, s := range sheets {
			if err := x.SetSheetVisible(s, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill := func(x *excelize.File, sheet, id string) {
		if _, err := x.NewSheet(sheet); err != nil {
			t.Fatal(err)
		}
		for cell, v := range map[string]string{"A1": "id", "B1": "kind", "C1": "area", "A2": id, "B2": "sensor", "C2": "130624"} {
			if err := x.SetCellValue(sheet, cell, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, row := range map[string]struct {
		change func(x *excelize.File)
		want   string // sheet and id, or the fault
	}{
		"both names": {func(x *excelize.File) { fill(x, "devices", "old"); fill(x, "设备", "new"); hide(x, "devices") }, "设备 new"},
		"one that is seen": {func(x *excelize.File) {
			fill(x, "my list", "new")
			x.SetActiveSheet(1) // the active one cannot be hidden
			fill(x, "devices", "old")
			hide(x, "Sheet1", "devices")
		}, "my list new"},
		"none that is seen": {
			func(x *excelize.File) { fill(x, "设备", "old"); fill(x, "b", "b"); hide(x, "设备") },
			"x.xlsx has no sheet devices（设备） that is shown; hidden sheets are not read: 设备",
		},
	} {
		raw := workbook(t, func(_ func(string, any), x *excelize.File) { row.change(x) })
		ds, sheet, faults := roster.ReadDevices(roster.FormatXLSX, "x.xlsx", raw, office())
		got := sheet
		for _, f := range faults {
			got += f.Sheet + " " + f.Message
		}
		for _, d := range ds {
			got += " " + string(d.ID)
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestTablesAsPeopleSaveThem(t *testing.T) {
	for name, table := range map[string]string{
		"short rows": "id,kind,area,name,phone\ns-9,sensor,130624\ns-10,sensor,130624,北山\n",
		"long rows":  "id,kind,area,name\ns-9,sensor,130624,,,\ns-10,sensor,130624,北山, \n",
		"semicolons": "\ufeffid;kind;area;name\r\ns-9;sensor;130624\r\ns-10;sensor;130624;北山\r\n",
		"tabs":       "\nid\tkind\tarea\tname\ns-9\tsensor\t130624\t\ns-10\tsensor\t130624\t北山\n",
		"as it is":   "id,kind,area,name\ns-9,sensor,130624,\ns-10,sensor,130624,北山\n",
	} {
		ds, _, faults := roster.ReadDevices(roster.FormatCSV, "", []byte(table), office())
		if faults != nil || len(ds) != 2 || ds[0].Name != "" || ds[1].Name != "北山" || ds[1].Area != "130624" {
			t.Errorf("%s: %+v, %+v", name, ds, faults)
		}
	}
	_, _, faults := roster.ReadDevices(roster.FormatCSV, "", []byte("id,kind,area\ns-9,sensor,130624,?\nx\n"), office())
	if len(faults) < 2 || faults[0].Row != 2 || !strings.Contains(faults[0].Message, "has 4 fields, the header has 3") || faults[1].Row != 3 {
		t.Errorf("%+v", faults)
	}
}

// TestABadSiteOfTheRegistryComesBack: one device that was stored with a site
// that cannot be must not keep its office from importing its own export.
func TestABadSiteOfTheRegistryComesBack(t *testing.T) {
	have := office()
	have.Devices[0].Lat, have.Devices[0].Lon = 95, 1000
	have.Devices[1].Lat, have.Devices[1].Lon = 39.5, 0
	have.Devices = append(have.Devices, alerts.Device{ID: "t-2", Kind: contract.Tracker, Area: "130624"})
	for _, format := range []string{roster.FormatCSV, roster.FormatXLSX} {
		raw, err := roster.WriteDevices(format, have.Devices)
		if err != nil {
			t.Fatal(err)
		}
		got, _, faults := roster.ReadDevices(format, "", raw, have)
		if faults != nil {
			t.Fatalf("%s: %+v", format, faults)
		}
		if p := alerts.PlanDevices(have.Devices, got, true); p.Unchanged != len(have.Devices) {
			t.Errorf("%s: %+v", format, p)
		}
		// Another office does not have them.
		_, _, faults = roster.ReadDevices(format, "", raw, alerts.Roster{Areas: have.Areas})
		if len(faults) != 2 || faults[0].Column != "lat, lon" || faults[1].Column != "lat, lon" {
			t.Errorf("%s: %+v", format, faults)
		}
	}
	_, _, faults := roster.ReadDevices(roster.FormatCSV, "", []byte("id,lat,lon\ns-1,95,1001\n"), have)
	if len(faults) != 1 || !strings.Contains(faults[0].Message, "not in China") {
		t.Errorf("another bad site: %+v", faults)
	}
	got, _, faults := roster.ReadDevices(roster.FormatCSV, "", []byte("id,lat,lon\ns-1,0,0\n"), have)
	if faults != nil || got[0].Lat != 38.85 || got[0].Lon != 114.2 {
		t.Errorf("no site of its own: %+v, %+v", got, faults)
	}
}

func TestWhatNoRegistryTakes(t *testing.T) {
	_, _, faults := roster.ReadDevices(roster.FormatCSV, "", []byte(
		"id,kind,area,alias\ns-9,sensor,130624,owntracks/a/b\ns-1,sensor,130624,OwnTracks/a/c\nexport,tracker,130624,\n"), office())
	if len(faults) != 3 || !errorsAt(faults, "2 alias", "3 alias", "4 id") {
		t.Errorf("%+v", faults)
	}
}

func errorsAt(faults []alerts.RowFault, places ...string) bool {
	for i, f := range faults {
		if fmt.Sprint(f.Row, " ", f.Column) != places[i] {
			return false
		}
	}
	return true
}

// workbook is a file as a person makes it: change gets the sheet Sheet1.
func workbook(tb testing.TB, change func(set func(cell string, v any), x *excelize.File)) []byte {
	tb.Helper()
	x := excelize.NewFile()
	defer x.Close()
	change(func(cell string, v any) {
		tb.Helper()
		if err := x.SetCellValue("Sheet1", cell, v); err != nil {
			tb.Fatal(err)
		}
	}, x)
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func header(set func(string, any)) {
	for cell, name := range map[string]string{"A1": "设备编号", "B1": "类型", "C1": "区划代码", "D1": "电话", "E1": "纬度", "F1": "经度", "G1": "停用", "H1": "校准日期", "I1": "名称"} {
		set(cell, name)
	}
}

// TestWhatASpreadsheetMakesOfValues: numbers where texts belong are read to the
// last digit, dates and yes or no as what they mean.
func TestWhatASpreadsheetMakesOfValues(t *testing.T) {
	raw := workbook(t, func(set func(string, any), x *excelize.File) {
		header(set)
		set("A3", 862538041234567) // a line is empty before it
		set("B3", "传感器")
		set("C3", 130624)
		set("D3", 13800138000.0)
		set("E3", 38.86)
		set("F3", "114.21")
		set("G3", true)
		set("H3", time.Date(2026, 3, 14, 8, 30, 0, 0, time.UTC))
		if err := x.SetCellFormula("Sheet1", "I3", `"北"&"山"`); err != nil {
			t.Fatal(err)
		}
	})
	// Excel saves what it has computed beside the formula.
	raw = rezip(t, raw, func(name string, b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(`</f>`), []byte(`</f><v>北山</v>`))
	})
	raw = rezip(t, raw, func(name string, b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(`<c r="I3">`), []byte(`<c r="I3" t="str">`))
	})
	got, _, faults := roster.ReadDevices(roster.FormatXLSX, "x.xlsx", raw, office())
	if faults != nil {
		t.Fatal(faults)
	}
	want := []alerts.Device{{
		ID: "862538041234567", Kind: contract.Sensor, Area: "130624", Phone: "13800138000", Lat: 38.86, Lon: 114.21, Disabled: true, Name: "北山",
		Expect: 5 * time.Minute, CalibratedAt: time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC),
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatASpreadsheetHasSpoilt(t *testing.T) {
	for name, row := range map[string]struct {
		change func(set func(string, any), x *excelize.File)
		want   string
	}{
		"an id of 19 digits":   {func(set func(string, any), _ *excelize.File) { set("A2", 8986011234567890123) }, "Sheet1!2: id: .*spreadsheet"},
		"an id became a date":  {func(set func(string, any), _ *excelize.File) { set("A2", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) }, "Sheet1!2: id: was made a date"},
		"a formula, no value":  {func(_ func(string, any), x *excelize.File) { _ = x.SetCellFormula("Sheet1", "D2", "1+1") }, "Sheet1!2: phone: is a formula"},
		"a date of no date":    {func(set func(string, any), _ *excelize.File) { set("H2", "soon") }, "Sheet1!2: calibrated_at: "},
		"one field too many":   {func(set func(string, any), _ *excelize.File) { set("K2", "?") }, "Sheet1!2: .*has 11 fields"},
		"far too many columns": {func(set func(string, any), _ *excelize.File) { set("XFD2", "?") }, "Sheet1!2: .*more than 100 columns"},
		"far too many lines":   {func(set func(string, any), _ *excelize.File) { set("A200000", "?") }, "more than 100000 lines"},
		"an unknown column":    {func(set func(string, any), _ *excelize.File) { set("J1", "颜色") }, `Sheet1!1: .*"颜色" is not known`},
		"several sheets":       {func(_ func(string, any), x *excelize.File) { _, _ = x.NewSheet("其他") }, "x.xlsx: .*has no sheet devices（设备）"},
	} {
		raw := workbook(t, func(set func(string, any), x *excelize.File) {
			header(set)
			for cell, v := range map[string]any{"A2": "s-9", "B2": "sensor", "C2": "130624"} {
				set(cell, v)
			}
			row.change(set, x)
		})
		got, _, faults := roster.ReadDevices(roster.FormatXLSX, "x.xlsx", raw, office())
		if got != nil || !slices.ContainsFunc(faults, func(f alerts.RowFault) bool {
			text := fmt.Sprintf("%s!%d: %s: %s", f.Sheet, f.Row, f.Column, f.Message)
			if f.Row == 0 {
				text = f.Sheet + ": " + f.Message
			}
			return like(text, row.want)
		}) {
			t.Errorf("%s: %+v, want %s", name, faults, row.want)
		}
	}
}

// like is a small pattern: .* stands for anything.
func like(text, pattern string) bool {
	for part := range strings.SplitSeq(pattern, ".*") {
		_, rest, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = rest
	}
	return true
}

func rezip(tb testing.TB, raw []byte, change func(name string, b []byte) []byte) []byte {
	tb.Helper()
	in, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, file := range in.File {
		r, err := file.Open()
		if err != nil {
			tb.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(r); err != nil {
			tb.Fatal(err)
		}
		w, err := out.Create(file.Name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(change(file.Name, body.Bytes())); err != nil {
			tb.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestFilesThatAreNoWorkbook(t *testing.T) {
	good := workbook(t, func(set func(string, any), _ *excelize.File) { header(set) })
	bomb := rezip(t, good, func(name string, b []byte) []byte {
		if strings.HasPrefix(name, "xl/worksheets/") {
			return bytes.Replace(b, []byte("</worksheet>"), append(bytes.Repeat([]byte(" "), 60<<20), "</worksheet>"...), 1)
		}
		return b
	})
	if len(bomb) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "a text": []byte("id,kind,area\n"), "half": good[:len(good)/2], "an old one": []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest"), "a bomb": bomb,
	} {
		if got, _, faults := roster.ReadDevices(roster.FormatXLSX, "x.xlsx", raw, office()); got != nil || len(faults) != 1 || faults[0].Sheet != "x.xlsx" {
			t.Errorf("%s: %v, %+v", name, got, faults)
		}
	}
}

func TestTablesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRoster(t)
		for i := range r.Devices {
			r.Devices[i].SecretHash = "sha256:00:11"
		}
		want := slices.Clone(r.Devices)
		for i := range want {
			want[i].SecretHash = ""
		}
		formats := []string{roster.FormatCSV}
		book := rapid.IntRange(0, 7).Draw(t, "a book") == 0 // they take long
		if book {
			formats = append(formats, roster.FormatXLSX)
		}
		for _, format := range formats {
			raw, err := roster.WriteDevices(format, r.Devices)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(raw, []byte("sha256")) {
				t.Fatal("a credential goes out")
			}
			got, _, faults := roster.ReadDevices(format, "d", raw, alerts.Roster{Areas: r.Areas})
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" || faults != nil {
				t.Fatalf("%s: %v %s", format, faults, d)
			}
		}
		if !book {
			return
		}
		raw, err := roster.WriteBook(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := roster.ReadBook("b.xlsx", raw, alerts.Roster{Areas: r.Areas})
		if err != nil {
			t.Fatal(err)
		}
		r.Devices = want
		if d := cmp.Diff(r, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

// TestNoFieldRunsInASpreadsheet: whatever a name is, Excel must not take its
// field for a formula.
func TestNoFieldRunsInASpreadsheet(t *testing.T) {
	for _, name := range []string{"=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "＝1", "'=1", "''=1", " =1", "李建国", "'李"} {
		d := office().Devices[:1]
		d[0].Name, d[0].Phone = name, "+86 139"
		raw, err := roster.WriteDevices(roster.FormatCSV, d)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			for field := range strings.SplitSeq(line, ",") {
				if field = strings.Trim(field, "\" \r\n\ufeff"); field != "" && strings.ContainsAny(field[:1], "=+-@") || strings.HasPrefix(field, "＝") {
					t.Errorf("%q stands in the file as %q", name, field)
				}
			}
		}
		got, _, faults := roster.ReadDevices(roster.FormatCSV, "", raw, office())
		if faults != nil || got[0].Name != strings.TrimSpace(name) || got[0].Phone != "+86 139" {
			t.Errorf("%q came back as %+v, %v", name, got, faults)
		}
	}
}

func FuzzReadDevices(f *testing.F) {
	good, err := roster.WriteDevices(roster.FormatXLSX, office().Devices)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(true, good)
	f.Add(false, []byte("编号,外部编号\ns-1,owntracks/a/b\n"))
	f.Fuzz(func(t *testing.T, book bool, raw []byte) {
		format := roster.FormatCSV
		if book {
			format = roster.FormatXLSX
		}
		ds, _, faults := roster.ReadDevices(format, "x", raw, office())
		if len(faults) > 0 && ds != nil {
			t.Error("faults and devices")
		}
		for _, d := range ds {
			if err := d.Validate(); err != nil {
				t.Errorf("%+v: %v", d, err)
			}
		}
	})
}

func TestABookIsAFolder(t *testing.T) {
	have := office()
	raw, err := roster.WriteBook(have)
	if err != nil {
		t.Fatal(err)
	}
	got, err := roster.ReadBook("b.xlsx", raw, have)
	if err != nil || string(got.Areas[1].Outline) != string(have.Areas[1].Outline) || !got.Areas[1].Surveyed {
		t.Errorf("%v: the outline is gone", err)
	}
	bad := workbook(t, func(set func(string, any), _ *excelize.File) { header(set) })
	if _, err := roster.ReadBook("b.xlsx", bad, have); err == nil || !strings.Contains(err.Error(), "has no sheet areas（区划") {
		t.Errorf("%v", err)
	}
}
