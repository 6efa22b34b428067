package replay_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/cmd/internal/replay"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
	"firewatch/ingest"
	"firewatch/ingest/broker"
)

// server is the real embedded broker over an acceptor that keeps what it took,
// as a store would: by measured time and seq.
type server struct {
	addr string
	kind contract.Kind

	mu       sync.Mutex
	readings map[key]contract.Reading
	came     []time.Time
	faults   []string
}

type key struct {
	ms  int64
	seq uint64
}

func (s *server) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	return ingest.Principal{Device: "d-1", Kind: s.kind}, username == "d-1" && string(password) == "secret"
}

func (s *server) Put(_ context.Context, m ingest.Message) error {
	topic, err := contract.ParseTopic(m.Topic)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rs, faults := contractv1.Decode(nil, topic, m.Payload, m.Received)
	for _, f := range faults {
		s.faults = append(s.faults, f.Error())
	}
	for _, r := range rs {
		s.readings[key{r.Measured.UnixMilli(), r.Seq}] = r
	}
	s.came = append(s.came, m.Received)
	go m.Ack()
	return nil
}

func serve(t *testing.T, kind contract.Kind) *server {
	t.Helper()
	s := &server{kind: kind, readings: map[key]contract.Reading{}}
	b, err := broker.New(broker.Options{Addr: "127.0.0.1:0", Credential: s, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = b.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("FIREWATCH_TESTDATA")
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for ; dir == "" && wd != "/"; wd = filepath.Dir(wd) {
			if _, err := os.Stat(filepath.Join(wd, "shared", "testdata")); err == nil {
				dir = filepath.Join(wd, "shared", "testdata")
			}
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no folder shared/testdata beside the repository, and FIREWATCH_TESTDATA is not set")
	}
	return filepath.Join(dir, name)
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// play replays and checks that the figures are those of what came.
func play(t *testing.T, s *server, o replay.Options) replay.Summary {
	t.Helper()
	o.MQTT, o.Device, o.Secret = s.addr, "d-1", "secret"
	sum, err := replay.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error(f)
	}
	left := 0
	for _, n := range sum.LeftOut {
		left += n
	}
	if sum.Published != len(s.readings) || sum.Acknowledged != sum.Published || sum.Records != sum.Published+left {
		t.Errorf("%d came; %+v", len(s.readings), sum)
	}
	seqs := map[uint64]bool{}
	for k := range s.readings {
		seqs[k.seq] = true
	}
	for seq := range uint64(sum.Published) {
		if !seqs[seq+1] {
			t.Errorf("seq %d did not come", seq+1)
		}
	}
	return sum
}

func TestRealFiles(t *testing.T) {
	for _, c := range []struct {
		file, format string
		kind         contract.Kind
		published    int
		leftOut      map[string]int
		start        time.Time
		span         time.Duration
	}{
		{"tracks/007_20081026021624.plt", "plt", contract.Tracker, 5496, nil, start, 10*time.Hour + 5*time.Minute + 18*time.Second},
		{"tracks/gpxpy_Mojstrovka.gpx", "gpx", contract.Tracker, 184, nil, start, 0},
		{"tracks/gpxpy_korita-zbevnica.gpx", "gpx", contract.Tracker, 513, map[string]int{"no time": 358}, start, 3*time.Hour + 43*time.Minute + time.Second},
		{"tracks/gpxpy_track-with-extremes.gpx", "gpx", contract.Tracker, 25, nil, start, 24 * time.Second},
		{"tracks/nmea_AMOD_AGL3080_20121104.txt", "nmea", contract.Tracker, 623, nil, start, 16*time.Minute + 25*time.Second + 639*time.Millisecond},
		{"weather/PRSA_Data_Huairou_20130301-20170228.csv", "weather", contract.Sensor, 35019, map[string]int{"no value": 45}, start.AddDate(-5, 0, 0), 35063 * time.Hour},
		{"firesensor/smoke_detection_iot_4col.csv", "smoke", contract.Sensor, 62630, nil, start, 62629 * time.Second},
	} {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			s := serve(t, c.kind)
			sum := play(t, s, replay.Options{Path: testdata(t, c.file), Start: c.start})
			if sum.Format != c.format || sum.Kind != c.kind.String() {
				t.Errorf("taken for %s of a %s", sum.Format, sum.Kind)
			}
			if sum.Published != c.published || !maps.Equal(sum.LeftOut, c.leftOut) {
				t.Errorf("%d published, want %d; %+v", sum.Published, c.published, sum)
			}
			if got := sum.Last.Sub(sum.First); got != c.span {
				t.Errorf("from the first to the last %v, want %v", got, c.span)
			}
			if !sum.First.Equal(c.start) {
				t.Errorf("first at %v", sum.First)
			}
		})
	}
}

