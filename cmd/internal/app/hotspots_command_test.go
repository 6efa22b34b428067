package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
)

const viirsHead = "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_ti5,frp,daynight\n"

func storedHotspots(t *testing.T, url string) []alerts.Hotspot {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hs, err := s.Hotspots(t.Context(), alerts.HotspotQuery{To: time.Now(), Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

func TestHotspotsImport(t *testing.T) {
	data := t.TempDir()
	url := "sqlite:" + filepath.Join(data, "firewatch.db")
	seed(t, url)
	s, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	r := alerts.Roster{Areas: []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
		{
			Code: "130633100", Name: "易州镇", Level: alerts.Township, Parent: "130633",
			Outline: []byte(`{"type":"Polygon","coordinates":[[[115,39],[115.5,39],[115.5,39.5],[115,39.5],[115,39]]]}`),
		},
	}}
	if err := s.ReplaceRoster(t.Context(), r, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seen := time.Now().UTC().Add(-time.Hour)
	line := func(lat float64, satellite string, later time.Duration) string {
		at := seen.Add(later)
		return fmt.Sprintf("%v,115.2,340,0.4,0.4,%s,%s,%s,VIIRS,n,2.0NRT,295,12,D\n", lat, at.Format(time.DateOnly), at.Format("1504"), satellite)
	}
	good := viirsHead + line(39.2, "N", 0) + line(39.201, "N20", 10*time.Minute) + line(45, "N", 0)
	bad := good + strings.Replace(line(39.3, "N", 0), "340", "hot", 1)
	file := filepath.Join(data, "modis.csv")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		stdin string
		args  []string
		code  int
		want  string
		after int // hotspots in the store
	}{
		{"no file", "", nil, exitUsage, "name files", 0},
		{"strange distance", "", []string{"--merge-km", "50", "-"}, exitUsage, "0 to 5", 0},
		{"not there", "", []string{filepath.Join(data, "none.csv")}, exitError, "none.csv", 0},
		{"a bad row takes all with it", bad, []string{file, "-"}, exitError, `standard input: line 5: bright_ti4 "hot": is not a number`, 0},
		{"no table", "Invalid MAP_KEY.", []string{"-"}, exitError, "nothing was imported: standard input: line 1", 0},
		{"dry", good, []string{"-", "--dry-run"}, exitOK, "3 rows (0 known already or twice, 0 bad values): 2 hotspots, 2 new", 0},
		{"import", "", []string{file}, exitOK, "2 hotspots, 2 new, 0 grown, 0 as they were; 1 pixels merged, 0 masked by static sources, 1 outside the townships", 2},
		{"again", good, []string{file, "-"}, exitOK, "6 rows (6 known already or twice, 0 bad values): 2 hotspots, 0 new, 0 grown, 2 as they were", 2},
		{"skip bad rows", bad + line(39.4, "N21", 0), []string{"--skip-bad", "-"}, exitOK, "1 new", 3},
		{"list", good, []string{"--list", "--dry-run", "-"}, exitOK, ",known,", 3},
	} {
		args := append([]string{"hotspots", "import"}, tt.args...)
		code, out := runWith(t, tt.stdin, append(args, "--data", data)...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit code %d, want %d, and %q in %s", tt.name, code, tt.code, tt.want, out)
		}
		if n := len(storedHotspots(t, url)); n != tt.after {
			t.Errorf("%s: %d hotspots in the store, want %d", tt.name, n, tt.after)
		}
	}
	areas := map[string]int{}
	for _, h := range storedHotspots(t, url) {
		areas[h.Area] += h.Pixels
	}
	if areas["130633100"] != 3 || areas[""] != 1 {
		t.Errorf("pixels by township: %v", areas)
	}
}

// The real day of China, without any data of firewatch: it is only looked at.
func TestHotspotsOfARealDay(t *testing.T) {
	file := testdata(t, "firms", "MODIS_C6_1_China_bbox_20220227.csv")
	code, out := runWith(t, "", "hotspots", "import", "--dry-run", file, "--data", filepath.Join(t.TempDir(), "none"))
	if code != exitOK || !strings.Contains(out, "1807 rows (0 known already or twice, 0 bad values): 1425 hotspots, 1425 new") {
		t.Errorf("exit code %d: %s", code, out)
	}
	code, out = runWith(t, "", "hotspots", "import", file, "--data", filepath.Join(t.TempDir(), "none"))
	if code != exitError || !strings.Contains(out, "holds no firewatch data") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
