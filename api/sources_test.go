package api

import (
	"strings"
	"testing"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

const register = `version: r-1
effective: 2026-01-01
sources:
  - {id: b, kind: grave, name: 墓地, area: "130633100", lat: 39.351, lon: 115.5}
  - {id: a, kind: permit, name: 烧枝, area: "130633100", lat: 39.35, lon: 115.5, from: 2026-03-14, to: 2026-03-14, holder: 王某}
  - {id: c, kind: kiln, name: 砖窑, area: "130630100", lat: 39.36, lon: 115.5}
`

func ids(l v1.SourceList) string {
	var out []string
	for _, x := range l.Items {
		out = append(out, x.ID)
	}
	return strings.Join(out, " ")
}

func TestSources(t *testing.T) {
	e := newEnv(t)
	if l := into[v1.SourceList](e.get("yixian", "/sources").want(200)); len(l.Items) != 0 || l.Version != "" {
		t.Errorf("without a register: %+v", l)
	}
	v := into[v1.SourceVersion](e.post("city", "/sources", register, "Content-Type", "application/yaml").want(201))
	if v.Version != "r-1" || v.Sources != 3 || v.Author != "city" {
		t.Errorf("%+v", v)
	}
	e.post("city", "/sources", register, "Content-Type", "application/yaml").want(201)
	e.post("city", "/sources", strings.Replace(register, "砖窑", "瓦窑", 1), "Content-Type", "application/yaml").problem(409, "conflict")
	for _, tt := range []struct{ who, query, want string }{
		{"city", "", "a b c"},
		{"yixian", "", "a b"},
		{"laiyuan", "", "c"},
		{"city", "?kind=grave", "b"},
		{"city", "?area=130630", "c"},
		{"city", "?lat=39.351&lon=115.5&km=0.5", "b a"},
		{"city", "?lat=39.351&lon=115.5&km=5", "b a c"},
		{"yixian", "?lat=39.351&lon=115.5&km=5&at=2026-03-15T00:00:00%2B08:00", "b"}, // the permit has ended
	} {
		l := into[v1.SourceList](e.get(tt.who, "/sources"+tt.query).want(200))
		if got := ids(l); got != tt.want || l.Version != "r-1" {
			t.Errorf("%s %s: %q of %q, want %q", tt.who, tt.query, got, l.Version, tt.want)
		}
		if near := strings.Contains(tt.query, "lat"); near != (l.Items[0].DistanceM != nil) {
			t.Errorf("%s: distance %v", tt.query, l.Items[0].DistanceM)
		}
	}
	first := into[v1.SourceList](e.get("city", "/sources?limit=2").want(200))
	if ids(first) != "a b" || first.Next == nil || ids(into[v1.SourceList](e.get("city", "/sources?limit=2&cursor="+*first.Next).want(200))) != "c" {
		t.Errorf("pages: %+v", first)
	}
	for _, bad := range []string{"lat=39", "lat=115&lon=39", "km=1", "lat=39.3&lon=115.5&km=0", "kind=fire", "at=now", "colour=red"} {
		e.get("city", "/sources?"+bad).problem(400, "invalid")
	}
	e.get("city", "/sources?area=999999").problem(404, "not_found")

	evs, err := e.store.Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, ev := range evs {
		if ev.Type == alerts.EventDocument && string(ev.Data) == `{"kind":"sources","version":"r-1"}` {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d events of the register, want 1", n)
	}
}

func TestSourcesThatAreNotTaken(t *testing.T) {
	e := newEnv(t)
	p := e.post("city", "/sources", strings.Replace(register, "kind: grave", "kind: tomb", 1), "Content-Type", "text/yaml").problem(422, "invalid")
	if len(p.Errors) != 1 || p.Errors[0].Field != "line 4" || !strings.Contains(p.Errors[0].Message, "tomb") {
		t.Errorf("%+v", p)
	}
	e.post("city", "/sources", strings.Replace(register, `"130630100"`, `"999999"`, 1), "Content-Type", "text/yaml").problem(422, "invalid")
	e.post("city", "/sources", register).problem(415, "invalid")
	e.post("city", "/sources", strings.Repeat("#", alerts.MaxSourceBytes+1), "Content-Type", "text/yaml").problem(413, "too_large")
	const table = "编号,类别,区域,纬度,经度\ng,坟墓,130633100,39.35,115.5\n"
	e.post("city", "/sources", table, "Content-Type", "text/csv").problem(400, "invalid")
	if l := into[v1.SourceList](e.get("city", "/sources").want(200)); len(l.Items) != 0 {
		t.Errorf("stored: %+v", l)
	}
	e.post("city", "/sources?version=t-1&effective=2026-01-01", table, "Content-Type", "text/csv; charset=utf-8").want(201)
	if l := into[v1.SourceList](e.get("city", "/sources").want(200)); ids(l) != "g" || l.Items[0].Kind != "grave" || l.Items[0].KindName != "坟墓" {
		t.Errorf("%+v", l)
	}
	e.post("city", "/sources?version=t-2&effective=2026-01-01", table+"h,坟,130633100,39.35,115.5\n", "Content-Type", "text/csv").problem(422, "invalid")
}
