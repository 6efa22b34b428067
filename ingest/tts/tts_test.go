package tts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
	"firewatch/ingest/tts"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

var directory = ingesttest.Directory{
	{ID: "se-1", Kind: contract.Sensor, Alias: "tts/app1@tenant1/dev1"},
	{ID: "tr-1", Kind: contract.Tracker, Alias: "tts/app1@tenant1/tracker"},
	{ID: "se-open", Kind: contract.Sensor, Alias: "tts/app1/dev1"},
}

func adapter(tb testing.TB, metrics prometheus.Registerer) *tts.Adapter {
	tb.Helper()
	a, err := tts.New(tts.Options{Directory: directory, Metrics: metrics})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func decode(tb testing.TB, topic, payload string) string {
	tb.Helper()
	m := &ingest.Message{Topic: topic, Payload: []byte(payload), Received: noon}
	a := adapter(tb, nil)
	ingesttest.CheckAdapter(tb, a, m)
	return ingesttest.Words(a.Decode(nil, nil, m))
}

const base = "v3/app1@tenant1/devices/dev1"

func TestDecode(t *testing.T) {
	const (
		tracker = "v3/app1@tenant1/devices/tracker"
		at      = `"received_at":"2026-03-14T11:59:58.250000001Z"`
		stamp   = "2026-03-14T11:59:58.250000001Z"
	)
	for _, tt := range []struct{ name, topic, payload, want string }{
		{
			"an uplink", base + "/up",
			`{"end_device_ids":{"device_id":"dev1"},"received_at":"2026-03-14T11:59:58.9Z","uplink_message":{"f_port":2,"f_cnt":1547,"frm_payload":"A2cA/Q==","decoded_payload":{"ambient_temperature":25.3,"relative_humidity":44.5},
			"rx_metadata":[{"rssi":-99,"time":"2019-01-01T00:00:00Z"},{"rssi":-52}],"settings":{"frequency":"868300000","time":"2019-01-01T00:00:00Z"},` + at + `}}`,
			"environment " + stamp + " seq=1547 temp_c=25.3 rh_pct=44.5 rssi_dbm=-52\n",
		},
		{
			"the first one, of a stack without tenants", "v3/app1/devices/dev1/up", `{"uplink_message":{` + at + `,"frm_payload":"AQ==","decoded_payload":{"temp_c":1}}}`,
			"environment " + stamp + " seq=0 temp_c=1\n",
		},
		{
			"normalized, with the battery of this morning", base + "/up",
			`{"uplink_message":{` + at + `,"f_cnt":9,"f_port":1,"frm_payload":"AQ==","normalized_payload":[{"air":{"temperature":20},"wind":{"speed":3}}],"last_battery_percentage":{"f_cnt":1,"value":52.5,"received_at":"2026-03-14T05:00:00Z"}}}`,
			"environment " + stamp + " seq=9 temp_c=20 wind_ms=3\nstatus 2026-03-14T05:00:00Z battery_pct=52.5\n",
		},
		{
			"the model as the stack knows it", base + "/up",
			`{"uplink_message":{` + at + `,"f_cnt":9,"f_port":3,"frm_payload":"AQDWHwAAE4gKACM=","version_ids":{"brand_id":"sensecap","model_id":"sensecaps2120-8-in-1"},"decoded_payload":{"err":0,"valid":true}}}`,
			"environment " + stamp + " seq=9 temp_c=21.4 rh_pct=31 wind_ms=3.5\nstatus " + stamp + " text=\"light 5000 lux; UV index 1\"\n",
		},
		{
			"simulated", base + "/up", `{"simulated":true,"uplink_message":{` + at + `,"frm_payload":"AQ==","decoded_payload":{"flame":true}}}`,
			"rejected se-1: simulated: true: made up in the console of The Things Stack, and not counted\n",
		},
		{"not simulated", base + "/join", `{"simulated":false,"join_accept":{` + at + `}}`, "status " + stamp + " online=1\n"},
		{"a join", base + "/join", `{"received_at":"2026-03-14T11:59:59Z","join_accept":{` + at + `,"session_key_id":"AX"}}`, "status " + stamp + " online=1\n"},
		{
			"a place of a tracker", tracker + "/location/solved", `{` + at + `,"location_solved":{"service":"frm-payload","location":{"latitude":39.5,"longitude":115.25,"accuracy":15,"source":"SOURCE_WIFI_RSSI_GEOLOCATION"}}}`,
			"position " + stamp + " lat=39.5 lon=115.25 acc_m=15\n",
		},
		{"a place of a sensor", base + "/location/solved", `{` + at + `,"location_solved":{"location":{"latitude":39.5,"longitude":115.25}}}`, ""},
		{"a call for help", tracker + "/up", `{"uplink_message":{` + at + `,"f_cnt":2,"f_port":1,"frm_payload":"AQ==","decoded_payload":{"sos":true}}}`, "sos " + stamp + " seq=2 active=1 code=button\n"},
		{
			"bad numbers lose no reading", base + "/up", `{"uplink_message":{` + at + `,"f_cnt":"many","frm_payload":"?","decoded_payload":{"temp_c":1}}}`,
			"environment " + stamp + " temp_c=1\nrejected se-1: f_cnt: want a number, got the text \"many\"; frm_payload: not base64\n",
		},
		{"service data", base + "/service/data", `{"service_data":{"service":"x","data":{}}}`, ""},
		{"normalized apart is the same again", base + "/up/normalized", `{"uplink_normalized":{"normalized_payload":{"air":{"temperature":20}}}}`, ""},
		{"nobody", "v3/app1@tenant1/devices/dev9/up", `{"uplink_message":{}}`, "rejected : no device of the registry is called tts/app1@tenant1/dev9: give one that alias\n"},
		{"another device's payload", base + "/up", `{"end_device_ids":{"device_id":"dev2"},"uplink_message":{}}`, "rejected se-1: the payload is of the device dev2 and came on the topic of dev1\n"},
		{"another application's payload", base + "/up", `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app2"}},"uplink_message":{}}`, "rejected se-1: the payload is of the application app2 and came on the topic of app1\n"},
		{
			"an uplink is one whatever stands beside it", base + "/up", `{"service_data":{},"uplink_message":{` + at + `,"f_cnt":2,"frm_payload":"AQ==","decoded_payload":{"temp_c":1}}}`,
			"environment " + stamp + " seq=2 temp_c=1\n",
		},
		{
			"measurements that were kept", base + "/up", `{"uplink_message":{` + at + `,"f_cnt":2,"f_port":1,"frm_payload":"AQ==","normalized_payload":[{"time":"2026-03-14T11:00:00Z","air":{"temperature":20}},{"time":"2026-03-14T11:30:00Z","air":{"temperature":21}}]}}`,
			"environment 2026-03-14T11:00:00Z temp_c=20\nenvironment 2026-03-14T11:30:00Z seq=2 temp_c=21\n",
		},
		{"something else", base + "/up", `{"a":1}`, "rejected se-1: none of the messages of The Things Stack v3 (uplink_message, join_accept, …)\n"},
		{"not JSON", base + "/up", `<xml>`, "rejected se-1: not a JSON document: invalid character '<' looking for beginning of value\n"},
		{"nothing", base + "/up", ``, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := decode(t, tt.topic, tt.payload); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestDocumentedMessages(t *testing.T) {
	for file, want := range map[string]string{
		"uplink":          "environment 2020-02-12T15:15:45.789585559Z seq=1 temp_c=1 rssi_dbm=-35\n",
		"join_accept":     "status 2020-02-17T07:49:09.736532315Z online=1\n",
		"downlink_ack":    "",
		"downlink_push":   "",
		"downlink_failed": "rejected se-1: The Things Stack says: a downlink failed: application_downlink_too_long: application downlink payload is too long\n",
	} {
		if got := decode(t, base+"/x", string(ingesttest.Testdata(t, "tts/v3_"+file+".json"))); got != want {
			t.Errorf("%s: got\n%swant\n%s", file, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	r := prometheus.NewRegistry()
	a := adapter(t, r)
	a.Decode(nil, nil, &ingest.Message{Topic: base + "/service/data", Payload: []byte(`{"service_data":{}}`), Received: noon})
	if n, err := testutil.GatherAndCount(r); err != nil || n != 11 {
		t.Errorf("%d series, %v", n, err)
	}
	if _, err := tts.New(tts.Options{}); err == nil || !strings.Contains(err.Error(), "Directory") {
		t.Errorf("without a directory: %v", err)
	}
	f := a.Filters()[0]
	for _, topic := range []string{base + "/up", base + "/location/solved", base + "/down/failed", "v3/app1/devices/dev1/join"} {
		if !ingest.MatchTopic(f, topic) {
			t.Errorf("%s does not receive %s", f, topic)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"uplink_message":{"received_at":"2026-03-14T11:59:58Z","f_cnt":1,"frm_payload":"AQ==","decoded_payload":{"temp_c":1,"lat":1,"lon":1},"normalized_payload":[{"air":{}}],"last_battery_percentage":{"value":3,"received_at":"2026-03-14T11:59:58Z"},"version_ids":{"model_id":"s2120"}}}`,
		`{"join_accept":{"received_at":0}}`, `{"location_solved":{"location":{"longitude":1}}}`, `{"simulated":"yes","downlink_failed":{"error":{"name":"x"}}}`,
	} {
		f.Add([]byte(s))
	}
	a := adapter(f, nil)
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, dev := range []string{"dev1", "tracker", "x"} {
			ingesttest.CheckAdapter(t, a, &ingest.Message{Topic: "v3/app1@tenant1/devices/" + dev + "/up", Payload: payload, Received: noon})
		}
	})
}
