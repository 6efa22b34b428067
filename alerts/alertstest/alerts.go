package alertstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"firewatch/alerts"
)

// newAlert was raised so many minutes after t0.
func newAlert(id string, minutes int) alerts.Alert {
	return alerts.Alert{
		ID: id, Rule: "smoke", RuleVersion: "3", Device: "sensor-1", Area: "130633101", Lat: 39.3, Lon: 115.3, HasPlace: true,
		Severity: alerts.Orange, State: alerts.Firing, Summary: "烟雾 <浓> & 持续", SummaryEn: "smoke", Reasons: []string{"高火险期", "橙色预警"},
		Measured: at(minutes - 1), Raised: at(minutes), Late: 90 * time.Second, Updated: at(minutes),
		Evidence: []alerts.Evidence{
			{Device: "sensor-1", Measured: at(minutes - 1), Received: at(minutes), Field: "smoke_obs_pct_m", Value: 4.25, Note: "超过 3"},
			{Device: "sensor-2", Field: "co_ppm", Value: 0},
		},
		Demo: true,
	}
}

func ids(as []alerts.Alert) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.ID
	}
	return out
}

var alertTests = map[string]func(check){
	"JudgedIsSavedWhole": func(t check) {
		s := t.store
		states := []alerts.RuleState{
			{Rule: "silent", Subject: "a", State: alerts.Resolved},
			{
				Rule: "smoke", Subject: "sensor-1", State: alerts.Firing, Since: at(1), AlertID: "al-1", Through: at(2),
				Data: json.RawMessage(`{"n":1,"text":"烟"}`),
			},
		}
		a := newAlert("al-1", 0)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{
			Feed: "journal", Position: 1<<63 + 5, States: []alerts.RuleState{states[1], states[0]}, Alerts: []alerts.Alert{a},
			Events: []alerts.Event{event(alerts.EventAlert)},
		}))
		equal(t, "states by rule and subject", got(s.RuleStates(t.Context()))(t), states)
		equal(t, "alert", got(s.Alert(t.Context(), "al-1"))(t), a)
		pos, ok, err := s.JudgedPosition(t.Context(), "journal")
		if err != nil || !ok || pos != 1<<63+5 {
			t.Errorf("position %d, %v, %v", pos, ok, err)
		}
		equal(t, "events", types(newEvents(t, s, 0)), []alerts.EventType{alerts.EventAlert})
	},
	"PositionIsPerFeedAndStaysWithoutOne": func(t check) {
		s := t.store
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Feed: "a", Position: 7}))
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Position: 9}))
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Feed: "a", Position: 8}))
		pos, ok, err := s.JudgedPosition(t.Context(), "a")
		if err != nil || !ok || pos != 8 {
			t.Errorf("position %d, %v, %v", pos, ok, err)
		}
		if _, ok, err := s.JudgedPosition(t.Context(), "b"); ok || err != nil {
			t.Errorf("unknown feed: %v, %v", ok, err)
		}
	},
	"StatesAreReplacedAndCleared": func(t check) {
		s := t.store
		one, two := alerts.RuleState{Rule: "r", Subject: "1", State: alerts.Pending}, alerts.RuleState{Rule: "r", Subject: "2", State: alerts.Pending}
		must(t, s.SaveJudged(t.Context(), alerts.Judged{States: []alerts.RuleState{one, two}}))
		two.State, two.Through = alerts.Firing, at(3)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{
			States:  []alerts.RuleState{two},
			Cleared: []alerts.RuleState{{Rule: "r", Subject: "1"}, {Rule: "other", Subject: "2"}},
		}))
		equal(t, "states", got(s.RuleStates(t.Context()))(t), []alerts.RuleState{two})
	},
	"LastOfTwoInOneRoundCounts": func(t check) {
		s := t.store
		first, last := newAlert("al-1", 0), newAlert("al-1", 0)
		last.Severity = alerts.Red
		st := alerts.RuleState{Rule: "r", Subject: "1", State: alerts.Pending}
		fired := st
		fired.State = alerts.Firing
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{first, last}, States: []alerts.RuleState{st, fired}}))
		equal(t, "alert", got(s.Alert(t.Context(), "al-1"))(t), last)
		equal(t, "states", got(s.RuleStates(t.Context()))(t), []alerts.RuleState{fired})
	},
	"RejudgingLeavesAcksAndOrder": func(t check) {
		s := t.store
		a := newAlert("al-1", 0)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		acked := got(s.UpdateAlert(t.Context(), "al-1", func(a *alerts.Alert) ([]alerts.Event, error) {
			a.Acks = append(a.Acks, alerts.Ack{By: "duty", At: at(5), Note: "去看"})
			a.Order = "or-9"
			return []alerts.Event{event(alerts.EventAlert)}, nil
		}))(t)
		equal(t, "returned alert", acked.Acks, []alerts.Ack{{By: "duty", At: at(5), Note: "去看"}})
		a.State, a.Resolved, a.Updated, a.Evidence, a.HasPlace, a.Lat, a.Lon = alerts.Resolved, at(9), at(9), nil, false, 0, 0
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		a.Acks, a.Order = acked.Acks, "or-9"
		equal(t, "alert", got(s.Alert(t.Context(), "al-1"))(t), a)
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"RefusedChangeChangesNothing": func(t check) {
		s := t.store
		a := newAlert("al-1", 0)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		refuse := errors.New("refuse")
		_, err := s.UpdateAlert(t.Context(), "al-1", func(a *alerts.Alert) ([]alerts.Event, error) {
			a.Order = "or-1"
			return []alerts.Event{event(alerts.EventAlert)}, refuse
		})
		if !errors.Is(err, refuse) {
			t.Errorf("%v, want the error of change", err)
		}
		equal(t, "alert", got(s.Alert(t.Context(), "al-1"))(t), a)
		equal(t, "events", len(newEvents(t, s, 0)), 0)
	},
	"UnknownAlertIsNotFound": func(t check) {
		s := t.store
		if _, err := s.Alert(t.Context(), "al-1"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
		_, err := s.UpdateAlert(t.Context(), "al-1", func(*alerts.Alert) ([]alerts.Event, error) {
			t.Error("change was called")
			return nil, nil
		})
		if !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	},
	"AcksOfManyAtOnceAllStay": func(t check) {
		s := t.store
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{newAlert("al-1", 0)}}))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := s.UpdateAlert(t.Context(), "al-1", func(a *alerts.Alert) ([]alerts.Event, error) {
					a.Acks = append(a.Acks, alerts.Ack{By: fmt.Sprint(i), At: at(i)})
					return nil, nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		equal(t, "acks", len(got(s.Alert(t.Context(), "al-1"))(t).Acks), 8)
	},
	"ListedNewestFirstInPages": func(t check) {
		s := t.store
		// Raised decides, and the id between equals.
		as := []alerts.Alert{newAlert("al-z", 0), newAlert("al-a", 1), newAlert("al-B", 1), newAlert("al-c", 2), newAlert("al-b", 2)}
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: as}))
		want := []string{"al-c", "al-b", "al-a", "al-B", "al-z"}
		equal(t, "all", ids(got(s.Alerts(t.Context(), alerts.AlertQuery{Limit: 10}))(t)), want)
		var paged []string
		for q := (alerts.AlertQuery{Limit: 2}); len(paged) < 10; {
			page := ids(got(s.Alerts(t.Context(), q))(t))
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			q.Before = page[len(page)-1]
		}
		equal(t, "in pages", paged, want)
	},
	"ListedByStateDeviceAndArea": func(t check) {
		s := t.store
		withRoster(t, s)
		as := []alerts.Alert{newAlert("al-1", 1), newAlert("al-2", 2), newAlert("al-3", 3), newAlert("al-4", 4)}
		as[1].State, as[2].Device, as[3].Area = alerts.Resolved, "sensor-2", "130630100"
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: as}))
		for _, c := range []struct {
			q    alerts.AlertQuery
			want []string
		}{
			{alerts.AlertQuery{State: alerts.Firing}, []string{"al-4", "al-3", "al-1"}},
			{alerts.AlertQuery{State: alerts.Resolved}, []string{"al-2"}},
			{alerts.AlertQuery{Device: "sensor-2"}, []string{"al-3"}},
			{alerts.AlertQuery{Area: "130600"}, []string{"al-4", "al-3", "al-2", "al-1"}},
			{alerts.AlertQuery{Area: "130633"}, []string{"al-3", "al-2", "al-1"}},
			{alerts.AlertQuery{Area: "130630100"}, []string{"al-4"}},
			{alerts.AlertQuery{Area: "130633100"}, nil},
			{alerts.AlertQuery{Area: "999999"}, nil},
			{alerts.AlertQuery{Area: "130633", State: alerts.Firing, Before: "al-3"}, []string{"al-1"}},
		} {
			c.q.Limit = 10
			equal(t, fmt.Sprintf("%+v", c.q), ids(got(s.Alerts(t.Context(), c.q))(t)), c.want)
		}
	},
	"CancelledJudgementLeavesNothing": func(t check) {
		s := t.store
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.SaveJudged(ctx, alerts.Judged{Feed: "a", Position: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		if _, ok, err := s.JudgedPosition(t.Context(), "a"); ok || err != nil {
			t.Errorf("position saved: %v, %v", ok, err)
		}
	},
}
