package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
)

// silenceOf is the body of a silence for an hour.
func silenceOf(what string) string {
	return fmt.Sprintf(`{%s,"until":%q,"reason":"计划烧除"}`, what, begin.Add(time.Hour).Format(time.RFC3339))
}

func (e *env) judged(j alerts.Judged) {
	e.t.Helper()
	if err := e.store.SaveJudged(e.t.Context(), j); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) onRecord(action, subject string) bool {
	e.t.Helper()
	as, err := e.store.Audits(e.t.Context(), 100)
	if err != nil {
		e.t.Fatal(err)
	}
	return slices.ContainsFunc(as, func(a alerts.Audit) bool { return a.Action == action && a.Subject == subject })
}

func (e *env) heard(typ alerts.EventType, id string) bool {
	e.t.Helper()
	evs, err := e.store.Events(e.t.Context(), 0, 1000)
	if err != nil {
		e.t.Fatal(err)
	}
	return slices.ContainsFunc(evs, func(v alerts.Event) bool { return v.Type == typ && strings.Contains(string(v.Data), id) })
}

func (e *env) ofIncident() alerts.Alert {
	e.t.Helper()
	a, err := e.store.Alert(e.t.Context(), "al-yixian")
	if err != nil {
		e.t.Fatal(err)
	}
	a.Incident = "in-yixian"
	e.judged(alerts.Judged{Alerts: []alerts.Alert{a}})
	return a
}

func TestAnIncidentIsConfirmedOnceAndRefuted(t *testing.T) {
	e := newEnv(t)
	e.ofIncident()
	in := into[v1.Incident](e.get("yixian", "/incidents/in-yixian").want(200))
	if in.State != "open" || in.AreaName != "梁格庄镇" || len(in.Members) != 1 || in.Members[0].ID != "al-yixian" || in.OrderLevel != nil {
		t.Errorf("incident %+v", in)
	}
	in = into[v1.Incident](e.post("yixian", "/incidents/in-yixian/confirmations", `{"note":"现场见明火"}`).want(201))
	if in.State != "confirmed" || in.By != "yixian" || in.ByName != "易县防火办" || in.Confirmed == nil {
		t.Errorf("confirmed %+v", in)
	}
	e.post("city", "/incidents/in-yixian/confirmations", `{}`).want(200)
	if !e.onRecord("incident.confirm", "in-yixian") || !e.heard(alerts.EventIncident, "in-yixian") {
		t.Error("the confirmation is not on record")
	}
	in = into[v1.Incident](e.post("city", "/incidents/in-yixian/refutations", `{"note":"误报"}`).want(201))
	if in.State != "refuted" || in.By != "city" {
		t.Errorf("refuted %+v", in)
	}
	e.post("city", "/incidents/in-yixian/confirmations", `{}`).problem(409, "conflict")
	e.post("city", "/incidents/in-yixian/refutations", `{}`).problem(409, "conflict")
	e.post("city", "/incidents/in-yixian/refutations", map[string]string{"note": strings.Repeat("字", 200)}).problem(422, "invalid")
	e.post("city", "/incidents/none/refutations", `{}`).problem(404, "not_found")
}

func TestIncidentsAreListedInTheScope(t *testing.T) {
	e := newEnv(t)
	e.judged(alerts.Judged{Incidents: []alerts.Incident{{
		ID: "in-laiyuan", Area: "130630100", Opened: begin, Closed: begin.Add(time.Hour), Severity: alerts.Red,
	}}})
	for _, row := range []struct{ as, query, want string }{
		{"admin", "", "in-laiyuan in-yixian"},
		{"admin", "?open=true", "in-yixian"},
		{"admin", "?area=130630", "in-laiyuan"},
		{"yixian", "", "in-yixian"},
		{"yixian", "?area=130630", ""},
		{"laiyuan", "?open=true", ""},
		{"admin", "?limit=1", "in-laiyuan"},
	} {
		l := into[v1.List[v1.Incident]](e.get(row.as, "/incidents"+row.query).want(200))
		var ids []string
		for _, x := range l.Items {
			ids = append(ids, x.ID)
		}
		if got := strings.Join(ids, " "); got != row.want || (l.Next != nil) != strings.Contains(row.query, "limit") {
			t.Errorf("%s %s: %q, next %v", row.as, row.query, got, l.Next)
		}
	}
	e.get("admin", "/incidents?open=maybe").problem(400, "invalid")
}

