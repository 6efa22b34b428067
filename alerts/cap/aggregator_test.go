package cap_test

import (
	"errors"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"firewatch/alerts/cap"
)

func TestRealBeijingWarning(t *testing.T) {
	doc := shared(t, "cap/cn_qweather_forest_fire_warning_20250410.json")
	if cap.FormOf(doc) != cap.FormJSON {
		t.Error("not known for JSON")
	}
	docs, err := cap.ParseAggregator(doc)
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d, %v", len(docs), err)
	}
	a := docs[0].Alert
	if a.Status != "Actual" || a.MsgType != "Alert" || a.Identifier != "10101100020250410193940080456885" || !a.Sent.Equal(utc("2025-04-10T19:39:00+08:00")) {
		t.Errorf("got %+v", a)
	}
	want := []cap.Block{{
		Event: "森林火险", EventCode: "11B25", Level: cap.Orange, LevelFrom: "parameter", AreaDesc: "北京市",
		From: utc("2025-04-10T19:12:00+08:00"), To: utc("2025-04-14T00:00:00+08:00"),
	}}
	if diff := gocmp.Diff(want, cap.Blocks(a)); diff != "" {
		t.Error(diff)
	}
	if s := cap.Summarize(a); s.Issuer != "北京应急局（森防办）" || !strings.Contains(s.Text, "12119") {
		t.Errorf("got %+v", s)
	}
	out, err := cap.Write(a)
	if err != nil {
		t.Fatal(err)
	}
	if !xmllint(t, [][]byte{out})[0] {
		t.Errorf("the schema refuses:\n%s", out)
	}
	again, err := cap.Read(docs[0].Raw)
	if diff := gocmp.Diff(a, again); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestAggregators(t *testing.T) {
	const v7 = `{"id":"1","sender":"易县气象台","pubTime":"2026-03-14T08:00+08:00","title":"易县气象台发布大风蓝色预警[Ⅳ级/一般]","typeName":"大风","type":"1006","level":"","severityColor":"Blue","status":"active"}`
	ref := func(id string) []cap.Reference { return []cap.Reference{{Sender: "QWeather", Identifier: id}} }
	for _, tt := range []struct {
		name, old, with string
		msgType         string
		refs            []cap.Reference
		level           cap.Level
		area            string
		codes           []string
		from, to        string
	}{
		{name: "no times: 24 h from its issue", level: cap.Blue},
		{name: "start without end: 24 h", old: `"id"`, with: `"startTime":"2026-03-14T12:00+08:00","id"`, level: cap.Blue, from: "2026-03-14T12:00:00+08:00", to: "2026-03-15T12:00:00+08:00"},
		{name: "an end before the start is none", old: `"id"`, with: `"endTime":"2026-03-13T12:00+08:00","id"`, level: cap.Blue},
		{name: "cancel of another", old: `"status":"active"`, with: `"status":"cancel","related":"0"`, msgType: "Cancel", refs: ref("0")},
		{name: "cancel of itself", old: `"status":"active"`, with: `"status":"cancel","related":""`, msgType: "Cancel", refs: ref("1")},
		{name: "update of two", old: `"status":"active"`, with: `"status":"update","related":"0,9"`, msgType: "Update", refs: append(ref("0"), ref("9")...), level: cap.Blue},
		{name: "update of nothing", old: `"status":"active"`, with: `"status":"update"`, msgType: "Alert", level: cap.Blue},
		{name: "colour in Chinese", old: `"level":"","severityColor":"Blue"`, with: `"level":"橙色"`, level: cap.Orange},
		{name: "colour in the title alone", old: `"severityColor":"Blue"`, with: `"severityColor":null`, level: cap.Blue},
		{name: "no known colour: the word", old: `"severityColor":"Blue","status"`, with: `"severityColor":"White","severity":"Major","title":"x","status"`, level: cap.Orange, area: "易县"},
		{name: "the platform's identifier", old: `"id":"1"`, with: `"id":"13060041600000_20260314080000"`, level: cap.Blue, codes: []string{"130600"}},
		{name: "a province before the place", old: "易县气象台发布", with: "河北省保定市气象台2026年03月14日08时00分发布", level: cap.Blue, area: "保定市"},
		{name: "issuer with a bracket", old: "易县气象台发布", with: "保定市森林草原防灭火指挥部办公室（森防办）发布", level: cap.Blue, area: "保定市"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(v7, tt.old, tt.with, 1)
			docs, err := cap.ParseAggregator([]byte(`{"code":"200","warning":[` + doc + `]}`))
			if err != nil || len(docs) != 1 {
				t.Fatalf("%d, %v", len(docs), err)
			}
			a := docs[0].Alert
			if tt.msgType != "" && a.MsgType != tt.msgType {
				t.Errorf("type %s", a.MsgType)
			}
			if diff := gocmp.Diff(tt.refs, a.References); diff != "" {
				t.Error(diff)
			}
			bs := cap.Blocks(a)
			if a.MsgType == "Cancel" {
				if bs != nil {
					t.Errorf("a Cancel warns of %+v", bs)
				}
				return
			}
			if tt.from == "" {
				tt.from, tt.to = "2026-03-14T08:00:00+08:00", "2026-03-15T08:00:00+08:00"
			}
			if tt.area == "" {
				tt.area = "易县"
			}
			b := bs[0]
			if b.Level != tt.level || b.AreaDesc != tt.area || !b.From.Equal(utc(tt.from)) || !b.To.Equal(utc(tt.to)) || b.EventCode != "11B06" {
				t.Errorf("block %+v", b)
			}
			if diff := gocmp.Diff(tt.codes, b.Codes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewerAggregator(t *testing.T) {
	docs, err := cap.ParseAggregator([]byte(`{"metadata":{"zeroResult":false},"alerts":[{"id":"2","senderName":"保定市气象台","issuedTime":"2026-03-14T00:00Z",
"messageType":{"code":"update","supersedes":["1"]},"eventType":{"name":"大风","code":"1006"},"urgency":"future","severity":"moderate","certainty":"likely",
"color":{"code":"yellow","red":255},"effectiveTime":"2026-03-14T01:00Z","onsetTime":"2026-03-14T02:00Z","expireTime":"2026-03-14T12:00Z",
"headline":"保定市气象台发布大风黄色预警","description":"d","instruction":"i"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	a := docs[0].Alert
	b := cap.Blocks(a)[0]
	if a.MsgType != "Update" || a.References[0].Identifier != "1" || b.Level != cap.Yellow || b.AreaDesc != "保定市" ||
		!b.From.Equal(utc("2026-03-14T02:00:00Z")) || !b.To.Equal(utc("2026-03-14T12:00:00Z")) || a.Infos[0].Urgency != "Future" || a.Infos[0].Instruction != "i" {
		t.Errorf("got %+v %+v", a, b)
	}
}

func TestNationalPlatform(t *testing.T) {
	docs, err := cap.ParseAggregator([]byte(`[{"identifier":"13060041600000_20260314080000","sender":"13060041600000","senderName":"保定市气象台","sendTime":"2026-03-14 08:00:00",
"status":"Exercise","msgType":"Update","eventType":"11B25","event":"森林火险","severity":"Orange","headline":"h","description":"d","areaDesc":"易县","geocode":"130633",
"references":"13060041600000,13060041600000_20260313080000,2026-03-13T08:00:00+08:00"}]`))
	if err != nil {
		t.Fatal(err)
	}
	a := docs[0].Alert
	b := cap.Blocks(a)[0]
	if a.Status != "Exercise" || a.Sender != "13060041600000" || b.Codes[0] != "130633" || b.AreaDesc != "易县" || b.Level != cap.Orange || b.EventCode != "11B25" ||
		!a.Sent.Equal(utc("2026-03-14T00:00:00Z")) || !a.References[0].Sent.Equal(utc("2026-03-13T00:00:00Z")) {
		t.Errorf("got %+v %+v", a, b)
	}
	if doc, err := cap.Write(a); err != nil || !xmllint(t, [][]byte{doc})[0] {
		t.Errorf("%v\n%s", err, doc)
	}
}

func TestFaultyAggregators(t *testing.T) {
	for _, tt := range []struct {
		name, doc, want string
		docs            int
	}{
		{"nothing there", `{"code":"200","warning":[]}`, "", 0},
		{"nothing there by code", `{"code":"204"}`, "", 0},
		{"refused", `{"code":"402"}`, "answers with code 402", 0},
		{"a code that is a number", `{"code":401,"warning":[]}`, "answers with code 401", 0},
		{"no list", `{"code":"200"}`, "neither a list", 0},
		{"another list", `{"code":"200","warning":{}}`, "want a list", 0},
		{"no JSON", `{"code":`, "not a JSON object", 0},
		{"empty", ``, "not a JSON object", 0},
		{"no id", `{"warning":[{"pubTime":"2026-03-14T08:00+08:00","typeName":"大风"}]}`, "warning[1]: identifier: is missing", 0},
		{"id with a comma", `{"warning":[{"id":"a,b","pubTime":"2026-03-14T08:00+08:00","typeName":"大风"}]}`, "identifier: ", 0},
		{"no time", `{"warning":[{"id":"1","typeName":"大风"}]}`, "time of issue", 0},
		{"no event", `{"warning":[{"id":"1","pubTime":"2026-03-14T08:00+08:00"}]}`, "what it warns of", 0},
		{"one good, one bad", `{"warning":[{"id":"1","pubTime":"2026-03-14T08:00+08:00","typeName":"大风"},7]}`, "warning[2]: not a JSON object", 1},
		{"too many", `{"warning":[` + strings.Repeat("1,", 1000) + `1]}`, "at most 1000", 0},
		{"deep", strings.Repeat("[", 1<<19), "not JSON", 0},
		{"large", "{" + strings.Repeat(" ", cap.MaxBytes) + "}", "at most", 0},
	} {
		docs, err := cap.ParseAggregator([]byte(tt.doc))
		if len(docs) != tt.docs || tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %d, %v", tt.name, len(docs), err)
		}
	}
}

func FuzzParseAggregator(f *testing.F) {
	f.Add([]byte(`{"code":"200","warning":[{"id":"1","sender":"易县气象台","pubTime":"2026-03-14T08:00+08:00","title":"易县气象台发布大风蓝色预警","typeName":"大风","status":"cancel","related":"0"}]}`))
	f.Add([]byte(`{"alerts":[{"id":"2","issuedTime":"2026-03-14T00:00Z","messageType":{"code":"update","supersedes":["1"]},"eventType":{"name":"大风"},"color":{"code":"red"}}]}`))
	f.Add([]byte(`[{"identifier":"13060041600000_20260314080000","sendTime":"2026-03-14 08:00:00","event":"森林火险","geocode":"130633"}]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		docs, err := cap.ParseAggregator(doc)
		var e *cap.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error %#v", err)
		}
		for _, d := range docs {
			again, err := cap.Read(d.Raw)
			if err != nil {
				t.Fatalf("%v: %s", err, d.Raw)
			}
			if diff := gocmp.Diff(d.Alert, again); diff != "" {
				t.Fatal(diff)
			}
			for _, b := range cap.Blocks(d.Alert) {
				if !b.To.After(b.From) {
					t.Fatalf("never in force: %+v", b)
				}
			}
			for i := range d.Alert.References { // all that is missing for CAP
				if r := &d.Alert.References[i]; r.Sent.IsZero() {
					r.Sent = d.Alert.Sent
				}
			}
			if _, err := cap.Write(d.Alert); err != nil && !strings.Contains(err.Error(), "XML does not have") {
				t.Fatalf("%v: %s", err, d.Raw)
			}
		}
	})
}
