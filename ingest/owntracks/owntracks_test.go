package owntracks_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
	"firewatch/ingest/owntracks"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

const base = "owntracks/jane/phone"

var directory = ingesttest.Directory{
	{ID: "tr-jane", Kind: contract.Tracker, Alias: base},
	{ID: "se-1", Kind: contract.Sensor, Alias: "owntracks/pole/1"},
}

func adapter(tb testing.TB, o owntracks.Options) *owntracks.Adapter {
	tb.Helper()
	o.Directory = directory
	a, err := owntracks.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func decode(tb testing.TB, topic, payload string) string {
	tb.Helper()
	m := &ingest.Message{Topic: topic, Payload: []byte(payload), Received: noon}
	a := adapter(tb, owntracks.Options{})
	ingesttest.CheckAdapter(tb, a, m)
	return ingesttest.Words(a.Decode(nil, nil, m))
}

func TestDecode(t *testing.T) {
	const at = "2026-03-14T11:00:00Z" // 1773486000
	tests := []struct{ name, topic, payload, want string }{
		{
			"a location", base,
			`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"alt":812,"acc":12,"vac":3,"vel":36,"cog":271,"batt":85,"bs":2,"p":91.2,"conn":"m","t":"u","tid":"JJ","inregions":["北沟"],"motionactivities":["walking"]}`,
			"position " + at + " lat=39.5 lon=115.25 alt_m=812 speed_ms=10 course_deg=271 acc_m=12 battery_pct=85 charging=1 moving=1\n",
		},
		{
			"texts where numbers should be", base,
			`{"_type":"location","tst":"1773486000","lat":"39.5","lon":"115.25","batt":" 85 ","vel":"36","bs":"1"}`,
			"position " + at + " lat=39.5 lon=115.25 speed_ms=10 battery_pct=85 charging=0\n",
		},
		{
			"what the phone does not know", base,
			`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"acc":-1,"vel":-1,"cog":-1,"batt":-1,"bs":0,"alt":null,"motionactivities":["unknown"]}`,
			"position " + at + " lat=39.5 lon=115.25\n",
		},
		{
			"a full battery is not charged", base,
			`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"bs":3,"motionactivities":["stationary"]}`,
			"position " + at + " lat=39.5 lon=115.25 charging=0 moving=0\n",
		},
		{
			"a fraction of a second", base,
			`{"_type":"location","tst":1773486000.25,"lat":39.5,"lon":115.25}`,
			"position 2026-03-14T11:00:00.25Z lat=39.5 lon=115.25\n",
		},
		{
			"the time of the message for that of the fix", base,
			`{"_type":"location","created_at":1773486000,"lat":39.5,"lon":115.25}`,
			"position " + at + " lat=39.5 lon=115.25\n",
		},
		{
			"a bad detail is left out", base,
			`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"batt":101,"alt":"high","bs":9}`,
			"position " + at + " lat=39.5 lon=115.25\n" +
				`rejected tr-jane: alt: want a number, got the text "high"; battery_pct: 101 is outside 0..100 %; bs: 9 is none of 0 to 3 (the rest was taken)` + "\n",
		},
		{
			"a key that stands twice", base,
			`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"batt":10,"batt":90}`,
			"position " + at + " lat=39.5 lon=115.25\nrejected tr-jane: batt: the key stands twice (the rest was taken)\n",
		},
		{
			"words that are no text", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":7,"tag":["x"]}`,
			"position " + at + " lat=39.5 lon=115.25\nrejected tr-jane: poi: want a text, got a number; tag: want a text, got an array (the rest was taken)\n",
		},
		{
			"a call for help that is no text", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":["SOS"]}`,
			"sos " + at + " lat=39.5 lon=115.25 active=1 code=button text=\"[\\\"SOS\\\"]\"\nrejected tr-jane: poi: want a text, got an array (the rest was taken)\n",
		},
		{
			"0 and 0 is no place", base, `{"_type":"location","tst":1773486000,"lat":0,"lon":0,"batt":50}`,
			"rejected tr-jane: lat and lon: 0 and 0 is no place; lat and lon: a position needs both\n",
		},
		{
			"and loses no call for help", base, `{"_type":"location","tst":1773486000,"lat":0,"lon":0,"poi":"SOS"}`,
			"sos " + at + " active=1 code=button text=\"SOS\"\nrejected tr-jane: lat and lon: 0 and 0 is no place (the rest was taken)\n",
		},
		{
			"no place", base, `{"_type":"location","tst":1773486000,"lat":39.5}`,
			"rejected tr-jane: lat and lon: one without the other; lat and lon: a position needs both\n",
		},
		{
			"no time", base, `{"_type":"location","lat":39.5,"lon":115.25}`,
			"rejected tr-jane: tst: missing\n",
		},
		{
			"milliseconds", base, `{"_type":"location","tst":1773486000000,"lat":39.5,"lon":115.25}`,
			"rejected tr-jane: tst: 1.773486e+12 is no time in seconds since 1970\n",
		},
		{
			"a clock that runs ahead", base, `{"_type":"location","tst":1773500000,"lat":39.5,"lon":115.25}`,
			"rejected tr-jane: measured time not believable: 2026-03-14T14:53:20Z is 2h53m20s ahead, at most 10m0s are allowed\n",
		},
		{
			"a call for help", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":"sos 摔伤了","t":"u"}`,
			"sos " + at + ` lat=39.5 lon=115.25 active=1 code=button text="sos 摔伤了"` + "\n",
		},
		{
			"a tag that calls for help goes on", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"tag":"求救","poi":"腿断了"}`,
			"sos " + at + ` lat=39.5 lon=115.25 active=1 code=button text="腿断了; 求救"` + "\n",
		},
		{
			"a call for help is not lost for bad details", base, `{"_type":"location","tst":0,"lat":"?","lon":115.25,"batt":{},"poi":"SOS"}`,
			"sos 2026-03-14T12:00:00Z active=1 code=button text=\"SOS\"\n" +
				`rejected tr-jane: lat: want a number, got the text "?"; lat and lon: one without the other; batt: want a number, got an object; measured time not believable: 1970-01-01T00:00:00Z is before 2020-01-01 (the rest was taken)` + "\n",
		},
		{
			"nor without a time", base, `{"_type":"location","poi":"SOS"}`,
			"sos 2026-03-14T12:00:00Z active=1 code=button text=\"SOS\"\nrejected tr-jane: tst: missing (the rest was taken)\n",
		},
		{
			"it is called off", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":" sos  off "}`,
			"sos " + at + " lat=39.5 lon=115.25 active=0 code=button text=\"sos  off\"\n",
		},
		{
			"a call-off is not believed beside a call", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":"sos off","tag":"SOS"}`,
			"sos " + at + " lat=39.5 lon=115.25 active=1 code=button text=\"sos off; SOS\"\n",
		},
		{
			"nor with a bad time", base, `{"_type":"location","tst":0,"lat":39.5,"lon":115.25,"poi":"解除求救"}`,
			"rejected tr-jane: measured time not believable: 1970-01-01T00:00:00Z is before 2020-01-01\n",
		},
		{
			"a longer word is none", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":"Sosnovka"}`,
			"report " + at + " lat=39.5 lon=115.25 code=other text=\"Sosnovka\"\n",
		},
		{
			"a report of a fire", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":"冒烟，北沟东坡"}`,
			"report " + at + " lat=39.5 lon=115.25 code=smoke text=\"冒烟，北沟东坡\"\n",
		},
		{
			"a tag of another kind says nothing", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"tag":"巡山"}`,
			"position " + at + " lat=39.5 lon=115.25\n",
		},
		{
			"a transition is where the phone was", base + "/event",
			`{"_type":"transition","tst":1773486000,"wtst":1700000000,"lat":39.5,"lon":115.25,"acc":20,"event":"enter","desc":"北沟","t":"c"}`,
			"position " + at + " lat=39.5 lon=115.25 acc_m=20\n",
		},
		{
			"a beacon's transition has no place", base + "/event",
			`{"_type":"transition","tst":1773486000,"wtst":1700000000,"event":"leave","desc":"西岗","t":"b"}`,
			"status " + at + " text=\"leave 西岗\"\n",
		},
		{
			"a last will is as of connecting", base, `{"_type":"lwt","tst":1773475200}`,
			"status 2026-03-14T08:00:00Z online=0\n",
		},
		{
			"and never as of its receipt", base, `{"_type":"lwt"}`,
			"rejected tr-jane: tst: missing\n",
		},
		{
			"a status of iOS", base + "/status",
			`{"_type":"status","iOS":{"version":"18.4.2","deviceModel":"iPhone","locationManagerAuthorizationStatus":"kCLAuthorizationStatusAuthorizedAlways"}}`,
			"status 2026-03-14T12:00:00Z code=18.4.2 text=\"deviceModel=iPhone locationManagerAuthorizationStatus=kCLAuthorizationStatusAuthorizedAlways\"\n",
		},
		{
			"a status of Android", base + "/status", `{"_type":"status","_id":"a1","android":{"hib":0,"bo":1,"loc":0,"ps":0,"wifi":1}}`,
			"status 2026-03-14T12:00:00Z text=\"loc=0 bo=1 ps=0 hib=0 wifi=1\"\n",
		},
		{
			"Queclink", base, `{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"ubatt":3.9,"uext":12.1,"motion":true,"t":"t","vel":0}`,
			"position " + at + " lat=39.5 lon=115.25 speed_ms=0 battery_v=3.9 moving=1\n",
		},
		{
			"a batch", base,
			`[{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25},{"_type":"card","name":"Jane"},7,{"_type":"location","tst":1773486060,"lat":39.5,"lon":115.25}]`,
			"position " + at + " lat=39.5 lon=115.25\nposition 2026-03-14T11:01:00Z lat=39.5 lon=115.25\n" +
				"rejected tr-jane: _type: missing, or not a text: not a message of OwnTracks\n",
		},
		{"encrypted", base, `{"_type":"encrypted","data":"AAAA"}`, "rejected tr-jane: _type encrypted: the phone encrypts what it says; take the encryption key out of its settings and use TLS\n"},
		{"another type", base, `{"_type":"teleport"}`, "rejected tr-jane: _type \"teleport\": not known\n"},
		{"not JSON", base, `{"_type":"location",`, "rejected tr-jane: not a JSON document: unexpected EOF\n"},
		{"nobody", "owntracks/joe/phone", `{"_type":"lwt","tst":1773475200}`, "rejected : no device of the registry is called owntracks/joe/phone: give one that alias\n"},
		{"nobody's batch", "owntracks/joe/phone", `[{"_type":"lwt","tst":1773475200},{"_type":"lwt","tst":1773475200}]`, "rejected : no device of the registry is called owntracks/joe/phone: give one that alias\n"},
		{"a sensor", "owntracks/pole/1", `{"_type":"lwt","tst":1773475200}`, "rejected se-1: se-1 is registered as a sensor: a phone with OwnTracks is a tracker\n"},
		{"a card", base + "/info", `{"_type":"card","name":"Jane","face":"iVBO"}`, ""},
		{"a friend's card is nobody's fault", "owntracks/joe/phone/info", `{"_type":"card","name":"Joe"}`, ""},
		{"a waypoint is not where the phone is", base + "/waypoint", `{"_type":"waypoint","tst":1773486000,"lat":39.5,"lon":115.25,"rad":"50","desc":"北沟"}`, ""},
		{"what was retained is cleared", base, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decode(t, tt.topic, tt.payload); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	const (
		sos = "sos active"
		off = "sos off"
	)
	for want, texts := range map[string][]string{
		sos: {
			"SOS", "sos!", "ＳＯＳ", "！SOS", "【求救】", "S.O.S", "S.O.S. 摔伤", "s o s", "s-o-s", "我摔伤了，求救", "快来救命啊", "🆘", "🆘️ 北沟",
			"help SOS", "不要取消求救", "没法解除求救", "解除求救失败，求救", "\u200bSOS", "SOS off road car", "求救电话在哪",
		},
		off: {
			"SOS OFF", "SOS解除", "SOS 解除。", "sos-off", "sos off.", "解除求救！", "解除SOS", "没事了，取消求救", "ＳＯＳ　ＯＦＦ", "S.O.S off",
			"取消求救，谢谢", "误报，SOS已解除", "求救已解除",
		},
		"report fire":   {"着火", "发现火情", "看到山火，北坡", "疑似起火", "Fire!", "fire on the ridge", "fire, gate 3", "火", "有火", "火情未扑灭", "着火了，没有扑灭", "fire 北沟"},
		"report smoke":  {"发现冒烟", "有烟", "烟", "烟，北沟", "有人看到浓烟", "Smoke near gate 3"},
		"report farm":   {"有人烧荒", "有人在烧荒", "烧秸秆", "farm"},
		"report ritual": {"有人上坟烧纸"},
		"report other":  {"烟台山观景台", "火情解除", "起火点已扑灭", "明火禁止标牌", "Fire station", "farm gate 3", "没有烟", "有烟囱", "Sosnovka", "mysos", "so so", "火车站", "!!!", "fires"},
		"position":      {"", "  "},
	} {
		for _, text := range texts {
			quoted, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			m := &ingest.Message{Topic: base, Payload: []byte(`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"poi":` + string(quoted) + `}`), Received: noon}
			entries, rejected := adapter(t, owntracks.Options{}).Decode(nil, nil, m)
			if len(entries) != 1 || len(rejected) > 0 {
				t.Errorf("%q: %s", text, ingesttest.Words(entries, rejected))
				continue
			}
			r := &entries[0].Reading
			got := strings.TrimSpace(r.Class.String() + " " + r.Code)
			if x, ok := r.Values.Get(contract.Active); ok {
				got = map[float64]string{0: off, 1: sos}[x]
			}
			if got != want {
				t.Errorf("%q is %s, want %s", text, got, want)
			}
		}
	}
}

// What the booklet's own examples give. Three of them were sent before 2020, when
// no clock of a device is believed, and say so.
var booklet = map[int]string{
	0:  "position 2024-02-04T14:39:34Z lat=48.87069 lon=2.34916\n",
	1:  "", // waypoint
	2:  "", // cmd
	3:  "", // card
	4:  "report 2024-12-16T19:35:12Z lat=52.085284 lon=5.120975 alt_m=0 acc_m=5 code=other text=\"fabulous rijsttafel\"\n",
	5:  "rejected tr-jane: measured time not believable: 2017-06-15T06:37:31Z is before 2020-01-01\n",
	6:  "rejected tr-jane: _type: missing, or not a text: not a message of OwnTracks\n", // an answer of Traccar
	7:  "rejected tr-jane: measured time not believable: 2017-06-14T21:40:56Z is before 2020-01-01\n",
	8:  "rejected tr-jane: tst: missing\n",
	9:  "", // waypoints
	10: "rejected tr-jane: measured time not believable: 2015-06-03T14:42:00Z is before 2020-01-01\n",
	11: "", 12: "", 13: "", 14: "", 15: "", 16: "", 17: "", // configuration, cmd, request, steps
	18: "rejected tr-jane: _type encrypted: the phone encrypts what it says; take the encryption key out of its settings and use TLS\n",
	19: "position 2024-02-02T06:44:58Z lat=48.856826 lon=2.292713 alt_m=154 speed_ms=0 battery_pct=53\n",
	20: "position 2024-02-02T07:15:49Z lat=48.856826 lon=2.292713 alt_m=154 speed_ms=0 battery_pct=53\n",
}

func TestBooklet(t *testing.T) {
	var examples []struct{ Payload json.RawMessage }
	if err := json.Unmarshal(ingesttest.Testdata(t, "owntracks/booklet_examples.json"), &examples); err != nil {
		t.Fatal(err)
	}
	if len(examples) != len(booklet) {
		t.Errorf("%d examples, want %d", len(examples), len(booklet))
	}
	for i, e := range examples {
		if got := decode(t, base, string(e.Payload)); got != booklet[i] {
			t.Errorf("example %d: got\n%swant\n%s%s", i, got, booklet[i], e.Payload)
		}
	}
}

func TestIgnoredIsCounted(t *testing.T) {
	r := prometheus.NewRegistry()
	a := adapter(t, owntracks.Options{Metrics: r})
	for _, p := range []string{`{"_type":"card"}`, `{"_type":"card"}`, `{"_type":"steps"}`, ""} {
		a.Decode(nil, nil, &ingest.Message{Topic: base, Payload: []byte(p), Received: noon})
	}
	want := "# HELP firewatch_adapter_ignored_total Messages of other systems that were understood and are of no use here.\n# TYPE firewatch_adapter_ignored_total counter\n"
	for _, k := range []string{"beacon", "card", "cmd", "configuration", "dump", "empty", "other", "request", "steps", "waypoint", "waypoints"} {
		want += fmt.Sprintf("firewatch_adapter_ignored_total{adapter=\"owntracks\",kind=%q} %d\n", k, map[string]int{"card": 2, "steps": 1, "empty": 1}[k])
	}
	if err := testutil.GatherAndCompare(r, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestOneMessageCannotFillTheQuarantine(t *testing.T) {
	m := &ingest.Message{Topic: base, Payload: []byte("[" + strings.Repeat("{},", 1000) + "{}]"), Received: noon}
	_, rejected := adapter(t, owntracks.Options{}).Decode(nil, nil, m)
	if n := len(rejected); n != 50 || !strings.HasSuffix(rejected[n-1].Reason, "(and 951 more in this message)") {
		t.Errorf("%d rejections, the last one %q", n, rejected[n-1].Reason)
	}
	m.Payload = []byte("[" + strings.Repeat("{},", 1000) + `{"_type":"location","poi":"SOS","tst":1773486000}]`)
	if entries, _ := adapter(t, owntracks.Options{}).Decode(nil, nil, m); len(entries) != 1 {
		t.Error("the SOS behind a thousand faults is lost")
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]owntracks.Options{
		"Directory":    {},
		"SOSWords":     {Directory: directory, SOSWords: []string{" "}},
		"CallOffWords": {Directory: directory, CallOffWords: []string{""}},
		"Reports":      {Directory: directory, Reports: map[string]string{"x": "dragon"}},
	} {
		if _, err := owntracks.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	a := adapter(t, owntracks.Options{SOSWords: []string{"Mayday"}})
	m := &ingest.Message{Topic: base, Payload: []byte(`{"_type":"location","tst":1773486000,"poi":"MAYDAY"}`), Received: noon}
	if e, _ := a.Decode(nil, nil, m); len(e) != 1 || e[0].Reading.Class != contract.SOS {
		t.Errorf("a word of one's own: %v", e)
	}
	if a.Name() != "owntracks" || !ingest.MatchTopic(a.Filters()[0], base) || !ingest.MatchTopic(a.Filters()[0], base+"/event") {
		t.Error("the filters do not receive the phone's topics")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"_type":"location","tst":1773486000,"lat":39.5,"lon":115.25,"batt":"85","vel":4,"poi":"SOS","tag":"x"}`,
		`[{"_type":"transition","tst":1773486000,"event":"enter","desc":"b"},{"_type":"lwt","tst":1.7e9}]`,
		`{"_type":"status","iOS":{"version":"1"},"android":{"loc":0}}`, `{"_type":"encrypted","data":"A"}`,
		`{"_type":"location","tst":0,"tst":1,"poi":"sos off","motionactivities":["walking"]}`, "\xef\xbb\xbf{}", `[[[[]]]]`,
	} {
		f.Add(base, []byte(s))
	}
	f.Add("owntracks/pole/1/status", []byte(`{"_type":"status"}`))
	a := adapter(f, owntracks.Options{})
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		ingesttest.CheckAdapter(t, a, &ingest.Message{Topic: topic, Payload: payload, Received: noon})
	})
}