func TestValuesOfRealFiles(t *testing.T) {
	s := serve(t, contract.Tracker)
	play(t, s, replay.Options{Path: testdata(t, "tracks/007_20081026021624.plt"), Start: start})
	first := s.readings[key{start.UnixMilli(), 1}]
	if lat, _ := first.Values.Get(contract.Lat); lat != 39.966585 {
		t.Errorf("lat %v", lat)
	}
	if alt, _ := first.Values.Get(contract.AltM); math.Abs(alt-492*0.3048) > 0.01 {
		t.Errorf("altitude %v m", alt)
	}

	s = serve(t, contract.Sensor)
	sum := play(t, s, replay.Options{Path: testdata(t, "weather/PRSA_Data_Huairou_20130301-20170228.csv"), Start: start.AddDate(-5, 0, 0)})
	hour := s.readings[key{sum.First.UnixMilli(), 1}] // TEMP -2.3, DEWP -20.7, RAIN 0, WSPM 3.1, wd WNW
	for f, want := range map[contract.Field]float64{
		contract.TempC: -2.3, contract.RhPct: 23.0, contract.RainMM: 0, contract.WindMS: 3.1, contract.WindDirDeg: 292.5, contract.PressureHPa: 1020.3,
	} {
		if x, has := hour.Values.Get(f); !has || math.Abs(x-want) > 0.5 {
			t.Errorf("%s %v, want %v", f, x, want)
		}
	}
}

func TestOldTimesNeedAStart(t *testing.T) {
	for _, name := range []string{"tracks/007_20081026021624.plt", "tracks/gpxpy_Mojstrovka.gpx", "firesensor/smoke_detection_iot_4col.csv"} {
		sum, err := replay.Run(t.Context(), replay.Options{Path: testdata(t, name), Device: "d-1", MQTT: "127.0.0.1:1"})
		if err == nil || !strings.Contains(err.Error(), "--start") {
			t.Errorf("%s: %v; %+v", name, err, sum)
		}
	}
}

