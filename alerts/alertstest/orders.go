package alertstest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// newOrder was issued so many minutes after t0.
func newOrder(id string, minutes int) alerts.Order {
	return alerts.Order{
		ID: id, Kind: alerts.OrderStandby, Level: alerts.Orange, Text: "全员待命", Drill: true, Demo: true, Issuer: "duty",
		Area: "130633", Lat: 39.3, Lon: 115.3, HasPlace: true, Issued: at(minutes), AnswerBy: at(minutes + 15),
		Status: alerts.OrderOpen, IdempotencyKey: "key-" + id, Shortfalls: []string{"无人值守: 甲队"},
	}
}

func deliveriesTo(teams ...contract.TeamID) []alerts.Delivery {
	out := make([]alerts.Delivery, len(teams))
	for i, team := range teams {
		out[i] = alerts.Delivery{Team: team, Reason: "最近", State: alerts.DeliveryPending, NextAt: t0}
	}
	return out
}

func got2[A, B any](a A, b B, err error) func(tb testing.TB) (A, B) {
	return func(tb testing.TB) (A, B) {
		tb.Helper()
		must(tb, err)
		return a, b
	}
}

func orderIDs(os []alerts.Order) []string {
	out := make([]string, len(os))
	for i, o := range os {
		out[i] = o.ID
	}
	return out
}

