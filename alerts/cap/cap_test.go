package cap_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"firewatch/alerts/cap"
)

// sharedDir is the folder of test inputs beside the repository.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("FIREWATCH_TESTDATA")
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for at := wd; dir == "" && at != filepath.Dir(at); at = filepath.Dir(at) {
			if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
				dir = filepath.Join(at, "..", "shared", "testdata")
			}
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no test inputs at %s: set FIREWATCH_TESTDATA", dir)
	}
	return dir
}

func shared(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sharedDir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func own(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/baoding_orange.xml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func utc(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestOASISSamples(t *testing.T) {
	for i, want := range []struct {
		event, area string
		level       cap.Level
		from, to    string
		blocks      int
	}{
		{"Homeland Security Advisory System Update", "U.S. nationwide and interests worldwide", cap.Orange, "2003-04-02T14:39:01-05:00", "2003-04-03T14:39:01-05:00", 1},
		{"SEVERE THUNDERSTORM", "EXTREME NORTH CENTRAL", cap.Orange, "2003-06-17T14:57:00-07:00", "2003-06-17T16:00:00-07:00", 1},
		{"Earthquake", "1 mi. WSW of Brawley", cap.Blue, "2003-06-11T20:56:00-07:00", "2003-06-12T20:56:00-07:00", 1},
		{"Child Abduction", "Los Angeles County", cap.Orange, "2003-06-11T22:39:00-07:00", "2003-06-12T22:39:00-07:00", 1},
	} {
		t.Run(fmt.Sprint("A.", i+1), func(t *testing.T) {
			a, err := cap.Parse(shared(t, fmt.Sprintf("cap/v1dot2_appendix_adot%d.xml", i+1)))
			if err != nil {
				t.Fatal(err)
			}
			bs := cap.Blocks(a)
			if len(bs) != want.blocks {
				t.Fatalf("%d blocks: %+v", len(bs), bs)
			}
			b := bs[0]
			if b.Event != want.event || !strings.HasPrefix(b.AreaDesc, want.area) || b.Level != want.level ||
				!b.From.Equal(utc(want.from)) || !b.To.Equal(utc(want.to)) || b.Codes != nil {
				t.Errorf("got %+v", b)
			}
		})
	}
	t.Run("references, circle", func(t *testing.T) {
		a, err := cap.Parse(shared(t, "cap/v1dot2_appendix_adot3.xml"))
		if err != nil {
			t.Fatal(err)
		}
		want := []cap.Reference{{Sender: "trinet@caltech.edu", Identifier: "TRI13970876.1", Sent: utc("2003-06-11T20:30:00-07:00")}}
		if diff := gocmp.Diff(want, a.References); diff != "" {
			t.Error(diff)
		}
		if c := a.Infos[0].Areas[0].Circles; len(c) != 1 || c[0] != (cap.Circle{Centre: cap.Point{Lat: 32.9525, Lon: -115.5527}}) {
			t.Errorf("circles %+v", c)
		}
	})
	t.Run("polygon", func(t *testing.T) {
		a, err := cap.Parse(shared(t, "cap/v1dot2_appendix_adot2.xml"))
		if err != nil {
			t.Fatal(err)
		}
		if p := a.Infos[0].Areas[0].Polygons; len(p) != 1 || len(p[0]) != 5 || p[0][1] != (cap.Point{Lat: 38.34, Lon: -119.95}) {
			t.Errorf("polygons %+v", p)
		}
	})
}

func TestChineseMessage(t *testing.T) {
	a, err := cap.Parse(own(t))
	if err != nil {
		t.Fatal(err)
	}
	if a.Identifier != "13060041600000_20260314080000" || !a.Sent.Equal(utc("2026-03-14T00:00:00Z")) || len(a.References) != 2 || len(a.Infos) != 2 {
		t.Errorf("got %+v", a)
	}
	base := cap.Block{
		Event: "森林火险", EventCode: "11B25", Level: cap.Orange, LevelFrom: "severity",
		From: utc("2026-03-14T04:00:00Z"), To: utc("2026-03-16T12:00:00Z"),
	}
	one, two := base, base
	one.AreaDesc, one.Codes = "易县、涞水县", []string{"130633", "130623"}
	one.Polygons = [][]cap.Point{{{Lat: 39.2, Lon: 115}, {Lat: 39.2, Lon: 115.6}, {Lat: 39.6, Lon: 115.6}, {Lat: 39.2, Lon: 115}}}
	two.AreaDesc, two.Codes = "阜平县龙泉关镇", []string{"130624102"}
	two.Circles = []cap.Circle{{Centre: cap.Point{Lat: 38.93, Lon: 113.85}, RadiusKM: 12.5}}
	if diff := gocmp.Diff([]cap.Block{one, two}, cap.Blocks(a)); diff != "" {
		t.Error(diff)
	}
	want := cap.Summary{
		Event: "森林火险", EventCode: "11B25", Issuer: "保定市气象台", Headline: "保定市气象台将森林火险黄色预警升级为橙色预警",
		Text: "风大物燥，森林火险等级高。", Measures: "严禁野外用火。",
	}
	if diff := gocmp.Diff(want, cap.Summarize(a)); diff != "" {
		t.Error(diff)
	}
	a.MsgType = "Cancel"
	if bs := cap.Blocks(a); bs != nil {
		t.Errorf("a Cancel warns of %+v", bs)
	}
}

func TestFaults(t *testing.T) {
	good := string(own(t))
	for _, tt := range []struct {
		name, old, with string
		want            []string
	}{
		{"no identifier", "<cap:identifier>13060041600000_20260314080000</cap:identifier>", "", []string{"line 2: identifier: is missing"}},
		{"empty sender", "<cap:sender>13060041600000<", "<cap:sender> <", []string{"line 4: sender: is empty"}},
		{"blank in the identifier", "13060041600000_20260314080000", "a b", []string{"line 3: identifier:", "blank"}},
		{"comma in the sender", "<cap:sender>13060041600000<", "<cap:sender>a,b<", []string{"sender:", "comma"}},
		{"Z", "2026-03-14T08:00:00+08:00</cap:sent>", "2026-03-14T00:00:00Z</cap:sent>", []string{"line 5: sent:", "numeric offset"}},
		{"fractions", "2026-03-14T08:00:00+08:00</cap:sent>", "2026-03-14T08:00:00.5+08:00</cap:sent>", []string{"sent:", "no fractions"}},
		{"no such day", "2026-03-14T12:00:00+08:00", "2026-02-30T12:00:00+08:00", []string{"info[2]/onset:"}},
		{"offset beyond the Earth", "2026-03-14T12:00:00+08:00", "2026-03-14T12:00:00+23:00", []string{"info[2]/onset:"}},
		{"status", ">Actual<", ">actual<", []string{`status: "actual" is not one of Actual, Exercise, System, Test, Draft`}},
		{"update without references", "<cap:references>", "<cap:references/><!--", []string{"not well-formed"}},
		{"references of two parts", "13060041600000,13060041600000_20260313080000,2026-03-13T08:00:00+08:00", "a,b", []string{"line 9: references:", "sender,identifier,sent"}},
		{"references with a bad time", "2026-03-13T10:00:00+08:00", "yesterday", []string{"references:", "yesterday", "numeric offset"}},
		{"order", "<cap:urgency>Expected</cap:urgency>\n    <cap:severity>Severe</cap:severity>", "<cap:severity>Severe</cap:severity>\n<cap:urgency>Expected</cap:urgency>", []string{"line 16: info[1]/urgency: stands too late: it comes before severity"}},
		{"twice", "<cap:scope>Public</cap:scope>", "<cap:scope>Public</cap:scope><cap:scope>Public</cap:scope>", []string{"scope: is there twice"}},
		{"unknown element", "<cap:scope>", "<cap:colour>red</cap:colour><cap:scope>", []string{"CAP 1.2 has no element colour here", "parameter"}},
		{"foreign namespace", "<cap:scope>", `<x:scope xmlns:x="urn:x">Public</x:scope><cap:scope>`, []string{"no element scope here"}},
		{"category", "<cap:category>Met<", "<cap:category>Weather<", []string{"info[2]/category[1]:", "Met"}},
		{"no category", "<cap:category>Fire</cap:category>\n    <cap:event>Forest", "<cap:event>Forest", []string{"info[1]/category: is missing"}},
		{"severity", "<cap:severity>ORANGE<", "<cap:severity>PURPLE<", []string{"line 28: info[2]/severity:", "RED, ORANGE, YELLOW, BLUE"}},
		{"expires before effective", "<cap:effective>2026-03-14T08:00:00+08:00", "<cap:effective>2026-03-16T20:00:01+08:00", []string{"info[2]/expires: lies before effective"}},
		{"polygon not closed", " 39.2,115.0<", " 39.3,115.0<", []string{"area[1]/polygon[1]: is not closed"}},
		{"polygon of three points", "39.2,115.0 39.2,115.6 39.6,115.6 39.2,115.0", "39.2,115.0 39.2,115.6 39.2,115.0", []string{"has 3 points: want at least 4"}},
		{"latitude and longitude exchanged", "39.2,115.0 39.2,115.6", "115.0,39.2 115.6,39.2", []string{"polygon[1]:", "latitude,longitude"}},
		{"not a number", "38.93,113.85 12.5", "NaN,113.85 12.5", []string{"circle[1]:"}},
		{"a hexadecimal radius", "38.93,113.85 12.5", "38.93,113.85 0x1p4", []string{"circle[1]:"}},
		{"a negative radius", "38.93,113.85 12.5", "38.93,113.85 -1", []string{"circle[1]:", "radius in km"}},
		{"geocode without value", "<cap:value>130623</cap:value>", "", []string{"area[1]/geocode[2]/value: is missing"}},
		{"no areaDesc", "<cap:areaDesc>阜平县龙泉关镇</cap:areaDesc>", "", []string{"info[2]/area[2]/areaDesc: is missing"}},
		{"text between elements", "<cap:info>\n    <cap:language>en-US", "<cap:info>hello<cap:language>en-US", []string{"text between the elements", "hello"}},
		{"private to nobody", "<cap:scope>Public<", "<cap:scope>Private<", []string{"addresses: is missing"}},
		{"restricted to nobody", "<cap:scope>Public<", "<cap:scope>Restricted<", []string{"restriction: is missing"}},
		{"another version", "cap:1.2", "cap:1.3", []string{"CAP 1.3", "CAP 1.2"}},
		{"no namespace", ` xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2"`, "", []string{"namespace", "want xmlns"}},
		{"another document", "cap:alert", "cap:feed", []string{"the document is a feed"}},
		{"encoding", `encoding="UTF-8"`, `encoding="KLINGON"`, []string{"KLINGON", "send UTF-8"}},
		{"not the encoding that it declares", `encoding="UTF-8"`, `encoding="GB2312"`, []string{"GB2312"}},
		{"Unicode in name alone", `encoding="UTF-8"`, `encoding="UTF-16"`, []string{"UTF-16"}},
		{"what comes after the signature", "</cap:alert>", "<cap:note>x</cap:note></cap:alert>", []string{"note: stands too late: it comes before the signature"}},
		{"an attribute twice", "<cap:scope>", `<cap:scope a="1" a="2">`, []string{"not well-formed", "twice"}},
		{"a declaration in the middle", "<cap:scope>", `<?xml version="1.0"?><cap:scope>`, []string{"not well-formed", "very start"}},
		{"a declaration without version", `<?xml version="1.0" `, "<?xml ", []string{"not well-formed", "no version"}},
		{"invalid UTF-8", "保定市气象台<", "\xff\xfe<", []string{"UTF-8"}},
		{"a second alert", "\n</cap:alert>", "\n</cap:alert><alert/>", []string{"second element"}},
		{"text after the end", "\n</cap:alert>", "\n</cap:alert>x", []string{"outside of the element alert"}},
		{"cut off", "</cap:info>\n  <Signature", "", []string{"not well-formed"}},
		{"document type", "<cap:alert", "<!DOCTYPE alert SYSTEM \"http://127.0.0.1/x.dtd\"><cap:alert", []string{"DOCTYPE", "not allowed"}},
		{"an entity nobody knows", "保定市气象台<", "&xxe;<", []string{"not well-formed", "entity"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.ReplaceAll(good, tt.old, tt.with)
			if tt.old != "cap:alert" && tt.name != "another version" {
				doc = strings.Replace(good, tt.old, tt.with, 1)
			}
			if doc == good {
				t.Fatal("nothing was replaced")
			}
			a, err := cap.Parse([]byte(doc))
			var e *cap.Error
			if a != nil || !errors.As(err, &e) || len(e.Faults) == 0 {
				t.Fatalf("got %v, %v", a, err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
}

func TestMessageTypes(t *testing.T) {
	const form = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>i</identifier><sender>s</sender>` +
		`<sent>2026-03-14T08:00:00+08:00</sent><status>Exercise</status><msgType>%s</msgType><scope>Public</scope>%s</alert>`
	const refs = "<references>s,h,2026-03-13T08:00:00+08:00</references>"
	for _, tt := range []struct{ kind, rest, want string }{
		{"Cancel", refs, ""},
		{"Ack", refs, ""},
		{"Error", refs, ""},
		{"Cancel", "", "references: is missing"},
		{"Update", "<references/>", "references: is missing"},
		{"Update", refs, ""},
		{"Alert", "", ""},
	} {
		_, err := cap.Parse(fmt.Appendf(nil, form, tt.kind, tt.rest))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %s: %v", tt.kind, tt.rest, err)
		}
	}
}

func TestHostileDocumentsAreRefusedFast(t *testing.T) {
	const open = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">`
	var laughs strings.Builder
	laughs.WriteString(`<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol0 "lol">`)
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&laughs, `<!ENTITY lol%d "%s">`, i, strings.Repeat(fmt.Sprintf("&lol%d;", i-1), 10))
	}
	laughs.WriteString("]>" + open + "<identifier>&lol9;</identifier></alert>")
	const most = cap.MaxBytes - 100
	attrs := strings.Builder{}
	for i := 0; attrs.Len() < most-100; i++ {
		fmt.Fprintf(&attrs, ` a%d="x"`, i)
	}
	for name, doc := range map[string]string{
		"billion laughs":      laughs.String(),
		"external entity":     `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + open + `<identifier>&x;</identifier></alert>`,
		"deep":                open + strings.Repeat("<info>", most/7),
		"deep and unknown":    open + strings.Repeat("<x>", most/4),
		"deep in a signature": open + `<s xmlns="http://www.w3.org/2000/09/xmldsig#">` + strings.Repeat("<x>", most/4),
		"wide":                open + strings.Repeat("<x/>", most/4) + "</alert>",
		"many infos":          open + strings.Repeat("<info/>", most/8) + "</alert>",
		"one long text":       open + "<identifier>" + strings.Repeat("a", most-100) + "</identifier></alert>",
		"attributes":          `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"` + attrs.String() + `></alert>`,
		"comments":            open + strings.Repeat("<!---->", most/8) + "</alert>",
		"too large":           open + strings.Repeat(" ", cap.MaxBytes),
		"nothing":             "",
		"not XML":             strings.Repeat("{", most),
		"zero bytes":          strings.Repeat("\x00", most),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := cap.Parse([]byte(doc))
			took := time.Since(began)
			if err == nil {
				t.Error("it was taken")
			}
			if took > 5*time.Second { // with the race detector, on a busy machine
				t.Errorf("took %s", took)
			}
			if err != nil && len(err.Error()) > 20_000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func message(info string) []byte {
	return []byte(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>i</identifier><sender>s</sender>` +
		`<sent>2026-03-14T08:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>` + info + `</alert>`)
}

// info is an info with parts in their places.
func info(lang, event, severity, after, headline, params string) string {
	if lang != "" {
		lang = "<language>" + lang + "</language>"
	}
	if headline != "" {
		headline = "<headline>" + headline + "</headline>"
	}
	return "<info>" + lang + "<category>Met</category><event>" + event + "</event><urgency>Future</urgency><severity>" + severity +
		"</severity><certainty>Likely</certainty>" + after + headline + params + "<area><areaDesc>保定</areaDesc></area></info>"
}

func param(name, value string) string {
	return "<parameter><valueName>" + name + "</valueName><value>" + value + "</value></parameter>"
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		name, severity, headline, params string
		want                             cap.Level
		from                             string
	}{
		{"a parameter", "Minor", "", param("severityColor", "RED"), cap.Red, "parameter"},
		{"a Chinese parameter", "Unknown", "", param("预警级别", "橙色"), cap.Orange, "parameter"},
		{"a parameter over the headline", "Unknown", "黄色预警", param("AlertLevel", "Blue"), cap.Blue, "parameter"},
		{"a red car", "Minor", "", param("vehicleColour", "RED"), cap.Blue, "severity"},
		{"severity as a colour", "RED", "蓝色预警", "", cap.Red, "severity"},
		{"severity as a Chinese colour", "黄色", "", "", cap.Yellow, "severity"},
		{"headline over the severity's word", "Severe", "发布森林火险红色预警", "", cap.Red, "headline"},
		{"the colour named last", "Unknown", "将红色预警降为橙色预警", "", cap.Orange, "headline"},
		{"Extreme", "Extreme", "", "", cap.Red, "severity"},
		{"Severe", "Severe", "", "", cap.Orange, "severity"},
		{"Moderate", "Moderate", "", "", cap.Yellow, "severity"},
		{"Minor", "Minor", "", "", cap.Blue, "severity"},
		{"nothing known", "Unknown", "大风预警", "", cap.None, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := cap.Parse(message(info("zh-CN", "大风", tt.severity, "", tt.headline, tt.params)))
			if err != nil {
				t.Fatal(err)
			}
			if b := cap.Blocks(a)[0]; b.Level != tt.want || b.LevelFrom != tt.from {
				t.Errorf("got %s from %q, want %s from %q", b.Level, b.LevelFrom, tt.want, tt.from)
			}
		})
	}
}

func TestTimesOfABlock(t *testing.T) {
	const effective, onset, expires = "<effective>2026-03-14T09:00:00+08:00</effective>", "<onset>2026-03-14T10:00:00+08:00</onset>", "<expires>2026-03-14T20:00:00+08:00</expires>"
	for _, tt := range []struct{ name, times, from, to string }{
		{"none: 24 h from sent", "", "2026-03-14T00:00:00Z", "2026-03-15T00:00:00Z"},
		{"effective", effective, "2026-03-14T01:00:00Z", "2026-03-15T01:00:00Z"},
		{"onset before effective", effective + onset, "2026-03-14T02:00:00Z", "2026-03-15T02:00:00Z"},
		{"expires", effective + onset + expires, "2026-03-14T02:00:00Z", "2026-03-14T12:00:00Z"},
	} {
		a, err := cap.Parse(message(info("zh-CN", "大风", "RED", tt.times, "", "")))
		if err != nil {
			t.Fatal(err)
		}
		if b := cap.Blocks(a)[0]; !b.From.Equal(utc(tt.from)) || !b.To.Equal(utc(tt.to)) {
			t.Errorf("%s: %s to %s", tt.name, b.From, b.To)
		}
	}
}

func TestLanguages(t *testing.T) {
	for _, tt := range []struct {
		langs []string
		want  []int // events by place
	}{
		{[]string{"en-US", "zh-CN"}, []int{1}},
		{[]string{"en-US", "zh-TW", "zh-CN"}, []int{2, 1}},
		{[]string{"zh-CN", "zh-CN", "en-US"}, []int{0, 1}},
		{[]string{"", "zh-CN"}, []int{1, 0}},
		{[]string{"en-US", "es-US", "en-GB"}, []int{0, 2}},
		{[]string{"", "fr"}, []int{0, 1}},
	} {
		doc := ""
		for i, l := range tt.langs {
			doc += info(l, fmt.Sprint(i), "RED", "", "", "")
		}
		a, err := cap.Parse(message(doc))
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, b := range cap.Blocks(a) {
			got = append(got, b.Event)
		}
		for _, i := range tt.want {
			want = append(want, fmt.Sprint(i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: infos %v, want %v", tt.langs, got, want)
		}
	}
}

func TestEventCodes(t *testing.T) {
	code := func(v string) string {
		return "<eventCode><valueName>x</valueName><value>" + v + "</value></eventCode>"
	}
	for _, tt := range []struct{ event, codes, wantCode, wantName string }{
		{"forest fire", code("SVR") + code("11b25"), "11B25", "森林火险"},
		{"森林火险橙色预警信号", "", "11B25", "森林火险"},
		{"森林火险气象风险黄色预警", "", "11B25", "森林火险"},
		{"森林(草原)火险", "", "11B41", "森林（草原）火险"},
		{"11B06", "", "11B06", "大风"},
		{"雷暴大风", "", "", "雷暴大风"},
		{"暴雨", code("11B03"), "11B03", "暴雨"},
		{"Tornado", code("TOR"), "", "Tornado"},
	} {
		a, err := cap.Parse(message(info("zh-CN", tt.event, "RED", tt.codes, "", "")))
		if err != nil {
			t.Fatal(err)
		}
		if b := cap.Blocks(a)[0]; b.EventCode != tt.wantCode || b.Event != tt.wantName {
			t.Errorf("%s %s: %q %q", tt.event, tt.codes, b.EventCode, b.Event)
		}
	}
}

func TestAreaCodes(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        []string
	}{
		{"GB", "130600", []string{"130600"}},
		{"GB", "130633000", []string{"130633"}},
		{"GB", "130633000000", []string{"130633"}},
		{"GB", "130633100000", []string{"130633100"}},
		{"GB", "130633100201", []string{"130633100"}},
		{"GB", "130633，130623；1", []string{"130633", "130623"}},
		{"GB", "006109", nil},
		{"GB", "13063", nil},
		{"GB", "1306330000000", nil},
		{"GB", "13063a", nil},
		{"SAME", "130633", nil},
		{"FIPS6", "130633", nil},
	} {
		a, err := cap.Parse(message(strings.Replace(info("zh-CN", "大风", "RED", "", "", ""), "</areaDesc>",
			"</areaDesc><geocode><valueName>"+tt.name+"</valueName><value>"+tt.value+"</value></geocode>", 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := cap.Blocks(a)[0].Codes; !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestInfoWithoutAreaStillWarns(t *testing.T) {
	a, err := cap.Parse(message(strings.Replace(info("zh-CN", "大风", "RED", "", "", ""), "<area><areaDesc>保定</areaDesc></area>", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if bs := cap.Blocks(a); len(bs) != 1 || bs[0].AreaDesc != "" || bs[0].Level != cap.Red {
		t.Errorf("got %+v", bs)
	}
}

func TestByteOrderMark(t *testing.T) {
	if _, err := cap.Parse(append([]byte("\ufeff"), own(t)...)); err != nil {
		t.Error(err)
	}
}
