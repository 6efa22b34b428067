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

func TestACorrectionNeedsItsOwnIdentifier(t *testing.T) {
	e := newEnv(t)
	first := capDoc{"w1", sent, "Actual", "Alert", "", "ORANGE", area("易县", "130633")}
	w := into[v1.Warning](e.warn("city", first).want(http.StatusCreated))
	other := first
	other.severity = "RED"
	if p := e.warn("city", other).problem(http.StatusConflict, "conflict"); !strings.Contains(p.Detail, "Update") || !strings.Contains(p.Detail, "identifier") {
		t.Errorf("problem %+v", p)
	}
	if w = into[v1.Warning](e.get("city", "/warnings/"+w.ID).want(200)); w.Blocks[0].Level != "orange" {
		t.Errorf("after the conflict: %+v", w)
	}
	other.id, other.msgType, other.references = "w2", "Update", "13060041600000,w1,"+sent
	e.warn("city", other).want(http.StatusCreated)
	if w = into[v1.Warning](e.get("city", "/warnings/"+w.ID).want(200)); w.EndedBy != "w2" {
		t.Errorf("after the update: %+v", w)
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
		if strange := row.area == area("石家庄市", "130100") || row.area == area("太行山区"); strange != (len(w.Unmatched) == 1) {
			t.Errorf("%s: unmatched %q", row.area, w.Unmatched)
		}
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

// figures is an area that is given by polygons ("lat,lon lat,lon …") and circles
// ("lat,lon km") alone, as in the examples of OASIS.
func figures(desc string, figures ...string) string {
	out := "<area><areaDesc>" + desc + "</areaDesc>"
	for _, f := range figures {
		name := "polygon"
		if strings.Count(f, " ") == 1 {
			name = "circle"
		}
		out += "<" + name + ">" + f + "</" + name + ">"
	}
	return out + "</area>"
}

func TestWarnedByPolygonAndCircle(t *testing.T) {
	// 易州镇 39.34,115.49 and 梁格庄镇 39.33,115.37 are 易县; 涞源镇 39.35,114.68 is all of
	// 涞源县; 易县 has an outline, and 西山北乡, added here, one of its own.
	const (
		laiyuan   = "39.20,114.50 39.20,114.90 39.50,114.90 39.50,114.50 39.20,114.50"
		yizhou    = "39.30,115.45 39.30,115.55 39.40,115.55 39.40,115.45 39.30,115.45"
		both      = "39.00,114.00 39.00,116.00 40.00,116.00 40.00,114.00 39.00,114.00"
		alps      = "46.00,7.00 46.00,8.00 47.00,8.00 46.00,7.00"
		insideXSB = "39.10,115.11 39.10,115.12 39.11,115.12 39.10,115.11"
	)
	for _, row := range []struct {
		name, area, want, unmatched string
	}{
		{"polygon of a county", figures("Laiyuan and around", laiyuan), "130630", ""},
		{"polygon of a township", figures("Yizhou", yizhou), "130633100", ""},
		{"polygon of everything", figures("northwest of Baoding", both), "130600", ""},
		{"two polygons", figures("two places", laiyuan, yizhou), "130630 130633100", ""},
		{"circle", figures("smoke", "39.35,115.50 5"), "130633100", ""},
		{"wider circle", figures("smoke", "39.34,115.43 6"), "130633100 130633101", ""},
		{"circle of no width on the point", figures("smoke", "39.34,115.49 0"), "130633100", ""},
		{"small polygon within an outline", figures("a slope", insideXSB), "130633102", ""},
		{"small circle within an outline", figures("a slope", "39.11,115.12 0.5"), "130633102", ""},
		{"somewhere else", figures("Wallis", alps), "", "Wallis"},
		{"one here, one elsewhere", figures("Wallis", alps) + figures("Yizhou", yizhou), " 130633100", "Wallis"},
		{"the name is known", figures("涞源县", yizhou), "130630", ""},
		{"the code is known", strings.Replace(area("Yixian", "130633"), "</areaDesc>", "</areaDesc><polygon>"+laiyuan+"</polygon>", 1), "130633", ""},
		{"nothing is told", figures("somewhere"), "", "somewhere"},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := newEnv(t)
			areas, err := e.store.Areas(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			roster := alerts.Roster{Areas: append(areas, alerts.Area{
				Code: "130633102", Name: "西山北乡", Level: alerts.Township, Parent: "130633", Lat: 39.15, Lon: 115.15,
				Outline: []byte(`{"type":"MultiPolygon","coordinates":[[[[115.1,39.1],[115.2,39.1],[115.2,39.2],[115.1,39.2],[115.1,39.1]]]]}`),
			})}
			if err := e.store.ReplaceRoster(t.Context(), roster, begin); err != nil {
				t.Fatal(err)
			}
			w := into[v1.Warning](e.warn("city", capDoc{"w1", sent, "Actual", "Alert", "", "Severe", row.area}).want(201))
			var got []string
			for _, b := range w.Blocks {
				got = append(got, b.Area)
				if b.Level != "orange" {
					t.Errorf("block %+v", b)
				}
			}
			if s := strings.Join(got, " "); s != row.want {
				t.Errorf("areas %q, want %q", s, row.want)
			}
			if s := strings.Join(w.Unmatched, " "); s != row.unmatched {
				t.Errorf("unmatched %q, want %q", s, row.unmatched)
			}
			if !w.InForce {
				t.Error("it is not in force")
			}
		})
	}
}

func TestWarningOfTooManyAreas(t *testing.T) {
	e := newEnv(t)
	var many strings.Builder
	for i := range 5001 {
		many.WriteString(area(fmt.Sprint("区", i), "130633"))
	}
	e.warn("city", capDoc{"w1", sent, "Actual", "Alert", "", "RED", many.String()}).problem(422, "invalid")
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