var orderTests = map[string]func(check){
	"OrderAndDeliveriesComeBack": func(t check) {
		s := t.store
		o := newOrder("or-1", 0)
		ds := deliveriesTo("tw-yizhou", "tw-laiyuan")
		saved, created := got2(s.CreateOrder(t.Context(), o, ds, []alerts.Event{event(alerts.EventOrder), event(alerts.EventDelivery)}))(t)
		equal(t, "created", created, true)
		equal(t, "saved", saved, o)
		equal(t, "order", got(s.Order(t.Context(), "or-1"))(t), o)
		ds[0].Order, ds[1].Order = "or-1", "or-1"
		slices.Reverse(ds)
		equal(t, "deliveries by team", got(s.Deliveries(t.Context(), "or-1"))(t), ds)
		equal(t, "events", types(newEvents(t, s, 0)), []alerts.EventType{alerts.EventOrder, alerts.EventDelivery})
		bare := alerts.Order{ID: "or-2", Kind: alerts.OrderCheck, Issuer: "duty", Issued: at(1), Status: alerts.OrderOpen}
		got2(s.CreateOrder(t.Context(), bare, nil, nil))(t)
		equal(t, "bare order", got(s.Order(t.Context(), "or-2"))(t), bare)
		if _, err := s.Order(t.Context(), "or-3"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown order: %v, want ErrNotFound", err)
		}
	},
	"SameKeyGivesTheEarlierOrder": func(t check) {
		s := t.store
		first := newOrder("or-1", 0)
		got2(s.CreateOrder(t.Context(), first, deliveriesTo("b", "a"), []alerts.Event{event(alerts.EventOrder)}))(t)
		again := first
		again.ID, again.Issued, again.AnswerBy = "or-2", at(3), at(9)
		saved, created := got2(s.CreateOrder(t.Context(), again, deliveriesTo("a", "b"), []alerts.Event{event(alerts.EventOrder)}))(t)
		equal(t, "created", created, false)
		equal(t, "saved", saved, first)
		equal(t, "orders", orderIDs(got(s.Orders(t.Context(), alerts.OrderQuery{Limit: 10}))(t)), []string{"or-1"})
		equal(t, "events", len(newEvents(t, s, 0)), 1)
		other := again
		other.Issuer = "another"
		_, created = got2(s.CreateOrder(t.Context(), other, nil, nil))(t)
		equal(t, "created by another issuer", created, true)
	},
	"SameKeyForAnotherOrderIsAConflict": func(t check) {
		s := t.store
		withRoster(t, s)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{newAlert("al-1", 0)}}))
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo("a", "b"), nil))(t)
		for name, change := range map[string]func(*alerts.Order){
			"kind":  func(o *alerts.Order) { o.Kind = alerts.OrderMuster },
			"level": func(o *alerts.Order) { o.Level = alerts.Red },
			"text":  func(o *alerts.Order) { o.Text = "other" },
			"drill": func(o *alerts.Order) { o.Drill = false },
			"alert": func(o *alerts.Order) { o.Alert = "al-1" },
		} {
			o := newOrder("or-1", 0)
			o.ID = "or-2"
			change(&o)
			if _, created, err := s.CreateOrder(t.Context(), o, deliveriesTo("a", "b"), nil); created || !errors.Is(err, alerts.ErrConflict) {
				t.Errorf("%s: created %v, %v, want ErrConflict", name, created, err)
			}
		}
	},
	"SameKeyIsHeldAgainstWhatWasAsked": func(t check) {
		s := t.store
		first := newOrder("or-1", 0)
		first.Asked = "all of Yixian"
		got2(s.CreateOrder(t.Context(), first, deliveriesTo("a", "b"), nil))(t)
		equal(t, "order", got(s.Order(t.Context(), "or-1"))(t), first)
		for name, c := range map[string]struct {
			asked, text string
			to          []contract.TeamID
			conflict    bool
		}{
			"another roster":       {"all of Yixian", first.Text, []contract.TeamID{"a", "c"}, false},
			"a smaller roster":     {"all of Yixian", first.Text, []contract.TeamID{"a"}, false},
			"asked for other":      {"all of Laiyuan", first.Text, []contract.TeamID{"a", "b"}, true},
			"not said what":        {"", first.Text, []contract.TeamID{"a", "c"}, false},
			"not said, other text": {"", "other", []contract.TeamID{"a", "b"}, true},
		} {
			again := first
			again.ID, again.Asked, again.Text = "or-2", c.asked, c.text
			saved, created, err := s.CreateOrder(t.Context(), again, deliveriesTo(c.to...), nil)
			if created || errors.Is(err, alerts.ErrConflict) != c.conflict || (err != nil) != c.conflict || err == nil && saved.ID != "or-1" {
				t.Errorf("%s: %q, created %v, %v, want conflict %v", name, saved.ID, created, err, c.conflict)
			}
		}
		equal(t, "deliveries", len(got(s.Deliveries(t.Context(), "or-1"))(t)), 2)
	},
	"OrderIsFoundByItsKey": func(t check) {
		s := t.store
		o := newOrder("or-1", 0)
		got2(s.CreateOrder(t.Context(), o, nil, nil))(t)
		keyless := newOrder("or-2", 0)
		keyless.IdempotencyKey = ""
		got2(s.CreateOrder(t.Context(), keyless, nil, nil))(t)
		equal(t, "order", got(s.OrderByKey(t.Context(), "duty", "key-or-1"))(t), o)
		for _, c := range [][2]string{{"duty", "key-or-3"}, {"another", "key-or-1"}, {"duty", ""}} {
			if o, err := s.OrderByKey(t.Context(), c[0], c[1]); !errors.Is(err, alerts.ErrNotFound) {
				t.Errorf("%q: %s, %v, want ErrNotFound", c, o.ID, err)
			}
		}
	},
	"TakenIDIsAConflict": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), nil, nil))(t)
		o := newOrder("or-1", 0)
		o.IdempotencyKey = "other"
		if _, _, err := s.CreateOrder(t.Context(), o, nil, nil); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
	},
	"ManyPostsAtOnceMakeOneOrder": func(t check) {
		s := t.store
		const posts = 12
		var created atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		orders := make([]alerts.Order, posts)
		for i := range posts {
			wg.Go(func() {
				o := newOrder("or-1", 0)
				o.ID = fmt.Sprintf("or-%02d", i)
				<-start
				saved, fresh, err := s.CreateOrder(t.Context(), o, deliveriesTo("a", "b", "c"), []alerts.Event{event(alerts.EventOrder)})
				if err != nil {
					t.Error(err)
				}
				if fresh {
					created.Add(1)
				}
				orders[i] = saved
			})
		}
		close(start)
		wg.Wait()
		equal(t, "created", created.Load(), 1)
		all := got(s.Orders(t.Context(), alerts.OrderQuery{Limit: 100}))(t)
		equal(t, "orders", len(all), 1)
		for _, o := range orders {
			equal(t, "order returned", o, all[0])
		}
		equal(t, "deliveries", len(got(s.Deliveries(t.Context(), all[0].ID))(t)), 3)
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"OrderIsSetOnItsAlert": func(t check) {
		s := t.store
		a := newAlert("al-1", 0)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		o := newOrder("or-1", 0)
		o.Alert, o.Drill = "al-1", false
		got2(s.CreateOrder(t.Context(), o, deliveriesTo("a"), nil))(t)
		a.Order = "or-1"
		equal(t, "alert", got(s.Alert(t.Context(), "al-1"))(t), a)
	},
	"FirstRealOrderStaysItsAlerts": func(t check) {
		s := t.store
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{newAlert("al-1", 0)}}))
		for i, c := range []struct {
			drill bool
			want  string
		}{{true, ""}, {false, "or-1"}, {true, "or-1"}, {false, "or-1"}} {
			o := newOrder(fmt.Sprint("or-", i), i)
			o.Alert, o.Drill = "al-1", c.drill
			_, created := got2(s.CreateOrder(t.Context(), o, deliveriesTo("a"), nil))(t)
			equal(t, o.ID+" created", created, true)
			equal(t, "the alert's order after "+o.ID, got(s.Alert(t.Context(), "al-1"))(t).Order, c.want)
		}
		o := newOrder("or-9", 9)
		o.Alert = "al-9"
		if _, _, err := s.CreateOrder(t.Context(), o, nil, nil); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("a drill for an unknown alert: %v, want ErrNotFound", err)
		}
	},
	"128DeliveriesAreOneOrder": func(t check) {
		s := t.store
		teams := make([]contract.TeamID, 128)
		for i := range teams {
			teams[i] = contract.TeamID(fmt.Sprintf("team-%03d", i))
		}
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo(teams...), nil))(t)
		equal(t, "deliveries", len(got(s.Deliveries(t.Context(), "or-1"))(t)), 128)
	},
	"ListedNewestFirstInPages": func(t check) {
		s := t.store
		for i, id := range []string{"or-z", "or-a", "or-B", "or-c"} {
			got2(s.CreateOrder(t.Context(), newOrder(id, i/2), nil, nil))(t)
		}
		want := []string{"or-c", "or-B", "or-z", "or-a"}
		equal(t, "all", orderIDs(got(s.Orders(t.Context(), alerts.OrderQuery{Limit: 10}))(t)), want)
		var paged []string
		for q := (alerts.OrderQuery{Limit: 1}); len(paged) < 10; {
			page := orderIDs(got(s.Orders(t.Context(), q))(t))
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			q.Before = page[len(page)-1]
		}
		equal(t, "in pages", paged, want)
	},
	"ListedByStatusTeamAndArea": func(t check) {
		s := t.store
		withRoster(t, s)
		cancelled := newOrder("or-3", 3)
		cancelled.Status = alerts.OrderCancelled
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 1), deliveriesTo("tw-yizhou"), nil))(t)
		got2(s.CreateOrder(t.Context(), newOrder("or-2", 2), deliveriesTo("tw-laiyuan", "pro-yixian"), nil))(t)
		got2(s.CreateOrder(t.Context(), cancelled, deliveriesTo("tw-laiyuan"), nil))(t)
		for _, c := range []struct {
			q    alerts.OrderQuery
			want []string
		}{
			{alerts.OrderQuery{Status: alerts.OrderOpen}, []string{"or-2", "or-1"}},
			{alerts.OrderQuery{Status: alerts.OrderCancelled}, []string{"or-3"}},
			{alerts.OrderQuery{Team: "tw-laiyuan"}, []string{"or-3", "or-2"}},
			{alerts.OrderQuery{Area: "130600"}, []string{"or-3", "or-2", "or-1"}},
			{alerts.OrderQuery{Area: "130633"}, []string{"or-2", "or-1"}},
			{alerts.OrderQuery{Area: "130633100"}, []string{"or-1"}},
			{alerts.OrderQuery{Area: "130630", Status: alerts.OrderOpen}, []string{"or-2"}},
			{alerts.OrderQuery{Area: "130633101"}, nil},
		} {
			c.q.Limit = 10
			equal(t, fmt.Sprintf("%+v", c.q), orderIDs(got(s.Orders(t.Context(), c.q))(t)), c.want)
		}
	},
}
