package alerts

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSampleSources(t *testing.T) {
	table, err := ParseSources(SampleSources())
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[SourceKind]int{}
	for _, s := range table.Sources {
		kinds[s.Kind]++
		if !strings.HasPrefix(s.Name, "演示") {
			t.Errorf("%s is not marked as made up", s.ID)
		}
	}
	for _, k := range SourceKinds {
		if kinds[k] == 0 {
			t.Errorf("none of kind %s", k)
		}
	}
	written, err := table.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSources(written)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table, again); diff != "" {
		t.Error(diff)
	}
}

func TestParseSourcesFaults(t *testing.T) {
	const head = "version: a\neffective: 2026-01-01\nsources:\n"
	const rest = `area: "130633100", lat: 39.5, lon: 115`
	for _, tt := range []struct {
		name, in string
		want     []string // all of them
	}{
		{"empty", "", []string{"source register", "want one YAML document"}},
		{"unknown key", head + "  - {id: a, kind: grave, " + rest + ", colour: red}\n", []string{"line 4", "colour"}},
		{"version and day", "version: \" a\"\neffective: soon\nsources: []\n", []string{"line 1: version", "line 2: effective"}},
		{
			"every fault at once", head +
				"  - {id: a, kind: grave, " + rest + "}\n" +
				"  - {id: a, kind: grave, " + rest + "}\n" +
				"  - {kind: fire, " + rest + "}\n" +
				"  - {id: b, kind: grave, area: x, lat: 115, lon: 39.5}\n" +
				"  - {id: c, kind: grave, area: \"130633100\", lat: 39.5}\n" +
				"  - {id: d, kind: permit, " + rest + ", from: 2026-03-14}\n" +
				"  - {id: e, kind: permit, " + rest + ", from: 2026-03-14, to: 2026-03-13}\n" +
				"  - {id: f, kind: kiln, " + rest + ", radius_m: 0, from: noon}\n" +
				"  - {id: g, kind: kiln, " + rest + ", radius_m: .nan}\n",
			[]string{
				"line 5: id \"a\": number 1 has it too", "line 6: id: want one", "line 6: kind", "line 7: area", "line 7: lat, lon: 115, 39.5 are swapped",
				"line 8: lat, lon: want both", "line 9: a permit wants from and to", "line 10: to", "line 11: radius_m 0", "line 11: from \"noon\"", "line 12: radius_m",
			},
		},
		{"too long", strings.Repeat("#", MaxSourceBytes+1), []string{"at most"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSources([]byte(tt.in))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in:\n%v", w, err)
				}
			}
		})
	}
}