func TestStartTooLate(t *testing.T) {
	path := testdata(t, "tracks/007_20081026021624.plt")
	_, err := replay.Run(t.Context(), replay.Options{Path: path, Device: "d-1", Start: time.Now().Add(-time.Hour), MQTT: "127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "start at") {
		t.Error(err)
	}
}

const gpxHead = `<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">`

func TestNothingIsDroppedInSilence(t *testing.T) {
	path := file(t, "walk.gpx", gpxHead+`<wpt lat="1" lon="2"/><trk><trkseg>
<trkpt lat="39.1" lon="115.1"><ele>10</ele><time>2026-02-01T00:00:00Z</time></trkpt>
<trkpt lat="39.2" lon="115.2"><ele>99999</ele><time>2026-02-01T00:00:00Z</time></trkpt>
<trkpt lat="39.3" lon="115.3"><ele>high</ele><time>2026-02-01T00:00:01.5Z</time></trkpt>
<trkpt lat="139.3" lon="115.3"><time>2026-02-01T00:00:02Z</time></trkpt>
<trkpt lat="39.3" lon="east"><time>2026-02-01T00:00:02Z</time></trkpt>
<trkpt lat="39.3" lon="115.3"><time>1901-12-13T20:45:52.2073437Z</time></trkpt>
<trkpt lat="39.3" lon="115.3"><time>yesterday</time></trkpt>
<trkpt lat="39.3" lon="115.3"/>
<trkpt lat="39.4" lon="115.4"><time>2026-02-01T08:00:03+08:00</time></trkpt>
</trkseg></trk></gpx>`)
	s := serve(t, contract.Tracker)
	sum := play(t, s, replay.Options{Path: path})
	if sum.Published != 4 || sum.Records != 9 || sum.Unread["waypoint"] != 1 {
		t.Errorf("%+v", sum)
	}
	for _, why := range []string{"lat outside -90..90 deg", "lat or lon is no number", "measured before 2020-01-01", "time is not one", "no time"} {
		if sum.LeftOut[why] != 1 {
			t.Errorf("left out: %q %d times", why, sum.LeftOut[why])
		}
	}
	if sum.ValuesLeftOut["alt_m outside -500..9000 m"] != 1 || sum.ValuesLeftOut["alt_m is no number"] != 1 {
		t.Errorf("%+v", sum.ValuesLeftOut)
	}
	t0 := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for i, ms := range []int64{0, 0, 1500, 3000} { // two in one second, both there
		if _, ok := s.readings[key{t0 + ms, uint64(i + 1)}]; !ok {
			t.Errorf("reading %d is missing", i+1)
		}
	}
}

func TestNoisyNMEA(t *testing.T) {
	sentence := func(body string) string {
		sum := byte(0)
		for i := range len(body) {
			sum ^= body[i]
		}
		return fmt.Sprintf("$%s*%02X", body, sum)
	}
	text := strings.Join([]string{
		sentence("GPGGA,235958.00,3900.0000,N,11500.0000,E,1,08,0.9,150.5,M,,M,,"), // before any date
		sentence("GNRMC,235959.00,A,3900.6000,N,11500.0000,E,10.0,90.0,310126,,,A"),
		sentence("GNGGA,235959.00,3900.6000,N,11500.0000,E,1,09,0.9,151.5,M,,M,,"),
		"\x00\xffnoise",
		"$GPRMC,000000.00,A,3901.0",
		"$GPGGA,000001.50,3901.2000,S,11500.0000,W,1,09,0.9,9999,M,,M,,*00", // wrong checksum
		sentence("GPGGA,000001.50,3901.2000,N,11500.0000,E,1,09,0.9,9999,M,,M,,"),
		"half of one " + sentence("GPRMC,000002.00,V,,,,,,,010226,,,N"),
		sentence("GPGSV,1,1,00"),
		sentence("GPRMC,000003.00,A,3901.2000,N,11500.0000,E,,,010226,,,A"),
		sentence("GPRMC,000003.00,A,3901.2000,N,11500.0001,E,,,010226,,,A"), // a second fix of the same second
	}, "\r\n")
	s := serve(t, contract.Tracker)
	sum := play(t, s, replay.Options{Path: file(t, "log.txt", text)})
	if sum.Format != "nmea" || sum.Published != 5 {
		t.Errorf("%+v", sum)
	}
	for what, n := range map[string]int{"no sentence": 1, "half a sentence": 2, "wrong checksum": 1, "no fix": 1, "other sentence": 1} {
		if sum.Unread[what] != n {
			t.Errorf("%s: %d, want %d", what, sum.Unread[what], n)
		}
	}
	midnight := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for i, ms := range []int64{-2000, -1000, 1500, 3000, 3000} {
		if _, ok := s.readings[key{midnight + ms, uint64(i + 1)}]; !ok {
			t.Errorf("fix %d is missing", i+1)
		}
	}
	r := s.readings[key{midnight - 1000, 2}]
	for f, want := range map[contract.Field]float64{
		contract.Lat: 39.01, contract.Lon: 115, contract.SpeedMS: 5.144, contract.CourseDeg: 90, contract.AltM: 151.5, contract.Sats: 9,
	} {
		if x, _ := r.Values.Get(f); math.Abs(x-want) > 1e-6 {
			t.Errorf("%s %v, want %v", f, x, want)
		}
	}
}

func TestWeatherGaps(t *testing.T) {
	text := `"No","year","month","day","hour","TEMP","PRES","DEWP","RAIN","wd","WSPM","station"
1,2025,3,1,0,10,1000,10.2,0,"N",1,"X"
2,2025,3,1,1,NA,NA,NA,NA,NA,NA,"X"
3,2025,3,1,2,NA,NA,-5,NA,NA,2.5,"X"
4,2025,2,30,3,1,1,1,1,NA,1,"X"
5,2025,3,1,4,20,NA,9.3,NA,NA,-1,"X"
6,2025,3
`
	s := serve(t, contract.Sensor)
	sum := play(t, s, replay.Options{Path: file(t, "x.csv", text)})
	if sum.Published != 3 || sum.LeftOut["no value"] != 1 || sum.LeftOut["time is not one"] != 1 || sum.LeftOut["row is cut off or too long"] != 1 ||
		sum.ValuesLeftOut["wind_ms outside 0..120 m/s"] != 1 {
		t.Errorf("%+v", sum)
	}
	midnight := time.Date(2025, 3, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600)).UnixMilli()
	r := s.readings[key{midnight, 1}]
	if rh, _ := r.Values.Get(contract.RhPct); rh != 100 {
		t.Errorf("humidity above saturation is %v", rh)
	}
	r = s.readings[key{midnight + 4*3600_000, 3}]
	if rh, _ := r.Values.Get(contract.RhPct); math.Abs(rh-50.1) > 0.5 { // 20 °C, dew point 9.3 °C
		t.Errorf("humidity %v", rh)
	}
	r = s.readings[key{midnight + 2*3600_000, 2}]
	if r.Values.Len() != 1 {
		t.Errorf("a gap became a value: %+v", r.Values)
	}
}

