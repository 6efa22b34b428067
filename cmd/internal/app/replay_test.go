package app

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/cmd/internal/replay"
	contract "firewatch/firmware-contracts"
)

// testdata is a file of the real inputs beside the repository. The test is
// skipped where they are absent.
func testdata(tb testing.TB, path ...string) string {
	tb.Helper()
	dir := os.Getenv("FIREWATCH_TESTDATA")
	if dir == "" {
		dir = "../../../../shared/testdata"
	}
	file := filepath.Join(append([]string{dir}, path...)...)
	if _, err := os.Stat(file); err != nil {
		tb.Skipf("the real inputs are not here (set FIREWATCH_TESTDATA): %v", err)
	}
	return file
}

// A real walk of 42 km and four years of hourly weather are replayed, twice:
// every reading of the file is in InfluxDB, once.
func TestReplayedFilesAreInInfluxDBOnce(t *testing.T) {
	data := t.TempDir()
	set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	city := login1(t, fw.HTTP, "city", testPassword)
	sensor := sensorsOf(set, "130624")[0].ID
	for _, tt := range []struct {
		name   string
		path   string
		lines  int // lines of the file that are no readings
		device string
		class  string
		start  time.Time
	}{
		{"walk", testdata(t, "tracks", "007_20081026021624.plt"), 6, "bd-t-00001", "position", time.Now().AddDate(0, 0, -2)},
		{"weather", testdata(t, "weather", "PRSA_Data_Huairou_20130301-20170228.csv"), 1, string(sensor), "environment", time.Date(2021, 3, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := os.ReadFile(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			rows := bytes.Count(bytes.TrimSpace(raw), []byte("\n")) + 1 - tt.lines
			var s replay.Summary
			for range 2 {
				s, err = replay.Run(t.Context(), replay.Options{
					Path: tt.path, Device: contract.DeviceID(tt.device), Secret: secretOf, MQTT: fw.MQTT, Start: tt.start, Log: zap.NewNop(),
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%+v", s)
			leftOut := 0
			for _, n := range s.LeftOut {
				leftOut += n
			}
			if s.Acknowledged+leftOut != rows {
				t.Errorf("the file has %d rows; %d acknowledged, %d left out", rows, s.Acknowledged, leftOut)
			}
			if leftOut > rows/500 {
				t.Errorf("%d of %d rows were left out: %v", leftOut, rows, s.LeftOut)
			}
			from := tt.start.Add(-time.Hour)
			eventually(t, "all of it in InfluxDB", func() bool {
				return len(history(t, city, tt.device, tt.class, from, time.Now().Add(time.Hour))) >= s.Acknowledged
			})
			seen := map[uint64]int{}
			for _, r := range history(t, city, tt.device, tt.class, from, time.Now().Add(time.Hour)) {
				seen[*r.Seq]++
			}
			if len(seen) != s.Acknowledged {
				t.Errorf("%d distinct readings are stored, want %d", len(seen), s.Acknowledged)
			}
			for seq, n := range seen {
				if n != 1 {
					t.Errorf("reading %d is stored %d times", seq, n)
				}
			}
		})
	}
}
