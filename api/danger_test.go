package api

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

// begin is 08:30 of 2026-03-14, local time.
func (e *env) rateDanger(ds ...alerts.AreaDanger) {
	e.t.Helper()
	for i := range ds {
		if ds[i].Method == "" {
			ds[i].Method = alerts.DangerHTZ
		}
	}
	if err := e.store.SaveDanger(e.t.Context(), nil, ds, nil); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) danger(path string) map[string]string {
	e.t.Helper()
	out := map[string]string{}
	for _, d := range into[v1.List[v1.DangerDay]](e.get("team-yizhou", path).want(200)).Items {
		held, value, dry := "-", "-", "-"
		if d.HeldFrom != nil {
			held = *d.HeldFrom
		}
		if d.Value != nil {
			value = fmt.Sprint(*d.Value)
		}
		if d.DryDays != nil {
			dry = fmt.Sprint(*d.DryDays)
		}
		out[d.Area+" "+d.Date] = fmt.Sprintf("%d %s %s value %s dry %s held %s degraded %v", d.Level, d.LevelName, d.Method, value, dry, held, d.Degraded)
	}
	return out
}

func TestDangerOfADay(t *testing.T) {
	e := newEnv(t)
	unknown := "0 不明 htz value - dry - held - degraded true"
	if got := e.danger("/danger?area=130633"); len(got) != 3 || got["130633100 2026-03-14"] != unknown {
		t.Errorf("nothing rated: unknown is not green: %v", got)
	}
	e.rateDanger(
		alerts.AreaDanger{Area: "130633100", Day: "2026-03-13", Level: 3, Value: 60, DryDays: 4},
		alerts.AreaDanger{Area: "130633101", Day: "2026-03-13", Level: 4, Value: 80, DryDays: 4},
		alerts.AreaDanger{Area: "130633101", Day: "2026-03-14", Level: 5, Value: 95, DryDays: -1, HeldFrom: "2026-03-10", Degraded: true},
		alerts.AreaDanger{Area: "130633101", Day: "2026-03-14", Level: 2, Value: 12, DryDays: 4, Method: alerts.DangerFWI},
		alerts.AreaDanger{Area: "130633", Day: "2026-03-12", Level: 4, Value: 80, DryDays: 4},
		alerts.AreaDanger{Area: "130630", Day: "2026-03-11", Level: 4, Value: 80, DryDays: 4},
	)
	for path, want := range map[string]map[string]string{
		"/danger?area=130633": {
			"130633 2026-03-14":    "4 高度危险 htz value 80 dry 4 held 2026-03-12 degraded true",
			"130633100 2026-03-14": "3 较高危险 htz value 60 dry 4 held 2026-03-13 degraded false", // the day is young
			"130633101 2026-03-14": "5 极度危险 htz value 95 dry - held 2026-03-10 degraded true",
		},
		"/danger?area=130630":                         {"130630 2026-03-14": unknown, "130630100 2026-03-14": unknown}, // too old
		"/danger?area=130633101&method=fwi":           {"130633101 2026-03-14": "2 中度危险 fwi value 12 dry 4 held - degraded false"},
		"/danger?area=130633100&date=2026-03-13":      {"130633100 2026-03-13": "3 较高危险 htz value 60 dry 4 held - degraded false"},
		"/danger?area=130633100&date=2026-03-12":      {"130633100 2026-03-12": unknown},
		"/danger/series?area=130633101":               {"130633101 2026-03-13": "4 高度危险 htz value 80 dry 4 held - degraded false", "130633101 2026-03-14": "5 极度危险 htz value 95 dry - held 2026-03-10 degraded true"},
		"/danger/series?area=130633101&to=2026-03-13": {"130633101 2026-03-13": "4 高度危险 htz value 80 dry 4 held - degraded false"},
		"/danger/series?area=130633101&method=fwi":    {"130633101 2026-03-14": "2 中度危险 fwi value 12 dry 4 held - degraded false"},
	} {
		if d := cmp.Diff(want, e.danger(path)); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	if got := e.danger("/danger"); len(got) != 6 {
		t.Errorf("%d areas, want 6", len(got))
	}
	for _, path := range []string{
		"/danger?date=14.3.2026", "/danger?method=hunch", "/danger/series", "/danger/series?area=130633&from=2026-03-15&to=2026-03-14",
		"/danger/series?area=130633&from=2020-01-01", "/danger/stations/s-yixian?from=x", "/danger?day=2026-03-14",
	} {
		e.get("yixian", path).problem(400, "invalid")
	}
	e.get("yixian", "/danger/series?area=none").problem(404, "not_found")
}

func TestDangerOfAStation(t *testing.T) {
	e := newEnv(t)
	if err := e.store.SaveDanger(t.Context(), []alerts.StationDay{
		{
			Station: "s-yixian", Day: "2026-03-13", Method: alerts.DangerHTZ, Version: "htz-1", Level: 3, Chain: "next",
			Inputs: []byte(`{"temp_max_c":22}`), Result: []byte(`{"value":60}`), At: begin,
		},
		{Station: "s-yixian", Day: "2026-03-14", Method: alerts.DangerHTZ, Version: "htz-1", Note: "资料不足：缺降水", Provisional: true, At: begin},
		{Station: "s-yixian", Day: "2026-03-13", Method: alerts.DangerFWI, Version: "fwi-1", Level: 1, Chain: "start", At: begin},
		{Station: "s-laiyuan", Day: "2026-03-13", Method: alerts.DangerFWI, Version: "fwi-1", Level: 1, Chain: "start", At: begin},
	}, nil, nil); err != nil {
		t.Fatal(err)
	}
	l := into[v1.List[v1.StationDanger]](e.get("laiyuan", "/danger/stations/s-yixian?method=htz").want(200)).Items
	if len(l) != 2 || string(l[0].Inputs) != `{"temp_max_c":22}` || l[0].Chain != "next" || l[1].Level != 0 || l[1].Note == "" || !l[1].Provisional || string(l[1].Result) != "null" {
		t.Errorf("%+v", l)
	}
	if l := into[v1.List[v1.StationDanger]](e.get("city", "/danger/stations/s-yixian").want(200)).Items; len(l) != 3 {
		t.Errorf("both methods: %+v", l)
	}
}
