package firms

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
)

var now = time.Date(2026, 6, 3, 0, 0, 0, 0, time.UTC)

// testdata reads a file of the inputs from elsewhere: in $FIREWATCH_TESTDATA, or in
// the folder shared/testdata beside one of the folders above.
func testdata(tb testing.TB, name string) []byte {
	tb.Helper()
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
		tb.Skip("no folder shared/testdata above this one; name it in FIREWATCH_TESTDATA")
	}
	raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func read(tb testing.TB, text string) []Row {
	tb.Helper()
	rows, faults, err := Read([]byte(text), now)
	if err != nil || len(faults) > 0 {
		tb.Fatalf("%v, %v", err, faults)
	}
	return rows
}

func TestTheDayOfChina(t *testing.T) {
	rows := read(t, string(testdata(t, "firms/MODIS_C6_1_China_bbox_20220227.csv")))
	count := map[string]int{}
	power, first, last := 0.0, rows[0].Seen, rows[0].Seen
	for _, r := range rows {
		count[r.Satellite]++
		count[r.Confidence]++
		count[r.Instrument]++
		power += r.FRP
		if r.Seen.Before(first) {
			first = r.Seen
		}
		if r.Seen.After(last) {
			last = r.Seen
		}
	}
	want := map[string]int{"Aqua": 1131, "Terra": 676, "MODIS": 1807, "low": 118, "nominal": 1452, "high": 237}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", count, want)
	}
	if fmt.Sprintf("%.2f", power) != "41083.23" {
		t.Errorf("FRP in all %.2f MW, want 41083.23", power)
	}
	if first != time.Date(2022, 2, 26, 2, 36, 0, 0, time.UTC) || last != time.Date(2022, 2, 27, 20, 31, 0, 0, time.UTC) {
		t.Errorf("from %s to %s", first, last)
	}
}

func TestVIIRS(t *testing.T) {
	rows := read(t, string(testdata(t, "firms/VIIRS_column_shape_samples.csv")))
	if len(rows) != 4 {
		t.Fatalf("%d rows", len(rows))
	}
	want := Row{Line: 5, Pixel: alerts.Pixel{
		Satellite: "Suomi-NPP", Instrument: "VIIRS", Lat: -12.345, Lon: 34.567, Seen: time.Date(2024, 1, 15, 1, 12, 0, 0, time.UTC),
		Confidence: "nominal", Percent: -1, FRP: 12.7, Scan: 0.45, Track: 0.39,
	}}
	if rows[3] != want {
		t.Errorf("got  %+v\nwant %+v", rows[3], want)
	}
}

