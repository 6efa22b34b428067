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
)

func TestOrderReachesEveryTeamOfItsTargets(t *testing.T) {
	e := newEnv(t)
	last, err := e.store.LastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := e.post("yixian", "/orders", v1.OrderRequest{
		Kind: "forward", Level: "red", Text: " 靠前驻防 ", Alert: "al-yixian",
		Targets: v1.Targets{Areas: []string{"130633"}},
	}, "Idempotency-Key", "k1").want(http.StatusCreated)
	o := into[v1.Order](r)
	if r.Header().Get("Location") != v1.Prefix+"/orders/"+o.ID {
		t.Errorf("Location %q", r.Header().Get("Location"))
	}
	if o.Text != "靠前驻防" || o.Issuer != "yixian" || o.IssuerName != "易县防火办" || o.Area != "130633" || o.AreaName != "易县" || o.Alert != "al-yixian" ||
		!o.Demo || o.Lat == nil || o.Status != "open" || !o.AnswerBy.Equal(begin.Add(5*time.Minute)) {
		t.Errorf("order %+v", o)
	}
	var teams []string
	for _, d := range o.Deliveries {
		teams = append(teams, d.Team)
		if d.State != "pending" || d.Reason == "" || d.Overdue {
			t.Errorf("delivery %+v", d)
		}
	}
	if !slices.Equal(teams, []string{"pro-yixian", "tw-yizhou"}) || o.Tally.Total != 2 {
		t.Errorf("teams %v, tally %+v", teams, o.Tally)
	}
	if e.nudges() != 1 {
		t.Errorf("%d nudges of the dispatcher, want 1", e.nudges())
	}
	if a := into[v1.Alert](e.get("yixian", "/alerts/al-yixian").want(200)); a.Order != "or-both" {
		t.Errorf("the alert names order %q, want the first one, or-both", a.Order)
	}
	evs, err := e.store.Events(t.Context(), last, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ev := range evs {
		got = append(got, fmt.Sprintf("%s %s %s", ev.Type, ev.Area, ev.Team))
	}
	if want := []string{"order 130633 ", "delivery 130633 pro-yixian", "delivery 130633100 tw-yizhou"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	audits, err := e.store.Audits(t.Context(), 1)
	if err != nil || audits[0].Actor != "yixian" || audits[0].Action != "order.create" || audits[0].Subject != o.ID {
		t.Errorf("audit %+v, %v", audits, err)
	}
}

func TestSameKeyGivesTheFirstOrderBack(t *testing.T) {
	e := newEnv(t)
	req := v1.OrderRequest{Kind: "standby", Level: "blue", Text: "待命", Drill: true, Targets: v1.Targets{Teams: []string{"tw-yizhou"}}}
	first := into[v1.Order](e.post("yixian", "/orders", req, "Idempotency-Key", "k").want(http.StatusCreated))
	if first.Text != "【演练】待命" || !first.Drill {
		t.Errorf("a drill without its mark: %+v", first)
	}
	e.advance(time.Minute)
	again := into[v1.Order](e.post("yixian", "/orders", req, "Idempotency-Key", "k").want(http.StatusOK))
	if again.ID != first.ID || !again.Issued.Equal(first.Issued) || len(again.Deliveries) != 1 {
		t.Errorf("the same key gave %+v, want %s", again, first.ID)
	}
	if e.nudges() != 1 {
		t.Errorf("%d nudges, want 1", e.nudges())
	}
	other := req
	other.Targets.Teams = []string{"pro-yixian"}
	e.post("yixian", "/orders", other, "Idempotency-Key", "k").problem(http.StatusConflict, "conflict")
	other = req
	other.Drill = false
	e.post("yixian", "/orders", other, "Idempotency-Key", "k").problem(http.StatusConflict, "conflict")
	// Keys belong to their issuer.
	e.post("city", "/orders", req, "Idempotency-Key", "k").want(http.StatusCreated)
}

// A retry must find the order that went out, whatever became of the roster.
func TestSameKeyAfterARosterChange(t *testing.T) {
	for name, change := range map[string]func(*alerts.Roster){
		"another team": func(r *alerts.Roster) {
			r.Teams = append(r.Teams, alerts.Team{ID: "tw-new", Kind: alerts.TownshipTeam, Area: "130633101"})
		},
		"a named team left": func(r *alerts.Roster) {
			r.Teams = slices.DeleteFunc(r.Teams, func(t alerts.Team) bool { return t.ID == "tw-yizhou" })
		},
		"no team is left": func(r *alerts.Roster) { r.Teams = nil },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			req := v1.OrderRequest{
				Kind: "standby", Level: "blue", Text: "待命",
				Targets: v1.Targets{Areas: []string{"130633", "130633100"}, Teams: []string{"tw-yizhou"}},
			}
			first := into[v1.Order](e.post("yixian", "/orders", req, "Idempotency-Key", "k").want(http.StatusCreated))
			ctx := t.Context()
			areas, err := e.store.Areas(ctx)
			if err != nil {
				t.Fatal(err)
			}
			teams, err := e.store.Teams(ctx)
			if err != nil {
				t.Fatal(err)
			}
			r := alerts.Roster{Areas: areas, Teams: teams}
			change(&r)
			if err := e.store.ReplaceRoster(ctx, r, begin); err != nil {
				t.Fatal(err)
			}
			req.Targets.Areas = []string{"130633100", "130633"} // the order of targets means nothing
			again := into[v1.Order](e.post("yixian", "/orders", req, "Idempotency-Key", "k").want(http.StatusOK))
			if again.ID != first.ID {
				t.Errorf("the retry gave %s, want %s", again.ID, first.ID)
			}
			req.Targets.Areas = nil
			e.post("yixian", "/orders", req, "Idempotency-Key", "k").problem(http.StatusConflict, "conflict")
		})
	}
}