// Faults in every line of a long register are told at once, and soon.
func TestParseSourcesManyFaults(t *testing.T) {
	began := time.Now()
	_, err := ParseSources([]byte("version: a\neffective: 2026-01-01\nsources:\n" + strings.Repeat("  - {id: a, kind: fire, area: x}\n", 8000)))
	if err == nil || strings.Count(err.Error(), "\n") > 3*maxSourceFaults || !strings.Contains(err.Error(), "too many faults") {
		t.Errorf("got %.300v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestParseSourcesDays(t *testing.T) {
	table, err := ParseSources([]byte("version: a\neffective: 2026-01-01\nsources:\n" +
		`  - {id: p, kind: permit, area: "130633100", lat: 39.5, lon: 115, from: 2026-03-14, to: 2026-03-15}` + "\n" +
		`  - {id: q, kind: permit, area: "130633100", lat: 39.5, lon: 115, from: 2026-03-14T08:00, to: 2026-03-14T17:30}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.ParseInLocation("2006-01-02 15:04:05", s, Zone)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, tt := range []struct {
		i    int
		at   string
		want bool
	}{
		{0, "2026-03-13 23:59:59", false},
		{0, "2026-03-14 00:00:00", true},
		{0, "2026-03-15 23:59:59", true},
		{0, "2026-03-16 00:00:00", false},
		{1, "2026-03-14 07:59:59", false},
		{1, "2026-03-14 17:29:59", true},
		{1, "2026-03-14 17:30:00", false},
	} {
		if got := table.Sources[tt.i].InForce(at(tt.at)); got != tt.want {
			t.Errorf("%s at %s: %v", table.Sources[tt.i].ID, tt.at, got)
		}
	}
	if u, v := table.Sources[0].until(), table.Sources[1].until(); u != "2026-03-15" || v != "2026-03-14 17:30" {
		t.Errorf("until %s and %s", u, v)
	}
}

func TestParseSourcesCSV(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, Zone)
	got, err := ParseSourcesCSV("v3", day, []byte("\ufeff编号,类别,名称,区域,纬度,经度,半径(米),起,止,责任人,电话\r\n"+
		"p1,用火许可,果园,130633100,39.5,115.0,50,2026-03-14 08:00,2026-03-14T17:00,王某,138\r\n"+
		"g1,坟墓,\"北坡,墓地\",130633100,39.5,115.0,,,,,\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := SourceTable{Version: "v3", Effective: day.UTC(), Sources: []Source{
		{ID: "p1", Kind: SourcePermit, Name: "果园", Area: "130633100", Lat: 39.5, Lon: 115, RadiusM: 50, From: day.AddDate(0, 0, 13).Add(8 * time.Hour).UTC(), To: day.AddDate(0, 0, 13).Add(17 * time.Hour).UTC(), Holder: "王某", Phone: "138"},
		{ID: "g1", Kind: SourceGrave, Name: "北坡,墓地", Area: "130633100", Lat: 39.5, Lon: 115, RadiusM: 100},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	const head = "id,kind,area,lat,lon\n"
	for _, tt := range []struct{ name, version, in, want string }{
		{"no version", "", head, "version"},
		{"nothing", "v", "", "names of the columns"},
		{"strange column", "v", "id,kind,area,lat,lon,colour\n", `line 1: column "colour"`},
		{"missing column", "v", "id,kind,area,lat\n", `column "lon" is missing`},
		{"twice", "v", "id,kind,area,lat,lon,编号\n", "comes twice"},
		{"not a number", "v", head + "a,grave,130633100,39.5,115\nb,grave,130633100,north,115\n", `line 3: lat "north"`},
		{"lines after one that is quoted over two", "v", "id,kind,area,lat,lon,name\na,grave,130633100,39.5,115,\"x\ny\"\nb,tomb,130633100,39.5,115,\n", `line 4: kind "tomb"`},
		{"another width", "v", head + "a,grave\n", "line 2"},
		{"GBK", "v", head + "a,\xb7\xd8,130633100,39.5,115\n", "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseSourcesCSV(tt.version, day, []byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParseSources(f *testing.F) {
	f.Add(SampleSources())
	f.Add([]byte("version: a\neffective: 2026-01-01\nsources:\n  - {id: a, kind: permit, area: \"130633100\", lat: 39.5, lon: 115, from: 2026-03-14, to: 2026-03-14T08:00}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ParseSources(data)
		if err != nil {
			return
		}
		holds(t, table)
	})
}

func FuzzParseSourcesCSV(f *testing.F) {
	f.Add([]byte("id,kind,name,area,lat,lon,radius_m,from,to,holder,phone\np1,permit,x,130633100,39.5,115,50,2026-03-14,2026-03-15,y,z\n"))
	f.Add([]byte("编号,类别,区域,纬度,经度\na,坟墓,130633100,39.5,115\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ParseSourcesCSV("v", time.Date(2026, 1, 1, 0, 0, 0, 0, Zone), data)
		if err != nil {
			return
		}
		holds(t, table)
	})
}

// holds checks that what was read is sane, can be looked up, and stays the same
// when it is written and read again.
func holds(t *testing.T, table SourceTable) {
	t.Helper()
	x := IndexSources(table)
	for _, s := range table.Sources {
		at := s.From
		if at.IsZero() && !s.To.IsZero() {
			at = s.To.Add(-time.Minute)
		}
		found := false
		for _, n := range x.Explains(s.Lat, s.Lon, at) {
			found = found || n.ID == s.ID
		}
		if !found {
			t.Fatalf("%+v does not explain what is at its own place", s)
		}
	}
	text, err := table.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > MaxSourceBytes {
		return
	}
	again, err := ParseSources(text)
	if err != nil {
		t.Fatalf("%v\nin %s", err, text)
	}
	if diff := cmp.Diff(table.Sources, again.Sources); diff != "" && len(table.Sources) > 0 {
		t.Fatal(diff)
	}
}
