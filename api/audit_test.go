package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

// What a person did is on record once: who, what, to what, and for whom. What
// changed nothing, and what a machine says by itself, is not.
func TestWhatPeopleDoIsOnRecord(t *testing.T) {
	e := newEnv(t)
	withPassword(t, e, "防火 2026")
	before := audits(e)

	login(e, "yixian", "wrong").want(http.StatusUnauthorized)
	token := into[v1.SessionResponse](login(e, "yixian", "防火 2026").want(http.StatusCreated)).Token
	req := v1.OrderRequest{
		Kind: "check", Level: "red", Text: "核查", Drill: true, Alert: "al-yixian", Targets: v1.Targets{Teams: []string{"tw-yizhou"}},
	}
	o := into[v1.Order](e.post("yixian", "/orders", req, "Idempotency-Key", "k").want(http.StatusCreated))
	e.post("yixian", "/orders", req, "Idempotency-Key", "k").want(http.StatusOK)
	e.post("laiyuan", "/orders", req, "Idempotency-Key", "k").want(http.StatusForbidden)
	for range 2 {
		e.post("yixian", "/alerts/al-yixian/acks", `{"note":"已派人"}`)
		e.post("team-yizhou", "/orders/"+o.ID+"/answers", `{"answer":"read"}`).want(200)
		e.post("team-yizhou", "/orders/"+o.ID+"/answers", `{"answer":"accepted","said":"2026-03-14T08:30:00+08:00"}`).want(200)
		e.post("laiyuan", "/orders/or-both/answers",
			`{"team":"tw-laiyuan","answer":"rejected","reason":"车辆故障","by":"李队长","said":"2026-03-14T08:29:00+08:00"}`).want(200)
		e.warn("city", capDoc{"w1", sent, "Actual", "Alert", "", "RED", area("易县", "130633")})
	}
	e.do(request{
		method: http.MethodDelete, path: v1.Prefix + "/sessions/current", headers: map[string]string{"Authorization": "Bearer " + token},
	}).want(http.StatusNoContent)

	var got []string
	for _, a := range audits(e)[len(before):] {
		if !a.At.Equal(begin) {
			t.Errorf("%s at %s", a.Action, a.At)
		}
		subject := strings.Replace(a.Subject, o.ID, "(order)", 1)
		if a.Action == "warning.create" {
			subject = "(warning)"
		}
		got = append(got, strings.TrimSpace(strings.Join([]string{a.Actor, a.Action, subject, a.Detail}, " | ")))
	}
	want := []string{
		"yixian | session.create | yixian | client 192.0.2.1",
		"yixian | order.create | (order) | check red, 1 teams, drill true",
		"yixian | alert.ack | al-yixian | 已派人",
		"team-yizhou | order.answer | (order) | team tw-yizhou: accepted",
		"laiyuan | order.answer | or-both | on behalf of team tw-laiyuan: rejected, said by 李队长",
		"city | warning.create | (warning) | Actual Alert 13060041600000,w1",
		"yixian | session.delete | yixian |",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("on record:\n%s\nwant:\n%s", g, w)
	}
}

// audits are all entries, oldest first.
func audits(e *env) []alerts.Audit {
	e.t.Helper()
	all, err := e.store.Audits(e.t.Context(), 1000)
	if err != nil {
		e.t.Fatal(err)
	}
	out := make([]alerts.Audit, 0, len(all))
	for _, a := range slices.Backward(all) {
		out = append(out, a)
	}
	return out
}