func TestRealTimeAndFaster(t *testing.T) {
	var b strings.Builder
	b.WriteString(gpxHead + "<trk><trkseg>")
	for i := range 5 {
		fmt.Fprintf(&b, `<trkpt lat="39.1" lon="115.1"><time>2026-02-01T00:00:0%dZ</time></trkpt>`, i)
	}
	b.WriteString("</trkseg></trk></gpx>")
	s := serve(t, contract.Tracker)
	sum := play(t, s, replay.Options{Path: file(t, "a.gpx", b.String()), Speed: 10})
	if took := s.came[len(s.came)-1].Sub(s.came[0]); took < 350*time.Millisecond || sum.Messages != 5 {
		t.Errorf("4 s at tenfold speed took %v in %d messages", took, sum.Messages)
	}
}

func TestWhatIsAskedMustBePossible(t *testing.T) {
	gpx := file(t, "a.gpx", gpxHead+`<trk><trkseg><trkpt lat="1" lon="2"><time>2026-02-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>`)
	for want, o := range map[string]replay.Options{
		"no such file":        {Path: "/nowhere", Device: "d-1"},
		"device id":           {Path: gpx},
		"not of a sensor":     {Path: gpx, Device: "d-1", Kind: contract.Sensor},
		"want gpx, nmea":      {Path: gpx, Device: "d-1", Format: "pdf"},
		"name its format":     {Path: file(t, "a.bin", "\x01\x02"), Device: "d-1"},
		"holds no reading":    {Path: file(t, "b.gpx", gpxHead+"</gpx>"), Device: "d-1"},
		"reading GPX":         {Path: file(t, "c.gpx", gpxHead+"<trk><trkseg><trkpt"), Device: "d-1"},
		"column DEWP":         {Path: gpx, Device: "d-1", Format: "weather"},
		"speed":               {Path: gpx, Device: "d-1", Speed: -1},
		"broker refuses user": {Path: gpx, Device: "d-1", Secret: "wrong"},
		"the file has no tim": {Path: file(t, "d.gpx", gpxHead+`<trk><trkseg><trkpt lat="1" lon="2"/></trkseg></trk></gpx>`), Device: "d-1"},
	} {
		if want == "column DEWP" {
			o.Path = file(t, "w.csv", "year,month,day,hour,TEMP\n")
		}
		o.MQTT = serve(t, contract.Tracker).addr
		if _, err := replay.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, error is %v", want, err)
		}
	}
}
