package alertstest

import (
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
)

// newIncident was opened so many minutes after t0.
func newIncident(id string, minutes int) alerts.Incident {
	return alerts.Incident{
		ID: id, Area: "130633101", Device: "sensor-1", Lat: 39.3, Lon: 115.3, HasPlace: true, Title: "易县 <梁格庄镇> 疑似火情",
		Severity: alerts.Orange, Began: at(minutes - 3), Opened: at(minutes), Updated: at(minutes), Quiet: at(minutes + 30), Alerts: 2, Demo: true,
	}
}

func incidentIDs(is []alerts.Incident) []string {
	out := make([]string, len(is))
	for i, x := range is {
		out[i] = x.ID
	}
	return out
}

var incidentTests = map[string]func(check){
	"SavedWithItsAlertsInOneRound": func(t check) {
		s := t.store
		in, a := newIncident("in-1", 0), newAlert("al-1", 0)
		a.Incident = in.ID
		a.Hush = alerts.Hush{Kind: alerts.HushInhibited, By: in.ID, Why: "已确认 <火情>", Since: at(1), Until: at(9), Severity: alerts.Orange}
		a.Explain = alerts.Explanation{
			Condition: "max(smoke) > 3", Why: "两个传感器", Values: map[string]float64{"smoke": 4.25}, Base: alerts.Yellow,
			Raised: []alerts.RaisedBy{{By: "season", Why: "高火险期", From: alerts.Yellow, To: alerts.Orange}},
			Inputs: alerts.Surroundings{Season: alerts.HighDanger, Danger: 4, DryDays: -1}, Outcome: alerts.LateActionable,
			Held: []alerts.HeldBack{{At: at(2), By: "incident", Why: "同一事件已下令"}},
		}
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}, Incidents: []alerts.Incident{in}}))
		equal(t, "incident", got(s.Incident(t.Context(), in.ID))(t), in)
		equal(t, "alert", got(s.Alert(t.Context(), a.ID))(t), a)
		a.Incident, a.Hush, a.Explain = "", alerts.Hush{}, alerts.Explanation{}
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		equal(t, "alert without", got(s.Alert(t.Context(), a.ID))(t), a)
		if _, err := s.Incident(t.Context(), "in-9"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	},
	"ValuesThatAreNoNumbersKeepNoAlertFromBeingSaved": func(t check) {
		a := newAlert("al-1", 0)
		zero := 0.0
		a.Explain.Values = map[string]float64{"x": zero / zero}
		must(t, t.store.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		equal(t, "id", got(t.store.Alert(t.Context(), "al-1"))(t).ID, "al-1")
	},
	"JudgingLeavesWhatPeopleSaid": func(t check) {
		s := t.store
		in := newIncident("in-1", 0)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Incidents: []alerts.Incident{in}}))
		said := got(s.UpdateIncident(t.Context(), in.ID, func(x *alerts.Incident) ([]alerts.Event, error) {
			x.Confirmed, x.By = at(4), "duty"
			return []alerts.Event{event(alerts.EventIncident)}, nil
		}))(t)
		equal(t, "state", said.State(), alerts.IncidentConfirmed)
		in.Severity, in.Closed, in.Quiet, in.Alerts = alerts.Red, at(9), time.Time{}, 3
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Incidents: []alerts.Incident{in}}))
		in.Confirmed, in.By = at(4), "duty"
		equal(t, "incident", got(s.Incident(t.Context(), in.ID))(t), in)
		equal(t, "events", types(newEvents(t, s, 0)), []alerts.EventType{alerts.EventIncident})
		refuse := errors.New("refuse")
		if _, err := s.UpdateIncident(t.Context(), in.ID, func(x *alerts.Incident) ([]alerts.Event, error) {
			x.Refuted = at(5)
			return []alerts.Event{event(alerts.EventIncident)}, refuse
		}); !errors.Is(err, refuse) {
			t.Errorf("%v, want the error of change", err)
		}
		equal(t, "incident after a refusal", got(s.Incident(t.Context(), in.ID))(t), in)
	},
	"OrderOfAnAlertIsItsIncidentsToo": func(t check) {
		s := t.store
		withRoster(t, s)
		in := newIncident("in-1", 0)
		one, two, other := newAlert("al-1", 0), newAlert("al-2", 1), newAlert("al-3", 2)
		one.Incident, two.Incident = in.ID, in.ID
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{one, two, other}, Incidents: []alerts.Incident{in}}))
		ds := []alerts.Delivery{{Team: "tw-yizhou", State: alerts.DeliveryPending}}
		order := func(id, alert string, level alerts.Severity, drill bool) {
			t.Helper()
			_, _, err := s.CreateOrder(t.Context(), alerts.Order{
				ID: id, Kind: alerts.OrderCheck, Level: level, Alert: alert, Issuer: "duty", Issued: at(3), Status: alerts.OrderOpen, Drill: drill,
			}, ds, nil)
			must(t, err)
		}
		order("or-0", "al-1", alerts.Red, true)
		order("or-1", "al-3", alerts.Red, false)
		ds = nil // reaches nobody
		order("or-n", "al-2", alerts.Red, false)
		ds = []alerts.Delivery{{Team: "tw-yizhou", State: alerts.DeliveryPending}}
		equal(t, "incident", got(s.Incident(t.Context(), in.ID))(t), in)
		order("or-2", "al-2", alerts.Orange, false)
		order("or-3", "al-1", alerts.Red, false)
		order("or-4", "al-1", alerts.Blue, false)
		in.Order, in.OrderLevel = "or-2", alerts.Red
		equal(t, "incident", got(s.Incident(t.Context(), in.ID))(t), in)
		in.Order, in.OrderLevel = "", alerts.Notice // judging knows it later, and leaves it
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Incidents: []alerts.Incident{in}}))
		x := got(s.Incident(t.Context(), in.ID))(t)
		equal(t, "order", x.Order, "or-2")
		equal(t, "level", x.OrderLevel, alerts.Red)
	},
	"ListedNewestFirstByAreaAndOpen": func(t check) {
		s := t.store
		withRoster(t, s)
		is := []alerts.Incident{newIncident("in-1", 1), newIncident("in-2", 2), newIncident("in-3", 3), newIncident("in-b", 3)}
		is[1].Closed, is[2].Area = at(9), "130630100"
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Incidents: is}))
		for _, c := range []struct {
			q    alerts.IncidentQuery
			want []string
		}{
			{alerts.IncidentQuery{}, []string{"in-b", "in-3", "in-2", "in-1"}},
			{alerts.IncidentQuery{Open: true}, []string{"in-b", "in-3", "in-1"}},
			{alerts.IncidentQuery{Area: "130633"}, []string{"in-b", "in-2", "in-1"}},
			{alerts.IncidentQuery{Area: "130600", Before: "in-3"}, []string{"in-2", "in-1"}},
			{alerts.IncidentQuery{Before: "in-b", Open: true}, []string{"in-3", "in-1"}},
			{alerts.IncidentQuery{Area: "999"}, nil},
		} {
			c.q.Limit = 10
			equal(t, fmt.Sprintf("%+v", c.q), incidentIDs(got(s.Incidents(t.Context(), c.q))(t)), c.want)
		}
		equal(t, "limited", incidentIDs(got(s.Incidents(t.Context(), alerts.IncidentQuery{Limit: 1}))(t)), []string{"in-b"})
		if _, err := s.Incidents(t.Context(), alerts.IncidentQuery{Before: "in-9", Limit: 1}); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	},
	"AlertsListedByIncidentAndHush": func(t check) {
		s := t.store
		as := []alerts.Alert{newAlert("al-1", 1), newAlert("al-2", 2), newAlert("al-3", 3)}
		as[0].Incident, as[1].Incident = "in-1", "in-1"
		as[1].Hush = alerts.Hush{Kind: alerts.HushSilenced, By: "si-1"}
		as[2].Hush = alerts.Hush{By: "si-1", Severity: alerts.Blue} // came forth
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: as}))
		for _, c := range []struct {
			q    alerts.AlertQuery
			want []string
		}{
			{alerts.AlertQuery{Incident: "in-1"}, []string{"al-2", "al-1"}},
			{alerts.AlertQuery{Hushed: alerts.HushedNo}, []string{"al-3", "al-1"}},
			{alerts.AlertQuery{Hushed: alerts.HushedYes}, []string{"al-2"}},
			{alerts.AlertQuery{Hushed: alerts.HushedNo, Incident: "in-1"}, []string{"al-1"}},
			{alerts.AlertQuery{}, []string{"al-3", "al-2", "al-1"}},
		} {
			c.q.Limit = 10
			equal(t, fmt.Sprintf("%+v", c.q), ids(got(s.Alerts(t.Context(), c.q))(t)), c.want)
		}
	},
}