func TestASilenceHasAnEndAReasonAndAnAuthor(t *testing.T) {
	e := newEnv(t)
	until := func(d time.Duration) string { return begin.Add(d).Format(time.RFC3339) }
	for name, row := range map[string]struct{ body, field string }{
		"neither device nor area": {silenceOf(`"rule":"sensor_fire"`), "area"},
		"an SOS":                  {silenceOf(`"rule":"sos","area":"130633"`), "rule"},
		"no end":                  {`{"area":"130633","reason":"x"}`, "until"},
		"an end that has passed":  {fmt.Sprintf(`{"area":"130633","reason":"x","until":%q}`, until(0)), "until"},
		"over a week":             {fmt.Sprintf(`{"area":"130633","reason":"x","until":%q}`, until(7*24*time.Hour+time.Second)), "until"},
		"no reason":               {fmt.Sprintf(`{"area":"130633","until":%q}`, until(time.Hour)), "reason"},
		"a device elsewhere":      {silenceOf(`"device":"s-laiyuan"`), "device"},
		"no such device":          {silenceOf(`"device":"none"`), "device"},
		"no such area":            {silenceOf(`"area":"999"`), "area"},
	} {
		p := e.post("yixian", "/silences", row.body).problem(422, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Field != row.field {
			t.Errorf("%s: %+v", name, p.Errors)
		}
	}
	w := e.post("yixian", "/silences", silenceOf(`"area":"130633","device":"s-yixian","rule":"sensor_fire"`)).want(201)
	s := into[v1.AlertSilence](w)
	if s.Author != "yixian" || s.AuthorName != "易县防火办" || !s.InForce || s.AreaName != "易县" || w.Header().Get("Location") != v1.Prefix+"/silences/"+s.ID {
		t.Errorf("silence %+v", s)
	}
	if !e.onRecord("silence.create", s.ID) || !e.heard(alerts.EventSilence, s.ID) || e.nudges() == 0 {
		t.Error("the silence is not on record, or nobody was told")
	}
	if l := into[v1.List[v1.AlertSilence]](e.get("laiyuan", "/silences").want(200)); len(l.Items) != 0 {
		t.Errorf("laiyuan sees %+v", l.Items)
	}
	if l := into[v1.List[v1.AlertSilence]](e.get("city", "/silences?area=130633").want(200)); len(l.Items) != 2 {
		t.Errorf("city sees %+v", l.Items)
	}
	lift := func(as string) response {
		return e.do(request{method: http.MethodDelete, path: v1.Prefix + "/silences/" + s.ID, as: as})
	}
	lift("laiyuan").problem(404, "not_found")
	e.advance(time.Minute)
	if s = into[v1.AlertSilence](lift("city").want(200)); s.InForce || s.Lifted != "city" || s.Ended == nil {
		t.Errorf("lifted %+v", s)
	}
	lift("city").problem(409, "conflict")
	if !e.onRecord("silence.lift", s.ID) {
		t.Error("the lifting is not on record")
	}
	if l := into[v1.List[v1.AlertSilence]](e.get("city", "/silences?over=true&limit=1").want(200)); len(l.Items) != 1 || l.Next == nil {
		t.Errorf("page %+v", l)
	}
}

func TestHushedAlertsAreToldAndFiltered(t *testing.T) {
	e := newEnv(t)
	a := e.ofIncident()
	a.Hush = alerts.Hush{Kind: alerts.HushSilenced, By: "si-yixian", Why: "检修", Since: begin, Until: begin.Add(time.Hour)}
	e.judged(alerts.Judged{Alerts: []alerts.Alert{a}})
	for query, want := range map[string]string{
		"": "al-nowhere al-laiyuan al-yixian", "?hushed=false": "al-nowhere al-laiyuan", "?hushed=true": "al-yixian", "?incident=in-yixian": "al-yixian",
	} {
		l := into[v1.List[v1.Alert]](e.get("admin", "/alerts"+query).want(200))
		var ids []string
		for _, x := range l.Items {
			ids = append(ids, x.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	x := into[v1.Alert](e.get("yixian", "/alerts/al-yixian").want(200))
	if x.Hush == nil || x.Hush.By != "si-yixian" || x.Incident != "in-yixian" || !strings.Contains(x.Sentence, "静默 si-yixian") {
		t.Errorf("alert %+v", x)
	}
}

func TestAnAlertIsExplainedWithTheSeriesAroundIt(t *testing.T) {
	e := newEnv(t)
	a := e.ofIncident()
	a.Explain = alerts.Explanation{
		Condition: "co > 50", Base: alerts.Yellow, Values: map[string]float64{"co": 60},
		Raised: []alerts.RaisedBy{{By: "season", Why: "高火险期", From: alerts.Yellow, To: alerts.Orange}},
		Inputs: alerts.Surroundings{Season: alerts.HighDanger, Warning: alerts.Red, Danger: 4, DryDays: 9},
		Held:   []alerts.HeldBack{{At: begin, By: "incident", Why: "同一事件已下令"}},
	}
	e.judged(alerts.Judged{Alerts: []alerts.Alert{a}})
	for m := -60; m <= 60; m += 10 {
		e.history.readings = append(e.history.readings,
			reading("s-yixian", contract.Environment, a.Measured.Add(time.Duration(m)*time.Minute), contract.CoPPM, float64(100+m)))
	}
	x := into[v1.Alert](e.get("yixian", "/alerts/al-yixian").want(200))
	if x.Explanation == nil || x.Explanation.Base != "yellow" || x.Explanation.Raised[0].To != "orange" || x.Explanation.Inputs.Warning != "red" ||
		x.Explanation.Held[0].Why != "同一事件已下令" {
		t.Errorf("explanation %+v", x.Explanation)
	}
	if !strings.Contains(x.Sentence, "高火险期由黄色提高到橙色") || !strings.Contains(x.SentenceEn, "season from yellow to orange") {
		t.Errorf("sentence %q, %q", x.Sentence, x.SentenceEn)
	}
	s := x.Series
	if s == nil || s.Missing != "" || len(s.Lines) != 1 || s.Lines[0].Field != "co_ppm" || s.Lines[0].Unit != "ppm" ||
		!slices.Equal(s.Lines[0].Value, []float64{70, 80, 90, 100, 110, 120}) {
		t.Errorf("series %+v", s)
	}
	e.history.fail(errAway)
	x = into[v1.Alert](e.get("yixian", "/alerts/al-yixian").want(200))
	if x.Series == nil || len(x.Series.Lines) != 0 || !strings.Contains(x.Series.Missing, "历史数据不可用") || strings.Contains(x.Series.Missing, "hunter2") {
		t.Errorf("series without a history %+v", x.Series)
	}
	if x = into[v1.Alert](e.get("team-yizhou", "/alerts/al-yixian").want(200)); x.Series != nil || x.Sentence == "" {
		t.Errorf("a team sees %+v", x.Series)
	}
	if l := into[v1.List[v1.Alert]](e.get("yixian", "/alerts").want(200)); l.Items[0].Explanation != nil || l.Items[0].Series != nil {
		t.Error("a list explains")
	}
}

func TestHoldbacksAreListedInTheScope(t *testing.T) {
	e := newEnv(t)
	h := alerts.Holdback{Rule: "sensor_fire", RuleVersion: "1", Device: "s-yixian", Area: "130633101", Why: "正在校准", First: begin, Last: begin, Count: 3}
	if err := e.store.SaveHoldbacks(t.Context(), []alerts.Holdback{h}, 10); err != nil {
		t.Fatal(err)
	}
	l := into[v1.List[v1.Holdback]](e.get("yixian", "/holdbacks").want(200))
	if len(l.Items) != 1 || l.Items[0].Why != "正在校准" || l.Items[0].Count != 3 || l.Items[0].AreaName != "梁格庄镇" {
		t.Errorf("hold-backs %+v", l.Items)
	}
	if l = into[v1.List[v1.Holdback]](e.get("laiyuan", "/holdbacks").want(200)); len(l.Items) != 0 {
		t.Errorf("laiyuan sees %+v", l.Items)
	}
}