func TestOrderFaultsNameTheField(t *testing.T) {
	e := newEnv(t)
	good := func(change func(*v1.OrderRequest)) v1.OrderRequest {
		r := v1.OrderRequest{Kind: "check", Level: "yellow", Text: "核查", Targets: v1.Targets{Areas: []string{"130633"}}}
		change(&r)
		return r
	}
	for _, row := range []struct {
		field string
		req   v1.OrderRequest
	}{
		{"kind", good(func(r *v1.OrderRequest) { r.Kind = "attack" })},
		{"level", good(func(r *v1.OrderRequest) { r.Level = "notice" })},
		{"level", good(func(r *v1.OrderRequest) { r.Level = "" })},
		{"text", good(func(r *v1.OrderRequest) { r.Text = " \n" })},
		{"text", good(func(r *v1.OrderRequest) { r.Text = strings.Repeat("火", 334) })},
		{"text", good(func(r *v1.OrderRequest) { r.Text = "a\x00b" })},
		{"targets", good(func(r *v1.OrderRequest) { r.Targets = v1.Targets{} })},
		{"targets.areas[1]", good(func(r *v1.OrderRequest) { r.Targets.Areas = append(r.Targets.Areas, "999999") })},
		{"targets.teams[0]", good(func(r *v1.OrderRequest) { r.Targets.Teams = []string{"nobody"} })},
		{"targets.kinds[0]", good(func(r *v1.OrderRequest) { r.Targets.Kinds = []string{"navy"} })},
		{"alert", good(func(r *v1.OrderRequest) { r.Alert = "al-laiyuan" })}, // of another county
		{"alert", good(func(r *v1.OrderRequest) { r.Alert = "al-none" })},
		{"targets", good(func(r *v1.OrderRequest) { r.Targets.Areas = []string{"130633101"} })}, // no team there
	} {
		p := e.post("yixian", "/orders", row.req, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Field != row.field {
			t.Errorf("%+v: errors %+v, want one at %s", row.req, p.Errors, row.field)
		}
	}
	nobody := e.post("yixian", "/orders", good(func(r *v1.OrderRequest) { r.Targets.Areas = []string{"130633101"} }),
		"Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "invalid")
	if !strings.Contains(nobody.Detail, "nobody would be notified") || !strings.Contains(nobody.Errors[0].Message, "梁格庄镇") {
		t.Errorf("problem %+v", nobody)
	}
	for _, key := range []string{"", "with space", "ключ", strings.Repeat("k", 201)} {
		p := e.post("yixian", "/orders", good(func(*v1.OrderRequest) {}), "Idempotency-Key", key).problem(http.StatusBadRequest, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Field != "Idempotency-Key" {
			t.Errorf("key %q: errors %+v", key, p.Errors)
		}
	}
	if n := ordersIn(t, e); n != 2 {
		t.Errorf("%d orders, want the 2 of the fixture", n)
	}
}

func TestAnswersGoFromReceiptToCompleteOrder(t *testing.T) {
	e := newEnv(t)
	say := func(as, body string) v1.Delivery {
		t.Helper()
		return into[v1.Delivery](e.post(as, "/orders/or-both/answers", body).want(http.StatusOK))
	}
	if d := say("team-yizhou", `{"answer":"delivered"}`); d.State != "delivered" || d.Delivered == nil || d.Answered != nil {
		t.Errorf("after delivered: %+v", d)
	}
	e.advance(time.Second)
	if d := say("team-yizhou", `{"answer":"read"}`); d.State != "read" || !d.Read.After(*d.Delivered) {
		t.Errorf("after read: %+v", d)
	}
	if d := say("team-yizhou", `{"answer":"accepted","by":"张三","reason":"二十人"}`); d.State != "answered" || d.Answer != "accepted" ||
		d.AnsweredBy != "张三" || d.AnswerNote != "二十人" || d.OnBehalf {
		t.Errorf("after accepted: %+v", d)
	}
	nudged := e.nudges()
	if d := say("team-yizhou", `{"answer":"delivered"}`); d.State != "answered" {
		t.Errorf("a receipt again: %+v", d)
	}
	if e.nudges() != nudged {
		t.Error("the same again nudged the dispatcher")
	}
	if o := into[v1.Order](e.get("admin", "/orders/or-both").want(200)); o.Status != "open" || o.Tally.Answered != 1 || o.Tally.AnswerRate != 0.5 {
		t.Errorf("order %+v", o)
	}

	e.advance(20 * time.Minute)
	if o := into[v1.Order](e.get("laiyuan", "/orders/or-both").want(200)); !o.Deliveries[0].Overdue {
		t.Error("a silent team past the deadline is not overdue")
	}
	d := say("laiyuan", `{"team":"tw-laiyuan","answer":"rejected","reason":"车辆故障"}`)
	if d.State != "answered" || !d.OnBehalf || d.AnsweredBy != "涞源县防火办" || d.Delivered != nil {
		t.Errorf("on behalf: %+v", d)
	}
	o := into[v1.Order](e.get("admin", "/orders/or-both").want(200))
	if o.Status != "complete" || o.Completed == nil || o.Tally.AnswerRate != 1 {
		t.Errorf("order %+v", o)
	}
	if d := say("team-yizhou", `{"answer":"in_position"}`); d.Answer != "in_position" {
		t.Errorf("in position after the order is complete: %+v", d)
	}
}

// An answer that waited for a network arrives after one that was said later.
func TestAnswerSaidLastStands(t *testing.T) {
	e := newEnv(t)
	say := func(receipt string, said time.Time) v1.Delivery {
		t.Helper()
		return into[v1.Delivery](e.post("team-yizhou", "/orders/or-both/answers", v1.AnswerRequest{
			Answer: receipt, Reason: "道路不通", Said: said.In(time.FixedZone("", 8*3600)).Format(time.RFC3339Nano),
		}).want(http.StatusOK))
	}
	e.advance(30 * time.Minute)
	later, earlier := begin.Add(20*time.Minute), begin.Add(10*time.Minute+123*time.Millisecond)
	if d := say("rejected", later); d.Answer != "rejected" || !d.Answered.Equal(later) || !d.Overdue {
		t.Errorf("answer %+v", d)
	}
	if d := say("accepted", earlier); d.Answer != "rejected" || !d.Read.Equal(earlier) {
		t.Errorf("an answer said earlier took over: %+v", d)
	}
	if d := say("accepted", earlier); d.Answer != "rejected" {
		t.Errorf("the same again: %+v", d)
	}
	if notes := answerNotes(e); len(notes) != 2 || strings.Contains(strings.Join(notes, ""), "时间有误") {
		t.Errorf("notes %q, want two of a right clock", notes)
	}
	// Said in time and brought late is in time.
	if d := into[v1.Delivery](e.post("laiyuan", "/orders/or-both/answers", v1.AnswerRequest{
		Team: "tw-laiyuan", Answer: "accepted", Said: begin.Format(time.RFC3339),
	}).want(http.StatusOK)); d.Overdue || !d.Answered.Equal(begin) {
		t.Errorf("on behalf %+v", d)
	}
}

func TestPhoneWithWrongClockCanAnswer(t *testing.T) {
	for name, said := range map[string]time.Time{
		"an hour behind":   begin.Add(-time.Hour),
		"a decade behind":  begin.AddDate(-10, 0, 0),
		"an hour ahead":    begin.Add(time.Hour),
		"a lifetime ahead": begin.AddDate(80, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			req := v1.AnswerRequest{Answer: "accepted", By: "张三", Said: said.Format(time.RFC3339)}
			d := into[v1.Delivery](e.post("team-yizhou", "/orders/or-both/answers", req).want(http.StatusOK))
			if d.State != "answered" || !d.Answered.Equal(begin) {
				t.Errorf("delivery %+v", d)
			}
			e.advance(time.Second)
			d = into[v1.Delivery](e.post("team-yizhou", "/orders/or-both/answers", req).want(http.StatusOK))
			if !d.Answered.Equal(begin) {
				t.Errorf("sent again, it was taken for said again: %+v", d)
			}
			if notes := answerNotes(e); len(notes) != 1 || !strings.Contains(notes[0], "所报时间有误") || !strings.Contains(notes[0], "张三") {
				t.Errorf("notes %q", notes)
			}
		})
	}
	e := newEnv(t)
	d := into[v1.Delivery](e.post("team-yizhou", "/orders/or-both/answers", v1.AnswerRequest{
		Answer: "accepted", Said: begin.Add(9 * time.Minute).Format(time.RFC3339),
	}).want(http.StatusOK))
	if notes := answerNotes(e); !d.Answered.Equal(begin) || strings.Contains(notes[0], "有误") {
		t.Errorf("a clock a little ahead: %+v, notes %q", d, notes)
	}
}

// answerNotes are the notes of the answers on record for or-both.
func answerNotes(e *env) (notes []string) {
	e.t.Helper()
	for _, a := range into[v1.Order](e.get("admin", "/orders/or-both").want(200)).Attempts {
		if a.Channel == "answer" {
			notes = append(notes, a.Note)
		}
	}
	return notes
}

func TestAnswerFaults(t *testing.T) {
	e := newEnv(t)
	for _, row := range []struct {
		as, body, field string
	}{
		{"team-yizhou", `{"answer":"rejected"}`, "reason"},
		{"team-yizhou", `{"answer":"rejected","reason":" "}`, "reason"},
		{"team-yizhou", `{"answer":"perhaps"}`, "answer"},
		{"team-yizhou", `{"answer":"accepted","by":"` + strings.Repeat("x", 101) + `"}`, "by"},
		{"team-yizhou", `{"answer":"accepted","said":"14.3.2026"}`, "said"},
		{"team-yizhou", `{"answer":"accepted","said":"2026-03-14T08:00:00"}`, "said"},
		{"yixian", `{"answer":"accepted"}`, "team"},
		{"yixian", `{"team":"tw-yizhou","answer":"read"}`, "answer"},
	} {
		p := e.post(row.as, "/orders/or-both/answers", row.body).problem(http.StatusUnprocessableEntity, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Field != row.field {
			t.Errorf("%s: errors %+v, want one at %s", row.body, p.Errors, row.field)
		}
	}
	if d := into[v1.Order](e.get("admin", "/orders/or-both").want(200)); d.Tally.Answered != 0 || d.Tally.Sent != 0 {
		t.Errorf("faulty answers left a trace: %+v", d.Tally)
	}
}

func TestAckOnceAndOnRecord(t *testing.T) {
	e := newEnv(t)
	a := into[v1.Alert](e.post("yixian", "/alerts/al-yixian/acks", `{"note":"已派人"}`).want(http.StatusCreated))
	if len(a.Acks) != 1 || a.Acks[0].By != "yixian" || a.Acks[0].ByName != "易县防火办" || a.Acks[0].Note != "已派人" || !a.Acks[0].At.Equal(begin) {
		t.Errorf("acks %+v", a.Acks)
	}
	e.post("yixian", "/alerts/al-yixian/acks", `{"note":"已派人"}`).want(http.StatusOK)
	a = into[v1.Alert](e.post("city", "/alerts/al-yixian/acks", `{"note":"知悉"}`).want(http.StatusCreated))
	if len(a.Acks) != 2 {
		t.Errorf("acks %+v, want two", a.Acks)
	}
	e.post("city", "/alerts/al-yixian/acks", v1.AckRequest{Note: strings.Repeat("x", 501)}).problem(422, "invalid")
}

func TestPagesOfOrdersAndAlerts(t *testing.T) {
	e := newEnv(t)
	for i := range 7 {
		e.advance(time.Second)
		e.post("city", "/orders", fmt.Sprintf(orderFor, `{"teams":["tw-yizhou"]}`), "Idempotency-Key", fmt.Sprint("k", i)).want(201)
	}
	var ids []string
	path := "/orders?limit=4"
	for range 5 {
		l := into[v1.List[v1.Order]](e.get("city", path).want(200))
		for _, o := range l.Items {
			ids = append(ids, o.ID)
		}
		if l.Next == nil {
			break
		}
		path = "/orders?limit=4&cursor=" + *l.Next
	}
	if len(ids) != 9 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 9 {
		t.Errorf("%d orders over the pages, want 9 different ones", len(ids))
	}
	for _, path := range []string{
		"/orders?cursor=x!", "/orders?cursor=bm9uZQ", "/alerts?cursor=bm9uZQ", "/orders?limit=0", "/orders?limit=1001",
		"/orders?status=lost", "/orders?page=2", "/devices?seen=1", "/alerts?state=pending", "/areas?level=province",
	} {
		if p := e.get("city", path).problem(http.StatusBadRequest, "invalid"); len(p.Errors) != 1 {
			t.Errorf("%s: errors %+v", path, p.Errors)
		}
	}
}