func newSilence(id string, minutes int) alerts.Silence {
	return alerts.Silence{
		ID: id, Rule: "smoke", Device: "sensor-1", Area: "130633", From: at(minutes), Until: at(minutes + 60),
		Author: "duty", Reason: "计划烧除 <已报备>", Made: at(minutes),
	}
}

func silenceIDs(xs []alerts.Silence) []string {
	out := make([]string, len(xs))
	for i, x := range xs {
		out[i] = x.ID
	}
	return out
}

var silenceTests = map[string]func(check){
	"ListedNewestFirstWhileNotOver": func(t check) {
		s := t.store
		for _, x := range []alerts.Silence{newSilence("si-1", 0), newSilence("si-2", 10), newSilence("si-b", 10)} {
			must(t, s.SaveSilence(t.Context(), x, []alerts.Event{event(alerts.EventSilence)}))
		}
		equal(t, "all", got(s.Silences(t.Context(), at(30), 10))(t),
			[]alerts.Silence{newSilence("si-b", 10), newSilence("si-2", 10), newSilence("si-1", 0)})
		equal(t, "not over", silenceIDs(got(s.Silences(t.Context(), at(60), 10))(t)), []string{"si-b", "si-2"})
		equal(t, "limited", silenceIDs(got(s.Silences(t.Context(), at(0), 1))(t)), []string{"si-b"})
		equal(t, "none", len(got(s.Silences(t.Context(), at(70), 10))(t)), 0)
		equal(t, "events", len(newEvents(t, s, 0)), 3)
	},
	"LiftedOnce": func(t check) {
		s := t.store
		x := newSilence("si-1", 0)
		must(t, s.SaveSilence(t.Context(), x, nil))
		lifted := got(s.LiftSilence(t.Context(), "si-1", "chief", at(5), []alerts.Event{event(alerts.EventSilence)}))(t)
		x.Ended, x.Lifted = at(5), "chief"
		equal(t, "returned", lifted, x)
		equal(t, "before it was lifted", got(s.Silences(t.Context(), at(4), 10))(t), []alerts.Silence{x})
		equal(t, "after", len(got(s.Silences(t.Context(), at(5), 10))(t)), 0)
		if _, err := s.LiftSilence(t.Context(), "si-1", "chief", at(6), []alerts.Event{event(alerts.EventSilence)}); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		if _, err := s.LiftSilence(t.Context(), "si-9", "chief", at(6), nil); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"OneThatHasEndedIsNotLifted": func(t check) {
		must(t, t.store.SaveSilence(t.Context(), newSilence("si-1", 0), nil))
		if _, err := t.store.LiftSilence(t.Context(), "si-1", "chief", at(60), nil); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
	},
	"AnIDIsTakenOnce": func(t check) {
		must(t, t.store.SaveSilence(t.Context(), newSilence("si-1", 0), nil))
		if err := t.store.SaveSilence(t.Context(), newSilence("si-1", 1), nil); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
	},
}

var holdbackTests = map[string]func(check){
	"CountedByRuleDeviceAndReason": func(t check) {
		s := t.store
		withRoster(t, s)
		one := alerts.Holdback{
			Rule: "smoke", RuleVersion: "1", Device: "sensor-1", Area: "130633101", Why: "正在校准 <一>", First: at(1), Last: at(2), Count: 3,
		}
		two := one
		two.Device, two.Area, two.First, two.Last = "sensor-2", "130630100", at(3), at(3)
		must(t, s.SaveHoldbacks(t.Context(), []alerts.Holdback{one, two}, 10))
		again := one
		again.RuleVersion, again.First, again.Last, again.Count = "2", at(4), at(5), 2
		must(t, s.SaveHoldbacks(t.Context(), []alerts.Holdback{again}, 10))
		one.RuleVersion, one.Last, one.Count = "2", at(5), 5
		equal(t, "all", got(s.Holdbacks(t.Context(), "", 10))(t), []alerts.Holdback{one, two})
		equal(t, "of an area", got(s.Holdbacks(t.Context(), "130633", 10))(t), []alerts.Holdback{one})
		equal(t, "limited", got(s.Holdbacks(t.Context(), "", 1))(t), []alerts.Holdback{one})
	},
	"OnlyTheNewestAreKept": func(t check) {
		for i := range 20 {
			h := alerts.Holdback{Rule: "smoke", Why: fmt.Sprint(i), First: at(i), Last: at(i), Count: 1}
			must(t, t.store.SaveHoldbacks(t.Context(), []alerts.Holdback{h}, 5))
		}
		hs := got(t.store.Holdbacks(t.Context(), "", 100))(t)
		if len(hs) != 5 || hs[0].Why != "19" || hs[4].Why != "15" {
			t.Errorf("kept %+v", hs)
		}
	},
}
