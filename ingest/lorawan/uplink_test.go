package lorawan

import (
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/foreign"
	"firewatch/ingest/ingesttest"
)

var (
	noon    = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	sensor  = ingest.Registered{ID: "se-1", Kind: contract.Sensor}
	tracker = ingest.Registered{ID: "tr-1", Kind: contract.Tracker}
)

func parse(tb testing.TB, doc string) *foreign.Value {
	tb.Helper()
	if doc == "" {
		return nil
	}
	v, err := foreign.Parse([]byte(doc))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func said(u *Uplink) string {
	m := &ingest.Message{Topic: "t", Received: noon}
	out := foreign.NewOutput(nil, nil, m)
	u.Add(out, m)
	entries, rejected := out.End()
	for i := range entries {
		if err := entries[i].Reading.Validate(); err != nil {
			return "invalid: " + err.Error()
		}
	}
	return ingesttest.Words(entries, rejected)
}

func TestUplink(t *testing.T) {
	const bare = "2026-03-14T11:59:59.5Z seq=7"
	const at = bare + " "
	model := func(r ingest.Registered, model string) ingest.Registered { r.Model = model; return r }
	weather := unhex(t, "01 00D6 1F 00001388 0A 0023")
	for _, tt := range []struct {
		name    string
		dev     ingest.Registered
		payload []byte
		object  string
		normal  string
		want    string
	}{
		{"by the model", model(sensor, "S2120"), weather, `{"temperature": 99}`, "", "environment " + at + "temp_c=21.4 rh_pct=31 wind_ms=3.5\nstatus 2026-03-14T11:59:59.5Z text=\"light 5000 lux; UV index 1\"\n"},
		{"by another way to write it", model(sensor, "sensecap-S2120"), weather, "", "", "environment " + at + "temp_c=21.4 rh_pct=31 wind_ms=3.5\nstatus 2026-03-14T11:59:59.5Z text=\"light 5000 lux; UV index 1\"\n"},
		{
			"measurements and properties", model(sensor, "s2120"), unhex(t, "01 00D6 1F 00001388 0A 0023 04 64 0100 0203 000F 0000 06 01"), "", "",
			"environment " + at + "battery_pct=100 temp_c=21.4 rh_pct=31 wind_ms=3.5\nstatus 2026-03-14T11:59:59.5Z code=2.3 text=\"hardware 1.0; measures every 15 min; sensor error 0x01: NOT_FOUND; light 5000 lux; UV index 1\"\n",
		},
		{"only the battery", model(sensor, "s2120"), unhex(t, "03 5A"), "", "", "status " + at + "battery_pct=90\n"},
		{
			"the server's codec where the frame cannot be read", model(sensor, "s2120"),
			[]byte{0x99},
			`{"temperature": 20}`, "",
			"environment " + at + "temp_c=20\n",
		},
		{"the contract's own names", sensor, []byte{1}, `{"temp_c": 20, "wind_ms": "3.5", "flame": true, "battery_pct": 7, "rain_mm": 0.2, "text": "x"}`, "", "environment " + at + "battery_pct=7 temp_c=20 wind_ms=3.5 rain_mm=0.2 flame=1\n"},
		{"names that everybody uses", sensor, []byte{1}, `{"Temperature": 20, "humidity": 40, "barometric_pressure": 95120, "CO2": 412, "BatV": 3.3, "pm2_5": 11}`, "", "environment " + at + "battery_v=3.3 temp_c=20 rh_pct=40 pressure_hpa=951.2 co2_ppm=412 pm25_ugm3=11\n"},
		{"Cayenne of The Things Stack", sensor, []byte{1}, `{"temperature_1": 20, "relative_humidity_2": 40, "barometric_pressure_3": 951.2, "temperature_7": 99}`, "", "environment " + at + "temp_c=20 rh_pct=40 pressure_hpa=951.2\n"},
		{"Cayenne of ChirpStack", sensor, []byte{1}, `{"temperatureSensor": {"3": 20}, "humiditySensor": {"2": 40}, "barometer": {"1": 951.2}}`, "", "environment " + at + "temp_c=20 rh_pct=40 pressure_hpa=951.2\n"},
		{
			"SenseCAP's own codec", sensor,
			[]byte{1},
			`{"err": 0, "messages": [[{"measurementValue": 21.4, "measurementId": "4097", "type": "Air Temperature"}, {"measurementValue": 101000, "measurementId": "4101"}, {"measurementValue": 3, "measurementId": "4113", "type": "Rain Gauge"}], [{"Battery(%)": 90}]]}`, "",
			"environment " + at + "battery_pct=90 temp_c=21.4 pressure_hpa=1010\nstatus 2026-03-14T11:59:59.5Z text=\"rain 3 mm/h\"\n",
		},
		{"a codec of another shape of SenseCAP", sensor, []byte{1}, `{"messages": [{"type": "report_telemetry", "measurementId": 4098, "measurementValue": "66.6"}]}`, "", "environment " + at + "rh_pct=66.6\n"},
		{
			"the Device Repository's names", sensor,
			[]byte{1},
			`{"temperature": 68, "windSpeed": 7}`, `[{"air": {"temperature": 20, "relativeHumidity": 40, "pressure": 951.2, "co2": 412}, "wind": {"speed": 3.6, "direction": 270}, "battery": 3.1}]`,
			"environment " + at + "battery_v=3.1 temp_c=20 rh_pct=40 wind_ms=3.6 wind_dir_deg=270 pressure_hpa=951.2 co2_ppm=412\n",
		},
		{
			"a value that cannot be true is left out", sensor,
			[]byte{1},
			`{"temperature": 20, "humidity": 140, "rh_pct": "damp"}`, "",
			"environment " + at + "temp_c=20\nrejected se-1: rh_pct: want a number, got the text \"damp\" (the rest was taken)\n",
		},
		{"what names no unit is not taken", sensor, []byte{1}, `{"wind_speed": 9, "battery": 3.6, "rain": 4, "light": 9, "temperature": 1}`, "", "environment " + at + "temp_c=1\n"},
		{"the contract's name goes before a looser one", sensor, []byte{1}, `{"temp": 70.7, "temp_c": 21.5}`, "", "environment " + at + "temp_c=21.5\n"},
		{"which is not believed in its place", sensor, []byte{1}, `{"temp": 70.7, "temp_c": [21.5], "rh": 4}`, "", "environment " + at + "rh_pct=4\nrejected se-1: temp_c: want a number, got an array (the rest was taken)\n"},
		{
			"a known name whose value cannot be read", sensor,
			[]byte{1},
			`{"temperature": "n/a", "humidity": [25.1], "temperatureSensor": "x", "gps_1": 3, "messages": [{"measurementId": 4097, "measurementValue": "-"}], "co2": null}`, "",
			"status " + bare + "\nrejected se-1: temperature: want a number, got the text \"n/a\"; humidity: want a number, got an array; temperatureSensor: want a number, got the text \"x\"; gps_1: want an object, got a number; measurement 4097: want a number, got \"-\" (the rest was taken)\n",
		},
		{
			"measurements of several times", sensor,
			[]byte{1},
			"", `[{"time": "2026-03-14T11:30:00Z", "air": {"temperature": 20}}, {"time": "2026-03-14T11:50:00Z", "air": {"temperature": 22}, "battery": 3.1}, {"time": "2026-03-14T11:40:00.0001Z", "battery": 3}, {"time": "2026-03-14T11:30:00.000Z", "wind": {"speed": 3}}]`,
			"environment 2026-03-14T11:30:00Z temp_c=20 wind_ms=3\nstatus 2026-03-14T11:40:00Z battery_v=3\nenvironment 2026-03-14T11:50:00Z seq=7 battery_v=3.1 temp_c=22\n",
		},
		{
			"beside one that has no time, and one that has a bad one", sensor,
			[]byte{1},
			"", `[{"air": {"temperature": 20}}, {"time": "2026-03-14T11:50:00Z", "air": {"temperature": 22}}, {"time": "noon", "wind": {"speed": 3}}]`,
			"environment 2026-03-14T11:50:00Z temp_c=22\nenvironment " + at + "temp_c=20 wind_ms=3\nrejected se-1: time of a measurement: \"\\\"noon\\\"\" is none; taken as of the uplink (the rest was taken)\n",
		},
		{"a call for help is not called off by another word", tracker, []byte{1}, `{"sos": true, "active": false}`, "", "sos " + at + "active=1 code=button\n"},
		{"a call for help in a word", tracker, []byte{1}, `{"sos": "ON"}`, "", "sos " + at + "active=1 code=button\n"},
		{"or twice", tracker, []byte{1}, `{"sos": "", "sos": true}`, "", "sos " + at + "active=1 code=button\nrejected tr-1: sos: the key stands twice (the rest was taken)\n"},
		{"or in one that nobody knows", tracker, []byte{1}, `{"sos": "long press"}`, "", "sos " + at + "active=1 code=button\nrejected tr-1: sos: want true or false, got a text (the rest was taken)\n"},
		{"commands of the network", sensor, nil, "", "", "status " + bare + "\n"},
		{
			"nobody can read it", sensor,
			[]byte{1, 2},
			"", "",
			"status " + bare + "\nrejected se-1: its payload cannot be read: the device has no model in the registry; the server decodes nothing: give the device a payload codec there (the rest was taken)\n",
		},
		{
			"an unknown model", model(sensor, "x9"),
			[]byte{1, 2},
			`{"foo": 1}`, "",
			"status " + bare + "\nrejected se-1: its payload cannot be read: no codec here for the model x9; the server's codec gives none of the names that are understood, like temperature or temp_c (the rest was taken)\n",
		},
		{"a tracker", tracker, []byte{1}, `{"latitude": 39.5, "longitude": 115.25, "altitude": 800, "sats": 9, "battery_pct": 44, "temperature": 20}`, "", "position " + at + "lat=39.5 lon=115.25 alt_m=800 sats=9 battery_pct=44\n"},
		{"Cayenne's place", tracker, []byte{1}, `{"gps_1": {"latitude": 39.5, "longitude": 115.25, "altitude": 800}}`, "", "position " + at + "lat=39.5 lon=115.25 alt_m=800\n"},
		{"and ChirpStack's", tracker, []byte{1}, `{"gpsLocation": {"1": {"latitude": 39.5, "longitude": 115.25, "altitude": 800}}}`, "", "position " + at + "lat=39.5 lon=115.25 alt_m=800\n"},
		{"without a fix", tracker, []byte{1}, `{"lat": 0, "lon": 0, "battery_pct": 44}`, "", "status " + at + "battery_pct=44\n"},
		{"a call for help", tracker, []byte{1}, `{"lat": 39.5, "lon": 115.25, "sos": true}`, "", "sos " + at + "lat=39.5 lon=115.25 active=1 code=button\n"},
		{"without a fix too", tracker, []byte{1}, `{"lat": 0, "lon": 0, "sos": 1}`, "", "sos " + at + "active=1 code=button\n"},
		{
			"a tracker that is a sensor", tracker,
			[]byte{1},
			`{"temperature": 20}`, "",
			"status " + bare + "\nrejected tr-1: it sends what a sensor measures and is registered as a tracker: register it as a sensor (the rest was taken)\n",
		},
		{
			"a sensor that is a tracker", sensor,
			[]byte{1},
			`{"lat": 39.5, "lon": 115.25, "sos": true}`, "",
			"status " + bare + "\nrejected se-1: it asks for help (sos) and is registered as a sensor: register it as a tracker (the rest was taken)\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := &Uplink{
				Device: tt.dev, Payload: tt.payload, Port: 1, Seq: 7, Object: parse(t, tt.object), Normalized: parse(t, tt.normal),
				Times: []time.Time{noon.Add(-time.Second / 2)},
			}
			if got := said(u); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestNoCallForHelp(t *testing.T) {
	for _, v := range []string{`"off"`, `"No"`, `"none"`, `"normal"`, `"inactive"`, `""`, `" "`, `"false"`, `0`, `false`, `null`} {
		u := &Uplink{Device: tracker, Payload: []byte{1}, Port: 1, Object: parse(t, `{"battery_pct": 3, "sos": `+v+`}`), Times: []time.Time{noon}}
		if got, want := said(u), "status 2026-03-14T12:00:00Z seq=0 battery_pct=3\n"; got != want {
			t.Errorf("sos %s: got\n%swant\n%s", v, got, want)
		}
	}
}

func TestNoPlaceAtZero(t *testing.T) {
	m := &ingest.Message{Topic: "t", Received: noon}
	out := foreign.NewOutput(nil, nil, m)
	AddLocation(out, m, tracker, parse(t, `{"latitude": 0, "longitude": 0}`), noon)
	if got, want := ingesttest.Words(out.End()), "rejected tr-1: lat and lon: 0 and 0 is no place; lat and lon: a position needs both\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNoSeq(t *testing.T) {
	if got, want := said(&Uplink{Device: sensor, NoSeq: true, Times: []time.Time{noon}}), "status 2026-03-14T12:00:00Z\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestMeasured(t *testing.T) {
	for _, tt := range []struct {
		name  string
		times []time.Time
		want  string
	}{
		{"the first that is believable", []time.Time{{}, noon.AddDate(-50, 0, 0), noon.Add(-time.Hour), noon}, "status 2026-03-14T11:00:00Z seq=0\n"},
		{"none", nil, "status 2026-03-14T12:00:00Z seq=0\nrejected se-1: the network gives no time; taken as of its receipt (the rest was taken)\n"},
		{
			"a gateway that was never set",
			[]time.Time{time.Unix(0, 0)},
			"status 2026-03-14T12:00:00Z seq=0\nrejected se-1: the network's clock: measured time not believable: 1970-01-01T00:00:00Z is before 2020-01-01; taken as of its receipt (the rest was taken)\n",
		},
	} {
		if got := said(&Uplink{Device: sensor, Times: tt.times}); got != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.name, got, tt.want)
		}
	}
}

func FuzzUplink(f *testing.F) {
	f.Add([]byte{1, 2}, `{"temp_c": 1, "sos": "x", "gps_1": {"lat": 1, "lon": 2}, "messages": [[{"measurementId": 4097, "measurementValue": 1}]]}`, `[{"air": {"temperature": 1}}]`, true)
	f.Add([]byte{}, `{"flame": true, "tamper": 2, "lat": 91}`, `{"wind": 7}`, false)
	f.Fuzz(func(t *testing.T, payload []byte, object, normal string, isTracker bool) {
		u := Uplink{Device: sensor, Payload: payload, Port: 1, Times: []time.Time{noon}}
		if isTracker {
			u.Device = tracker
		}
		u.Object, _ = foreign.Parse([]byte(object))
		u.Normalized, _ = foreign.Parse([]byte(normal))
		if got := said(&u); got == "" || got[:7] == "invalid" {
			t.Errorf("%q of %s", got, object)
		}
	})
}
