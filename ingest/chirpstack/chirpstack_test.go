package chirpstack_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/chirpstack"
	"firewatch/ingest/ingesttest"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

var directory = ingesttest.Directory{
	{ID: "se-plain", Kind: contract.Sensor, Alias: "chirpstack/0101010101010101"},
	{ID: "se-s2120", Kind: contract.Sensor, Alias: "chirpstack/2cf7f1301500016a", Model: "s2120"},
	{ID: "tr-1", Kind: contract.Tracker, Alias: "chirpstack/0016c001f000175a"},
}

func adapter(tb testing.TB, metrics prometheus.Registerer) *chirpstack.Adapter {
	tb.Helper()
	a, err := chirpstack.New(chirpstack.Options{Directory: directory, Metrics: metrics})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func topic(eui, event string) string {
	return "application/17c82e96-be03-4f38-aef3-f83d48582d97/device/" + eui + "/event/" + event
}

func decode(tb testing.TB, topic, payload string) string {
	tb.Helper()
	m := &ingest.Message{Topic: topic, Payload: []byte(payload), Received: noon}
	a := adapter(tb, nil)
	ingesttest.CheckAdapter(tb, a, m)
	return ingesttest.Words(a.Decode(nil, nil, m))
}

func b64(frames string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(frames, " ", ""))
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestDecode(t *testing.T) {
	const (
		plain   = "0101010101010101"
		s2120   = "2CF7F1301500016A"
		carried = "0016c001f000175a"
		at      = `"time":"2026-03-14T11:59:58.25+00:00"`
		stamp   = "2026-03-14T11:59:58.25Z"
	)
	for _, tt := range []struct{ name, eui, event, payload, want string }{
		{
			"a weather station", s2120, "up",
			fmt.Sprintf(`{%s,"deviceInfo":{"devEui":"2cf7f1301500016a"},"dr":3,"fCnt":1834,"fPort":3,"data":"%s","rxInfo":[{"rssi":-106,"snr":-3.0},{"rssi":-71}]}`,
				at, b64("01 00D6 1F 00001388 0A 0023 02 010E 00000BB8 2774")),
			"environment " + stamp + " seq=1834 temp_c=21.4 rh_pct=31 wind_ms=3.5 wind_dir_deg=270 pressure_hpa=1010 rssi_dbm=-71\nstatus " + stamp + " text=\"light 5000 lux; UV index 1; rain 3 mm/h\"\n",
		},
		{
			"its first frame", s2120, "up", fmt.Sprintf(`{%s,"fPort":3,"data":"%s"}`, at, b64("03 5A")),
			"status " + stamp + " seq=0 battery_pct=90\n",
		},
		{
			"what the server's codec gives", plain, "up", `{` + at + `,"fCnt":"12","fPort":2,"data":"qg==","object":{"temperature":-3.5,"humidity":0}}`,
			"environment " + stamp + " seq=12 temp_c=-3.5 rh_pct=0\n",
		},
		{
			"nulls of newer versions", plain, "up", `{` + at + `,"fCnt":4,"fPort":null,"data":"","object":null,"rxInfo":[{"time":null,"rssi":-30}],"location":null}`,
			"status " + stamp + " seq=4 rssi_dbm=-30\n",
		},
		{
			"a gateway whose clock was never set", plain, "up", `{"time":"1970-01-01T00:00:03Z","fCnt":4,"fPort":2,"data":"qg==","object":{"temp_c":1},"rxInfo":[{"nsTime":"2026-03-14T11:59:59Z"}]}`,
			"environment 2026-03-14T11:59:59Z seq=4 temp_c=1\n",
		},
		{
			"a gateway whose clock is wrong", plain, "up", `{"time":"2026-03-14T09:00:00Z","fCnt":4,"fPort":2,"data":"qg==","object":{"temp_c":1},"rxInfo":[{"gwTime":"2026-03-14T09:00:00+00:00","nsTime":"2026-03-14T11:59:59Z"}]}`,
			"environment 2026-03-14T11:59:59Z seq=4 temp_c=1\nrejected se-plain: time: the gateway's clock is 2h59m59s behind the network server's, whose nsTime is taken (the rest was taken)\n",
		},
		{
			"a gateway whose clock is right", plain, "up", `{"time":"2026-03-14T11:58:00Z","fCnt":4,"fPort":2,"data":"qg==","object":{"temp_c":1},"rxInfo":[{"gwTime":"2026-03-14T11:58:00Z","nsTime":"2026-03-14T11:59:59Z"}]}`,
			"environment 2026-03-14T11:58:00Z seq=4 temp_c=1\n",
		},
		{
			"a server whose clock is wrong", plain, "up", `{"time":"2026-03-14T11:58:00Z","fCnt":4,"fPort":2,"data":"qg==","object":{"temp_c":1},"rxInfo":[{"gwTime":"2026-03-14T11:58:00Z","nsTime":"2029-03-14T11:59:59Z"}]}`,
			"environment 2026-03-14T11:58:00Z seq=4 temp_c=1\n",
		},
		{
			"not ChirpStack's own JSON", plain, "up", `{` + at + `,"device_info":{"dev_eui":"0101010101010101"},"object":{"temp_c":1}}`,
			"rejected se-plain: device_info: keys in snake_case are none of ChirpStack's JSON (deviceInfo, rxInfo, fCnt): something between it and here writes them anew\n",
		},
		{
			"bad numbers lose no reading", plain, "up", `{` + at + `,"fCnt":-1,"fPort":700,"data":"###","object":{"temp_c":1}}`,
			"environment " + stamp + " temp_c=1\nrejected se-plain: fCnt: want a whole number from 0 to 4294967295, got -1; fPort: want a whole number from 0 to 255, got 700; data: not base64\n",
		},
		{
			"a join server of its own", s2120, "up", `{` + at + `,"fCnt":4,"fPort":3,"data":"A1o=","joinServerContext":{"sessionKeyId":"01"}}`,
			"status " + stamp + " seq=4\nrejected se-s2120: data: encrypted for a join server of its own (joinServerContext)\n",
		},
		{
			"a tracker", carried, "up", `{` + at + `,"fCnt":4,"fPort":3,"data":"AA==","object":{"latitude":39.5,"longitude":115.25}}`,
			"position " + stamp + " seq=4 lat=39.5 lon=115.25\n",
		},
		{"a join", plain, "join", `{` + at + `,"devAddr":"00189440"}`, "status " + stamp + " online=1\n"},
		{"a battery", plain, "status", `{` + at + `,"margin":10,"batteryLevel":88.3}`, "status " + stamp + " battery_pct=88.3\n"},
		{"an empty battery is left out", plain, "status", `{` + at + `,"margin":10}`, "status " + stamp + " battery_pct=0\n"},
		{"an unknown one is said to be", plain, "status", `{` + at + `,"batteryLevelUnavailable":true}`, "status " + stamp + "\n"},
		{"one that is not in use", plain, "status", `{` + at + `,"externalPowerSource":true}`, "status " + stamp + " charging=1\n"},
		{"a place of a tracker", carried, "location", `{` + at + `,"location":{"latitude":39.5,"longitude":115.25,"altitude":2,"accuracy":120,"source":"GEO_RESOLVER_TDOA"}}`, "position " + stamp + " lat=39.5 lon=115.25 alt_m=2 acc_m=120\n"},
		{"on the equator", carried, "location", `{` + at + `,"location":{"longitude":115.25}}`, "position " + stamp + " lat=0 lon=115.25\n"},
		{"none", carried, "location", `{` + at + `,"location":{}}`, "rejected tr-1: lat and lon: a position needs both\n"},
		{"a bad one", carried, "location", `{` + at + `,"location":{"latitude":"x","longitude":115.25}}`, "rejected tr-1: latitude: want a number, got the text \"x\"; lat and lon: one without the other\n"},
		{"a place of a sensor", plain, "location", `{` + at + `,"location":{"latitude":39.5,"longitude":115.25}}`, ""},
		{"an error", plain, "log", `{` + at + `,"level":"ERROR","code":"UPLINK_CODEC","description":"exception"}`, "rejected se-plain: ChirpStack says: UPLINK_CODEC: exception\n"},
		{"a warning", plain, "log", `{` + at + `,"level":"WARNING","code":"DOWNLINK_GATEWAY"}`, ""},
		{"a level that is left out is INFO", plain, "log", `{` + at + `,"code":"OTAA"}`, ""},
		{"ack", plain, "ack", `{`, ""},
		{"nobody", "FFFFFFFFFFFFFFFF", "up", `{` + at + `}`, "rejected : no device of the registry is called chirpstack/ffffffffffffffff: give one that alias\n"},
		{"another device's payload", plain, "up", `{` + at + `,"deviceInfo":{"devEui":"2cf7f1301500016a"}}`, "rejected se-plain: the payload is of the device 2cf7f1301500016a and came on the topic of 0101010101010101\n"},
		{"protobuf", plain, "up", "\x0a\x24", "rejected se-plain: not a JSON document: invalid character '$' looking for beginning of value (the integration must be set to JSON, not Protobuf)\n"},
		{"a list", plain, "up", "[]", "rejected se-plain: want a JSON object, got an array (the integration must be set to JSON, not Protobuf)\n"},
		{"an unknown event", plain, "party", "{}", "rejected : event \"party\": not known\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := decode(t, topic(tt.eui, tt.event), tt.payload); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestDocumentedEvents(t *testing.T) {
	const plain = "0101010101010101"
	for _, tt := range []struct{ event, eui, want string }{
		{
			"up", plain,
			"status 2022-07-18T09:34:15.775023242Z seq=0 rssi_dbm=-36\n" +
				"rejected se-plain: its payload cannot be read: the device has no model in the registry; the server decodes nothing: give the device a payload codec there (the rest was taken)\n",
		},
		{"status", plain, "status 2022-07-18T09:35:06.927172638Z battery_pct=88.3\n"},
		{"join", plain, "status 2022-07-18T09:33:28.823500726Z online=1\n"},
		{"location", plain, ""},
		{"log", plain, "rejected se-plain: ChirpStack says: UPLINK_MIC: MIC of join-request is invalid, make sure keys are correct\n"},
		{"ack", plain, ""},
		{"txack", plain, ""},
		{"integration", "0016c001f000175a", ""},
	} {
		payload := string(ingesttest.Testdata(t, "chirpstack/v4_event_"+tt.event+".json"))
		if got := decode(t, topic(tt.eui, tt.event), payload); got != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.event, got, tt.want)
		}
	}
	// The place is that of a tracker.
	payload := strings.ReplaceAll(string(ingesttest.Testdata(t, "chirpstack/v4_event_location.json")), plain, "0016c001f000175a")
	if got, want := decode(t, topic("0016c001f000175a", "location"), payload), "position 2022-07-18T09:55:11.059481003Z lat=37.344214 lon=-8.839375 alt_m=2\n"; got != want {
		t.Errorf("location of a tracker: got\n%swant\n%s", got, want)
	}
}

func TestIgnoredIsCounted(t *testing.T) {
	r := prometheus.NewRegistry()
	a := adapter(t, r)
	for _, event := range []string{"ack", "txack", "ack"} {
		a.Decode(nil, nil, &ingest.Message{Topic: topic("x", event), Payload: []byte("{}"), Received: noon})
	}
	if n, err := testutil.GatherAndCount(r); err != nil || n != 7 {
		t.Errorf("%d series, %v", n, err)
	}
	if _, err := chirpstack.New(chirpstack.Options{Directory: directory, Metrics: r}); err == nil {
		t.Error("registered twice")
	}
	if _, err := chirpstack.New(chirpstack.Options{}); err == nil || !strings.Contains(err.Error(), "Directory") {
		t.Errorf("without a directory: %v", err)
	}
	if f := a.Filters()[0]; a.Name() != "chirpstack" || !ingest.MatchTopic(f, topic("x", "up")) || ingest.MatchTopic(f, "application/1/device/2/command/down") {
		t.Error("the filter does not receive what it should")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("up", []byte(`{"time":"2026-03-14T11:59:58Z","fCnt":1,"fPort":3,"data":"A1o=","object":{"temp_c":1,"sos":true,"lat":1,"lon":2},"rxInfo":[{"rssi":-1,"nsTime":""}]}`))
	f.Add("status", []byte(`{"batteryLevel":"NaN","externalPowerSource":0}`))
	f.Add("location", []byte(`{"location":{"latitude":1,"longitude":400,"accuracy":-1}}`))
	f.Add("log", []byte(`{"level":"ERROR","description":"\u0000"}`))
	f.Add("join", []byte(`{"time":"9999-99-99"}`))
	a := adapter(f, nil)
	f.Fuzz(func(t *testing.T, event string, payload []byte) {
		for _, eui := range []string{"0101010101010101", "2cf7f1301500016a", "0016c001f000175a", "x"} {
			ingesttest.CheckAdapter(t, a, &ingest.Message{Topic: topic(eui, event), Payload: payload, Received: noon})
		}
	})
}
