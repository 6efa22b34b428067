package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "firewatch/api/v1"
)

// columns are the callers of the table below, in order: nobody, then accounts.
var columns = []string{"", "admin", "city", "yixian", "laiyuan", "team-yizhou", "team-laiyuan"}

const (
	orderFor = `{"kind":"standby","level":"yellow","text":"请待命","targets":%s}`
	answer   = `{"answer":"accepted"}`
)

const confirmYixian = `{"areas":[{"area":"130633100","proposed":"standby"}]}`

// TestEveryRouteForEveryRole walks every route with every caller. Each row has
// one status per column.
func TestEveryRouteForEveryRole(t *testing.T) {
	rows := []struct {
		route  string // as gin has it
		path   string
		body   string
		kind   string // content type, default JSON
		status [7]int
	}{
		//                                                                  nobody admin city yixian laiyuan team team
		{"POST /sessions", "/sessions", `{"username":"","password":""}`, "", [7]int{422, 422, 422, 422, 422, 422, 422}},
		{"GET /sessions/current", "/sessions/current", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"DELETE /sessions/current", "/sessions/current", "", "", [7]int{401, 204, 204, 204, 204, 204, 204}},
		{"GET /areas", "/areas", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /teams", "/teams", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /devices", "/devices", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /devices/:id", "/devices/s-yixian", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"GET /devices/:id", "/devices/nowhere", "", "", [7]int{401, 404, 404, 404, 404, 403, 403}},
		{"POST /devices", "/devices", `{"id":"new","kind":"sensor","area":"130633101"}`, "", [7]int{401, 201, 403, 403, 403, 403, 403}},
		{"GET /devices/export", "/devices/export", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"POST /devices/import", "/devices/import", "new sensor 130633101\n", "text/csv", [7]int{401, 200, 403, 403, 403, 403, 403}},
		{"PATCH /devices/:id", "/devices/s-yixian", `{"name":"新名"}`, "", [7]int{401, 200, 403, 403, 403, 403, 403}},
		{"DELETE /devices/:id", "/devices/s-yixian", "", "", [7]int{401, 204, 403, 403, 403, 403, 403}},
		{"POST /devices/:id/credential", "/devices/s-yixian/credential", "", "", [7]int{401, 201, 403, 403, 403, 403, 403}},
		{"DELETE /devices/:id/credential", "/devices/s-yixian/credential", "", "", [7]int{401, 204, 403, 403, 403, 403, 403}},
		{"GET /devices/:id/readings", "/devices/s-yixian/readings", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"GET /devices/:id/track", "/devices/s-yixian/track", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"GET /devices/:id/windows", "/devices/s-yixian/windows", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"GET /latest", "/latest", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /devices/:id/commands", "/devices/t-yixian/commands", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"POST /devices/:id/commands", "/devices/t-yixian/commands", `{"kind":"locate"}`, "", [7]int{401, 201, 201, 201, 404, 403, 403}},
		{"POST /devices/:id/commands", "/devices/nowhere/commands", `{"kind":"locate"}`, "", [7]int{401, 404, 404, 404, 404, 403, 403}},
		{"GET /commands", "/commands", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"DELETE /commands/:id", "/commands/cm-yixian?reason=x", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"DELETE /commands/:id", "/commands/none?reason=x", "", "", [7]int{401, 404, 404, 404, 404, 403, 403}},
		{"GET /alerts", "/alerts", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /alerts/:id", "/alerts/al-yixian", "", "", [7]int{401, 200, 200, 200, 404, 200, 200}}, // or-both names it
		{"GET /alerts/:id", "/alerts/al-laiyuan", "", "", [7]int{401, 200, 200, 404, 200, 404, 404}},
		{"GET /alerts/:id", "/alerts/al-nowhere", "", "", [7]int{401, 200, 200, 404, 404, 404, 404}},
		{"POST /alerts/:id/acks", "/alerts/al-yixian/acks", `{}`, "", [7]int{401, 201, 201, 201, 404, 403, 403}},
		{"GET /incidents", "/incidents", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /incidents/:id", "/incidents/in-yixian", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"POST /incidents/:id/confirmations", "/incidents/in-yixian/confirmations", `{}`, "", [7]int{401, 201, 201, 201, 404, 403, 403}},
		{"POST /incidents/:id/refutations", "/incidents/in-yixian/refutations", `{}`, "", [7]int{401, 201, 201, 201, 404, 403, 403}},
		{"GET /silences", "/silences", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"POST /silences", "/silences", silenceOf(`"area":"130633"`), "", [7]int{401, 201, 201, 201, 422, 403, 403}},
		{"POST /silences", "/silences", silenceOf(`"area":"130600"`), "", [7]int{401, 201, 201, 422, 422, 403, 403}},
		{"DELETE /silences/:id", "/silences/si-yixian", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"DELETE /silences/:id", "/silences/none", "", "", [7]int{401, 404, 404, 404, 404, 403, 403}},
		{"GET /holdbacks", "/holdbacks", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /orders", "/orders", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /orders/:id", "/orders/or-both", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /orders/:id", "/orders/or-laiyuan", "", "", [7]int{401, 200, 200, 404, 200, 404, 200}},
		{"POST /orders", "/orders", fmt.Sprintf(orderFor, `{"areas":["130600"]}`), "", [7]int{401, 201, 201, 403, 403, 403, 403}},
		{"POST /orders", "/orders", fmt.Sprintf(orderFor, `{"areas":["130633"]}`), "", [7]int{401, 201, 201, 201, 403, 403, 403}},
		{"POST /orders", "/orders", fmt.Sprintf(orderFor, `{"teams":["tw-laiyuan"]}`), "", [7]int{401, 201, 201, 403, 201, 403, 403}},
		{"POST /orders", "/orders", fmt.Sprintf(orderFor, `{"teams":["pro-city"]}`), "", [7]int{401, 201, 201, 403, 403, 403, 403}},
		{"POST /orders", "/orders", fmt.Sprintf(orderFor, `{"kinds":["township"]}`), "", [7]int{401, 201, 201, 201, 201, 403, 403}},
		{"POST /orders/:id/answers", "/orders/or-both/answers", answer, "", [7]int{401, 422, 422, 422, 422, 200, 200}},
		{"POST /orders/:id/answers", "/orders/or-laiyuan/answers", answer, "", [7]int{401, 422, 422, 404, 422, 404, 200}},
		{"POST /orders/:id/answers", "/orders/or-both/answers", `{"team":"tw-yizhou","answer":"accepted"}`, "", [7]int{401, 200, 200, 200, 404, 200, 403}},
		{"GET /warnings", "/warnings", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /warnings.atom", "/warnings.atom", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /warnings/:id", "/warnings/none.cap", "", "", [7]int{401, 404, 404, 404, 404, 404, 404}},
		{"GET /orders/:id", "/orders/or-both.cap", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /orders/:id", "/orders/or-laiyuan.cap", "", "", [7]int{401, 200, 200, 404, 200, 404, 200}},
		{"GET /warnings/:id", "/warnings/none", "", "", [7]int{401, 404, 404, 404, 404, 404, 404}},
		{"POST /warnings", "/warnings", "<none/>", "application/cap+xml", [7]int{401, 422, 422, 403, 403, 403, 403}},
		{"GET /seasons", "/seasons", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /seasons/calendar", "/seasons/calendar?area=130630", "", "", [7]int{401, 404, 404, 404, 404, 404, 404}},
		{"GET /hotspots", "/hotspots", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"POST /hotspots", "/hotspots", "latitude", "text/csv", [7]int{401, 422, 422, 403, 403, 403, 403}},
		{"GET /rules", "/rules", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /sources", "/sources", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"POST /sources", "/sources", "version: 1", "application/yaml", [7]int{401, 422, 422, 403, 403, 403, 403}},
		{"GET /readiness", "/readiness", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"POST /readiness/confirmations", "/readiness/confirmations", confirmYixian, "", [7]int{401, 503, 503, 503, 403, 403, 403}}, // nothing is worked out yet
		{"GET /readiness/table", "/readiness/table", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"POST /readiness/table", "/readiness/table", "rows: 1", "application/yaml", [7]int{401, 422, 422, 403, 403, 403, 403}},
		{"POST /readiness/table/:version/approval", "/readiness/table/none/approval", "", "", [7]int{401, 404, 404, 403, 403, 403, 403}},
		{"GET /readiness/:area/history", "/readiness/130633100/history", "", "", [7]int{401, 200, 200, 200, 404, 403, 403}},
		{"GET /readiness/:area/history", "/readiness/professional/history", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /documents/:kind", "/documents/readiness", "", "", [7]int{401, 200, 200, 200, 200, 403, 403}},
		{"GET /documents/:kind/:version", "/documents/readiness/none", "", "", [7]int{401, 404, 404, 404, 404, 403, 403}},
		{"GET /danger", "/danger", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /danger", "/danger?area=none", "", "", [7]int{401, 404, 404, 404, 404, 404, 404}},
		{"GET /danger/series", "/danger/series?area=130633", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /danger/stations/:id", "/danger/stations/s-yixian", "", "", [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET /events", "/events?last_event_id=x", "", "", [7]int{401, 400, 400, 400, 400, 400, 400}},
		{"GET /status", "/status", "", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET /openapi.yaml", "/openapi.yaml", "", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET /openapi.json", "/openapi.json", "", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
	}
	walked := map[string]bool{}
	for _, row := range rows {
		walked[row.route] = true
		method, _, _ := strings.Cut(row.route, " ")
		for i, as := range columns {
			t.Run(strings.ReplaceAll(row.route, "/", "_")+" "+as, func(t *testing.T) {
				e := newEnv(t)
				before := ordersIn(t, e)
				r := request{method: method, path: v1.Prefix + row.path, as: as, body: row.body, headers: map[string]string{}}
				if row.kind != "" {
					r.headers["Content-Type"] = row.kind
				}
				if row.route == "POST /readiness/confirmations" || row.route == "POST /orders" || row.route == "POST /devices/:id/commands" {
					r.headers["Idempotency-Key"] = "k1"
				}
				w := e.do(r)
				if w.Code != row.status[i] {
					t.Fatalf("%s %s as %q with %s: status %d, want %d: %s", method, row.path, as, row.body, w.Code, row.status[i], w.Body)
				}
				if w.Code >= 400 && ordersIn(t, e) != before {
					t.Error("something was created all the same")
				}
			})
		}
	}
	for _, r := range newEnv(t).engine.Routes() {
		if path, ok := strings.CutPrefix(r.Path, v1.Prefix); ok && !walked[r.Method+" "+path] {
			t.Errorf("%s %s is in no row", r.Method, path)
		}
	}
}

func ordersIn(t *testing.T, e *env) int {
	t.Helper()
	return len(into[v1.List[v1.Order]](e.get("admin", "/orders").want(200)).Items)
}

// TestListsHoldOnlyWhatIsVisible looks into every list with every account.
func TestListsHoldOnlyWhatIsVisible(t *testing.T) {
	e := newEnv(t)
	for _, row := range []struct {
		as, path string
		want     string // ids, joined
	}{
		{"admin", "/teams", "pro-city pro-yixian tw-laiyuan tw-yizhou"},
		{"city", "/teams", "pro-city pro-yixian tw-laiyuan tw-yizhou"},
		{"yixian", "/teams", "pro-yixian tw-yizhou"},
		{"yixian", "/teams?kind=township", "tw-yizhou"},
		{"yixian", "/teams?area=130630", ""},
		{"admin", "/teams?area=130630", "tw-laiyuan"},
		{"team-yizhou", "/teams", "tw-yizhou"},
		{"admin", "/devices", "s-laiyuan s-yixian t-off t-yixian"},
		{"laiyuan", "/devices", "s-laiyuan"},
		{"yixian", "/devices?kind=sensor", "s-yixian"},
		{"yixian", "/devices?area=130633100", "t-off t-yixian"},
		{"yixian", "/devices?area=130600", "s-yixian t-off t-yixian"},
		{"admin", "/alerts", "al-nowhere al-laiyuan al-yixian"},
		{"city", "/alerts", "al-nowhere al-laiyuan al-yixian"},
		{"yixian", "/alerts", "al-yixian"},
		{"yixian", "/alerts?area=130600", "al-yixian"},
		{"yixian", "/alerts?area=130630", ""},
		{"yixian", "/alerts?area=130633100", ""},
		{"city", "/alerts?area=130630", "al-laiyuan"},
		{"city", "/alerts?state=resolved", ""},
		{"city", "/alerts?device=s-yixian", "al-yixian"},
		{"admin", "/commands", "cm-yixian"},
		{"city", "/commands?area=130633&open=true", "cm-yixian"},
		{"yixian", "/commands?area=130600&device=t-yixian", "cm-yixian"},
		{"yixian", "/commands?device=t-off", ""},
		{"yixian", "/devices/t-yixian/commands?open=true", "cm-yixian"},
		{"laiyuan", "/commands", ""},
		{"laiyuan", "/commands?area=130633", ""},
		{"admin", "/orders", "or-laiyuan or-both"},
		{"yixian", "/orders", "or-both"},
		{"laiyuan", "/orders", "or-laiyuan or-both"},
		{"laiyuan", "/orders?area=130633", ""},
		{"team-yizhou", "/orders", "or-both"},
		{"team-laiyuan", "/orders", "or-laiyuan or-both"},
		{"team-laiyuan", "/orders?status=complete", ""},
		{"team-yizhou", "/areas?level=county", "130630 130633"},
		{"laiyuan", "/areas?parent=130633", "130633100 130633101"},
	} {
		t.Run(row.as+strings.ReplaceAll(row.path, "/", " "), func(t *testing.T) {
			type item struct{ ID, Code string }
			var ids []string
			for _, x := range into[v1.List[item]](e.get(row.as, row.path).want(200)).Items {
				ids = append(ids, x.ID+x.Code)
			}
			if got := strings.Join(ids, " "); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// TestPartOfAnOrder: who has a part of the prefecture sees that part of an
// order, and nothing that tells of the rest.
func TestPartOfAnOrder(t *testing.T) {
	e := newEnv(t)
	for _, row := range []struct {
		as    string
		teams []string
		short int
	}{
		{"admin", []string{"tw-laiyuan", "tw-yizhou"}, 1},
		{"city", []string{"tw-laiyuan", "tw-yizhou"}, 1},
		{"yixian", []string{"tw-yizhou"}, 0},
		{"laiyuan", []string{"tw-laiyuan"}, 0},
		{"team-yizhou", []string{"tw-yizhou"}, 0},
	} {
		t.Run(row.as, func(t *testing.T) {
			one := into[v1.Order](e.get(row.as, "/orders/or-both").want(200))
			var teams, tried []string
			for _, d := range one.Deliveries {
				teams = append(teams, d.Team)
			}
			for _, a := range one.Attempts {
				tried = append(tried, a.Team)
			}
			slices.Sort(tried)
			if !slices.Equal(teams, row.teams) || !slices.Equal(tried, row.teams) {
				t.Errorf("deliveries of %v, attempts of %v, want %v", teams, tried, row.teams)
			}
			if one.Tally.Total != len(row.teams) || len(one.Shortfalls) != row.short {
				t.Errorf("tally of %d, %d shortfalls", one.Tally.Total, len(one.Shortfalls))
			}
			for _, o := range into[v1.List[v1.Order]](e.get(row.as, "/orders").want(200)).Items {
				if o.ID == "or-both" && (o.Tally.Total != len(row.teams) || len(o.Shortfalls) != row.short) {
					t.Errorf("in the list: tally of %d, %d shortfalls", o.Tally.Total, len(o.Shortfalls))
				}
			}
		})
	}
}

func TestOutsideTargetsAreNamed(t *testing.T) {
	e := newEnv(t)
	p := e.post("yixian", "/orders", fmt.Sprintf(orderFor, `{"areas":["130633","130630"],"teams":["tw-laiyuan","tw-yizhou"]}`),
		"Idempotency-Key", "k").problem(http.StatusForbidden, "forbidden")
	if len(p.Errors) != 2 || !strings.Contains(p.Errors[0].Message, "130630") || !strings.Contains(p.Errors[1].Message, "tw-laiyuan") {
		t.Errorf("errors %+v", p.Errors)
	}
	if e.nudges() != 0 {
		t.Error("the dispatcher was nudged")
	}
}
