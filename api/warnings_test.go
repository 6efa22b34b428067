package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

// capDoc is a CAP message sent at 08:00 local time on the day of the tests.
type capDoc struct {
	id, sent, status, msgType, references, severity, areas string
}

func (d capDoc) String() string {
	if d.references != "" {
		d.references = "<references>" + d.references + "</references>"
	}
	info := ""
	if d.areas != "" {
		info = `<info><language>zh-CN</language><category>Met</category><event>森林火险</event><urgency>Expected</urgency>` +
			`<severity>` + d.severity + `</severity><certainty>Likely</certainty><eventCode><valueName>EventCode</valueName><value>11B25</value></eventCode>` +
			`<senderName>保定市气象台</senderName><headline>森林火险预警</headline><description>气温高，空气干燥</description>` +
			`<instruction>禁止野外用火</instruction>` + d.areas + `</info>`
	}
	return `<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>` + d.id +
		`</identifier><sender>13060041600000</sender><sent>` + d.sent + `</sent><status>` + d.status + `</status><msgType>` + d.msgType +
		`</msgType><scope>Public</scope>` + d.references + info + `</alert>`
}

func area(desc string, codes ...string) string {
	out := "<area><areaDesc>" + desc + "</areaDesc>"
	for _, c := range codes {
		out += "<geocode><valueName>GB/T 2260</valueName><value>" + c + "</value></geocode>"
	}
	return out + "</area>"
}

func (e *env) warn(as string, d capDoc) response {
	e.t.Helper()
	return e.post(as, "/warnings", d.String(), "Content-Type", "application/cap+xml")
}

const sent = "2026-03-14T08:00:00+08:00"

func TestWarningComesIntoForceAndEnds(t *testing.T) {
	e := newEnv(t)
	first := capDoc{"w1", sent, "Actual", "Alert", "", "ORANGE", area("易县", "130633000000")}
	r := e.warn("city", first).want(http.StatusCreated)
	w := into[v1.Warning](r)
	if r.Header().Get("Location") != v1.Prefix+"/warnings/"+w.ID || w.Event != "森林火险" || w.EventCode != "11B25" ||
		w.Issuer != "保定市气象台" || w.Measures != "禁止野外用火" || !w.InForce || len(w.Blocks) != 1 {
		t.Errorf("warning %+v", w)
	}
	b := w.Blocks[0]
	if b.Area != "130633" || b.Level != "orange" || !b.From.Equal(begin.Add(-30*time.Minute)) || b.To.Sub(b.From) != 24*time.Hour {
		t.Errorf("block %+v", b)
	}
	if again := into[v1.Warning](e.warn("admin", first).want(http.StatusOK)); again.ID != w.ID {
		t.Errorf("the same message again is %s, want %s", again.ID, w.ID)
	}
	if l := into[v1.List[v1.Warning]](e.get("team-yizhou", "/warnings?in_force=true").want(200)); len(l.Items) != 1 {
		t.Errorf("%d in force, want 1", len(l.Items))
	}
	e.warn("city", capDoc{"w2", "2026-03-14T08:20:00+08:00", "Actual", "Cancel", "13060041600000,w1," + sent, "", ""}).want(201)
	w = into[v1.Warning](e.get("yixian", "/warnings/"+w.ID).want(200))
	if w.InForce || w.Ended == nil || w.EndedBy != "w2" {
		t.Errorf("after the cancel: %+v", w)
	}
	if l := into[v1.List[v1.Warning]](e.get("city", "/warnings?in_force=true").want(200)); len(l.Items) != 0 {
		t.Errorf("%d in force, want none", len(l.Items))
	}
	l := into[v1.List[v1.Warning]](e.get("city", "/warnings?limit=1").want(200))
	if len(l.Items) != 1 || l.Items[0].Identifier != "w2" || l.Next == nil {
		t.Fatalf("first page %+v", l)
	}
	l = into[v1.List[v1.Warning]](e.get("city", "/warnings?limit=1&cursor="+*l.Next).want(200))
	if len(l.Items) != 1 || l.Items[0].Identifier != "w1" || l.Next != nil {
		t.Errorf("second page %+v", l)
	}
}