// The columns of the files that FIRMS gives out: the last days and the archive,
// by hand and through its interface.
func TestTheFilesOfFIRMS(t *testing.T) {
	seen := time.Date(2022, 2, 26, 2, 36, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		text string
		want alerts.Pixel
	}{
		"MODIS, archive": {
			"latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_t31,frp,daynight,type\n" +
				"39.1,115.2,306.4,1.2,1.1,2022-02-26,0236,Terra,MODIS,63,61.03,276.1,14.6,D,2\n",
			alerts.Pixel{Satellite: "Terra", Instrument: "MODIS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "nominal", Percent: 63, FRP: 14.6, Scan: 1.2, Track: 1.1, Kind: alerts.PixelStatic},
		},
		"MODIS, by country": {
			"country_id,latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_t31,frp,daynight\n" +
				"CHN,39.1,115.2,306.4,1.2,1.1,2022-02-26,236,Aqua,MODIS,29,6.1NRT,276.1,14.6,N\n",
			alerts.Pixel{Satellite: "Aqua", Instrument: "MODIS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "low", Percent: 29, FRP: 14.6, Scan: 1.2, Track: 1.1},
		},
		"VIIRS, last days, by hand": {
			"latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,confidence,version,bright_ti5,frp,daynight\n" +
				"39.1,115.2,340.1,0.39,0.36,2022-02-26,0236,1,high,2.0NRT,295.2,45.6,D\n",
			alerts.Pixel{Satellite: "NOAA-20", Instrument: "VIIRS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "high", Percent: -1, FRP: 45.6, Scan: .39, Track: .36},
		},
		"VIIRS, archive of NOAA-21": {
			"latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_ti5,frp,daynight,type\n" +
				"39.1,115.2,340.1,0.39,0.36,2022-02-26,0236,N21,VIIRS,l,2,295.2,45.6,D,0\n",
			alerts.Pixel{Satellite: "NOAA-21", Instrument: "VIIRS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "low", Percent: -1, FRP: 45.6, Scan: .39, Track: .36, Kind: alerts.PixelVegetation},
		},
		"VIIRS, ultra real time, no power yet": {
			"latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_ti5,frp,daynight\n" +
				"39.1,115.2,340.1,0.39,0.36,2022-02-26,0236,N20,VIIRS,nominal,2.0URT,295.2,,D\n",
			alerts.Pixel{Satellite: "NOAA-20", Instrument: "VIIRS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "nominal", Percent: -1, Scan: .39, Track: .36},
		},
		"Landsat": {
			"latitude,longitude,path,row,scan,track,acq_date,acq_time,satellite,confidence,daynight\n" +
				"39.1,115.2,124,33,4101,2202,2022-02-26,0236,L8,M,D\n",
			alerts.Pixel{Satellite: "Landsat-8", Instrument: "OLI", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "nominal", Percent: -1},
		},
		"a table of both, by pandas": {
			"acq_time,acq_date,satellite,confidence,latitude,longitude,brightness,bright_ti4,type\n" +
				"236.0,2022-02-26,2,n,39.1,115.2,,331.0,3.0\n",
			alerts.Pixel{Satellite: "NOAA-21", Instrument: "VIIRS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "nominal", Percent: -1, Kind: alerts.PixelOffshore},
		},
		"a spreadsheet's: upper case, semicolons, another date, quotes, a BOM": {
			"\xef\xbb\xbf\"LATITUDE\";LONGITUDE;ACQ_DATE;ACQ_TIME;SATELLITE;CONFIDENCE\r\n \"39.1\";115.2;2022/2/26;\"02:36\";T;80\r\n\r\n",
			alerts.Pixel{Satellite: "Terra", Instrument: "MODIS", Lat: 39.1, Lon: 115.2, Seen: seen, Confidence: "high", Percent: 80},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rows := read(t, c.text)
			if len(rows) != 1 || rows[0].Pixel != c.want {
				t.Errorf("got  %+v\nwant %+v", rows, c.want)
			}
		})
	}
	if rows := read(t, "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,confidence,version,bright_ti5,frp,daynight\n"); len(rows) != 0 {
		t.Errorf("%+v of a day without fires", rows)
	}
}

const line2 = "39.1,115.2,306.4,1.2,1.1,2022-02-26,0236,T,63,6.1NRT,276.1,14.6,D"

const head = "latitude,longitude,brightness,scan,track,acq_date,acq_time,satellite,confidence,version,bright_t31,frp,daynight\n"

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"0236": "02:36", "236": "02:36", "36": "00:36", "5": "00:05", "0": "00:00", "0000": "00:00", "2359": "23:59", "05": "00:05",
		"02:36": "02:36", "2:36": "02:36", "02:36:00": "02:36", "236.0": "02:36", "100": "01:00", "\"0236\"": "02:36",
	} {
		if got := read(t, head+strings.Replace(line2, "0236", text, 1))[0].Seen.Format("15:04"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Each fault is named by line and column, and leaves the other lines whole.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ was, is, want string }{
		{"39.1", "97.1", `line 3: latitude "97.1": want -90 to 90°`},
		{"39.1", "", `line 3: latitude: is empty`},
		{"39.1", "NaN", `line 3: latitude "NaN": is not a number`},
		{"39.1", "0x1p4", `line 3: latitude "0x1p4": is not a number`},
		{"39.1", "39°6′", `line 3: latitude "39°6′": is not a number`},
		{"115.2", "-180.5", `line 3: longitude "-180.5": want -180 to 180°`},
		{"115.2", "1e400", `line 3: longitude "1e400": is not a number`},
		{"306.4", "hot", `line 3: brightness "hot": is not a number`},
		{"276.1", "-1", `line 3: bright_t31 "-1": want 0 to 2000 K`},
		{"1.2", "-1", `line 3: scan "-1": want 0 to 100 km`},
		{"14.6", "-0.1", `line 3: frp "-0.1": want 0 to 1000000 MW`},
		{"2022-02-26", "2022-02-30", `line 3: acq_date "2022-02-30": there is no such day`},
		{"2022-02-26", "26/02/2022", `line 3: acq_date "26/02/2022": day and month cannot be told apart; want YYYY-MM-DD`},
		{"2022-02-26", "44618", `line 3: acq_date "44618": want YYYY-MM-DD`},
		{"2022-02-26", "2026-06-03", `line 3: acq_time "0236": 2026-06-03 02:36 UTC is in the future: it is 2026-06-03 00:00`},
		{"2022-02-26", "2032-02-26", `line 3: acq_date "2032-02-26": 2032-02-26 02:36 UTC is in the future: it is 2026-06-03 00:00`},
		{"2022-02-26", "1922-02-26", `line 3: acq_date "1922-02-26": want a day since 1999`},
		{"0236", "2400", `line 3: acq_time "2400": there is no 24:00; want HHMM in UTC, 0000 to 2359`},
		{"0236", "1260", `line 3: acq_time "1260": there is no 12:60; want HHMM in UTC, 0000 to 2359`},
		{"0236", "-5", `line 3: acq_time "-5": want HHMM in UTC, like 0236`},
		{"0236", "", `line 3: acq_time: is empty`},
		{",T,", ",,", `line 3: satellite: is empty`},
		{",T,", ",<b>,", `line 3: satellite "<b>": want a name like Terra, A, N or N20`},
		{",63,", ",101,", `line 3: confidence "101": want 0 to 100`},
		{",63,", ",sure,", `line 3: confidence "sure": want 0 to 100, or low, nominal or high`},
		{",63,", ",,", `line 3: confidence: is empty`},
		{",D", ",X", `line 3: daynight "X": want D or N`},
		{",D", "", `line 3: want 13 columns as in the header, there are 12`},
		{",D", ",D,D", `line 3: want 13 columns as in the header, there are 14`},
		{",T,", `,"T,`, `line 3: quotes: extraneous or missing " in quoted-field`},
		{",T,", ",\xff,", `line 3: holds bytes that are no text in UTF-8`},
	} {
		bad := strings.Replace(line2, c.was, c.is, 1)
		rows, faults, err := Read([]byte(head+line2+"\n"+bad+"\n"+line2), now)
		if err != nil || len(rows) != 2 || len(faults) != 1 || faults[0].Error() != c.want {
			t.Errorf("%s: %d rows, %v, %v; want %s", bad, len(rows), faults, err, c.want)
		}
	}
	_, faults, err := Read([]byte(head+strings.NewReplacer("39.1", "99", "14.6", "x").Replace(line2)), now)
	if err != nil || len(faults) != 2 {
		t.Errorf("%v, %v: want both faults of the line", faults, err)
	}
	typed := strings.Replace(head, "\n", ",type\n", 1)
	if _, faults, _ = Read([]byte(typed+line2+",7"), now); len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), `line 2: type "7": want 0 (vegetation)`) {
		t.Errorf("%v", faults)
	}
	both := strings.Replace(head, "\n", ",instrument\n", 1)
	if _, faults, _ = Read([]byte(both+line2+",VIIRS"), now); len(faults) != 1 || faults[0].Error() != `line 2: instrument "VIIRS": Terra carries MODIS` {
		t.Errorf("%v", faults)
	}
}

func TestWhatIsNoTableOfFIRMS(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "the file is empty: want at least a line with the names of the columns",
		"\n\r\n":                                "the file is empty: want at least a line with the names of the columns",
		"Invalid MAP_KEY.":                      `line 1 "Invalid MAP_KEY.": want the names of FIRMS' columns: latitude, longitude, acq_date, …`,
		line2:                                   `line 1 "39.1,115.2,306.4,1.2,1.1,2022-02-26,0236,T,63,6.1NRT,276.1,1…": want the names of FIRMS' columns: latitude, longitude, acq_date, …`,
		"PK\x03\x04…":                           "the file is a ZIP archive or a workbook: give the CSV in it",
		"\xff\xfel\x00a":                        "the file is UTF-16: save it as CSV in UTF-8",
		"\nlatitude,frp\n1":                     "line 2: missing columns: longitude, acq_date, acq_time, satellite, confidence",
		strings.Replace(head, "frp", "scan", 1): "line 1: scan: the column is there twice",
	} {
		_, faults, err := Read([]byte(text), now)
		if err == nil || err.Error() != want || len(faults) > 0 {
			t.Errorf("%q: %v, %v; want %s", text, err, faults, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(head + line2 + "\r\n" + strings.Replace(line2, "0236", "5", 1)))
	f.Add([]byte("\xef\xbb\xbflatitude;longitude;acq_date;acq_time;satellite;instrument;confidence;type;path\n\"1\";2;2022/2/26;2:36;N20;VIIRS;n;2;1\n"))
	f.Add([]byte("latitude\tlongitude\tacq_date\tacq_time\tsatellite\tconfidence\rA\t\"\"\"\t.\t"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, faults, err := Read(raw, now)
		if err != nil && len(rows)+len(faults) > 0 {
			t.Fatalf("%v, and %d rows, %d faults", err, len(rows), len(faults))
		}
		lines := strings.Count(string(raw), "\n") + strings.Count(string(raw), "\r") + 1
		pixels := make([]alerts.Pixel, len(rows))
		for i, r := range rows {
			p := &r.Pixel
			if r.Line < 2 || r.Line > lines || !(p.Lat >= -90 && p.Lat <= 90 && p.Lon >= -180 && p.Lon <= 180) || !(p.FRP >= 0) ||
				alerts.ConfidenceRank(p.Confidence) == 0 || p.Satellite == "" || p.Seen.IsZero() || p.Seen.After(now.Add(ahead)) {
				t.Fatalf("%+v", r)
			}
			pixels[i] = *p
		}
		for i := range faults {
			if faults[i].Line < 2 || faults[i].Want == "" {
				t.Fatalf("%+v", faults[i])
			}
		}
		n := 0
		for _, h := range alerts.MergeHotspots(nil, pixels, alerts.Merging{}) {
			n += h.Pixels
		}
		if n > len(pixels) {
			t.Fatalf("%d pixels of %d rows", n, len(pixels))
		}
	})
}