func TestDrillIsNeverInForce(t *testing.T) {
	e := newEnv(t)
	real := into[v1.Warning](e.warn("city", capDoc{"w1", sent, "Actual", "Alert", "", "RED", area("易县", "130633")}).want(201))
	for _, status := range []string{"Exercise", "Test", "System", "Draft"} {
		w := into[v1.Warning](e.warn("city", capDoc{"x-" + status, sent, status, "Alert", "", "RED", area("易县", "130633")}).want(201))
		if w.InForce || w.Status != status {
			t.Errorf("%s: %+v", status, w)
		}
		e.warn("city", capDoc{"c-" + status, sent, status, "Cancel", "13060041600000,w1," + sent, "", ""}).want(201)
	}
	if w := into[v1.Warning](e.get("city", "/warnings/"+real.ID).want(200)); !w.InForce {
		t.Errorf("a drill ended the real one: %+v", w)
	}
}

func TestWarnedAreas(t *testing.T) {
	e := newEnv(t)
	for i, row := range []struct {
		area, want string
	}{
		{area("河北省", "130000"), "130600"},
		{area("保定市", "130600"), "130600"},
		{area("某乡", "130633999"), "130633"},
		{area("两县", "130630", "130633"), "130630 130633"},
		{area("石家庄市", "130100"), "130100"},
		{area("易县"), "130633"},
		{area("保定市易县易州镇"), "130633100"},
		{area("涞源县、易县"), "130630 130633"},
		{area("太行山区"), ""},
		{area("易县", "130633") + area("涞源县", "130630"), "130633 130630"},
	} {
		w := into[v1.Warning](e.warn("city", capDoc{fmt.Sprint("w", i), sent, "Actual", "Alert", "", "Moderate", row.area}).want(201))
		var got []string
		for _, b := range w.Blocks {
			got = append(got, b.Area)
			if b.Level != "yellow" || b.AreaDesc == "" {
				t.Errorf("block %+v", b)
			}
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%s: areas %q, want %q", row.area, s, row.want)
		}
	}
}

func TestFaultyWarnings(t *testing.T) {
	e := newEnv(t)
	good := capDoc{"w1", sent, "Actual", "Alert", "", "RED", area("易县", "130633")}
	utc := good
	utc.sent = "2026-03-14T00:00:00Z"
	p := e.warn("city", utc).problem(422, "invalid")
	if len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Field, "sent") {
		t.Errorf("errors %+v", p.Errors)
	}
	entity := strings.Replace(good.String(), "<alert", `<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert`, 1)
	e.post("city", "/warnings", entity, "Content-Type", "text/xml").problem(422, "invalid")
	e.post("city", "/warnings", good.String(), "Content-Type", "application/json").problem(415, "invalid")
	e.post("city", "/warnings", strings.Repeat(" ", 1<<20+1), "Content-Type", "application/xml").problem(413, "too_large")
	if l := into[v1.List[v1.Warning]](e.get("city", "/warnings").want(200)); len(l.Items) != 0 {
		t.Errorf("%d warnings stored", len(l.Items))
	}
}

func TestSeasonsOfADay(t *testing.T) {
	e := newEnv(t)
	if l := into[v1.List[v1.SeasonDay]](e.get("yixian", "/seasons").want(200)); len(l.Items) != 0 {
		t.Errorf("without a table: %+v", l)
	}
	if err := e.store.SaveSeasons(t.Context(), alerts.SeasonTable{
		Version: "2026-1", Effective: begin.AddDate(-1, 0, 0),
		Seasons: []alerts.Season{
			{Area: "130600", Kind: alerts.Prevention, From: "10-01", To: "05-31"},
			{Area: "130630", Kind: alerts.Closure, From: "03-01", To: "06-30"},
		},
	}, begin); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/seasons?area=130633100":                 "2026-03-14 prevention 2026-1",
		"/seasons?area=130630100":                 "2026-03-14 closure 2026-1",
		"/seasons?area=130633100&date=2025-10-01": "2025-10-01 prevention 2026-1",
		"/seasons?area=130633100&date=2025-09-30": "2025-09-30  2026-1",
	} {
		l := into[v1.List[v1.SeasonDay]](e.get("team-yizhou", path).want(200))
		if len(l.Items) != 1 {
			t.Fatalf("%s: %+v", path, l)
		}
		d := l.Items[0]
		if got := d.Date + " " + strings.Join(d.Kinds, " ") + " " + d.Version; got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if l := into[v1.List[v1.SeasonDay]](e.get("yixian", "/seasons").want(200)); len(l.Items) != 6 {
		t.Errorf("%d areas, want 6", len(l.Items))
	}
	e.get("yixian", "/seasons?date=14.3.2026").problem(400, "invalid")
}
